"""What a provider and the market's operator see and mend by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from decent import objects
from decent.cluster import condition, holds, moment
from decent.contract import phase
from decent.market import Market, short
from decent.wait import steady, until


def test_a_quarantined_slot_is_cleared_as_its_message_says(market: Market) -> None:
    site = market.site()
    site.sim.put_vm(10000, name="backup-test")
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned", timeout=90)

    def slot() -> dict:
        return site.cluster.get("slots", site.namespace, "ams1-0")

    line = f"kubectl annotate slot ams1-0 -n {site.namespace} decent-cloud.org/clear-quarantine=10000"
    assert line in condition(slot(), "Ready")["message"]
    clear = {"metadata": {"annotations": {"decent-cloud.org/clear-quarantine": "10000"}}}
    site.provider.patch("slots", site.namespace, "ams1-0", clear)
    steady("it stays while something is there", lambda: phase(slot()) == "Quarantined", 3)
    site.sim.remove_vm(10000)
    until("it rests", lambda: phase(slot()) == "Resting")


def test_a_machine_is_given_up_by_a_persons_annotation(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    name = contract.slot()["metadata"]["name"]
    site.sim.refuse_connections()
    site.until_pool("ProxmoxUnreachable")
    contract.cancel()
    contract.until_state("Cancelled")
    given_up = {"metadata": {"annotations": {"decent-cloud.org/abandon": "the site burnt down"}}}
    site.provider.patch("machines", site.namespace, contract.machine_name, given_up)
    contract.until("its Machine is gone", lambda: contract.machine() is None)
    assert phase(site.cluster.get("slots", site.namespace, name)) == "Quarantined", "its VMID isn't used again"


def test_an_offering_says_how_many_more_would_fit(market: Market) -> None:
    site = market.site(sim={"cores": 5})
    until("two fit", lambda: site.offering()["status"].get("available") == 2)
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    until("one fits", lambda: site.offering()["status"]["available"] == 1)
    assert site.offering()["status"]["activeContracts"] == 1
    contract.cancel()
    until("two fit again", lambda: site.offering()["status"]["available"] == 2)


def test_two_pools_never_share_vmids_on_one_proxmox(market: Market) -> None:
    site = market.site()
    site.provider.apply(objects.gateway(site.namespace, "ams2", dcId="ams2"))
    second = objects.merged(site.pool_spec(), {"gatewayRef": {"name": "ams2"}})
    site.provider.apply(objects.pool(site.namespace, "rack2", **second))

    def younger() -> dict:
        return condition(site.cluster.get("pools", site.namespace, "rack2"), "Ready")

    until("the younger says so", lambda: younger().get("reason") == "VmidOverlap", seen=younger)
    assert "rack1" in younger()["message"]
    assert holds(site.pool(), "Ready")
    site.patch("pools", "rack2", vmidBase=500000)
    until("apart, it is Ready", lambda: younger().get("status") == "True", seen=younger)


def test_a_pool_in_use_stays_until_its_last_slot_is_gone(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    site.provider.delete("pools", site.namespace, "rack1")
    said = site.until_pool("InUse")
    assert "ams1-0" in said["message"]
    assert contract.vm()["status"] == "running"
    contract.cancel()
    contract.until("left no VM", lambda: not contract.vms())


def test_a_pool_without_slots_goes_at_once(market: Market) -> None:
    site = market.site()
    site.provider.delete("pools", site.namespace, "rack1")
    until("it is gone", lambda: site.cluster.get("pools", site.namespace, "rack1") is None)
    until("the Offering says so", lambda: condition(site.offering(), "Ready").get("reason") == "NoPool")


def test_a_cordoned_node_takes_nothing_new(market: Market) -> None:
    site = market.site(nodes=2)
    site.patch("pools", "rack1", nodes=[{"name": "pve1", "cordoned": True}, {"name": "pve2"}])
    tenant = market.tenant()
    for name in ("one", "two"):
        contract = tenant.rent(site, name)
        contract.until_holds("Provisioned")
        assert contract.vm()["node"] == "pve2"


def test_a_node_that_is_offline_takes_nothing_new(market: Market) -> None:
    site = market.site(nodes=3)
    site.sim.node_online("pve1", False)
    until("the Pool sees it", lambda: not site.pool()["status"]["nodes"][0]["online"])
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    assert contract.vm()["node"] != "pve1"


def test_a_namespace_belongs_to_the_account_that_had_it_first(market: Market) -> None:
    tenant = market.tenant()
    created = moment(market.cluster.get("accounts", None, tenant.account)["metadata"]["creationTimestamp"])
    until("the next second, in which order can be told", lambda: datetime.now(UTC) - created >= timedelta(seconds=1))
    rival = f"mallory-{short()}"
    market.cluster.create(objects.account(rival, namespace=tenant.namespace))
    try:
        found = until(
            "the rival is told",
            lambda: condition(market.cluster.get("accounts", None, rival), "Ready") or None,
        )
        assert (found["status"], found["reason"]) == ("False", "NamespaceTaken")
        assert holds(market.cluster.get("accounts", None, tenant.account), "Ready")
    finally:
        market.cluster.delete("accounts", None, rival)


def test_a_namespace_of_somebody_else_is_not_taken_over(market: Market) -> None:
    name = f"theirs-{short()}"
    market.cluster.ensure_namespace(name)
    market.cluster.create(objects.account(name, namespace=name))
    try:
        found = until("it is told", lambda: condition(market.cluster.get("accounts", None, name), "Ready") or None)
        assert (found["status"], found["reason"]) == ("False", "NamespaceTaken")
        labels = market.cluster.namespace(name)["metadata"].get("labels") or {}
        assert not [label for label in labels if label.startswith("decent-cloud.org/")]
    finally:
        market.cluster.delete("accounts", None, name)
        market.cluster.delete_namespace(name)


@pytest.mark.parametrize("field", ["cpu", "memory"])
def test_reserved_room_is_never_let(market: Market, field: str) -> None:
    sizes = {"cpu": {"cores": 4}, "memory": {"memory": "4Gi"}}[field]
    reserve = {"cpu": {"cpu": 1}, "memory": {"memory": "1Gi"}}[field]
    site = market.site(sim=sizes, pool={"reserve": reserve})
    tenant = market.tenant()
    tenant.rent(site, "first").until_holds("Provisioned")
    tenant.rent(site, "second").until_reason("WaitingForCapacity")
    assert len(site.sim.vms()) == 1


def test_a_provider_decides_though_its_operator_is_away(market: Market) -> None:
    site = market.site(ready=False, provider={"operator": "Own", "autoAccept": {"enabled": False}})
    contract = market.tenant().rent(site)
    contract.until_reason("AwaitingProvider")
    contract.decide("Accepted")
    contract.until_holds("Accepted")
