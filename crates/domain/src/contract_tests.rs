//! Tests of the state table, its CEL rule and the end of the paid period.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// The table as people wrote it: each line is a state and what may follow.
const TABLE: &str = "
requested → pending | accepted | rejected | cancelled | expired
pending → accepted | rejected | cancelled | expired
accepted → provisioning | provisioningFailed | rejected | cancelled
provisioning → provisioned | active | provisioningFailed | cancelled
provisioned → active | paused | cancelled
active → paused | cancelled | expired
paused → active | provisioned | cancelled | expired
";

fn written() -> HashSet<(&'static str, &'static str)> {
    TABLE
        .lines()
        .filter_map(|line| line.split_once(" → "))
        .flat_map(|(from, to)| to.split(" | ").map(move |to| (from, to)))
        .collect()
}

#[test]
fn every_pair_of_states_is_as_written() {
    let written = written();
    assert_eq!(written.len(), 27);
    for from in State::ALL {
        for to in State::ALL {
            let legal = from == to || written.contains(&(from.token(), to.token()));
            let want = if legal {
                Ok(to)
            } else {
                Err(IllegalTransition { from, to })
            };
            assert_eq!(next(from, to), want, "{from} → {to}");
        }
    }
}

#[test]
fn four_states_are_terminal() {
    let terminal: Vec<_> = State::ALL.into_iter().filter(|s| s.is_terminal()).collect();
    assert_eq!(
        terminal,
        [
            State::Rejected,
            State::Cancelled,
            State::Expired,
            State::ProvisioningFailed
        ]
    );
}

#[test]
fn every_state_is_reached_and_reaches_an_end() {
    for start in State::ALL {
        let mut seen = HashSet::from([start]);
        let mut queue = vec![start];
        while let Some(state) = queue.pop() {
            queue.extend(state.successors().iter().filter(|s| seen.insert(**s)));
        }
        assert!(seen.iter().any(|s| s.is_terminal()), "{start} has no end");
        if start == State::Requested {
            assert_eq!(seen.len(), State::ALL.len());
        }
    }
}

#[test]
fn names_are_pascal_case_in_manifests_and_tokens_on_the_wire() {
    for state in State::ALL {
        assert_eq!(
            serde_json::to_string(&state).unwrap(),
            format!("\"{}\"", state.name())
        );
        let (head, tail) = state.name().split_at(1);
        assert_eq!(state.to_string(), head.to_lowercase() + tail);
    }
}

/// Reads the generated rule for one pair: enough of CEL to try every clause.
fn rule_allows(rule: &str, from: State, to: State) -> bool {
    let old = "(has(oldSelf.status) && has(oldSelf.status.state) ? oldSelf.status.state : 'Requested')";
    let new = "(has(self.status) && has(self.status.state) ? self.status.state : 'Requested')";
    let plain = rule.replace(old, "OLD").replace(new, "NEW");
    plain.split(" || ").any(|clause| {
        if clause == "OLD == NEW" {
            return from == to;
        }
        let clause = clause
            .strip_prefix("(OLD == '")
            .and_then(|c| c.strip_suffix("])"))
            .unwrap();
        let (state, list) = clause.split_once("' && NEW in [").unwrap();
        state == from.name() && list.split(", ").any(|s| s.trim_matches('\'') == to.name())
    })
}

#[test]
fn cel_rule_says_what_the_function_says() {
    let rule = cel_rule();
    for from in State::ALL {
        for to in State::ALL {
            assert_eq!(
                rule_allows(&rule, from, to),
                next(from, to).is_ok(),
                "{from} → {to}"
            );
        }
    }
}

#[test]
fn period_is_exact() {
    let start: Timestamp = "2026-03-29T00:30:00Z".parse().unwrap();
    let hour = SignedDuration::from_hours(1);
    assert_eq!(
        ends_at(start, 24, &[], hour),
        Ok("2026-03-30T00:30:00Z".parse().unwrap())
    );
    assert_eq!(
        ends_at(start, 1, &[2, 3], hour),
        Ok("2026-03-29T06:30:00Z".parse().unwrap())
    );
    assert_eq!(
        ends_at(start, 5, &[], SignedDuration::from_secs(1)),
        Ok("2026-03-29T00:30:05Z".parse().unwrap())
    );
    assert_eq!(ends_at(Timestamp::MAX, 1, &[], hour), Err(EndsOutsideCalendar));
    assert_eq!(
        ends_at(start, u32::MAX, &[u32::MAX; 8], SignedDuration::MAX),
        Err(EndsOutsideCalendar)
    );
}

proptest! {
    #[test]
    fn extensions_add_up(seconds in 0..4_000_000_000_i64, hours in 1..10_000_u32, more in prop::collection::vec(1..1000_u32, 0..5)) {
        let start = Timestamp::from_second(seconds).unwrap();
        let hour = SignedDuration::from_hours(1);
        let whole = hours + more.iter().sum::<u32>();
        prop_assert_eq!(ends_at(start, hours, &more, hour), ends_at(start, whole, &[], hour));
        prop_assert!(ends_at(start, hours, &more, hour).unwrap() > start);
    }
}
