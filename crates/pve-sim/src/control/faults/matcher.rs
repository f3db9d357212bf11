//! Which requests a rule meets, parsed once: method, path, guest, node, how manieth, how often, how likely, when.

use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::Facts;
use super::bad::BadRule;
use crate::model::moment::Moment;

/// Methods that a request can have.
const METHODS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"];
/// Ids that a guest can have.
const VMIDS: std::ops::RangeInclusive<u32> = 100..=999_999_999;
/// The longest time that a window may speak of, in milliseconds.
const LONGEST: u64 = 7 * 24 * 3_600_000;
/// The longest path pattern, and the largest program that it may become.
const PATTERN: usize = 1_000;
const PROGRAM: usize = 1 << 20;

/// Which requests a rule meets, as it is sent: all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewMatcher {
    /// The method.
    pub method: Option<String>,
    /// A template such as `/nodes/{node}/qemu/{vmid}/clone`, or else a regular expression, on the path behind
    /// /api2/json.
    pub path: Option<String>,
    /// The guest: of the path, or the new one of a clone.
    pub vmid: Option<u32>,
    /// The node.
    pub node: Option<String>,
    /// Only from the how manieth fitting request on, counted from one.
    pub nth: Option<u32>,
    /// How many requests the rule meets in all; one if it is not given, any number if it is zero.
    pub count: Option<u32>,
    /// How likely it is that a fitting request is met, from 0 to 1; drawn with the simulator's seed.
    pub probability: Option<f64>,
    /// When, counted from the arming.
    pub window: Option<Window>,
}

/// A span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// Milliseconds until it begins.
    pub after_ms: u64,
    /// Milliseconds that it lasts; without end if it is not given.
    pub for_ms: Option<u64>,
}

/// The same, checked.
#[derive(Debug)]
pub struct Matcher {
    wire: NewMatcher,
    pattern: Option<Regex>,
    /// How many requests it meets at most.
    pub most: u32,
    /// How likely, in millionths.
    pub likely: u32,
}

impl TryFrom<NewMatcher> for Matcher {
    type Error = BadRule;

    fn try_from(wire: NewMatcher) -> Result<Self, BadRule> {
        let NewMatcher {
            method,
            path,
            vmid,
            node,
            nth,
            count,
            probability,
            window,
        } = &wire;
        if let Some(method) = method
            && !METHODS.contains(&method.to_uppercase().as_str())
        {
            return Err(BadRule::field("match.method", format!("{method:?} is no method")));
        }
        if vmid.is_some_and(|vmid| !VMIDS.contains(&vmid)) {
            return Err(BadRule::field("match.vmid", "a VMID is from 100 to 999999999"));
        }
        if node.as_ref().is_some_and(String::is_empty) {
            return Err(BadRule::field("match.node", "a node has a name"));
        }
        if *nth == Some(0) {
            return Err(BadRule::field("match.nth", "requests are counted from 1"));
        }
        if let Some(window) = window {
            check_window(window)?;
        }
        let likely = likelihood(probability.unwrap_or(1.0))?;
        let most = match count {
            None => 1,
            Some(0) => u32::MAX,
            Some(count) => *count,
        };
        let pattern = path.as_deref().map(compile).transpose()?;
        Ok(Self {
            wire,
            pattern,
            most,
            likely,
        })
    }
}

fn check_window(window: &Window) -> Result<(), BadRule> {
    let Window { after_ms, for_ms } = window;
    if *for_ms == Some(0) {
        return Err(BadRule::field(
            "match.window.for_ms",
            "a window lasts at least 1 ms",
        ));
    }
    if *after_ms > LONGEST || for_ms.is_some_and(|span| span > LONGEST) {
        return Err(BadRule::field("match.window", "a window is within a week"));
    }
    Ok(())
}

/// A probability in millionths.
fn likelihood(probability: f64) -> Result<u32, BadRule> {
    if !(0.0..=1.0).contains(&probability) {
        return Err(BadRule::field(
            "match.probability",
            "a probability is from 0 to 1",
        ));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 1 000 000 by the check above"
    )]
    Ok((probability * 1e6).round() as u32)
}

impl Matcher {
    /// Whether a request fits at this time, apart from how manieth it is.
    pub fn fits(&self, facts: &Facts, armed: Moment, now: Moment) -> bool {
        let NewMatcher {
            method,
            path: _,
            vmid,
            node,
            nth: _,
            count: _,
            probability: _,
            window,
        } = &self.wire;
        method
            .as_ref()
            .is_none_or(|method| method.eq_ignore_ascii_case(&facts.method))
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(&facts.path))
            && vmid.is_none_or(|vmid| facts.vmid == Some(vmid) || facts.newid == Some(vmid))
            && node.as_ref().is_none_or(|node| facts.node.as_ref() == Some(node))
            && window.is_none_or(|window| window.holds(now.since(armed)))
    }

    /// The how manieth fitting request is the first that it meets.
    pub fn first(&self) -> u32 {
        self.wire.nth.unwrap_or(1)
    }

    /// As it was sent.
    pub fn wire(&self) -> &NewMatcher {
        &self.wire
    }
}

impl Window {
    fn holds(self, passed: Duration) -> bool {
        let begin = Duration::from_millis(self.after_ms);
        passed >= begin
            && self
                .for_ms
                .is_none_or(|span| passed < begin + Duration::from_millis(span))
    }
}

/// A template meets the whole path, with any text in place of `{name}`; anything else is a regular expression.
fn compile(pattern: &str) -> Result<Regex, BadRule> {
    if pattern.is_empty() || pattern.len() > PATTERN {
        return Err(BadRule::field(
            "match.path",
            format!("a pattern has 1 to {PATTERN} bytes"),
        ));
    }
    let parts = pattern.split('/').map(|part| {
        let named = part.starts_with('{') && part.ends_with('}');
        if named {
            "[^/]+".to_owned()
        } else {
            regex::escape(part)
        }
    });
    let template = pattern.starts_with('/')
        && (pattern.contains("/{") || !pattern.contains(['(', '[', '*', '\\', '$', '|', '+']));
    let text = if template {
        format!("^{}$", parts.collect::<Vec<_>>().join("/"))
    } else {
        pattern.to_owned()
    };
    let built = RegexBuilder::new(&text).size_limit(PROGRAM).build();
    built.map_err(|source| BadRule::Pattern {
        pattern: pattern.to_owned(),
        source,
    })
}
