//! What to do so that there is what there should be. Pure, and blind to how it came about: each round looks at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::wanted::{Guest, Home, Start, Wanted};
use crate::model::moment::Moment;

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The guests.
    pub guests: BTreeMap<u32, Standing>,
    /// Folders of machines.
    pub homes: BTreeSet<Home>,
    /// The bridges.
    pub bridges: BTreeSet<String>,
    /// The rules that hold.
    pub rules: Option<String>,
    /// Guests that failed a moment ago: they are left in peace for a while.
    pub resting: BTreeSet<u32>,
}

/// A guest that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which start it is.
    pub start: Start,
    /// Whether its programs run.
    pub booted: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Take a guest away: processes, card, namespace.
    Remove(u32),
    /// Forget a machine that is destroyed: its disk and host keys.
    Forget(Home),
    /// Make a bridge.
    Bridge(String),
    /// Let these rules hold, all at once.
    Program(String),
    /// Give a guest its namespace and card.
    Create(Guest),
    /// Start a guest's programs.
    Boot(u32),
}

impl Act {
    /// The guest that it is about.
    pub fn vmid(&self) -> Option<u32> {
        match self {
            Self::Remove(vmid) | Self::Boot(vmid) => Some(*vmid),
            Self::Create(guest) => Some(guest.vmid),
            Self::Forget(_) | Self::Bridge(_) | Self::Program(_) => None,
        }
    }
}

/// What to do now, in this order. Rules hold before a card is there that they are about.
pub fn plan(wanted: &Wanted, seen: &Seen, now: Moment, boot: Duration) -> Vec<Act> {
    let stands = |vmid: &u32, start: Start| seen.guests.get(vmid).is_some_and(|guest| guest.start == start);
    let stale = |(vmid, standing): &(&u32, &Standing)| {
        wanted
            .guests
            .get(vmid)
            .is_none_or(|guest| guest.start != standing.start)
    };
    let mut acts: Vec<Act> = seen
        .guests
        .iter()
        .filter(stale)
        .map(|(vmid, _)| Act::Remove(*vmid))
        .collect();
    acts.extend(seen.homes.difference(&wanted.homes).cloned().map(Act::Forget));
    acts.extend(wanted.bridges.difference(&seen.bridges).cloned().map(Act::Bridge));
    if seen.rules.as_ref() != Some(&wanted.rules.text) {
        acts.push(Act::Program(wanted.rules.text.clone()));
    }
    for guest in wanted
        .guests
        .values()
        .filter(|guest| !seen.resting.contains(&guest.vmid))
    {
        let there = stands(&guest.vmid, guest.start);
        let booted = there
            && seen
                .guests
                .get(&guest.vmid)
                .is_some_and(|standing| standing.booted);
        if !there {
            acts.push(Act::Create(guest.clone()));
        }
        if !booted && now >= guest.start.at.plus(boot) {
            acts.push(Act::Boot(guest.vmid));
        }
    }
    acts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::filter::Ruleset;
    use super::*;

    const BOOT: Duration = Duration::from_secs(2);

    fn home(vmid: u32) -> Home {
        Home::parse(&format!("{vmid}-5a1b6a3c-0000-4000-8000-000000000001")).unwrap()
    }

    fn start(second: u64) -> Start {
        Start {
            at: Moment::from_micros(second * 1_000_000),
            pid: 7,
        }
    }

    fn guest(vmid: u32, second: u64) -> Guest {
        Guest {
            vmid,
            start: start(second),
            home: home(vmid),
            name: "web".to_owned(),
            card: None,
            user: "root".to_owned(),
            keys: Vec::new(),
        }
    }

    fn want(guests: &[(u32, u64)], kept: &[u32], text: &str) -> Wanted {
        Wanted {
            guests: guests
                .iter()
                .map(|&(vmid, second)| (vmid, guest(vmid, second)))
                .collect(),
            homes: kept.iter().copied().map(home).collect(),
            bridges: BTreeSet::from(["vmbr0".to_owned()]),
            rules: Ruleset {
                text: text.to_owned(),
                skipped: Vec::new(),
            },
        }
    }

    fn see(guests: &[(u32, u64, bool)], kept: &[u32]) -> Seen {
        let standing = |&(vmid, second, booted): &(u32, u64, bool)| {
            let standing = Standing {
                start: start(second),
                booted,
            };
            (vmid, standing)
        };
        Seen {
            guests: guests.iter().map(standing).collect(),
            homes: kept.iter().copied().map(home).collect(),
            bridges: BTreeSet::from(["vmbr0".to_owned()]),
            rules: Some("a".to_owned()),
            resting: BTreeSet::new(),
        }
    }

    fn at(second: u64) -> Moment {
        start(second).at
    }

    #[test]
    fn nothing_is_done_where_all_is_well() {
        let (want, seen) = (want(&[(1, 5)], &[1, 2], "a"), see(&[(1, 5, true)], &[1]));
        assert_eq!(plan(&want, &seen, at(9), BOOT), []);
    }

    #[test]
    fn a_guest_is_there_at_once_and_booted_when_its_time_has_come() {
        let want = want(&[(1, 5)], &[1], "a");
        assert_eq!(
            plan(&want, &see(&[], &[]), at(5), BOOT),
            [Act::Create(guest(1, 5))]
        );
        assert_eq!(plan(&want, &see(&[(1, 5, false)], &[1]), at(6), BOOT), []);
        assert_eq!(
            plan(&want, &see(&[(1, 5, false)], &[1]), at(7), BOOT),
            [Act::Boot(1)]
        );
        let late = plan(&want, &see(&[], &[]), at(8), BOOT);
        assert_eq!(late, [Act::Create(guest(1, 5)), Act::Boot(1)]);
    }

    #[test]
    fn a_guest_that_was_started_again_is_another_one() {
        let (want, seen) = (want(&[(1, 9)], &[1], "a"), see(&[(1, 5, true)], &[1]));
        assert_eq!(
            plan(&want, &seen, at(9), BOOT),
            [Act::Remove(1), Act::Create(guest(1, 9))]
        );
    }

    #[test]
    fn a_stopped_guest_keeps_its_home_and_a_destroyed_one_does_not() {
        let seen = see(&[(1, 5, true), (2, 5, true)], &[1, 2]);
        let acts = plan(&want(&[], &[1], "a"), &seen, at(9), BOOT);
        assert_eq!(acts, [Act::Remove(1), Act::Remove(2), Act::Forget(home(2))]);
    }

    #[test]
    fn rules_hold_before_the_card_is_there() {
        let acts = plan(&want(&[(1, 5)], &[1], "b"), &see(&[], &[]), at(5), BOOT);
        assert_eq!(acts, [Act::Program("b".to_owned()), Act::Create(guest(1, 5))]);
    }

    #[test]
    fn a_guest_that_failed_is_left_in_peace_for_a_while() {
        let mut seen = see(&[], &[]);
        seen.resting.insert(1);
        assert_eq!(plan(&want(&[(1, 5)], &[1], "a"), &seen, at(9), BOOT), []);
    }

    /// What is after these acts, if each does what it says.
    fn done(seen: &Seen, acts: &[Act]) -> Seen {
        let mut after = seen.clone();
        for act in acts {
            match act {
                Act::Remove(vmid) => drop(after.guests.remove(vmid)),
                Act::Forget(home) => drop(after.homes.remove(home)),
                Act::Bridge(name) => drop(after.bridges.insert(name.clone())),
                Act::Program(text) => after.rules = Some(text.clone()),
                Act::Create(guest) => {
                    assert!(!after.guests.contains_key(&guest.vmid), "made twice");
                    after.homes.insert(guest.home.clone());
                    let standing = Standing {
                        start: guest.start,
                        booted: false,
                    };
                    after.guests.insert(guest.vmid, standing);
                }
                Act::Boot(vmid) => after.guests.get_mut(vmid).unwrap().booted = true,
            }
        }
        after
    }

    proptest! {
        #[test]
        fn from_any_state_and_after_any_break_one_more_round_settles(
            wanted in prop::collection::btree_map(1_u32..6, 0_u64..4, 0..5),
            there in prop::collection::btree_map(1_u32..6, (0_u64..4, any::<bool>()), 0..5),
            broken_after in 0_usize..9,
        ) {
            let wanted: Vec<_> = wanted.into_iter().collect();
            let kept: Vec<u32> = wanted.iter().map(|(vmid, _)| *vmid).collect();
            let there: Vec<_> = there.into_iter().map(|(vmid, (second, booted))| (vmid, second, booted)).collect();
            let homes: Vec<u32> = there.iter().map(|(vmid, ..)| *vmid).collect();
            let (want, seen) = (want(&wanted, &kept, "b"), see(&there, &homes));
            let acts = plan(&want, &seen, at(9), BOOT);
            let broken = done(&seen, &acts[..broken_after.min(acts.len())]);
            let settled = done(&broken, &plan(&want, &broken, at(9), BOOT));
            prop_assert_eq!(plan(&want, &settled, at(9), BOOT), Vec::new());
            prop_assert_eq!(settled.guests.keys().copied().collect::<Vec<_>>(), kept);
        }
    }
}
