"""A Gateway's names at Cloudflare: one wildcard, challenges, what is told, and what is never touched."""

from __future__ import annotations

import time

import pytest

from decent.cloudflare import Cloudflare, Zone
from decent.cluster import Cluster, condition
from decent.market import Market, short
from decent.names import Gateway
from decent.wait import steady, until

ONE, TWO = "a" * 43, "b" * 43
BUSY = {"refuse": {"status": 429, "code": 971, "message": "More than 1200 requests per 300 seconds", "retry_after": 3}}
# What people have in a zone, types that we never heard of included.
NEIGHBOURS = (
    ("A", "www", "192.0.2.80"),
    ("CAA", "@", '0 issue "ca.example"'),
    ("MX", "@", "mail.example"),
    ("TXT", "_acme-challenge.www", '"theirs"'),
    ("NS", "delegated", "ns.elsewhere.example"),
    ("WALLET", "odd", "who knows"),
)


def hub_and_gateway(cluster: Cluster, gateway: Gateway) -> tuple[str, str]:
    return cluster.hub_uid(), gateway.read()["metadata"]["uid"]


def test_a_gateway_has_one_wildcard_and_says_what_it_holds(market: Market, cloudflare: Cloudflare) -> None:
    gateway = market.named(cloudflare).gateway().until_published()
    hub, uid = hub_and_gateway(market.cluster, gateway)
    (record,) = gateway.site.zone.records()
    assert (record["name"], record["type"], record["content"]) == (f"*.{gateway.fqdn}", "A", "192.0.2.10")
    assert record["comment"] == f"decent-cloud hub={hub} gateway={uid}"
    status = gateway.status
    assert (status["fqdn"], status["capacity"], status["used"]) == (gateway.fqdn, 4000, 0)
    assert condition(gateway.read(), "Ready")["reason"] == "NotEnrolled"


def test_a_site_of_the_market_needs_no_zone_of_its_own(market: Market, cloudflare: Cloudflare) -> None:
    zone = cloudflare.market()
    gateway = market.named(cloudflare, zone).gateway(dcId=f"m{short()}").until_published()
    assert [record["content"] for record in gateway.addresses()] == ["192.0.2.10"]
    gateway.delete()
    name = f"*.{gateway.fqdn}"
    gateway.until_gone()
    assert zone.records(name=name) == []


def test_a_settled_gateway_asks_nobody(market: Market, cloudflare: Cloudflare) -> None:
    gateway = market.named(cloudflare).gateway().until_published()
    mark = gateway.site.zone.mark()
    gateway.annotate(note="looked at")
    for index in range(5):
        gateway.site.slot(gateway, index)
    until("the Slots are counted", lambda: gateway.status["used"] == 5)
    assert gateway.said()["reason"] == "Published"
    assert gateway.site.zone.calls(mark) == []


def test_twenty_contracts_cause_no_call(market: Market, cloudflare: Cloudflare) -> None:
    zone = cloudflare.zone(f"z{short()}.example")
    dns = {"domain": zone.name, "dns": {"cloudflare": {"zoneId": zone.id, "tokenSecretRef": {"name": "cloudflare"}}}}
    site = market.site(sim={"cores": 64, "memory": "256Gi"}, gateway=dns)
    site.provider.put_secret(site.namespace, "cloudflare", {"token": zone.token})

    def status() -> dict:
        return site.cluster.get("gateways", site.namespace, "ams1").get("status") or {}

    def published() -> bool:
        return condition({"status": status()}, "DNSReady").get("reason") == "Published"

    until("its name is published", published, seen=status)
    mark, tenant = zone.mark(), market.tenant(limits={"contracts": 20})
    for number in range(20):
        tenant.rent(site, f"web-{number}")
    until("all have their place", lambda: status()["used"] == 20, seen=status)
    assert zone.calls(mark) == []


def test_challenges_are_published_side_by_side_and_removed(market: Market, cloudflare: Cloudflare) -> None:
    gateway = market.named(cloudflare).gateway().until_published()
    zone, name, since = gateway.site.zone, gateway.challenge_name, gateway.said()["lastTransitionTime"]
    hub = gateway.enrolled()
    for wanted in ({ONE}, {ONE, TWO}, {TWO}, set()):
        gateway.says(hub, challenges=sorted(wanted))
        until("they are confirmed", lambda wanted=wanted: gateway.published() == wanted, seen=gateway.published)
        until("others are gone", lambda wanted=wanted: zone.texts(name) == wanted, seen=lambda: zone.texts(name))
    assert len(gateway.addresses()) == 1
    assert gateway.said()["lastTransitionTime"] == since, "the addresses were never in doubt"


def test_a_challenge_of_nobodys_host_is_not_published(market: Market, cloudflare: Cloudflare) -> None:
    gateway = market.named(cloudflare).gateway().until_published()
    mark = gateway.site.zone.mark()
    gateway.says(gateway.token(), challenges=[ONE])
    gateway.site.slot(gateway, 0)
    until("it was looked at", lambda: gateway.status["used"] == 1)
    assert gateway.site.zone.calls(mark) == []


def test_an_agent_that_changes_its_mind_has_a_share_of_the_calls(market: Market, cloudflare: Cloudflare) -> None:
    gateway = market.named(cloudflare).gateway().until_published()
    zone, hub = gateway.site.zone, gateway.enrolled()
    mark, begun = zone.mark(), time.monotonic()
    for number in range(60):
        gateway.says(hub, challenges=[f"{number:043}"])
    last = f"{59:043}"
    until("the last one is confirmed", lambda: gateway.published() == {last}, seen=gateway.published)
    looks = [call for call in zone.calls(mark) if call["method"] == "GET" and "comment" in call["query"]]
    assert len(looks) <= 13 + (time.monotonic() - begun)


def test_a_removal_that_fails_for_ever_holds_up_nothing(market: Market, cloudflare: Cloudflare) -> None:
    gateway = market.named(cloudflare).gateway().until_published()
    zone, hub = gateway.site.zone, gateway.enrolled()
    fault = zone.fault({"refuse": {"status": 500, "code": 10000, "message": "no"}}, method="DELETE", count=0)
    for wanted in ({ONE, TWO}, {TWO}):
        gateway.says(hub, challenges=sorted(wanted))
        until("they are confirmed", lambda wanted=wanted: gateway.published() == wanted, seen=gateway.published)
    assert zone.texts(gateway.challenge_name) == {ONE, TWO}
    gateway.patch(dcId="fra1")
    until("the new name is published", lambda: gateway.status.get("fqdn") == gateway.fqdn)
    gateway.until_published()
    zone.mend(fault)
    gateway.says(hub, challenges=[])
    until("all that is old is gone", lambda: len(zone.records()) == 1, seen=zone.records)
    until("the old name is forgotten", lambda: gateway.status["recordsUnder"] == [gateway.fqdn])


@pytest.mark.parametrize(("kind", "content"), [("A", "198.51.100.1"), ("CNAME", "elsewhere.example")])
def test_a_foreign_record_at_our_name_is_never_overwritten(
    market: Market, cloudflare: Cloudflare, kind: str, content: str
) -> None:
    site = market.named(cloudflare)
    theirs = site.zone.foreign(kind, f"*.ams1.gw.{site.zone.name}", content)
    gateway = site.gateway()
    found = gateway.until_says("ForeignRecord")
    assert found["status"] == "False"
    assert content in found["message"]
    assert "Remove it at Cloudflare, or choose another dcId." in found["message"]
    assert gateway.said("Ready")["reason"] == "ForeignRecord"
    assert (site.zone.records(), site.zone.calls(mutating=True)) == ([theirs], [])
    site.zone.remove(theirs)
    gateway.until_published()


def test_what_others_have_in_the_zone_survives_everything(market: Market, cloudflare: Cloudflare) -> None:
    site = market.named(cloudflare)
    zone = site.zone
    theirs = [zone.foreign(kind, name, content) for kind, name, content in NEIGHBOURS]
    gateway = site.gateway().until_published()
    # Whoever copies our comment to a record elsewhere has not given it to us.
    theirs.append(zone.foreign("A", "forged", "192.0.2.81", comment=gateway.addresses()[0]["comment"]))

    def others() -> list[dict]:
        return [record for record in zone.records() if ".gw." not in record["name"]]

    assert others() == theirs
    gateway.patch(dcId="fra1")
    until(
        "the new name is there",
        lambda: [r["name"] for r in zone.records(type="A") if ".gw." in r["name"]] == [f"*.fra1.gw.{zone.name}"],
        seen=zone.records,
    )
    assert others() == theirs
    gateway.until_published()
    gateway.delete()
    gateway.until_gone()
    assert zone.records() == theirs


def test_a_blocked_token_waits_as_long_as_it_is_told(market: Market, cloudflare: Cloudflare) -> None:
    site = market.named(cloudflare)
    site.zone.fault(BUSY)
    gateway = site.gateway()
    gateway.until_says("RateLimited")
    gateway.until_published()
    blocked, after = site.zone.calls()[:2]
    assert blocked["status"] == 429
    assert after["time_ms"] - blocked["time_ms"] >= 3000


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_a_write_whose_answer_is_lost_is_done_once(market: Market, cloudflare: Cloudflare, method: str) -> None:
    site = market.named(cloudflare)
    if method != "POST":
        site.gateway().until_published()
    fault = site.zone.fault("drop_after", method=method)
    gateway = site.gateway()
    if method == "DELETE":
        gateway.patch(dcId="fra1")
    if method == "PUT":
        gateway.patch(publicIPs=["192.0.2.11"])
    until("its answer was lost", lambda: site.zone.faults_met(fault) == 1)
    until("it is there", lambda: len(gateway.addresses()) == 1 and len(site.zone.records()) == 1)
    gateway.until_published()
    assert len([call for call in site.zone.calls(mutating=True) if call["method"] == method]) == 1


def test_silence_is_told_until_it_ends(market: Market, cloudflare: Cloudflare) -> None:
    site = market.named(cloudflare)
    fault = site.zone.fault("drop_before", count=0)
    gateway = site.gateway()
    assert "tried again" in gateway.until_says("CloudflareUnreachable")["message"]
    site.zone.mend(fault)
    gateway.until_published()


def stays(zone: Zone, records: list[dict]) -> None:
    assert zone.records() == records, "nothing was touched"


@pytest.mark.parametrize("reason", ["TokenRejected", "DnsDenied", "ZoneMissing"])
def test_what_the_token_may_no_longer_do_is_told(market: Market, cloudflare: Cloudflare, reason: str) -> None:
    gateway = market.named(cloudflare).gateway().until_published()
    zone = gateway.site.zone
    before = zone.records()
    if reason == "TokenRejected":
        zone.revoke()
    elif reason == "DnsDenied":
        zone.rights("zone:read")
    else:
        gone = zone.fault(
            {"refuse": {"status": 403, "code": 9109, "message": "Unauthorized to access requested resource"}}, count=0
        )
    gateway.patch(publicIPs=["192.0.2.10", "192.0.2.11"])
    assert gateway.until_says(reason)["status"] == "False"
    stays(zone, before)
    if reason == "TokenRejected":
        zone.restore()
    elif reason == "DnsDenied":
        zone.rights("zone:read", "dns:edit")
    else:
        zone.mend(gone)
    until("both addresses are there", lambda: len(gateway.addresses()) == 2)
    gateway.until_published()


def test_a_secret_without_a_token_is_named_with_its_remedy(market: Market, cloudflare: Cloudflare) -> None:
    site = market.named(cloudflare)
    site.provider.put_secret(site.namespace, "cloudflare", {"other": "x"})
    gateway = site.gateway()
    assert f"create secret generic cloudflare -n {site.namespace}" in gateway.until_says("TokenMissing")["message"]
    site.put_token("a token with spaces")
    gateway.until_says("TokenRejected")
    site.put_token()
    gateway.until_published()


def test_a_name_outside_the_own_zone_is_refused(market: Market, cloudflare: Cloudflare) -> None:
    gateway = market.named(cloudflare).gateway(domain="elsewhere.example")
    assert gateway.site.zone.name in gateway.until_says("ZoneMismatch")["message"]
    gateway.patch(domain=gateway.site.zone.name)
    gateway.until_published()


def test_a_zone_that_is_not_there_is_told(market: Market, cloudflare: Cloudflare) -> None:
    site = market.named(cloudflare)
    site.zone.vanish()
    gateway = site.gateway()
    gateway.until_says("ZoneMissing")
    gateway.delete()
    gateway.until_gone()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"domain": "nowhere.example"}, "ZoneMissing"),
        ({"prefix": "www"}, "ZoneMismatch"),
        ({"prefix": "ams1", "domain": "gw.market.example"}, "ZoneMismatch"),
    ],
    ids=["no zone", "the market's own name", "below another site"],
)
def test_the_markets_zone_has_sites_in_one_place_only(
    market: Market, cloudflare: Cloudflare, spec: dict, reason: str
) -> None:
    zone = cloudflare.market()
    gateway = market.named(cloudflare, zone).gateway(dcId=f"m{short()}", **spec)
    gateway.until_says(reason)
    assert zone.records(name=f"*.{gateway.fqdn}") == []
    gateway.delete()
    gateway.until_gone()


def uids(records: list[dict]) -> list[str]:
    return [record["comment"].rpartition("=")[2] for record in records]


def test_of_two_gateways_with_one_name_the_younger_waits(market: Market, cloudflare: Cloudflare) -> None:
    zone, name = cloudflare.market(), f"m{short()}"
    older = market.named(cloudflare, zone).gateway(dcId=name).until_published()
    younger = market.named(cloudflare, zone).gateway("fra1", dcId=name)
    assert f"{older.site.namespace}/ams1" in younger.until_says("NameTaken")["message"]
    assert younger.said("Ready")["reason"] == "NameTaken"
    assert "fqdn" not in younger.status
    assert uids(older.addresses()) == [older.read()["metadata"]["uid"]]
    older.delete()
    older.until_gone()
    younger.until_published()
    assert uids(younger.addresses()) == [younger.read()["metadata"]["uid"]]


def test_nobody_takes_a_name_over_by_changing_his_own(market: Market, cloudflare: Cloudflare) -> None:
    zone, name = cloudflare.market(), f"m{short()}"
    older = market.named(cloudflare, zone).gateway(dcId=f"m{short()}").until_published()
    holder = market.named(cloudflare, zone).gateway(dcId=name).until_published()
    before = holder.addresses()
    older.patch(dcId=name)
    older.until_says("NameTaken")
    assert holder.annotate(note="looked at again") is None
    steady("it has its name", lambda: holder.said()["reason"] == "Published", 1)
    assert holder.addresses() == before


def test_a_gateway_goes_after_its_slots(market: Market, cloudflare: Cloudflare) -> None:
    gateway = market.named(cloudflare).gateway().until_published()
    slot = gateway.site.slot(gateway, 0)
    until("it is counted", lambda: gateway.status["used"] == 1)
    gateway.delete()
    gateway.until_says("InUse", "Ready")
    assert len(gateway.addresses()) == 1
    market.cluster.delete("slots", gateway.site.namespace, slot)
    gateway.until_gone()
    assert gateway.site.zone.records() == []


def test_records_are_left_when_a_person_says_so(market: Market, cloudflare: Cloudflare) -> None:
    gateway = market.named(cloudflare).gateway().until_published()
    zone = gateway.site.zone
    before = zone.records()
    zone.revoke()
    gateway.delete()
    line = f"kubectl annotate gateway ams1 -n {gateway.site.namespace} decent-cloud.org/leave-records=true"
    assert line in gateway.until_says("TokenRejected")["message"]
    gateway.annotate(**{"leave-records": "true"})
    gateway.until_gone()
    stays(zone, before)
