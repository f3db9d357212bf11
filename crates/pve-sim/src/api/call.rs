//! From a method and a path to a handler: route, permission, node, parameters, in the daemon's order.

use std::collections::BTreeMap;

use crate::model::access::Principal;
use crate::model::locks::PATIENCE;
use crate::model::refusal::Refusal;
use crate::model::vm::Vm;
use crate::model::world::World;

use super::params::Params;
use super::permit::permit;
use super::reach;
use super::reply::{Fault, Reply, sync};
use super::{index, schema, tree};

/// The file of users, rights and pools.
pub const USERS: &str = "file-user_cfg";
/// The file of storages.
pub const STORAGES: &str = "file-storage_cfg";

/// A handler.
pub type Handler = fn(&mut Call<'_>) -> Reply;

/// A request on its way.
pub struct Call<'a> {
    /// The cluster.
    pub world: &'a mut World,
    /// Who calls.
    pub who: &'a Principal,
    /// The segments of the path that have names.
    path: BTreeMap<&'static str, String>,
    /// The other parameters.
    pub params: &'a Params,
}

impl Call<'_> {
    /// A named segment of the path.
    pub fn segment(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The node of the path.
    pub fn node(&self) -> String {
        self.segment("node").to_owned()
    }

    /// The guest's id, of the path or of a creation.
    pub fn vmid(&self) -> u32 {
        self.fill("{vmid}").parse().unwrap_or(0)
    }

    /// The guest of the path.
    pub fn vm(&self) -> Result<&Vm, Fault> {
        self.world.vm(self.segment("node"), self.vmid()).map_err(sync)
    }

    /// Whether the caller has a privilege on a path.
    pub fn allows(&self, path: &str, privilege: &str) -> bool {
        self.world.allows(self.who, path, privilege)
    }

    /// Asks for one of these privileges on a path.
    pub fn need(&self, path: &str, privileges: &[&str]) -> Result<(), Fault> {
        if !is_path_of_rights(path) {
            return Err(Fault::denied("", privileges));
        }
        let held = self.world.access.privileges(self.who, path, &self.world.pools);
        if privileges.iter().any(|privilege| held.contains_key(*privilege)) {
            return Ok(());
        }
        Err(Fault::denied(path, privileges))
    }

    /// Asks for one of these privileges on the guest of the path.
    pub fn need_vm(&self, privileges: &[&str]) -> Result<(), Fault> {
        self.need(&format!("/vms/{}", self.vmid()), privileges)
    }

    /// Whether the caller is root@pam itself, not one of its tokens.
    pub fn is_root(&self) -> bool {
        self.who.token.is_none() && self.who.user == "root@pam"
    }

    /// Refuses an option that only root@pam itself may use.
    pub fn only_root(&self, option: &str) -> Result<(), Fault> {
        if self.params.flag(option) && !self.is_root() {
            return Err(Fault::param(option, "Only root may use this option."));
        }
        Ok(())
    }

    /// Refuses a pool that is not there, as a lack of permission.
    pub fn check_pool(&self) -> Result<(), Fault> {
        match self.params.filled("pool") {
            Some(pool) if self.world.pools.get(pool).is_err() => Err(Fault::new(
                403,
                format!("Permission check failed (pool '{pool}' does not exist)"),
            )),
            _ => Ok(()),
        }
    }

    /// A path with the values of its named parts.
    pub fn fill(&self, template: &str) -> String {
        let parts = template.split('/').map(|part| {
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                None => part,
                Some(name) => self
                    .path
                    .get(name)
                    .map_or_else(|| self.params.text(name).unwrap_or(""), String::as_str),
            }
        });
        let filled = parts.collect::<Vec<_>>().join("/");
        match filled.trim_end_matches('/') {
            "" if filled.starts_with('/') => "/".to_owned(),
            path => path.to_owned(),
        }
    }

    /// Refuses without quorum, as everything does that changes a file under the cluster's lock.
    pub fn lock_file(&self, file: &str, act: &str) -> Result<(), Fault> {
        if self.world.quorate() {
            return Ok(());
        }
        let why = Refusal::no_cluster_lock(file);
        Err(Fault::died(format!("{act} failed: {why}")).held(PATIENCE))
    }
}

/// Whether rights can be looked up on a path; nobody has any on one with other characters, which is then not named.
fn is_path_of_rights(path: &str) -> bool {
    path.chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
}

/// The node whose daemon is busy with a call, if one is; `path` starts behind /api2/json.
pub fn worker_of(world: &World, (method, path): (&str, &str)) -> Option<String> {
    let found = tree::find(method, &tree::segments(path))?;
    if !reach::needs_root(method, found.template) {
        return None;
    }
    let node = found.path.get("node").map(String::as_str);
    reach::check(world, (method, found.template), node).ok()?;
    reach::node_of(world, found.template, node).map(str::to_owned)
}

/// Answers a call; `path` starts behind /api2/json.
pub fn dispatch(world: &mut World, who: &Principal, (method, path): (&str, &str), params: &Params) -> Reply {
    let segments = tree::segments(path);
    if method == "GET" && segments.is_empty() {
        return index::root();
    }
    let unknown = || Fault::new(501, format!("Method '{method} {path}' not implemented"));
    let found = tree::find(method, &segments).ok_or_else(unknown)?;
    if who.token.is_some() && !found.method.token {
        let text = format!("URI '{path}' not available with API token, need proper ticket.");
        return Err(Fault::new(403, format!("Permission check failed ({text})")));
    }
    let mut call = Call {
        world,
        who,
        path: found.path,
        params,
    };
    permit(&call, &found.method.access)?;
    let node = call.path.get("node").map(String::as_str);
    reach::check(call.world, (method, found.template), node)?;
    schema::check(found.method, &call.path, params).map_err(Fault::invalid)?;
    match (found.run, found.method.index) {
        (Some(run), _) => run(&mut call),
        (None, Some(key)) => index::children(key, &found.children),
        (None, None) => Err(unknown()),
    }
}
