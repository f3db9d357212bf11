"""Sites by name: the gateway controller as a process, providers with a Gateway each, and their hosts' credentials."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import objects
from .cloudflare import MARKET, Cloudflare, Zone
from .cluster import Cluster, Object, condition
from .service import Service
from .settings import binary
from .wait import TIMEOUT, until

# Small, so that stories are short; nothing depends on their exact length.
INTERVALS = {"dns-retry": "1s", "drain": "5s", "lease-duration": "120s", "lease-renew": "5s"}
HUB = "gateway-controller-hub"


def zones_file(folder: Path, cloudflare: Cloudflare) -> Path:
    """The controller's zones: the market's one, at this Cloudflare."""
    folder.mkdir(parents=True, exist_ok=True)
    token = folder / "market.token"
    token.write_text(cloudflare.token)
    market = {"name": MARKET, "id": cloudflare.zones[MARKET], "tokenFile": str(token), "servers": cloudflare.servers}
    found = {
        "cloudflare": {"endpoint": cloudflare.url},
        "resolver": cloudflare.resolver,
        "serverPort": int(cloudflare.servers[0].rpartition(":")[2]),
        "zones": [market],
    }
    path = folder / "zones.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(found))
    return path


class GatewayController(Service):
    """One running gateway controller."""

    def __init__(
        self, kubeconfig: Path, folder: Path, cloudflare: Cloudflare, replica: str = "one", **options: str
    ) -> None:
        settings = INTERVALS | {name.replace("_", "-"): value for name, value in options.items()}
        zones = zones_file(folder / f"zones-{replica}", cloudflare)
        args = [str(binary("gateway-controller")), "--zones", str(zones), "--kubeconfig", str(kubeconfig)]
        args += ["--admin-address", "127.0.0.1:0", "--replica", replica]
        args += [word for name, value in settings.items() for word in (f"--{name}", value)]
        super().__init__("gateway controller", args, folder / f"gateway-controller-{replica}.log")


@dataclass
class Site:
    """A provider's namespace, its zone at Cloudflare, and its Gateways."""

    cluster: Cluster
    namespace: str
    zone: Zone
    own: bool = True

    @property
    def provider(self) -> Cluster:
        return self.cluster.acting_as(self.namespace, "provider")

    @property
    def dns(self) -> Object:
        """What a Gateway says about its zone."""
        found = {"domain": self.zone.name}
        if self.own:
            found["dns"] = {"cloudflare": {"zoneId": self.zone.id, "tokenSecretRef": {"name": "cloudflare"}}}
        return found

    def put_token(self, token: str | None = None) -> None:
        self.provider.put_secret(self.namespace, "cloudflare", {"token": token or self.zone.token})

    def gateway(self, name: str = "ams1", **spec: object) -> Gateway:
        """The provider applies a Gateway."""
        manifest = objects.gateway(self.namespace, name, **objects.merged(self.dns | {"dcId": name}, spec))
        self.provider.apply(manifest)
        return Gateway(self, name)

    def slot(self, gateway: Gateway, index: int) -> str:
        """A claim, as the operator makes it for a contract."""
        return claim(self.cluster, self.namespace, gateway.name, index)


def claim(cluster: Cluster, namespace: str, gateway: str, index: int) -> str:
    name = f"{gateway}-{index}"
    spec = {
        "gateway": gateway,
        "index": index,
        "pool": "rack1",
        "vmid": 10000 + index,
        "node": "pve1",
        "storage": "local",
        "templateVmid": 9000,
        "fullClone": False,
        "address": f"10.64.0.{10 + index}",
        "machineRef": {"name": f"m-{index}", "uid": str(uuid.uuid4())},
        "contractUID": str(uuid.uuid4()),
    }
    cluster.create(objects.build("Slot", namespace, name, spec))
    return name


@dataclass
class Gateway:
    """A Gateway and what hangs on it."""

    site: Site
    name: str

    @property
    def account(self) -> str:
        """Its agent's ServiceAccount, and the Secret that credentials are bound to."""
        return f"gateway-{self.name}"

    def find(self) -> Object | None:
        return self.site.cluster.get("gateways", self.site.namespace, self.name)

    def read(self) -> Object:
        found = self.find()
        assert found
        return found

    @property
    def status(self) -> Object:
        return self.read().get("status") or {}

    @property
    def fqdn(self) -> str:
        spec = self.read()["spec"]
        return f"{spec['dcId']}.{spec['prefix']}.{spec['domain']}"

    def said(self, kind: str = "DNSReady") -> Object:
        return condition(self.find(), kind)

    def until_says(self, reason: str, kind: str = "DNSReady", timeout: float = TIMEOUT) -> Object:
        """Until a condition has this reason; gives the condition."""

        def seen() -> Object | None:
            found = self.said(kind)
            return found if found.get("reason") == reason else None

        return until(f"{kind} says {reason}", seen, timeout, lambda: self.said(kind))

    def until_published(self) -> Gateway:
        found = self.until_says("Published")
        assert found["status"] == "True"
        return self

    def patch(self, **spec: object) -> None:
        self.site.provider.patch("gateways", self.site.namespace, self.name, {"spec": spec})

    def annotate(self, **notes: str) -> None:
        change = {"metadata": {"annotations": {f"decent-cloud.org/{key}": text for key, text in notes.items()}}}
        self.site.provider.patch("gateways", self.site.namespace, self.name, change)

    def delete(self) -> None:
        self.site.provider.delete("gateways", self.site.namespace, self.name)

    def until_gone(self) -> None:
        until("the Gateway is gone", lambda: self.find() is None, seen=lambda: self.said("Ready"))

    # Its records

    def addresses(self) -> list[Object]:
        return self.site.zone.records(name=f"*.{self.fqdn}", type="A")

    @property
    def challenge_name(self) -> str:
        return f"_acme-challenge.{self.fqdn}"

    # Its agent

    def identity(self) -> str:
        """UID of the Secret that credentials are bound to."""

        def found() -> str | None:
            secret = self.site.cluster.core_get("secrets", self.site.namespace, self.account)
            return secret["metadata"]["uid"] if secret else None

        return until("its identity is made", found)

    def enrolment_secret(self, name: str = "enrol") -> Object:
        """A Secret whose tokens may enrol a host, as `dcctl gateway token` makes it."""
        labels = {"decent-cloud.org/enrols": self.name}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}}
        return self.site.provider.call("POST", f"/api/v1/namespaces/{self.site.namespace}/secrets", secret)

    def token(self, bound: Object | None = None) -> Cluster:
        """The API server with a token of the agent's, bound to a Secret: its identity if none is given."""
        metadata = bound["metadata"] if bound else {"name": self.account, "uid": self.identity()}
        reference = {"apiVersion": "v1", "kind": "Secret", "name": metadata["name"], "uid": metadata["uid"]}
        body = {"spec": {"audiences": [], "expirationSeconds": 3600, "boundObjectRef": reference}}
        path = f"/api/v1/namespaces/{self.site.namespace}/serviceaccounts/{self.account}/token"

        def drawn() -> str:
            asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"} | body
            return self.site.provider.call("POST", path, asked)["status"]["token"]

        return self.site.cluster.bearing(drawn())

    def enrol(self, hub: Cluster, host: str | None = None) -> Object:
        """A host says that it serves this Gateway; gives its enrolment."""
        enrolment = {"host": host or str(uuid.uuid4()), "identity": self.identity()}
        self.says(hub, enrolment=enrolment)
        return enrolment

    def says(self, hub: Cluster, **agent: Any) -> None:
        """What the agent says of itself."""
        hub.patch("gateways", self.site.namespace, self.name, {"status": {"agent": agent}}, "status")

    def enrolled(self) -> Cluster:
        """A host that has enrolled: the API server with its token."""
        self.identity()
        hub = self.token()
        self.enrol(hub)
        return hub

    def published(self) -> set[str]:
        """Values of the challenge that are confirmed."""
        return set(self.status.get("challengesPublished") or [])
