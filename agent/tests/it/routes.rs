//! Routes in the kernel: who reaches whom, and what a change does to others.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use agent_core::routes::Heard;
use agent_core::site::Site;
use domain::slot::SlotIndex;

use super::bed::{self, Bed, CLIENT, LIMIT, Running, machine, public, until};
use super::guests::{Call, SHORT, Sshd, ssh_line, tcp_echo, udp_ask, udp_call, udp_echo, udp_line};
use super::objects::{claim, gateway, live, port, released, site};
use crds::slot::SlotPhase;

fn at(address: &str, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(address.parse().unwrap(), port)
}

async fn two_machines(plane: &Running) {
    plane.data.serve(site()).await.unwrap();
    plane.data.hear(Heard::All(&[live(0), live(1)])).await.unwrap();
}

#[test]
#[ignore = "needs root, nftables, conntrack, sshd"]
fn p57_ssh_passes_through_to_the_machine_with_its_own_host_key() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        two_machines(&plane).await;
        let sshd = Sshd::start(&bed.vms[0], &bed.folder.path().join("vm0")).await;
        let line = ssh_line(bed.folder.path(), port(0, 0), &sshd.host_key, "echo here");
        until("ssh gets in", async || {
            bed.client.sh(&line).await.stdout == b"here\n"
        })
        .await;
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn tcp_and_udp_ports_lead_to_their_machine_and_show_the_client() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        two_machines(&plane).await;
        tcp_echo(&bed.vms[1], 10001);
        tcp_echo(&bed.vms[1], 10004);
        udp_echo(&bed.vms[1], 10005);
        udp_echo(&bed.vms[1], 10009);
        for of_ten in [1, 4] {
            let call = Call::to(&bed.client, public(port(1, of_ten)), LIMIT).unwrap();
            assert_eq!(call.seen_as, CLIENT);
        }
        for of_ten in [5, 9] {
            udp_call(&bed.client, public(port(1, of_ten)), LIMIT).unwrap();
        }
        // Another machine's ports, and ports of the other protocol, lead nowhere.
        assert!(Call::to(&bed.client, public(port(0, 1)), SHORT).is_err());
        assert!(udp_call(&bed.client, public(port(1, 1)), SHORT).is_err());
        plane.stop().await;
    });
}

/// Somebody to answer at all ports and places that a machine may try.
fn answerers(bed: &Bed) {
    for space in [&bed.vms[1], &bed.client, &bed.net, &bed.gateway] {
        for tcp in [22, 25, 53, 80, 443, 8000, port(1, 0), 10001] {
            tcp_echo(space, tcp);
        }
        udp_echo(space, 53);
        udp_echo(space, 9000);
    }
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn machines_reach_the_internet_at_any_port_but_mail() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        two_machines(&plane).await;
        answerers(bed);
        let vm = &bed.vms[0];
        // Also numbers that are forwarded here.
        for out in [53, 80, 443, 8000, port(1, 0)] {
            let call = Call::to(vm, at(CLIENT, out), LIMIT).unwrap();
            assert_eq!(call.seen_as, bed::PUBLIC, "to port {out}");
        }
        udp_call(vm, at(CLIENT, 9000), LIMIT).unwrap();
        assert!(Call::to(vm, at(CLIENT, 25), SHORT).is_err());
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn p59_machines_reach_no_neighbour_no_private_network_and_no_service_of_the_host() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        two_machines(&plane).await;
        answerers(bed);
        let vm = &bed.vms[0];
        // Through the router, since the bridge is Proxmox's to guard.
        assert!(
            vm.sh("ip route add 10.64.0.11/32 via 10.64.0.1")
                .await
                .status
                .success()
        );
        let neighbour = [
            ("10.64.0.11", 22),
            ("10.64.0.11", 8000),
            (bed::PUBLIC, port(1, 0)),
            (bed::PUBLIC, port(1, 1)),
        ];
        let private = [("192.168.77.1", 80), ("203.0.113.1", 80), ("169.254.169.254", 80)];
        let host = ["10.64.0.1", bed::PUBLIC, "198.18.255.253"];
        let services = host
            .iter()
            .flat_map(|address| [22, 53, 80, 443, 8000].map(|port| (*address, port)));
        for (address, out) in neighbour.into_iter().chain(private).chain(services) {
            assert!(Call::to(vm, at(address, out), SHORT).is_err(), "{address}:{out}");
        }
        assert!(udp_call(vm, at("10.64.0.1", 53), SHORT).is_err());
        // And nobody comes in but by a forwarded port.
        assert!(
            bed.net
                .sh("ip route add 10.64.0.0/16 via 203.0.113.7")
                .await
                .status
                .success()
        );
        assert!(Call::to(&bed.net, at("10.64.0.11", 8000), SHORT).is_err());
        plane.data.count().await.unwrap();
        let metrics = plane.metrics.render().unwrap();
        for reason in ["neighbour", "private", "service", "unmapped"] {
            let none = format!("decent_agent_refused_packets_total{{reason=\"{reason}\"}} 0\n");
            assert!(
                metrics.contains(&format!("reason=\"{reason}\"")) && !metrics.contains(&none),
                "{metrics}"
            );
        }
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn dns_of_the_host_is_open_where_it_is_the_machines_resolver() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        let site = Site::of(&gateway(&["10.64.0.1"], None)).unwrap();
        plane.data.serve(site).await.unwrap();
        plane.data.hear(Heard::One(&live(0))).await.unwrap();
        udp_echo(&bed.gateway, 53);
        tcp_echo(&bed.gateway, 53);
        tcp_echo(&bed.gateway, 80);
        udp_call(&bed.vms[0], at("10.64.0.1", 53), LIMIT).unwrap();
        Call::to(&bed.vms[0], at("10.64.0.1", 53), LIMIT).unwrap();
        assert!(Call::to(&bed.vms[0], at("10.64.0.1", 80), SHORT).is_err());
        // A machine without a route has nothing.
        assert!(udp_call(&bed.vms[1], at("10.64.0.1", 53), SHORT).is_err());
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_released_machine_is_cut_off_within_a_second_and_others_feel_nothing() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        two_machines(&plane).await;
        for vm in &bed.vms {
            tcp_echo(vm, 10001);
        }
        tcp_echo(&bed.client, 8000);
        let mut ended = Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        let mut outward = Call::to(&bed.vms[0], at(CLIENT, 8000), LIMIT).unwrap();
        let mut other = Call::to(&bed.client, public(port(1, 1)), LIMIT).unwrap();
        for call in [&mut ended, &mut outward, &mut other] {
            call.talk("before").unwrap();
        }
        let begin = Instant::now();
        plane.data.hear(Heard::One(&released(0))).await.unwrap();
        assert!(plane.data.is_gone(SlotIndex(0), released(0).route.uid).await);
        // Removed is removed: not a byte passes from here on.
        for call in [&mut ended, &mut outward] {
            call.stream
                .set_read_timeout(Some(Duration::from_millis(900)))
                .unwrap();
            assert!(call.talk("after").is_err());
        }
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        let left = bed
            .gateway
            .sh(&format!(
                "conntrack -L 2>/dev/null | grep -c 'src={} '",
                machine(0)
            ))
            .await;
        assert!(
            begin.elapsed() < LIMIT && String::from_utf8_lossy(&left.stdout).trim() == "0",
            "{left:?}"
        );
        assert!(Call::to(&bed.client, public(port(0, 1)), SHORT).is_err());
        assert!(Call::to(&bed.vms[0], at(CLIENT, 8000), SHORT).is_err());
        // The host itself, and with it the web server, is refused at once instead of waiting for an answer.
        let refused = Call::to(&bed.gateway, SocketAddrV4::new(machine(0), 10001), SHORT)
            .err()
            .unwrap();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        Call::to(&bed.gateway, SocketAddrV4::new(machine(1), 10001), LIMIT).unwrap();
        other.talk("still here").unwrap();
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn p55_other_slots_come_and_go_without_a_lost_packet() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        two_machines(&plane).await;
        udp_echo(&bed.vms[0], 10005);
        tcp_echo(&bed.vms[0], 10001);
        let mut call = Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        // One line for all: a machine may have so many connections only.
        let line = udp_line(&bed.client, public(port(0, 5)), Duration::from_secs(2)).unwrap();
        // One datagram a millisecond, each awaited: a lost one is an error.
        let traffic = std::thread::spawn(move || {
            let mut count = 0;
            while stopped.try_recv().is_err() {
                call.talk("x").unwrap();
                udp_ask(&line).unwrap();
                count += 1;
            }
            count
        });
        for round in 0..60 {
            let index = 2 + round % 7;
            plane.data.hear(Heard::One(&live(index))).await.unwrap();
            plane.data.hear(Heard::One(&released(index))).await.unwrap();
            let next = claim(index, 2 + round, SlotPhase::Claimed);
            plane.data.hear(Heard::One(&next)).await.unwrap();
            plane
                .data
                .hear(Heard::One(&claim(index, 2 + round, SlotPhase::Quarantined)))
                .await
                .unwrap();
            plane.data.release_brake().await;
        }
        stop.send(()).unwrap();
        assert!(traffic.join().unwrap() > 50);
        assert_eq!(plane.data.routes().await, 2);
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_successor_of_the_index_inherits_no_connection_and_no_bytes() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        two_machines(&plane).await;
        tcp_echo(&bed.vms[0], 10001);
        let mut old = Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        old.talk(&"x".repeat(1000)).unwrap();
        plane.data.count().await.unwrap();
        let before = plane.data.counters().traffic(SlotIndex(0)).unwrap();
        assert!(
            before.sent.bytes > 1000 && before.received.bytes > 1000,
            "{before:?}"
        );
        let next = claim(0, 2, SlotPhase::Claimed);
        let done = plane.data.hear(Heard::One(&next)).await.unwrap();
        assert_eq!((done.changes.remove.len(), done.changes.add.len()), (1, 1));
        assert!(plane.data.is_gone(SlotIndex(0), live(0).route.uid).await);
        plane.data.count().await.unwrap();
        // A probe may have looked already, but what the one before sent is not its successor's.
        let after = plane.data.counters().traffic(SlotIndex(0)).unwrap();
        assert!(after.sent.bytes < 500, "{after:?}");
        Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn p58_too_many_ssh_connections_are_refused_aloud_and_other_sources_get_in() {
    bed::run(async |bed| {
        let mut config = bed.config();
        (config.limits.ssh_per_minute, config.limits.ssh_burst) = (1, 5);
        let plane = Running::start(config).await;
        two_machines(&plane).await;
        tcp_echo(&bed.vms[0], 22);
        tcp_echo(&bed.vms[0], 10001);
        let refused = (0..20)
            .filter(|_| Call::to(&bed.client, public(port(0, 0)), LIMIT).is_err())
            .count();
        assert!((14..=15).contains(&refused), "{refused} refused");
        // Other ports are not SSH, and the probe is not limited.
        Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        let other = bed
            .client
            .sh(&format!(
                "curl -s -m 3 --http0.9 --interface 198.51.100.3 http://{}:{}/",
                bed::PUBLIC,
                port(0, 0)
            ))
            .await;
        assert!(other.stdout.starts_with(b"198.51.100.3"), "{other:?}");
        plane.data.count().await.unwrap();
        let limited = plane.data.health().borrow().limited.clone();
        assert_eq!(limited, [CLIENT.parse::<std::net::Ipv4Addr>().unwrap()]);
        let text = plane.metrics.render().unwrap();
        assert!(
            text.contains(&format!(
                "decent_agent_refused_packets_total{{reason=\"ssh\"}} {refused}"
            )),
            "{text}"
        );
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_machine_has_only_so_many_connections() {
    bed::run(async |bed| {
        let mut config = bed.config();
        config.limits.connections = 5;
        let plane = Running::start(config).await;
        two_machines(&plane).await;
        tcp_echo(&bed.client, 8000);
        tcp_echo(&bed.vms[0], 10001);
        let out: Vec<Call> = (0..8)
            .filter_map(|_| Call::to(&bed.vms[0], at(CLIENT, 8000), SHORT).ok())
            .collect();
        assert_eq!(out.len(), 5);
        let inward: Vec<Call> = (0..8)
            .filter_map(|_| Call::to(&bed.client, public(port(0, 1)), SHORT).ok())
            .collect();
        // A probe may be one of the five.
        assert!((4..=5).contains(&inward.len()), "{}", inward.len());
        Call::to(&bed.vms[1], at(CLIENT, 8000), LIMIT).unwrap();
        plane.stop().await;
    });
}
