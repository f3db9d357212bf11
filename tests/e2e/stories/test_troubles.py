"""Proxmox as it fails: each trouble shows its reason, who must act and what to do; and it goes on by itself after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from decent.cluster import condition, moment
from decent.contract import Contract, phase
from decent.market import Market
from decent.simulator import CLONE, CONFIG, START
from decent.site import Site
from decent.wait import steady, until

SECOND = timedelta(seconds=1)
pytestmark = pytest.mark.faultless("each story here is about a trouble of its own, and counts how often it was met")


def waits(contract: Contract, reason: str, actor: str) -> dict:
    """The contract shows this trouble: who acts, until when, what next; the sentence is the Ready condition's."""
    waiting = contract.until_reason(reason)
    assert waiting["actor"] == actor
    assert moment(waiting["deadline"]) > moment(waiting["since"])
    assert waiting["nextStep"]
    said = contract.condition("Ready")
    assert (said["status"], said["reason"]) == ("False", reason)
    return {"message": said["message"], **waiting}


def test_proxmox_down_at_create_and_back_later(market: Market) -> None:
    site = market.site()
    site.sim.refuse_connections()
    said = site.until_pool("ProxmoxUnreachable")
    host = site.sim.url.removeprefix("https://")
    assert host in said["message"]
    assert "Running machines are not touched" in said["message"]
    contract = market.tenant().rent(site)
    shown = waits(contract, "ProxmoxUnreachable", "Market")
    assert host in shown["message"]
    site.sim.refuse_connections(False)
    contract.until_holds("Provisioned")
    assert len(site.sim.vms()) == 1


def test_proxmox_down_while_a_machine_runs_changes_nothing(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    site.sim.refuse_connections()
    site.until_pool("ProxmoxUnreachable")
    steady("the contract stays Active", lambda: contract.state == "Active", 2)
    assert contract.slot(), "its Slot is kept"
    site.sim.refuse_connections(False)
    site.until_ready()
    assert contract.vm()["status"] == "running"
    assert [call for call in site.sim.changes() if call["method"] == "DELETE" and call["path"].count("/") == 4] == []


def test_a_wrong_token_is_told_to_the_provider(market: Market) -> None:
    site = market.site()
    good = site.sim.new_secret()
    said = site.until_pool("TokenRejected")
    assert "decent@pve!op" in said["message"]
    contract = market.tenant().rent(site)
    waits(contract, "TokenRejected", "Provider")
    site.provider.put_secret(site.namespace, "proxmox", {"token": good})
    contract.until_holds("Provisioned")


def test_the_tokens_secret_is_never_shown(market: Market, hub_log) -> None:
    site = market.site()
    secrets = [site.sim.token.split("=", 1)[1]]
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    secrets.append(site.sim.new_secret().split("=", 1)[1])
    site.until_pool("TokenRejected")
    shown = market.dump() + hub_log.read_text()
    assert site.namespace in shown
    assert [secret for secret in secrets if secret in shown] == []


@pytest.mark.parametrize(
    ("privilege", "path"),
    [
        ("Datastore.AllocateSpace", "/storage/local"),
        ("VM.Allocate", "/pool/decent"),
        ("VM.Clone", "/vms/9000"),
        ("SDN.Use", "/sdn/zones/localnetwork/vmbr1"),
        ("Sys.Audit", "/"),
    ],
)
def test_a_missing_privilege_shows_the_line_that_mends_it(market: Market, privilege: str, path: str) -> None:
    site = market.site()
    site.sim.revoke(privilege, path)
    said = site.until_pool("MissingPrivilege")
    assert privilege in said["message"]
    assert f"pveum acl modify {path} --tokens 'decent@pve!op'" in said["message"]
    contract = market.tenant().rent(site)
    shown = waits(contract, "MissingPrivilege", "Provider")
    assert "pveum acl modify" in shown["message"] + shown["nextStep"]
    assert site.sim.changes() == []
    site.sim.restore(privilege, path)
    contract.until_holds("Provisioned")


def test_a_wrong_fingerprint_is_told_and_nothing_is_sent(market: Market) -> None:
    pinned = ":".join(["A1"] * 32)
    site = market.site(ready=False, pool={"proxmox": {"caBundle": None, "fingerprint": pinned}})
    said = site.until_pool("CertificateMismatch")
    assert site.sim.fingerprint in said["message"]
    assert pinned in said["message"]
    waits(market.tenant().rent(site), "CertificateMismatch", "Provider")
    assert site.sim.requests() == [], "no token is shown to a stranger"
    site.patch("pools", "rack1", proxmox={"fingerprint": site.sim.fingerprint})
    site.until_ready()


def test_a_ca_of_somebody_else_is_told(market: Market) -> None:
    other = market.site(ready=False)
    site = market.site(ready=False, pool={"proxmox": {"caBundle": other.sim.ca_pem}})
    said = site.until_pool("CertificateMismatch")
    assert site.sim.fingerprint in said["message"]
    assert site.sim.requests() == []


def test_a_missing_template_names_the_node(market: Market) -> None:
    site = market.site()
    site.sim.remove_template(9000)
    said = site.until_pool("TemplateMissing")
    for word in ("debian-13", "9000", "pve1"):
        assert word in said["message"]
    waits(market.tenant().rent(site), "TemplateMissing", "Provider")


def test_a_template_missing_on_one_node_names_that_node(market: Market) -> None:
    site = market.site(nodes=2)
    site.sim.remove_template(9001)
    said = site.until_pool("TemplateMissing")
    assert "pve2" in said["message"]
    assert "pve1" not in said["message"]
    site.patch("pools", "rack1", nodes=[{"name": "pve1"}])
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    assert contract.vm()["node"] == "pve1"


def test_a_firewall_that_is_off_keeps_tenants_out_and_the_owner_in(market: Market) -> None:
    site = market.site()
    site.sim.firewall(False)
    said = site.until_pool("FirewallOff")
    assert "vmbr1" in said["message"]
    assert "networkIsolation: External" in said["message"]
    contract = market.tenant().rent(site)
    waits(contract, "FirewallOff", "Provider")
    own = market.owner(site).rent(site)
    own.until_holds("Provisioned")
    assert len(site.sim.vms()) == 1
    site.patch("pools", "rack1", networkIsolation="External")
    contract.until_holds("Provisioned")


def test_no_capacity_waits_in_order_of_arrival(market: Market) -> None:
    site = market.site(sim={"cores": 4, "memory": "8Gi"})
    wide = site.offer("wide", resources={"cpu": 4, "memory": "2Gi", "disk": "4Gi"})
    tenant = market.tenant()
    first = tenant.rent(site, "first", offering=wide)
    first.until_holds("Provisioned")
    second = tenant.rent(site, "second", offering=wide)
    shown = waits(second, "WaitingForCapacity", "Provider")
    assert "rack1" in shown["message"]
    assert "4 more processors" in shown["message"]
    created = moment(second.get()["metadata"]["creationTimestamp"])
    until("the next second, in which order of arrival can be told", lambda: datetime.now(UTC) - created >= SECOND)
    third = tenant.rent(site, "third", offering=wide)
    waits(third, "WaitingForCapacity", "Provider")
    until("positions are told", lambda: (second.waiting.get("position"), third.waiting.get("position")) == (1, 2))
    assert len(site.sim.vms()) == 1
    first.cancel()
    second.until_holds("Provisioned")
    assert third.machine()["status"]["waiting"]["reason"] == "WaitingForCapacity"


def test_a_machine_larger_than_any_node_says_what_is_short(market: Market) -> None:
    site = market.site(sim={"memory": "8Gi"})
    huge = site.offer("huge", resources={"cpu": 1, "memory": "16Gi", "disk": "4Gi"})
    shown = waits(market.tenant().rent(site, offering=huge), "WaitingForCapacity", "Provider")
    assert "more memory" in shown["message"]


def test_without_quorum_nothing_is_created_and_nothing_is_destroyed(market: Market) -> None:
    site = market.site(nodes=3)
    tenant = market.tenant()
    running = tenant.rent(site, "running")
    running.until_holds("Provisioned")
    site.sim.quorum(False)
    site.until_pool("NoQuorum")
    mark = site.sim.mark()
    running.cancel()
    waits(tenant.rent(site, "new"), "NoQuorum", "Provider")
    steady("no DELETE is sent", lambda: not [c for c in site.sim.changes(mark) if c["method"] == "DELETE"], 4)
    assert running.vms()
    site.sim.quorum(True)
    running.until_clean()


def test_refused_clones_keep_no_place_on_the_node(market: Market) -> None:
    site = market.site(pool={"limits": {"clonesPerNode": 2}})
    refused = site.sim.fault({"refuse": {"status": 500, "reason": "got timeout"}}, method="POST", path=CLONE, count=2)
    tenant = market.tenant()
    contracts = [tenant.rent(site, name) for name in ("one", "two", "three")]
    for contract in contracts:
        contract.until_holds("Provisioned")
    assert site.sim.faults_met(refused) == 2
    assert len(site.sim.vms()) == 3


def test_a_node_lost_while_cloning_is_left_for_another(market: Market) -> None:
    site = market.site(nodes=3, sim={"clone_seconds": 3})
    contract = market.tenant().rent(site)
    contract.until_reason("Cloning")
    first = contract.slot()
    lost = first["spec"]["node"]
    vmid = until("the clone bears its stamp", lambda: site.sim.stamped() or None)[0]["vmid"]
    site.sim.node_online(lost, False)
    contract.until_holds("Provisioned", timeout=90)
    assert contract.slot()["spec"]["node"] != lost
    left = next(slot for slot in contract.slots() if slot["metadata"]["uid"] == first["metadata"]["uid"])
    assert left["status"]["release"]["cause"] == "Superseded"
    site.sim.node_online(lost, True)
    # Its worker died with the node: root alone can take the lock away, and only the pool makes it visible.
    site.sim.change_vm(vmid, config={"lock": None}, pool=site.sim.pool)
    until("what was begun there is removed", lambda: lost not in [vm["node"] for vm in site.sim.vms()], 90)
    assert [vm["node"] for vm in site.sim.vms()] == [contract.slot()["spec"]["node"]]


def test_a_node_whose_clones_fail_at_once_is_left(market: Market) -> None:
    site = market.site(nodes=2)
    broken = {"fail_task": {"exitstatus": "clone failed: copy failed: exit code 1"}}
    site.sim.fault(broken, method="POST", path=CLONE, node="pve1", count=0)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned", timeout=90)
    assert contract.vm()["node"] == "pve2"


def test_a_machine_that_was_reached_is_never_placed_again(market: Market) -> None:
    site = market.site(nodes=3, agent=True)
    held = site.sim.fault({"delay": {"ms": 1500}}, method="POST", path=START)
    contract = market.tenant().rent(site)
    until("its start is asked for", lambda: site.sim.faults_met(held))
    current = "/nodes/{node}/qemu/{vmid}/status/current"
    site.sim.fault({"refuse": {"status": 596, "reason": "Connection timed out"}}, method="GET", path=current, count=0)
    contract.until_state("Active")
    first = contract.slot()
    site.sim.node_online(first["spec"]["node"], False)
    site.until_pool_warns("NodeOffline")
    uid = first["metadata"]["uid"]
    steady("it keeps its Slot", lambda: [slot["metadata"]["uid"] for slot in contract.slots()] == [uid], 8)
    assert phase(contract.slot()) == "Claimed"
    assert contract.state == "Active"


def test_a_teardown_that_fails_for_good_is_told(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    text = "Method 'DELETE /nodes/pve1/qemu/10000' not implemented"
    refused = {"refuse": {"status": 501, "reason": text}}
    site.sim.fault(refused, method="DELETE", path="/nodes/{node}/qemu/{vmid}", count=0)
    contract.cancel()
    until("the Slot says so", lambda: text in condition(contract.slots()[0], "Ready").get("message", ""))
    until(
        "the Machine says so", lambda: "decent-cloud.org/abandon" in contract.machine()["status"]["waiting"]["nextStep"]
    )


FAULTS = {
    "clone-task-fails": (
        {"fail_task": {"exitstatus": "clone failed: no space left"}},
        {"method": "POST", "path": CLONE},
    ),
    "clone-request-lost": ("drop_before", {"method": "POST", "path": CLONE}),
    "clone-answer-lost": ("drop_after", {"method": "POST", "path": CLONE}),
    "configure-answer-lost": ("drop_after", {"method": "PUT", "path": CONFIG}),
    "configure-refused": ({"refuse": {"status": 500, "reason": "got timeout"}}, {"path": CONFIG, "method": "PUT"}),
    "start-task-fails": ({"fail_task": {"exitstatus": "start failed: got timeout"}}, {"method": "POST", "path": START}),
    "start-answer-lost": ("drop_after", {"method": "POST", "path": START}),
    "firewall-answer-lost": ("drop_after", {"method": "POST", "path": "/nodes/{node}/qemu/{vmid}/firewall/rules"}),
    "resize-answer-lost": ("drop_after", {"method": "PUT", "path": "/nodes/{node}/qemu/{vmid}/resize"}),
    "gateway-timeout": (
        {"refuse": {"status": 596, "reason": "Connection timed out"}},
        {"method": "POST", "path": CLONE},
    ),
    "never-answered": ("blackhole", {"method": "POST", "path": START}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_on_the_way_ends_in_one_vm(market: Market, name: str) -> None:
    site = market.site(nodes=2)
    act, matcher = FAULTS[name]
    fault = site.sim.fault(act, **matcher)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned", timeout=90)
    assert site.sim.faults_met(fault) == 1
    assert contract.vm()["status"] == "running"
    until("nothing else is left", lambda: [vm["vmid"] for vm in site.sim.vms()] == [contract.vm()["vmid"]])


TEARDOWN_FAULTS = {
    "shutdown-lost": ("drop_before", {"method": "POST", "path": "/nodes/{node}/qemu/{vmid}/status/shutdown"}),
    "unprotect-answer-lost": ("drop_after", {"method": "PUT", "path": CONFIG}),
    "destroy-refused": (
        {"refuse": {"status": 500, "reason": "VM is locked (backup)"}},
        {"method": "DELETE", "path": "/nodes/{node}/qemu/{vmid}"},
    ),
    "destroy-answer-lost": ("drop_after", {"method": "DELETE", "path": "/nodes/{node}/qemu/{vmid}"}),
    "destroy-task-fails": (
        {"fail_task": {"exitstatus": "can't lock file: got timeout"}},
        {"method": "DELETE", "path": "/nodes/{node}/qemu/{vmid}"},
    ),
}


@pytest.mark.parametrize("name", TEARDOWN_FAULTS)
def test_one_fault_on_the_way_out_leaves_nothing(market: Market, name: str) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    act, matcher = TEARDOWN_FAULTS[name]
    fault = site.sim.fault(act, **matcher)
    contract.cancel()
    contract.until_clean(timeout=90)
    assert site.sim.faults_met(fault) == 1
    assert site.sim.vms() == []


def test_one_dead_provider_does_not_slow_another(market: Market) -> None:
    dead, alive = market.site(), market.site()
    tenant = market.tenant()
    dead.sim.fault("blackhole", count=0)
    tenant.rent(dead, "dead")
    tenant.rent(alive, "alive").until_holds("Provisioned", timeout=15)


@pytest.fixture
def broken(market: Market) -> Site:
    return market.site(ready=False)


def test_a_secret_that_cannot_be_read_shows_on_the_pool(market: Market, broken: Site) -> None:
    market.cluster.delete_secret(broken.namespace, "proxmox")
    assert "proxmox" in broken.until_pool("SecretUnreadable")["message"]
    for bad in ({"password": "x"}, {"token": "root"}, {"token": ""}):
        broken.provider.put_secret(broken.namespace, "proxmox", bad)
        said = broken.until_pool("SecretUnreadable")
        assert "USER@REALM!ID=SECRET" in said["message"]
    broken.provider.put_secret(broken.namespace, "proxmox", {"token": broken.sim.token})
    broken.until_ready()


def test_a_ca_that_cannot_be_read_shows_on_the_pool(broken: Site) -> None:
    broken.patch(
        "pools", "rack1", proxmox={"caBundle": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"}
    )
    assert "caBundle" in broken.until_pool("TrustUnreadable")["message"]
    broken.patch("pools", "rack1", proxmox={"caBundle": broken.sim.ca_pem})
    broken.until_ready()


def test_a_gateway_that_does_not_exist_shows_on_the_pool(market: Market) -> None:
    site = market.site(ready=False)
    site.provider.delete("gateways", site.namespace, "ams1")
    assert "ams1" in site.until_pool("GatewayMissing")["message"]


def test_a_key_that_does_not_decode_ends_the_contract_with_its_place(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site, sshKeys=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA broken"])
    found = contract.until_state("ProvisioningFailed")
    said = condition(found, "Ready")
    assert said["reason"] == "InvalidKey"
    assert "sshKeys[0]" in said["message"]
    assert site.sim.changes() == []
