"""Faults as data: what a simulated Proxmox does wrong for a while, by name. Each is over by itself: met a few times, or
in a window, so that every story must end as it does without it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from .simulator import CLONE, CONFIG, START, VM, Simulator

Rule = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """Rules that are armed together, and the row of the fault matrix that they are about."""

    row: str
    rules: tuple[Rule, ...] = field(default_factory=tuple)
    # How many nodes the cluster has at least: one alone has no quorum to lose.
    nodes: int = 1

    def arm(self, sim: Simulator) -> list[int]:
        """Arms all of them; gives their numbers there."""
        return [sim.arm(rule) for rule in self.rules]


def refused(status: int, reason: str, /, **matcher: object) -> Rule:
    return {"match": matcher, "act": {"refuse": {"status": status, "reason": reason}}}


def failing(exitstatus: str, /, **matcher: object) -> Rule:
    return {"match": matcher, "act": {"fail_task": {"exitstatus": exitstatus}}}


def switch(method: str, path: str, off: object, on: object, after_ms: int, /, **matcher: object) -> Rule:
    """A switch of the control port that is turned at a request and turned back later."""
    undo = {"after_ms": after_ms, "method": method, "path": path, "body": on}
    return {"match": matcher, "act": {"control": {"method": method, "path": path, "body": off, "undo": undo}}}


def revoked(privilege: str, path: str, after_ms: int, /, **matcher: object) -> Rule:
    body = {"path": path, "privilege": privilege}
    undo = {"after_ms": after_ms, "method": "POST", "path": "/privileges/restore", "body": body}
    act = {"method": "POST", "path": "/privileges/revoke", "body": body, "undo": undo}
    return {"match": matcher, "act": {"control": act}}


def one(row: str, *rules: Rule) -> Fault:
    return Fault(row, rules)


FLOCK = "can't lock file '/var/lock/qemu-server/lock-{}.conf' - got timeout"
UNMOUNTED = (
    "clone failed: unable to activate storage 'local' - directory is expected to be a mount point but is not mounted: "
    "'/mnt/nm'"
)
FULL = "clone failed: copy failed: command '/usr/bin/qemu-img convert' failed: exit code 1"
HTML = {"answer": {"status": 200, "body": "<html>", "content_type": "text/html"}}

FAULTS: dict[str, Fault] = {
    "flock-timeout": one("locks", refused(500, FLOCK.format(10000), method="PUT", path=CONFIG, count=2)),
    "flock-timeout-in-a-task": one("locks", failing(FLOCK.format(10000), method="POST", path=START)),
    "config-locked": one(
        "locks",
        refused(500, "VM is locked (backup)", method="PUT", path=CONFIG, count=2),
        failing("VM is locked (backup)", method="DELETE", path=VM),
    ),
    "template-locked": one("locks", failing(FLOCK.format(9000), method="POST", path=CLONE)),
    "storage-locked": one(
        "locks",
        failing("can't lock file '/var/lock/pve-manager/pve-storage-local' - got timeout", method="POST", path=CLONE),
    ),
    "storage-locked-in-the-cluster": one(
        "locks", failing("cfs-lock 'storage-local' error: got lock request timeout", method="POST", path=CLONE)
    ),
    "worker-killed": one("killed worker", {"match": {"method": "POST", "path": START}, "act": "kill_worker"}),
    "quorum-lost": Fault(
        "quorum", (switch("POST", "/quorum", {"on": False}, {"on": True}, 2000, method="PUT", path=CONFIG),), nodes=3
    ),
    "quorum-lost-at-a-removal": Fault(
        "quorum", (switch("POST", "/quorum", {"on": False}, {"on": True}, 2500, method="DELETE", path=VM),), nodes=3
    ),
    "login-refused": one("permission", refused(401, "Authentication failed!", method="POST", path=CLONE, count=2)),
    "privilege-revoked": one(
        "permission", revoked("VM.Config.Network", "/pool/decent", 2500, method="PUT", path=CONFIG)
    ),
    "blind": one("permission", revoked("VM.Audit", "/pool/decent", 2500, nth=20)),
    "no-route": one("transport", refused(595, "No route to host", probability=0.2, count=8, nth=3)),
    "connection-refused": one("transport", refused(595, "Connection refused", method="POST", count=2)),
    "gateway-timeout": one("transport", refused(596, "Connection timed out", method="PUT", count=2)),
    "never-answered": one("transport", {"match": {"method": "POST", "path": START}, "act": "blackhole"}),
    "reset-before-the-effect": one(
        "transport", {"match": {"probability": 0.1, "count": 6, "nth": 3}, "act": "drop_before"}
    ),
    "answer-lost": one("transport", {"match": {"method": "POST", "count": 2}, "act": "drop_after"}),
    "empty-bodies": one("transport", {"match": {"probability": 0.1, "count": 6, "nth": 3}, "act": "empty_body"}),
    "garbled-answers": one("transport", {"match": {"method": "GET", "nth": 8, "count": 3}, "act": HTML}),
    "slow-daemon": one(
        "capacity of the daemon", {"match": {"count": 0, "window": {"for_ms": 15000}}, "act": {"delay": {"ms": 250}}}
    ),
    "task-fails": one("tasks", failing("clone failed: unexpected end of file", method="POST", path=CLONE)),
    "task-warns": one("tasks", {"match": {"method": "POST", "path": START}, "act": {"warn_task": {"warnings": 1}}}),
    "task-vanishes": one("tasks", {"match": {"method": "POST", "path": CLONE}, "act": "lose_task"}),
    "stale-lists": one("staleness", switch("PUT", "/durations", {"stats_lag": 60}, {"stats_lag": 0}, 12000, nth=5)),
    "storage-full": one("storage", failing(FULL, method="POST", path=CLONE)),
    "storage-unmounted": one("storage", failing(UNMOUNTED, method="POST", path=CLONE)),
    "storage-disabled": one(
        "storage", switch("PATCH", "/storages/local", {"enabled": False}, {"enabled": True}, 2500, nth=15)
    ),
    "storage-dead": one(
        "storage",
        switch("PATCH", "/storages/local", {"health": "dead"}, {"health": "fine"}, 3000, method="POST", path=CLONE),
    ),
    "bridge-missing": one("start-time errors", failing("bridge 'vmbr1' does not exist", method="POST", path=START)),
    "digest-stale": one(
        "start-time errors",
        refused(500, "checksum mismatch (file change by other user?)", method="PUT", path=CONFIG, count=2),
    ),
}

# How many faults a sample has.
SAMPLE = 3


def sample(seed: int) -> list[str]:
    """The faults of a sample: the same for the same seed."""
    return sorted(random.Random(seed).sample(sorted(FAULTS), SAMPLE))


if __name__ == "__main__":
    print("\n".join(FAULTS))
