"""A provider: an account, a namespace, a simulated Proxmox, a Pool behind a Gateway."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from . import objects
from .agent import Agent
from .cluster import Cluster, Object, condition, holds
from .operator import Operator
from .simulator import Simulator
from .wait import TIMEOUT, until


@dataclass
class Site:
    """A provider: an account, a namespace, a simulated Proxmox, a Pool behind a Gateway."""

    cluster: Cluster
    sim: Simulator
    folder: Path
    account: str
    namespace: str
    agent: Agent | None = None
    operator: Operator | None = None
    nodes: int = 1
    # Rules of the market's fault.
    armed: list[int] = field(default_factory=list)

    @property
    def provider(self) -> Cluster:
        """The API server with the provider's rights."""
        return self.cluster.acting_as(self.namespace, "provider")

    def pool_spec(self) -> Object:
        names = [f"pve{number}" for number in range(1, self.nodes + 1)]
        vmids = [{"node": node, "vmid": self.sim.templates[node]} for node in names]
        return {
            "proxmox": {
                "endpoints": [self.sim.url],
                "tokenSecretRef": {"name": "proxmox"},
                "caBundle": self.sim.ca_pem,
                "fingerprint": None,
                "pool": self.sim.pool,
            },
            "nodes": [{"name": node} for node in names],
            "templates": [{"name": "debian-13", "vmids": vmids}],
        }

    def publish(self, **changes: Object) -> None:
        """Applies everything a provider writes; `changes` go into the specs by kind, `pool={…}`."""
        self.provider.put_secret(self.namespace, "proxmox", {"token": self.sim.token})
        self.provider.apply(objects.provider(self.namespace, **changes.get("provider", {})))
        self.provider.apply(objects.gateway(self.namespace, **changes.get("gateway", {})))
        self.provider.apply(objects.pool(self.namespace, **objects.merged(self.pool_spec(), changes.get("pool", {}))))
        self.provider.apply(objects.offering(self.namespace, **changes.get("offering", {})))

    def offer(self, name: str, **spec: object) -> str:
        """One more Offering; gives its name as contracts write it."""
        self.provider.apply(objects.offering(self.namespace, name, **spec))
        return f"{self.namespace}/{name}"

    @property
    def small(self) -> str:
        return f"{self.namespace}/small"

    def pool(self) -> Object:
        found = self.cluster.get("pools", self.namespace, "rack1")
        assert found
        return found

    def offering(self, name: str = "small") -> Object:
        found = self.cluster.get("offerings", self.namespace, name)
        assert found
        return found

    def slots(self) -> list[Object]:
        return self.cluster.list("slots", self.namespace)

    def machines(self) -> list[Object]:
        return self.cluster.list("machines", self.namespace)

    def patch(self, plural: str, name: str, **spec: object) -> None:
        """The provider changes one of its objects."""
        self.provider.patch(plural, self.namespace, name, {"spec": spec})

    def until_pool(self, reason: str, timeout: float = TIMEOUT) -> Object:
        """Until the Pool is not Ready for this reason; gives the condition."""

        def seen() -> Object | None:
            found = condition(self.pool(), "Ready")
            return found if (found.get("status"), found.get("reason")) == ("False", reason) else None

        return until(f"the Pool says {reason}", seen, timeout, lambda: condition(self.pool(), "Ready"))

    def until_pool_warns(self, reason: str) -> None:
        """Until the Pool is Ready and says this beside it."""
        until(f"the Pool warns of {reason}", lambda: condition(self.pool(), "Ready").get("reason") == reason)

    def until_ready(self, timeout: float = TIMEOUT) -> None:
        until("the Pool is Ready", lambda: holds(self.pool(), "Ready"), timeout, lambda: self.pool().get("status"))
        offering = lambda: self.cluster.get("offerings", self.namespace, "small")  # noqa: E731
        until(
            "the Offering is Ready",
            lambda: holds(offering(), "Ready"),
            timeout,
            lambda: (offering() or {}).get("status"),
        )
