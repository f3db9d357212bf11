//! From a method and a path to a handler: route, permission, node, parameters, in the daemon's order.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::model::access::Principal;
use crate::model::locks::PATIENCE;
use crate::model::refusal::Refusal;
use crate::model::vm::Vm;
use crate::model::world::World;

use super::params::Params;
use super::reach;
use super::reply::{Fault, Reply, sync};
use super::routes::ROUTES;
use super::spec::{self, Param};

/// The file of users, rights and pools.
pub const USERS: &str = "file-user_cfg";

/// What a call asks for before anything else.
#[derive(Clone, Copy)]
pub enum Perm {
    /// One of these privileges on a path, in which `{name}` stands for a parameter.
    Any(&'static str, &'static [&'static str]),
    /// VM.Allocate on the new id or on the pool.
    NewVm(&'static str),
}

/// A handler.
pub type Handler = fn(&mut Call<'_>) -> Reply;

/// One line of the route table.
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path, in which `{name}` stands for a segment.
    pub path: &'static str,
    /// What it asks for; all of them.
    pub perms: &'static [Perm],
    /// What it takes besides the path, in tables.
    pub params: &'static [&'static [Param]],
    /// What it does.
    pub run: Handler,
}

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

    /// The guest's id of the path.
    pub fn vmid(&self) -> u32 {
        self.segment("vmid").parse().unwrap_or(0)
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

    fn permit(&self, perm: Perm) -> Result<(), Fault> {
        match perm {
            Perm::Any(path, privileges) => self.need(&self.fill(path), privileges),
            Perm::NewVm(name) => self.permit_new_vm(name),
        }
    }

    fn permit_new_vm(&self, name: &str) -> Result<(), Fault> {
        let vmid = self.params.text(name).unwrap_or_default();
        let pool = self.params.filled("pool");
        let pool_path = pool.map(|pool| format!("/pool/{pool}"));
        let by_pool = pool_path.is_some_and(|path| self.allows(&path, "VM.Allocate"));
        if !by_pool && !self.allows(&format!("/vms/{vmid}"), "VM.Allocate") {
            return Err(Fault::new(403, "Permission check failed"));
        }
        match pool {
            Some(pool) if self.world.pools.get(pool).is_err() => Err(Fault::new(
                403,
                format!("Permission check failed (pool '{pool}' does not exist)"),
            )),
            _ => Ok(()),
        }
    }

    /// A path with the values of its named parts.
    fn fill(&self, template: &str) -> String {
        let parts = template.split('/').map(|part| {
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                None => part,
                Some(name) => self
                    .path
                    .get(name)
                    .map_or_else(|| self.params.text(name).unwrap_or(""), String::as_str),
            }
        });
        parts.collect::<Vec<_>>().join("/")
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

/// Answers a call; `path` starts behind /api2/json.
pub fn dispatch(world: &mut World, who: &Principal, (method, path): (&str, &str), params: &Params) -> Reply {
    let segments: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect();
    let mut found = ROUTES.iter().filter(|route| route.method == method);
    let found = found.find_map(|route| Some((route, match_path(route.path, &segments)?)));
    let Some((route, path_values)) = found else {
        return Err(Fault::new(
            501,
            format!("Method '{method} {path}' not implemented"),
        ));
    };
    let mut call = Call {
        world,
        who,
        path: path_values,
        params,
    };
    for perm in route.perms {
        call.permit(*perm)?;
    }
    let node = call.path.get("node").map(String::as_str);
    reach::check(call.world, (method, route.path), node)?;
    check_segments(&call)?;
    spec::check(route.params, params).map_err(Fault::invalid)?;
    (route.run)(&mut call)
}

fn decode(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

fn match_path(template: &'static str, segments: &[String]) -> Option<BTreeMap<&'static str, String>> {
    let mut values = BTreeMap::new();
    let mut rest = segments.iter();
    for part in template.split('/').filter(|part| !part.is_empty()) {
        let segment = rest.next()?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => drop(values.insert(name, segment.clone())),
            None if part == segment => {}
            None => return None,
        }
    }
    rest.next().is_none().then_some(values)
}

fn check_segments(call: &Call<'_>) -> Result<(), Fault> {
    let Some(vmid) = call.path.get("vmid") else {
        return Ok(());
    };
    if vmid.parse::<i64>().is_err() {
        return Err(Fault::param(
            "vmid",
            format!("type check ('integer') failed - got '{vmid}'"),
        ));
    }
    match vmid.parse::<u32>() {
        Ok(100..=999_999_999) => Ok(()),
        _ => Err(Fault::param(
            "vmid",
            "invalid format - value does not look like a valid VM ID\n",
        )),
    }
}
