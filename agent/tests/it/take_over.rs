//! What is there at a start is taken over, what goes missing comes back, and what is known outlives the process.

use std::fs;

use agent::nft::Nft;
use agent::plane::PlaneError;
use agent_core::routes::Heard;
use agent_core::site::Site;
use domain::slot::SlotIndex;

use super::bed::{self, LIMIT, Running, public, until};
use super::guests::{Call, SHORT, tcp_echo};
use super::objects::{gateway, live, port, released, site};

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_restart_without_a_hub_changes_nothing_in_the_kernel() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0), live(1)])).await.unwrap();
        plane.data.hear(Heard::One(&live(2))).await.unwrap();
        plane.data.hear(Heard::One(&released(1))).await.unwrap();
        tcp_echo(&bed.vms[0], 10001);
        let mut call = Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        let saved = bed.state().join("snapshot.json");
        until("the snapshot is written", async || saved.exists()).await;
        plane.stop().await;
        let before = without_counters(&bed.table().await);
        call.talk("while nobody is there").unwrap();

        let plane = Running::start(bed.config()).await;
        assert_eq!(plane.data.routes().await, 2);
        assert_eq!(plane.data.site().unwrap().fqdn(), super::objects::FQDN);
        // Handles tell whether anything was made anew.
        assert_eq!(without_counters(&bed.table().await), before);
        call.talk("and after").unwrap();
        // The hub says the same again: still nothing changes.
        plane.data.serve(site()).await.unwrap();
        let done = plane.data.hear(Heard::All(&[live(0), live(2)])).await.unwrap();
        assert!(done.changes.is_empty() && done.missing.is_empty(), "{done:?}");
        assert_eq!(without_counters(&bed.table().await), before);
        plane.stop().await;
    });
}

/// The listing with its handles, without what traffic changes.
fn without_counters(table: &str) -> String {
    let line = |line: &str| {
        let mut words = line.split(' ').peekable();
        let mut kept = Vec::new();
        while let Some(word) = words.next() {
            let figure = matches!(word.trim(), "packets" | "bytes");
            kept.push(word);
            if figure {
                words.next();
            }
        }
        kept.join(" ")
    };
    let dynamic = |line: &&str| !line.contains("elements = { 203.0.113");
    table
        .lines()
        .filter(dynamic)
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn p11_a_list_that_lacks_slots_removes_nothing_and_says_so() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0), live(1)])).await.unwrap();
        let before = without_counters(&bed.table().await);
        let done = plane.data.hear(Heard::All(&[])).await.unwrap();
        assert!(done.changes.is_empty());
        assert_eq!(done.missing, [SlotIndex(0), SlotIndex(1)]);
        assert_eq!(plane.data.health().borrow().missing.len(), 2);
        assert_eq!(without_counters(&bed.table().await), before);
        plane
            .data
            .hear(Heard::All(&[live(0), released(1)]))
            .await
            .unwrap();
        assert!(plane.data.health().borrow().missing.is_empty());
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_table_deleted_by_hand_comes_back_and_others_are_not_touched() {
    bed::run(async |bed| {
        let foreign =
            "nft add table inet mine; nft add chain inet mine c; nft add rule inet mine c tcp dport 1 drop";
        assert!(bed.gateway.sh(foreign).await.status.success());
        let list = "nft -a list table inet mine";
        let mine = bed.gateway.sh(list).await.stdout;
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0)])).await.unwrap();
        tcp_echo(&bed.vms[0], 10001);
        Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        assert!(
            bed.gateway
                .sh("nft delete table ip decent")
                .await
                .status
                .success()
        );
        assert!(
            Call::to(&bed.client, public(port(0, 1)), SHORT).is_err(),
            "the table was not gone"
        );
        until("the table comes back", async || {
            Call::to(&bed.client, public(port(0, 1)), SHORT).is_ok()
        })
        .await;
        // A change into a table that is gone makes all of it again, too.
        assert!(
            bed.gateway
                .sh("nft delete table ip decent")
                .await
                .status
                .success()
        );
        plane.data.hear(Heard::One(&live(1))).await.unwrap();
        let seen = Nft::default().look().await.unwrap().unwrap();
        assert_eq!(seen.elements.sent.len(), 2);
        assert_eq!(bed.gateway.sh(list).await.stdout, mine);
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn elements_changed_by_hand_are_put_right_by_the_next_change_that_meets_them() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0), live(1)])).await.unwrap();
        let hand = "nft 'delete element ip decent tcp_fwd { 20000 }; add element ip decent udp_fwd { 30000 : 10.64.0.99 . 1 }'";
        assert!(bed.gateway.sh(hand).await.status.success());
        // The removal of what is not there any more fails as a whole, so the whole is looked at.
        plane.data.hear(Heard::One(&released(0))).await.unwrap();
        let seen = Nft::default().look().await.unwrap().unwrap();
        assert_eq!((seen.elements.tcp.len(), seen.elements.udp.len()), (5, 5));
        assert!(plane.data.is_gone(SlotIndex(0), live(0).route.uid).await);
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_torn_snapshot_is_kept_aside_and_the_tables_routes_stay() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0), live(1)])).await.unwrap();
        let saved = bed.state().join("snapshot.json");
        until("both routes are saved", async || {
            fs::read_to_string(&saved).is_ok_and(|text| text.contains("[1,"))
        })
        .await;
        plane.stop().await;
        let whole = fs::read(&saved).unwrap();
        fs::write(&saved, &whole[..whole.len() / 2]).unwrap();
        tcp_echo(&bed.vms[0], 10001);

        let plane = Running::start(bed.config()).await;
        let kept = plane.data.health().borrow().corrupt_snapshot.clone().unwrap();
        assert_eq!(fs::read(kept).unwrap(), &whole[..whole.len() / 2]);
        // Nothing is known, so nothing is touched: not without a site, and not with one.
        Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        assert!(matches!(
            plane.data.hear(Heard::All(&[])).await,
            Err(PlaneError::NoSite)
        ));
        plane.data.serve(site()).await.unwrap();
        Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        let done = plane.data.hear(Heard::All(&[live(0)])).await.unwrap();
        assert_eq!(done.missing, [SlotIndex(1)]);
        assert_eq!(plane.data.routes().await, 2);
        // Of the other one the hub speaks now.
        plane.data.hear(Heard::One(&released(1))).await.unwrap();
        assert_eq!(plane.data.routes().await, 1);
        assert_eq!(
            Nft::default().look().await.unwrap().unwrap().elements.sent.len(),
            1
        );
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_gateway_that_changes_is_followed_without_losing_a_connection_or_a_byte() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0)])).await.unwrap();
        tcp_echo(&bed.vms[0], 10001);
        let mut call = Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        call.talk(&"x".repeat(2000)).unwrap();
        let mut other = gateway(&["10.64.0.1"], None);
        other.metadata.generation = Some(2);
        plane.data.serve(Site::of(&other).unwrap()).await.unwrap();
        call.talk("still here").unwrap();
        plane.data.count().await.unwrap();
        assert!(plane.data.counters().traffic(SlotIndex(0)).unwrap().sent.bytes > 2000);
        // A change that would move the route is refused: it cannot be meant.
        other.spec.ports.first = 30_000;
        let moved = plane.data.serve(Site::of(&other).unwrap()).await;
        assert!(matches!(moved, Err(PlaneError::Moved(SlotIndex(0)))));
        call.talk("and here").unwrap();
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn p14_too_many_removals_at_once_wait_for_a_person() {
    bed::run(async |bed| {
        let mut config = bed.config();
        (config.brake.count, config.brake.percent) = (2, 10);
        let plane = Running::start(config).await;
        plane.data.serve(site()).await.unwrap();
        let all: Vec<_> = (0..10).map(live).collect();
        plane.data.hear(Heard::All(&all)).await.unwrap();
        let gone: Vec<_> = (0..10).map(released).collect();
        let done = plane.data.hear(Heard::All(&gone)).await.unwrap();
        assert_eq!((done.changes.remove.len(), done.held), (2, 8));
        assert_eq!(plane.data.health().borrow().held, 8);
        let again = plane.data.hear(Heard::All(&gone)).await.unwrap();
        assert_eq!((again.changes.remove.len(), again.held), (0, 8));
        assert!(!plane.data.is_gone(SlotIndex(9), released(9).route.uid).await);
        plane.data.release_brake().await;
        let done = plane.data.hear(Heard::All(&gone)).await.unwrap();
        assert_eq!((done.changes.remove.len(), done.held), (8, 0));
        assert_eq!(plane.data.health().borrow().held, 0);
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn after_a_reboot_without_a_hub_all_routes_are_back() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0), live(1)])).await.unwrap();
        // A removal is on disk by the time that it is done.
        plane.data.hear(Heard::One(&released(1))).await.unwrap();
        plane.stop().await;
        assert!(bed.gateway.sh("nft flush ruleset").await.status.success());
        tcp_echo(&bed.vms[0], 10001);
        let plane = Running::start(bed.config()).await;
        Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        let seen = Nft::default().look().await.unwrap().unwrap();
        assert_eq!(seen.elements.sent.len(), 1);
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_rule_taken_out_by_hand_is_back_after_a_start_and_bytes_are_kept() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0)])).await.unwrap();
        tcp_echo(&bed.vms[0], 10001);
        let mut call = Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        call.talk(&"x".repeat(3000)).unwrap();
        let saved = bed.state().join("snapshot.json");
        until("the route is saved", async || {
            fs::read_to_string(&saved).is_ok_and(|text| text.contains("[0,"))
        })
        .await;
        plane.stop().await;
        assert!(
            bed.gateway
                .sh("nft flush chain ip decent from_vm")
                .await
                .status
                .success()
        );
        let plane = Running::start(bed.config()).await;
        assert!(bed.table().await.contains("counter name \"refused_mail\""));
        plane.data.count().await.unwrap();
        assert!(plane.data.counters().traffic(SlotIndex(0)).unwrap().sent.bytes > 3000);
        call.talk("still here").unwrap();
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn a_disk_that_takes_nothing_is_said_and_routes_work_on() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        let saved = bed.state().join("snapshot.json");
        until("the site is saved", async || saved.exists()).await;
        // A file in place of the folder: nothing can be written there, whoever asks.
        fs::rename(bed.state(), bed.folder.path().join("away")).unwrap();
        fs::write(bed.state(), "").unwrap();
        tcp_echo(&bed.vms[0], 10001);
        plane.data.hear(Heard::One(&live(0))).await.unwrap();
        Call::to(&bed.client, public(port(0, 1)), LIMIT).unwrap();
        let mut health = plane.data.health();
        until("it is said", async || {
            health.borrow_and_update().snapshot.is_some()
        })
        .await;
        // A removal is programmed, but not done as long as a restart would undo it.
        plane.data.hear(Heard::One(&released(0))).await.unwrap_err();
        assert!(Call::to(&bed.client, public(port(0, 1)), SHORT).is_err());
        let gone = async || plane.data.is_gone(SlotIndex(0), live(0).route.uid).await;
        assert!(!gone().await);
        fs::remove_file(bed.state()).unwrap();
        fs::rename(bed.folder.path().join("away"), bed.state()).unwrap();
        until("it is done after all", gone).await;
        assert_eq!(health.borrow_and_update().snapshot, None);
        plane.stop().await;
    });
}
