"""The simulated Cloudflare: zones and tokens of a story's own, the records as they are, the request log, faults."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .process import Process
from .settings import binary
from .wait import until

Record = dict[str, Any]
RECORDS = "/zones/{zone}/dns_records"
RECORD = "/zones/{zone}/dns_records/{record}"
ALL = ["zone:read", "dns:read", "dns:edit"]
# What the market's sites are named below.
MARKET = "market.example"


class Cloudflare:
    """A cf-sim that runs somewhere: what its ready file tells."""

    def __init__(self, ready_file: Path) -> None:
        facts = json.loads(ready_file.read_text())
        self.url: str = facts["url"]
        self.token: str = facts["token"]
        self.zones: dict[str, str] = facts["zones"]
        self.resolver: str = facts["resolver"]
        self.servers: list[str] = facts["name_servers"]
        self._control = httpx.Client(base_url=facts["control_url"], timeout=10, trust_env=False)

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._control.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def zone(self, name: str) -> Zone:
        """A new zone with a token of another user than anybody else's."""
        zone = self.call("POST", "/zones", {"name": name})
        token = self.call("POST", "/tokens", {"user": name, "scopes": [{"zone": name, "rights": ALL}]})
        return Zone(self, name, zone["id"], token["token"], token["id"])

    def market(self) -> Zone:
        """The market's zone; its token is nobody's here."""
        return Zone(self, MARKET, self.zones[MARKET], self.token, "")

    def refuse_connections(self, on: bool = True) -> None:
        self.call("POST", "/refuse-connections", {"on": on})

    def dns(self, **change: object) -> None:
        """How the authoritative servers behave; `server` 1 or 2, or both."""
        self.call("PUT", "/dns", change)

    def close(self) -> None:
        self._control.close()


class CfSim(Cloudflare):
    """A cf-sim of ours."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        ready_file = folder / "ready.json"
        args = [str(binary("cf-sim")), "--zone", MARKET, "--ready-file", str(ready_file), "--dir", str(folder)]
        self.process = Process(args, folder / "cf-sim.log")

        def ready() -> bool:
            assert self.process.exit_code() is None, f"cf-sim ended early:\n{self.process.tail()}"
            return ready_file.exists()

        until("cf-sim is ready", ready, 20)
        super().__init__(ready_file)

    def stop(self) -> int:
        self.close()
        return self.process.stop(3)


@dataclass
class Zone:
    """A zone at Cloudflare, and the token that a provider has for it."""

    cloudflare: Cloudflare
    name: str
    id: str
    token: str
    token_id: str

    # What is

    def records(self, **fields: str) -> list[Record]:
        """As no token sees them."""
        found = self.cloudflare.call("GET", f"/zones/{self.id}/records")
        return [record for record in found if all(record[key] == value for key, value in fields.items())]

    def texts(self, name: str) -> set[str]:
        """Values of the TXT records of a name."""
        return {record["content"].strip('"') for record in self.records(name=name, type="TXT")}

    # What happened

    def mark(self) -> int:
        """The number of the newest request, of whomever."""
        return self.cloudflare.call("GET", "/requests?since=18446744073709551615")["last"]

    def calls(self, since: int = 0, mutating: bool | None = None) -> list[Record]:
        wanted = "" if mutating is None else f"&mutating={str(mutating).lower()}"
        found = self.cloudflare.call("GET", f"/requests?since={since}{wanted}")["requests"]
        return [entry for entry in found if f"/zones/{self.id}" in entry["path"]]

    # What shall go wrong

    def fault(self, act: object, **matcher: object) -> int:
        """Arms a fault for calls about this zone; once, or `count` times (0: always)."""
        return self.cloudflare.call("POST", "/faults", {"match": {"zone": self.name} | matcher, "act": act})["id"]

    def faults_met(self, fault: int) -> int:
        return next(rule["met"] for rule in self.cloudflare.call("GET", "/faults") if rule["id"] == fault)

    def mend(self, fault: int) -> None:
        self.cloudflare.call("DELETE", f"/faults/{fault}")

    def rights(self, *rights: str) -> None:
        """What its token may do."""
        scopes = [{"zone": self.name, "rights": rights}]
        self.cloudflare.call("PATCH", f"/tokens/{self.token_id}", {"scopes": scopes})

    def revoke(self) -> None:
        """Its token no longer holds."""
        self.cloudflare.call("PATCH", f"/tokens/{self.token_id}", {"status": "disabled"})

    def restore(self) -> None:
        self.cloudflare.call("PATCH", f"/tokens/{self.token_id}", {"status": "active"})

    # Foreign hands

    def foreign(self, kind: str, name: str, content: str, **fields: object) -> Record:
        """Somebody else makes a record."""
        body = {"type": kind, "name": name, "content": content, "ttl": 300} | fields
        return self.cloudflare.call("POST", f"/zones/{self.id}/records", body)

    def remove(self, record: Record) -> None:
        self.cloudflare.call("DELETE", f"/zones/{self.id}/records/{record['id']}")

    def vanish(self) -> None:
        """The zone is gone."""
        self.cloudflare.call("DELETE", f"/zones/{self.id}")
