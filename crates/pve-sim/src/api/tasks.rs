//! /nodes/{node}/tasks: everybody sees their own, auditors all.

use serde_json::{Value, json};

use crate::model::task::{Task, upid_node};
use crate::model::work;

use super::call::Call;
use super::reply::{Answer, Fault, Reply};

/// GET /nodes/{node}/tasks
pub fn list(call: &mut Call<'_>) -> Reply {
    let node = call.segment("node");
    let all = call.allows(&format!("/nodes/{node}"), "Sys.Audit");
    let mut found: Vec<&Task> = call
        .world
        .tasks
        .newest()
        .filter(|task| task.upid.node == node)
        .collect();
    found.retain(|task| (all || task.owned_by(call.who)) && wanted(call, task));
    // Running tasks come first.
    found.sort_by_key(|task| task.end.is_some());
    let (start, limit) = call.params.page();
    let page = found
        .iter()
        .skip(start)
        .take(limit)
        .map(|task| task.listed())
        .collect();
    Answer::page(page, found.len())
}

fn wanted(call: &Call<'_>, task: &Task) -> bool {
    let params = call.params;
    let running = task.end.is_none();
    let source = match params.text("source") {
        Some("active") => running,
        Some("all") => true,
        _ => !running,
    };
    let failed = task.end.as_ref().is_some_and(|end| end.status != "OK");
    let after = params
        .number("since")
        .is_none_or(|since: u64| task.upid.starttime >= since);
    let before = params
        .number("until")
        .is_none_or(|until: u64| task.upid.starttime <= until);
    let kind = params
        .filled("typefilter")
        .is_none_or(|kind| task.upid.kind.contains(kind));
    let user = params
        .filled("userfilter")
        .is_none_or(|user| task.upid.who.full().contains(user));
    let guest = params.filled("vmid").is_none_or(|vmid| task.upid.id == vmid);
    source && after && before && kind && user && guest && (failed || !params.flag("errors"))
}

/// The task of the path, if the caller may see it.
fn task<'a>(call: &'a Call<'_>, privilege: &str) -> Result<&'a Task, Fault> {
    let (node, upid) = (call.segment("node"), call.segment("upid"));
    let unreadable = || Fault::param("upid", "unable to parse worker upid");
    let owner = upid_node(upid).ok_or_else(unreadable)?;
    let missing = || Fault::param("upid", "no such task");
    if owner != node {
        return Err(missing());
    }
    let found = call.world.tasks.find(upid);
    if !found.is_some_and(|task| task.owned_by(call.who)) {
        call.need(&format!("/nodes/{node}"), &[privilege])?;
    }
    found.ok_or_else(missing)
}

/// GET /nodes/{node}/tasks/{upid}/status
pub fn status(call: &mut Call<'_>) -> Reply {
    Answer::of(task(call, "Sys.Audit")?.status())
}

/// GET /nodes/{node}/tasks/{upid}/log
pub fn log(call: &mut Call<'_>) -> Reply {
    let line = |(index, text): (usize, &String)| json!({"n": index + 1, "t": text});
    let lines: Vec<Value> = match task(call, "Sys.Audit") {
        Ok(task) => task.log.iter().enumerate().map(line).collect(),
        Err(fault) if upid_node(call.segment("upid")).is_none() || is_denied(&fault) => return Err(fault),
        Err(_) => vec![json!({"n": 1, "t": "unable to open file - No such file or directory"})],
    };
    let total = lines.len();
    let (start, limit) = call.params.page();
    Answer::page(lines.into_iter().skip(start).take(limit).collect(), total)
}

fn is_denied(fault: &Fault) -> bool {
    matches!(fault, Fault::Failed { status: 403, .. })
}

/// DELETE /nodes/{node}/tasks/{upid}
pub fn stop(call: &mut Call<'_>) -> Reply {
    let upid = task(call, "Sys.Modify")?.upid.text();
    if let Some(number) = call.world.tasks.number(&upid) {
        work::interrupt(call.world, number);
    }
    Answer::null()
}
