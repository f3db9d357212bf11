//! Fault rules: which request they meet, the how manieth, how often, and what then happens.

use regex::Regex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::api::params::Params;

/// What a rule can see of a request.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The method.
    pub method: String,
    /// The path behind /api2/json, decoded.
    pub path: String,
    /// The guest of the path.
    pub vmid: Option<u32>,
    /// The guest to be made.
    pub newid: Option<u32>,
    /// The node of the path.
    pub node: Option<String>,
}

impl Facts {
    /// The facts of a request.
    pub fn new(method: &str, path: &str, params: &Params) -> Self {
        let path = percent_encoding::percent_decode_str(path)
            .decode_utf8_lossy()
            .into_owned();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let node = (parts.first() == Some(&"nodes"))
            .then(|| parts.get(1).map(|node| (*node).to_owned()))
            .flatten();
        let vmid = (parts.get(2) == Some(&"qemu"))
            .then(|| parts.get(3)?.parse().ok())
            .flatten();
        let newid = params.number("newid");
        Self {
            method: method.to_owned(),
            vmid,
            newid,
            node,
            path,
        }
    }
}

/// Which requests a rule meets: all that is given must fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matcher {
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
}

/// What happens to a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// The task that it starts fails at its last step with this text.
    FailTask {
        /// The text.
        exitstatus: String,
    },
    /// The worker that it starts is killed before its last step.
    KillWorker,
    /// The connection is cut before anything happens.
    DropBefore,
    /// The connection is cut after it happened.
    DropAfter,
    /// It is refused.
    Refuse {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// It is held back first.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// It is never answered.
    Blackhole,
}

/// A rule as it is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// Which requests.
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    /// What happens.
    pub act: Act,
}

/// A rule with what it has met.
#[derive(Debug, Serialize)]
pub struct Rule {
    id: u64,
    #[serde(rename = "match")]
    matcher: Matcher,
    act: Act,
    /// How many requests fitted.
    seen: u32,
    /// How many of them it met.
    met: u32,
    #[serde(skip)]
    pattern: Option<Regex>,
}

/// A path pattern that cannot be read.
#[derive(Debug, Error)]
#[error("failed to read the path pattern {pattern:?}")]
pub struct BadPattern {
    pattern: String,
    #[source]
    source: regex::Error,
}

/// All rules, oldest first.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
    next: u64,
}

impl Faults {
    /// Arms a rule and gives its number.
    pub fn add(&mut self, new: NewRule) -> Result<u64, BadPattern> {
        let pattern = new.matcher.path.as_deref().map(compile).transpose()?;
        self.next += 1;
        let NewRule { matcher, act } = new;
        self.rules.push(Rule {
            id: self.next,
            matcher,
            act,
            seen: 0,
            met: 0,
            pattern,
        });
        Ok(self.next)
    }

    /// All rules.
    pub fn list(&self) -> &[Rule] {
        &self.rules
    }

    /// Disarms one rule, or all.
    pub fn remove(&mut self, id: Option<u64>) {
        self.rules.retain(|rule| id.is_some_and(|id| rule.id != id));
    }

    /// What happens to a request: the first rule that meets it decides.
    pub fn take(&mut self, facts: &Facts) -> Option<Act> {
        self.rules.iter_mut().find_map(|rule| rule.take(facts))
    }
}

impl Rule {
    fn take(&mut self, facts: &Facts) -> Option<Act> {
        if !self.fits(facts) {
            return None;
        }
        self.seen += 1;
        let most = match self.matcher.count {
            None => 1,
            Some(0) => u32::MAX,
            Some(count) => count,
        };
        if self.seen < self.matcher.nth.unwrap_or(1) || self.met >= most {
            return None;
        }
        self.met += 1;
        Some(self.act.clone())
    }

    fn fits(&self, facts: &Facts) -> bool {
        let Matcher {
            method,
            path: _,
            vmid,
            node,
            nth: _,
            count: _,
        } = &self.matcher;
        method
            .as_ref()
            .is_none_or(|method| method.eq_ignore_ascii_case(&facts.method))
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(&facts.path))
            && vmid.is_none_or(|vmid| facts.vmid == Some(vmid) || facts.newid == Some(vmid))
            && node.as_ref().is_none_or(|node| facts.node.as_ref() == Some(node))
    }
}

/// A template meets the whole path, with any text in place of `{name}`; anything else is a regular expression.
fn compile(pattern: &str) -> Result<Regex, BadPattern> {
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
    Regex::new(&text).map_err(|source| BadPattern {
        pattern: pattern.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(method: &str, path: &str) -> Facts {
        Facts::new(method, path, &Params::default())
    }

    fn rule(text: &str) -> NewRule {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_template_meets_whole_paths_only() {
        let mut faults = Faults::default();
        let new = r#"{"match":{"path":"/nodes/{node}/qemu/{vmid}/clone","count":0},"act":"drop_before"}"#;
        faults.add(rule(new)).unwrap();
        assert!(
            faults
                .take(&facts("POST", "/nodes/pve1/qemu/9000/clone"))
                .is_some()
        );
        assert!(
            faults
                .take(&facts("POST", "/nodes/pve1/qemu/9000/clone/x"))
                .is_none()
        );
    }

    #[test]
    fn the_second_fitting_request_is_met_once() {
        let mut faults = Faults::default();
        faults
            .add(rule(
                r#"{"match":{"method":"get","nth":2},"act":{"refuse":{"status":500,"reason":"x"}}}"#,
            ))
            .unwrap();
        let met: Vec<bool> = (0..4)
            .map(|_| faults.take(&facts("GET", "/version")).is_some())
            .collect();
        assert_eq!(met, [false, true, false, false]);
    }
}
