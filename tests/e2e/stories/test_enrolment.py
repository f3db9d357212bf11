"""How a host comes to serve a Gateway, how it is shut out, and how its life shows."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from decent.cloudflare import Cloudflare
from decent.cluster import Cluster, Object, Refused, version
from decent.market import Market
from decent.names import Gateway
from decent.wait import steady, until

# Longer than the API server remembers a token.
CACHED = 25.0


@pytest.fixture
def gateway(market: Market, cloudflare: Cloudflare) -> Gateway:
    made = market.named(cloudflare).gateway().until_published()
    made.until_says("NotEnrolled", "AgentConnected")
    return made


def secret(gateway: Gateway, name: str) -> Object | None:
    return gateway.site.cluster.core_get("secrets", gateway.site.namespace, name)


def until_dead(hub: Cluster, gateway: Gateway) -> None:
    def dead() -> bool:
        try:
            hub.get("gateways", gateway.site.namespace, gateway.name)
        except Refused as error:
            return error.code == 401
        return False

    until("its token is dead", dead, CACHED)


def test_what_enrols_a_host_is_gone_once_one_has_enrolled(gateway: Gateway) -> None:
    made = [gateway.enrolment_secret(name) for name in ("enrol", "spare")]
    hub = gateway.token(made[0])
    assert gateway.enrol(hub) == gateway.status["agent"]["enrolment"]
    for one in made:
        name = one["metadata"]["name"]
        until(f"{name} is gone", lambda name=name: secret(gateway, name) is None)
    gateway.until_says("AgentSilent", "AgentConnected")
    until_dead(hub, gateway)
    assert gateway.token().get("gateways", gateway.site.namespace, gateway.name), "its own token lives"


def test_of_two_hosts_one_enrols(gateway: Gateway) -> None:
    hub = gateway.token(gateway.enrolment_secret())
    rival = gateway.token()
    first = gateway.enrol(hub)
    with pytest.raises(Refused, match="another host has enrolled for this Gateway"):
        gateway.enrol(rival)
    made_up = {"host": str(uuid.uuid4()), "identity": str(uuid.uuid4())}
    with pytest.raises(Refused, match="a host enrols with the present identity"):
        gateway.says(rival, enrolment=made_up)
    for gone in ({"agent": None}, {"agent": {"enrolment": None}}):
        with pytest.raises(Refused):
            rival.patch("gateways", gateway.site.namespace, gateway.name, {"status": gone}, "status")
    assert gateway.status["agent"]["enrolment"] == first


def test_a_revoked_host_is_shut_out_and_another_may_enrol(gateway: Gateway) -> None:
    hub, before = gateway.enrolled(), gateway.identity()
    gateway.until_says("AgentSilent", "AgentConnected")
    gateway.site.provider.delete_secret(gateway.site.namespace, gateway.account)
    gateway.until_says("NotEnrolled", "AgentConnected")
    until_dead(hub, gateway)
    assert secret(gateway, gateway.account) is None, "while the old token lives there is nothing to bind another to"
    until("there is another identity", lambda: gateway.identity() != before)
    until("it is told", lambda: gateway.status["identity"] == gateway.identity())
    second = gateway.enrol(gateway.token(gateway.enrolment_secret()))
    assert gateway.status["agent"]["enrolment"] == second
    gateway.until_says("AgentSilent", "AgentConnected")


def test_an_agent_draws_no_token_that_outlives_its_identity(gateway: Gateway) -> None:
    hub = gateway.token(gateway.enrolment_secret())
    spare = gateway.enrolment_secret("spare")
    path = f"/api/v1/namespaces/{gateway.site.namespace}/serviceaccounts/{gateway.account}/token"

    def draw(**spec: object) -> Object:
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []} | spec}
        return hub.call("POST", path, asked)["status"]

    def bound(name: str) -> Object:
        return {"apiVersion": "v1", "kind": "Secret", "name": name}

    for spec in ({}, {"boundObjectRef": bound(spare["metadata"]["name"])}):
        with pytest.raises(Refused, match="bound to the Secret that is its identity"):
            draw(**spec)
    with pytest.raises(Refused, match="90 days at most"):
        draw(boundObjectRef=bound(gateway.account), expirationSeconds=91 * 86400)
    assert draw(boundObjectRef=bound(gateway.account), expirationSeconds=90 * 86400)["token"]


def renew(gateway: Gateway, hub: Cluster, seconds: int) -> None:
    """A heartbeat."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{gateway.site.namespace}/leases/decent-agent-{gateway.name}"
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    spec = {"holderIdentity": "host", "leaseDurationSeconds": seconds, "renewTime": now}
    hub.call("PATCH", path, {"spec": spec}, media="application/merge-patch+json")


def test_an_agent_is_connected_as_long_as_it_renews_its_lease(gateway: Gateway) -> None:
    hub = gateway.enrolled()
    renew(gateway, hub, 3)
    gateway.until_says("Connected", "AgentConnected")
    written = version(gateway.read())

    def lives() -> bool:
        renew(gateway, hub, 3)
        return version(gateway.read()) == written

    steady("it is connected, and nothing is written for it", lives, 4)
    assert gateway.until_says("AgentSilent", "AgentConnected")["status"] == "False"
    renew(gateway, hub, 30)
    assert gateway.until_says("Connected", "AgentConnected")["status"] == "True"
