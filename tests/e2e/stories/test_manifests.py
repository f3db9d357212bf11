"""Bad input at the door: each rule of each kind refuses at apply, naming the field and saying what is wrong."""

from __future__ import annotations

import pytest

from decent import objects
from decent.cluster import Cluster, Object, Refused

NS = "default"
UID = "0a1b2c3d-0000-4000-8000-000000000000"
KEY = objects.ssh_key("alice")
AT = "2026-01-01T00:00:00Z"

SLOT: Object = {
    "gateway": "ams1",
    "index": 0,
    "pool": "rack1",
    "vmid": 10000,
    "node": "pve1",
    "storage": "local",
    "templateVmid": 9000,
    "fullClone": False,
    "address": "10.64.0.10",
    "machineRef": {"name": "m-1", "uid": UID},
    "contractUID": UID,
}
MACHINE: Object = {
    "contractRef": {"namespace": "tenant-alice", "name": "web", "uid": UID},
    "hubUID": UID,
    "offering": {
        "name": "small",
        "resources": {"cpu": 1, "memory": "1Gi", "disk": "4Gi"},
        "template": {"name": "debian-13"},
        "pools": ["rack1"],
        "user": "root",
    },
    "sshKeys": [KEY],
}


def sample(kind: str) -> Object:
    """A manifest of the kind that nobody can object to."""
    match kind:
        case "Account":
            return objects.account("e2e-sample", publicKeys=[{"key": "0a" * 32, "label": "laptop"}])
        case "Provider":
            return objects.provider(NS)
        case "Offering":
            return objects.offering(NS)
        case "Pool":
            return objects.pool(NS)
        case "Gateway":
            return objects.gateway(NS, dcId="ams1")
        case "Slot":
            return objects.build("Slot", NS, "ams1-0", SLOT)
        case "Machine":
            return objects.build("Machine", NS, "m-1", MACHINE)
        case _:
            return objects.contract(NS)


KINDS = ["Account", "Provider", "Offering", "Pool", "Gateway", "Slot", "Machine", "Contract"]
NODE_RULES = {"name": "pve1", "storage": "7up"}
TWICE = [{"name": "pve1"}, {"name": "pve1"}]

# kind, what is changed in the spec, the field that the refusal names, a part of its sentence
REFUSED: list[tuple[str, Object, str, str]] = [
    ("Account", {"publicKeys": [{"key": "xyz"}]}, "spec.publicKeys[0].key", "64 lower-case hex digits"),
    ("Account", {"publicKeys": [{"key": f"{n:064x}"} for n in range(17)]}, "spec.publicKeys", "at most 16"),
    ("Account", {"namespace": "Tenant"}, "spec.namespace", "must be a DNS label"),
    ("Account", {"namespace": "kube-system"}, "spec.namespace", "must not be a namespace of Kubernetes itself"),
    ("Account", {"namespace": None}, "spec.namespace", "Required value"),
    ("Account", {"username": "-x"}, "spec.username", "must start with a letter or digit"),
    ("Account", {"contact": "a\nb"}, "spec.contact", "must be one line"),
    ("Account", {"limits": {"contracts": -1}}, "spec.limits.contracts", "must be 0 to 10000"),
    ("Account", {"provider": {"namespace": "a.b"}}, "spec.provider.namespace", "must be a DNS label"),
    ("Provider", {"operator": "Nobody"}, "spec.operator", 'supported values: "Hub", "Own"'),
    ("Provider", {"displayName": "x" * 257}, "spec.displayName", "256"),
    (
        "Provider",
        {"autoAccept": {"enabled": True, "rules": [{"offering": "small", "minHours": 0}]}},
        "spec.autoAccept.rules[0].minHours",
        "must be 1 to 87600 hours",
    ),
    (
        "Provider",
        {"autoAccept": {"enabled": True, "rules": [{"offering": "small", "minHours": 9, "maxHours": 8}]}},
        "spec.autoAccept.rules[0]",
        "minHours must not be above maxHours",
    ),
    ("Offering", {"price": {"monthly": "-1"}}, "spec.price.monthly", "must be a decimal"),
    ("Offering", {"price": {"monthly": "1.1234567890"}}, "spec.price.monthly", "9 fractional digits"),
    ("Offering", {"price": {"monthly": "1e3"}}, "spec.price.monthly", "must be a decimal"),
    ("Offering", {"price": {"currency": "usd"}}, "spec.price.currency", "three capital letters"),
    ("Offering", {"price": {"setupFee": "5"}}, "spec.price.setupFee", "not billed yet"),
    ("Offering", {"resources": {"cpu": 0}}, "spec.resources.cpu", "1 to 512 processors"),
    ("Offering", {"resources": {"memory": "8Mi"}}, "spec.resources.memory", "at least 16Mi"),
    ("Offering", {"resources": {"memory": "1.5Gi"}}, "spec.resources.memory", "without a fraction"),
    ("Offering", {"resources": {"memory": "33554433"}}, "spec.resources.memory", "whole MiB"),
    ("Offering", {"resources": {"disk": "1500Mi"}}, "spec.resources.disk", "whole GiB"),
    ("Offering", {"resources": {"disk": "plenty"}}, "spec.resources.disk", "must be a quantity"),
    ("Offering", {"pools": []}, "spec.pools", "at least 1"),
    ("Offering", {"pools": ["rack1", "rack1"]}, "spec.pools[1]", "Duplicate value"),
    ("Offering", {"hours": {"min": 10, "max": 5}}, "spec.hours", "min must not be above max"),
    ("Offering", {"hours": {"min": 1, "max": 90000}}, "spec.hours.max", "1 to 87600 hours"),
    ("Offering", {"user": "Root"}, "spec.user", "must be a login name"),
    ("Offering", {"visibility": "Secret"}, "spec.visibility", "Unsupported value"),
    ("Offering", {"template": {"name": "Debian 13"}}, "spec.template.name", "must be an object name"),
    ("Offering", {"description": "  "}, "spec.description", "must not be blank"),
    ("Pool", {"proxmox": {"endpoints": ["http://pve1:8006"]}}, "spec.proxmox.endpoints[0]", "must be an https address"),
    ("Pool", {"proxmox": {"endpoints": []}}, "spec.proxmox.endpoints", "at least 1"),
    ("Pool", {"proxmox": {"fingerprint": "AB:CD"}}, "spec.proxmox.fingerprint", "SHA-256 fingerprint"),
    ("Pool", {"proxmox": {"fingerprint": None}}, "spec.proxmox", "exactly one of caBundle and fingerprint"),
    (
        "Pool",
        {"proxmox": {"caBundle": "-----BEGIN CERTIFICATE-----"}},
        "spec.proxmox",
        "exactly one of caBundle and fingerprint",
    ),
    (
        "Pool",
        {"proxmox": {"caBundle": "no PEM", "fingerprint": None}},
        "spec.proxmox.caBundle",
        "at least one certificate in PEM",
    ),
    ("Pool", {"proxmox": {"pool": "1st"}}, "spec.proxmox.pool", "must be a Proxmox identifier"),
    ("Pool", {"nodes": []}, "spec.nodes", "at least 1"),
    ("Pool", {"nodes": TWICE}, "spec.nodes[1]", "Duplicate value"),
    ("Pool", {"nodes": [NODE_RULES]}, "spec.nodes[0].storage", "must be a Proxmox identifier"),
    ("Pool", {"vlan": 4095}, "spec.vlan", "must be 1 to 4094"),
    ("Pool", {"vmidBase": 99}, "spec.vmidBase", "must be 100 to 999900000"),
    ("Pool", {"cloneMode": "Magic"}, "spec.cloneMode", "Unsupported value"),
    (
        "Pool",
        {"templates": [{"name": "debian-13", "vmids": [{"node": "pve1", "vmid": 7}]}]},
        "spec.templates[0].vmids[0].vmid",
        "must be 100 to 999999999",
    ),
    ("Pool", {"overcommit": {"cpu": "0.5"}}, "spec.overcommit.cpu", "must be a number from 1"),
    ("Pool", {"reserve": {"memory": "-1Gi"}}, "spec.reserve.memory", "0 or more"),
    ("Pool", {"limits": {"clonesPerNode": 0}}, "spec.limits.clonesPerNode", "must be 1 to 16"),
    ("Pool", {"gatewayRef": None}, "spec.gatewayRef", "Required value"),
    ("Gateway", {"dcId": "AMS"}, "spec.dcId", "must be a DNS label"),
    ("Gateway", {"domain": "example..org"}, "spec.domain", "lower-case domain name"),
    ("Gateway", {"publicIPs": ["::1"]}, "spec.publicIPs[0]", "must be an IPv4 address"),
    ("Gateway", {"ports": {"first": 20000, "last": 20005}}, "spec.ports", "at least ten ports"),
    ("Gateway", {"ports": {"first": 80}}, "spec.ports.first", "1024 to 65535"),
    ("Gateway", {"network": {"cidr": "10.64.0.1/16"}}, "spec.network.cidr", "without host bits"),
    ("Gateway", {"network": {"cidr": "10.64.0.0/30"}}, "spec.network.cidr", "between /8 and /28"),
    ("Gateway", {"network": {"gateway": "10.65.0.1"}}, "spec.network.gateway", "must be an address of cidr"),
    ("Gateway", {"network": {"nameservers": []}}, "spec.network.nameservers", "at least 1"),
    (
        "Gateway",
        {"tls": {"acme": {"directory": "http://ca", "email": "a@b"}}},
        "spec.tls.acme.directory",
        "must be an https address",
    ),
    ("Slot", {"index": 1}, "metadata.name", "metadata.name must be <gateway>-<index>"),
    ("Slot", {"vmid": 5}, "spec.vmid", "must be 100 to 999999999"),
    ("Slot", {"contractUID": "x"}, "spec.contractUID", "must be a UID"),
    ("Machine", {"hubUID": "x"}, "spec.hubUID", "must be a UID"),
    ("Machine", {"sshKeys": []}, "spec.sshKeys", "at least 1"),
    (
        "Machine",
        {"teardown": {"cause": "Boredom", "at": AT, "by": "me"}},
        "spec.teardown.cause",
        "Unsupported value",
    ),
    ("Contract", {"sshKeys": []}, "spec.sshKeys", "at least 1"),
    ("Contract", {"sshKeys": [KEY] * 9}, "spec.sshKeys", "at most 8"),
    ("Contract", {"sshKeys": [KEY, "ssh-rsa"]}, "spec.sshKeys[1]", "not an OpenSSH public key"),
    ("Contract", {"sshKeys": [f'command="id" {KEY}']}, "spec.sshKeys[0]", "not an OpenSSH public key"),
    ("Contract", {"sshKeys": [f"{KEY}\n{KEY}"]}, "spec.sshKeys[0]", "on one line"),
    ("Contract", {"durationHours": 0}, "spec.durationHours", "must be 1 to 87600 hours"),
    ("Contract", {"durationHours": "long"}, "spec.durationHours", "must be of type integer"),
    ("Contract", {"extendHours": [0]}, "spec.extendHours[0]", "greater than or equal to 1"),
    ("Contract", {"offeringRef": {"namespace": "A/B"}}, "spec.offeringRef.namespace", "must be a DNS label"),
    ("Contract", {"offeringRef": {"name": None}}, "spec.offeringRef.name", "Required value"),
    ("Contract", {"payment": {"method": "Barter"}}, "spec.payment.method", 'supported values: "Free", "Test"'),
    ("Contract", {"powerState": "Paused"}, "spec.powerState", 'supported values: "Running", "Stopped"'),
    ("Contract", {"memo": ""}, "spec.memo", "at least 1 chars"),
    ("Contract", {"cancel": {"reason": "a\nb"}}, "spec.cancel.reason", "must be one line"),
]


def refused(cluster: Cluster, manifest: Object) -> Refused:
    with pytest.raises(Refused) as caught:
        cluster.create(manifest, dry_run=True)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_manifest_is_taken(cluster: Cluster, kind: str) -> None:
    cluster.create(sample(kind), dry_run=True)


@pytest.mark.parametrize(
    ("kind", "change", "path", "says"), REFUSED, ids=[f"{row[0]}-{row[2]}-{n}" for n, row in enumerate(REFUSED)]
)
def test_a_bad_field_is_refused_by_path_and_sentence(
    cluster: Cluster, kind: str, change: Object, path: str, says: str
) -> None:
    manifest = sample(kind)
    manifest["spec"] = objects.merged(manifest["spec"], change)
    error = refused(cluster, manifest)
    assert error.code == 422, error
    assert says in error.message, error
    assert path in error.fields, (path, error.fields, error.message)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_field_is_refused(cluster: Cluster, kind: str) -> None:
    manifest = sample(kind)
    manifest["spec"]["colour"] = "red"
    error = refused(cluster, manifest)
    assert error.code == 400, error
    assert 'unknown field "spec.colour"' in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_without_spec_is_refused(cluster: Cluster, kind: str) -> None:
    manifest = sample(kind)
    del manifest["spec"]
    error = refused(cluster, manifest)
    assert error.code == 422, error
    assert "spec" in error.fields, error


def test_a_provider_has_one_name(cluster: Cluster) -> None:
    manifest = sample("Provider")
    manifest["metadata"]["name"] = "second"
    error = refused(cluster, manifest)
    assert error.fields == ["metadata.name"]
    assert "must be 'provider'" in error.message


def test_a_gateway_name_fits_into_the_names_of_slots(cluster: Cluster) -> None:
    manifest = sample("Gateway")
    manifest["metadata"]["name"] = "ams.1"
    error = refused(cluster, manifest)
    assert error.fields == ["metadata.name"]
    assert "at most 40 characters without '.'" in error.message
