//! The firewall of a guest: options, rules, address sets. All three live in one file that each clone inherits.
//!
//! Owns the calls; the order of rules is the caller's (a new rule goes to the top).

use std::collections::BTreeMap;

use domain::ids::{NodeName, Vmid};
use serde::Serialize;

use crate::error::Error;
use crate::mutate::Change;
use crate::reads::Pve;
use crate::tolerant::Row;

/// Options that are set; unset ones are missing. Says nothing about whether the guest exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirewallOptions {
    /// To be given back with a change.
    pub digest: Option<String>,
    /// All keys but the digest.
    pub values: BTreeMap<String, String>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its place; 0 is first.
    pub pos: u32,
    /// `in`, `out`, `forward` or `group`.
    pub kind: String,
    /// `ACCEPT`, `DROP`, `REJECT` or a group's name.
    pub action: String,
    /// Whether it counts.
    pub enable: bool,
    /// Addresses it comes from.
    pub source: Option<String>,
    /// Addresses it goes to.
    pub dest: Option<String>,
    /// What people wrote.
    pub comment: Option<String>,
    /// The list's digest.
    pub digest: Option<String>,
    /// Any other field that narrows the rule, such as `proto`, `dport`, `iface`, `macro`.
    pub other: BTreeMap<String, String>,
}

/// A rule to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewRule {
    /// `in`, `out` or `forward`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `ACCEPT`, `DROP` or `REJECT`.
    pub action: String,
    /// 1 to make it count; Proxmox's own default is 0.
    pub enable: u8,
    /// Addresses it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Addresses it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest: Option<String>,
    /// A word for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// An address or network of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsetEntry {
    /// As Proxmox shortens it: no /32.
    pub cidr: String,
    /// Whether it is an exception.
    pub nomatch: bool,
}

fn rule(row: Row) -> Option<Rule> {
    /// Fields that say nothing about what a rule matches.
    const SILENT: [&str; 3] = ["ipversion", "errors", "log"];
    let enable = row.flag("enable");
    let pos = u32::try_from(row.whole("pos")?).ok()?;
    let mut values = row.into_texts();
    let mut take = |key: &str| values.remove(key);
    let _ = (take("pos"), take("enable"));
    let mut rule = Rule {
        pos,
        kind: take("type").unwrap_or_default(),
        action: take("action").unwrap_or_default(),
        enable,
        source: take("source"),
        dest: take("dest"),
        comment: take("comment"),
        digest: take("digest"),
        other: BTreeMap::new(),
    };
    values.retain(|key, _| !SILENT.contains(&key.as_str()));
    rule.other = values;
    Some(rule)
}

fn base(node: &NodeName, vmid: Vmid) -> String {
    format!("/nodes/{node}/qemu/{vmid}/firewall")
}

/// Networks hold a slash, which must not split the path.
fn element(cidr: &str) -> String {
    cidr.replace('/', "%2F")
}

fn stale(digest: Option<&str>) -> BTreeMap<&str, &str> {
    digest.map(|digest| ("digest", digest)).into_iter().collect()
}

impl Pve {
    /// The options of a guest.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn firewall_options(&self, node: &NodeName, vmid: Vmid) -> Result<FirewallOptions, Error> {
        let act = || format!("read the firewall options of VM {vmid} on {node}");
        let row: Row = self
            .read(&format!("{}/options", base(node, vmid)), &(), act)
            .await?;
        let mut values = row.into_texts();
        let digest = values.remove("digest");
        Ok(FirewallOptions { digest, values })
    }

    /// The rules of a guest, first one first.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn firewall_rules(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<Rule>, Error> {
        let act = || format!("list the firewall rules of VM {vmid} on {node}");
        let rows: Vec<Row> = self
            .read(&format!("{}/rules", base(node, vmid)), &(), act)
            .await?;
        let mut rules: Vec<Rule> = rows.into_iter().filter_map(rule).collect();
        rules.sort_by_key(|rule| rule.pos);
        Ok(rules)
    }

    /// The names of a guest's address sets.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn ipsets(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<String>, Error> {
        let act = || format!("list the address sets of VM {vmid} on {node}");
        let rows: Vec<Row> = self
            .read(&format!("{}/ipset", base(node, vmid)), &(), act)
            .await?;
        Ok(rows.iter().filter_map(|row| row.text("name")).collect())
    }

    /// The addresses of a set.
    ///
    /// # Errors
    /// [`domain::pve::Class::Gone`] if there is no such set.
    pub async fn ipset(&self, node: &NodeName, vmid: Vmid, name: &str) -> Result<Vec<IpsetEntry>, Error> {
        let act = || format!("read the address set {name} of VM {vmid} on {node}");
        let rows: Vec<Row> = self
            .read(&format!("{}/ipset/{name}", base(node, vmid)), &(), act)
            .await?;
        let entry = |row: &Row| {
            Some(IpsetEntry {
                cidr: row.text("cidr")?,
                nomatch: row.flag("nomatch"),
            })
        };
        Ok(rows.iter().filter_map(entry).collect())
    }

    /// Changes options, if the digest is still this one.
    ///
    /// # Errors
    /// If Proxmox refuses or there is no usable answer.
    pub async fn put_firewall_options(
        &self,
        node: &NodeName,
        vmid: Vmid,
        change: &Change,
        digest: Option<&str>,
    ) -> Result<(), Error> {
        let act = format!("set the firewall options of VM {vmid} on {node}");
        self.put(
            &format!("{}/options", base(node, vmid)),
            &change.body(digest),
            act,
        )
        .await
        .map(drop)
    }

    /// Puts a rule on top.
    ///
    /// # Errors
    /// If Proxmox refuses or there is no usable answer.
    pub async fn post_rule(&self, node: &NodeName, vmid: Vmid, rule: &NewRule) -> Result<(), Error> {
        let act = format!("add a firewall rule to VM {vmid} on {node}");
        self.post(&format!("{}/rules", base(node, vmid)), rule, act)
            .await
            .map(drop)
    }

    /// Removes the rule at a place, if the list's digest is still this one.
    ///
    /// # Errors
    /// If Proxmox refuses or there is no usable answer.
    pub async fn delete_rule(
        &self,
        node: &NodeName,
        vmid: Vmid,
        pos: u32,
        digest: Option<&str>,
    ) -> Result<(), Error> {
        let act = format!("remove firewall rule {pos} of VM {vmid} on {node}");
        self.delete(&format!("{}/rules/{pos}", base(node, vmid)), &stale(digest), act)
            .await
            .map(drop)
    }

    /// Makes an empty set.
    ///
    /// # Errors
    /// [`domain::pve::Class::Conflict`] if it is there already.
    pub async fn create_ipset(&self, node: &NodeName, vmid: Vmid, name: &str) -> Result<(), Error> {
        let act = format!("make the address set {name} of VM {vmid} on {node}");
        self.post(
            &format!("{}/ipset", base(node, vmid)),
            &BTreeMap::from([("name", name)]),
            act,
        )
        .await
        .map(drop)
    }

    /// Adds an address or network to a set.
    ///
    /// # Errors
    /// [`domain::pve::Class::Conflict`] if it is there already.
    pub async fn add_cidr(&self, node: &NodeName, vmid: Vmid, name: &str, cidr: &str) -> Result<(), Error> {
        let act = format!("add {cidr} to the address set {name} of VM {vmid} on {node}");
        let path = format!("{}/ipset/{name}", base(node, vmid));
        self.post(&path, &BTreeMap::from([("cidr", cidr)]), act)
            .await
            .map(drop)
    }

    /// Removes an address or network from a set; a missing one is no failure.
    ///
    /// # Errors
    /// If Proxmox refuses or there is no usable answer.
    pub async fn delete_cidr(
        &self,
        node: &NodeName,
        vmid: Vmid,
        name: &str,
        cidr: &str,
    ) -> Result<(), Error> {
        let act = format!("remove {cidr} from the address set {name} of VM {vmid} on {node}");
        let path = format!("{}/ipset/{name}/{}", base(node, vmid), element(cidr));
        self.delete(&path, &(), act).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_with_everything_that_narrows_them() {
        let read = |text: &str| rule(serde_json::from_str(text).unwrap());
        let ssh = r#"{"proto":"tcp","type":"in","ipversion":4,"pos":"3","comment":"c","enable":1,"digest":"d",
                      "source":"10.77.0.0/24","dport":"22","action":"ACCEPT","errors":{"source":"x"}}"#;
        let rule = read(ssh).unwrap();
        assert_eq!(
            (rule.pos, rule.kind.as_str(), rule.action.as_str(), rule.enable),
            (3, "in", "ACCEPT", true)
        );
        assert_eq!(rule.other.keys().collect::<Vec<_>>(), ["dport", "proto"]);
        assert!(!read(r#"{"pos":0,"type":"in","action":"DROP"}"#).unwrap().enable);
        assert_eq!(read(r#"{"type":"in"}"#), None);
    }

    #[test]
    fn new_rules_say_that_they_count() {
        let rule = NewRule {
            kind: "in".into(),
            action: "DROP".into(),
            enable: 1,
            ..NewRule::default()
        };
        assert_eq!(
            serde_json::to_string(&rule).unwrap(),
            r#"{"type":"in","action":"DROP","enable":1}"#
        );
    }
}
