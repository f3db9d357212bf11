"""Two tenants' machines on one bridge: who gets in, and who reaches whom."""

from __future__ import annotations

from decent.contract import Contract
from decent.guests import NETNS, Place, gateway, need_root
from decent.market import Market
from decent.wait import steady, until

# A ping, and ports that a guest answers where nothing is between.
PROBES = [0, 1, 22, 80, 443, 8080]


def who(contract: Contract) -> str:
    """Where and as whom one logs in."""
    return f"{contract.vm()['config']['ciuser']}@{contract.slot()['spec']['address']}"


def test_a_contracts_key_opens_its_machine_and_no_other(market: Market) -> None:
    need_root()
    site = market.site(sim=NETNS)
    with gateway(site) as outside:
        alice = market.tenant("alice").rent(site, sshKeys=[outside.key("alice")])
        bob = market.tenant("bob").rent(site, sshKeys=[outside.key("bob")])
        for contract, key, other in [(alice, "alice", "bob"), (bob, "bob", "alice")]:
            contract.until_holds("Provisioned")
            assert outside.said(key, who(contract), "hostname") == contract.vm()["name"]
            refused = outside.ssh(other, who(contract), "true")
            assert refused.returncode == 255
            assert "Permission denied (publickey)" in refused.stderr


def test_neighbours_reach_the_gateway_and_not_each_other(market: Market) -> None:
    need_root()
    site = market.site(sim=NETNS)
    with gateway(site) as outside:
        contracts = [market.tenant(name).rent(site) for name in ("alice", "bob")]
        for contract in contracts:
            contract.until_holds("Provisioned")
        addresses = [contract.slot()["spec"]["address"] for contract in contracts]
        guests = {guest["vmid"]: Place(guest["namespace"]) for guest in site.sim.guests()}
        alice, bob = (guests[contract.vm()["vmid"]] for contract in contracts)
        for place, own, neighbour in [(alice, *addresses), (bob, *reversed(addresses))]:
            until("the gateway reaches it", lambda own=own: outside.reaches(own, 22))
            assert place.reaches("10.64.0.1", 0)
            assert [port for port in PROBES if place.reaches(neighbour, port)] == []
            assert outside.reaches(own, 0)
        contracts[0].cancel()
        until("its machine is gone", lambda: not outside.reaches(addresses[0], 0))
        steady("the neighbour stays", lambda: outside.reaches(addresses[1], 22), 0.5)
