"""What is fixed stays fixed: a change is refused with the field and a sentence, whatever runs."""

from __future__ import annotations

import pytest

from decent.cluster import Refused
from decent.contract import Contract
from decent.market import Market


@pytest.fixture
def contract(market: Market) -> Contract:
    made = market.tenant().rent(market.site())
    made.until_holds("Provisioned")
    return made


def refused(change, path: str, says: str) -> None:
    with pytest.raises(Refused) as caught:
        change()
    assert caught.value.code == 422, caught.value
    assert path in caught.value.fields, caught.value
    assert says in caught.value.message, caught.value


def test_a_contracts_terms_are_fixed(contract: Contract) -> None:
    refused(lambda: contract.patch(durationHours=1), "spec.durationHours", "add to extendHours instead")
    refused(lambda: contract.patch(offeringRef={"name": "large"}), "spec.offeringRef", "is immutable")
    refused(lambda: contract.patch(payment={"method": "Test"}), "spec.payment", "is immutable")


def test_a_tenant_does_not_let_go_of_a_contract_before_its_machine_is_ended(contract: Contract) -> None:
    bare = {"metadata": {"finalizers": None}}
    with pytest.raises(Refused, match="to end it, cancel or delete it") as caught:
        contract.tenant.patch("contracts", contract.namespace, contract.name, bare)
    assert caught.value.code == 403


def test_extensions_are_only_added(contract: Contract) -> None:
    contract.patch(extendHours=[10])
    contract.patch(extendHours=[10, 20])
    for change in ([10], [20, 10], [10, 21], None):
        refused(lambda change=change: contract.patch(extendHours=change), "spec.extendHours", "only added at the end")


def test_a_cancellation_is_final(contract: Contract) -> None:
    contract.cancel("enough")
    for change in (None, {"reason": "or not"}):
        refused(lambda change=change: contract.patch(cancel=change), "spec.cancel", "a cancellation is final")


def test_a_slot_is_never_edited(contract: Contract) -> None:
    cluster, site, slot = contract.cluster, contract.site, contract.slot()
    name = slot["metadata"]["name"]
    refused(
        lambda: cluster.patch("slots", site.namespace, name, {"spec": {"vmid": 12345}}),
        "spec",
        "is immutable: a Slot is a claim",
    )


def test_a_machine_is_not_deleted_before_its_teardown_is_finished(contract: Contract) -> None:
    with pytest.raises(Refused, match="only after its teardown is finished") as caught:
        contract.cluster.delete("machines", contract.site.namespace, contract.machine_name)
    assert caught.value.code == 403


def test_a_machines_admission_and_teardown_are_never_taken_back(contract: Contract) -> None:
    def change(**spec: object):
        cluster, namespace = contract.cluster, contract.site.namespace
        return lambda: cluster.patch("machines", namespace, contract.machine_name, {"spec": spec})

    refused(change(admitted=False), "spec.admitted", "never taken back")
    refused(change(contractRef={"name": "other"}), "spec.contractRef", "is immutable")


def test_a_pool_in_use_keeps_what_its_slots_rest_on(contract: Contract) -> None:
    site = contract.site
    refused(lambda: site.patch("pools", "rack1", vmidBase=20000), "spec.vmidBase", "while Slots name this Pool")
    refused(lambda: site.patch("pools", "rack1", gatewayRef={"name": "b"}), "spec.gatewayRef", "while Slots name")
    refused(lambda: site.patch("pools", "rack1", proxmox={"pool": "b"}), "spec.proxmox.pool", "while Slots name")


def test_a_gateway_in_use_keeps_its_names_and_addresses(contract: Contract) -> None:
    site = contract.site
    refused(lambda: site.patch("gateways", "ams1", dcId="b"), "spec.dcId", "while a Slot exists")
    cidr = {"cidr": "10.64.0.0/15"}
    refused(lambda: site.patch("gateways", "ams1", network=cidr), "spec.network.cidr", "while a Slot exists")
    refused(lambda: site.patch("gateways", "ams1", ports={"first": 30000}), "spec.ports", "while a Slot exists")


def test_an_accounts_namespace_is_fixed(market: Market) -> None:
    tenant = market.tenant()
    change = {"spec": {"namespace": "elsewhere"}}
    refused(
        lambda: market.cluster.patch("accounts", None, tenant.account, change), "spec.namespace", "make a new account"
    )


def test_a_state_never_goes_back(contract: Contract) -> None:
    cluster, namespace, name = contract.cluster, contract.namespace, contract.name
    back = {"status": {"state": "Requested"}}
    refused(
        lambda: cluster.patch("contracts", namespace, name, back, "status"),
        "status.state",
        "cannot go there from where",
    )


def test_no_spec_edit_recreates_the_vm(contract: Contract) -> None:
    site, before = contract.site, contract.vm()
    contract.patch(powerState="Stopped")
    contract.until("it is stopped", lambda: contract.vm()["status"] == "stopped")
    contract.patch(powerState="Running", memo="hello", sshKeys=contract.get()["spec"]["sshKeys"] * 2, extendHours=[1])
    contract.until("it runs with both keys", lambda: contract.vm()["config"]["sshkeys"].count("ssh-ed25519") == 2)
    contract.until("it runs", lambda: contract.vm()["status"] == "running")
    after = contract.vm()
    for key in ("smbios1", "scsi0", "net0", "ipconfig0"):
        assert after["config"][key] == before["config"][key]
    assert len(contract.slots()) == len(site.sim.vms()) == 1
