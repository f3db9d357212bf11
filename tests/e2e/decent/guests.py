"""Guests that can be reached, and the gateway in front of them: real namespaces, SSH and probes from inside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from .site import Site
from .wait import until

# What a site is started with so that its guests can be reached.
NETNS = {"guests": "netns", "guest_boot_seconds": 0.2}
PROBE = """
import socket, struct, sys
address, port = sys.argv[1], int(sys.argv[2])
if port:
    try:
        socket.create_connection((address, port), 1).close()
    except ConnectionRefusedError:
        pass
    except OSError:
        sys.exit(1)
    sys.exit(0)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.settimeout(1)
raw.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FE, 1, 0), (address, 0))
try:
    while True:
        answer, sender = raw.recvfrom(128)
        if sender[0] == address and answer[20] == 0:
            sys.exit(0)
except OSError:
    sys.exit(1)
"""


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


@dataclass
class Place:
    """A network namespace."""

    name: str

    def reaches(self, address: str, port: int) -> bool:
        """Whether who is there answers, with a connection or a refusal; port 0 is a ping."""
        words = ["ip", "netns", "exec", self.name, sys.executable, "-c", PROBE, address, str(port)]
        return subprocess.run(words, check=False).returncode == 0


@dataclass
class Gateway(Place):
    """The gateway's host: it has the private address on the bridge of the guests."""

    folder: Path

    def key(self, name: str) -> str:
        """Makes a key; gives its public half."""
        path = self.folder / name
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path))
        return path.with_suffix(".pub").read_text().strip()

    def ssh(self, key: str, who: str, *command: str) -> subprocess.CompletedProcess[str]:
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=3"]
        words = ["ip", "netns", "exec", self.name, "ssh", "-F", "none", "-i", str(self.folder / key)]
        words += [part for option in [*options, "LogLevel=ERROR", "IdentitiesOnly=yes"] for part in ("-o", option)]
        return subprocess.run([*words, who, *command], capture_output=True, text=True, check=False)

    def said(self, key: str, who: str, *command: str) -> str:
        """What a guest says, once it lets us in."""
        last = self.ssh(key, who, *command)

        def answered() -> bool:
            nonlocal last
            last = self.ssh(key, who, *command)
            return last.returncode == 0

        until(f"{who} lets {key} in", answered, seen=lambda: last)
        return last.stdout.strip()


@contextmanager
def gateway(site: Site, bridge: str = "vmbr1") -> Iterator[Gateway]:
    """Plugs a gateway into a bridge of a site whose simulator has guests that can be reached."""
    name, network = f"gw-{site.account}", site.sim.guest_network
    assert network, "the site's simulator has no guests that can be reached"
    made = Gateway(name, site.folder)
    address = IPv4Interface("10.64.0.1/16")
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", "name", "gw0", "netns", network, "type", "veth", "peer", "name", "lan0", "netns", name)
        run("ip", "-n", network, "link", "set", "gw0", "master", bridge, "up")
        run("ip", "-n", name, "addr", "add", str(address), "dev", "lan0")
        run("ip", "-n", name, "link", "set", "lan0", "up")
        yield made
    finally:
        with suppress(AssertionError):
            run("ip", "netns", "del", name)


def need_root() -> None:
    """Namespaces need root: without it a story says that it is skipped."""
    if os.geteuid() != 0:
        pytest.skip("guests that can be reached need root")
