"""One contract as its tenant sees it, and what hangs on it: Machine, Slots, VM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .cluster import Cluster, Object, condition, holds
from .simulator import Record
from .wait import TIMEOUT, until

if TYPE_CHECKING:
    from .site import Site


def phase(slot: Object) -> str:
    """Where a Slot is in its life."""
    return (slot.get("status") or {}).get("phase", "Claimed")


@dataclass
class Contract:
    """One contract as its tenant sees it, and what hangs on it."""

    cluster: Cluster
    site: Site
    namespace: str
    name: str
    uid: str

    def find(self) -> Object | None:
        return self.cluster.get("contracts", self.namespace, self.name)

    def get(self) -> Object:
        found = self.find()
        assert found, f"contract {self.namespace}/{self.name} is gone"
        return found

    @property
    def status(self) -> Object:
        return self.get().get("status") or {}

    @property
    def state(self) -> str:
        return self.status.get("state", "Requested")

    @property
    def waiting(self) -> Object:
        return self.status.get("waiting") or {}

    def condition(self, kind: str) -> Object:
        return condition(self.get(), kind)

    def patch(self, **spec: object) -> None:
        """The tenant changes it."""
        self.tenant.patch("contracts", self.namespace, self.name, {"spec": spec})

    def cancel(self, reason: str = "no longer needed") -> None:
        self.patch(cancel={"reason": reason})

    def delete(self) -> None:
        self.tenant.delete("contracts", self.namespace, self.name)

    @property
    def tenant(self) -> Cluster:
        return self.cluster.acting_as(self.namespace, "tenant")

    # What hangs on it

    @property
    def machine_name(self) -> str:
        return f"m-{self.uid.replace('-', '')[:20]}"

    def machine(self) -> Object | None:
        return self.cluster.get("machines", self.site.namespace, self.machine_name)

    def decide(self, decision: str, message: str | None = None) -> None:
        """The provider answers, once it is asked."""
        self.until("asks the provider", self.machine)
        status = {"decision": decision} | ({"decisionMessage": message} if message else {})
        self.site.provider.patch("machines", self.site.namespace, self.machine_name, {"status": status}, "status")

    def slots(self) -> list[Object]:
        """Every Slot that it has or had, oldest first."""
        mine = [
            slot for slot in self.cluster.list("slots", self.site.namespace) if slot["spec"]["contractUID"] == self.uid
        ]
        return sorted(mine, key=lambda slot: slot["metadata"]["creationTimestamp"])

    def slot(self) -> Object | None:
        """The Slot that it holds."""
        held = [slot for slot in self.slots() if phase(slot) == "Claimed"]
        assert len(held) <= 1, f"holds {len(held)} Slots"
        return held[0] if held else None

    def stamp(self, slot: Object) -> str:
        ref = slot["spec"]["machineRef"]["uid"]
        return f"decent-cloud.org/v1 hub={self.cluster.hub_uid()} machine={ref} slot={slot['metadata']['uid']}"

    def vms(self) -> list[Record]:
        """Its VMs by stamp, in Proxmox: there must never be two."""
        uids = {slot["metadata"]["uid"] for slot in self.slots()}
        return [
            vm for vm in self.site.sim.stamped() if any(f"slot={uid}" in vm["config"]["description"] for uid in uids)
        ]

    def vm(self) -> Record:
        found = self.vms()
        assert len(found) == 1, f"{len(found)} VMs carry its stamp"
        return found[0]

    def vm_runs(self) -> bool:
        return any(vm["status"] == "running" for vm in self.vms())

    # Waiting

    def until(self, what: str, probe: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
        return until(
            f"contract {self.namespace}/{self.name}: {what}", probe, timeout, lambda: (self.find() or {}).get("status")
        )

    def until_state(self, *states: str, timeout: float = TIMEOUT) -> Object:
        self.until(f"is {' or '.join(states)}", lambda: self.state in states, timeout)
        return self.get()

    def until_holds(self, kind: str, timeout: float = TIMEOUT) -> Object:
        self.until(f"condition {kind} is True", lambda: holds(self.find(), kind), timeout)
        return self.get()

    def until_reason(self, reason: str, timeout: float = TIMEOUT) -> Object:
        """Until it waits for this reason; gives what it says of the wait."""
        return self.until(f"waits for {reason}", lambda: self.waiting.get("reason") == reason and self.waiting, timeout)

    def until_gone(self, timeout: float = TIMEOUT) -> None:
        self.until("is gone", lambda: self.find() is None, timeout)

    def until_clean(self, timeout: float = TIMEOUT) -> None:
        """Until nothing of it is left at Proxmox, and its Slots rest."""
        self.until("left no VM", lambda: not self.vms(), timeout)
        self.until("its Slots rest", lambda: all(phase(slot) == "Resting" for slot in self.slots()), timeout)
        self.until("its Machine is gone", lambda: self.machine() is None, timeout)
