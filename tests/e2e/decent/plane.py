"""A control plane of a story's own, for what a shared hub can't have: other limits, a market that restarts."""

from __future__ import annotations

from pathlib import Path

from .cluster import Cluster
from .operator import SYSTEM, Operator
from .process import Process
from .settings import binary
from .wait import until


class Plane:
    """A real control plane; no operator runs on it until one is started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        said = folder / "kubeconfig.path"
        # Says where it is, then stays until it is ended.
        stay = 'printf %s "$TESTBED_KUBECONFIG" >"$0.part" && mv "$0.part" "$0" && exec sleep infinity'
        args = [str(binary("testbed")), "run", "--", "sh", "-c", stay, str(said)]
        self.process = Process(args, folder / "testbed.log")

        def path() -> str:
            assert self.process.exit_code() is None, f"testbed ended early:\n{self.process.tail()}"
            return said.read_text() if said.exists() else ""

        self.kubeconfig = Path(until("the control plane is ready", path, 60))
        self.cluster = Cluster(self.kubeconfig)
        self.cluster.ensure_namespace(SYSTEM)

    def operator(self, replica: str = "one", **options: str) -> Operator:
        """An operator for this hub; not started."""
        return Operator(self.kubeconfig, self.folder, replica=replica, **options)

    def stop(self) -> None:
        self.cluster.close()
        self.process.stop(20)
