"""From a running VM to SSH and HTTPS: real nftables, Caddy, sshd and certificate authority, in namespaces."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from decent.authority import Authority
from decent.cloudflare import MARKET, Cloudflare
from decent.cluster import Object, holds, moment
from decent.contract import Contract
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


@dataclass
class Rented:
    """A contract with its key, as its tenant has it."""

    host: Host
    contract: Contract
    key: Path

    @property
    def link(self) -> Object:
        return self.contract.status["connection"]

    def said(self) -> str:
        """What the machine says over SSH; empty if it cannot be reached."""
        return self.host.ssh(self.link, self.key, "hostname").stdout.strip()

    def page(self) -> str:
        """The status of its page."""
        answer = self.host.curl(self.link["url"], "-o", "/dev/null", "-w", "%{http_code}")
        return answer.stdout if answer.returncode == 0 else answer.stderr

    def served(self) -> Rented:
        until("its page is served", lambda: self.page() == "200", 20, self.page)
        assert self.said() == self.contract.vm()["name"]
        return self


def rent(market: Market, host: Host, name: str) -> Rented:
    private, public = key(host.folder, name)
    contract = market.tenant(name).rent(host.site, sshKeys=[public])
    contract.until_holds("Ready", timeout=60)
    return Rented(host, contract, private)


def test_a_contract_is_reached_by_ssh_and_https(market: Market, host: Host) -> None:
    alice = rent(market, host, "alice").served()
    assert holds(alice.contract.get(), "Reachable")
    refused = host.ssh(alice.link, key(host.folder, "mallory")[0], "true")
    assert "Permission denied (publickey)" in refused.stderr


def test_a_cancelled_contract_is_cut_off_before_its_machine_is_touched(market: Market, host: Host) -> None:
    alice, bob = (rent(market, host, name).served() for name in ("alice", "bob"))
    link, mark = alice.link, host.site.sim.mark()
    words = host.ssh_words(link, alice.key, "echo in; exec cat")
    with host.popen(host.client, *words) as session:
        assert session.stdout.readline() == "in\n"
        alice.contract.cancel()
        asked = time.monotonic()
        # Until then the machine may shut down: what counts is that the connection is dead, and the port closed.
        until("the port is closed", lambda: not host.answers(link), 5)
        assert time.monotonic() - asked < 4
        session.kill()
    alice.contract.until_clean()
    route = host.site.cluster.get("slots", host.site.namespace, "ams1-0")["status"]["route"]
    first = host.site.sim.changes(mark)[0]
    assert moment(route["removedAt"]).timestamp() <= first["time_ms"] / 1000
    until("its old name says 404", lambda: alice_page(host, link) == "404", 10, lambda: alice_page(host, link))
    assert bob.said(), "nobody else is touched"


def alice_page(host: Host, link: Object) -> str:
    return host.curl(link["url"], "-o", "/dev/null", "-w", "%{http_code}").stdout


def test_a_rested_port_and_its_known_host_never_match_the_next_machine(market: Market, host: Host) -> None:
    alice = rent(market, host, "alice").served()
    old = alice.link
    alice.contract.cancel()
    alice.contract.until_clean()
    bob = rent(market, host, "bob").served()
    assert (bob.link["sshPort"], bob.link["host"]) != (old["sshPort"], old["host"])
    assert not host.answers(old), "its index rests"


def test_routes_outlive_the_agent_the_web_server_and_the_table(market: Market, host: Host) -> None:
    alice = rent(market, host, "alice").served()
    before = host.table()
    host.agent.kill()
    assert alice.said(), "nothing hangs on a running agent"
    again = datetime.now(UTC)
    host.start_agent()
    until("the agent is heard of again", lambda: host.beats(again), 20)
    assert host.table() == before, "what is there is taken over"
    host.caddy.kill()
    host.start_caddy()
    alice.served()
    host.within(host.gw, "nft", "delete", "table", "ip", "decent")
    until("the table is back", lambda: alice.said(), 20)


def test_without_the_hub_everything_stays_and_a_restarted_agent_goes_on(market: Market, host: Host) -> None:
    alice = rent(market, host, "alice").served()
    host.cut_off()
    host.agent.kill()
    host.within(host.gw, "nft", "delete", "table", "ip", "decent")
    host.start_agent()
    until("the routes of the snapshot are there", lambda: alice.said(), 20, host.agent.tail)
    assert alice.page() == "200"
    again = datetime.now(UTC)
    host.join()
    until("the agent is heard of again", lambda: host.beats(again), 30, host.agent.tail)
    alice.served()


def test_of_two_hosts_one_enrols_and_the_other_says_why(host: Host) -> None:
    # A token that the controller takes back at once says "draw another": others follow until the race decides.
    lost = lambda: "another host has enrolled" in host.enrol_elsewhere(host.token()).stderr  # noqa: E731
    until("the second host is told", lost, 20)
    assert not (host.folder / "elsewhere" / "identity.json").exists(), "nothing is left of it"
    again = host.enrol(host.token())
    assert "this host has enrolled" in again.stderr


def test_a_token_of_one_use_is_dead_after_it(host: Host) -> None:
    spent = host.first_token
    until("the hub has forgotten it", lambda: "draw another" in host.enrol_elsewhere(spent).stderr, 20)


def test_two_agents_with_one_identity_are_one_too_many(host: Host) -> None:
    copy = host.folder / "copy"
    shutil.copytree(host.state, copy)
    other = host.run_copy(copy)
    until("the copy has ended", lambda: other.exit_code() is not None, 40, other.tail)
    assert "another agent has this host's identity" in other.tail()
    assert host.agent.exit_code() is None
