"""From a running VM to SSH and HTTPS: real nftables, Caddy, sshd and certificate authority in namespaces of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from decent.authority import Authority
from decent.cloudflare import MARKET, Cloudflare
from decent.cluster import holds
from decent.gatehouse import Host
from decent.guests import NETNS, need_root, run
from decent.market import Market
from decent.wait import until

pytestmark = pytest.mark.faultless("is about what comes after Proxmox")


@pytest.fixture
def host(market: Market, cloudflare: Cloudflare, tmp_path: Path) -> Iterator[Host]:
    need_root()
    authority = Authority(tmp_path / "ca", cloudflare.resolver)
    acme = {"directory": authority.directory, "email": "ops@example.org", "caBundle": authority.ca_pem}
    site = market.site(sim=NETNS, gateway={"domain": MARKET, "tls": {"acme": acme}})
    made = Host(site, authority, cloudflare.resolver, tmp_path / "host")
    try:
        made.serve()
        yield made
    finally:
        made.close()
        authority.stop()


def key(folder: Path, name: str) -> tuple[Path, str]:
    path = folder / name
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path))
    return path, path.with_suffix(".pub").read_text().strip()


def test_a_contract_is_reached_by_ssh_and_https(market: Market, host: Host, tmp_path: Path) -> None:
    private, public = key(tmp_path, "alice")
    contract = market.tenant().rent(host.site, sshKeys=[public])
    contract.until_holds("Ready", timeout=60)
    link = contract.status["connection"]
    done = host.ssh(link, private, "hostname")
    assert (done.returncode, done.stdout.strip()) == (0, contract.vm()["name"]), done.stderr
    page = lambda: host.curl(link["url"]).returncode == 0  # noqa: E731
    until("the page is served", page, 20, lambda: host.curl(link["url"]))
    assert holds(contract.get(), "Reachable")
