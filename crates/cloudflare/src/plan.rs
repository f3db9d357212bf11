//! The planner: what must be created, updated and deleted so that our records are the wanted ones, and what of others
//! stands in the way. Pure: facts in, data out.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::Name;
use crate::owner::Scope;
use crate::record::{Desired, Kind, Record};

/// A record of ours that must say something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The record as it is.
    pub record: Record,
    /// What it must say.
    pub to: Desired,
}

/// How a foreign record stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// It says exactly what we want, but is not ours.
    Same,
    /// An alias or a delegation takes the whole name.
    TakesName,
    /// Ours is an alias, beside which nothing may stand.
    BesideAlias,
    /// It sends clients to another address.
    OtherAddress,
}

impl Why {
    /// The reason as words behind "record at NAME".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Same => "says the same but is not ours",
            Self::TakesName => "takes the whole name",
            Self::BesideAlias => "stands where an alias must be alone",
            Self::OtherAddress => "sends clients to another address",
        }
    }
}

/// A wanted record that is not written because of a foreign one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What we want.
    pub wanted: Desired,
    /// What is there; never touched.
    pub foreign: Record,
    /// How it stands in the way.
    pub why: Why,
}

/// What must be done, in this order: deletions make room, updates leave no gap, creations come last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Plan {
    /// Records of ours that nobody wants.
    pub delete: Vec<Record>,
    /// Records of ours that must say something else.
    pub update: Vec<Update>,
    /// Records that are missing.
    pub create: Vec<Desired>,
    /// Wanted records that are not written, because a foreign one stands in the way.
    pub conflicts: Vec<Conflict>,
    /// Records with our comment at names that are not ours: forged or misplaced, never touched.
    pub strays: Vec<Record>,
}

impl Plan {
    /// Whether nothing is to be written.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.delete.is_empty() && self.update.is_empty() && self.create.is_empty()
    }
}

/// A wanted record that is not at a name of its owner: a mistake of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not a name of this gateway")]
pub struct OutsideScope {
    /// The name.
    pub name: Name,
}

/// Compares what is wanted with what is there. `listed` is all that carries our comment and all that stands at the
/// wanted names; the same record may be in it twice, and others may be in it too.
///
/// # Errors
/// If something is wanted at a name outside the scope.
pub fn plan(desired: &[Desired], listed: &[Record], scope: &Scope) -> Result<Plan, OutsideScope> {
    let wanted: BTreeSet<&Desired> = desired.iter().collect();
    if let Some(outside) = wanted.iter().find(|one| !scope.covers(one.name())) {
        return Err(OutsideScope {
            name: outside.name().clone(),
        });
    }
    let listed: BTreeMap<&str, &Record> = listed.iter().map(|one| (one.id.as_str(), one)).collect();
    let (ours, others): (Vec<&Record>, Vec<&Record>) = listed.into_values().partition(|one| scope.owns(one));
    let mut plan = Plan::default();
    let stray = |record: &&&Record| record.owner() == Some(scope.owner);
    plan.strays = others
        .iter()
        .filter(stray)
        .map(|record| (*record).clone())
        .collect();
    let mut open = BTreeMap::new();
    for one in wanted {
        match in_the_way(one, &others) {
            Some(conflict) => plan.conflicts.push(conflict),
            None => group(&mut open, one),
        }
    }
    pair(&mut plan, open, ours);
    Ok(plan)
}

/// What we want and have at one name of one type.
type Wanted<'a> = BTreeMap<(&'a str, &'a Kind), Vec<&'a Desired>>;

fn group<'a>(open: &mut Wanted<'a>, one: &'a Desired) {
    let same = open.entry((one.name().as_str(), one.kind())).or_default();
    // Of two that differ in their TTL only, the first is wanted: both cannot be.
    if !same.iter().any(|other| other.content() == one.content()) {
        same.push(one);
    }
}

/// Matches what we have with what we want: the same value first, then any of the same name and type.
fn pair<'a>(plan: &mut Plan, mut open: Wanted<'a>, ours: Vec<&'a Record>) {
    let blocked: BTreeSet<(String, Kind)> = plan
        .conflicts
        .iter()
        .map(|conflict| (conflict.wanted.name().to_string(), conflict.wanted.kind().clone()))
        .collect();
    let mut rest = Vec::new();
    for record in ours {
        let list = open.get_mut(&(record.name.as_str(), &record.kind));
        let place = list
            .as_ref()
            .and_then(|list| list.iter().position(|one| record.says(one)));
        match (list, place) {
            (Some(list), Some(place)) => {
                let to = list.remove(place);
                if !to.is(record) {
                    plan.update.push(update(record, to));
                }
            }
            _ => rest.push(record),
        }
    }
    for record in rest {
        let list = open.get_mut(&(record.name.as_str(), &record.kind));
        match list.and_then(Vec::pop) {
            Some(to) => plan.update.push(update(record, to)),
            // What serves while a foreign record blocks its successor goes on serving.
            None if blocked.contains(&(record.name.clone(), record.kind.clone())) => {}
            None => plan.delete.push(record.clone()),
        }
    }
    plan.create = open.into_values().flatten().cloned().collect();
}

fn update(record: &Record, to: &Desired) -> Update {
    Update {
        record: record.clone(),
        to: to.clone(),
    }
}

/// The first foreign record that keeps a wanted one from being written.
fn in_the_way(wanted: &Desired, others: &[&Record]) -> Option<Conflict> {
    let there = others.iter().filter(|other| other.at(wanted.name()));
    let mut ways = there.filter_map(|other| Some((*other, why(wanted, other)?)));
    ways.next().map(|(foreign, why)| Conflict {
        wanted: wanted.clone(),
        foreign: foreign.clone(),
        why,
    })
}

fn why(wanted: &Desired, foreign: &Record) -> Option<Why> {
    let address = |kind: &Kind| matches!(kind, Kind::A | Kind::Aaaa);
    if foreign.says(wanted) {
        return Some(Why::Same);
    }
    match (&foreign.kind, wanted.kind()) {
        (Kind::Cname | Kind::Ns, _) => Some(Why::TakesName),
        (_, Kind::Cname) => Some(Why::BesideAlias),
        (theirs, ours) if address(theirs) && address(ours) => Some(Why::OtherAddress),
        _ => None,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
