"""Where things are, from the environment: binaries, folders. The only module that reads it."""

from __future__ import annotations

import os
import shutil
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


def kubectl() -> str | None:
    """kubectl, for the stories that are about it."""
    return os.environ.get("KUBECTL") or shutil.which("kubectl")


def testbed_dir() -> Path:
    """Folder of the run's control plane."""
    return Path(os.environ["TESTBED_DIR"])
