"""Other people's hands in Proxmox: what is not provably ours is never touched, what is ours is never lost."""

from __future__ import annotations

import pytest

from decent.cluster import condition
from decent.contract import Contract, phase
from decent.market import Market
from decent.simulator import CLONE, CONFIG, START, Simulator
from decent.site import Site
from decent.wait import steady, until

DESTROY = "/nodes/{node}/qemu/{vmid}"


def running(market: Market, **options: object) -> tuple[Site, Contract]:
    site = market.site(**options)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    return site, contract


def untouched(site: Site, vmid: int, since: int = 0) -> bool:
    """Nobody asked for a change of this guest; trying to clone to its id is how one learns that it is taken."""
    return [call for call in site.sim.changes(since) if call["vmid"] == vmid] == []


@pytest.mark.parametrize("pool", [None, "decent"], ids=["hidden-from-our-token", "in-our-pool"])
def test_a_foreign_vm_at_our_vmid_is_never_touched(market: Market, pool: str | None) -> None:
    site = market.site()
    facts = {"pool": pool} if pool else {}
    foreign = site.sim.put_vm(10000, name="backup-test", running=True, **facts)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned", timeout=90)
    assert contract.vm()["vmid"] == 10001
    assert untouched(site, 10000)
    assert site.sim.vm(10000) == foreign
    slot = next(slot for slot in contract.slots() if slot["spec"]["index"] == 0)
    assert phase(slot) == "Quarantined"
    said = condition(slot, "Ready")
    assert (said["status"], said["reason"]) == ("False", "Quarantined")
    assert "10000" in said["message"]
    assert "kubectl annotate slot ams1-0" in said["message"], "it says how a person clears it"
    contract.cancel()
    contract.until("left no VM", lambda: not contract.vms())
    assert site.sim.vm(10000) == foreign


def test_a_foreigner_that_takes_the_vmid_at_the_last_moment_is_never_touched(market: Market) -> None:
    site = market.site()
    held = site.sim.fault({"delay": {"ms": 1500}}, method="POST", path=CLONE)
    contract = market.tenant().rent(site)
    until("the clone is asked for", lambda: site.sim.faults_met(held))
    foreign = site.sim.put_vm(10000, name="somebody-elses", running=True)
    contract.until_holds("Provisioned", timeout=90)
    assert contract.vm()["vmid"] == 10001
    assert untouched(site, 10000)
    assert site.sim.vm(10000) == foreign


@pytest.mark.parametrize("sees", [False, True], ids=["hidden", "seen"])
def test_an_administrators_own_clone_to_our_vmid_is_never_taken_for_ours(market: Market, sees: bool) -> None:
    site = market.site(sim={"clone_seconds": 5})
    if sees:
        site.sim.see_all()
        site.until_pool_warns("ExcessPrivilege")
    held = site.sim.fault({"delay": {"ms": 1500}}, method="POST", path=CLONE)
    contract = market.tenant().rent(site)
    until("the clone is asked for", lambda: site.sim.faults_met(held))
    site.sim.clone_by_hand(10000)
    contract.until_holds("Provisioned", timeout=90)
    assert contract.vm()["vmid"] == 10001
    assert [call for call in site.sim.changes(vmid=10000) if call["method"] != "POST"] == [], "its task goes on"
    until("the clone by hand has ended", lambda: "lock" not in site.sim.vm(10000)["config"])
    assert site.sim.vm(10000)["name"] == "by-hand"


def test_a_renamed_vm_is_still_ours_and_keeps_its_new_name(market: Market) -> None:
    site, contract = running(market)
    vmid, mark = contract.vm()["vmid"], site.sim.mark()
    site.sim.change_vm(vmid, name="customer-42")
    steady("nobody renames it back", lambda: site.sim.changes(mark) == [], 3)
    assert contract.vm()["name"] == "customer-42"
    contract.cancel()
    contract.until_clean()


def test_an_admins_notes_beside_the_stamp_stay(market: Market) -> None:
    site, contract = running(market)
    vm = contract.vm()
    notes = f"asked for by Eve\n{vm['config']['description']}\ndo not move"
    site.sim.change_vm(vm["vmid"], config={"description": notes})
    contract.patch(sshKeys=contract.get()["spec"]["sshKeys"] * 2)
    contract.until("the keys are set", lambda: contract.vm()["config"]["sshkeys"].count("ssh-ed25519") == 2)
    assert contract.vm()["config"]["description"] == notes
    contract.cancel()
    contract.until_clean()


def test_a_vm_moved_to_another_node_is_found_and_destroyed_there(market: Market) -> None:
    site, contract = running(market, nodes=2)
    vm = contract.vm()
    other = "pve2" if vm["node"] == "pve1" else "pve1"
    site.sim.change_vm(vm["vmid"], node=other)
    contract.patch(powerState="Stopped")
    contract.until("it is stopped where it is", lambda: contract.vm()["status"] == "stopped")
    contract.cancel()
    contract.until_clean()


def blind(site: Site, vmid: int, how: str) -> None:
    match how:
        case "taken-out-of-the-pool":
            site.sim.change_vm(vmid, pool=None)
        case "empty-list":
            site.sim.revoke("VM.Audit", "/pool/decent")
        case "everything-403":
            site.sim.fault({"refuse": {"status": 403, "reason": "Permission check failed"}}, count=0)


def seeing(site: Site, vmid: int, how: str) -> None:
    match how:
        case "taken-out-of-the-pool":
            site.sim.change_vm(vmid, pool="decent")
        case "empty-list":
            site.sim.restore("VM.Audit", "/pool/decent")
        case "everything-403":
            site.sim.clear_faults()


BLINDNESS = ["taken-out-of-the-pool", "empty-list", "everything-403"]


@pytest.mark.parametrize("how", BLINDNESS)
def test_blindness_destroys_and_duplicates_nothing(market: Market, how: str) -> None:
    site, contract = running(market, agent=True)
    contract.until_holds("Ready")
    vmid, slot, mark = contract.vm()["vmid"], contract.slot(), site.sim.mark()
    blind(site, vmid, how)
    until("the operator looked", lambda: len(site.sim.requests(mark)) > 3)
    steady("nothing is changed", lambda: site.sim.changes(mark) == [], 5)
    assert contract.vm()["status"] == "running"
    assert contract.slot()["metadata"]["uid"] == slot["metadata"]["uid"]
    assert len(contract.slots()) == 1
    assert contract.state == "Active"
    seeing(site, vmid, how)
    site.until_ready()
    contract.until_holds("Ready")
    assert len(site.sim.vms()) == 1


@pytest.mark.parametrize("how", ["empty-list", "everything-403"])
def test_blindness_while_cloning_makes_no_second_vm(market: Market, how: str) -> None:
    site = market.site(sim={"clone_seconds": 6})
    contract = market.tenant().rent(site)
    contract.until_reason("Cloning")
    blind(site, contract.slot()["spec"]["vmid"], how)
    made_once(site, contract, how)


@pytest.mark.parametrize("how", BLINDNESS)
def test_blindness_while_configuring_makes_no_second_vm(market: Market, how: str) -> None:
    site = market.site()
    held = site.sim.fault({"delay": {"ms": 1500}}, method="PUT", path=CONFIG)
    contract = market.tenant().rent(site)
    until("it is being configured", lambda: site.sim.faults_met(held))
    blind(site, contract.vm()["vmid"], how)
    made_once(site, contract, how)


def test_a_vm_seen_once_is_not_taken_for_anothers_after_a_restart(market: Market) -> None:
    site = market.site(own=True)
    ends = {"fail_task": {"exitstatus": "bridge 'vmbr1' does not exist"}}
    missing = site.sim.fault(ends, method="POST", path=START, count=0)
    contract = market.tenant().rent(site)
    contract.until_reason("TaskFailed")
    assert site.sim.faults_met(missing)
    site.operator.kill()
    blind(site, contract.vm()["vmid"], "taken-out-of-the-pool")
    site.operator.start()
    site.sim.clear_faults()
    made_once(site, contract, "taken-out-of-the-pool")


def made_once(site: Site, contract: Contract, how: str) -> None:
    """Blind from the middle of making it, for longer than a hidden VM counts as somebody else's, then seeing again."""
    slot, mark = contract.slot(), site.sim.mark()
    until("the clone has ended", lambda: site.sim.vms() and not site.sim.vms()[0]["config"].get("lock"))
    until("the operator looked", lambda: len(site.sim.requests(mark)) > 3)
    steady("there is one VM and one Slot", lambda: len(site.sim.vms()) == len(contract.slots()) == 1, 13)
    assert phase(contract.slots()[0]) == "Claimed"
    seeing(site, slot["spec"]["vmid"], how)
    contract.until_holds("Provisioned", timeout=90)
    assert contract.vm()["vmid"] == slot["spec"]["vmid"]
    assert len(site.sim.vms()) == 1


@pytest.mark.parametrize("how", BLINDNESS)
def test_blindness_proves_no_absence_at_the_end(market: Market, how: str) -> None:
    site, contract = running(market)
    vmid, name = contract.vm()["vmid"], contract.slot()["metadata"]["name"]
    blind(site, vmid, how)
    contract.cancel()
    contract.until_state("Cancelled")

    def slot() -> dict:
        return site.cluster.get("slots", site.namespace, name)

    until("the Slot is released", lambda: phase(slot()) == "Releasing")
    steady("the Slot is not given back", lambda: phase(slot()) in ("Releasing", "Quarantined"), 4)
    assert contract.machine(), "its Machine stays until its VM is proven absent"
    assert site.sim.vm(vmid)
    seeing(site, vmid, how)
    contract.until_clean()


def test_a_pool_pointed_at_another_cluster_touches_nothing(market: Market) -> None:
    site, contract = running(market, nodes=2)
    elsewhere = Simulator(site.folder / "elsewhere", nodes=2, cluster_name="elsewhere")
    try:
        point(site, elsewhere)
        said = site.until_pool("ClusterMismatch")
        assert "cluster elsewhere (pve1, pve2)" in said["message"]
        assert "cluster testbed (pve1, pve2)" in said["message"]
        contract.cancel()
        contract.until("its Slot is being given back", lambda: phase(contract.slots()[0]) == "Releasing")
        steady("no absence is believed", lambda: phase(contract.slots()[0]) == "Releasing", 5)
        assert condition(contract.slots()[0], "Ready")["reason"] == "ClusterMismatch"
        assert contract.vm()["status"] == "running"
        assert elsewhere.changes() == []
        point(site, site.sim)
        contract.until_clean()
    finally:
        elsewhere.stop()


def point(site: Site, cluster: Simulator) -> None:
    """The provider lets the Pool's address, trust and token name this cluster."""
    site.provider.put_secret(site.namespace, "proxmox", {"token": cluster.token})
    site.patch("pools", "rack1", proxmox={"endpoints": [cluster.url], "caBundle": cluster.ca_pem})


# Reads that stand between the proof of the stamp and a call that Proxmox binds to no digest.
CURRENT = "/nodes/{node}/qemu/{vmid}/status/current"
RULES = "/nodes/{node}/qemu/{vmid}/firewall/rules"
SETS = "/nodes/{node}/qemu/{vmid}/firewall/ipset"


def swap(site: Site, vmid: int) -> dict:
    """Somebody removes our VM and restores another one to its id."""
    site.sim.remove_vm(vmid)
    return site.sim.put_vm(vmid, name="restored-elsewhere", running=True, pool="decent")


def took_effect(site: Site, vmid: int, since: int) -> list[dict]:
    """Changes of this guest that Proxmox carried out; one that is bound to another digest it refuses."""
    return [call for call in site.sim.changes(since) if call["vmid"] == vmid and call["status"] == 200]


@pytest.mark.parametrize("read", [RULES, SETS, CURRENT], ids=["its-firewall", "its-address-sets", "its-power"])
def test_p3_a_vm_swapped_while_it_is_being_made_is_never_touched(market: Market, read: str) -> None:
    site = market.site()
    held = site.sim.fault({"delay": {"ms": 1500}}, method="GET", path=read)
    contract = market.tenant().rent(site)
    until("it is looked at", lambda: site.sim.faults_met(held))
    vmid, mark = contract.vm()["vmid"], site.sim.mark()
    foreign = swap(site, vmid)
    contract.until("another VM is made", lambda: [vm for vm in contract.vms() if vm["vmid"] != vmid])
    contract.until_holds("Provisioned", timeout=90)
    assert took_effect(site, vmid, mark) == []
    assert site.sim.vm(vmid) == foreign


@pytest.mark.parametrize("end", ["power-off", "cancel"])
def test_p3_a_vm_swapped_while_its_power_is_read_is_not_stopped(market: Market, end: str) -> None:
    site, contract = running(market)
    vmid = contract.vm()["vmid"]
    held = site.sim.fault({"delay": {"ms": 1500}}, method="GET", path=CURRENT)
    if end == "cancel":
        contract.cancel()
    else:
        contract.patch(powerState="Stopped")
    until("its power is read", lambda: site.sim.faults_met(held))
    mark = site.sim.mark()
    foreign = swap(site, vmid)
    until("the operator looked again", lambda: len(site.sim.requests(mark)) > 3)
    steady("it is not touched", lambda: took_effect(site, vmid, mark) == [], 4)
    assert site.sim.vm(vmid) == foreign


@pytest.mark.parametrize("end", ["power-off", "cancel"])
def test_a_vm_moved_off_a_dead_node_is_found_where_it_is(market: Market, end: str) -> None:
    site, contract = running(market, nodes=3)
    vm = contract.vm()
    site.sim.change_vm(vm["vmid"], node="pve2" if vm["node"] == "pve1" else "pve1")
    site.sim.node_online(vm["node"], False)
    if end == "power-off":
        contract.patch(powerState="Stopped")
        contract.until("it is stopped where it is", lambda: contract.vm()["status"] == "stopped")
    contract.cancel()
    contract.until_clean(timeout=90)


def test_a_vm_swapped_before_the_teardown_is_never_touched(market: Market) -> None:
    site, contract = running(market)
    vmid, name = contract.vm()["vmid"], contract.slot()["metadata"]["name"]
    site.sim.remove_vm(vmid)
    foreign = site.sim.put_vm(vmid, name="restored-elsewhere", running=True, pool="decent")
    mark = site.sim.mark()
    contract.cancel()
    until("the Slot is set aside", lambda: phase(site.cluster.get("slots", site.namespace, name)) == "Quarantined")
    assert untouched(site, vmid, mark)
    assert site.sim.vm(vmid) == foreign


def test_a_stamp_changed_between_proof_and_delete_stops_the_delete(market: Market) -> None:
    site, contract = running(market)
    vmid = contract.vm()["vmid"]
    held = site.sim.fault({"delay": {"ms": 1500}}, method="PUT", path=CONFIG, vmid=vmid)
    contract.cancel()
    until("it is about to be unprotected", lambda: site.sim.faults_met(held), 60)
    site.sim.change_vm(vmid, config={"description": "mine now", "protection": "1"})
    name = contract.slots()[0]["metadata"]["name"]
    until("the Slot is set aside", lambda: phase(site.cluster.get("slots", site.namespace, name)) == "Quarantined")
    assert not [call for call in site.sim.changes() if call["method"] == "DELETE" and call["path"].endswith(f"/{vmid}")]
    assert site.sim.vm(vmid)["config"]["protection"] == "1"


def test_a_vm_removed_by_somebody_else_is_not_made_again(market: Market) -> None:
    site, contract = running(market, agent=True)
    contract.until_holds("Ready")
    vmid = contract.vm()["vmid"]
    mark = site.sim.mark()
    site.sim.remove_vm(vmid)
    waiting = contract.until_reason("VmMissing")
    assert waiting["actor"] == "Provider"
    assert str(vmid) in contract.condition("Ready")["message"]
    steady("no second VM appears", lambda: site.sim.changes(mark) == [], 3)
    contract.cancel()
    contract.until_clean()


def test_a_vm_that_lost_its_stamp_is_left_alone_until_it_is_back(market: Market) -> None:
    site, contract = running(market, agent=True)
    contract.until_holds("Ready")
    vm, mark = contract.vm(), site.sim.mark()
    stamp = vm["config"]["description"]
    site.sim.change_vm(vm["vmid"], config={"description": "cleaned up"})
    contract.patch(powerState="Stopped")
    contract.until_reason("OwnershipMismatch")
    message = contract.condition("Ready")["message"] + contract.waiting["nextStep"]
    assert stamp in message, "it says which line to put back"
    steady("nothing is changed", lambda: site.sim.changes(mark) == [], 3)
    site.sim.change_vm(vm["vmid"], config={"description": stamp})
    contract.until_state("Paused")
