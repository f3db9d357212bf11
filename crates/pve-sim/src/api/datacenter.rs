//! /cluster/options and the datacenter firewall's options.

use serde_json::{Map, Value, json};

use crate::model::firewall;

use super::call::Call;
use super::firewall::change_options;
use super::reply::{Answer, Reply, sync};

/// GET /cluster/options
pub fn options(call: &mut Call<'_>) -> Reply {
    let mut data = Map::from_iter([("allowed-tags".to_owned(), json!([]))]);
    if call.allows("/", "Sys.Audit") {
        data.insert("mac_prefix".to_owned(), Value::from("BC:24:11"));
        data.insert("description".to_owned(), Value::from(""));
        data.extend(call.world.datacenter.options.clone());
    }
    Answer::of(data)
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
