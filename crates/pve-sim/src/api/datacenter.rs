//! /cluster/options and the datacenter firewall's options.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::model::firewall;
use crate::model::locks::PATIENCE;
use crate::model::refusal::Refusal;

use super::call::Call;
use super::firewall::change_options;
use super::params::Raw;
use super::reply::{Answer, Reply, sync};
use super::schema::{is_list_of_keys, parse_keys, split_list};
use super::tags;

/// GET /cluster/options
pub fn options(call: &mut Call<'_>) -> Reply {
    let allowed: Vec<String> = tags::allowed(call).into_iter().collect();
    let mut data = Map::from_iter([("allowed-tags".to_owned(), json!(allowed))]);
    if call.allows("/", "Sys.Audit") {
        data.insert("mac_prefix".to_owned(), Value::from("BC:24:11"));
        data.insert("description".to_owned(), Value::from(""));
        data.extend(call.world.datacenter.options.clone());
    }
    Answer::of(data)
}

/// PUT /cluster/options
pub fn put_options(call: &mut Call<'_>) -> Reply {
    if !call.world.quorate() {
        let why = Refusal::no_cluster_lock("file-datacenter_cfg");
        return Err(sync(why).held(PATIENCE));
    }
    let mut options = call.world.datacenter.options.clone();
    for key in split_list(call.params.text("delete").unwrap_or_default()) {
        options.remove(key);
    }
    for (key, raw) in call.params.iter().filter(|(key, _)| *key != "delete") {
        if let Raw::One(text) = raw {
            options.insert(key.to_owned(), parsed(key, text));
        }
    }
    call.world.datacenter.options = options;
    Answer::null()
}

/// An option as it reads back: lists and keys taken apart.
fn parsed(key: &str, text: &str) -> Value {
    if key == "registered-tags" {
        return json!(split_list(text).collect::<BTreeSet<_>>());
    }
    if !is_list_of_keys(key) {
        return Value::from(text);
    }
    let keys = parse_keys(key, text).unwrap_or_default().into_iter();
    let value = |(name, text): (String, String)| {
        let value = match name.as_str() {
            "user-allow-list" => json!(split_list(&text).collect::<Vec<_>>()),
            _ => Value::from(text),
        };
        (name, value)
    };
    Value::Object(keys.map(value).collect())
}

/// GET /cluster/firewall/options
pub fn firewall(call: &mut Call<'_>) -> Reply {
    Answer::of(firewall::with_digest(&call.world.datacenter.firewall))
}

/// PUT /cluster/firewall/options
pub fn put_firewall(call: &mut Call<'_>) -> Reply {
    const KEYS: &[&str] = &[
        "enable",
        "ebtables",
        "policy_in",
        "policy_out",
        "policy_forward",
        "log_ratelimit",
    ];
    let changed = change_options(&call.world.datacenter.firewall, call.params, KEYS)?;
    call.world.check_writable("firewall/cluster.fw").map_err(sync)?;
    call.world.datacenter.firewall = changed;
    Answer::null()
}
