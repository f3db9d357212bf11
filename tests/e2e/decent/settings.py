"""Where things are, from the environment: binaries, folders. The only module that reads it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]
GROUP = "decent-cloud.org"
VERSION = "v1alpha1"


def binary(name: str) -> Path:
    """A program of this tree: from DECENT_BIN, else target/debug."""
    folder = Path(os.environ.get("DECENT_BIN") or TREE / "target" / "debug")
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: build it, or set DECENT_BIN")
    return path


def kubeconfig() -> Path:
    """The admin's kubeconfig; `testbed run` sets it, and no other cluster is ever touched."""
    path = os.environ.get("TESTBED_KUBECONFIG")
    if not path:
        raise RuntimeError("TESTBED_KUBECONFIG isn't set: run the stories by `./justw e2e`")
    return Path(path)


@cache
def tools() -> dict[str, Path]:
    """The programs of the test bed's cache."""
    said = subprocess.run([TREE / "tools" / "build.sh", "--where"], check=True, capture_output=True, text=True).stdout
    return {name: Path(path) for name, _, path in (line.partition(" ") for line in said.splitlines())}


def tool(name: str) -> Path:
    """A program of the test bed's cache, such as `caddy`."""
    path = tools()[name]
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: ./justw tools")
    return path


def free_port() -> int:
    """A port on loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kubectl() -> str | None:
    """kubectl, for the stories that are about it."""
    return os.environ.get("KUBECTL") or shutil.which("kubectl")


def testbed_dir() -> Path:
    """Folder of the run's control plane."""
    return Path(os.environ["TESTBED_DIR"])
