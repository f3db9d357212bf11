//! One look at a Slot's VM: task, configuration, power, firewall; and if it is not where it should be, proof or the
//! lack of it. Reads only.

use crds::machine::TaskKind;
use dc_proxmox::{Exit, Pve, TaskQuery, TaskSource, TaskStatus};
use domain::{
    ids::Vmid,
    pve::{Class, MissingPrivilege},
    stamp::{Found, find},
};
use jiff::{SignedDuration, Timestamp};
use operator_core::provider::{
    seen::{Guest, Presence, TaskSeen, Why, description},
    trouble::{StepKind, Trouble},
};

use super::{
    memory::{Remembered, Task},
    read::{node_name, read_guest},
};

/// The lock of a VM that is being cloned to.
const CLONING: &str = "clone";

/// Where and how to look.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    /// The cluster.
    pub pve: &'a Pve,
    /// The Slot's VMID.
    pub vmid: Vmid,
    /// Node that the Slot names.
    pub node: &'a str,
    /// Template of the Slot: the id of its clone task.
    pub template: Vmid,
    /// Time between two looks that prove absence together.
    pub absence_interval: SignedDuration,
    /// Proxmox pool that our VMs are in.
    pub pool: &'a str,
    /// The token's identifier, `USER@REALM!ID`.
    pub token: &'a str,
}

/// What a look found.
#[derive(Clone, Debug)]
pub struct Look {
    /// The VM.
    pub guest: Presence<Guest>,
    /// Our last task on it.
    pub task: TaskSeen,
}

/// Looks once.
pub async fn look(scope: &Scope<'_>, memory: &mut Remembered, now: Timestamp) -> Look {
    let task = match settle_task(scope.pve, memory, now).await {
        Ok(task) => task,
        Err(why) => {
            return Look {
                guest: Presence::Unknown(why),
                task: TaskSeen::None,
            };
        }
    };
    if matches!(task, TaskSeen::Running(_)) || memory.untouched {
        let guest = Presence::Unknown(Why::LooksFree { again_at: now });
        return Look { guest, task };
    }
    let guest = match find_guest(scope, memory, now).await {
        Ok(guest) => guest,
        Err(e) => Presence::Unknown(no_answer(&e)),
    };
    match (&guest, &memory.task) {
        (Presence::Unknown(_), Some(found)) => Look {
            guest,
            task: found.running(),
        },
        _ => Look {
            guest,
            task: TaskSeen::None,
        },
    }
}

/// No usable answer: the VM may be there or not.
#[must_use]
pub fn no_answer(e: &dc_proxmox::Error) -> Why {
    Why::NoAnswer {
        class: e.class(),
        text: e.to_string(),
    }
}

/// Where our last task stands; an ended one leaves its result in the memory.
async fn settle_task(pve: &Pve, memory: &mut Remembered, now: Timestamp) -> Result<TaskSeen, Why> {
    let Some(task) = memory.task.clone() else {
        return Ok(TaskSeen::None);
    };
    match pve.task_status(&task.upid).await {
        Ok(status) => Ok(ended(memory, &task, status, now)),
        Err(e) if e.class() == Class::Gone => {
            (memory.task, memory.permit) = (None, None);
            Ok(TaskSeen::None)
        }
        Err(e) => Err(no_answer(&e)),
    }
}

/// Takes note of a task's end.
pub fn ended(memory: &mut Remembered, task: &Task, status: TaskStatus, now: Timestamp) -> TaskSeen {
    let TaskStatus::Ended { exit } = status else {
        memory.task = Some(task.clone());
        return task.running();
    };
    (memory.task, memory.permit) = (None, None);
    match exit {
        Exit::Ok | Exit::Warnings(_) => {
            memory.trouble = None;
            memory.destroyed = task.kind == TaskKind::Destroy;
            memory.cloned |= task.kind == TaskKind::Clone;
            TaskSeen::None
        }
        Exit::Failed(text) => {
            let class = Exit::Failed(text.clone()).class().unwrap_or(Class::Provider);
            let step = step_of(task.kind);
            let told = format!("{} ended with: {text}", act_of(task.kind));
            let deaf = task.kind == TaskKind::Shutdown && class != Class::Locked;
            let trouble = Trouble::again(memory.trouble.as_ref(), step, class, told, now);
            memory.trouble = Some(Trouble { deaf, ..trouble });
            TaskSeen::None
        }
    }
}

/// The step that a task carries out.
#[must_use]
pub const fn step_of(kind: TaskKind) -> StepKind {
    match kind {
        TaskKind::Clone => StepKind::Clone,
        TaskKind::Resize => StepKind::Grow,
        TaskKind::Start => StepKind::Start,
        TaskKind::Shutdown | TaskKind::Stop => StepKind::Stop,
        TaskKind::Destroy => StepKind::Destroy,
    }
}

const fn act_of(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Clone => "The clone",
        TaskKind::Resize => "Growing the disk",
        TaskKind::Start => "Starting",
        TaskKind::Shutdown => "Shutting down",
        TaskKind::Stop => "Stopping",
        TaskKind::Destroy => "Destroying",
    }
}

async fn find_guest(
    scope: &Scope<'_>,
    memory: &mut Remembered,
    now: Timestamp,
) -> Result<Presence<Guest>, dc_proxmox::Error> {
    let hint = memory.node.clone().unwrap_or_else(|| scope.node.to_owned());
    let there = read_guest(scope.pve, &hint, scope.vmid).await;
    if let Ok(Some(guest)) = there {
        return seen(scope, memory, guest, now).await;
    }
    // A node that does not answer may be dead, and its guests moved: the cluster knows where to.
    let listed = match scope.pve.resources().await {
        Ok(listed) => listed,
        Err(error) => return Err(there.err().unwrap_or(error)),
    };
    if let Some(row) = listed.vm(scope.vmid).filter(|row| row.node != hint)
        && let Some(guest) = read_guest(scope.pve, &row.node, scope.vmid).await?
    {
        return seen(scope, memory, guest, now).await;
    }
    there?;
    let known = (&mut *memory, now);
    if let Some(absence) = free(scope.pve, scope.vmid, scope.absence_interval, known).await? {
        memory.hidden_since = None;
        return Ok(absence);
    }
    if let Some(task) = running_clone(scope, now).await? {
        (memory.task, memory.hidden_since) = (Some(task), None);
        return Ok(Presence::Unknown(Why::LooksFree { again_at: now }));
    }
    // The clone may have ended between the first read and the last: look once more before calling it hidden.
    if let Some(guest) = read_guest(scope.pve, scope.node, scope.vmid).await? {
        return Ok(recognised(memory, guest, scope.absence_interval, now));
    }
    if let Some(missing) = blindness(scope).await? {
        memory.hidden_since = None;
        return Ok(Presence::Unknown(missing));
    }
    let since = *memory.hidden_since.get_or_insert(now);
    Ok(Presence::Unknown(Why::Hidden { since }))
}

/// Whether it is us who can't see, rather than the VM that is none of ours.
async fn blindness(scope: &Scope<'_>) -> Result<Option<Why>, dc_proxmox::Error> {
    const SIGHT: &str = "VM.Audit";
    let own = format!("/pool/{}", scope.pool);
    let held = scope.pve.permissions().await?;
    if [own.as_str(), "/pool", "/vms", "/"]
        .iter()
        .any(|path| held.has(path, SIGHT))
    {
        return Ok(None);
    }
    let text = format!("the token may not see VMs of the Proxmox pool {}", scope.pool);
    let privilege = Some(MissingPrivilege {
        path: own,
        privilege: SIGHT.to_owned(),
    });
    Ok(Some(Why::NoAnswer {
        class: Class::Denied { privilege },
        text,
    }))
}

/// A VM that can be read. A token that sees VMs outside its pool sees the target of its own clone too, which may still
/// run though its answer was lost.
async fn seen(
    scope: &Scope<'_>,
    memory: &mut Remembered,
    mut guest: Guest,
    now: Timestamp,
) -> Result<Presence<Guest>, dc_proxmox::Error> {
    if guest.lock() == Some(CLONING) {
        if let Some(task) = running_clone(scope, now).await? {
            (memory.task, memory.hidden_since) = (Some(task), None);
            return Ok(Presence::Unknown(Why::LooksFree { again_at: now }));
        }
        // It may have ended since it was read.
        match read_guest(scope.pve, &guest.node, scope.vmid).await? {
            Some(again) => guest = again,
            None => return Ok(Presence::Unknown(Why::Hidden { since: now })),
        }
    }
    Ok(recognised(memory, guest, scope.absence_interval, now))
}

/// What is being cloned by no task of ours shows nothing to prove as long as it has no stamp, and with one it may be a
/// clone whose task is only about to be listed: it counts as hidden, for a while at least.
fn recognised(
    memory: &mut Remembered,
    guest: Guest,
    interval: SignedDuration,
    now: Timestamp,
) -> Presence<Guest> {
    memory.free_since = None;
    if guest.lock() == Some(CLONING) {
        let since = *memory.hidden_since.get_or_insert(now);
        let stamped = find(description(&guest)) != Found::Nothing;
        if !stamped || since == now || now.duration_since(since) < interval {
            return Presence::Unknown(Why::Hidden { since });
        }
    } else {
        // No clone of ours runs any more, even if its answer was lost.
        (memory.permit, memory.hidden_since) = (None, None);
    }
    memory.node = Some(guest.node.clone());
    Presence::Present(guest)
}

/// Whether the VMID is free, which is absence only with quorum, and after our own destroy task or in two looks apart.
/// None: it is taken.
///
/// # Errors
/// No usable answer.
pub async fn free(
    pve: &Pve,
    vmid: Vmid,
    interval: SignedDuration,
    (memory, now): (&mut Remembered, Timestamp),
) -> Result<Option<Presence<Guest>>, dc_proxmox::Error> {
    if !pve.vmid_free(vmid).await? {
        memory.free_since = None;
        return Ok(None);
    }
    if !pve.cluster_status().await?.quorate {
        memory.free_since = None;
        return Ok(Some(Presence::Unknown(Why::NoQuorum)));
    }
    let since = *memory.free_since.get_or_insert(now);
    let again_at = since.checked_add(interval).unwrap_or(now);
    let proven = memory.destroyed || (since < now && now >= again_at);
    Ok(Some(if proven {
        Presence::Absent
    } else {
        Presence::Unknown(Why::LooksFree { again_at })
    }))
}

/// Our own clone to this VMID, if it runs: the first line of its log is the only place that names the new id.
async fn running_clone(scope: &Scope<'_>, now: Timestamp) -> Result<Option<Task>, dc_proxmox::Error> {
    let Ok(node) = node_name(scope.node) else {
        return Ok(None);
    };
    let query = TaskQuery {
        source: TaskSource::Active,
        since: None,
    };
    let template = scope.template.to_string();
    for row in scope.pve.node_tasks(&node, query).await? {
        let ours = row
            .token
            .as_ref()
            .is_some_and(|id| format!("{}!{id}", row.user) == scope.token);
        if row.exit.is_some() || !ours || row.upid.kind() != "qmclone" || row.upid.id() != template {
            continue;
        }
        let log = scope.pve.task_log(&row.upid, 1).await?;
        if log.iter().any(|line| names(line, scope.vmid)) {
            return Ok(Some(Task {
                upid: row.upid,
                kind: TaskKind::Clone,
                since: now,
                told: None,
            }));
        }
    }
    Ok(None)
}

fn names(line: &str, vmid: Vmid) -> bool {
    let id = vmid.to_string();
    line.split_whitespace().last() == Some(id.as_str())
}
