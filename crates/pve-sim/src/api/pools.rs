//! /pools: membership is what makes a guest ours.

use serde_json::{Value, json};

use crate::model::pool::Pool;
use crate::model::refusal::Refusal;

use super::call::{Call, USERS};
use super::reply::{Answer, Fault, Reply, sync};

/// GET /pools
pub fn list(call: &mut Call<'_>) -> Reply {
    if let Some(name) = call.params.filled("poolid") {
        let pool = call.world.pools.get(name).map_err(sync)?;
        let mut entry = head(name, pool);
        entry["members"] = members(call, pool);
        return Answer::of(vec![entry]);
    }
    let visible = call
        .world
        .pools
        .iter()
        .filter(|(name, _)| call.allows(&format!("/pool/{name}"), "Pool.Audit"));
    Answer::of(visible.map(|(name, pool)| head(name, pool)).collect::<Vec<_>>())
}

/// GET /pools/{poolid}
pub fn get_old(call: &mut Call<'_>) -> Reply {
    let pool = call.world.pools.get(call.segment("poolid")).map_err(sync)?;
    let mut answer = json!({"members": members(call, pool)});
    if let Some(comment) = &pool.comment {
        answer["comment"] = Value::from(comment.as_str());
    }
    Answer::of(answer)
}

fn head(name: &str, pool: &Pool) -> Value {
    let mut entry = json!({"poolid": name});
    if let Some(comment) = &pool.comment {
        entry["comment"] = Value::from(comment.as_str());
    }
    entry
}

fn members(call: &Call<'_>, pool: &Pool) -> Value {
    let guests = pool.vms.iter().filter_map(|vmid| call.world.vms.get(vmid));
    guests
        .map(|vm| Value::Object(super::resources::guest(call.world, vm, None)))
        .collect()
}

/// POST /pools
pub fn create(call: &mut Call<'_>) -> Reply {
    let name = call.params.text("poolid").unwrap_or_default().to_owned();
    let comment = call.params.filled("comment").map(str::to_owned);
    call.lock_file(USERS, "create pool")?;
    call.world.pools.create(&name, comment).map_err(sync)?;
    Answer::null()
}

/// PUT /pools
pub fn update(call: &mut Call<'_>) -> Reply {
    let params = call.params;
    let name = params.text("poolid").unwrap_or_default();
    call.lock_file(USERS, "update pools")?;
    call.world
        .pools
        .get(name)
        .map_err(|why| failed("update pools", &why))?;
    let listed = params.text("vms").unwrap_or_default().split([',', ';', ' ']);
    let vms: Vec<u32> = listed.filter_map(|id| id.parse().ok()).collect();
    for vmid in vms {
        call.need(&format!("/vms/{vmid}"), &["VM.Allocate"])?;
        change_member(call, name, vmid)?;
    }
    if let Some(comment) = params.text("comment") {
        call.world.pools.get_mut(name).map_err(sync)?.comment = Some(comment.to_owned());
    }
    Answer::null()
}

fn change_member(call: &mut Call<'_>, name: &str, vmid: u32) -> Result<(), Fault> {
    let old = call.world.pools.of(vmid).map(str::to_owned);
    let text = match (call.params.flag("delete"), old) {
        (true, Some(old)) if old == name => {
            call.world.pools.leave(vmid);
            return Ok(());
        }
        (true, _) => format!("VM {vmid} is not a pool member"),
        (false, Some(old)) if old == name => format!("VM {vmid} is already a pool member"),
        (false, Some(old)) if !call.params.flag("allow-move") => {
            format!("VM {vmid} belongs already to pool '{old}' and 'allow-move' is not set")
        }
        (false, _) if !call.world.vms.contains_key(&vmid) => format!("VM {vmid} does not exist"),
        (false, _) => {
            call.world.pools.join(name, vmid);
            return Ok(());
        }
    };
    Err(failed("update pools", &Refusal::died(text)))
}

/// DELETE /pools
pub fn delete(call: &mut Call<'_>) -> Reply {
    let from_path = Some(call.segment("poolid")).filter(|name| !name.is_empty());
    let name = from_path
        .or_else(|| call.params.text("poolid"))
        .unwrap_or_default()
        .to_owned();
    call.lock_file(USERS, "delete pool")?;
    call.world.pools.delete(&name).map_err(sync)?;
    call.world.access.forget(&format!("/pool/{name}"));
    Answer::null()
}

fn failed(act: &str, why: &Refusal) -> Fault {
    Fault::died(format!("{act} failed: {why}"))
}
