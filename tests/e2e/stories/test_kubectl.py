"""What people see who use kubectl and nothing else."""

from __future__ import annotations

import subprocess

import pytest

from decent.market import Market
from decent.settings import kubeconfig, kubectl


def run(*args: str) -> str:
    program = kubectl()
    if program is None:
        pytest.skip("kubectl is missing: set KUBECTL")
    done = subprocess.run(
        [program, "--kubeconfig", str(kubeconfig()), *args], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(text: str) -> list[dict[str, str]]:
    """The rows of kubectl's table by column."""
    head, *rows = text.splitlines()
    starts = [n for n, c in enumerate(head) if c != " " and (n == 0 or head[n - 1] == " ")]
    ends = [*starts[1:], None]
    cut = [[row[a:b].strip() for a, b in zip(starts, ends, strict=True)] for row in [head, *rows]]
    return [dict(zip(cut[0], row, strict=True)) for row in cut[1:]]


def test_waiting_for_ready_just_works(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    said = run("wait", "--for=condition=Ready", "-n", contract.namespace, "contract/web", "--timeout=45s")
    assert said.strip() == "contract.decent-cloud.org/web condition met"


def test_a_list_of_contracts_says_what_matters(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    (row,) = table(run("get", "con", "-n", contract.namespace))
    link = contract.status["connection"]
    assert row["NAME"] == "web"
    assert (row["PROVIDER"], row["OFFERING"]) == (site.namespace, "small")
    assert (row["STATE"], row["READY"], row["REASON"]) == ("Active", "True", "Reachable")
    assert (row["HOST"], row["SSH"]) == (link["host"], str(link["sshPort"]))
    assert row["ENDS"]


def test_a_provider_sees_its_slots_and_machines(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    contract.until_holds("Ready")
    (slot,) = table(run("get", "slots", "-n", site.namespace))
    assert (slot["NAME"], slot["VMID"], slot["NODE"]) == ("ams1-0", "10000", "pve1")
    assert (slot["ADDRESS"], slot["PHASE"], slot["ROUTE"]) == ("10.64.0.10", "Claimed", "true")
    (machine,) = table(run("get", "machines", "-n", site.namespace))
    assert (machine["SLOT"], machine["VMID"], machine["POWER"]) == ("ams1-0", "10000", "Running")
    assert (machine["CONTRACT"], machine["READY"]) == ("web", "True")
    (pool,) = table(run("get", "pools", "-n", site.namespace))
    assert (pool["GATEWAY"], pool["STORAGE"], pool["READY"]) == ("ams1", "local", "True")


def test_one_word_lists_everything_of_ours(market: Market) -> None:
    site = market.site()
    contract = market.tenant().rent(site)
    contract.until_holds("Provisioned")
    text = run("get", "decent", "-n", site.namespace)
    for kind in ("machine", "slot", "pool", "gateway", "offering", "provider"):
        assert f"{kind}.decent-cloud.org/" in text, kind


def test_transitions_are_events_in_the_words_of_the_conditions(market: Market) -> None:
    site = market.site(agent=True)
    contract = market.tenant().rent(site)
    found = contract.until_holds("Ready")
    ready = next(c for c in found["status"]["conditions"] if c["type"] == "Ready")

    def told() -> bool:
        return any(
            event["reason"] == ready["reason"] and event["note"] == ready["message"]
            for event in market.cluster.events(contract.namespace)
        )

    contract.until("the event is there", told)


def test_every_field_is_explained() -> None:
    assert "OpenSSH public keys" in run("explain", "contract.spec.sshKeys")
    assert "VMID" in run("explain", "pool.spec.vmidBase")


def test_applying_the_same_manifest_again_changes_nothing(market: Market) -> None:
    site = market.site()
    before = {
        kind: site.provider.list(kind, site.namespace) for kind in ("pools", "gateways", "offerings", "providers")
    }
    site.publish()
    for kind, objects in before.items():
        generations = [obj["metadata"]["generation"] for obj in objects]
        assert [obj["metadata"]["generation"] for obj in site.provider.list(kind, site.namespace)] == generations
