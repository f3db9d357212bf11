"""The simulated Proxmox of one story: its process, the ground truth, the request log, faults and foreign hands."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import httpx

from .process import Process
from .settings import binary
from .wait import until

Record = dict[str, Any]
CLONE = "/nodes/{node}/qemu/{vmid}/clone"
CONFIG = "/nodes/{node}/qemu/{vmid}/config"
START = "/nodes/{node}/qemu/{vmid}/status/start"
STOP = "/nodes/{node}/qemu/{vmid}/status/stop"
SHUTDOWN = "/nodes/{node}/qemu/{vmid}/status/shutdown"
RESIZE = "/nodes/{node}/qemu/{vmid}/resize"
VM = "/nodes/{node}/qemu/{vmid}"


class Simulator:
    """One Proxmox cluster, private to a story."""

    def __init__(self, folder: Path, *, nodes: int = 1, **options: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        ready_file = folder / "ready.json"
        # Statistics are a page of their own: here they are never stale.
        quick = {"start_seconds": 0.2, "shutdown_seconds": 0.2, "cleanup_seconds": 0, "death_notice": 1}
        settings = {"stats_lag": 0, "auth_delay": 0.1} | quick | options
        args = [str(binary("pve-sim")), "--nodes", str(nodes), "--dir", str(folder), "--ready-file", str(ready_file)]
        for name, value in settings.items():
            flag = f"--{name.replace('_', '-')}"
            args += [flag] if value is True else [flag, str(value)]
        self.process = Process(args, folder / "pve-sim.log")

        def ready() -> bool:
            assert self.process.exit_code() is None, f"pve-sim ended early:\n{self.process.tail()}"
            return ready_file.exists()

        until("pve-sim is ready", ready, 20)
        facts = json.loads(ready_file.read_text())
        self.url: str = facts["url"]
        self.control_url: str = facts["control_url"]
        self.ca_pem: str = facts["ca_pem"]
        self.fingerprint: str = facts["fingerprint"]
        self.token: str = facts["token"]
        self.root_token: str = facts["root_token"]
        self.pool: str = facts["pool"]
        self.templates: dict[str, int] = facts["templates"]
        self.guest_network: str | None = facts["guest_network"]
        self._control = httpx.Client(base_url=self.control_url, timeout=10, trust_env=False)

    def stop(self) -> None:
        self._control.close()
        self.process.stop(3)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._control.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    # What is

    def vms(self) -> list[Record]:
        """All guests but templates, as no token sees them."""
        return [vm for vm in self._call("GET", "/vms") if not vm["template"]]

    def vm(self, vmid: int) -> Record | None:
        return next((vm for vm in self.vms() if vm["vmid"] == vmid), None)

    def stamped(self, text: str = "decent-cloud.org/v1 ") -> list[Record]:
        """Guests whose notes hold a stamp with this text."""
        return [vm for vm in self.vms() if text in (vm["config"].get("description") or "")]

    def tasks(self) -> list[Record]:
        return self._call("GET", "/tasks")

    def guests(self) -> list[Record]:
        """The guests that can be reached; none unless it was started with `guests="netns"`."""
        return self._call("GET", "/guests")

    # What happened

    def mark(self) -> int:
        """The number of the newest request."""
        return self._call("GET", "/requests?since=18446744073709551615")["last"]

    def requests(self, since: int = 0, mutating: bool | None = None) -> list[Record]:
        wanted = "" if mutating is None else f"&mutating={str(mutating).lower()}"
        return self._call("GET", f"/requests?since={since}{wanted}")["requests"]

    def changes(self, since: int = 0, vmid: int | None = None) -> list[Record]:
        """Requests that asked for a change, of one guest where given (its clone included)."""
        asked = self.requests(since, mutating=True)
        return [entry for entry in asked if vmid is None or vmid in (entry["vmid"], entry["newid"])]

    # What shall go wrong

    def fault(self, act: object, **matcher: object) -> int:
        """Arms a fault: `act` happens to requests that fit `matcher`; once, or `count` times (0: always)."""
        return self.arm({"match": matcher, "act": act})

    def arm(self, rule: Record) -> int:
        """Arms a rule as the control port takes it."""
        return self._call("POST", "/faults", rule)["id"]

    def faults_met(self, fault: int) -> int:
        return next(rule["met"] for rule in self._call("GET", "/faults") if rule["id"] == fault)

    def was_met(self, faults: list[int]) -> bool:
        """Whether a request met one of these faults, as far as they are still armed."""
        return any(rule["met"] for rule in self._call("GET", "/faults") if rule["id"] in faults)

    def complaints(self) -> list[str]:
        """Acts of rules that could not be done."""
        return [text for rule in self._call("GET", "/faults") for text in rule["complaints"]]

    def clear_faults(self) -> None:
        self._call("DELETE", "/faults")

    def refuse_connections(self, on: bool = True) -> None:
        self._call("POST", "/refuse-connections", {"on": on})

    def quorum(self, on: bool) -> None:
        self._call("POST", "/quorum", {"on": on})

    def node_online(self, node: str, online: bool) -> None:
        self._call("POST", f"/nodes/{node}", {"online": online})

    def durations(self, **seconds: float) -> None:
        self._call("PUT", "/durations", seconds)

    # Foreign hands

    def put_vm(self, vmid: int, node: str = "pve1", **facts: object) -> Record:
        """Somebody else makes a guest."""
        return self._call("POST", "/vms", {"vmid": vmid, "node": node, **facts})

    def as_root(self, method: str, path: str, /, **params: object) -> Any:
        """A call of the API with root's token; what it answers."""
        return self._api(method, path, params, {"Authorization": f"PVEAPIToken={self.root_token}"})

    def _api(self, method: str, path: str, params: Record, headers: dict[str, str]) -> Any:
        trust = ssl.create_default_context(cadata=self.ca_pem)
        with httpx.Client(base_url=f"{self.url}/api2/json", verify=trust, timeout=10, trust_env=False) as client:
            answer = client.request(method, path, data=params, headers=headers)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()["data"]

    def clone_by_hand(self, newid: int, node: str = "pve1", **params: object) -> None:
        """An administrator who has logged in with a password clones our template."""
        admin = {"userid": "admin@pve", "password": "only-in-a-test"}
        self.as_root("POST", "/access/users", **admin)
        self.as_root("PUT", "/access/acl", path="/", users=admin["userid"], roles="Administrator")
        login = {"username": admin["userid"], "password": admin["password"]}
        ticket = self._api("POST", "/access/ticket", login, {})
        cookie = {"Cookie": f"PVEAuthCookie={ticket['ticket']}"}
        person = cookie | {"CSRFPreventionToken": ticket["CSRFPreventionToken"]}
        what = {"newid": newid, "name": "by-hand"} | params
        self._api("POST", f"/nodes/{node}/qemu/{self.templates[node]}/clone", what, person)

    def change_vm(self, vmid: int, **change: object) -> Record:
        return self._call("PATCH", f"/vms/{vmid}", change)

    def remove_vm(self, vmid: int) -> None:
        self._call("DELETE", f"/vms/{vmid}")

    def remove_template(self, vmid: int) -> None:
        self._call("DELETE", f"/templates/{vmid}")

    def revoke(self, privilege: str, path: str, who: str | None = None) -> None:
        """Takes a privilege from the token, or from `who`."""
        whose = {"who": who} if who else {}
        self._call("POST", "/privileges/revoke", {"path": path, "privilege": privilege} | whose)

    def restore(self, privilege: str, path: str) -> None:
        self._call("POST", "/privileges/restore", {"path": path, "privilege": privilege})

    def see_all(self) -> None:
        """Lets the token read everybody's guests, as the provider was told not to."""
        token = self.token.split("=", 1)[0]
        for who in (token.split("!", 1)[0], token):
            self._call("POST", "/privileges/restore", {"path": "/", "privilege": "VM.Audit", "who": who})

    def new_secret(self) -> str:
        """Replaces the token's secret; gives the new token."""
        name = self.token.split("=", 1)[0]
        return self._call("POST", f"/tokens/{name}/secret", {})["token"]

    def firewall(self, on: bool) -> None:
        self._call("PUT", "/firewall", {"enable": on})
