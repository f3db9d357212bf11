"""Stories that need a hub of their own: short limits, operators that restart, take over or disagree."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from decent.cluster import KINDS, Cluster, Refused, condition, moment, version
from decent.contract import Contract, phase
from decent.market import Private
from decent.operator import SHORT_LEASE, SWITCHES
from decent.simulator import CLONE
from decent.wait import steady, until

ASK = {"autoAccept": {"enabled": False}}


def test_a_request_that_nobody_answers_expires(private: Private) -> None:
    private.operator(request_limit="4s")
    site = private.site(provider=ASK)
    contract = private.tenant().rent(site)
    deadline = moment(contract.until_reason("AwaitingProvider")["deadline"])
    found = contract.until_state("Expired")
    assert timedelta() <= datetime.now(UTC) - deadline <= timedelta(seconds=2)
    assert "has not answered" in condition(found, "Ready")["message"]
    assert condition(found, "Accepted")["reason"] == "AwaitingProvider"
    contract.until("its Machine is gone", lambda: contract.machine() is None)
    assert site.sim.changes() == []


def fails(contract: Contract, cause: str, says: str) -> None:
    found = contract.until_state("ProvisioningFailed")
    said = condition(found, "Ready")
    assert said["reason"] == "ProvisioningFailed"
    assert says in said["message"], said
    assert "Refunded in full" in said["message"]
    assert condition(found, "Provisioned")["reason"] == cause
    contract.until_clean()
    assert contract.site.sim.vms() == []


def test_a_deadline_passed_while_proxmox_is_down_names_it(private: Private) -> None:
    private.operator(provisioning_limit="8s")
    site = private.site()
    site.sim.refuse_connections()
    site.until_pool("ProxmoxUnreachable")
    fails(private.tenant().rent(site), "ProxmoxUnreachable", "No answer from")
    assert site.sim.changes() == []


def test_a_deadline_passed_while_cloning_leaves_nothing(private: Private) -> None:
    private.operator(provisioning_limit="8s")
    site = private.site(sim={"clone_seconds": 60})
    contract = private.tenant().rent(site)
    contract.until_reason("Cloning")
    fails(contract, "Cloning", "Cloning")


def test_a_deadline_passed_without_capacity_names_what_is_short(private: Private) -> None:
    private.operator(provisioning_limit="8s")
    site = private.site(sim={"memory": "8Gi"})
    huge = site.offer("huge", resources={"cpu": 1, "memory": "64Gi", "disk": "4Gi"})
    fails(private.tenant().rent(site, offering=huge), "WaitingForCapacity", "more memory")


def test_a_deadline_passed_by_failing_clones_names_the_failure(private: Private) -> None:
    private.operator(provisioning_limit="8s")
    site = private.site()
    site.sim.fault({"fail_task": {"exitstatus": "clone failed: disk of sorrow"}}, method="POST", path=CLONE, count=0)
    fails(private.tenant().rent(site), "TaskFailed", "disk of sorrow")


def test_a_deadline_passed_in_a_second_attempt_names_both(private: Private) -> None:
    private.operator(provisioning_limit="8s")
    site = private.site(sim={"clone_seconds": 60})
    site.sim.fault({"refuse": {"status": 500, "reason": "got timeout"}}, method="POST", path=CLONE)
    contract = private.tenant().rent(site)
    contract.until_reason("Cloning")
    fails(contract, "Cloning", "got timeout")


def test_an_unreadable_provider_is_not_served(private: Private) -> None:
    """What a later version may say of who serves it cannot be known, so nobody of this one does."""
    private.operator()
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/providers.decent-cloud.org"
    known = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/operator/enum/-"
    later = [{"op": "add", "path": known, "value": "Remote"}]
    private.cluster.call("PATCH", path, later, media="application/json-patch+json")
    site = private.site()

    def takes() -> bool:
        try:
            site.patch("providers", "provider", operator="Remote")
        except Refused:
            return False
        return True

    until("the API server takes the later version's word", takes)

    def silent() -> bool:
        before = site.sim.mark()
        with suppress(AssertionError):
            steady("nobody calls it", lambda: site.sim.mark() == before, 4)
            return True
        return False

    until("its Proxmox is called no more", silent)


def test_a_machine_never_reached_is_refunded_and_removed(private: Private) -> None:
    private.operator(provisioning_limit="8s")
    site = private.site()
    contract = private.tenant().rent(site)
    contract.until_holds("Provisioned")
    found = contract.until_state("ProvisioningFailed")
    assert "SSH" in condition(found, "Ready")["message"]
    contract.until_clean()


def test_a_rested_slot_goes_and_its_index_is_used_again(private: Private) -> None:
    private.operator(slot_rest="3s")
    site = private.site()
    tenant = private.tenant()
    first = tenant.rent(site, "first")
    first.until_holds("Provisioned")
    index = first.slot()["spec"]["index"]
    first.cancel()
    until("a Slot rests", lambda: [phase(slot) for slot in site.slots()] == ["Resting"])
    second = tenant.rent(site, "second")
    second.until_holds("Provisioned")
    assert second.slot()["spec"]["index"] != index, "a resting index is not given to the next tenant at once"
    until("the rested Slot is gone", lambda: len(site.slots()) == 1)
    third = tenant.rent(site, "third")
    third.until_holds("Provisioned")
    assert third.slot()["spec"]["index"] == index


def test_what_cannot_be_proven_absent_is_abandoned_in_the_open(private: Private) -> None:
    private.operator(abandon_after="4s")
    site = private.site()
    contract = private.tenant().rent(site)
    contract.until_holds("Provisioned")
    vmid, slot = contract.vm()["vmid"], contract.slot()["metadata"]["name"]
    site.sim.new_secret()
    site.until_pool("TokenRejected")
    contract.cancel()
    contract.until("its Machine ends", lambda: contract.machine() is None)
    left = private.cluster.get("slots", site.namespace, slot)
    assert phase(left) == "Quarantined"
    assert str(vmid) in condition(left, "Ready")["message"]
    assert site.sim.vm(vmid), "nothing was destroyed blindly"


def test_the_method_test_needs_the_markets_leave(private: Private) -> None:
    private.operator(switches=tuple(switch for switch in SWITCHES if "payment" not in switch))
    site = private.site(offering={"price": {"monthly": "1"}, "hours": {"max": 720}})
    contract = private.tenant().rent(site, durationHours=720, payment={"method": "Test"})
    found = contract.until_state("Rejected")
    assert condition(found, "Ready")["reason"] == "PaymentNotAllowed"


def test_a_hub_does_not_call_its_own_host(private: Private) -> None:
    private.operator(switches=tuple(switch for switch in SWITCHES if "loopback" not in switch))
    site = private.site(ready=False)
    assert "loopback" in site.until_pool("EndpointRefused")["message"]
    assert site.sim.requests() == []


def versions(cluster: Cluster, namespaces: list[str]) -> dict[str, str]:
    """The version of every object that any of our controllers could write."""
    found = {}
    for plural in KINDS.values():
        for obj in cluster.list(plural):
            meta = obj["metadata"]
            found[f"{plural} {meta.get('namespace', '')}/{meta['name']}"] = version(obj)
    core = ["/api/v1/namespaces/{}/serviceaccounts", "/api/v1/namespaces/{}/resourcequotas"]
    core += [f"/apis/rbac.authorization.k8s.io/v1/namespaces/{{}}/{kind}" for kind in ("roles", "rolebindings")]
    core += ["/apis/events.k8s.io/v1/namespaces/{}/events"]
    for namespace in namespaces:
        for path in core:
            for obj in cluster.call("GET", path.format(namespace))["items"]:
                found[f"{path} {namespace}/{obj['metadata']['name']}"] = version(obj)
    return found


def test_a_settled_world_is_left_alone_by_a_second_reconcile(private: Private) -> None:
    operator = private.operator()
    site = private.site(agent=True, nodes=2)
    tenant = private.tenant()
    active, paused, cancelled = (tenant.rent(site, name) for name in ("active", "paused", "cancelled"))
    waiting = tenant.rent(site, "waiting", offering=f"{site.namespace}/nowhere")
    for contract in (active, paused, cancelled):
        contract.until_holds("Ready")
    paused.patch(powerState="Stopped")
    paused.until_state("Paused")
    cancelled.cancel()
    cancelled.until_clean()
    waiting.until_reason("OfferingNotFound")
    until("contracts are counted", lambda: site.offering()["status"]["activeContracts"] == 2)

    def quiet() -> bool:
        before = versions(private.cluster, private.namespaces())
        mark = site.sim.mark()
        until("two ticks", lambda: len(site.sim.requests(mark)) >= 6)
        return versions(private.cluster, private.namespaces()) == before

    until("the world is settled", quiet)
    before, mark = versions(private.cluster, private.namespaces()), site.sim.mark()
    assert operator.stop() == 0
    operator.start()
    looks = "/access/permissions"
    until("two preflights", lambda: [c["path"] for c in site.sim.requests(mark)].count(looks) >= 2)
    until("three ticks", lambda: [c["path"] for c in site.sim.requests(mark)].count("/cluster/resources") >= 3)
    after = versions(private.cluster, private.namespaces())
    assert [name for name in before | after if before.get(name) != after.get(name)] == []
    assert site.sim.changes(mark) == []


CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.decent-cloud.org"
POWER = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/powerState/enum/-"


def test_an_object_that_cannot_be_decoded_stops_nothing(private: Private) -> None:
    """A newer version of the kind, or an old object: something is stored that this operator doesn't know."""
    operator = private.operator()
    site = private.site()
    tenant = private.tenant()
    newer = [{"op": "add", "path": POWER, "value": "Hibernated"}]
    for plural in ("contracts", "machines"):
        private.cluster.call("PATCH", CRD.format(plural), newer, media="application/json-patch+json")

    def odd() -> Contract | None:
        with suppress(Refused):
            return tenant.rent(site, "odd", powerState="Hibernated")
        return None

    undecodable = until("the odd contract is taken", odd)
    good = tenant.rent(site, "good")
    good.until_holds("Provisioned")
    operator.kill()
    operator.start()
    other = tenant.rent(site, "other")
    other.until_holds("Provisioned")
    assert operator.process.exit_code() is None
    until("it is said", lambda: any("odd" in line.get("message", "") for line in operator.lines()))
    for contract in (good, other):
        contract.cancel()
        contract.until_clean()
    # Repaired by a person, it goes on; nothing was lost.
    undecodable.patch(powerState="Running")
    undecodable.until_holds("Provisioned")


def test_a_standby_takes_over_when_the_leader_is_killed(private: Private) -> None:
    leader = private.operator("one", **SHORT_LEASE)
    site = private.site(sim={"clone_seconds": 2})
    standby = private.plane.operator("two", **SHORT_LEASE)
    private.services.append(standby)
    standby.launch()
    contract = private.tenant().rent(site)
    until("the clone runs", lambda: site.sim.changes())
    leader.kill()
    contract.until_holds("Provisioned")
    assert standby.process.exit_code() is None
    assert len(site.sim.vms()) == 1
    contract.cancel()
    contract.until_clean()


def test_a_leader_that_slept_past_its_lease_does_no_harm(private: Private) -> None:
    sleeper = private.operator("one", **SHORT_LEASE)
    site = private.site(sim={"clone_seconds": 1})
    standby = private.plane.operator("two", **SHORT_LEASE)
    private.services.append(standby)
    standby.launch()
    contract = private.tenant().rent(site)
    until("the clone runs", lambda: site.sim.changes())
    sleeper.process.pause()
    contract.until_holds("Provisioned")
    sleeper.process.resume()
    until("the sleeper gives up", lambda: sleeper.process.exit_code() is not None)
    assert len(site.sim.vms()) == 1
    assert len(contract.slots()) == 1
    steady("one VM stays", lambda: contract.vm()["status"] == "running", 2)


def test_the_hub_leaves_a_provider_with_its_own_operator_alone(private: Private) -> None:
    private.operator()
    site = private.site(ready=False, provider={"operator": "Own"})
    contract = private.tenant().rent(site)
    contract.until_holds("Accepted")
    steady("the hub never calls its Proxmox", lambda: site.sim.requests() == [], 3)


def test_a_machine_whose_contract_vanished_goes_on_until_a_person_or_the_time_ends_it(private: Private) -> None:
    operator = private.operator()
    site = private.site()
    contract = private.tenant().rent(site)
    contract.until_holds("Provisioned")
    name, mark = contract.machine_name, site.sim.mark()
    operator.kill()
    at = ("contracts", contract.namespace, contract.name)
    site.cluster.patch(*at, {"metadata": {"finalizers": None}})
    site.cluster.delete(*at)
    operator.start()

    def annotations() -> dict:
        return site.cluster.get("machines", site.namespace, name)["metadata"].get("annotations", {})

    until("it is marked", lambda: "decent-cloud.org/ownerless-since" in annotations())
    steady("it is left alone", lambda: site.sim.changes(mark) == [], 3)
    assert site.sim.vms()[0]["status"] == "running"
    ends = {"metadata": {"annotations": {"decent-cloud.org/end-ownerless": "true"}}}
    site.cluster.patch("machines", site.namespace, name, ends)
    until("its VM is gone", lambda: site.sim.vms() == [])
    until("it is gone", lambda: site.machines() == [])
