"""The operator as a process: the hub's, or a provider's own."""

from __future__ import annotations

from pathlib import Path

from .service import Service
from .settings import binary

# Small, so that stories are short; nothing depends on their exact length.
INTERVALS = {
    "tick-interval": "1s",
    "absence-interval": "1s",
    "preflight-interval": "2s",
    "node-lost-after": "3s",
    "shutdown-wait": "2s",
    "route-wait": "3s",
    "drain": "5s",
    # Long, since a busy machine may not renew in time, and an operator without its lease ends.
    "lease-duration": "120s",
    "lease-renew": "5s",
}
# What only development builds have: the simulator is on loopback, and an hour is a second.
SWITCHES = ("--allow-test-payment", "--allow-loopback-endpoints", "--contract-hour=1s")
# For stories about taking over.
SHORT_LEASE = {"lease_duration": "8s", "lease_renew": "1s"}
SYSTEM = "decent-system"


class Operator(Service):
    """One running operator."""

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        *,
        controllers: str = "market,provider",
        namespace: str | None = None,
        replica: str = "one",
        lease_namespace: str = SYSTEM,
        switches: tuple[str, ...] = SWITCHES,
        **options: str,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        settings = INTERVALS | {name.replace("_", "-"): value for name, value in options.items()}
        args = [str(binary("operator")), "--controllers", controllers, "--kubeconfig", str(kubeconfig)]
        args += ["--admin-address", "127.0.0.1:0", "--lease-namespace", lease_namespace, "--replica", replica]
        args += switches
        args += [word for name, value in settings.items() for word in (f"--{name}", value)]
        if namespace:
            args += ["--namespace", namespace]
        super().__init__("operator", args, folder / f"operator-{replica}.log")
