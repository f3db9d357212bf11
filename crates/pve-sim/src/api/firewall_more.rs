//! The rest of the firewall calls: aliases, references, the log; a node's options; what the datacenter has of its own.

use serde_json::{Value, json};

use crate::model::firewall::{Entry, list_with_digest, with_digest};

use super::call::Call;
use super::firewall::{file, take, write};
use super::ipset::ip_version;
use super::reply::{Answer, Fault, Reply};
use super::rules;

/// GET …/firewall/aliases
pub fn aliases(call: &mut Call<'_>) -> Reply {
    let file = file(call);
    Answer::of(list_with_digest(file.aliases.values()))
}

/// POST …/firewall/aliases
pub fn create_alias(call: &mut Call<'_>) -> Reply {
    let mut file = file(call);
    let name = call.params.text("name").unwrap_or_default().to_owned();
    if file.aliases.contains_key(&name) {
        return Err(Fault::param("name", format!("alias '{name}' already exists")));
    }
    let mut alias = Entry::from([("name".to_owned(), Value::from(name.as_str()))]);
    take(&mut alias, call.params, &["cidr", "comment"]);
    note_version(&mut alias);
    file.aliases.insert(name, alias);
    write(call, file)?;
    Answer::null()
}

fn note_version(alias: &mut Entry) {
    let version = alias.get("cidr").and_then(Value::as_str).and_then(ip_version);
    if let Some(version) = version {
        alias.insert("ipversion".to_owned(), Value::from(version));
    }
}

fn alias(call: &Call<'_>) -> Result<Entry, Fault> {
    let name = call.segment("name");
    let missing = || Fault::param("name", "no such alias");
    file(call).aliases.get(name).cloned().ok_or_else(missing)
}

/// GET …/firewall/aliases/{name}
pub fn get_alias(call: &mut Call<'_>) -> Reply {
    Answer::of(with_digest(&alias(call)?))
}

/// PUT …/firewall/aliases/{name}
pub fn update_alias(call: &mut Call<'_>) -> Reply {
    let mut alias = alias(call)?;
    take(&mut alias, call.params, &["cidr", "comment"]);
    note_version(&mut alias);
    let (mut file, name) = (file(call), call.segment("name").to_owned());
    file.aliases.remove(&name);
    let name = call.params.filled("rename").unwrap_or(&name).to_owned();
    alias.insert("name".to_owned(), Value::from(name.as_str()));
    file.aliases.insert(name, alias);
    write(call, file)?;
    Answer::null()
}

/// DELETE …/firewall/aliases/{name}
pub fn delete_alias(call: &mut Call<'_>) -> Reply {
    let mut file = file(call);
    file.aliases.remove(call.segment("name"));
    write(call, file)?;
    Answer::null()
}

/// GET …/firewall/refs: what a rule may name.
pub fn refs(call: &mut Call<'_>) -> Reply {
    let file = file(call);
    let only = call.params.filled("type");
    let wanted = |kind: &str| only.is_none_or(|only| only == kind);
    let mut list: Vec<Value> = Vec::new();
    if wanted("alias") {
        let names = file.aliases.keys();
        list.extend(names.map(|name| json!({"type": "alias", "scope": "guest", "name": name, "ref": name})));
    }
    if wanted("ipset") {
        let names = file.ipsets.keys();
        list.extend(
            names.map(
                |name| json!({"type": "ipset", "scope": "guest", "name": name, "ref": format!("+{name}")}),
            ),
        );
    }
    Answer::of(list)
}

/// GET …/firewall/log: nothing is logged.
pub fn log(_call: &mut Call<'_>) -> Reply {
    let line = json!({"n": 1, "t": "unable to open file - No such file or directory"});
    Answer::page(vec![line], 1)
}

/// GET /nodes/{node}/firewall/options
pub fn node_options(_call: &mut Call<'_>) -> Reply {
    Answer::of(with_digest(&Entry::new()))
}

/// GET /cluster/firewall/macros
pub fn macros(_call: &mut Call<'_>) -> Reply {
    let list = rules::macros().map(|(name, purpose)| json!({"macro": name, "descr": purpose}));
    Answer::of(list.collect::<Vec<_>>())
}

/// What the datacenter has none of: groups, rules, sets and aliases of its firewall, HA resources, virtual networks.
pub fn none(_call: &mut Call<'_>) -> Reply {
    Answer::of(json!([]))
}
