"""A site's gateway host with all that is real: namespaces for the internet, a client and the host, the agent, Caddy,
and the way to the hub. Everything goes with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from .authority import Authority
from .cluster import Object, condition, holds, moment
from .guests import Place, run
from .process import Process
from .settings import binary, tool
from .site import Site
from .wait import until

PUBLIC = "192.0.2.10"
CLIENT = "192.0.2.20"
INTERNET = "192.0.2.1"
NAME = "ams1"


@dataclass
class Host:
    """The gateway's host, a client on the internet, and what runs there."""

    site: Site
    authority: Authority
    resolver: str
    folder: Path
    ways: dict[str, list[Process]] = field(default_factory=dict)
    plans: dict[str, tuple[Place, str, str]] = field(default_factory=dict)
    agent: Process | None = None
    caddy: Process | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        word = uuid.uuid4().hex[:6]
        self.gw, self.client, self.internet = (Place(f"{kind}-{word}") for kind in ("gw", "cl", "in"))
        self.word = word

    # The places

    def build(self) -> None:
        """Makes the namespaces and the wires between them."""
        bed = self.site.sim.guest_network
        assert bed, "the site's simulator has no guests that can be reached"
        for place in (self.gw, self.client, self.internet):
            run("ip", "netns", "add", place.name)
            run("ip", "-n", place.name, "link", "set", "lo", "up")
        inside = ["ip", "-n", self.internet.name]
        run(*inside, "link", "add", "br0", "type", "bridge")
        run(*inside, "addr", "add", f"{INTERNET}/24", "dev", "br0")
        run(*inside, "link", "set", "br0", "up")
        self._wire("wan0", self.gw.name, "gw", self.internet.name, "br0", PUBLIC)
        self._wire("eth0", self.client.name, "cl", self.internet.name, "br0", CLIENT)
        self._wire("lan0", self.gw.name, f"gh{self.word}", bed, "vmbr1", "10.64.0.1/16")
        run("ip", "-n", self.gw.name, "route", "add", "default", "via", INTERNET)
        settings = ["net.ipv4.ip_forward=1", "net.ipv6.conf.lan0.disable_ipv6=1", "net.ipv4.conf.lan0.rp_filter=1"]
        self.within(self.gw, "sysctl", "-q", "-w", *settings)
        self._relay("hub", self.gw, f"tcp:{self._hub()}", f"tcp:{self._hub()}")
        ca = f"tcp:127.0.0.1:{self.authority.port}"
        self._relay("ca", self.gw, ca, ca)
        names = Path("/etc/netns") / self.client.name
        names.mkdir(parents=True, exist_ok=True)
        (names / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        self._relay("dns", self.client, "dns:127.0.0.1:53", f"tcp:{self.resolver}")

    def _hub(self) -> str:
        address = urlsplit(str(self.site.cluster.http.base_url))
        return f"{address.hostname}:{address.port}"

    def _wire(self, name: str, place: str, peer: str, other: str, bridge: str, address: str) -> None:
        run("ip", "link", "add", "name", name, "netns", place, "type", "veth", "peer", "name", peer, "netns", other)
        run("ip", "-n", other, "link", "set", peer, "master", bridge, "up")
        run("ip", "-n", place, "addr", "add", address if "/" in address else f"{address}/24", "dev", name)
        run("ip", "-n", place, "link", "set", name, "up")

    def _relay(self, name: str, place: Place, source: str, target: str) -> None:
        """A way from a namespace to where we are."""
        self.plans[name] = (place, source, target)
        socket = self.folder / f"{name}.sock"
        words = [sys.executable, "-m", "decent.relay"]
        here = Path(__file__).parents[1]
        env = {"PYTHONPATH": str(here)}
        out = Process([*words, f"unix:{socket}", target], self.folder / f"{name}-out.log", env=env)
        until(f"the relay of {name} listens", socket.exists, 10)
        within = ["ip", "netns", "exec", place.name, *words, source, f"unix:{socket}"]
        self.ways[name] = [out, Process(within, self.folder / f"{name}-in.log", env=env)]

    def within(self, place: Place, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs a program in a namespace; it must succeed unless `check=False`."""
        check = options.pop("check", True)
        done = subprocess.run(
            ["ip", "netns", "exec", place.name, *words], capture_output=True, text=True, check=False, **options
        )
        assert done.returncode == 0 or not check, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done

    # What runs there

    def start_caddy(self) -> None:
        home = self.folder / "caddy"
        home.mkdir(exist_ok=True)
        words = ["ip", "netns", "exec", self.gw.name, str(tool("caddy")), "run"]
        self.caddy = Process(words, self.folder / "caddy.log", env={"HOME": str(home), "XDG_DATA_HOME": str(home)})

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def agent_words(self, verb: str, *args: str) -> list[str]:
        return [
            "ip",
            "netns",
            "exec",
            self.gw.name,
            str(binary("decent-agent")),
            verb,
            "--state",
            str(self.state),
            *args,
        ]

    def enrol(self, kubeconfig: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.agent_words("enrol"), input=kubeconfig, capture_output=True, text=True, check=False)

    def enrol_elsewhere(self, kubeconfig: str) -> subprocess.CompletedProcess[str]:
        """What another host would be told; it has the same way to the hub."""
        words = self.agent_words("enrol")
        words[words.index(str(self.state))] = str(self.folder / "elsewhere")
        return subprocess.run(words, input=kubeconfig, capture_output=True, text=True, check=False)

    def run_copy(self, state: Path) -> Process:
        """An agent beside ours, with a copy of its state."""
        words = self.agent_words(
            "run", "--lan", "lan0", "--probe-namespace", f"px-{self.word}", "--probe-link", "probe1"
        )
        words[words.index(str(self.state))] = str(state)
        words += ["--probe-address", "198.18.255.249", "--zone", "127.0.0.1:5381", "--admin-address", "127.0.0.1:0"]
        return Process([*words, "--caddy", str(tool("caddy"))], self.folder / "copy.log")

    def start_agent(self) -> None:
        args = ["--lan", "lan0", "--probe-namespace", f"pr-{self.word}", "--probe-link", "probe0"]
        args += ["--caddy", str(tool("caddy")), "--admin-address", "127.0.0.1:0"]
        self.agent = Process(self.agent_words("run", *args), self.folder / "agent.log")

    def token(self) -> str:
        """What `dcctl gateway token` prints: a kubeconfig that enrols a host."""
        cluster, namespace = self.site.cluster, self.site.namespace
        account = f"gateway-{NAME}"
        until("the agent's account is there", lambda: cluster.core_get("serviceaccounts", namespace, account))
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"enrol-{NAME}-{uuid.uuid4().hex[:6]}", "labels": {"decent-cloud.org/enrols": NAME}},
        }
        made = cluster.call("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
        bound = {"apiVersion": "v1", "kind": "Secret", "name": made["metadata"]["name"], "uid": made["metadata"]["uid"]}
        spec = {"expirationSeconds": 3600, "boundObjectRef": bound}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        given = cluster.call("POST", path, request)["status"]["token"]
        return json.dumps(self._kubeconfig(namespace, given))

    def _kubeconfig(self, namespace: str, token: str) -> Object:
        server, authority = self.site.cluster.trust
        context = {"cluster": "hub", "user": "agent", "namespace": namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": NAME,
            "contexts": [{"name": NAME, "context": context}],
            "clusters": [{"name": "hub", "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": "agent", "user": {"token": token}}],
        }

    def serve(self) -> None:
        """Builds all of it and waits until the Gateway is Ready."""
        self.build()
        self.start_caddy()
        self.first_token = self.token()
        done = self.enrol(self.first_token)
        assert done.returncode == 0, done.stdout + done.stderr
        self.start_agent()
        self.until_ready()

    def gateway(self) -> Object:
        found = self.site.cluster.get("gateways", self.site.namespace, NAME)
        assert found
        return found

    def until_ready(self, timeout: float = 60) -> None:
        ready = lambda: holds(self.gateway(), "Ready")  # noqa: E731
        seen = lambda: (condition(self.gateway(), "Ready"), self.agent.tail(20) if self.agent else None)  # noqa: E731
        until("the Gateway is Ready", ready, timeout, seen)

    def guest(self, vmid: int) -> Place:
        """Where a machine is."""
        return next(Place(guest["namespace"]) for guest in self.site.sim.guests() if guest["vmid"] == vmid)

    def cut_off(self, name: str = "hub") -> None:
        """Ends a way out of the namespaces, until `join`."""
        for process in self.ways[name]:
            process.kill()
        (self.folder / f"{name}.sock").unlink(missing_ok=True)

    def join(self, name: str = "hub") -> None:
        self._relay(name, *self.plans[name])

    # What a client sees

    def ssh_words(self, link: Object, key: Path, *command: str) -> list[str]:
        """A login as the contract's status says, without being asked about the host key."""
        known = self.folder / f"known-{link['sshPort']}"
        known.write_text(link["knownHosts"] + "\n")
        options = ["BatchMode=yes", f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "ConnectTimeout=5"]
        words = ["ssh", "-F", "none", "-i", str(key), "-p", str(link["sshPort"])]
        words += [part for option in [*options, "IdentitiesOnly=yes"] for part in ("-o", option)]
        return [*words, f"root@{link['host']}", *command]

    def ssh(self, link: Object, key: Path, *command: str) -> subprocess.CompletedProcess[str]:
        return self.within(self.client, *self.ssh_words(link, key, *command), check=False)

    @contextmanager
    def popen(self, place: Place, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A program in a namespace that one talks to."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(["ip", "netns", "exec", place.name, *words], text=True, **pipes) as child:
            try:
                yield child
            finally:
                child.kill()

    def answers(self, link: Object) -> bool:
        """Whether anything takes a connection at its SSH port."""
        knock = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"
        words = [sys.executable, "-c", knock, PUBLIC, str(link["sshPort"])]
        return self.within(self.client, *words, check=False).returncode == 0

    def table(self) -> str:
        """The agent's table with its handles, without counters: the same text is the same table."""
        text = self.within(self.gw, "nft", "-a", "-s", "list", "table", "ip", "decent").stdout
        return "\n".join(line for line in text.splitlines() if "expires" not in line)

    def beats(self, since: datetime) -> bool:
        """Whether the agent has renewed its Lease since then."""
        lease = self.site.cluster.call(
            "GET", f"/apis/coordination.k8s.io/v1/namespaces/{self.site.namespace}/leases/decent-agent-{NAME}"
        )
        return moment(lease["spec"]["renewTime"]) > since

    def curl(self, url: str, *args: str) -> subprocess.CompletedProcess[str]:
        """A request that verifies the certificate against the authority's root."""
        root = self.folder / "root.pem"
        root.write_text(self.authority.root())
        return self.within(
            self.client, "curl", "-sS", "--max-time", "10", "--cacert", str(root), *args, url, check=False
        )

    # The end

    def close(self) -> None:
        for process in [self.agent, self.caddy, *(one for pair in self.ways.values() for one in pair)]:
            if process:
                process.stop(3)
        for name in (f"pr-{self.word}", f"px-{self.word}", self.client.name, self.gw.name, self.internet.name):
            with suppress(AssertionError):
                run("ip", "netns", "del", name)
        shutil.rmtree(Path("/etc/netns") / self.client.name, ignore_errors=True)
