//! What workers do, step by step. Each step is one instant; between steps time passes.

mod clone;
mod destroy;
mod modify;
mod power;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access::Principal;
use super::refusal::{Outcome, Refusal};
use super::task::{Doom, End, Task, Upid};
use super::world::World;

pub use clone::CloneJob;
pub use destroy::{DestroyJob, check_removable_at_once};
pub use modify::{ConfigJob, ResizeJob};
pub use power::{PowerJob, PowerKind};

/// How long a worker waits for a lock file.
pub const FLOCK_WAIT: Duration = Duration::from_secs(10);
/// How often a waiting worker looks again.
const FLOCK_POLL: Duration = Duration::from_millis(50);
/// How long a worker needs to begin, at most.
const BEGIN: Duration = Duration::from_millis(20);

/// What a task does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Job {
    /// qmclone
    Clone(CloneJob),
    /// qmstart, qmstop, qmshutdown, qmreboot
    Power(PowerJob),
    /// qmdestroy
    Destroy(DestroyJob),
    /// resize
    Resize(ResizeJob),
    /// qmconfig
    Config(ConfigJob),
}

/// What comes after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another one, after this time.
    After(Duration),
    /// Nothing: the task is done.
    Done,
}

/// A step's surroundings.
#[derive(Debug, Clone)]
pub struct Step {
    /// The number of the task.
    pub task: u64,
    /// Where it runs.
    pub node: String,
    /// Who started it.
    pub who: Principal,
    /// Which step it is.
    pub stage: u8,
}

impl Job {
    fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        match self {
            Self::Clone(job) => job.step(world, step),
            Self::Power(job) => job.step(world, step),
            Self::Destroy(job) => job.step(world, step),
            Self::Resize(job) => job.step(world, step),
            Self::Config(job) => job.step(world, step),
        }
    }

    /// Undoes what a failed task has left.
    fn clean_up(&self, world: &mut World, step: &Step) {
        if let Self::Clone(job) = self {
            job.clean_up(world, step);
        }
    }

    /// The exit status after a signal.
    fn interrupted(&self) -> String {
        match self {
            Self::Clone(job) => job.interrupted(),
            _ => "interrupted by signal".to_owned(),
        }
    }

    fn last_stage(&self) -> u8 {
        match self {
            Self::Clone(_) => 2,
            Self::Config(_) => 0,
            _ => 1,
        }
    }

    fn duration(&self, world: &World) -> Duration {
        match self {
            Self::Clone(job) => job.duration(world),
            Self::Power(job) => job.duration(world),
            Self::Destroy(_) => world.durations.destroy,
            Self::Resize(_) => world.durations.resize,
            Self::Config(_) => Duration::ZERO,
        }
    }
}

/// Starts a worker and gives its UPID.
pub fn spawn(world: &mut World, node: &str, (kind, id): (&str, u32), who: &Principal, job: Job) -> String {
    let boot = world.nodes.get(node).map_or(world.now, |node| node.boot);
    let pstart = u64::try_from(world.now.since(boot).as_millis() / 10).unwrap_or(u64::MAX);
    let upid = Upid {
        node: node.to_owned(),
        pid: world.next_pid(node),
        pstart,
        starttime: world.now.secs(),
        kind: kind.to_owned(),
        id: id.to_string(),
        who: who.clone(),
    };
    let text = upid.text();
    let begin = BEGIN.min(job.duration(world) / 10);
    let task = Task {
        upid,
        log: Vec::new(),
        end: None,
        job,
        stage: 0,
        waiting: None,
        doom: None,
    };
    let number = world.tasks.add(task);
    world.plan_step(number, begin);
    text
}

/// Lets a task take its next step.
pub fn run_step(world: &mut World, number: u64) {
    let Some(task) = world.tasks.get_mut(number).filter(|task| task.end.is_none()) else {
        return;
    };
    let step = step_of(number, task);
    let job = task.job.clone();
    match task.doom.clone().filter(|_| step.stage >= job.last_stage()) {
        Some(Doom::Fail(text)) => {
            job.clean_up(world, &step);
            return end(world, number, text);
        }
        Some(Doom::Kill) => return kill(world, number),
        None => {}
    }
    match job.step(world, &step) {
        Ok(Next::After(delay)) => {
            if let Some(task) = world.tasks.get_mut(number) {
                task.stage += 1;
                task.waiting = None;
            }
            world.plan_step(number, delay);
        }
        Ok(Next::Done) => end(world, number, "OK".to_owned()),
        Err(Refusal::Busy(vmid)) => wait_for_flock(world, number, vmid),
        Err(Refusal::Died(text)) => end(world, number, text),
    }
}

fn step_of(number: u64, task: &Task) -> Step {
    Step {
        task: number,
        node: task.upid.node.clone(),
        who: task.upid.who.clone(),
        stage: task.stage,
    }
}

fn wait_for_flock(world: &mut World, number: u64, vmid: u32) {
    let now = world.now;
    let Some(task) = world.tasks.get_mut(number) else {
        return;
    };
    let since = *task.waiting.get_or_insert(now);
    if now.since(since) >= FLOCK_WAIT {
        end(world, number, Refusal::Busy(vmid).to_string());
    } else {
        world.plan_step(number, FLOCK_POLL);
    }
}

/// Ends a task.
fn end(world: &mut World, number: u64, status: String) {
    world.release_flocks(number);
    let at = world.now;
    if let Some(task) = world.tasks.get_mut(number) {
        task.log.push(if status == "OK" {
            "TASK OK".to_owned()
        } else {
            format!("TASK ERROR: {status}")
        });
        task.end = Some(End { status, at });
    }
}

/// Interrupts a running task, which cleans up behind itself.
pub fn interrupt(world: &mut World, number: u64) {
    let Some(task) = world.tasks.get_mut(number).filter(|task| task.end.is_none()) else {
        return;
    };
    let (step, job) = (step_of(number, task), task.job.clone());
    job.clean_up(world, &step);
    end(world, number, job.interrupted());
}

/// Kills a running task, which leaves everything as it is.
pub fn kill(world: &mut World, number: u64) {
    if world.tasks.get_mut(number).is_none_or(|task| task.end.is_some()) {
        return;
    }
    world.release_flocks(number);
    let at = world.now;
    if let Some(task) = world.tasks.get_mut(number) {
        task.end = Some(End {
            status: "unexpected status".to_owned(),
            at,
        });
    }
}

/// Adds a line to a task's log.
pub fn log(world: &mut World, number: u64, line: impl Into<String>) {
    if let Some(task) = world.tasks.get_mut(number) {
        task.log.push(line.into());
    }
}
