//! Control routes that break one part of the cluster: nodes, daemons, workers, locks, storages.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::switches::{Problem, problem};
use crate::model::locks::LockFile;
use crate::model::storage::{Health, Storage};
use crate::model::work;
use crate::model::world::World;
use crate::sim::Shared;

/// The result of a switch.
type Switched = Result<StatusCode, Problem>;

const DONE: Switched = Ok(StatusCode::NO_CONTENT);

fn missing(what: &str) -> Problem {
    problem(StatusCode::NOT_FOUND, format!("no such {what}"))
}

fn time(seconds: f64) -> Result<Duration, Problem> {
    let bad = |_| problem(StatusCode::UNPROCESSABLE_ENTITY, "not a number of seconds");
    Duration::try_from_secs_f64(seconds).map_err(bad)
}

/// Whether a node is alive, and after how many seconds the others notice its death.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Online {
    online: bool,
    notice: Option<f64>,
}

/// POST /nodes/{node}
pub async fn node(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(state): Json<Online>,
) -> Switched {
    let mut world = shared.world();
    if let Some(notice) = state.notice {
        world.datacenter.notice = time(notice)?;
    }
    let known = if state.online {
        world.revive_node(&name)
    } else {
        world.kill_node(&name)
    };
    if known { DONE } else { Err(missing("node")) }
}

/// Which daemons of a node run; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewServices {
    pveproxy: Option<bool>,
    pvedaemon: Option<bool>,
    pmxcfs: Option<bool>,
}

/// POST /nodes/{node}/services
pub async fn services(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(new): Json<NewServices>,
) -> Switched {
    let mut world = shared.world();
    let node = world.nodes.get_mut(&name).ok_or_else(|| missing("node"))?;
    let NewServices {
        pveproxy,
        pvedaemon,
        pmxcfs,
    } = new;
    node.services.proxy = pveproxy.unwrap_or(node.services.proxy);
    node.services.daemon = pvedaemon.unwrap_or(node.services.daemon);
    node.services.files = pmxcfs.unwrap_or(node.services.files);
    DONE
}

/// POST /tasks/{upid}/kill: its worker is killed now and leaves everything as it is.
pub async fn kill_worker(State(shared): State<Arc<Shared>>, Path(upid): Path<String>) -> Switched {
    let mut world = shared.world();
    let number = world.tasks.number(&upid).ok_or_else(|| missing("task"))?;
    work::kill(&mut world, number);
    DONE
}

/// For how long some other process holds a lock file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    seconds: f64,
    /// Of a storage that the nodes do not share: where.
    node: Option<String>,
}

/// POST /vms/{vmid}/lock-file
pub async fn hold_guest(
    State(shared): State<Arc<Shared>>,
    Path(vmid): Path<u32>,
    Json(holding): Json<Holding>,
) -> Switched {
    hold(&mut shared.world(), LockFile::Guest(vmid), holding.seconds)
}

/// POST /storages/{name}/lock-file
pub async fn hold_storage(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(holding): Json<Holding>,
) -> Switched {
    let mut world = shared.world();
    let node = holding.node.unwrap_or_else(|| "pve1".to_owned());
    if !world.storages.contains_key(&name) || !world.nodes.contains_key(&node) {
        return Err(missing("storage"));
    }
    let file = world.storage_lock(&name, &node);
    hold(&mut world, file, holding.seconds)
}

fn hold(world: &mut World, file: LockFile, seconds: f64) -> Switched {
    let held = world.hold_lock(file, time(seconds)?);
    held.map_err(|_| problem(StatusCode::CONFLICT, "somebody else holds it"))?;
    DONE
}

/// A storage's state; what is not given stays.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct StorageState {
    enabled: Option<bool>,
    health: Option<Health>,
    total: Option<u64>,
    content: Option<Vec<String>>,
    nodes: Option<Vec<String>>,
}

impl StorageState {
    fn change(self, storage: &mut Storage) {
        let Self {
            enabled,
            health,
            total,
            content,
            nodes,
        } = self;
        storage.enabled = enabled.unwrap_or(storage.enabled);
        storage.health = health.unwrap_or(storage.health);
        storage.total = total.unwrap_or(storage.total);
        storage.content = content.unwrap_or_else(|| storage.content.clone());
        storage.nodes = nodes.unwrap_or_else(|| storage.nodes.clone());
    }
}

/// PATCH /storages/{name}
pub async fn storage(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(state): Json<StorageState>,
) -> Switched {
    let mut world = shared.world();
    state.change(world.storages.get_mut(&name).ok_or_else(|| missing("storage"))?);
    DONE
}

/// A storage that somebody adds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewStorage {
    #[serde(default)]
    shared: bool,
    total: u64,
}

/// PUT /storages/{name}: an empty directory storage for all kinds of content.
pub async fn add_storage(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(new): Json<NewStorage>,
) -> Switched {
    let mut world = shared.world();
    if world.storages.contains_key(&name) {
        return Err(problem(StatusCode::CONFLICT, "there is one"));
    }
    let storage = Storage::dir(&name, new.shared, new.total);
    world.storages.insert(name, storage);
    DONE
}
