"""A controller as a process: started, watched until it is ready, read by its log and metrics, ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

import httpx

from .process import Process
from .wait import until


class Service:
    """One of our controllers; its admin port tells when it is ready."""

    def __init__(self, what: str, args: list[str], log: Path) -> None:
        self.what = what
        self.args = args
        self.log = log
        self.process: Process | None = None

    def start(self) -> Self:
        """Starts it (again) and waits until it is ready."""
        self.launch()
        until(f"the {self.what} is ready", self.ready, 30, lambda: self.tail(5))
        return self

    def launch(self) -> None:
        """Starts it (again)."""
        self._offset = self.log.stat().st_size if self.log.exists() else 0
        self.process = Process(self.args, self.log)

    def ready(self) -> bool:
        assert self.process
        assert self.process.exit_code() is None, f"the {self.what} ended early:\n{self.process.tail()}"
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

    def panics(self) -> list[str]:
        return [line for line in self.log.read_text(errors="replace").splitlines() if "panicked" in line]

    def tail(self, lines: int = 60) -> str:
        return self.process.tail(lines) if self.process else ""

    def kill(self) -> None:
        """As kill -9."""
        assert self.process
        self.process.kill()

    def stop(self) -> int:
        assert self.process
        return self.process.stop()
