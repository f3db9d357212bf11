//! Fault rules: which request they meet, the how manieth, how often, how likely; and what then happens. Does nothing
//! itself: gives the plan for a request.

mod act;
mod bad;
mod facts;
mod hand;
mod matcher;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::dice::Dice;
use crate::sim::Shared;

pub use act::{Act, Ending, Plan};
pub use bad::BadRule;
pub use facts::Facts;
pub use hand::{When, call};
use matcher::{Matcher, NewMatcher};

/// The most rules that are armed at once.
const MOST: usize = 1_000;
/// The most complaints of one rule that are kept.
const COMPLAINTS: usize = 20;

/// A rule as it is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// Which requests.
    #[serde(default, rename = "match")]
    pub matcher: NewMatcher,
    /// What happens: one act, or a list of them.
    pub act: Value,
}

/// A rule, checked.
#[derive(Debug)]
struct Rule {
    id: u64,
    matcher: Matcher,
    acts: Vec<Act>,
    plan: Arc<Plan>,
    /// How many requests fitted.
    seen: u32,
    /// How many of them it met.
    met: u32,
    /// What could not be done.
    complaints: Vec<String>,
}

/// A rule as it is shown.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    id: u64,
    #[serde(rename = "match")]
    matcher: &'a NewMatcher,
    act: &'a [Act],
    seen: u32,
    met: u32,
    complaints: &'a [String],
}

/// What a rule makes of a request.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// The rule; none if no rule met it.
    pub rule: Option<u64>,
    /// What happens.
    pub plan: Arc<Plan>,
}

/// All rules, oldest first.
#[derive(Debug)]
pub struct Faults {
    rules: Vec<Rule>,
    next: u64,
    dice: Dice,
}

/// A rule whose parts are good; whether the control port has the routes of its acts is not yet known.
#[derive(Debug)]
pub struct Read {
    matcher: Matcher,
    acts: Vec<Act>,
    plan: Plan,
}

/// Reads a rule.
pub fn read(new: NewRule) -> Result<Read, BadRule> {
    let NewRule { matcher, act } = new;
    let acts = act::read(&act)?;
    Ok(Read {
        matcher: matcher.try_into()?,
        plan: Plan::of(&acts)?,
        acts,
    })
}

impl Read {
    /// Checks that the control port has the routes that the acts call.
    pub async fn check_hands(&self, shared: &Arc<Shared>) -> Result<(), BadRule> {
        for hand in &self.plan.hands {
            hand.known(shared).await?;
        }
        Ok(())
    }
}

impl Faults {
    /// No rules; what they draw comes from this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            rules: Vec::new(),
            next: 0,
            dice: Dice::new(seed),
        }
    }

    /// Arms a rule and gives its number.
    pub fn add(&mut self, read: Read) -> Result<u64, BadRule> {
        if self.rules.len() >= MOST {
            return Err(BadRule::Full(MOST));
        }
        self.next += 1;
        let Read { matcher, acts, plan } = read;
        self.rules.push(Rule {
            id: self.next,
            matcher,
            acts,
            plan: Arc::new(plan),
            seen: 0,
            met: 0,
            complaints: Vec::new(),
        });
        Ok(self.next)
    }

    /// All rules.
    pub fn list(&self) -> Vec<Shown<'_>> {
        self.rules.iter().map(Rule::shown).collect()
    }

    /// Disarms one rule, or all.
    pub fn remove(&mut self, id: Option<u64>) {
        self.rules.retain(|rule| id.is_some_and(|id| rule.id != id));
    }

    /// What happens to a request: the newest rule that meets it decides.
    pub fn take(&mut self, facts: &Facts) -> Taken {
        let dice = &mut self.dice;
        let met = self.rules.iter_mut().rev().find_map(|rule| {
            rule.take(facts, dice).then(|| Taken {
                rule: Some(rule.id),
                plan: Arc::clone(&rule.plan),
            })
        });
        met.unwrap_or_default()
    }

    /// Notes that an act of a rule could not be done.
    pub fn complain(&mut self, rule: Option<u64>, why: String) {
        let found = self.rules.iter_mut().find(|one| Some(one.id) == rule);
        if let Some(rule) = found.filter(|rule| rule.complaints.len() < COMPLAINTS) {
            rule.complaints.push(why);
        }
    }
}

impl Rule {
    fn take(&mut self, facts: &Facts, dice: &mut Dice) -> bool {
        if !self.matcher.fits(facts) {
            return false;
        }
        self.seen += 1;
        if self.seen < self.matcher.first() || self.met >= self.matcher.most {
            return false;
        }
        let meets = dice.millionth() < self.matcher.likely;
        self.met += u32::from(meets);
        meets
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            id: self.id,
            matcher: self.matcher.wire(),
            act: &self.acts,
            seen: self.seen,
            met: self.met,
            complaints: &self.complaints,
        }
    }
}
