"""A real certificate authority (Pebble) that looks for challenges at the simulated zone's servers."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path

import httpx

from .process import Process
from .settings import free_port, tool
from .wait import until


class Authority:
    """One Pebble, on loopback."""

    def __init__(self, folder: Path, resolver: str, **env: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port, self.manage = free_port(), free_port()
        make_certificate(folder)
        config = {
            "pebble": {
                "listenAddress": f"127.0.0.1:{self.port}",
                "managementListenAddress": f"127.0.0.1:{self.manage}",
                "certificate": str(folder / "server.pem"),
                "privateKey": str(folder / "server.key"),
                "httpPort": 5002,
                "tlsPort": 5001,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
            }
        }
        (folder / "pebble.json").write_text(json.dumps(config))
        args = [str(tool("pebble")), "-config", str(folder / "pebble.json"), "-dnsserver", resolver]
        quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        self.process = Process(args, folder / "pebble.log", env=quick | env)
        self.ca_pem = (folder / "ca.pem").read_text()
        until("the authority listens", self._listens, 10, self.process.tail)

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    def _listens(self) -> bool:
        try:
            return bool(self.root())
        except httpx.HTTPError:
            return False

    def root(self) -> str:
        """The certificate that its certificates are verified by, in PEM."""
        trust = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        url = f"https://127.0.0.1:{self.manage}/roots/0"
        return httpx.get(url, verify=trust, timeout=5, trust_env=False).raise_for_status().text

    def stop(self) -> None:
        self.process.stop(3)


def make_certificate(folder: Path) -> None:
    """A certificate for the authority's own API, of a root of its own."""

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test authority")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    run("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    run("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")
