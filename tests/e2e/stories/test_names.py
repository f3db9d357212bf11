"""A Gateway's names at Cloudflare: one wildcard, challenges, what is told, and what is never touched."""

from __future__ import annotations

from decent.cloudflare import Cloudflare
from decent.cluster import Cluster, condition
from decent.market import Market, short
from decent.names import Gateway

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
