"""Child processes that never outlive us: the kernel kills them when we are gone, whatever ends us."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path


class Process:
    """A running program; its output goes to `log`."""

    def __init__(self, args: list[str], log: Path, env: dict[str, str] | None = None) -> None:
        self.args = args
        self.log = log
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *args],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    def exit_code(self) -> int | None:
        """Its exit code, if it has ended; minus the signal if one ended it."""
        return self._child.poll()

    def kill(self) -> None:
        """Ends it at once, as a crash does."""
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()

    def stop(self, grace: float = 10.0) -> int:
        """Asks it to end; kills it when it doesn't. Gives the exit code."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._child.wait()

    def pause(self) -> None:
        """Stops it without its knowing, as a suspended host does."""
        self._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._child.send_signal(signal.SIGCONT)

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def alive(pid: int) -> bool:
    """Whether a process, of whomever, still works."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")
