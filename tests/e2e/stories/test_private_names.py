"""Stories about names that need a Cloudflare or a gateway controller of their own."""

from __future__ import annotations

from decent.market import Private
from decent.names import Gateway
from decent.wait import steady, until

VALUE = "a" * 43


def site_of(private: Private, **options: str) -> Gateway:
    """A hub with a gateway controller, and a Gateway there."""
    private.operator()
    private.gateway_controller(**options)
    return private.named(private.cloudflare).gateway()


def test_a_restart_writes_nothing_and_doubts_nothing(private: Private) -> None:
    gateway = site_of(private).until_published()
    zone, since, mark = gateway.site.zone, gateway.said()["lastTransitionTime"], gateway.site.zone.mark()
    controller = private.services[-1]
    assert controller.stop() == 0
    controller.start()
    until("it looked at its records", lambda: zone.calls(mark))
    listed = len(until("it has listed them", lambda: zone.calls(mark)[2:]))
    gateway.annotate(note="looked at")
    gateway.site.slot(gateway, 0)
    until("it went on", lambda: gateway.status["used"] == 1)
    assert zone.calls(mark, mutating=True) == []
    assert len(zone.calls(mark)) == listed + 2
    assert gateway.said()["lastTransitionTime"] == since


def test_what_others_change_of_ours_is_mended_and_else_nothing_is_written(private: Private) -> None:
    gateway = site_of(private, dns_interval="1s").until_published()
    zone = gateway.site.zone
    mark = zone.mark()
    until("it was listed again", lambda: len(zone.calls(mark)) >= 4)
    assert zone.calls(mark, mutating=True) == []
    zone.remove(zone.records()[0])
    until("it is there again", gateway.addresses)
    gateway.until_published()


def test_what_was_seen_stays_while_cloudflare_is_away(private: Private) -> None:
    gateway = site_of(private, dns_interval="1s").until_published()
    zone, ready = gateway.site.zone, gateway.said()
    before = zone.records()
    private.cloudflare.refuse_connections()
    found = gateway.until_says("CloudflareUnreachable")
    assert (found["status"], found["lastTransitionTime"]) == ("True", ready["lastTransitionTime"])
    assert "stay as they are" in found["message"]
    assert zone.records() == before
    private.cloudflare.refuse_connections(False)
    gateway.until_published()


def test_a_name_is_published_once_all_servers_show_it(private: Private) -> None:
    private.operator()
    private.gateway_controller()
    cloudflare = private.cloudflare
    cloudflare.dns(server=2, stale=True)
    gateway = private.named(cloudflare).gateway()
    found = gateway.until_says("Publishing")
    assert found["status"] == "False"
    assert "127.0.0.2" in found["message"]
    assert len(gateway.addresses()) == 1
    cloudflare.dns(server=2, stale=False)
    gateway.until_published()
    hub = gateway.enrolled()
    cloudflare.dns(server=1, stale=True)
    gateway.says(hub, challenges=[VALUE])
    until("it is written", lambda: gateway.site.zone.texts(gateway.challenge_name) == {VALUE})
    steady("nothing is confirmed before all show it", lambda: not gateway.published(), 1.5)
    assert gateway.said()["reason"] == "Published"
    cloudflare.dns(server=1, stale=False)
    until("it is confirmed", lambda: gateway.published() == {VALUE})


def test_a_server_that_is_silent_proves_nothing(private: Private) -> None:
    gateway = site_of(private).until_published()
    controller = private.services[-1]
    controller.stop()
    private.cloudflare.dns(server=2, servfail=True)
    controller.start()
    said = gateway.until_says("Publishing")
    assert said["status"] == "True"
    private.cloudflare.dns(server=2, servfail=False)
    gateway.until_published()


def test_what_may_enrol_a_host_does_not_grow_old(private: Private) -> None:
    gateway = site_of(private, enrolment_life="2s").until_published()
    gateway.identity()
    gateway.enrolment_secret()
    cluster, namespace = private.cluster, gateway.site.namespace
    until("it is gone unused", lambda: cluster.core_get("secrets", namespace, "enrol") is None)
    assert cluster.core_get("secrets", namespace, "cloudflare"), "only what enrols a host goes"
