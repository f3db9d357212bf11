"""What an agent may write: the routes of its own Gateway's Slots and what it says of itself, nothing else."""

from __future__ import annotations

import pytest

from decent.cloudflare import Cloudflare
from decent.cluster import Refused
from decent.market import Market
from decent.names import Gateway

ONLY = "an agent writes status.route of its own Gateway's Slots and status.agent of its Gateway, nothing else"
RIGHTS = "forbidden"
AT = "2030-01-01T00:00:00Z"
ROUTE = {"route": {"programmed": True, "probedAt": AT, "banner": "SSH-2.0-x", "hostKeys": []}}
RELEASE = {"cause": "Teardown", "at": AT, "by": "me"}
CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Ready",
    "message": "I say so.",
    "lastTransitionTime": AT,
    "observedGeneration": 1,
}
# Kind, name, change, part, who refuses.
REFUSED = (
    ("slots", "ams1-0", {"status": {"phase": "Quarantined"}}, "status", ONLY),
    ("slots", "ams1-0", {"status": {"phase": "Releasing", "release": RELEASE}}, "status", ONLY),
    ("slots", "ams1-0", {"status": {"restingSince": AT}}, "status", ONLY),
    ("slots", "ams1-0", {"status": {"conditions": [CONDITION]}}, "status", ONLY),
    ("slots", "fra1-0", {"status": ROUTE}, "status", ONLY),
    ("slots", "ams1-0", {"metadata": {"labels": {"mine": "yes"}}}, None, RIGHTS),
    ("slots", "ams1-0", {"metadata": {"finalizers": None}}, None, RIGHTS),
    ("gateways", "ams1", {"status": {"fqdn": "mine.example"}}, "status", ONLY),
    ("gateways", "ams1", {"status": {"recordsUnder": ["mine.example"]}}, "status", ONLY),
    ("gateways", "ams1", {"status": {"identity": None}}, "status", ONLY),
    ("gateways", "ams1", {"status": {"capacity": 9}}, "status", ONLY),
    ("gateways", "ams1", {"status": {"used": 9}}, "status", ONLY),
    ("gateways", "ams1", {"status": {"slotsInUse": True}}, "status", ONLY),
    ("gateways", "ams1", {"status": {"challengesPublished": ["mine"]}}, "status", ONLY),
    ("gateways", "ams1", {"status": {"conditions": [CONDITION]}}, "status", ONLY),
    ("gateways", "ams1", {"status": {"observedGeneration": 9}}, "status", ONLY),
    ("gateways", "ams1", {"spec": {"dcId": "mine"}}, None, RIGHTS),
    ("gateways", "ams1", {"metadata": {"annotations": {"decent-cloud.org/leave-records": "true"}}}, None, RIGHTS),
    ("gateways", "fra1", {"status": {"agent": {"version": "1"}}}, "status", RIGHTS),
    ("machines", "m-1", {"status": {"decision": "Accepted"}}, "status", RIGHTS),
    ("pools", "rack1", {"spec": {"storage": "mine"}}, None, RIGHTS),
)


@pytest.fixture
def gateway(market: Market, cloudflare: Cloudflare) -> Gateway:
    """With a neighbour in the same namespace."""
    site = market.named(cloudflare)
    made, other = site.gateway().until_published(), site.gateway("fra1").until_published()
    for one in (made, other):
        site.slot(one, 0)
    return made


def test_an_agent_writes_its_routes_and_its_word(gateway: Gateway) -> None:
    hub, namespace = gateway.enrolled(), gateway.site.namespace
    written = hub.patch("slots", namespace, "ams1-0", {"status": ROUTE}, "status")
    assert written["status"]["route"]["banner"] == "SSH-2.0-x"
    gateway.says(hub, version="0.1.0", routes=1)
    assert gateway.status["agent"]["routes"] == 1


def test_an_agent_writes_nothing_else(gateway: Gateway) -> None:
    hub, namespace = gateway.enrolled(), gateway.site.namespace
    for plural, name, change, part, says in REFUSED:
        with pytest.raises(Refused, match=says) as refused:
            hub.patch(plural, namespace, name, change, part)
        assert refused.value.code == 403, f"{plural} {name} {change}: {refused.value}"


def test_an_agent_reads_no_secret_and_sees_no_neighbour(gateway: Gateway) -> None:
    hub, namespace = gateway.enrolled(), gateway.site.namespace
    core = f"/api/v1/namespaces/{namespace}"
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    drawn = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    for method, path, body in (
        ("GET", f"{core}/secrets", None),
        ("GET", f"{core}/secrets/{gateway.account}", None),
        ("GET", f"{core}/secrets/cloudflare", None),
        ("POST", f"{core}/serviceaccounts/gateway-fra1/token", drawn),
        ("POST", f"{core}/serviceaccounts/provider/token", drawn),
        ("GET", f"{leases}/decent-agent-fra1", None),
        ("GET", "/apis/decent-cloud.org/v1alpha1/slots", None),
        ("GET", hub.path("machines", namespace), None),
        ("GET", hub.path("gateways", namespace, "fra1"), None),
        ("DELETE", hub.path("slots", namespace, "ams1-0"), None),
        ("DELETE", hub.path("gateways", namespace, "ams1"), None),
    ):
        with pytest.raises(Refused) as refused:
            hub.call(method, path, body)
        assert refused.value.code == 403, f"{method} {path}: {refused.value}"
    assert [slot["metadata"]["name"] for slot in hub.list("slots", namespace)] == ["ams1-0", "fra1-0"]
