//! What firewall files hold between neighbours, and towards the gateway.

use std::net::Ipv4Addr;

use serde_json::json;

use super::rig::{GATEWAY, Running, Site, ip, possible, until};

/// Ports that answer without a fence: by who listens, or by a refusal.
const PORTS: [u16; 6] = [1, 22, 80, 443, 8000, 65535];

/// Two tenants' guests, fenced in, with a gateway on which port 8000 listens.
async fn neighbours(site: &Site) -> (Running, [Ipv4Addr; 2]) {
    let sim = Running::start(site).await;
    let ips = [sim.put(site, 101).await, sim.put(site, 102).await];
    site.plug(&sim.network().0);
    for (vmid, own) in [(101, ips[0]), (102, ips[1])] {
        sim.until_booted(vmid).await;
        sim.fence(vmid, own).await;
    }
    (sim, ips)
}

#[tokio::test]
async fn neighbours_do_not_reach_each_other_and_both_reach_the_gateway_and_it_them() {
    if !possible() {
        return;
    }
    let site = Site::new();
    let (sim, ips) = neighbours(&site).await;
    let _served = site.gateway.listen(8000);
    let (one, other) = (sim.guest(101), sim.guest(102));
    until("the fence holds", async || {
        !one.ping(ips[1]) && !other.ping(ips[0])
    })
    .await;
    for (from, to) in [(&one, ips[1]), (&other, ips[0])] {
        assert!(!from.ping(to));
        assert_eq!(from.open_ports(to, &PORTS), Vec::<u16>::new());
        assert!(from.ping(GATEWAY));
        assert!(from.tcp(GATEWAY, 8000));
    }
    for to in ips {
        assert!(site.gateway.ping(to));
        assert!(site.gateway.tcp(to, 22) && site.gateway.tcp(to, 80));
    }
    // The same way is open when the datacenter's firewall is off: it is the rules that close it.
    sim.control("PUT", "/firewall", json!({"enable": false})).await;
    until("the fence is gone", async || {
        one.ping(ips[1]) && other.ping(ips[0])
    })
    .await;
    assert_eq!(one.open_ports(ips[1], &PORTS), PORTS);
    sim.control("PUT", "/firewall", json!({"enable": true})).await;
    until("the fence is back", async || !one.ping(ips[1])).await;
}

#[tokio::test]
async fn a_guest_uses_no_address_but_its_own() {
    if !possible() {
        return;
    }
    let site = Site::new();
    let (sim, ips) = neighbours(&site).await;
    let guest = sim.guest(101);
    until("the way is there", async || guest.ping(GATEWAY)).await;
    // It takes another source address for the same way.
    let name = &guest.0;
    ip(&format!("ip -n {name} addr add 10.64.0.200/16 dev eth0"));
    ip(&format!(
        "ip -n {name} route add {GATEWAY}/32 dev eth0 src 10.64.0.200"
    ));
    until("the fence holds", async || !guest.ping(GATEWAY)).await;
    assert!(!guest.tcp(GATEWAY, 8000));
    sim.api("DELETE", "101/firewall/ipset/ipfilter-net0/10.64.0.11", &[])
        .await;
    sim.api("DELETE", "101/firewall/ipset/ipfilter-net0", &[]).await;
    sim.options(101, &[("ipfilter", "0")]).await;
    until("any address is allowed", async || guest.ping(GATEWAY)).await;
    ip(&format!(
        "ip -n {name} route del {GATEWAY}/32 dev eth0 src 10.64.0.200"
    ));
    // And another hardware address.
    ip(&format!("ip -n {name} link set eth0 address 02:00:00:00:00:99"));
    until("the fence holds", async || !guest.ping(GATEWAY)).await;
    sim.options(101, &[("macfilter", "0")]).await;
    until("any card is allowed", async || guest.ping(GATEWAY)).await;
    assert!(sim.guest(102).ping(GATEWAY), "{ips:?}");
}
