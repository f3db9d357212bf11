//! A Contract that is not accepted yet: its terms, the provider's word, its deadline.

use crds::{contract::ContractPrice, machine::Decision};
use domain::contract::State;
use jiff::Timestamp;

use super::{
    Facts,
    advance::{Next, Time, Word, time},
};
use crate::{
    condition::seconds,
    market::{
        admit::{self, Asked, Refusal, Terms},
        names::say,
        owner::created,
    },
    reason::Reason,
};

pub(super) fn requested(facts: &Facts<'_>, now: Timestamp) -> Next {
    if decision(facts) == Some(Decision::Rejected) {
        return rejected(facts);
    }
    let deadline = created(facts.contract)
        .checked_add(facts.config.requested_limit)
        .ok();
    let over = time(facts, deadline, now);
    let mut next = match terms(facts) {
        Err(refusal) if refusal.is_permanent() => {
            let text = refusal.wait(facts.contract);
            let text = format!("{} {}", text.message, text.next_step);
            return Next::end(State::Rejected, refusal.reason(), text);
        }
        Err(refusal) if matches!(over, Time::Over) => {
            return stale(deadline, &refusal.wait(facts.contract).message, refusal.reason());
        }
        Err(refusal) => Next::new(State::Requested, Word::Refused(refusal)),
        Ok(terms) => offered(facts, terms, deadline, &over),
    };
    if next.state == facts.state() {
        next.late = matches!(over, Time::Held);
        next.deadline = deadline;
    }
    if next.state == State::Accepted {
        next.deadline = seconds(now).0.checked_add(facts.config.provisioning_limit).ok();
    }
    next
}

/// On known terms: accepted now, still waiting, or too late.
fn offered(facts: &Facts<'_>, terms: Option<Terms>, deadline: Option<Timestamp>, over: &Time) -> Next {
    let decided = decision(facts) == Some(Decision::Accepted);
    if matches!(over, Time::Over) && !decided {
        return stale(
            deadline,
            "The provider has not answered.",
            Reason::AwaitingProvider,
        );
    }
    let accepted = acceptance(facts, decided);
    let mut next = match accepted {
        Some(_) => Next::new(State::Accepted, Word::UnderWay),
        None => Next::new(State::Requested, Word::AwaitingProvider),
    };
    next.terms = terms;
    next.accepted = accepted;
    next
}

fn stale(deadline: Option<Timestamp>, why: &str, cause: Reason) -> Next {
    let until = deadline.map(say).unwrap_or_default();
    let text = format!("Not accepted by {until}: {why} Nothing is charged.");
    Next::new(
        State::Expired,
        Word::Ending {
            reason: Reason::Expired,
            cause,
            text,
        },
    )
}

/// The terms: None when they are fixed already.
fn terms(facts: &Facts<'_>) -> Result<Option<Terms>, Refusal> {
    let fixed: Option<&ContractPrice> = facts.contract.status.as_ref().and_then(|s| s.price.as_ref());
    if fixed.is_some() {
        let makeable = facts.present().is_some() || facts.offering.is_some();
        return if makeable {
            Ok(None)
        } else {
            Err(Refusal::OfferingNotFound)
        };
    }
    admit::admit(&Asked {
        contract: facts.contract,
        account: facts.account,
        offering: facts.offering,
        provider: facts.provider,
        older_alive: facts.older_alive,
        allow_test_payment: facts.config.allow_test_payment,
    })
    .map(Some)
}

fn acceptance(facts: &Facts<'_>, decided: bool) -> Option<(Reason, &'static str)> {
    if facts.account.is_some_and(|a| admit::owns(a, facts.contract)) {
        Some((Reason::SelfRental, "The tenant is the provider itself."))
    } else if decided {
        Some((Reason::Accepted, "The provider accepted."))
    } else if auto(facts) {
        Some((Reason::AutoAccepted, "Accepted by the provider's standing rules."))
    } else {
        None
    }
}

/// The provider's standing rules; without a Provider object there are none.
fn auto(facts: &Facts<'_>) -> bool {
    let Some(provider) = facts.provider.map(|p| &p.spec) else {
        return false;
    };
    let spec = &facts.contract.spec;
    let mut rules = provider
        .auto_accept
        .rules
        .iter()
        .filter(|r| r.offering == spec.offering_ref.name)
        .peekable();
    let within = rules.peek().is_none()
        || rules.any(|r| {
            r.min_hours.is_none_or(|min| min <= spec.duration_hours)
                && r.max_hours.is_none_or(|max| spec.duration_hours <= max)
        });
    provider.auto_accept.enabled && !provider.paused && within
}

pub(super) fn decision(facts: &Facts<'_>) -> Option<Decision> {
    facts.present()?.status.as_ref()?.decision
}

pub(super) fn rejected(facts: &Facts<'_>) -> Next {
    let said = facts
        .present()
        .and_then(|m| m.status.as_ref()?.decision_message.clone())
        .unwrap_or_default();
    let why = match said.trim().trim_end_matches('.') {
        "" => String::new(),
        said => format!(": {said}"),
    };
    let text = format!("The provider said no{why}. Refunded in full; rent something else.");
    Next::end(State::Rejected, Reason::RejectedByProvider, text)
}
