//! The budget of calls, in the simulator's own time.

use std::time::Duration;

use dc_cloudflare::{Class, Error};
use serde_json::json;

use crate::bed::{Bed, config};

/// The statuses of all calls so far.
async fn refused(bed: &Bed) -> usize {
    bed.log()
        .await
        .iter()
        .filter(|(_, status, _)| *status == 429)
        .count()
}

#[tokio::test]
async fn p48_three_thousand_calls_never_exceed_the_limit() {
    let bed = Bed::new().await;
    for _ in 0..3_000 {
        bed.cf.verify().await.unwrap();
    }
    assert_eq!(refused(&bed).await, 0);
    let most = Duration::from_secs(3_000 * 10 / 35 + 1);
    assert!(
        bed.timer.slept() <= most,
        "{:?}: it goes as fast as it may",
        bed.timer.slept()
    );
}

#[tokio::test]
async fn p48_clients_of_one_budget_share_it() {
    let bed = Bed::new().await;
    let other = bed.client(&bed.sim.read_token);
    // A few at once: time is moved by who waits, and must not run away from those who are being answered.
    for _ in 0..70 {
        let calls = (0..10).map(|n| {
            if n % 2 == 0 {
                bed.cf.verify()
            } else {
                other.verify()
            }
        });
        futures::future::try_join_all(calls).await.unwrap();
    }
    assert_eq!(refused(&bed).await, 0);
    assert!(bed.timer.slept() >= Duration::from_secs(680 * 10 / 35));
}

#[tokio::test]
async fn a_block_is_waited_out_by_all_and_survived() {
    let bed = Bed::new().await;
    // Somebody else uses up the user's calls.
    bed.control("PUT", "/rate", json!({"calls": 5})).await;
    for _ in 0..5 {
        bed.cf.verify().await.unwrap();
    }
    bed.control("PUT", "/rate", json!({"calls": 1_200})).await;
    bed.cf.verify().await.unwrap();
    assert_eq!(
        bed.timer.slept(),
        Duration::from_mins(5),
        "the last answer said that nothing is left"
    );
    let act = json!({"refuse": {"status": 429, "code": 971, "message": "slow down", "retry_after": 77}});
    bed.fault(json!({}), act).await;
    let error = bed.cf.verify().await.unwrap_err();
    let retry_after = Duration::from_secs(77);
    assert_eq!(error.class(), Class::RateLimited { retry_after });
    let other = bed.client(&bed.sim.other_token);
    let before = bed.timer.slept();
    let (first, second) = tokio::join!(bed.cf.verify(), other.verify());
    first.and(second).unwrap();
    assert!(
        bed.timer.slept() >= before + retry_after,
        "nobody calls meanwhile"
    );
    assert_eq!(refused(&bed).await, 1);
}

#[tokio::test]
async fn a_refusal_without_a_time_blocks_for_five_minutes() {
    let bed = Bed::new().await;
    let act = json!({"refuse": {"status": 429, "code": 10429, "message": "slow down"}});
    bed.fault(json!({}), act).await;
    let retry_after = Duration::from_mins(5);
    assert_eq!(
        bed.cf.verify().await.unwrap_err().class(),
        Class::RateLimited { retry_after }
    );
    bed.cf.verify().await.unwrap();
    assert_eq!(bed.timer.slept(), retry_after);
}

#[tokio::test]
async fn a_real_block_by_the_limit_is_survived() {
    let bed = Bed::new().await;
    bed.control("PUT", "/rate", json!({"calls": 3, "retry_after": false}))
        .await;
    // The calls of others do not show in our answers.
    let stranger = dc_cloudflare::Cf::new(
        &crate::bed::access(&bed.sim, &bed.sim.token),
        Bed::new().await.budget,
    )
    .unwrap();
    bed.cf.verify().await.unwrap();
    for _ in 0..2 {
        stranger.verify().await.unwrap();
    }
    let error = bed.cf.verify().await.unwrap_err();
    assert_eq!(
        error.class(),
        Class::RateLimited {
            retry_after: Duration::from_mins(5)
        }
    );
    assert_eq!(error.answer().unwrap().retry_after, None);
    bed.cf.verify().await.unwrap();
    assert_eq!(refused(&bed).await, 1);
}

#[tokio::test]
async fn who_has_no_patience_is_told_how_long_and_sends_nothing() {
    let bed = Bed::start(config(), Duration::from_secs(10)).await;
    let act = json!({"refuse": {"status": 429, "code": 971, "message": "slow down", "retry_after": 60}});
    bed.fault(json!({}), act).await;
    bed.cf.verify().await.unwrap_err();
    let error = bed.cf.verify().await.unwrap_err();
    assert!(matches!(error, Error::Budget { .. }));
    assert_eq!(
        error.class(),
        Class::RateLimited {
            retry_after: Duration::from_mins(1)
        }
    );
    assert_eq!(bed.log().await.len(), 1);
}
