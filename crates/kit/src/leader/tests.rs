//! The rule by properties, the shell by exact requests.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::{Clock, SystemClock},
    managers,
    scripted::{Server, refusal, response, server},
};

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/n/leases";

fn record(holder: Option<&str>, duration: u64) -> Record {
    Record {
        holder: holder.map(str::to_owned),
        duration: Duration::from_secs(duration),
        ..Record::default()
    }
}

proptest! {
    #[test]
    fn a_living_holder_is_never_robbed(since in 0_u64..1000, age in 0_u64..1000, held in 1_u64..1000) {
        let lease = Observed { record: Some(record(Some("b"), held)), since: Duration::from_secs(since) };
        let decision = decide(&lease, "a", Duration::from_secs(since + age));
        if age < held {
            prop_assert_eq!(decision, Decision::Yield(Duration::from_secs(held - age)));
        } else {
            prop_assert_eq!(decision, Decision::Acquire);
        }
    }

    #[test]
    fn our_own_lease_is_renewed_at_any_age(since in 0_u64..1000, age in 0_u64..10_000) {
        let lease = Observed { record: Some(record(Some("a"), 15)), since: Duration::from_secs(since) };
        prop_assert_eq!(decide(&lease, "a", Duration::from_secs(since + age)), Decision::Renew);
    }

    #[test]
    fn a_renewal_restarts_the_wait_whatever_the_holders_clock_says(stamp in -1_000_000_i64..1_000_000) {
        let at = |second| Some(Record {
            renewed: jiff::Timestamp::from_second(second).ok(), ..record(Some("b"), 15)
        });
        let first = observe(None, at(stamp), Duration::from_secs(1));
        let same = observe(Some(first.clone()), at(stamp), Duration::from_secs(9));
        prop_assert_eq!(same.since, Duration::from_secs(1));
        let renewed = observe(Some(first), at(stamp - 5), Duration::from_secs(9));
        prop_assert_eq!(renewed.since, Duration::from_secs(9));
    }
}

#[test]
fn a_missing_or_released_lease_is_free() {
    let absent = Observed {
        record: None,
        since: Duration::ZERO,
    };
    assert_eq!(decide(&absent, "a", Duration::ZERO), Decision::Acquire);
    let released = Observed {
        record: Some(record(None, 15)),
        since: Duration::ZERO,
    };
    assert_eq!(decide(&released, "a", Duration::ZERO), Decision::Acquire);
}

fn scene() -> (Candidate, Leadership, Server, CancellationToken) {
    let (client, server) = server();
    let config = Config {
        namespace: "n".into(),
        name: "l".into(),
        identity: "a".into(),
        duration: Duration::from_secs(15),
        renew: Duration::from_secs(5),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (candidate, leadership) = Candidate::new(client, managers::OPERATOR, config, clock);
    (candidate, leadership, server, CancellationToken::new())
}

fn lease(holder: Option<&str>, version: &str) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": "n", "name": "l", "resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3}})
}

/// Lets the candidate find no lease, create it, and lead.
async fn gain(server: &mut Server, leadership: &mut Leadership) {
    server
        .expect(&format!("GET {PATH}/l"), 404, refusal(404, "NotFound"))
        .await;
    let line = format!("POST {PATH}?&fieldManager=decent-operator");
    let seen = server.expect(&line, 201, lease(Some("a"), "1")).await;
    assert_eq!(seen.body["spec"]["holderIdentity"], "a");
    assert_eq!(seen.body["spec"]["leaseDurationSeconds"], 15);
    leadership.gained().await;
}

fn put() -> String {
    format!("PUT {PATH}/l?&fieldManager=decent-operator")
}

#[tokio::test(start_paused = true)]
async fn renews_with_the_version_it_holds_and_releases_last() {
    let (candidate, mut leadership, mut server, release) = scene();
    let script = async {
        gain(&mut server, &mut leadership).await;
        assert!(leadership.leads());
        let seen = server.expect(&put(), 200, lease(Some("a"), "2")).await;
        assert_eq!(seen.body["metadata"]["resourceVersion"], "1");
        assert_eq!(seen.body["spec"]["leaseTransitions"], 3);
        release.cancel();
        let seen = server.expect(&put(), 200, lease(None, "3")).await;
        assert_eq!(seen.body["metadata"]["resourceVersion"], "2");
        assert_eq!(seen.body["spec"].get("holderIdentity"), None);
        assert!(!leadership.leads());
    };
    let (result, ()) = tokio::join!(candidate.run(release.clone()), script);
    assert_eq!(result, Ok(()));
    server.silence(Duration::from_mins(1)).await;
}

#[tokio::test(start_paused = true)]
async fn waits_the_whole_lease_of_a_silent_holder_then_takes_over() {
    let (candidate, mut leadership, mut server, release) = scene();
    let start = tokio::time::Instant::now();
    let script = async {
        for _ in 0..3 {
            server
                .expect(&format!("GET {PATH}/l"), 200, lease(Some("b"), "8"))
                .await;
        }
        assert!(!leadership.leads());
        server
            .expect(&format!("GET {PATH}/l"), 200, lease(Some("b"), "8"))
            .await;
        let seen = server.expect(&put(), 200, lease(Some("a"), "9")).await;
        assert_eq!(start.elapsed().as_secs(), 15);
        assert_eq!(seen.body["metadata"]["resourceVersion"], "8");
        assert_eq!(seen.body["spec"]["leaseTransitions"], 4);
        leadership.gained().await;
        release.cancel();
        server.expect(&put(), 200, lease(None, "10")).await;
    };
    let (result, ()) = tokio::join!(candidate.run(release.clone()), script);
    assert_eq!(result, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_by_another_ends_the_run() {
    let (candidate, mut leadership, mut server, release) = scene();
    let script = async {
        gain(&mut server, &mut leadership).await;
        server.expect(&put(), 409, refusal(409, "Conflict")).await;
        server
            .expect(&format!("GET {PATH}/l"), 200, lease(Some("b"), "5"))
            .await;
    };
    let (result, ()) = tokio::join!(candidate.run(release), script);
    assert_eq!(result, Err(Lost::Taken { holder: "b".into() }));
    assert!(!leadership.leads());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_was_lost_is_still_ours() {
    let (candidate, mut leadership, mut server, release) = scene();
    let script = async {
        gain(&mut server, &mut leadership).await;
        let (seen, send) = server.next().await;
        assert_eq!(seen.line, put());
        send.send_response(response(409, &refusal(409, "Conflict")));
        server
            .expect(&format!("GET {PATH}/l"), 200, lease(Some("a"), "6"))
            .await;
        let seen = server.expect(&put(), 200, lease(Some("a"), "7")).await;
        assert_eq!(seen.body["metadata"]["resourceVersion"], "6");
        release.cancel();
        server.expect(&put(), 200, lease(None, "8")).await;
    };
    let (result, ()) = tokio::join!(candidate.run(release.clone()), script);
    assert_eq!(result, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn without_answers_leadership_ends_before_others_may_start() {
    let (candidate, mut leadership, mut server, release) = scene();
    let script = async {
        gain(&mut server, &mut leadership).await;
        let gained = tokio::time::Instant::now();
        let mut unanswered = Vec::new();
        while leadership.leads() {
            tokio::select! {
                request = server.next() => unanswered.push(request),
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
        assert!(
            gained.elapsed() <= Duration::from_secs(11),
            "{:?}",
            gained.elapsed()
        );
        assert!(!unanswered.is_empty());
    };
    let (result, ()) = tokio::join!(candidate.run(release), script);
    assert_eq!(result, Err(Lost::Expired));
}

#[tokio::test(start_paused = true)]
async fn a_release_survives_a_version_that_moved() {
    let (candidate, mut leadership, mut server, release) = scene();
    let script = async {
        gain(&mut server, &mut leadership).await;
        release.cancel();
        server.expect(&put(), 409, refusal(409, "Conflict")).await;
        server
            .expect(&format!("GET {PATH}/l"), 200, lease(Some("a"), "4"))
            .await;
        let seen = server.expect(&put(), 200, lease(None, "5")).await;
        assert_eq!(seen.body["metadata"]["resourceVersion"], "4");
        assert_eq!(seen.body["spec"].get("holderIdentity"), None);
    };
    let (result, ()) = tokio::join!(candidate.run(release.clone()), script);
    assert_eq!(result, Ok(()));
}
