"""The API server as a person with all rights sees it. Thin: plain dicts in and out, errors with field paths."""

from __future__ import annotations

import base64
import copy
import json
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from kubernetes import config

from .settings import GROUP, VERSION

Object = dict[str, Any]
MANAGER = "decent-e2e"
CLUSTER_WIDE = {"accounts"}
KINDS = {
    "Account": "accounts",
    "Provider": "providers",
    "Offering": "offerings",
    "Pool": "pools",
    "Gateway": "gateways",
    "Slot": "slots",
    "Machine": "machines",
    "Contract": "contracts",
}


@dataclass
class Refused(Exception):
    """The API server's refusal: the code, its sentence, and the fields it names."""

    code: int
    message: str
    fields: list[str]

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def refusal(answer: httpx.Response) -> Refused:
    try:
        body = answer.json()
    except ValueError:
        body = {"message": answer.text}
    causes = (body.get("details") or {}).get("causes") or []
    return Refused(answer.status_code, body.get("message", ""), [cause.get("field", "") for cause in causes])


def connect(kubeconfig: Path, known: bool = True) -> httpx.Client:
    """A client with the kubeconfig's trust, and its credentials if `known`."""
    found = config.new_client_from_config(str(kubeconfig)).configuration
    trust = ssl.create_default_context(cafile=found.ssl_ca_cert)
    headers = {"User-Agent": MANAGER, "Accept": "application/json"}
    if known and found.cert_file:
        trust.load_cert_chain(found.cert_file, found.key_file)
    if known and (token := found.get_api_key_with_prefix("authorization")):
        headers["Authorization"] = token
    return httpx.Client(base_url=found.host, verify=trust, headers=headers, timeout=20, trust_env=False)


class Cluster:
    """One API server, one user."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.http = connect(kubeconfig)
        self.stranger = connect(kubeconfig, known=False)
        self.persona: list[tuple[str, str]] = []

    @property
    def trust(self) -> tuple[str, str]:
        """The address, and the certificates that it is trusted by as kubeconfigs carry them."""
        known = config.new_client_from_config(str(self.kubeconfig)).configuration
        return known.host, base64.b64encode(Path(known.ssl_ca_cert).read_bytes()).decode()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()
        self.stranger.close()

    def acting_as(self, namespace: str, account: str) -> Cluster:
        """The same API server as a ServiceAccount sees it: its rights decide."""
        user = f"system:serviceaccount:{namespace}:{account}"
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        other = copy.copy(self)
        other.persona = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
        return other

    def bearing(self, token: str) -> Cluster:
        """The same API server for the bearer of a token: nothing else vouches for him."""
        other = copy.copy(self)
        other.http = self.stranger
        other.persona = [("Authorization", f"Bearer {token}")]
        return other

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: dict[str, str] | None = None,
        media: str = "application/json",
    ) -> Any:
        """One call; a refusal becomes `Refused`."""
        content = None if body is None else json.dumps(body)
        headers = [("Content-Type", media), *self.persona]
        answer = self.http.request(method, path, content=content, params=query, headers=headers)
        if answer.status_code >= 400:
            raise refusal(answer)
        return answer.json()

    # Our kinds

    @staticmethod
    def path(plural: str, namespace: str | None = None, name: str | None = None, sub: str | None = None) -> str:
        parts = [f"/apis/{GROUP}/{VERSION}"]
        if namespace is not None and plural not in CLUSTER_WIDE:
            parts.append(f"namespaces/{namespace}")
        parts.append(plural)
        parts += [part for part in (name, sub) if part]
        return "/".join(parts)

    def get(self, plural: str, namespace: str | None, name: str) -> Object | None:
        try:
            return self.call("GET", self.path(plural, namespace, name))
        except Refused as error:
            if error.code == 404:
                return None
            raise

    def list(self, plural: str, namespace: str | None = None) -> list[Object]:
        return self.call("GET", self.path(plural, namespace))["items"]

    def create(self, obj: Object, dry_run: bool = False) -> Object:
        """Creates an object of our kinds; unknown fields are refused, as kubectl does."""
        plural, meta = KINDS[obj["kind"]], obj["metadata"]
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self.call("POST", self.path(plural, meta.get("namespace")), obj, query)

    def apply(self, obj: Object, manager: str = MANAGER) -> Object:
        """Server-side apply, as `kubectl apply --server-side` does it."""
        plural, meta = KINDS[obj["kind"]], obj["metadata"]
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        path = self.path(plural, meta.get("namespace"), meta["name"])
        return self.call("PATCH", path, obj, query, "application/apply-patch+yaml")

    def patch(self, plural: str, namespace: str | None, name: str, change: Object, sub: str | None = None) -> Object:
        """Merge patch."""
        path = self.path(plural, namespace, name, sub)
        return self.call("PATCH", path, change, {"fieldManager": MANAGER}, "application/merge-patch+json")

    def delete(self, plural: str, namespace: str | None, name: str) -> None:
        try:
            self.call("DELETE", self.path(plural, namespace, name))
        except Refused as error:
            if error.code != 404:
                raise

    # Core kinds

    def core_get(self, kind: str, namespace: str, name: str) -> Object | None:
        try:
            return self.call("GET", f"/api/v1/namespaces/{namespace}/{kind}/{name}")
        except Refused as error:
            if error.code == 404:
                return None
            raise

    def namespace(self, name: str) -> Object | None:
        try:
            return self.call("GET", f"/api/v1/namespaces/{name}")
        except Refused as error:
            if error.code == 404:
                return None
            raise

    def ensure_namespace(self, name: str) -> None:
        try:
            self.call(
                "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
        except Refused as error:
            if error.code != 409:
                raise

    def delete_namespace(self, name: str) -> None:
        try:
            self.call("DELETE", f"/api/v1/namespaces/{name}")
        except Refused as error:
            if error.code not in (404, 409):
                raise

    def put_secret(self, namespace: str, name: str, data: dict[str, str]) -> None:
        """Creates or replaces a Secret, whole."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}
        path = f"/api/v1/namespaces/{namespace}/secrets"
        try:
            self.call("POST", path, secret)
        except Refused as error:
            if error.code != 409:
                raise
            self.call("PUT", f"{path}/{name}", secret)

    def delete_secret(self, namespace: str, name: str) -> None:
        try:
            self.call("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        except Refused as error:
            if error.code != 404:
                raise

    def events(self, namespace: str) -> list[Object]:
        return self.call("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]

    def hub_uid(self) -> str:
        """What every stamp begins with."""
        found = self.namespace("kube-system")
        assert found
        return found["metadata"]["uid"]


def condition(obj: Object | None, kind: str) -> Object:
    """A condition of an object; an empty one if it isn't there."""
    conditions = ((obj or {}).get("status") or {}).get("conditions") or []
    return next((found for found in conditions if found["type"] == kind), {})


def holds(obj: Object | None, kind: str) -> bool:
    return condition(obj, kind).get("status") == "True"


def version(obj: Object) -> str:
    """Changes with every write."""
    return obj["metadata"]["resourceVersion"]


def moment(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text)
