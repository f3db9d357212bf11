//! Probes take a client's way and say what they find.

use std::time::{Duration, Instant};

use agent::probe::{ProbeError, Report};
use agent_core::routes::Heard;
use domain::slot::SlotIndex;

use super::bed::{self, LIMIT, Running};
use super::guests::{Sshd, tcp_echo};
use super::objects::{live, released, site};

async fn next(plane: &mut Running) -> Report {
    tokio::time::timeout(LIMIT, plane.seams.reports.recv())
        .await
        .expect("a report in time")
        .unwrap()
}

#[test]
#[ignore = "needs root, nftables, conntrack, sshd"]
fn p55_a_machine_is_reported_once_it_answers_by_its_public_port() {
    bed::run(async |bed| {
        let mut plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0), live(1)])).await.unwrap();
        let sshd = Sshd::start(&bed.vms[0], &bed.folder.path().join("vm0")).await;
        let begin = Instant::now();
        let report = next(&mut plane).await;
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
        assert_eq!(report.route, live(0).route);
        let answer = report.seen.unwrap();
        assert!(answer.banner.starts_with("SSH-2.0-OpenSSH"), "{answer:?}");
        assert_eq!(answer.host_keys, std::slice::from_ref(&sshd.host_key));
        assert_eq!(plane.data.probe(SlotIndex(0)).await.unwrap(), answer);
        // Nobody answers at the other, and a route that does not exist is not probed.
        assert!(plane.data.probe(SlotIndex(1)).await.is_err());
        assert!(matches!(
            plane.data.probe(SlotIndex(2)).await,
            Err(ProbeError::Gone)
        ));
        // What is released is not looked at any more.
        plane.data.hear(Heard::One(&released(0))).await.unwrap();
        assert!(matches!(
            plane.data.probe(SlotIndex(0)).await,
            Err(ProbeError::Gone)
        ));
        plane.stop().await;
        let left = bed.gateway.sh("ip link show probe").await;
        assert!(!left.status.success(), "the probes' link is left");
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn what_is_no_ssh_server_is_no_answer() {
    bed::run(async |bed| {
        let plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0)])).await.unwrap();
        tcp_echo(&bed.vms[0], 22);
        let begin = Instant::now();
        let seen = plane.data.probe(SlotIndex(0)).await;
        assert!(matches!(seen, Err(ProbeError::Slow)), "{seen:?}");
        assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack, sshd"]
fn a_machine_that_falls_silent_is_reported_and_so_is_its_return() {
    bed::run(async |bed| {
        let mut plane = Running::start(bed.config()).await;
        plane.data.serve(site()).await.unwrap();
        plane.data.hear(Heard::All(&[live(0)])).await.unwrap();
        let folder = bed.folder.path().join("vm0");
        let sshd = Sshd::start(&bed.vms[0], &folder).await;
        assert!(next(&mut plane).await.seen.is_ok());
        drop(sshd);
        // The next look is ten seconds away; two more follow at once.
        assert!(next(&mut plane).await.seen.is_err());
        let sshd = Sshd::start(&bed.vms[0], &folder).await;
        plane.data.expect(SlotIndex(0), live(0).route.uid);
        let back = next(&mut plane).await.seen.unwrap();
        assert_eq!(back.host_keys, std::slice::from_ref(&sshd.host_key));
        plane.stop().await;
    });
}
