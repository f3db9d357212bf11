"""The operator as a process: the hub's, or a provider's own."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from .process import Process
from .settings import binary
from .wait import until

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


class Operator:
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
        self.args = [str(binary("operator")), "--controllers", controllers, "--kubeconfig", str(kubeconfig)]
        self.args += ["--admin-address", "127.0.0.1:0", "--lease-namespace", lease_namespace, "--replica", replica]
        self.args += switches
        self.args += [word for name, value in settings.items() for word in (f"--{name}", value)]
        if namespace:
            self.args += ["--namespace", namespace]
        self.log = folder / f"operator-{replica}.log"
        self.process: Process | None = None

    def start(self) -> Operator:
        """Starts it (again) and waits until it is ready."""
        self.launch()
        until("the operator is ready", self.ready, 30, lambda: self.tail(5))
        return self

    def launch(self) -> None:
        """Starts it (again)."""
        self._offset = self.log.stat().st_size if self.log.exists() else 0
        self.process = Process(self.args, self.log)

    def ready(self) -> bool:
        assert self.process
        assert self.process.exit_code() is None, f"the operator ended early:\n{self.process.tail()}"
        address = self.admin_address()
        if address is None:
            return False
        try:
            return httpx.get(f"http://{address}/readyz", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def admin_address(self) -> str | None:
        """Where the admin port of this start is, once it is known."""
        return next((line["address"] for line in self.lines() if "admin port" in line.get("message", "")), None)

    def metrics(self) -> str:
        return httpx.get(f"http://{self.admin_address()}/metrics", timeout=5, trust_env=False).text

    def lines(self) -> list[dict]:
        """What it has logged since its last start; fields and message flat."""
        with self.log.open("rb") as file:
            file.seek(self._offset)
            text = file.read().decode(errors="replace")
        found = []
        for line in text.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            found.append(record | record.get("fields", {}))
        return found

    def tail(self, lines: int = 60) -> str:
        return self.process.tail(lines) if self.process else ""

    def kill(self) -> None:
        """As kill -9."""
        assert self.process
        self.process.kill()

    def stop(self) -> int:
        assert self.process
        return self.process.stop()
