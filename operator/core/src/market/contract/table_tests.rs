//! Single stories of a Contract, each with what people see.

use crds::{common::PowerState, machine::Decision, offering::Stock, offering::Visibility};
use domain::contract::State;
use rstest::rstest;

use super::{Step, world::World};
use crate::market::samples::{self, KEY, at, instant};

pub(super) const HOUR: i64 = 3600;

pub(super) fn world() -> World {
    World::new()
}

pub(super) fn kinds(world: &World) -> Vec<&'static str> {
    let steps = world.plan().unwrap().steps;
    steps
        .iter()
        .map(|step| match step {
            Step::AddFinalizer => "finalizer",
            Step::Status(_) => "status",
            Step::CreateMachine(_) => "create",
            Step::ApplyMachine(_) => "apply",
            Step::Teardown(_) => "teardown",
            Step::DropFinalizer => "drop",
        })
        .collect()
}

pub(super) fn ready(world: &World) -> (String, String) {
    let (status, reason, _) = world.condition("Ready");
    (status, reason)
}

pub(super) fn is(status: &str, reason: &str) -> (String, String) {
    (status.into(), reason.into())
}

pub(super) fn by_hand(world: &mut World) {
    world.provider.as_mut().unwrap().spec.auto_accept.enabled = false;
}

#[test]
fn auto_accept_takes_one_pass_and_three_writes() {
    let mut world = world();
    assert_eq!(kinds(&world), ["finalizer", "status", "create"]);
    world.pass(usize::MAX);
    assert_eq!(world.state(), State::Accepted);
    let (truth, reason, _) = world.condition("Accepted");
    assert_eq!((truth.as_str(), reason.as_str()), ("True", "AutoAccepted"));
    assert_eq!(world.condition("Paid").1, "Free");
    let machine = world.machine.clone().unwrap();
    assert!(machine.spec.admitted);
    assert_eq!(machine.spec.provision_by, Some(at(1 + HOUR)));
    assert_eq!(
        machine.metadata.finalizers,
        Some(vec!["decent-cloud.org/machine".into()])
    );
    assert_eq!(
        machine.metadata.labels.unwrap()["decent-cloud.org/contract-uid"],
        samples::UID
    );
    assert_eq!(kinds(&world), Vec::<&str>::new());
}

#[test]
fn from_request_to_ready_costs_five_writes() {
    let mut world = world();
    let mut writes = world.pass(usize::MAX);
    world.claim();
    writes += world.pass(usize::MAX);
    assert_eq!(world.state(), State::Provisioning);
    world.power(PowerState::Running);
    world.route(true);
    writes += world.pass(usize::MAX);
    assert_eq!((world.state(), writes), (State::Active, 5));
    assert_eq!(kinds(&world), Vec::<&str>::new());
    assert_eq!(ready(&world), is("True", "Reachable"));
}

#[test]
fn an_active_contract_says_how_to_connect_and_until_when() {
    let mut world = world();
    world.second = 100;
    world.run();
    let status = world.status();
    assert_eq!(
        (status.starts_at, status.ends_at),
        (Some(at(100)), Some(at(100 + 720 * HOUR)))
    );
    assert_eq!(status.waiting, None);
    let connection = status.connection.unwrap();
    assert!(connection.host.starts_with("000") && connection.host.ends_with(".ams1.gw.example.org"));
    assert_eq!(
        (
            connection.ssh_port,
            connection.ports.len(),
            connection.user.as_str()
        ),
        (20_000, 9, "root")
    );
    assert_eq!(connection.url, format!("https://{}", connection.host));
    assert_eq!(
        connection.known_hosts,
        Some(format!("[{}]:20000 ssh-ed25519 AAAAC3Nz\n", connection.host))
    );
}

#[test]
fn the_connection_is_known_as_soon_as_the_slot_is() {
    let mut world = world();
    world.settle();
    world.claim();
    world.settle();
    let connection = world.status().connection.unwrap();
    assert_eq!((connection.ssh_port, connection.known_hosts), (20_000, None));
}

#[test]
fn a_slot_is_newer_than_a_machine_that_does_not_know_it() {
    let mut world = world();
    world.settle();
    let stale = samples::condition(
        "Scheduled",
        "False",
        "MissingPrivilege",
        "Pool rack1: a right is missing.",
    );
    world
        .machine
        .as_mut()
        .unwrap()
        .status
        .get_or_insert_default()
        .conditions = vec![stale];
    world.slots.push(samples::slot(0, None));
    world.settle();
    assert_eq!(
        (world.state(), ready(&world)),
        (State::Provisioning, is("False", "Scheduled"))
    );
    let (truth, _, says) = world.condition("Scheduled");
    assert_eq!(truth, "True");
    assert!(
        says.starts_with("Slot ams1-0: VMID 10000 on node pve1,"),
        "{says}"
    );
}

#[test]
fn the_paid_period_starts_between_creation_and_now() {
    for (probed, want) in [(-50, 0), (70, 70), (5000, 100)] {
        let mut world = world();
        world.settle();
        world.claim();
        world.settle();
        world.second = 100;
        world.route(true);
        let route = world.slots[0].status.as_mut().unwrap().route.as_mut().unwrap();
        route.probed_at = Some(at(probed));
        world.settle();
        assert_eq!(world.status().starts_at, Some(at(want)), "probed at {probed}");
    }
}

#[test]
fn self_rental_is_free_and_needs_nobodys_word() {
    let mut world = world();
    by_hand(&mut world);
    world.account = samples::offering_account("acme");
    world.offering.as_mut().unwrap().spec.price.monthly = "99".into();
    world.settle();
    assert_eq!(world.state(), State::Accepted);
    assert_eq!(world.condition("Accepted").1, "SelfRental");
    assert_eq!(world.status().price.unwrap().amount_e9s, 0);
    assert!(world.machine.unwrap().spec.offering.self_rental);
}

#[test]
fn without_standing_rules_the_provider_decides() {
    let mut world = world();
    by_hand(&mut world);
    world.settle();
    assert_eq!(world.state(), State::Requested);
    assert_eq!(world.status().waiting.unwrap().reason, "AwaitingProvider");
    assert!(!world.machine.as_ref().unwrap().spec.admitted);
    world.decide(Decision::Accepted);
    assert_eq!(kinds(&world), ["status", "apply"]);
    world.settle();
    assert_eq!(world.state(), State::Accepted);
    assert_eq!(world.condition("Accepted").1, "Accepted");
    assert!(world.machine.unwrap().spec.admitted);
}

#[test]
fn without_a_provider_object_nothing_is_accepted_by_itself() {
    let mut world = world();
    world.provider = None;
    world.settle();
    assert_eq!(world.state(), State::Requested);
}

#[rstest]
#[case(None, None, true)]
#[case(Some(720), Some(720), true)]
#[case(Some(721), None, false)]
#[case(None, Some(719), false)]
fn standing_rules_bound_the_hours(
    #[case] min: Option<i32>,
    #[case] max: Option<i32>,
    #[case] accepted: bool,
) {
    let mut world = world();
    let rule = crds::provider::AutoAcceptRule {
        offering: "small".into(),
        min_hours: min,
        max_hours: max,
    };
    world.provider.as_mut().unwrap().spec.auto_accept.rules = vec![rule];
    world.settle();
    assert_eq!(world.state() == State::Accepted, accepted);
}

#[test]
fn a_rejection_ends_it_and_its_machine() {
    let mut world = world();
    by_hand(&mut world);
    world.settle();
    world.decide(Decision::Rejected);
    world
        .machine
        .as_mut()
        .unwrap()
        .status
        .as_mut()
        .unwrap()
        .decision_message = Some("no games".into());
    assert_eq!(kinds(&world), ["status", "teardown", "drop"]);
    world.settle();
    assert_eq!(
        (world.state(), ready(&world)),
        (State::Rejected, is("False", "RejectedByProvider"))
    );
    assert!(world.condition("Ready").2.contains("said no: no games. Refunded"));
    let teardown = world.machine.unwrap().spec.teardown.unwrap();
    assert_eq!(teardown.cause, crds::machine::TeardownCause::Rejected);
}

#[rstest]
#[case::missing(|w: &mut World| w.offering = None, "OfferingNotFound")]
#[case::private(|w: &mut World| w.offering.as_mut().unwrap().spec.visibility = Visibility::Private, "OfferingNotFound")]
#[case::stock(|w: &mut World| w.offering.as_mut().unwrap().spec.stock = Stock::OutOfStock, "OutOfStock")]
#[case::paused(|w: &mut World| w.provider.as_mut().unwrap().spec.paused = true, "ProviderPaused")]
#[case::limit(|w: &mut World| w.older_alive = 10, "AccountLimit")]
fn what_may_pass_waits_until_its_deadline(#[case] change: fn(&mut World), #[case] reason: &str) {
    let mut hindered = world();
    change(&mut hindered);
    hindered.settle();
    assert_eq!(
        (hindered.state(), ready(&hindered)),
        (State::Requested, is("False", reason))
    );
    let waiting = hindered.status().waiting.unwrap();
    assert_eq!(
        (waiting.reason.as_str(), waiting.deadline),
        (reason, Some(at(HOUR)))
    );
    assert_eq!(hindered.plan().unwrap().wake, Some(instant(HOUR)));
    assert!(hindered.machine.is_none() && hindered.contract().metadata.finalizers.is_none());
    let mut free = hindered.clone();
    (free.offering, free.provider, free.older_alive) =
        (Some(samples::offering()), Some(samples::provider()), 0);
    free.settle();
    assert_eq!(free.state(), State::Accepted);
    hindered.second = HOUR;
    hindered.settle();
    assert_eq!(
        (hindered.state(), ready(&hindered)),
        (State::Expired, is("False", "Expired"))
    );
}

#[test]
fn what_may_not_be_seen_and_what_is_not_there_give_equal_bytes() {
    let (mut missing, mut private) = (world(), world());
    missing.offering = None;
    let spec = &mut private.offering.as_mut().unwrap().spec;
    (spec.visibility, spec.stock, spec.price.monthly) = (Visibility::Private, Stock::OutOfStock, "7".into());
    private.provider.as_mut().unwrap().spec.paused = true;
    for second in [1, 50, HOUR + 1] {
        for world in [&mut missing, &mut private] {
            world.second = second;
            world.settle();
        }
        let bytes = |world: &World| serde_json::to_string(&world.status()).unwrap();
        assert_eq!(bytes(&missing), bytes(&private));
    }
}

#[test]
fn what_cannot_pass_is_rejected_at_once() {
    let mut world = world();
    world.contract().spec.duration_hours = 9000;
    assert_eq!(kinds(&world), ["status"]);
    world.settle();
    assert_eq!(
        (world.state(), ready(&world)),
        (State::Rejected, is("False", "HoursOutOfRange"))
    );
    assert_eq!(world.condition("Stalled").0, "True");
}

#[test]
fn a_key_that_does_not_decode_fails_it_without_a_machine() {
    let mut world = world();
    world.contract().spec.ssh_keys = vec![KEY.into(), "ssh-ed25519 AAAA".into()];
    world.pass(usize::MAX);
    assert_eq!(world.state(), State::Accepted);
    world.settle();
    assert_eq!((world.state(), world.created), (State::ProvisioningFailed, 0));
    let (_, reason, says) = world.condition("Ready");
    assert_eq!(reason, "InvalidKey");
    assert_eq!(
        says,
        "sshKeys[1] doesn't decode as an OpenSSH public key. No machine was started. Refunded in full."
    );
}

#[test]
fn keys_and_power_flow_to_the_machine_but_bad_keys_do_not() {
    let mut world = world();
    world.run();
    world.contract().spec.power_state = PowerState::Stopped;
    world.contract().spec.ssh_keys = vec![format!("{KEY} new").as_str().into()];
    assert_eq!(kinds(&world).last(), Some(&"apply"));
    world.settle();
    let spec = world.machine.clone().unwrap().spec;
    assert_eq!(
        (spec.power_state, spec.ssh_keys.clone()),
        (PowerState::Stopped, world.contract().spec.ssh_keys.clone())
    );
    assert_eq!(ready(&world), is("False", "Stopping"));
    world.contract().spec.ssh_keys = vec!["ssh-ed25519 AAAA".into()];
    world.contract().spec.power_state = PowerState::Running;
    world.settle();
    assert_eq!(world.machine.clone().unwrap().spec.ssh_keys, spec.ssh_keys);
    assert_eq!(ready(&world), is("True", "Reachable"));
    assert_eq!(world.status().waiting.unwrap().reason, "InvalidKey");
}

#[test]
fn paused_and_active_follow_the_machines_power() {
    let mut world = world();
    world.run();
    let end = world.status().ends_at;
    world.contract().spec.power_state = PowerState::Stopped;
    world.settle();
    assert_eq!(world.state(), State::Active);
    world.power(PowerState::Stopped);
    world.route(false);
    world.settle();
    assert_eq!(
        (world.state(), ready(&world)),
        (State::Paused, is("False", "Stopped"))
    );
    world.contract().spec.power_state = PowerState::Running;
    world.power(PowerState::Running);
    world.route(true);
    world.settle();
    assert_eq!(
        (world.state(), ready(&world)),
        (State::Active, is("True", "Reachable"))
    );
    assert_eq!(world.status().ends_at, end, "the rented time goes on");
}

#[test]
fn silence_changes_only_whether_it_is_reachable() {
    let mut world = world();
    world.run();
    let before = world.status();
    world.second = 500;
    world.route(false);
    world.settle();
    let after = world.status();
    assert_eq!(
        (after.state, after.connection.clone(), after.ends_at.clone()),
        (before.state, before.connection, before.ends_at)
    );
    assert_eq!(world.condition("Reachable").1, "Unreachable");
    assert_eq!(world.condition("Provisioned").0, "True");
    assert_eq!(ready(&world), is("False", "Unreachable"));
}

#[test]
fn it_expires_at_the_second_and_is_woken_for_it() {
    let mut world = world();
    world.run();
    let end = 1 + 720 * HOUR;
    assert_eq!(world.plan().unwrap().wake, Some(instant(end)));
    world.second = end - 1;
    world.settle();
    assert_eq!(world.state(), State::Active);
    world.second = end;
    assert_eq!(kinds(&world), ["status", "teardown", "drop"]);
    world.settle();
    assert_eq!(
        (world.state(), ready(&world)),
        (State::Expired, is("False", "Expired"))
    );
}

#[test]
fn extensions_move_the_end() {
    let mut world = world();
    world.run();
    world.contract().spec.extend_hours = vec![1, 2];
    world.settle();
    assert_eq!(world.status().ends_at, Some(at(1 + 723 * HOUR)));
}
