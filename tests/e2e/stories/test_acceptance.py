"""Who may rent what, on which terms, and who says yes."""

from __future__ import annotations

import json
import re

import pytest

from decent.cluster import Refused, condition, moment
from decent.contract import Contract
from decent.market import Market
from decent.site import Site
from decent.wait import steady

ASK = {"autoAccept": {"enabled": False}}
KEY = "0b" * 32


def untouched(site: Site) -> bool:
    return site.sim.changes() == []


def test_the_provider_accepts(market: Market) -> None:
    site = market.site(provider=ASK)
    contract = market.tenant().rent(site)
    waiting = contract.until_reason("AwaitingProvider")
    assert waiting["actor"] == "Provider"
    assert moment(waiting["deadline"]).strftime("%Y-%m-%d %H:%M:%S UTC") in waiting["nextStep"]
    assert contract.state == "Requested"
    steady("nothing is done before the answer", lambda: untouched(site), 1)
    contract.decide("Accepted")
    found = contract.until_holds("Provisioned")
    assert condition(found, "Accepted")["reason"] == "Accepted"


def test_the_provider_rejects(market: Market) -> None:
    site = market.site(provider=ASK)
    contract = market.tenant().rent(site)
    contract.until_reason("AwaitingProvider")
    contract.decide("Rejected", "no room for mail servers")
    found = contract.until_state("Rejected")
    said = condition(found, "Ready")
    assert said["reason"] == "RejectedByProvider"
    assert "no room for mail servers" in said["message"]
    contract.until("its Machine is gone", lambda: contract.machine() is None)
    assert untouched(site)


def test_a_decision_is_made_once(market: Market) -> None:
    site = market.site(provider=ASK)
    contract = market.tenant().rent(site)
    contract.until_reason("AwaitingProvider")
    contract.decide("Accepted")
    with pytest.raises(Refused, match="a decision is made once"):
        contract.decide("Rejected")


@pytest.mark.parametrize(("hours", "accepted"), [(9, False), (10, True), (100, True), (101, False)])
def test_standing_rules_accept_within_their_bounds(market: Market, hours: int, accepted: bool) -> None:
    rules = [{"offering": "small", "minHours": 10, "maxHours": 100}]
    site = market.site(provider={"autoAccept": {"enabled": True, "rules": rules}})
    contract = market.tenant().rent(site, durationHours=hours)
    if accepted:
        found = contract.until_holds("Accepted")
        assert condition(found, "Accepted")["reason"] == "AutoAccepted"
    else:
        contract.until_reason("AwaitingProvider")
        assert untouched(site)


def test_an_offering_without_a_rule_is_accepted(market: Market) -> None:
    rules = [{"offering": "large", "minHours": 10}]
    site = market.site(provider={"autoAccept": {"enabled": True, "rules": rules}})
    found = market.tenant().rent(site, durationHours=1).until_holds("Accepted")
    assert condition(found, "Accepted")["reason"] == "AutoAccepted"


def test_renting_from_oneself_is_free_and_needs_no_answer(market: Market) -> None:
    site = market.site(
        provider=ASK, offering={"visibility": "Private", "price": {"monthly": "12.50"}, "hours": {"max": 720}}
    )
    contract = market.owner(site).rent(site, durationHours=720)
    found = contract.until_holds("Provisioned")
    assert condition(found, "Accepted")["reason"] == "SelfRental"
    assert condition(found, "Paid")["reason"] == "Free"
    assert found["status"]["price"] == {"amountE9s": 0, "currency": "USD"}


@pytest.mark.parametrize(("hours", "amount"), [(720, 12_500_000_000), (1, 17_361_111), (72, 1_250_000_000)])
def test_the_price_is_exact_and_fixed(market: Market, hours: int, amount: int) -> None:
    site = market.site(offering={"price": {"monthly": "12.50"}})
    contract = market.tenant().rent(site, durationHours=hours, payment={"method": "Test"})
    found = contract.until_holds("Paid")
    assert found["status"]["price"] == {"amountE9s": amount, "currency": "USD"}
    site.patch("offerings", "small", price={"monthly": "99"})
    contract.until_holds("Provisioned")
    assert contract.status["price"]["amountE9s"] == amount


def test_what_costs_something_is_not_had_for_free(market: Market) -> None:
    site = market.site(offering={"price": {"monthly": "12.50"}})
    contract = market.tenant().rent(site, durationHours=720)
    found = contract.until_state("Rejected")
    said = condition(found, "Ready")
    assert said["reason"] == "PaymentRequired"
    assert "12.5" in said["message"]
    assert "USD" in said["message"]
    assert untouched(site)


def test_hours_outside_of_the_offerings_range_are_rejected(market: Market) -> None:
    site = market.site(offering={"hours": {"min": 24, "max": 720}})
    found = market.tenant().rent(site, durationHours=1).until_state("Rejected")
    said = condition(found, "Ready")
    assert said["reason"] == "HoursOutOfRange"
    assert re.search(r"24 to 720 h, not for 1 h", said["message"])


def test_an_offering_out_of_stock_waits_until_it_is_back(market: Market) -> None:
    site = market.site(offering={"stock": "OutOfStock"}, ready=False)
    contract = market.tenant().rent(site)
    waiting = contract.until_reason("OutOfStock")
    assert waiting["actor"] == "Provider"
    assert untouched(site)
    site.patch("offerings", "small", stock="InStock")
    contract.until_holds("Provisioned")


def test_a_discontinued_offering_is_rejected(market: Market) -> None:
    site = market.site(offering={"stock": "Discontinued"}, ready=False)
    found = market.tenant().rent(site).until_state("Rejected")
    assert condition(found, "Ready")["reason"] == "Discontinued"


def test_a_paused_provider_takes_nothing_new_and_keeps_what_runs(market: Market) -> None:
    site = market.site(agent=True)
    tenant = market.tenant()
    running = tenant.rent(site, "running")
    running.until_holds("Ready")
    site.patch("providers", "provider", paused=True)
    late = tenant.rent(site, "late")
    assert late.until_reason("ProviderPaused")["actor"] == "Provider"
    assert running.state == "Active"
    site.patch("providers", "provider", paused=False)
    late.until_holds("Provisioned")


def test_an_account_has_no_more_contracts_than_it_may(market: Market) -> None:
    site = market.site()
    tenant = market.tenant(limits={"contracts": 1})
    first = tenant.rent(site, "first")
    first.until_holds("Provisioned")
    second = tenant.rent(site, "second")
    waiting = second.until_reason("AccountLimit")
    assert waiting["actor"] == "Tenant"
    assert second.machine() is None
    first.cancel()
    second.until_holds("Provisioned")


def what_it_says(contract: Contract) -> str:
    """Everything that the tenant can read of it but names and times."""
    status = contract.status
    for one in status["conditions"]:
        one.pop("lastTransitionTime")
    status["waiting"].pop("since")
    text = json.dumps(status, sort_keys=True)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d( UTC|Z)", "TIME", text)
    return text.replace(status.get("id", "-"), "ID").replace(contract.get()["spec"]["offeringRef"]["name"], "OFFERING")


@pytest.mark.parametrize(
    "hidden",
    [
        {"visibility": "Private"},
        {"visibility": "Shared", "allow": ["somebody-else", KEY]},
        {"visibility": "Public", "draft": True},
        {"visibility": "Private", "stock": "Discontinued"},
        {"visibility": "Private", "hours": {"min": 1, "max": 2}},
        {"visibility": "Private", "price": {"monthly": "5"}},
    ],
    ids=["private", "not-shared-with-me", "draft", "private-discontinued", "private-short", "private-priced"],
)
def test_a_hidden_offering_answers_like_one_that_does_not_exist(market: Market, hidden: dict) -> None:
    site = market.site()
    name = site.offer("hidden", **hidden)
    tenant = market.tenant()
    asked = tenant.rent(site, "hidden", offering=name)
    wrong = tenant.rent(site, "wrong", offering=f"{site.namespace}/nowhere")
    elsewhere = tenant.rent(site, "elsewhere", offering=f"{site.namespace}x/nowhere")
    for contract in (asked, wrong, elsewhere):
        assert contract.until_reason("OfferingNotFound")["actor"] == "Tenant"
        assert contract.machine() is None
    assert what_it_says(asked) == what_it_says(wrong)
    assert what_it_says(elsewhere).replace(f"{site.namespace}x/", f"{site.namespace}/") == what_it_says(wrong)


def test_a_shared_offering_can_be_rented_by_name_or_by_key(market: Market) -> None:
    site = market.site()
    by_name, by_key = market.tenant("alice"), market.tenant("bob", publicKeys=[{"key": KEY}])
    shared = site.offer("shared", visibility="Shared", allow=[by_name.account, KEY])
    for tenant in (by_name, by_key):
        tenant.rent(site, offering=shared).until_holds("Accepted")


def test_a_tenant_sees_nothing_of_a_provider(market: Market) -> None:
    site = market.site()
    tenant = market.tenant()
    persona = market.cluster.acting_as(tenant.namespace, "tenant")
    for plural in ("slots", "machines", "pools", "gateways", "offerings", "contracts"):
        with pytest.raises(Refused, match="forbidden"):
            persona.list(plural, site.namespace)
    assert persona.list("contracts", tenant.namespace) == []


def test_a_provider_may_only_decide_about_machines(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    name = contract.machine_name
    with pytest.raises(Refused) as caught:
        site.provider.patch("machines", site.namespace, name, {"spec": {"powerState": "Stopped"}})
    assert caught.value.code == 403
    with pytest.raises(Refused) as caught:
        site.provider.delete("slots", site.namespace, contract.slot()["metadata"]["name"])
    assert caught.value.code == 403


def test_an_account_that_is_ready_may_be_used_at_once(market: Market) -> None:
    site = market.site()
    for nth in range(10):
        contract = market.tenant(f"t{nth}").rent(site)
        assert contract.find(), "the first call of a fresh tenant is let through"
