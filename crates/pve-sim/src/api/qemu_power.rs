//! A guest's power: its state, start, stop, shutdown, reboot. A 200 here says only that a worker was started.

use std::time::Duration;

use crate::model::refusal::Refusal;
use crate::model::work::{self, Job, PowerJob, PowerKind, SHUTDOWN};

use super::call::Call;
use super::reply::{Answer, Reply, sync};

/// GET /nodes/{node}/qemu/{vmid}/status/current
pub fn current(call: &mut Call<'_>) -> Reply {
    let now = call.world.now;
    Answer::of(call.vm()?.current(now))
}

/// POST /nodes/{node}/qemu/{vmid}/status/start
pub fn start(call: &mut Call<'_>) -> Reply {
    call.world.check_quorum().map_err(sync)?;
    spawn(call, "qmstart", PowerKind::Start)
}

/// POST /nodes/{node}/qemu/{vmid}/status/stop
pub fn stop(call: &mut Call<'_>) -> Reply {
    spawn(call, "qmstop", PowerKind::Stop)
}

/// POST /nodes/{node}/qemu/{vmid}/status/shutdown
pub fn shutdown(call: &mut Call<'_>) -> Reply {
    spawn(call, "qmshutdown", PowerKind::Shutdown)
}

/// POST /nodes/{node}/qemu/{vmid}/status/reboot
pub fn reboot(call: &mut Call<'_>) -> Reply {
    call.vm()
        .map_err(|_| sync(Refusal::not_found(call.segment("node"), call.vmid())))?;
    spawn(call, "qmreboot", PowerKind::Reboot)
}

fn spawn(call: &mut Call<'_>, task: &str, kind: PowerKind) -> Reply {
    call.only_root("skiplock")?;
    let (node, vmid) = (call.node(), call.vmid());
    let timeout = call
        .params
        .number("timeout")
        .map_or(SHUTDOWN, Duration::from_secs);
    let job = PowerJob {
        vmid,
        kind,
        timeout,
        force: call.params.flag("forceStop"),
    };
    Answer::of(work::spawn(
        call.world,
        &node,
        (task, vmid),
        call.who,
        Job::Power(job),
    ))
}
