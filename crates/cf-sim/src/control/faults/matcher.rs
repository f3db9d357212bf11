//! Which requests a rule meets, parsed once: method, path, record, zone, how manieth, how often, how likely.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::Facts;
use super::bad::BadRule;

/// Methods that a request can have.
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];
/// The longest path pattern, and the largest program that it may become.
const PATTERN: usize = 1_000;
const PROGRAM: usize = 1 << 20;

/// Which requests a rule meets, as it is sent: all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewMatcher {
    /// The method.
    pub method: Option<String>,
    /// A template such as `/zones/{zone}/dns_records`, or else a regular expression, on the path behind /client/v4.
    pub path: Option<String>,
    /// The zone's name.
    pub zone: Option<String>,
    /// A part of the record's name.
    pub name: Option<String>,
    /// The record's type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only from the how manieth fitting request on, counted from one.
    pub nth: Option<u32>,
    /// How many requests the rule meets in all; one if it is not given, any number if it is zero.
    pub count: Option<u32>,
    /// How likely it is that a fitting request is met, from 0 to 1; drawn with the simulator's seed.
    pub probability: Option<f64>,
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
        let upper = wire.method.as_ref().map(|method| method.to_uppercase());
        if let Some(method) = upper.filter(|method| !METHODS.contains(&method.as_str())) {
            return Err(BadRule::field("match.method", format!("{method:?} is no method")));
        }
        if wire.nth == Some(0) {
            return Err(BadRule::field("match.nth", "requests are counted from 1"));
        }
        let likely = likelihood(wire.probability.unwrap_or(1.0))?;
        let most = match wire.count {
            None => 1,
            Some(0) => u32::MAX,
            Some(count) => count,
        };
        let pattern = wire.path.as_deref().map(compile).transpose()?;
        Ok(Self {
            wire,
            pattern,
            most,
            likely,
        })
    }
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
    /// Whether a request fits, apart from how manieth it is.
    pub fn fits(&self, facts: &Facts) -> bool {
        let NewMatcher {
            method,
            path: _,
            zone,
            name,
            kind,
            nth: _,
            count: _,
            probability: _,
        } = &self.wire;
        let same = |wanted: &Option<String>, there: Option<&String>| {
            let equal = |wanted: &String| there.is_some_and(|there| there.eq_ignore_ascii_case(wanted));
            wanted.as_ref().is_none_or(equal)
        };
        let part = |part: &String| {
            facts
                .name
                .as_ref()
                .is_some_and(|name| name.contains(part.as_str()))
        };
        same(method, Some(&facts.method))
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(&facts.path))
            && same(zone, facts.zone_name.as_ref())
            && name.as_ref().is_none_or(part)
            && same(kind, facts.kind.as_ref())
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

/// A template meets the whole path, with any text in place of `{name}`; anything else is a regular expression.
fn compile(pattern: &str) -> Result<Regex, BadRule> {
    if pattern.is_empty() || pattern.len() > PATTERN {
        let why = format!("a pattern has 1 to {PATTERN} bytes");
        return Err(BadRule::field("match.path", why));
    }
    let parts = pattern.split('/').map(|part| {
        let named = part.starts_with('{') && part.ends_with('}');
        if named {
            "[^/]+".to_owned()
        } else {
            regex::escape(part)
        }
    });
    let special = pattern.contains(['(', '[', '*', '\\', '$', '|', '+']);
    let template = pattern.starts_with('/') && (pattern.contains("/{") || !special);
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
