//! What the Contract shows: conditions, wait, connection. Equal facts give equal bytes; what is not known keeps what
//! was last said.

use crds::{ContractStatus, common::NamespacedRef, contract::ContractPrice};
use domain::{contract::State, names};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    Facts,
    advance::{Next, Word},
    connect,
    running::{running, under_way},
    text,
};
use crate::{
    condition::{
        ACCEPTED, PAID, PROVISIONED, REACHABLE, READY, RECONCILING, SCHEDULED, STALLED, Stated, Truth, Wait,
        find, merged, seconds,
    },
    market::{
        admit::{self, Refusal, Settlement, Terms},
        names::{path, say},
    },
    reason::Reason,
};

/// The status after this step.
pub(super) fn status(facts: &Facts<'_>, next: &Next, now: Timestamp) -> ContractStatus {
    let stored = facts.contract.status.clone().unwrap_or_default();
    if matches!(next.word, Word::Ended) {
        return stored;
    }
    let price = stored
        .price
        .clone()
        .or_else(|| next.terms.as_ref().map(|t| t.price.clone()));
    let (conditions, wait) = said(facts, next);
    let generation = facts.contract.metadata.generation;
    let running = matches!(next.word, Word::Running);
    ContractStatus {
        observed_generation: generation,
        state: next.state,
        id: facts.uid().as_ref().map(names::contract_id),
        machine_ref: stored
            .machine_ref
            .clone()
            .or_else(|| machine_ref(facts, price.as_ref())),
        price,
        starts_at: stored.starts_at.clone().or_else(|| next.starts_at.map(seconds)),
        ends_at: next
            .deadline
            .filter(|_| running)
            .map(seconds)
            .or_else(|| stored.ends_at.clone()),
        connection: connection(facts)
            .or_else(|| stored.connection.clone())
            .filter(|_| !next.state.is_terminal()),
        waiting: wait.map(|w| w.stored(stored.waiting.as_ref(), now)),
        conditions: merged(&stored.conditions, conditions, generation, now),
    }
}

fn machine_ref(facts: &Facts<'_>, price: Option<&ContractPrice>) -> Option<NamespacedRef> {
    price?;
    Some(NamespacedRef {
        namespace: facts.contract.spec.offering_ref.namespace.clone(),
        name: super::machine_name(facts.contract)?.into(),
    })
}

pub(super) fn connection(facts: &Facts<'_>) -> Option<crds::contract::Connection> {
    let (slot, gateway, machine) = (facts.slot?, facts.gateway?, facts.present()?);
    connect::connection(slot, gateway, &facts.uid()?, machine.spec.offering.user.as_str())
}

pub(super) fn stored<'a>(facts: &Facts<'a>) -> &'a [Condition] {
    facts.contract.status.as_ref().map_or(&[], |s| &s.conditions)
}

/// What was last said of this, if it holds.
fn kept(facts: &Facts<'_>, kind: &'static str) -> Option<Stated> {
    find(stored(facts), kind)
        .filter(|c| c.status == "True")
        .map(|c| again(kind, c))
}

pub(super) fn again(kind: &'static str, condition: &Condition) -> Stated {
    let truth = match condition.status.as_str() {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    };
    Stated::new(
        kind,
        truth,
        text::reason(&condition.reason),
        condition.message.clone(),
    )
}

fn said(facts: &Facts<'_>, next: &Next) -> (Vec<Stated>, Option<Wait>) {
    match &next.word {
        Word::Ended => (Vec::new(), None),
        Word::Ending { reason, cause, text } => (ending(facts, next.state, [*reason, *cause], text), None),
        Word::Refused(refusal) => refused(facts, next, refusal),
        Word::AwaitingProvider => awaiting(facts, next),
        Word::UnderWay => under_way(facts, next),
        Word::Running => running(facts, next),
    }
}

fn ending(facts: &Facts<'_>, state: State, [reason, cause]: [Reason; 2], says: &str) -> Vec<Stated> {
    let stalled = matches!(state, State::Rejected | State::ProvisioningFailed);
    let no = |kind, reason| Stated::new(kind, false, reason, says);
    let mut all = vec![
        kept(facts, ACCEPTED).unwrap_or_else(|| no(ACCEPTED, cause)),
        kept(facts, PAID).unwrap_or_else(|| no(PAID, cause)),
        no(SCHEDULED, cause),
        no(PROVISIONED, cause),
        no(REACHABLE, cause),
        no(READY, reason),
    ];
    if stalled {
        all.push(Stated::new(STALLED, true, reason, says));
    }
    all
}

/// The three that follow acceptance, before it.
fn not_yet(reason: Reason, says: &str) -> [Stated; 3] {
    [SCHEDULED, PROVISIONED, REACHABLE].map(|kind| Stated::new(kind, Truth::Unknown, reason, says))
}

/// The summary of something that goes on, and the mark that it does.
pub(super) fn moving(wait: &Wait, says: String) -> [Stated; 2] {
    [
        Stated::new(READY, false, wait.reason, says.clone()),
        Stated::new(RECONCILING, true, wait.reason, says),
    ]
}

/// The wait to show: an end that is due but held comes first.
pub(super) fn held(next: &Next, wait: Wait) -> Wait {
    if next.late {
        return text::skewed(next.deadline);
    }
    let deadline = wait.deadline.or(next.deadline);
    wait.until(deadline)
}

fn refused(facts: &Facts<'_>, next: &Next, refusal: &Refusal) -> (Vec<Stated>, Option<Wait>) {
    let wait = held(next, refusal.wait(facts.contract));
    let until = next.deadline.map(say).unwrap_or_default();
    let says = format!(
        "{} {} Unless that changes, this ends expired at {until}, without charge.",
        wait.message, wait.next_step
    );
    let mut all = vec![
        Stated::new(ACCEPTED, false, wait.reason, wait.message.clone()),
        kept(facts, PAID)
            .unwrap_or_else(|| Stated::new(PAID, Truth::Unknown, wait.reason, "Not priced yet.")),
    ];
    all.extend(not_yet(wait.reason, "Not accepted yet."));
    all.extend(moving(&wait, says));
    (all, Some(wait))
}

fn awaiting(facts: &Facts<'_>, next: &Next) -> (Vec<Stated>, Option<Wait>) {
    let named = path(&facts.contract.spec.offering_ref);
    let until = next.deadline.map(say).unwrap_or_default();
    let says = format!("The provider of {named} has not yet accepted or rejected.");
    let step = format!("The provider decides by {until}, else this ends expired and nothing is charged.");
    let wait = held(next, Wait::new(Reason::AwaitingProvider, says, step));
    let mut all = vec![Stated::new(
        ACCEPTED,
        Truth::Unknown,
        wait.reason,
        wait.message.clone(),
    )];
    all.push(paid(facts, next));
    all.extend(not_yet(wait.reason, "Not accepted yet."));
    all.extend(moving(&wait, format!("{} {}", wait.message, wait.next_step)));
    (all, Some(wait))
}

pub(super) fn paid(facts: &Facts<'_>, next: &Next) -> Stated {
    let hours = facts.contract.spec.duration_hours;
    match &next.terms {
        Some(terms) => settled(terms, hours),
        None => kept(facts, PAID)
            .unwrap_or_else(|| Stated::new(PAID, Truth::Unknown, Reason::Reconciling, "Not priced yet.")),
    }
}

fn settled(terms: &Terms, hours: i32) -> Stated {
    let price = admit::say_price(&terms.price, hours);
    match terms.settlement {
        Settlement::Free => Stated::new(PAID, true, Reason::Free, "It costs nothing."),
        Settlement::Test => {
            let says = format!("{price}, by the method Test: no money moves.");
            Stated::new(PAID, true, Reason::Paid, says)
        }
    }
}

pub(super) fn accepted(facts: &Facts<'_>, next: &Next) -> Stated {
    let fresh = next
        .accepted
        .map(|(reason, says)| Stated::new(ACCEPTED, true, reason, says));
    let known = || kept(facts, ACCEPTED);
    fresh
        .or_else(known)
        .unwrap_or_else(|| Stated::new(ACCEPTED, true, Reason::Accepted, "Accepted."))
}
