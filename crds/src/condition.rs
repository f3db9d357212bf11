//! Conditions as data: the transition time moves with the status only, so equal facts give equal bytes. Knows no kind
//! and no reason: each core has its own.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Condition: the summary.
pub const READY: &str = "Ready";

/// Longest message of a condition that we write.
pub const MESSAGE_MAX: usize = 1024;

/// A condition's three values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody can tell.
    Unknown,
}

impl Truth {
    /// As written in conditions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// One condition as a planner states it, without its time. `R` is the core's list of reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated<R> {
    /// Type of the condition.
    pub kind: &'static str,
    /// Whether it holds.
    pub truth: Truth,
    /// Why.
    pub reason: R,
    /// One sentence that a person can act on: no counters, absolute times only.
    pub message: String,
}

impl<R> Stated<R> {
    /// A condition of this type.
    #[must_use]
    pub fn new(kind: &'static str, truth: impl Into<Truth>, reason: R, message: impl Into<String>) -> Self {
        Self {
            kind,
            truth: truth.into(),
            reason,
            message: cut(message.into(), MESSAGE_MAX),
        }
    }
}

/// The conditions to store: what is stated, with the old transition time where the status is the same.
#[must_use]
pub fn merged<R: Into<&'static str>>(
    prior: &[Condition],
    stated: Vec<Stated<R>>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    stated
        .into_iter()
        .map(|new| {
            let same = find(prior, new.kind).filter(|old| old.status == new.truth.as_str());
            Condition {
                type_: new.kind.to_owned(),
                status: new.truth.as_str().to_owned(),
                reason: new.reason.into().to_owned(),
                message: new.message,
                observed_generation: generation,
                last_transition_time: same
                    .map_or_else(|| seconds(now), |old| old.last_transition_time.clone()),
            }
        })
        .collect()
}

/// The condition of this type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}

/// Whether the condition of this type is True.
#[must_use]
pub fn holds(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|c| c.status == "True")
}

/// An instant as objects carry it: whole seconds.
#[must_use]
pub fn seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Cuts a text at a character boundary.
#[must_use]
pub fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max.saturating_sub(3))
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn transition_time_moves_with_the_status_only() {
        let first = merged(
            &[],
            vec![Stated::new("Ready", false, "Cloning", "a")],
            Some(1),
            at(10),
        );
        let same = merged(
            &first,
            vec![Stated::new("Ready", false, "Starting", "b")],
            Some(1),
            at(20),
        );
        assert_eq!(same[0].last_transition_time, seconds(at(10)));
        assert_eq!(same[0].reason, "Starting");
        let moved = merged(
            &same,
            vec![Stated::new("Ready", true, "Ready", "c")],
            Some(1),
            at(30),
        );
        assert_eq!(moved[0].last_transition_time, seconds(at(30)));
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = "ü".repeat(600);
        let short = cut(text, MESSAGE_MAX);
        assert!(short.len() <= MESSAGE_MAX && short.ends_with('…'));
    }
}
