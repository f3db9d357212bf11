//! A small cluster for tests of the model, whose time is moved by hand.

use std::time::Duration;

use super::access::Principal;
use super::moment::Moment;
use super::pace::Durations;
use super::seed::{Size, fill};
use super::work::{CloneJob, DestroyJob, Job, PowerJob, PowerKind, ResizeJob, spawn};
use super::world::World;

/// Two nodes, each with its template.
pub fn cluster() -> World {
    let start = Moment::from_micros(1_800_000_000_000_000);
    let mut world = World::empty(start, 7, Durations::default(), Duration::from_secs(10));
    let size = Size {
        nodes: 2,
        cores: 8,
        memory: 1 << 36,
        disk: 1 << 40,
        shared_storage: true,
    };
    fill(&mut world, &size);
    world
}

/// A clone of the first template.
pub fn clone_job(newid: u32) -> CloneJob {
    CloneJob {
        source: 9000,
        newid,
        name: None,
        description: None,
        pool: Some("decent".to_owned()),
        storage: None,
        target: "pve1".to_owned(),
        full: false,
        bwlimit: None,
    }
}

/// Starts a linked clone of the first template into 200.
pub fn begin_clone(world: &mut World) -> String {
    begin(world, "pve1", Job::Clone(clone_job(200)))
}

/// Starts a task of root's.
pub fn begin(world: &mut World, node: &str, job: Job) -> String {
    let (kind, id) = match &job {
        Job::Clone(job) => ("qmclone", job.source),
        Job::Power(job) => ("qmpower", job.vmid),
        Job::Destroy(job) => ("qmdestroy", job.vmid),
        Job::Resize(job) => ("resize", job.vmid),
        Job::Config(job) => ("qmconfig", job.vmid),
        Job::Create(job) => ("qmcreate", job.vmid),
        Job::Guest(job) => ("qmtemplate", job.vmid),
        Job::File(_) => ("imgcopy", 0),
    };
    spawn(world, node, (kind, id), &Principal::parse("root@pam!t1"), job)
}

/// Starts a change of power on the first node.
pub fn power(world: &mut World, vmid: u32, kind: PowerKind) -> String {
    begin(world, "pve1", Job::Power(PowerJob::plain(vmid, kind)))
}

/// Starts a removal on the first node.
pub fn destroy(world: &mut World, vmid: u32) -> String {
    let job = DestroyJob {
        skiplock: false,
        vmid,
        purge: false,
        unreferenced: false,
    };
    begin(world, "pve1", Job::Destroy(job))
}

/// Starts a growth on the first node.
pub fn grow(world: &mut World, vmid: u32) -> String {
    let job = ResizeJob {
        vmid,
        disk: "scsi0".to_owned(),
        size: "+1G".to_owned(),
        digest: None,
    };
    begin(world, "pve1", Job::Resize(job))
}

/// Lets time pass.
pub fn pass(world: &mut World, millis: u64) {
    world.advance(world.now.plus(Duration::from_millis(millis)));
}

/// How a task ended, if it has.
pub fn end(world: &World, upid: &str) -> Option<String> {
    let end = world.tasks.find(upid).unwrap().end.as_ref();
    end.map(|end| end.status.clone())
}

/// Lets time pass until a task ends, a minute at most: how it ended, and after how many whole seconds.
pub fn run(world: &mut World, upid: &str) -> (String, u64) {
    let begin = world.now;
    for _ in 0..6000 {
        if let Some(end) = end(world, upid) {
            return (end, world.now.since(begin).as_secs());
        }
        pass(world, 10);
    }
    ("no end".to_owned(), 60)
}

/// A whole linked clone.
pub fn cloned(world: &mut World, newid: u32) {
    let upid = begin(world, "pve1", Job::Clone(clone_job(newid)));
    assert_eq!(run(world, &upid).0, "OK");
}

/// The names of a guest's volumes on a node.
pub fn volumes(world: &World, storage: &str, vmid: u32) -> Vec<String> {
    let all = world.storages[storage].volumes("pve1");
    all.filter(|(_, volume)| volume.vmid == vmid)
        .map(|(name, _)| name.to_owned())
        .collect()
}
