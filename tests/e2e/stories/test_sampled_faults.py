"""The core stories under a few faults: which ones, a printed seed decides (`--fault-seed`). All stories under each
fault: `./justw test-faults`."""

from __future__ import annotations

import pytest

from decent.faults import FAULTS
from decent.market import Market
from stories import test_crashes, test_lifecycle

pytestmark = pytest.mark.faultless("has faults of its own")
CORE = {
    "create": test_lifecycle.test_a_contract_becomes_a_running_vm,
    "cancel": test_lifecycle.test_a_cancelled_contract_leaves_nothing,
    "expiry": test_lifecycle.test_a_contract_ends_at_the_second,
    "killed-operator": test_crashes.test_killed_again_and_again_makes_one,
}


@pytest.mark.parametrize("story", CORE)
def test_a_core_story_ends_as_ever_under_a_fault(market: Market, story: str, sampled: str) -> None:
    market.fault = FAULTS[sampled]
    CORE[story](market)
    if story == "cancel":
        # A whole life meets every fault.
        assert all(site.sim.was_met(site.armed) for site in market.sites)
