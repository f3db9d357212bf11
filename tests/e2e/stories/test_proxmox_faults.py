"""What Proxmox does wrong at the worst moment: each fault of the matrix that no other story is about."""

from __future__ import annotations

import pytest

from decent.contract import phase
from decent.faults import FAULTS
from decent.market import Market
from decent.simulator import CLONE, CONFIG, RESIZE, SHUTDOWN, START, VM
from decent.site import Site
from decent.wait import until

pytestmark = pytest.mark.faultless("has faults of its own, and counts how often they were met")
ONCE = ["storage-full", "storage-unmounted", "storage-locked", "storage-locked-in-the-cluster", "storage-dead"]
STEPS = {"clone": ("POST", CLONE), "configure": ("PUT", CONFIG), "start": ("POST", START)}


UNFIT = [
    "bridge 'vmbr1' does not exist",
    "MAX 16 vcpus allowed per VM on this node",
    "volume 'local:snippets/none.yaml' does not exist",
]


def ends_in_one_running_vm(market: Market, site: Site, *faults: int, others: tuple[int, ...] = ()) -> None:
    """A contract is made and ended under these faults, beside `others`: one VM, then none."""
    ours = lambda: [vm for vm in site.sim.vms() if vm["vmid"] not in others]  # noqa: E731
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned", timeout=90)
    assert [fault for fault in [*faults, *site.armed] if not site.sim.faults_met(fault)] == [], "each fault was met"
    assert site.sim.complaints() == []
    assert contract.vm()["status"] == "running"
    assert len(ours()) == 1
    contract.cancel()
    contract.until_clean(timeout=90)
    assert ours() == []


def test_a_clone_whose_worker_is_killed_is_set_aside_and_another_id_taken(market: Market) -> None:
    site = market.site()
    killed = site.sim.fault("kill_worker", method="POST", path=CLONE)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned", timeout=90)
    assert site.sim.faults_met(killed) == 1
    left = site.sim.vm(10000)
    assert left["config"]["lock"] == "clone", "no token can remove it"
    running = [vm for vm in contract.vms() if vm["status"] == "running"]
    assert [vm["vmid"] for vm in running] == [10001]
    slot = next(slot for slot in contract.slots() if slot["spec"]["index"] == 0)
    until("its Slot is set aside", lambda: phase(site.cluster.get("slots", site.namespace, "ams1-0")) == "Quarantined")
    assert slot["spec"]["vmid"] == 10000


def test_quorum_that_goes_while_a_clone_runs_leaves_a_rest_that_is_set_aside(market: Market) -> None:
    site = market.site(nodes=3, sim={"clone_seconds": 2})
    contract = market.tenant().rent(site)
    contract.until("its clone has begun", lambda: site.sim.vm(10000))
    site.sim.quorum(False)
    running = lambda: [task for task in site.sim.tasks() if task["status"] != "stopped"]  # noqa: E731
    contract.until("its clone has failed", lambda: not running())
    site.sim.quorum(True)
    contract.until_holds("Provisioned", timeout=90)
    assert site.sim.vm(10000)["config"]["lock"] == "clone", "its task could not clean up"
    assert [vm["vmid"] for vm in contract.vms() if vm["status"] == "running"] == [10001]
    aside = lambda: phase(site.cluster.get("slots", site.namespace, "ams1-0"))  # noqa: E731
    until("its Slot is set aside", lambda: aside() == "Quarantined")


@pytest.mark.parametrize("step", ["clone", "start"])
@pytest.mark.parametrize("end", [{"warn_task": {"warnings": 1}}, "lose_task"], ids=["warnings", "vanished"])
def test_a_task_that_ends_oddly_ends_in_one_running_vm(market: Market, step: str, end: object) -> None:
    site = market.site()
    method, path = STEPS[step]
    ends_in_one_running_vm(market, site, site.sim.fault(end, method=method, path=path))


@pytest.mark.parametrize(("method", "path"), [("PUT", RESIZE), ("POST", START)], ids=["resize", "start"])
def test_a_task_that_never_ends_is_ended_and_tried_again(market: Market, method: str, path: str) -> None:
    site = market.site(own=True, operator={"task_limit": "3s"})
    ends_in_one_running_vm(market, site, site.sim.fault("endless_task", method=method, path=path))


def test_a_shutdown_that_never_ends_holds_up_no_teardown(market: Market) -> None:
    site = market.site(own=True, operator={"task_limit": "3s"})
    endless = site.sim.fault("endless_task", method="POST", path=SHUTDOWN)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    contract.cancel()
    contract.until_clean(timeout=90)
    assert (site.sim.faults_met(endless), site.sim.vms()) == (1, [])


def test_a_clone_that_never_ends_is_ended_with_its_contract(market: Market) -> None:
    site = market.site()
    endless = site.sim.fault("endless_task", method="POST", path=CLONE)
    contract = market.tenant().rent(site)
    contract.until_reason("Cloning")
    contract.cancel()
    contract.until_clean(timeout=90)
    assert (site.sim.faults_met(endless), site.sim.vms()) == (1, [])


def test_a_lock_held_after_a_shutdown_is_waited_out(market: Market) -> None:
    # Five times as fast: a held lock refuses after two seconds, and is held for six.
    site = market.site(sim={"time_scale": 5, "cleanup_seconds": 25})
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    contract.patch(powerState="Stopped")
    contract.until("it is stopped", lambda: contract.vm()["status"] == "stopped")
    contract.patch(powerState="Running")
    contract.until("it runs again", lambda: contract.vm()["status"] == "running")
    # The cleanup of the shutdown finds the guest running and keeps its lock: what is tried meanwhile is refused.
    since = site.sim.mark()
    contract.until("the cleanup holds its lock", lambda: contract.vm()["lock_file_held"])
    contract.cancel()
    contract.until_clean(timeout=90)
    assert site.sim.vms() == []
    refused = [task for task in site.sim.tasks() if "got timeout" in str(task.get("exitstatus"))]
    assert refused or [call for call in site.sim.changes(since) if call["status"] == 500], "the lock was met"


def test_a_template_that_somebody_copies_is_cloned_all_the_same(market: Market) -> None:
    site = market.site()
    site.sim.durations(full_clone=30)
    site.sim.clone_by_hand(5000, full=1)
    ends_in_one_running_vm(market, site, others=(5000,))


def test_a_volume_that_a_removed_vm_left_behind_is_not_taken_over(market: Market) -> None:
    site = market.site()
    old = {"vmid": 10000, "filename": "vm-10000-disk-0.qcow2", "size": "1G", "format": "qcow2"}
    volume = site.sim.as_root("POST", "/nodes/pve1/storage/local/content", **old)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    assert contract.vm()["vmid"] == 10000
    assert volume not in str(contract.vm()["config"]), "its disk is a fresh one"
    contract.cancel()
    contract.until_clean()
    left = site.sim.as_root("GET", "/nodes/pve1/storage/local/content")
    assert [found["volid"] for found in left if found.get("vmid") == 10000] == [volume], "it is somebody else's"


def test_a_newborn_whose_statistics_are_unknown_is_made_and_ended(market: Market) -> None:
    ends_in_one_running_vm(market, market.site(sim={"stats_lag": 10}))


def test_an_expired_token_is_told_and_works_again_when_it_is_prolonged(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    user, name = site.sim.token.split("=", 1)[0].split("!")
    site.sim.as_root("PUT", f"/access/users/{user}/token/{name}", expire=1)
    site.until_pool("TokenRejected")
    assert contract.vm()["status"] == "running"
    site.sim.as_root("PUT", f"/access/users/{user}/token/{name}", expire=0)
    site.until_ready()


def test_a_privilege_that_only_the_user_lost_is_named(market: Market) -> None:
    site = market.site()
    user = site.sim.token.split("!", 1)[0]
    site.sim.revoke("VM.Clone", f"/vms/{site.sim.templates['pve1']}", who=user)
    said = site.until_pool("MissingPrivilege")
    assert user in said["message"]
    assert "VM.Clone" in said["message"]


@pytest.mark.parametrize("text", UNFIT, ids=["bridge", "cores", "snippet"])
def test_a_start_that_cannot_be_is_told_with_the_words_of_proxmox(market: Market, text: str) -> None:
    site = market.site()
    site.sim.fault({"fail_task": {"exitstatus": text}}, count=0, method="POST", path=START)
    contract = market.tenant().rent(site)
    contract.until("the wait names it", lambda: text in str(contract.status))
    assert contract.vm()["status"] == "stopped"
    site.sim.clear_faults()
    contract.until_holds("Provisioned", timeout=90)


def test_a_start_whose_worker_is_killed_is_asked_for_again(market: Market) -> None:
    site = market.site()
    ends_in_one_running_vm(market, site, site.sim.fault("kill_worker", method="POST", path=START))


@pytest.mark.parametrize("step", STEPS)
def test_quorum_that_goes_at_a_step_and_comes_back_ends_in_one_running_vm(market: Market, step: str) -> None:
    site = market.site(nodes=3)
    method, path = STEPS[step]
    undo = {"after_ms": 2500, "method": "POST", "path": "/quorum", "body": {"on": True}}
    act = {"control": {"method": "POST", "path": "/quorum", "body": {"on": False}, "undo": undo}}
    ends_in_one_running_vm(market, site, site.sim.fault(act, method=method, path=path))


@pytest.mark.parametrize(
    ("step", "privilege"),
    [("clone", "VM.Allocate"), ("configure", "VM.Config.Network"), ("start", "VM.PowerMgmt")],
)
def test_a_privilege_that_goes_at_a_step_and_comes_back_ends_in_one_running_vm(
    market: Market, step: str, privilege: str
) -> None:
    site = market.site()
    method, path = STEPS[step]
    right = {"path": "/pool/decent", "privilege": privilege}
    undo = {"after_ms": 2500, "method": "POST", "path": "/privileges/restore", "body": right}
    act = {"control": {"method": "POST", "path": "/privileges/revoke", "body": right, "undo": undo}}
    ends_in_one_running_vm(market, site, site.sim.fault(act, method=method, path=path))


@pytest.mark.parametrize("name", ["empty-bodies", "garbled-answers"])
def test_answers_without_sense_end_in_one_running_vm(market: Market, name: str) -> None:
    market.fault = FAULTS[name]
    ends_in_one_running_vm(market, market.site())


def test_a_slow_daemon_is_waited_for(market: Market) -> None:
    market.fault = FAULTS["slow-daemon"]
    ends_in_one_running_vm(market, market.site())


def test_a_foreigner_at_the_very_moment_of_the_clone_is_never_touched(market: Market) -> None:
    site = market.site()
    body = {"vmid": "{newid}", "node": "{node}", "name": "somebody-elses", "running": True}
    act = {"control": {"method": "POST", "path": "/vms", "body": body}}
    taken = site.sim.fault(act, method="POST", path=CLONE)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned", timeout=90)
    assert (site.sim.faults_met(taken), site.sim.complaints()) == (1, [])
    assert contract.vm()["vmid"] == 10001
    assert [call for call in site.sim.changes() if call["vmid"] == 10000] == []
    foreign = site.sim.vm(10000)
    assert (foreign["name"], foreign["status"]) == ("somebody-elses", "running")


@pytest.mark.parametrize("step", ["configure", "start"])
def test_a_vm_that_moves_at_a_step_ends_as_one_running_vm(market: Market, step: str) -> None:
    site = market.site(nodes=2, pool={"nodes": [{"name": "pve1"}, {"name": "pve2", "cordoned": True}]})
    method, path = STEPS[step]
    act = {"control": {"method": "PATCH", "path": "/vms/{vmid}", "body": {"node": "pve2"}}}
    ends_in_one_running_vm(market, site, site.sim.fault(act, method=method, path=path))


def test_stale_lists_make_no_second_vm(market: Market) -> None:
    market.fault = FAULTS["stale-lists"]
    ends_in_one_running_vm(market, market.site())


@pytest.mark.parametrize("name", ["template-locked", *ONCE])
def test_a_clone_that_a_lock_or_a_storage_refuses_once_is_tried_again(market: Market, name: str) -> None:
    market.fault = FAULTS[name]
    ends_in_one_running_vm(market, market.site())


def test_quorum_that_goes_with_the_removal_itself_ends_clean(market: Market) -> None:
    market.fault = FAULTS["quorum-lost-at-a-removal"]
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    contract.cancel()
    contract.until("the removal is met", lambda: site.sim.was_met(site.armed))
    # The disks are gone, the configuration is left: it is removed once there is quorum again.
    contract.until_clean(timeout=90)
    assert site.sim.vms() == []


ENDING = {"shutdown": ("POST", SHUTDOWN), "unprotect": ("PUT", CONFIG), "delete": ("DELETE", VM)}


@pytest.mark.parametrize("step", ENDING)
def test_a_vm_that_moves_while_it_is_ended_is_ended_where_it_is(market: Market, step: str) -> None:
    site = market.site(nodes=2, pool={"nodes": [{"name": "pve1"}, {"name": "pve2", "cordoned": True}]})
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    method, path = ENDING[step]
    act = {"control": {"method": "PATCH", "path": "/vms/{vmid}", "body": {"node": "pve2"}}}
    moved = site.sim.fault(act, method=method, path=path)
    contract.cancel()
    contract.until_clean(timeout=90)
    assert (site.sim.faults_met(moved), site.sim.complaints(), site.sim.vms()) == (1, [], [])


LOSERS = [
    "unable to create VM 10000: config file already exists",
    "unable to create VM 10000 - VM 10000 already exists on node 'pve1'",
    "close (rename) atomic file '/etc/pve/nodes/pve1/qemu-server/10000.conf' failed: File exists",
]


@pytest.mark.parametrize("text", LOSERS, ids=["config", "vm", "file"])
def test_p2_an_id_that_was_lost_at_the_end_of_the_clone_is_never_asked_for_again(market: Market, text: str) -> None:
    site = market.site()
    lost = site.sim.fault({"fail_task": {"exitstatus": text}}, method="POST", path=CLONE)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned", timeout=90)
    assert (site.sim.faults_met(lost), contract.vm()["vmid"]) == (1, 10001)
    assert len(site.sim.changes(vmid=10000)) == 1, "the clone alone"


@pytest.mark.parametrize("version", ["8.4", "8.3", "7.4"])
def test_p38_an_older_proxmox_makes_machines_too(market: Market, version: str) -> None:
    ends_in_one_running_vm(market, market.site(sim={"pve_version": version}))


def test_a_burst_at_a_daemon_with_three_slow_workers_is_served(market: Market) -> None:
    site = market.site()
    busy = site.sim.fault({"work": {"ms": 150}}, count=0)
    tenant = market.tenant()
    contracts = [tenant.rent(site, name=f"web-{n}") for n in range(8)]
    for contract in contracts:
        contract.until_holds("Provisioned", timeout=90)
    assert len(site.sim.vms()) == len(contracts)
    assert site.sim.faults_met(busy) > 3 * len(contracts)
