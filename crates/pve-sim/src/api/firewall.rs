//! A guest's firewall options. Files exist apart from guests: a missing file answers as an empty one.

use serde_json::{Value, json};

use crate::model::firewall::{Entry, FirewallFile, digest, with_digest};

use super::call::Call;
use super::params::{Params, Raw};
use super::reply::{Answer, Fault, Reply, sync};

const MODIFIED: &str = "detected modified configuration - file changed by other user? Try again.";
const OPTIONS: &[&str] = &[
    "enable",
    "dhcp",
    "ndp",
    "radv",
    "macfilter",
    "ipfilter",
    "policy_in",
    "policy_out",
    "log_level_in",
    "log_level_out",
];

/// The firewall file of the path's guest.
pub fn file(call: &Call<'_>) -> FirewallFile {
    call.world
        .firewalls
        .get(&call.vmid())
        .cloned()
        .unwrap_or_default()
}

/// Writes the firewall file of the path's guest.
pub fn write(call: &mut Call<'_>, file: FirewallFile) -> Result<(), Fault> {
    let vmid = call.vmid();
    call.world
        .check_writable(&format!("firewall/{vmid}.fw"))
        .map_err(sync)?;
    call.world.firewalls.insert(vmid, file);
    Ok(())
}

/// Refuses if a digest is sent that is not the present one.
pub fn check_digest(params: &Params, present: &str) -> Result<(), Fault> {
    match params.filled("digest") {
        Some(sent) if sent != present => Err(Fault::died(MODIFIED)),
        _ => Ok(()),
    }
}

/// GET …/firewall
pub fn index(_call: &mut Call<'_>) -> Reply {
    let names = ["rules", "aliases", "ipset", "refs", "options"];
    Answer::of(names.map(|name| json!({"name": name})).to_vec())
}

/// GET …/firewall/options
pub fn options(call: &mut Call<'_>) -> Reply {
    Answer::of(with_digest(&file(call).options))
}

/// PUT …/firewall/options
pub fn put_options(call: &mut Call<'_>) -> Reply {
    let mut file = file(call);
    file.options = change_options(&file.options, call.params, OPTIONS)?;
    write(call, file)?;
    Answer::null()
}

/// Options after a change by these parameters.
pub fn change_options(old: &Entry, params: &Params, known: &[&str]) -> Result<Entry, Fault> {
    check_digest(params, &digest(old))?;
    let mut new = old.clone();
    for key in params
        .text("delete")
        .unwrap_or_default()
        .split([',', ';', ' '])
        .filter(|key| !key.is_empty())
    {
        if !known.contains(&key) {
            return Err(Fault::param("delete", format!("no such option '{key}'")));
        }
        new.remove(key);
    }
    take(&mut new, params, known);
    Ok(new)
}

/// Takes these keys over from the parameters, numbers as numbers.
pub fn take(entry: &mut Entry, params: &Params, keys: &[&str]) {
    for (key, value) in params.iter().filter(|(key, _)| keys.contains(key)) {
        if let Raw::One(text) = value {
            let numeric = matches!(
                key,
                "enable" | "dhcp" | "ndp" | "radv" | "macfilter" | "ipfilter" | "ebtables" | "nomatch"
            );
            let number = text.parse::<i64>().ok().filter(|_| numeric);
            entry.insert(
                key.to_owned(),
                number.map_or_else(|| Value::from(text.as_str()), Value::from),
            );
        }
    }
}
