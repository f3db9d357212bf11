//! The privileges that a token needs, where, and the line that gives them. Least privilege: nothing on other VMs.

use std::collections::BTreeMap;

use crds::pool::PoolSpec;
use domain::pve::MissingPrivilege;

use super::{Answered, Bars, Finding};
use crate::{provider::trouble::Asker, reason::Reason};

/// Privileges by path, and whether they hold below it: the answer of `/access/permissions`.
pub type Permissions = BTreeMap<String, BTreeMap<String, bool>>;

const ON_POOL: &[&str] = &[
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CPU",
    "VM.Config.Disk",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.PowerMgmt",
];
const ON_TEMPLATE: &[&str] = &["VM.Audit", "VM.Clone"];
const ON_STORAGE: &[&str] = &["Datastore.AllocateSpace"];
const ON_BRIDGE: &[&str] = &["SDN.Use"];
const ON_ROOT: &[&str] = &["Sys.Audit"];
const OPERATOR: &str = "DecentOperator";
const TEMPLATE: &str = "DecentTemplate";
const AUDIT: &str = "DecentAudit";
/// Bridges have privileges of their own since this version.
const BRIDGES_SINCE: u32 = 8;

/// Privileges that are needed on one path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The path.
    pub path: String,
    /// The privileges.
    pub privileges: &'static [&'static str],
    /// The role that people give on such a path.
    pub role: &'static str,
}

/// All that this Pool needs of a cluster of that version.
#[must_use]
pub fn needs(spec: &PoolSpec, version: &str) -> Vec<Need> {
    let mut all = vec![need("/", ON_ROOT, AUDIT)];
    all.push(need(&format!("/pool/{}", spec.proxmox.pool), ON_POOL, OPERATOR));
    for vmid in spec
        .templates
        .iter()
        .flat_map(|template| &template.vmids)
        .map(|replica| replica.vmid)
    {
        all.push(need(&format!("/vms/{vmid}"), ON_TEMPLATE, TEMPLATE));
    }
    for storage in spec
        .nodes
        .iter()
        .map(|node| node.storage.as_ref().unwrap_or(&spec.storage))
    {
        all.push(need(&format!("/storage/{storage}"), ON_STORAGE, OPERATOR));
    }
    if major(version).is_none_or(|major| major >= BRIDGES_SINCE) {
        all.push(need(&bridge_path(spec), ON_BRIDGE, OPERATOR));
    }
    all.sort();
    all.dedup();
    all
}

fn need(path: &str, privileges: &'static [&'static str], role: &'static str) -> Need {
    Need {
        path: path.to_owned(),
        privileges,
        role,
    }
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn bridge_path(spec: &PoolSpec) -> String {
    format!("/sdn/zones/localnetwork/{}", spec.bridge)
}

/// Whether the privilege holds on the path: stated there, or inherited from the nearest stated path above.
#[must_use]
pub fn holds(permissions: &Permissions, path: &str, privilege: &str) -> bool {
    if let Some(here) = permissions.get(path) {
        return here.contains_key(privilege);
    }
    let above = ancestors(path).find_map(|path| permissions.get(path));
    above
        .and_then(|there| there.get(privilege))
        .copied()
        .unwrap_or(false)
}

/// The paths above, the nearest first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let end = rest.rfind('/').filter(|_| rest != "/")?;
        rest = rest.get(..end.max(1))?;
        Some(rest)
    })
}

/// A bridge may be named in any zone, and with its VLAN.
fn uses_bridge(permissions: &Permissions, spec: &PoolSpec) -> bool {
    let named = |path: &str| {
        let mut parts = path
            .strip_prefix("/sdn/zones/")
            .unwrap_or_default()
            .split('/')
            .skip(1);
        let (bridge, tag, rest) = (parts.next(), parts.next(), parts.next());
        let vlan = spec.vlan.map(|tag| tag.to_string());
        bridge == Some(spec.bridge.as_str())
            && rest.is_none()
            && tag.is_none_or(|tag| Some(tag) == vlan.as_deref())
    };
    holds(permissions, &bridge_path(spec), "SDN.Use")
        || permissions
            .iter()
            .any(|(path, held)| named(path) && held.contains_key("SDN.Use"))
}

/// One finding for each path where something is missing; a template that is gone has no rights to miss.
#[must_use]
pub fn missing(spec: &PoolSpec, answered: &Answered) -> Vec<Finding> {
    let gone: Vec<String> = answered
        .templates
        .iter()
        .filter(|seen| seen.gone)
        .map(|seen| format!("/vms/{}", seen.vmid))
        .collect();
    let mut found: Vec<Finding> = needs(spec, &answered.version)
        .into_iter()
        .filter(|need| !gone.contains(&need.path))
        .filter_map(|need| {
            let lacking: Vec<&str> = need
                .privileges
                .iter()
                .copied()
                .filter(|privilege| match *privilege {
                    "SDN.Use" => !uses_bridge(&answered.permissions, spec),
                    privilege => !holds(&answered.permissions, &need.path, privilege),
                })
                .collect();
            (!lacking.is_empty()).then(|| lacks(&answered.token, &need, &lacking, &need.path))
        })
        .collect();
    found.extend(unsized_nodes(spec, answered, found.is_empty()));
    found
}

/// The size of a node is shown only to who holds Sys.Audit there.
fn unsized_nodes(spec: &PoolSpec, answered: &Answered, rest_is_good: bool) -> Option<Finding> {
    let blind = |name: &str| {
        answered
            .nodes
            .get(name)
            .is_some_and(|node| node.online && !node.sized)
    };
    let node = spec
        .nodes
        .iter()
        .find(|node| blind(node.name.as_str()))
        .filter(|_| rest_is_good)?;
    let path = format!("/nodes/{}", node.name);
    let denied = !holds(&answered.permissions, &path, "Sys.Audit");
    denied.then(|| lacks(&answered.token, &need("/", ON_ROOT, AUDIT), ON_ROOT, &path))
}

fn lacks(token: &str, need: &Need, lacking: &[&str], on: &str) -> Finding {
    let (names, line, role) = (lacking.join(", "), mend(token, &need.path, need.role), need.role);
    let privs = lacking.join(",");
    Finding::new(
        Reason::MissingPrivilege,
        Bars::All,
        format!(
            "Token {token} lacks {names} on {on}. On any node run: {line} \
             (if role {role} lacks it, before that: pveum role modify {role} --append 1 --privs {privs})."
        ),
    )
}

/// The line that gives a role on a path, to the token and to its user: a separated token needs both.
#[must_use]
pub fn mend(token: &str, path: &str, role: &str) -> String {
    let user = token.split('!').next().unwrap_or_default();
    format!("pveum acl modify {path} --tokens '{token}' --roles {role} --users '{user}'")
}

/// The line that gives what a call was refused for: a VM's rights come from the Proxmox pool that it is in.
#[must_use]
pub fn mend_call(asker: &Asker, missing: &MissingPrivilege) -> String {
    let Asker { token, pool } = asker;
    let MissingPrivilege { path, privilege } = missing;
    if ON_ROOT.contains(&privilege.as_str()) {
        mend(token, "/", AUDIT)
    } else if privilege == "VM.Clone" {
        mend(token, path, TEMPLATE)
    } else if path.starts_with("/vms/") {
        mend(token, &format!("/pool/{pool}"), OPERATOR)
    } else {
        mend(token, path, OPERATOR)
    }
}

/// A warning if the token can read VMs that are not ours.
#[must_use]
pub fn excess(answered: &Answered) -> Option<Finding> {
    let held = answered
        .permissions
        .get("/vms")
        .or_else(|| answered.permissions.get("/"));
    let reads_all = held
        .and_then(|held| held.get("VM.Audit"))
        .copied()
        .unwrap_or(false);
    let token = &answered.token;
    reads_all.then(|| {
        Finding::new(
            Reason::ExcessPrivilege,
            Bars::Nobody,
            format!(
                "Token {token} has VM.Audit on /vms: it can read other people's VMs and their cloud-init secrets. \
                 Take it away; it is needed on the Proxmox pool and the templates only."
            ),
        )
    })
}
