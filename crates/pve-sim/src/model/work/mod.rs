//! What workers do, step by step. Each step is one instant; between steps time passes.

mod aftercare;
mod clone;
mod create;
mod destroy;
mod files;
mod guest;
mod modify;
mod power;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access::Principal;
use super::locks::PATIENCE;
use super::pace::{Pace, Span};
use super::refusal::{Outcome, Refusal};
use super::task::{Doom, End, Task, Upid};
use super::world::World;

pub use aftercare::look_after;
pub use clone::CloneJob;
pub use create::CreateJob;
pub use destroy::{DestroyJob, check_removable_at_once};
pub use files::FileJob;
pub use guest::{GuestAct, GuestJob};
pub use modify::{ConfigJob, ResizeJob};
pub use power::{PowerJob, PowerKind, SHUTDOWN};

/// How often a waiting worker looks again.
const FLOCK_POLL: Duration = Duration::from_millis(50);
/// How often a worker that hangs on a dead storage is looked at.
const STUCK_POLL: Duration = Duration::from_secs(1);
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
    /// qmcreate
    Create(CreateJob),
    /// qmtemplate, qmsnapshot, qmigrate, qmreset, qmsuspend, qmresume
    Guest(GuestJob),
    /// imgcopy, imgdel
    File(FileJob),
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
    /// How fast it works.
    pub pace: Pace,
}

impl Job {
    fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        match self {
            Self::Clone(job) => job.step(world, step),
            Self::Power(job) => job.step(world, step),
            Self::Destroy(job) => job.step(world, step),
            Self::Resize(job) => job.step(world, step),
            Self::Config(job) => job.step(world, step),
            Self::Create(job) => job.step(world, step),
            Self::Guest(job) => job.step(world, step),
            Self::File(job) => job.step(world, step),
        }
    }

    /// Undoes what a failed task has left.
    fn clean_up(&self, world: &mut World, step: &Step) {
        match self {
            Self::Clone(job) => job.clean_up(world, step),
            Self::Create(job) => job.clean_up(world, step),
            _ => {}
        }
    }

    /// The exit status after an error.
    fn failed(&self, step: &Step, text: &str) -> String {
        match self {
            Self::Clone(_) if step.stage > 0 => format!("clone failed: {text}"),
            _ => text.to_owned(),
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
            Self::Clone(_) => 3,
            Self::Config(_) | Self::File(_) => 0,
            Self::Guest(job) => u8::from(matches!(job.act, GuestAct::Migrate { .. })),
            _ => 1,
        }
    }

    fn span(&self, world: &World) -> Span {
        match self {
            Self::Clone(job) => job.span(world),
            Self::Power(job) => job.span(world),
            Self::Destroy(_) => world.durations.destroy,
            Self::Resize(_) => world.durations.resize,
            Self::Create(_) => world.durations.clone,
            Self::Guest(job) if matches!(job.act, GuestAct::Migrate { .. }) => world.durations.full_clone,
            Self::Config(_) | Self::Guest(_) | Self::File(_) => Span::ZERO,
        }
    }
}

/// Starts a worker and gives its UPID.
pub fn spawn(
    world: &mut World,
    node: &str,
    (kind, id): (&str, impl ToString),
    who: &Principal,
    job: Job,
) -> String {
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
    let pace = Pace::draw(&mut world.dice);
    let begin = BEGIN.min(job.span(world).at(pace) / 10);
    let task = Task {
        upid,
        log: Vec::new(),
        end: None,
        job,
        stage: 0,
        waiting: None,
        doom: None,
        pace,
        made: Vec::new(),
        stuck: None,
    };
    let number = world.tasks.add(task);
    world.plan_step(number, begin);
    text
}

/// Lets a task take its next step.
pub fn run_step(world: &mut World, number: u64) {
    let Some(task) = world.tasks.get(number).filter(|task| task.end.is_none()) else {
        return;
    };
    let step = step_of(number, task);
    let (job, doom, stuck) = (task.job.clone(), task.doom.clone(), task.stuck.clone());
    if stuck.as_ref().is_some_and(|storage| world.hangs(storage)) {
        return world.plan_step(number, STUCK_POLL);
    }
    // What hung has not seen its signals yet.
    match doom.filter(|_| stuck.is_some() || step.stage >= job.last_stage()) {
        Some(Doom::Fail(text)) => {
            job.clean_up(world, &step);
            return end(world, number, text);
        }
        Some(Doom::Kill) => return kill(world, number),
        Some(Doom::Endless) => return,
        Some(Doom::Warn(_) | Doom::Lose) | None => {}
    }
    let waited = world
        .tasks
        .get_mut(number)
        .is_some_and(|task| task.waiting.is_some());
    let lines = world.tasks.get_mut(number).map_or(0, |task| task.log.len());
    let outcome = job.step(world, &step);
    if waited
        && !matches!(outcome, Err(Refusal::Busy(_)))
        && let Some(task) = world.tasks.get_mut(number)
    {
        task.log.insert(lines.min(task.log.len()), " OK".to_owned());
    }
    match outcome {
        Ok(Next::After(delay)) => {
            if let Some(task) = world.tasks.get_mut(number) {
                task.stage += 1;
                task.waiting = None;
                task.stuck = None;
            }
            world.plan_step(number, delay);
        }
        Ok(Next::Done) => finish(world, number),
        Err(Refusal::Busy(_)) if may_wait(world, number) => world.plan_step(number, FLOCK_POLL),
        Err(Refusal::Stuck(storage)) => {
            if let Some(task) = world.tasks.get_mut(number) {
                task.stuck = Some(storage);
            }
            world.plan_step(number, STUCK_POLL);
        }
        Err(refusal) => {
            job.clean_up(world, &step);
            end(world, number, job.failed(&step, &refusal.to_string()));
        }
    }
}

fn step_of(number: u64, task: &Task) -> Step {
    Step {
        task: number,
        node: task.upid.node.clone(),
        who: task.upid.who.clone(),
        stage: task.stage,
        pace: task.pace,
    }
}

/// Whether a task that finds a lock file held has patience left.
fn may_wait(world: &mut World, number: u64) -> bool {
    let now = world.now;
    world.tasks.get_mut(number).is_some_and(|task| {
        if task.waiting.is_none() {
            task.log.push("trying to acquire lock...".to_owned());
        }
        now.since(*task.waiting.get_or_insert(now)) < PATIENCE
    })
}

/// Ends a task that has done its work.
fn finish(world: &mut World, number: u64) {
    let doom = world.tasks.get_mut(number).and_then(|task| task.doom.clone());
    match doom {
        Some(Doom::Warn(warnings)) => end(world, number, format!("WARNINGS: {warnings}")),
        Some(Doom::Lose) => {
            end(world, number, "OK".to_owned());
            world.tasks.remove(number);
        }
        _ => end(world, number, "OK".to_owned()),
    }
}

/// Ends a task.
fn end(world: &mut World, number: u64, status: String) {
    world.release_flocks(number);
    let at = world.now;
    if let Some(task) = world.tasks.get_mut(number) {
        task.log
            .push(if status == "OK" || status.starts_with("WARNINGS: ") {
                format!("TASK {status}")
            } else {
                format!("TASK ERROR: {status}")
            });
        task.end = Some(End { status, at });
    }
}

/// Interrupts a running task, which cleans up behind itself; one that hangs does so when it goes on.
pub fn interrupt(world: &mut World, number: u64) {
    let Some(task) = world.tasks.get_mut(number).filter(|task| task.end.is_none()) else {
        return;
    };
    let (step, job) = (step_of(number, task), task.job.clone());
    if task.stuck.is_some() {
        task.doom = Some(Doom::Fail(job.interrupted()));
        return;
    }
    job.clean_up(world, &step);
    end(world, number, job.interrupted());
}

/// Kills a running task, which leaves everything as it is.
pub fn kill(world: &mut World, number: u64) {
    if world.tasks.get(number).is_none_or(|task| task.end.is_some()) {
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
