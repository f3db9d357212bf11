//! The event daemon: after the end of a guest's process it looks after it, holding its lock file meanwhile.

use std::time::Duration;

use super::super::access::Principal;
use super::super::locks::{LockFile, PATIENCE};
use super::super::moment::Moment;
use super::super::world::World;
use super::{FLOCK_POLL, Job, PowerJob, PowerKind, spawn};

/// How long it holds the lock of a guest that runs already again.
const HELD: Duration = Duration::from_secs(30);

/// Looks after a guest; `first` is when it tried first to.
pub fn look_after(world: &mut World, vmid: u32, first: Moment) {
    let Some(vm) = world.vms.get(&vmid) else {
        world.rebooting.remove(&vmid);
        return;
    };
    let (node, running) = (vm.node.clone(), vm.running());
    if world.nodes.get(&node).is_none_or(|node| !node.online) {
        return;
    }
    if world.check_flock(vmid).is_err() {
        if world.now.since(first) < PATIENCE {
            world.plan_cleanup(vmid, first, FLOCK_POLL);
        }
    } else if running {
        // It takes the new process for the old one and waits for its end.
        let held = world.hold_lock(LockFile::Guest(vmid), HELD);
        debug_assert!(held.is_ok(), "nobody holds it");
    } else if world.rebooting.remove(&vmid) {
        let job = Job::Power(PowerJob::plain(vmid, PowerKind::Start));
        spawn(
            world,
            &node,
            ("qmstart", vmid),
            &Principal::parse("root@pam"),
            job,
        );
    }
}
