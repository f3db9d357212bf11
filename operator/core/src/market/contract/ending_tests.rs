//! How a Contract ends, or does not: time, cancellation, a Machine that cannot be seen.

use crds::{
    common::{Actor, Waiting},
    contract::Cancel,
};
use domain::contract::State;
use rstest::rstest;

use super::table_tests::{HOUR, by_hand, is, kinds, ready, world};
use crate::market::samples::{self, at, instant};

#[test]
fn a_clock_that_disagrees_holds_every_end_by_time() {
    let mut world = world();
    world.run();
    (world.second, world.clock_agreed) = (1000 * HOUR, false);
    world.settle();
    assert_eq!(
        (world.state(), ready(&world)),
        (State::Active, is("True", "Reachable"))
    );
    assert_eq!(world.status().waiting.unwrap().reason, "ClockSkewed");
    assert_eq!(world.plan().unwrap().wake, Some(instant(1000 * HOUR + 5)));
    world.clock_agreed = true;
    world.settle();
    assert_eq!(world.state(), State::Expired);
}

#[test]
fn what_is_not_reached_in_time_fails_with_its_cause() {
    let mut world = world();
    world.settle();
    let status = world.machine.as_mut().unwrap().status.get_or_insert_default();
    let says = "Pool acme/rack1 needs 16Gi more memory on one node.";
    status.conditions = vec![samples::condition(
        "Scheduled",
        "False",
        "WaitingForCapacity",
        says,
    )];
    status.waiting = Some(crds::common::Waiting {
        reason: "WaitingForCapacity".into(),
        actor: crds::common::Actor::Provider,
        since: at(1),
        deadline: None,
        next_step: "It waits in order of arrival.".into(),
        position: Some(2),
    });
    world.settle();
    let (_, reason, message) = world.condition("Ready");
    assert_eq!(reason, "WaitingForCapacity");
    assert!(
        message.starts_with(says) && message.contains("cancel without charge"),
        "{message}"
    );
    assert_eq!(
        world.condition("Scheduled"),
        ("False".into(), "WaitingForCapacity".into(), says.into())
    );
    let waiting = world.status().waiting.unwrap();
    assert_eq!(
        (waiting.position, waiting.deadline),
        (Some(2), Some(at(1 + HOUR)))
    );
    world.second = 1 + HOUR;
    world.settle();
    assert_eq!(
        (world.state(), ready(&world)),
        (State::ProvisioningFailed, is("False", "ProvisioningFailed"))
    );
    let (_, cause, text) = world.condition("Scheduled");
    assert_eq!(cause, "WaitingForCapacity");
    assert!(
        text.contains(says) && text.ends_with("Refunded in full."),
        "{text}"
    );
}

#[test]
fn a_deadline_in_a_further_attempt_is_put_down_to_the_failure_before_it() {
    let mut world = world();
    world.settle();
    world.claim();
    world.settle();
    let status = world.machine.as_mut().unwrap().status.get_or_insert_default();
    status.slot = Some("ams1-9".into());
    status.last_error = Some(crds::machine::LastError {
        class: "Provider".into(),
        reason: "TaskFailed".into(),
        text: "The clone ended with: disk of sorrow".into(),
    });
    world.second = 1 + HOUR;
    world.settle();
    let (_, cause, text) = world.condition("Provisioned");
    assert_eq!(cause, "TaskFailed");
    assert!(text.contains("disk of sorrow. Refunded in full."), "{text}");
}

#[rstest]
#[case::no_capacity(
    "WaitingForCapacity",
    "Pool rack1 needs a node that works.",
    "disk of sorrow. After that: Pool rack1"
)]
#[case::placed_again(
    "TaskFailed",
    "It has left nothing.",
    "disk of sorrow. After that: It has left nothing."
)]
#[case::told(
    "TaskFailed",
    "The clone ended with: disk of sorrow.",
    "The clone ended with: disk of sorrow. Refunded"
)]
fn what_follows_from_a_failure_is_put_down_to_the_failure(
    #[case] waits: &str,
    #[case] next: &str,
    #[case] says: &str,
) {
    let mut world = world();
    world.settle();
    let status = world.machine.as_mut().unwrap().status.get_or_insert_default();
    status.last_error = Some(crds::machine::LastError {
        class: "Provider".into(),
        reason: "TaskFailed".into(),
        text: "The clone ended with: disk of sorrow".into(),
    });
    status.waiting = Some(Waiting {
        reason: waits.into(),
        actor: Actor::Provider,
        since: at(1),
        deadline: None,
        next_step: next.into(),
        position: None,
    });
    world.second = 1 + HOUR;
    world.settle();
    let (_, cause, text) = world.condition("Scheduled");
    assert_eq!(cause, "TaskFailed");
    assert!(text.contains(says), "{text}");
}

#[rstest]
#[case::requested(0)]
#[case::accepted(1)]
#[case::provisioning(2)]
#[case::active(3)]
fn cancelling_and_deleting_are_one_pass_from_anywhere(#[case] steps: usize) {
    let mut world = world();
    if steps == 0 {
        by_hand(&mut world);
    }
    world.settle();
    if steps > 1 {
        world.claim();
        world.settle();
    }
    if steps > 2 {
        world.run();
    }
    let mut deleted = world.clone();
    world.contract().spec.cancel = Some(Cancel {
        reason: Some("too slow".into()),
    });
    assert_eq!(kinds(&world), ["status", "teardown", "drop"]);
    world.pass(usize::MAX);
    assert_eq!(
        (world.state(), ready(&world)),
        (State::Cancelled, is("False", "Cancelled"))
    );
    assert_eq!(
        world.machine.clone().unwrap().spec.teardown.unwrap().cause,
        crds::machine::TeardownCause::Cancelled
    );
    assert_eq!(kinds(&world), Vec::<&str>::new());
    deleted.delete();
    deleted.pass(usize::MAX);
    assert!(deleted.contract.is_none());
    assert_eq!(
        deleted.machine.unwrap().spec.teardown.unwrap().cause,
        crds::machine::TeardownCause::Deleted
    );
}

#[test]
fn the_finalizer_stays_while_the_machine_cannot_be_seen() {
    let mut world = world();
    world.run();
    (world.cached, world.answers) = (false, false);
    world.delete();
    assert_eq!(kinds(&world), ["status"]);
    world.settle();
    assert_eq!(world.plan().unwrap().wake, Some(instant(1 + 5)));
    world.answers = true;
    assert_eq!(kinds(&world), ["teardown", "drop"]);
}

#[test]
fn a_machine_that_vanished_is_shown_and_not_made_again() {
    let mut world = world();
    world.run();
    world.machine = None;
    world.settle();
    assert_eq!(
        (world.state(), ready(&world)),
        (State::Active, is("False", "MachineLost"))
    );
    assert_eq!(world.condition("Reachable").0, "Unknown");
    assert_eq!(world.created, 1);
    assert!(world.status().connection.is_some());
}

#[test]
fn not_seeing_the_machine_changes_nothing() {
    let mut world = world();
    world.run();
    let before = world.status();
    (world.cached, world.answers) = (false, false);
    world.settle();
    assert_eq!(world.status(), before);
}

#[test]
fn a_teardown_by_another_hand_ends_the_contract() {
    let mut world = world();
    world.run();
    let teardown = crds::machine::Teardown {
        cause: crds::machine::TeardownCause::DisputeLost,
        at: at(5),
        by: "court".into(),
    };
    world.machine.as_mut().unwrap().spec.teardown = Some(teardown);
    world.settle();
    assert_eq!(world.state(), State::Cancelled);
}

#[test]
fn a_status_that_was_lost_is_found_again() {
    let mut world = world();
    world.run();
    let before = world.status();
    world.contract().status = None;
    world.settle();
    let after = world.status();
    assert_eq!(
        (after.state, after.price, after.connection),
        (before.state, before.price, before.connection)
    );
}
