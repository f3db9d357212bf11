"""The stand-in for a gateway's agent, as a process: routes are true once the simulator's VM runs."""

from __future__ import annotations

from pathlib import Path

from .process import Process
from .settings import binary


class Agent:
    """Plays the agent of one Gateway."""

    def __init__(self, kubeconfig: Path, folder: Path, namespace: str, gateway: str, control_url: str) -> None:
        self._args = [str(binary("testbed")), "agent", "--kubeconfig", str(kubeconfig), "--namespace", namespace]
        self._args += ["--gateway", gateway, "--sim-control", control_url]
        self._log = folder / "agent.log"
        self.process = Process(self._args, self._log)

    def start(self) -> None:
        """Starts it again after a stop."""
        self.process = Process(self._args, self._log)

    def stop(self) -> None:
        self.process.stop(3)
