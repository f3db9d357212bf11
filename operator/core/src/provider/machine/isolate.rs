//! What keeps a VM apart from its neighbours: the VM firewall's options, rules and address set, exactly.

use std::collections::BTreeMap;

use super::blueprint::Blueprint;
use crate::provider::seen::{FirewallSeen, Rule};

/// The set that `ipfilter` reads for the first card.
pub const IPFILTER: &str = "ipfilter-net0";

/// One call that brings a VM's firewall closer to what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirewallOp {
    /// Delete the rule at this position.
    DeleteRule(usize),
    /// Make the address set.
    MakeSet,
    /// Take an address out of the set.
    RemoveAddress(String),
    /// Put an address into the set.
    AddAddress(String),
    /// Insert a rule at the top, switched on.
    InsertRule(NewRule),
    /// Set options and delete others.
    Options {
        /// Options to set.
        set: BTreeMap<String, String>,
    },
}

/// A rule to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRule {
    /// `ACCEPT` or `DROP`, inbound.
    pub action: &'static str,
    /// Source network.
    pub source: String,
}

/// The calls that are missing, in order; none when the firewall is as it must be.
#[must_use]
pub fn missing(want: &Blueprint, seen: &FirewallSeen) -> Vec<FirewallOp> {
    let mut ops = Vec::new();
    let rules = rules(want);
    if !same_rules(&rules, &seen.rules) {
        ops.extend((0..seen.rules.len()).rev().map(FirewallOp::DeleteRule));
        ops.extend(rules.into_iter().rev().map(FirewallOp::InsertRule));
    }
    ops.extend(address_set(want, seen.ipfilter.as_deref()));
    let set: BTreeMap<String, String> = options()
        .into_iter()
        .filter(|(key, value)| !same_option(seen.options.get(key).map(String::as_str), key, value))
        .collect();
    if !set.is_empty() {
        ops.push(FirewallOp::Options { set });
    }
    ops
}

/// From the gateway yes, from neighbours no, from everywhere else (through the gateway) yes.
fn rules(want: &Blueprint) -> Vec<NewRule> {
    let card = &want.network;
    vec![
        NewRule {
            action: "ACCEPT",
            source: card.gateway.to_string(),
        },
        NewRule {
            action: "DROP",
            source: card.cidr.clone(),
        },
        NewRule {
            action: "ACCEPT",
            source: "0.0.0.0/0".to_owned(),
        },
    ]
}

fn same_rules(want: &[NewRule], seen: &[Rule]) -> bool {
    want.len() == seen.len()
        && want.iter().zip(seen).all(|(w, s)| {
            s.direction == "in"
                && s.action == w.action
                && s.source.as_deref() == Some(w.source.as_str())
                && s.enabled
                && !s.extra
        })
}

fn address_set(want: &Blueprint, seen: Option<&[String]>) -> Vec<FirewallOp> {
    let own = want.network.address.to_string();
    let members = seen.unwrap_or_default();
    let mut ops = Vec::new();
    if seen.is_none() {
        ops.push(FirewallOp::MakeSet);
    }
    ops.extend(
        members
            .iter()
            .filter(|m| **m != own)
            .cloned()
            .map(FirewallOp::RemoveAddress),
    );
    if !members.contains(&own) {
        ops.push(FirewallOp::AddAddress(own));
    }
    ops
}

fn options() -> BTreeMap<String, String> {
    [
        ("enable", "1"),
        ("policy_in", "DROP"),
        ("policy_out", "ACCEPT"),
        ("ipfilter", "1"),
        ("macfilter", "1"),
        ("ndp", "0"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// `policy_out` and `macfilter` have the wanted value when they are not set at all.
fn same_option(seen: Option<&str>, key: &str, wanted: &str) -> bool {
    match seen {
        Some(value) => value == wanted,
        None => matches!((key, wanted), ("policy_out", "ACCEPT") | ("macfilter", "1")),
    }
}
