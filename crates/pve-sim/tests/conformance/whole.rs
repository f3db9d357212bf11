//! The whole test: every group is reproduced, or excluded for a reason.

use std::collections::BTreeSet;
use std::io::Write as _;

use crate::count::{Count, Fate};
use crate::evidence;
use crate::exclusions::{self, ON_OUR_PATH};
use crate::pairs::{self, Pair};
use crate::run;

/// Straight to stderr: the test runner would keep a passing test's words to itself.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The requests of a group that are not reproduced, with what differs in their answers, ends or logs.
fn failures<'a>(group: &[&'a Pair]) -> Vec<(&'a Pair, String)> {
    let mut failures = Vec::new();
    for unit in evidence::units(group) {
        let verdict = run::play(&unit);
        if verdict.wrong.is_empty() {
            continue;
        }
        let (pair, call) = (
            unit.asked,
            if verdict.unknown_call { "CALL UNKNOWN " } else { "" },
        );
        let wrong = verdict.wrong.join("; ");
        failures.push((
            pair,
            format!("{} {} {}: {call}{wrong}", pair.name, pair.method, pair.template()),
        ));
    }
    failures
}

#[test]
fn every_recorded_group_is_reproduced_or_excluded_for_a_reason() {
    let all = pairs::read();
    if all.is_empty() {
        say(&format!(
            "SKIPPED: the recordings are not in {}",
            pairs::folder().display()
        ));
        return;
    }
    let exclusions = exclusions::read();
    let (mut count, mut faults, mut needed) = (Count::default(), BTreeSet::new(), BTreeSet::new());
    for (number, group) in pairs::groups(&all) {
        let failures = failures(&group);
        let mut fate = if failures.is_empty() {
            Fate::Reproduced
        } else {
            Fate::Excluded
        };
        for (pair, text) in &failures {
            let about: Vec<_> = exclusions.iter().filter(|line| line.is_about(pair)).collect();
            needed.extend(about.iter().map(|line| line.line));
            if about.is_empty() {
                fate = Fate::Wrong;
                faults.insert(text.clone());
            } else if exclusions::on_our_path(pair)
                && !about.iter().any(|line| line.reason.starts_with(ON_OUR_PATH))
            {
                faults.insert(format!(
                    "{text}: excluded, but the reason does not say \"{ON_OUR_PATH}…\""
                ));
            }
        }
        count.0.insert(number, fate);
    }
    let stale = exclusions.iter().filter(|line| !needed.contains(&line.line));
    faults.extend(stale.map(|line| {
        format!(
            "exclusions.txt:{}: excludes nothing that is not reproduced: take it out",
            line.line
        )
    }));
    count.write();
    for fault in &faults {
        say(fault);
    }
    say(&count.line());
    assert!(faults.is_empty(), "{} faults, see above", faults.len());
    assert!(
        count.of(Fate::Reproduced) * 2 >= count.0.len(),
        "less than half is reproduced"
    );
}
