//! The laws of style.md over random histories: legal transitions, idempotence, stability, convergence, crash after any
//! prefix. The world itself refuses what the API server would.

use crds::{common::PowerState, contract::Cancel, machine::Decision};
use domain::contract::State;
use proptest::prelude::*;

use super::world::World;
use crate::{condition::find, market::samples::KEY};

#[derive(Clone, Copy, Debug)]
enum Event {
    Later(i64),
    Claim,
    Power(bool),
    Route(bool),
    Decide(bool),
    Auto(bool),
    Pause(bool),
    Offering(bool),
    Cancel,
    Delete,
    Wish(bool),
    Keys(bool),
    Extend,
    Cache(bool),
    Answers(bool),
    Clock(bool),
    Vanish,
    End,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => prop_oneof![Just(1), Just(60), Just(3600), Just(720 * 3600)].prop_map(Event::Later),
        4 => Just(Event::Claim),
        4 => any::<bool>().prop_map(Event::Power),
        4 => any::<bool>().prop_map(Event::Route),
        2 => any::<bool>().prop_map(Event::Decide),
        1 => any::<bool>().prop_map(Event::Auto),
        1 => any::<bool>().prop_map(Event::Pause),
        1 => any::<bool>().prop_map(Event::Offering),
        1 => Just(Event::Cancel),
        1 => Just(Event::Delete),
        2 => any::<bool>().prop_map(Event::Wish),
        1 => any::<bool>().prop_map(Event::Keys),
        1 => Just(Event::Extend),
        1 => any::<bool>().prop_map(Event::Cache),
        1 => any::<bool>().prop_map(Event::Answers),
        1 => any::<bool>().prop_map(Event::Clock),
        1 => Just(Event::Vanish),
        1 => Just(Event::End),
    ]
}

fn power(on: bool) -> PowerState {
    if on {
        PowerState::Running
    } else {
        PowerState::Stopped
    }
}

fn happen(world: &mut World, event: Event) {
    match event {
        Event::Later(seconds) => world.second += seconds,
        Event::Claim => world.claim(),
        Event::Power(on) => world.power(power(on)),
        Event::Route(up) => world.route(up),
        Event::Decide(yes) => world.decide(if yes {
            Decision::Accepted
        } else {
            Decision::Rejected
        }),
        Event::Auto(on) => world.provider.as_mut().unwrap().spec.auto_accept.enabled = on,
        Event::Pause(on) => world.provider.as_mut().unwrap().spec.paused = on,
        Event::Offering(there) => world.offering = there.then(crate::market::samples::offering),
        Event::Delete => world.delete(),
        Event::Cache(shows) => world.cached = shows,
        Event::Answers(does) => world.answers = does,
        Event::Clock(agrees) => world.clock_agreed = agrees,
        Event::Vanish => world.machine = None,
        Event::End => world.end_machine(),
        Event::Cancel | Event::Wish(_) | Event::Keys(_) | Event::Extend => {
            let Some(contract) = &mut world.contract else {
                return;
            };
            match event {
                Event::Cancel => {
                    contract.spec.cancel = contract.spec.cancel.take().or(Some(Cancel::default()));
                }
                Event::Wish(on) => contract.spec.power_state = power(on),
                Event::Keys(good) => {
                    contract.spec.ssh_keys = vec![if good { KEY } else { "ssh-ed25519 AAAA" }.into()];
                }
                _ => contract.spec.extend_hours.push(1),
            }
        }
    }
}

fn start(auto: bool, monthly: u8) -> World {
    let mut world = World::new();
    world.provider.as_mut().unwrap().spec.auto_accept.enabled = auto;
    let offering = &mut world.offering.as_mut().unwrap().spec;
    offering.price.monthly = monthly.to_string().into();
    world
}

fn check(world: &World) -> Result<(), TestCaseError> {
    let status = world.status();
    let Some(contract) = &world.contract else {
        return Ok(());
    };
    for kind in [
        "Accepted",
        "Paid",
        "Scheduled",
        "Provisioned",
        "Reachable",
        "Ready",
    ] {
        let found = find(&status.conditions, kind);
        prop_assert!(
            found.is_some_and(|c| !c.message.is_empty()),
            "{} in {:?}",
            kind,
            status
        );
    }
    let ready = crate::condition::holds(&status.conditions, "Ready");
    prop_assert!(
        !ready || status.state == State::Active,
        "Ready while {}",
        status.state
    );
    prop_assert!(!ready || (status.ends_at.is_some() && status.connection.is_some()));
    let spec = world.machine.as_ref().map(|m| &m.spec);
    let early = status.state == State::Requested;
    prop_assert!(
        !early || spec.is_none_or(|s| !s.admitted),
        "admitted while {}",
        status.state
    );
    if status.state.is_terminal() && world.answers {
        prop_assert!(contract.metadata.finalizers.is_none(), "held though ended");
        prop_assert!(
            spec.is_none_or(|s| s.teardown.is_some()),
            "the Machine does not know"
        );
    }
    if !status.state.is_terminal() {
        prop_assert!(
            spec.is_none_or(|s| s.teardown.is_none()),
            "torn down while {}",
            status.state
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_history_settles_and_says_all_its_conditions(
        auto: bool,
        monthly in 0_u8..2,
        events in proptest::collection::vec(event(), 0..24),
    ) {
        let mut world = start(auto, monthly);
        world.settle();
        check(&world)?;
        for event in events {
            happen(&mut world, event);
            world.settle();
            check(&world)?;
            prop_assert_eq!(world.plan().map_or(0, |p| p.steps.len()), 0, "silent when settled");
        }
    }

    #[test]
    fn a_pass_cut_off_anywhere_ends_where_a_whole_one_does(
        auto: bool,
        events in proptest::collection::vec((event(), 0_usize..4), 0..16),
    ) {
        let (mut whole, mut cut) = (start(auto, 0), start(auto, 0));
        for (event, keep) in events {
            // A pass that was cut off needs a read to go on.
            if matches!(event, Event::Answers(_)) {
                continue;
            }
            for world in [&mut whole, &mut cut] {
                happen(world, event);
            }
            whole.settle();
            cut.pass(keep);
            cut.settle();
            prop_assert_eq!(&whole, &cut);
        }
    }

    #[test]
    fn a_machine_is_never_made_twice_once_a_slot_was_held(events in proptest::collection::vec(event(), 0..24)) {
        let mut world = start(true, 0);
        world.run();
        prop_assert_eq!((world.state(), world.created), (State::Active, 1));
        for event in events {
            happen(&mut world, event);
            world.settle();
            prop_assert_eq!(world.created, 1);
        }
    }

    #[test]
    fn blindness_ends_nothing(events in proptest::collection::vec(event(), 0..24)) {
        let mut world = start(true, 0);
        world.run();
        for event in events {
            let by_people = matches!(event, Event::Cancel | Event::Delete | Event::Later(_));
            if !by_people {
                happen(&mut world, event);
                world.settle();
                prop_assert!(!world.state().is_terminal(), "{:?} ended it", event);
            }
        }
    }
}
