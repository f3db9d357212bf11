"""Builders of manifests: a story states only what matters to it."""

from __future__ import annotations

import base64
import copy
import hashlib
from typing import Any

from .settings import GROUP, VERSION

Object = dict[str, Any]


def ssh_key(seed: str, comment: str | None = None) -> str:
    """A well-formed Ed25519 public key; the same for the same seed."""
    point = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + hashlib.sha256(seed.encode()).digest()
    return f"ssh-ed25519 {base64.b64encode(point).decode()} {comment or seed}"


def merged(base: Object, change: Object) -> Object:
    """A copy with a change, as a merge patch does it: None removes, lists are replaced."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def build(kind: str, namespace: str | None, name: str, spec: Object) -> Object:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": meta, "spec": spec}


def account(name: str, **spec: object) -> Object:
    return build("Account", None, name, merged({"namespace": f"tenant-{name}"}, spec))


def provider(namespace: str, **spec: object) -> Object:
    return build("Provider", namespace, "provider", merged({"displayName": "Acme", "location": "ams"}, spec))


def offering(namespace: str, name: str = "small", **spec: object) -> Object:
    base = {
        "visibility": "Public",
        "price": {"monthly": "0", "currency": "USD"},
        "resources": {"cpu": 2, "memory": "2Gi", "disk": "10Gi"},
        "template": {"name": "debian-13"},
        "pools": ["rack1"],
        "hours": {"min": 1, "max": 87600},
    }
    return build("Offering", namespace, name, merged(base, spec))


def gateway(namespace: str, name: str = "ams1", **spec: object) -> Object:
    base = {
        "dcId": namespace[-16:].strip("-"),
        "domain": "example.org",
        "publicIPs": ["192.0.2.10"],
        "network": {"cidr": "10.64.0.0/16", "gateway": "10.64.0.1", "nameservers": ["192.0.2.53", "192.0.2.54"]},
    }
    return build("Gateway", namespace, name, merged(base, spec))


def pool(namespace: str, name: str = "rack1", **spec: object) -> Object:
    base = {
        "proxmox": {
            "endpoints": ["https://127.0.0.1:8006"],
            "tokenSecretRef": {"name": "proxmox"},
            "fingerprint": ":".join(["A1"] * 32),
            "pool": "decent",
        },
        "nodes": [{"name": "pve1"}],
        "storage": "local",
        "templates": [{"name": "debian-13", "vmids": [{"node": "pve1", "vmid": 9000}]}],
        "bridge": "vmbr1",
        "vmidBase": 10000,
        "gatewayRef": {"name": "ams1"},
    }
    return build("Pool", namespace, name, merged(base, spec))


def contract(namespace: str, name: str = "web", offering: str = "acme/small", **spec: object) -> Object:
    base = {
        "offeringRef": dict(zip(("namespace", "name"), offering.split("/"), strict=True)),
        "sshKeys": [ssh_key(f"{namespace}/{name}")],
        "durationHours": 87600,
    }
    return build("Contract", namespace, name, merged(base, spec))
