"""A contract from its creation to its end, checked against what Proxmox really holds."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from urllib.parse import unquote

import pytest

from decent import objects
from decent.cluster import condition, holds, moment, version
from decent.contract import phase
from decent.market import Market
from decent.wait import steady, until

BIG = {"resources": {"cpu": 4, "memory": "4Gi", "disk": "20Gi"}, "user": "debian"}


def test_a_contract_becomes_a_running_vm(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    found = contract.until_holds("Provisioned")
    assert found["status"]["state"] == "Provisioning", "not Active before it is reached"
    for kind in ("Accepted", "Paid", "Scheduled"):
        assert holds(found, kind), condition(found, kind)
    assert contract.waiting["reason"] == "WaitingForReach"
    assert contract.vm()["status"] == "running"


def test_the_vm_has_exactly_what_was_rented(market: Market) -> None:
    site = market.site()
    big = site.offer("big", **BIG)
    keys = [objects.ssh_key("alice"), objects.ssh_key("alice's laptop", "alice@laptop")]
    contract = market.tenant().rent(site, offering=big, sshKeys=keys)
    contract.until_holds("Provisioned")
    vm, slot = contract.vm(), contract.slot()
    config = vm["config"]
    assert (config["cores"], config["memory"]) == ("4", "4096")
    assert "size=20G" in config["scsi0"].split(",")
    assert config["ipconfig0"] == "ip=10.64.0.10/16,gw=10.64.0.1"
    assert config["nameserver"].split() == ["192.0.2.53", "192.0.2.54"]
    assert unquote(config["sshkeys"]).strip().split("\n") == keys
    assert config["ciuser"] == "debian"
    assert config["protection"] == "1"
    assert config["description"].split("\n").count(contract.stamp(slot)) == 1
    assert (vm["name"], vm["pool"]) == (f"dc-{contract.uid.replace('-', '')[:10]}", "decent")
    assert "template" not in config or config["template"] == "0"
    assert "cipassword" not in config
    assert vm["vmid"] == slot["spec"]["vmid"] == 10000 + slot["spec"]["index"]
    assert slot["spec"]["address"] == "10.64.0.10"


def test_the_network_card_is_the_slots_own(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    card = dict(part.split("=", 1) for part in contract.vm()["config"]["net0"].split(","))
    assert (card["bridge"], card["firewall"]) == ("vmbr1", "1")
    mac = bytes.fromhex(card["virtio"].replace(":", ""))
    assert mac[0] & 0b11 == 0b10, "locally administered, unicast"
    assert int.from_bytes(mac[4:]) == contract.slot()["spec"]["index"]


def test_the_vm_is_kept_apart_from_its_neighbours(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    firewall = contract.vm()["firewall"]
    options = {name: str(value) for name, value in firewall["options"].items()}
    assert (options["enable"], options["policy_in"], options["ipfilter"]) == ("1", "DROP", "1")
    assert options.get("macfilter", "1") == "1"
    assert options["ndp"] == "0"
    rules = [(str(rule["enable"]), rule["type"], rule["action"], rule["source"]) for rule in firewall["rules"]]
    assert rules == [
        ("1", "in", "ACCEPT", "10.64.0.1"),
        ("1", "in", "DROP", "10.64.0.0/16"),
        ("1", "in", "ACCEPT", "0.0.0.0/0"),
    ]
    assert firewall["ipsets"] == {"ipfilter-net0": ["10.64.0.10"]}


def test_isolation_comes_before_the_first_start(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    calls = [(call["method"], call["path"]) for call in site.sim.changes(vmid=contract.vm()["vmid"])]
    start = next(n for n, (_, path) in enumerate(calls) if path.endswith("/status/start"))
    assert calls[0][1].endswith("/clone")
    assert all("/firewall/" not in path for _, path in calls[start:])
    assert any("/firewall/" in path for _, path in calls[:start])


def test_a_reached_contract_is_active_and_says_how_to_connect(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    found = contract.until_holds("Ready")
    status, slot = found["status"], contract.slot()
    assert status["state"] == "Active"
    assert "waiting" not in status or status["waiting"] is None
    assert not condition(found, "Reconciling")
    link = status["connection"]
    gateway = site.provider.get("gateways", site.namespace, "ams1")["spec"]
    assert re.fullmatch(rf"[0-9a-z]{{6}}\.{gateway['dcId']}\.gw\.example\.org", link["host"])
    assert link["sshPort"] == 20000 + 10 * slot["spec"]["index"]
    assert link["url"] == f"https://{link['host']}"
    assert [port["internal"] for port in link["ports"]] == list(range(10001, 10010))
    assert link["knownHosts"].startswith(f"[{link['host']}]:{link['sshPort']} ssh-ed25519 ")
    starts, ends = moment(status["startsAt"]), moment(status["endsAt"])
    assert ends - starts == timedelta(seconds=87600), "an hour is a second here"
    assert abs(starts - moment(slot["status"]["route"]["probedAt"])) < timedelta(seconds=1.1)


def test_a_contract_ends_at_the_second(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site, durationHours=4)
    status = contract.until_holds("Ready")["status"]
    vmid, ends = contract.vm()["vmid"], moment(status["endsAt"])
    assert ends - moment(status["startsAt"]) == timedelta(seconds=4)
    found = contract.until_state("Expired")
    said = condition(found, "Ready")
    assert said["reason"] == "Expired"
    assert ends <= moment(said["lastTransitionTime"]) <= ends + timedelta(seconds=1.5)
    contract.until_clean()
    stops = [call for call in site.sim.changes(vmid=vmid) if re.search("shutdown|stop", call["path"])]
    assert stops[0]["time_ms"] / 1000 >= ends.timestamp(), "not a moment before"


def test_an_extension_moves_the_end(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site, durationHours=100)
    before = moment(contract.until_holds("Ready")["status"]["endsAt"])
    contract.patch(extendHours=[50])
    after = before + timedelta(seconds=50)
    contract.until("the end moves", lambda: moment(contract.status["endsAt"]) == after)


def test_a_cancelled_contract_leaves_nothing(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    vmid, slot = contract.vm()["vmid"], contract.slot()["metadata"]["name"]
    contract.cancel("found a better one")
    found = contract.until_state("Cancelled")
    assert "found a better one" in condition(found, "Ready")["message"]
    contract.until_clean()
    assert site.sim.vm(vmid) is None
    resting = site.cluster.get("slots", site.namespace, slot)
    assert resting["status"]["release"]["cause"] == "Teardown"
    assert contract.state == "Cancelled", "the contract stays readable"


def test_the_route_goes_before_the_vm(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    mark, slot = site.sim.mark(), contract.slot()
    contract.cancel()
    contract.until_clean()
    route = site.cluster.get("slots", site.namespace, slot["metadata"]["name"])["status"]["route"]
    first = site.sim.changes(mark)[0]
    assert moment(route["removedAt"]).timestamp() <= first["time_ms"] / 1000


@pytest.mark.faultless("reads the order of the calls, which a refused one changes")
def test_teardown_proves_unprotects_and_destroys_in_that_order(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    vm, mark = contract.vm(), site.sim.mark()
    contract.cancel()
    contract.until_clean()
    calls = [call for call in site.sim.requests(mark) if call["vmid"] == vm["vmid"]]
    changes = [call for call in calls if call["mutating"]]
    kinds = [f"{call['method']} {call['path'].split(str(vm['vmid']))[1]}" for call in changes]
    assert kinds[-2:] == ["PUT /config", "DELETE "]
    assert any("/status/shutdown" in kind for kind in kinds), "asked nicely first"
    unprotect, destroy = changes[-2:]
    assert unprotect["params"]["digest"], "bound to the configuration that was proven"
    assert str(destroy["params"]["purge"]) == "1"
    assert any(
        call["method"] == "GET" and call["path"].endswith("/config") and unprotect["seq"] < call["seq"] < destroy["seq"]
        for call in calls
    ), "looked at once more between the two"


def test_a_deleted_contract_is_gone_and_leaves_nothing(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    contract.delete()
    contract.until_gone()
    contract.until_clean()


def test_a_contract_deleted_while_cloning_leaves_nothing(market: Market) -> None:
    site = market.site(sim={"clone_seconds": 3})
    contract = market.tenant().rent(site)
    until("the clone runs", lambda: site.sim.changes())
    contract.delete()
    contract.until_gone()
    contract.until_clean()


def test_a_contract_cancelled_before_it_has_a_vm_ends_at_once(market: Market) -> None:
    site = market.site(provider={"autoAccept": {"enabled": False}})
    contract = market.tenant().rent(site)
    contract.until_reason("AwaitingProvider")
    contract.cancel()
    contract.until_state("Cancelled")
    contract.until("its Machine is gone", lambda: contract.machine() is None)
    assert site.sim.changes() == []


def test_a_tenants_namespace_that_is_deleted_takes_its_machines_along(market: Market) -> None:
    site = market.site()
    tenant = market.tenant()
    contract = tenant.rent(site)
    contract.until_holds("Provisioned")
    market.cluster.delete_namespace(tenant.namespace)
    contract.until_gone()
    contract.until_clean()


def test_power_goes_off_and_on(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    vmid = contract.vm()["vmid"]
    contract.patch(powerState="Stopped")
    found = contract.until_state("Paused")
    assert contract.vm()["status"] == "stopped"
    assert condition(found, "Ready")["reason"] == "Stopped"
    steady("it stays stopped", lambda: contract.vm()["status"] == "stopped", 3)
    contract.patch(powerState="Running")
    contract.until_state("Active")
    contract.until_holds("Ready")
    assert (contract.vm()["vmid"], contract.vm()["status"]) == (vmid, "running")


def test_a_stopped_machine_can_be_cancelled(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    contract.patch(powerState="Stopped")
    contract.until_state("Paused")
    contract.cancel()
    contract.until_state("Cancelled")
    contract.until_clean()


def test_a_vm_that_stopped_by_itself_is_started_again(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    site.sim.change_vm(contract.vm()["vmid"], status="stopped")
    contract.until("its VM runs again", lambda: contract.vm()["status"] == "running")
    contract.until_holds("Ready")


def test_a_deaf_guest_is_stopped_in_the_end(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    site.sim.change_vm(contract.vm()["vmid"], deaf=True)
    contract.cancel()
    contract.until_clean()


def test_a_deaf_guest_is_switched_off_when_its_tenant_asks(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    site.sim.change_vm(contract.vm()["vmid"], deaf=True)
    contract.patch(powerState="Stopped")
    contract.until_state("Paused")
    assert contract.vm()["status"] == "stopped"


def test_a_machine_stopped_before_it_was_reached_says_who_starts_it(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site, powerState="Stopped")
    contract.until_holds("Provisioned")
    waiting = contract.until_reason("Stopped")
    assert waiting["actor"] == "Tenant"
    assert "powerState to Running" in waiting["nextStep"]
    assert contract.vm()["status"] == "stopped"
    contract.patch(powerState="Running")
    contract.until_holds("Ready")


def test_changed_keys_reach_the_vms_configuration(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    new = objects.ssh_key("a new laptop")
    contract.patch(sshKeys=[new])
    contract.until("the new key is set", lambda: unquote(contract.vm()["config"]["sshkeys"]).strip() == new)
    assert contract.vm()["status"] == "running", "a change of keys stops nothing"


def test_the_agents_absence_holds_the_slot_and_not_the_vm(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    name = contract.slot()["metadata"]["name"]
    site.agent.stop()
    contract.cancel()
    contract.until("left no VM", lambda: not contract.vms())
    slot = site.cluster.get("slots", site.namespace, name)
    assert phase(slot) == "Releasing", "nobody said that the route is gone"
    site.provider.patch(
        "slots", site.namespace, name, {"metadata": {"annotations": {"decent-cloud.org/route-removed": "true"}}}
    )
    contract.until_clean()


def test_two_contracts_in_one_second_get_different_slots(market: Market) -> None:
    site = market.site()
    alice, bob = market.tenant("alice"), market.tenant("bob")
    made = []
    threads = [threading.Thread(target=lambda who=who: made.append(who.rent(site))) for who in (alice, bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    created = [moment(contract.get()["metadata"]["creationTimestamp"]) for contract in made]
    assert abs(created[0] - created[1]) <= timedelta(seconds=1)
    for contract in made:
        contract.until_holds("Provisioned")
    slots = [contract.slot()["spec"] for contract in made]
    for field in ("index", "vmid", "address"):
        assert len({slot[field] for slot in slots}) == 2, field
    assert len(site.sim.vms()) == 2


@pytest.mark.faultless("counts VMs: a fault that meets thirty clones at once leaves rests")
def test_thirty_contracts_at_once_all_get_their_own_machine(market: Market) -> None:
    site = market.site(nodes=3)
    tiny = site.offer("tiny", resources={"cpu": 1, "memory": "1Gi", "disk": "4Gi"})
    tenant = market.tenant(limits={"contracts": 30})
    made = [tenant.rent(site, f"web-{number}", offering=tiny) for number in range(30)]
    for contract in made:
        contract.until_holds("Provisioned", timeout=90)
    vms = site.sim.vms()
    assert len(vms) == 30
    assert all(vm["status"] == "running" for vm in vms)
    assert len({vm["config"]["ipconfig0"] for vm in vms}) == 30
    assert len({vm["config"]["net0"] for vm in vms}) == 30
    assert len({vm["config"]["description"] for vm in vms}) == 30
    assert {vm["node"] for vm in vms} == {"pve1", "pve2", "pve3"}, "spread over the nodes"
    for contract in made:
        contract.cancel()
    for contract in made:
        contract.until_clean(timeout=90)
    assert site.sim.vms() == []


def test_a_running_contract_outlives_its_offering(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    before = version(contract.until_holds("Provisioned"))
    site.provider.delete("offerings", site.namespace, "small")
    steady("the contract is not touched", lambda: version(contract.get()) == before and contract.state == "Active", 2)
