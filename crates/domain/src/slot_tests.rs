//! Tests of slot arithmetic: every slot of the largest gateway, and random gateways.

use std::collections::HashSet;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn uid(n: u128) -> Uid {
    Uid::from_bytes(n.to_be_bytes())
}

fn facts() -> GatewayFacts<'static> {
    GatewayFacts {
        network: "10.64.0.0/16",
        gateway: Ipv4Addr::new(10, 64, 0, 1),
        first_port: 20000,
        last_port: 59999,
        gateway_uid: uid(7),
        vmid_base: 5000,
    }
}

/// Everything that must be unique, over all slots of one gateway.
fn check_all(plan: &GatewayPlan, facts: &GatewayFacts<'_>) {
    let (mut vmids, mut ips, mut macs) = (HashSet::new(), HashSet::new(), HashSet::new());
    let (mut ports, mut slugs) = (HashSet::new(), HashSet::new());
    let network = u32::from(plan.ip(SlotIndex(0)).unwrap()) - FIRST_HOST;
    let broadcast = network | (u32::MAX >> plan.prefix());
    for i in plan.indices() {
        let vmid = plan.vmid(i).unwrap();
        assert_eq!(vmid.get(), facts.vmid_base + i.0);
        assert!(vmids.insert(vmid));
        let ip = u32::from(plan.ip(i).unwrap());
        assert!(ip > network && ip < broadcast && ip != u32::from(facts.gateway));
        assert!(ips.insert(ip));
        let mac = plan.mac(i).unwrap();
        let first = u8::from_str_radix(&mac[..2], 16).unwrap();
        assert_eq!(first & 3, 2, "locally administered and unicast");
        assert_eq!(mac.len(), 17);
        assert!(macs.insert(mac));
        let mine = plan.ports(i).unwrap();
        assert_eq!(mine.len(), 10);
        assert_eq!((mine[0].private, mine[0].protocol), (22, Protocol::Tcp));
        for map in mine {
            assert!((facts.first_port..=facts.last_port).contains(&map.public));
            assert!(ports.insert(map.public));
        }
        let slug = plan.slug(i, &uid(1)).unwrap();
        assert!(slug.len() == 6 && slug.bytes().all(|b| BASE36.contains(&b)));
        assert!(slugs.insert(slug));
    }
    assert_eq!(vmids.len(), plan.capacity() as usize);
    let beyond = SlotIndex(plan.capacity());
    assert!(plan.vmid(beyond).is_err() && plan.ip(beyond).is_err() && plan.mac(beyond).is_err());
    assert!(plan.ports(beyond).is_err() && plan.slug(beyond, &uid(1)).is_err());
}

#[test]
fn p30_every_slot_of_the_largest_gateway_is_its_own() {
    let facts = GatewayFacts {
        network: "10.0.0.0/8",
        gateway: Ipv4Addr::new(10, 0, 0, 1),
        first_port: 1,
        last_port: 65535,
        ..facts()
    };
    let plan = GatewayPlan::new(&facts).unwrap();
    assert_eq!(plan.capacity(), 6553);
    check_all(&plan, &facts);
    let last = plan.ports(SlotIndex(6552)).unwrap();
    assert_eq!((last[0].public, last[9].public), (65521, 65530));
}

#[test]
fn default_gateway_has_four_thousand_slots() {
    let plan = GatewayPlan::new(&facts()).unwrap();
    assert_eq!(plan.capacity(), 4000);
    check_all(&plan, &facts());
    assert_eq!(plan.ip(SlotIndex(0)), Ok(Ipv4Addr::new(10, 64, 0, 10)));
    assert_eq!(plan.ip(SlotIndex(246)), Ok(Ipv4Addr::new(10, 64, 1, 0)));
    assert_eq!(plan.cidr(), "10.64.0.0/16");
    let ports: Vec<_> = plan
        .ports(SlotIndex(1))
        .unwrap()
        .iter()
        .map(|p| (p.public, p.private, p.protocol))
        .collect();
    assert_eq!(ports[0], (20010, 22, Protocol::Tcp));
    assert_eq!(ports[4], (20014, 10004, Protocol::Tcp));
    assert_eq!(ports[5], (20015, 10005, Protocol::Udp));
    assert_eq!(ports[9], (20019, 10009, Protocol::Udp));
    assert_ne!(plan.slug(SlotIndex(1), &uid(1)), plan.slug(SlotIndex(1), &uid(2)));
    assert!(plan.slug(SlotIndex(37), &uid(1)).unwrap().starts_with("011"));
}

#[test]
fn gateways_have_mac_prefixes_of_their_own() {
    let other = GatewayFacts {
        gateway_uid: uid(8),
        ..facts()
    };
    let mac = |f| GatewayPlan::new(f).unwrap().mac(SlotIndex(0)).unwrap();
    assert_ne!(mac(&facts()), mac(&other));
}

#[rstest]
#[case::gateway_last(Ipv4Addr::new(192, 168, 7, 254), 244)]
#[case::gateway_first(Ipv4Addr::new(192, 168, 7, 1), 245)]
#[case::gateway_in_the_middle(Ipv4Addr::new(192, 168, 7, 100), 90)]
fn addresses_end_before_the_gateway(#[case] gateway: Ipv4Addr, #[case] capacity: u32) {
    let facts = GatewayFacts {
        network: "192.168.7.0/24",
        gateway,
        ..facts()
    };
    let plan = GatewayPlan::new(&facts).unwrap();
    assert_eq!(plan.capacity(), capacity);
    check_all(&plan, &facts);
}

#[rstest]
#[case("10.64.0.0")]
#[case("10.64.0.1/16")]
#[case("10.64.0.0/7")]
#[case("10.64.0.0/31")]
#[case("10.64.0.0/+16")]
#[case("10.64.0.0/016")]
#[case("fd00::/16")]
#[case("")]
fn bad_networks_are_refused(#[case] network: &str) {
    let facts = GatewayFacts { network, ..facts() };
    assert_eq!(
        GatewayPlan::new(&facts),
        Err(SlotError::Network {
            given: network.to_owned()
        })
    );
}

#[test]
fn bad_facts_are_refused_by_name() {
    let at = |a, b, c, d| GatewayFacts {
        gateway: Ipv4Addr::new(a, b, c, d),
        ..facts()
    };
    for gateway in [at(10, 65, 0, 1), at(10, 64, 0, 0), at(10, 64, 255, 255)] {
        assert!(matches!(
            GatewayPlan::new(&gateway),
            Err(SlotError::Gateway { .. })
        ));
    }
    assert_eq!(GatewayPlan::new(&at(10, 64, 0, 10)), Err(SlotError::NoAddress));
    let small = GatewayFacts {
        network: "10.64.0.0/30",
        ..facts()
    };
    assert_eq!(GatewayPlan::new(&small), Err(SlotError::NoAddress));
    for (first_port, last_port) in [(0, 100), (100, 99), (100, 108), (60000, 100)] {
        let ports = GatewayFacts {
            first_port,
            last_port,
            ..facts()
        };
        assert!(matches!(GatewayPlan::new(&ports), Err(SlotError::Ports { .. })));
    }
    for vmid_base in [0, 99, 999_999_999, u32::MAX] {
        let vmids = GatewayFacts { vmid_base, ..facts() };
        assert_eq!(
            GatewayPlan::new(&vmids),
            Err(SlotError::Vmids { base: vmid_base })
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn p30_every_slot_of_any_gateway_is_its_own(
        address: u32, prefix in 8..=30_u8, host: u32, ports: (u16, u16), base in 0..=1_000_000_000_u32, gateway_uid: [u8; 16],
    ) {
        let network = address & !(u32::MAX >> prefix);
        let text = format!("{}/{prefix}", Ipv4Addr::from(network));
        let facts = GatewayFacts {
            network: &text,
            gateway: Ipv4Addr::from(network | (host & (u32::MAX >> prefix))),
            first_port: ports.0.min(ports.1),
            last_port: ports.0.max(ports.1),
            gateway_uid: Uid::from_bytes(gateway_uid),
            vmid_base: base,
        };
        if let Ok(plan) = GatewayPlan::new(&facts) {
            check_all(&plan, &facts);
        }
    }
}
