"""The people of a story: providers with their sites, tenants, and the end of all that they made."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from httpx import HTTPError

from . import names, objects
from .agent import Agent
from .cloudflare import CfSim, Cloudflare, Zone
from .cluster import Cluster, Object, Refused, holds
from .contract import Contract
from .faults import Fault
from .names import GatewayController
from .operator import Operator
from .plane import Plane
from .service import Service
from .simulator import Simulator
from .site import Site
from .wait import TIMEOUT, until


def short() -> str:
    """Letters and digits that no other story has."""
    return uuid.uuid4().hex[:8]


@dataclass
class Tenant:
    """An account that rents."""

    cluster: Cluster
    account: str
    namespace: str

    def rent(self, site: Site, name: str = "web", offering: str | None = None, **spec: object) -> Contract:
        """Creates a contract for the site's small Offering, or another one."""
        manifest = objects.contract(self.namespace, name, offering or site.small, **spec)
        made = self.cluster.acting_as(self.namespace, "tenant").create(manifest)
        return Contract(self.cluster, site, self.namespace, name, made["metadata"]["uid"])


@dataclass
class Market:
    """Everybody in one story; removes what it made."""

    cluster: Cluster
    folder: Path
    sites: list[Site] = field(default_factory=list)
    tenants: list[Tenant] = field(default_factory=list)
    # Providers of whom only names matter, by account.
    providers: list[tuple[str, names.Site]] = field(default_factory=list)
    # What goes wrong for a while at every Proxmox of the story.
    fault: Fault | None = None
    # Whether any request met it.
    met: bool = False

    def tenant(self, name: str = "alice", **spec: object) -> Tenant:
        account = f"{name}-{short()}"
        made = Tenant(self.cluster, account, f"tenant-{account}")
        self.tenants.append(made)
        self.cluster.create(objects.account(account, **spec))
        self.until_account(account)
        return made

    def until_account(self, account: str) -> None:
        def found() -> Object | None:
            return self.cluster.get("accounts", None, account)

        until(f"account {account} is Ready", lambda: holds(found(), "Ready"), TIMEOUT, found)

    def site(
        self,
        *,
        nodes: int = 1,
        ready: bool = True,
        agent: bool = False,
        own: bool = False,
        sim: dict[str, object] | None = None,
        operator: dict[str, str] | None = None,
        **changes: Object,
    ) -> Site:
        """A provider with its Proxmox; `agent` starts the stand-in of its gateway's agent, `own` its own operator."""
        account = f"acme-{short()}"
        folder = self.folder / account
        namespace = f"provider-{account}"
        size = max(nodes, self.fault.nodes if self.fault else 1)
        started = Simulator(folder, nodes=size, **(sim or {}))
        site = Site(self.cluster, started, folder, account, namespace, nodes=nodes)
        self.sites.append(site)
        if self.fault:
            site.armed = self.fault.arm(site.sim)
        self.cluster.create(objects.account(account, provider={"namespace": namespace}))
        self.until_account(account)
        if own:
            changes["provider"] = objects.merged({"operator": "Own"}, changes.get("provider", {}))
            site.operator = Operator(
                self.cluster.kubeconfig,
                folder,
                controllers="provider",
                namespace=namespace,
                lease_namespace=namespace,
                **(operator or {}),
            ).start()
        site.publish(**changes)
        if agent:
            site.agent = Agent(self.cluster.kubeconfig, folder, namespace, "ams1", site.sim.control_url)
        if ready:
            site.until_ready()
        return site

    def named(self, cloudflare: Cloudflare, zone: Zone | None = None) -> names.Site:
        """A provider with nothing but a namespace, and a zone of its own at Cloudflare unless one is given."""
        account = f"acme-{short()}"
        namespace = f"provider-{account}"
        found = names.Site(self.cluster, namespace, zone or cloudflare.zone(f"{account}.example"), own=zone is None)
        self.providers.append((account, found))
        self.cluster.create(objects.account(account, provider={"namespace": namespace}))
        self.until_account(account)
        if found.own:
            found.put_token()
        return found

    def owner(self, site: Site) -> Tenant:
        """The site's own account, as a tenant."""
        return Tenant(self.cluster, site.account, f"tenant-{site.account}")

    # The end

    def close(self) -> None:
        """Removes everything, whatever state it is in: no live contract, no process, no namespace."""
        for site in self.sites:
            if site.operator and site.operator.process:
                site.operator.stop()
                assert "panicked" not in site.operator.log.read_text(errors="replace"), site.operator.tail()
            if site.agent:
                site.agent.stop()
            # A simulator that has died on purpose tells nothing.
            with suppress(HTTPError):
                self.met |= site.sim.was_met(site.armed)
            # From here on no operator acts for it, so nothing waits for a Proxmox that is gone.
            with suppress(Refused):
                site.patch("providers", "provider", operator="Own", paused=True)
            site.sim.stop()
        for tenant in self.tenants:
            self._remove_all(tenant.namespace, ["contracts"])
        for site in self.sites:
            self._remove_all(f"tenant-{site.account}", ["contracts"])
            self._end_machines(site.namespace)
            self._remove_all(site.namespace, ["slots", "machines", "offerings", "pools", "gateways", "providers"])
        for _, site in self.providers:
            self._remove_all(site.namespace, ["slots", "gateways"])
        for account in [one.account for one in (*self.tenants, *self.sites)] + [name for name, _ in self.providers]:
            with suppress(Refused):
                self.cluster.delete("accounts", None, account)
        for namespace in self.namespaces():
            self.cluster.delete_namespace(namespace)

    def namespaces(self) -> list[str]:
        mine = [tenant.namespace for tenant in self.tenants]
        mine += [name for account, site in self.providers for name in (f"tenant-{account}", site.namespace)]
        return mine + [name for site in self.sites for name in (f"tenant-{site.account}", site.namespace)]

    def _end_machines(self, namespace: str) -> None:
        """Lets the admission policy pass Machines whose Proxmox is gone with the story."""
        ended = {"outcome": "Abandoned", "at": "2000-01-01T00:00:00Z", "reason": "the story is over"}
        for machine in self.cluster.list("machines", namespace):
            with suppress(Refused):
                name = machine["metadata"]["name"]
                self.cluster.patch("machines", namespace, name, {"status": {"ended": ended}}, "status")

    def _remove_all(self, namespace: str, plurals: list[str]) -> None:
        for plural in plurals:
            for obj in self.cluster.list(plural, namespace):
                with suppress(Refused):
                    self.cluster.delete(plural, namespace, obj["metadata"]["name"])
                    self.cluster.patch(plural, namespace, obj["metadata"]["name"], {"metadata": {"finalizers": None}})

    def dump(self) -> str:
        """All objects and events of the story's namespaces, for a failure's report."""
        parts = []
        for namespace in self.namespaces():
            for plural in ("contracts", "machines", "slots", "pools", "offerings", "gateways"):
                for obj in self.cluster.list(plural, namespace):
                    obj["metadata"].pop("managedFields", None)
                    if plural == "pools":
                        obj["spec"]["proxmox"].pop("caBundle", None)
                    parts.append(f"{plural} {namespace}/{obj['metadata']['name']}: {json.dumps(obj)}")
            for event in self.cluster.events(namespace):
                about = event.get("regarding", {})
                parts.append(
                    f"event {about.get('kind')} {about.get('name')}: {event.get('reason')}: {event.get('note')}"
                )
        for site in self.sites:
            if site.sim.process.exit_code() is None:
                parts += [f"vm {json.dumps(vm)}" for vm in site.sim.vms()]
                parts += [
                    f"call {call['method']} {call['path']} {json.dumps(call['params'])[:200]} → {call['status']}"
                    for call in site.sim.requests(mutating=True)[-40:]
                ]
            if site.operator:
                parts.append(f"own operator of {site.namespace}:\n{site.operator.tail(40)}")
        for _, site in self.providers:
            parts += [f"record {json.dumps(record)}" for record in site.zone.records()]
            parts += [
                f"call {call['method']} {call['path']}?{call['query']} {json.dumps(call['body'])} → {call['status']}"
                for call in site.zone.calls()[-40:]
            ]
        return "\n".join(parts)


@dataclass
class Private(Market):
    """A market whose hub is the story's own."""

    plane: Plane | None = None
    services: list[Service] = field(default_factory=list)
    cloudflare: CfSim | None = None

    def operator(self, replica: str = "one", **options: object) -> Operator:
        """Starts an operator of the hub."""
        assert self.plane
        made = self.plane.operator(replica, **options)
        self.services.append(made)
        return made.start()

    def gateway_controller(self, **options: str) -> GatewayController:
        """Starts a gateway controller of the hub, with a Cloudflare of its own."""
        assert self.plane
        self.cloudflare = self.cloudflare or CfSim(self.folder / "cloudflare")
        made = GatewayController(self.plane.kubeconfig, self.folder, self.cloudflare, **options)
        self.services.append(made)
        return made.start()

    def close(self) -> None:
        for one in self.services:
            if one.process and one.process.exit_code() is None:
                one.process.resume()
                one.stop()
        super().close()
        if self.cloudflare:
            self.cloudflare.stop()
        for one in self.services:
            assert not one.panics(), one.tail()
