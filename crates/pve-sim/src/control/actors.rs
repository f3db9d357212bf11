//! Foreign hands: somebody makes, changes or removes guests, rights and secrets past the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::switches::{Problem, problem};
use super::vms::shown;
use crate::model::access::Principal;
use crate::model::config::VmConfig;
use crate::model::seed;
use crate::model::vm::{Power, Vm};
use crate::model::world::World;
use crate::sim::Shared;

/// A guest that somebody else makes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewVm {
    vmid: u32,
    node: String,
    name: Option<String>,
    pool: Option<String>,
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default)]
    running: bool,
}

/// POST /vms
pub async fn create_vm(
    State(shared): State<Arc<Shared>>,
    Json(new): Json<NewVm>,
) -> Result<Json<Value>, Problem> {
    let mut world = shared.world();
    let NewVm {
        vmid,
        node,
        name,
        pool,
        config: extra,
        running,
    } = new;
    if world.vms.contains_key(&vmid) {
        return Err(problem(StatusCode::CONFLICT, format!("VM {vmid} already exists")));
    }
    if !world.nodes.contains_key(&node) {
        return Err(problem(StatusCode::NOT_FOUND, "no such node"));
    }
    let mut config = VmConfig::of([
        ("boot", "order=scsi0"),
        ("cores", "1"),
        ("memory", "512"),
        ("ostype", "l26"),
    ]);
    config.set("smbios1", format!("uuid={}", world.dice.uuid()));
    config.set("vmgenid", world.dice.uuid());
    config.set("net0", format!("virtio={},bridge=vmbr0", world.dice.mac()));
    if let Some(name) = name {
        config.set("name", name);
    }
    for (key, value) in extra {
        config.set(&key, value);
    }
    let mut vm = Vm::new(vmid, &node, config);
    if running {
        vm.power = Power::Running {
            since: world.now,
            pid: world.next_pid(&node),
        };
    }
    world.vms.insert(vmid, vm);
    if let Some(pool) = pool
        && !world.pools.join(&pool, vmid)
    {
        return Err(problem(StatusCode::NOT_FOUND, "no such pool"));
    }
    Ok(Json(
        world.vms.get(&vmid).map_or(Value::Null, |vm| shown(&world, vm)),
    ))
}

/// A change of a guest; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmChange {
    name: Option<String>,
    node: Option<String>,
    /// A pool's name, or null to take it out.
    #[serde(default)]
    pool: Membership,
    status: Option<Status>,
    /// Keys to set, or to remove where the value is null.
    #[serde(default)]
    config: BTreeMap<String, Option<String>>,
    /// Whether it disobeys shutdowns.
    deaf: Option<bool>,
}

/// A power state.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Running,
    Stopped,
}

/// What becomes of a membership: null is not the same as nothing.
#[derive(Default)]
enum Membership {
    #[default]
    Keep,
    Leave,
    Join(String),
}

impl<'de> Deserialize<'de> for Membership {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Option::<String>::deserialize(from).map(|pool| pool.map_or(Self::Leave, Self::Join))
    }
}

/// PATCH /vms/{vmid}
pub async fn change_vm(
    State(shared): State<Arc<Shared>>,
    Path(vmid): Path<u32>,
    Json(change): Json<VmChange>,
) -> Result<Json<Value>, Problem> {
    let mut world = shared.world();
    let missing = || problem(StatusCode::NOT_FOUND, format!("no VM {vmid}"));
    let VmChange {
        name,
        node,
        pool,
        status,
        config,
        deaf,
    } = change;
    if node.as_ref().is_some_and(|node| !world.nodes.contains_key(node)) {
        return Err(problem(StatusCode::NOT_FOUND, "no such node"));
    }
    let now = world.now;
    let vm = world.vms.get_mut(&vmid).ok_or_else(missing)?;
    let pairs = name
        .map(|name| ("name".to_owned(), Some(name)))
        .into_iter()
        .chain(config);
    for (key, value) in pairs {
        match value {
            Some(value) => vm.config.set(&key, value),
            None => drop(vm.config.remove(&key)),
        }
    }
    match status {
        Some(Status::Running) if !vm.running() => {
            vm.power = Power::Running {
                since: now,
                pid: 4242,
            }
        }
        Some(Status::Stopped) => vm.power = Power::Stopped,
        _ => {}
    }
    if let Some(node) = node {
        world.relocate(vmid, &node);
    }
    match deaf {
        Some(true) => drop(world.deaf.insert(vmid)),
        Some(false) => drop(world.deaf.remove(&vmid)),
        None => {}
    }
    match pool {
        Membership::Join(pool) if !world.pools.join(&pool, vmid) => {
            return Err(problem(StatusCode::NOT_FOUND, "no such pool"));
        }
        Membership::Leave => world.pools.leave(vmid),
        Membership::Join(_) | Membership::Keep => {}
    }
    Ok(Json(
        world.vms.get(&vmid).map_or(Value::Null, |vm| shown(&world, vm)),
    ))
}

/// DELETE /vms/{vmid} and /templates/{vmid}
pub async fn delete_vm(
    State(shared): State<Arc<Shared>>,
    Path(vmid): Path<u32>,
) -> Result<StatusCode, Problem> {
    let mut world = shared.world();
    let erased = world
        .erase(vmid)
        .ok_or_else(|| problem(StatusCode::NOT_FOUND, format!("no VM {vmid}")))?;
    world.erase_volumes(&erased, true);
    Ok(StatusCode::NO_CONTENT)
}

/// A privilege on a path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Right {
    path: String,
    privilege: String,
    /// user@realm or user@realm!token; the service token if it is not given.
    who: Option<String>,
}

/// POST /privileges/revoke
pub async fn revoke(
    State(shared): State<Arc<Shared>>,
    Json(asked): Json<Right>,
) -> Result<StatusCode, Problem> {
    change_privilege(&mut shared.world(), &asked, false)
}

/// POST /privileges/restore
pub async fn restore(
    State(shared): State<Arc<Shared>>,
    Json(asked): Json<Right>,
) -> Result<StatusCode, Problem> {
    change_privilege(&mut shared.world(), &asked, true)
}

fn change_privilege(world: &mut World, asked: &Right, give: bool) -> Result<StatusCode, Problem> {
    let service = || format!("{}!{}", seed::USER, seed::TOKEN);
    let who = asked.who.clone().unwrap_or_else(service);
    if world
        .access
        .change_privilege(&asked.path, &who, &asked.privilege, give)
    {
        return Ok(StatusCode::NO_CONTENT);
    }
    let text = format!("{who} has no role on {} that could be changed", asked.path);
    Err(problem(StatusCode::NOT_FOUND, text))
}

/// A token's secret; a random one if it is not given.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Secret {
    secret: Option<String>,
}

/// POST /tokens/{id}/secret
pub async fn change_secret(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(new): Json<Secret>,
) -> Result<Json<Value>, Problem> {
    let mut world = shared.world();
    let who = Principal::parse(&id);
    let random = world.dice.uuid();
    let user = world.access.users.get_mut(&who.user);
    let token = user.and_then(|user| user.tokens.get_mut(who.token.as_deref().unwrap_or_default()));
    let token = token.ok_or_else(|| problem(StatusCode::NOT_FOUND, "no such token"))?;
    token.secret = new.secret.unwrap_or(random);
    Ok(Json(json!({"token": format!("{id}={}", token.secret)})))
}
