"""What a provider may change of what the operator makes for it: annotations and its decision, nothing else."""

from __future__ import annotations

import pytest

from decent.cluster import Refused
from decent.market import Market

ONLY = "a provider changes annotations of Slots and Machines"
AT = "2030-01-01T00:00:00Z"


def test_a_provider_annotates_slots_and_machines(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    note = {"metadata": {"annotations": {"decent-cloud.org/note": "looked at"}}}
    slot = contract.machine()["status"]["slot"]
    for plural, name in (("slots", slot), ("machines", contract.machine()["metadata"]["name"])):
        found = site.provider.patch(plural, site.namespace, name, note)
        assert found["metadata"]["annotations"]["decent-cloud.org/note"] == "looked at"


def test_a_provider_changes_nothing_else_of_them(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    machine, slot = contract.machine()["metadata"]["name"], contract.machine()["status"]["slot"]
    teardown = {"cause": "Cancelled", "at": AT, "by": "me"}
    for plural, name, change, sub in (
        ("machines", machine, {"spec": {"teardown": teardown}}, None),
        ("machines", machine, {"spec": {"powerState": "Stopped"}}, None),
        ("machines", machine, {"metadata": {"finalizers": []}}, None),
        ("slots", slot, {"metadata": {"finalizers": []}}, None),
        ("slots", slot, {"metadata": {"labels": {"mine": "yes"}}}, None),
        ("machines", machine, {"status": {"ended": {"outcome": "Deleted", "at": AT}}}, "status"),
        ("machines", machine, {"status": {"slot": "ams1-7"}}, "status"),
    ):
        with pytest.raises(Refused, match=ONLY):
            site.provider.patch(plural, site.namespace, name, change, sub)
