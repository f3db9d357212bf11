"""The operator killed with -9 at work, and started again: one VM, then none."""

from __future__ import annotations

import pytest

from decent.contract import Contract
from decent.market import Market
from decent.simulator import CLONE, CONFIG, START, VM
from decent.site import Site
from decent.wait import until

RULES = "/nodes/{node}/qemu/{vmid}/firewall/rules"
SHUTDOWN = "/nodes/{node}/qemu/{vmid}/status/shutdown"
HELD = {"delay": {"ms": 1000}}

# What is under way when it is killed: the call, and what happens to it meanwhile.
MAKING = {
    "before-the-clone-is-asked-for": (HELD, "POST", CLONE),
    "while-cloning": ({"delay": {"ms": 1}}, "POST", CLONE),
    "while-configuring": (HELD, "PUT", CONFIG),
    "while-isolating": (HELD, "POST", RULES),
    "while-growing": (HELD, "PUT", f"{VM}/resize"),
    "while-starting": (HELD, "POST", START),
}
ENDING = {
    "while-shutting-down": (HELD, "POST", SHUTDOWN),
    "while-unprotecting": (HELD, "PUT", CONFIG),
    "before-destroying": (HELD, "DELETE", VM),
    "while-destroying": ({"delay": {"ms": 1}}, "DELETE", VM),
}


@pytest.mark.parametrize("point", MAKING)
def test_killed_while_making_a_machine_makes_one(market: Market, point: str) -> None:
    site = market.site(own=True, sim={"clone_seconds": 1, "start_seconds": 1})
    act, method, path = MAKING[point]
    fault = site.sim.fault(act, method=method, path=path)
    contract = market.tenant().rent(site)
    until(f"the point is reached: {point}", lambda: site.sim.faults_met(fault))
    site.operator.kill()
    site.operator.start()
    contract.until_holds("Provisioned")
    assert contract.vm()["status"] == "running"
    assert len(site.sim.vms()) == 1
    assert len(contract.slots()) == 1, "the first claim was found again"
    contract.cancel()
    contract.until_clean()
    assert site.sim.vms() == []


LOST = {"killed": {"delay": {"ms": 1}}, "answer-lost": "drop_after"}


def asked_for_a_clone(market: Market, how: str, clone_seconds: int) -> tuple[Site, Contract]:
    """A clone that its operator knows nothing of, under a token that may read every VM."""
    site = market.site(own=True, sim={"clone_seconds": clone_seconds})
    site.sim.see_all()
    site.until_pool_warns("ExcessPrivilege")
    fault = site.sim.fault(LOST[how], method="POST", path=CLONE)
    contract = market.tenant().rent(site)
    until("the clone is asked for", lambda: site.sim.faults_met(fault))
    if how == "killed":
        site.operator.kill()
    return site, contract


@pytest.mark.parametrize("how", LOST)
def test_a_token_that_sees_the_target_of_its_clone_waits_for_it(market: Market, how: str) -> None:
    site, contract = asked_for_a_clone(market, how, 4)
    if how == "killed":
        site.operator.start()
    contract.until_holds("Provisioned")
    assert (len(site.sim.vms()), len(contract.slots())) == (1, 1)


@pytest.mark.parametrize("how", LOST)
def test_a_clone_that_the_token_sees_is_ended_with_its_contract(market: Market, how: str) -> None:
    site, contract = asked_for_a_clone(market, how, 60)
    contract.cancel()
    if how == "killed":
        site.operator.start()
    contract.until_clean()
    assert site.sim.vms() == []


@pytest.mark.parametrize("point", ENDING)
def test_killed_while_removing_a_machine_removes_it(market: Market, point: str) -> None:
    site = market.site(own=True, sim={"destroy_seconds": 1})
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    act, method, path = ENDING[point]
    fault = site.sim.fault(act, method=method, path=path)
    contract.cancel()
    until(f"the point is reached: {point}", lambda: site.sim.faults_met(fault))
    site.operator.kill()
    site.operator.start()
    contract.until_clean()
    assert site.sim.vms() == []


def test_killed_again_and_again_makes_one(market: Market) -> None:
    site = market.site(own=True, sim={"clone_seconds": 0.5, "start_seconds": 0.5})
    contract = market.tenant().rent(site)
    calls = 0
    for _ in range(6):
        until("one more call", lambda before=calls: len(site.sim.changes()) > before or contract.vm_runs())
        calls = len(site.sim.changes())
        site.operator.kill()
        site.operator.start()
    contract.until_holds("Provisioned")
    assert len(site.sim.vms()) == 1
    contract.cancel()
    contract.until_clean()
    assert site.sim.vms() == []


def test_an_operator_asked_to_end_ends_well_and_another_goes_on(market: Market) -> None:
    site = market.site(own=True, sim={"clone_seconds": 1})
    contract = market.tenant().rent(site)
    until("the clone runs", lambda: site.sim.changes())
    assert site.operator.stop() == 0
    site.operator.start()
    contract.until_holds("Provisioned")
    assert len(site.sim.vms()) == 1
