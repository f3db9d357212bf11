//! One pass over a Machine that has a Slot: look, plan, act, and look again, until it is settled or has to wait.

use std::time::Duration;

use crds::{
    Machine, Slot,
    common::PowerState,
    machine::{TaskKind, TaskRef, VmStatus},
    slot::SlotPhase,
};
use domain::pve::Class;
use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt};
use operator_core::{
    condition::{Wait, seconds},
    provider::{
        machine::{
            blueprint::Blueprint,
            plan::{self, Cloned, History, Seen, Step, needs_firewall},
            status::{Found, MADE, made},
            words,
        },
        plan::{Plan, Verdict},
        seen::{Guest, Ownership, Presence, TaskSeen},
        trouble::Trouble,
    },
    reason::Reason,
};

use super::{
    outcome::{Pass, place, placed, restarts, want},
    site::Site,
};
use crate::provider::{
    Shared,
    act::{Drive, Hands, TASK_BUDGET},
    error::Error,
    failed::Failed,
    look::{Scope, look, no_answer},
    memory::{Remembered, Task},
    objects::Identity,
    pool::PoolHandle,
    read::read_firewall,
    slot::setting,
};

/// Steps of one pass at most: a machine needs seven.
const ROUNDS: usize = 20;

/// Drives the VM of a Machine that has a Slot.
///
/// # Errors
/// A write to the API server failed; failures at Proxmox are part of the pass.
pub async fn pass(
    shared: &Shared,
    machine: &Machine,
    identity: &Identity,
    slot: &Slot,
) -> Result<Pass, Error> {
    let (namespace, pool_name) = (identity.namespace.as_str(), slot.spec.pool.as_str());
    let Some(pool) = shared.pools.get(namespace, pool_name) else {
        let by = machine.spec.provision_by.as_ref().map(|t| t.0);
        let wait = shared.pools.not_connected(namespace, pool_name).until(by);
        return Ok(placed(
            machine,
            slot,
            Plan::wait(wait, SignedDuration::from_secs(2)),
        ));
    };
    let slot_identity = Identity::of(slot)?;
    let want = match want(machine, identity, slot, &slot_identity, &pool) {
        Ok(want) => want,
        Err(wait) => return Ok(placed(machine, slot, Plan::blocked(wait))),
    };
    let cell = shared.memory.of(&slot_identity.uid);
    let mut memory = cell.lock().await;
    recall(&mut memory, machine, slot);
    let mut round = Rounds {
        shared,
        machine,
        pool: &pool,
        want: &want,
        made: made(machine.status.as_ref()) || reached(slot),
        restarts: restarts(machine),
        vm: None,
        reached: vec!["Claimed"],
        failed: None,
    };
    let verdict = round.run(&mut memory, slot).await?;
    Ok(round.pass(slot, verdict, &memory))
}

/// A new process takes up what the last one left in the status: the task, and that the VM has been seen as ours.
fn recall(memory: &mut Remembered, machine: &Machine, slot: &Slot) {
    let status = machine.status.as_ref();
    let stored = status.and_then(|s| s.task.as_ref());
    let here = status
        .and_then(|s| s.vm.as_ref())
        .is_some_and(|vm| vm.vmid == slot.spec.vmid);
    let held = status.and_then(|s| s.slot.as_ref()) == slot.metadata.name.as_ref();
    memory.cloned |= here && held && !memory.untouched;
    if memory.task.is_none()
        && !memory.untouched
        && let Some(task) = stored
        && let Ok(upid) = task.upid.parse()
    {
        memory.task = Some(Task {
            upid,
            kind: task.kind,
            since: task.started_at.0,
            told: None,
        });
    }
}

/// A machine that somebody has reached is somebody's, whatever its status still lacks.
pub(super) fn reached(slot: &Slot) -> bool {
    let route = slot.status.as_ref().and_then(|status| status.route.as_ref());
    route.is_some_and(|route| route.probed_at.is_some())
}

fn is_cloning(memory: &Remembered) -> bool {
    memory
        .task
        .as_ref()
        .is_some_and(|task| task.kind == TaskKind::Clone)
}

struct Rounds<'a> {
    shared: &'a Shared,
    machine: &'a Machine,
    pool: &'a PoolHandle,
    want: &'a Blueprint,
    made: bool,
    restarts: Vec<Timestamp>,
    vm: Option<VmStatus>,
    reached: Vec<&'static str>,
    failed: Option<Failed>,
}

impl Rounds<'_> {
    async fn run(&mut self, memory: &mut Remembered, slot: &Slot) -> Result<Verdict, Error> {
        for _ in 0..ROUNDS {
            let now = memory.now(&*self.shared.ctx.clock);
            let seen = self.look(memory, now).await;
            let plan = plan::plan(self.want, &seen, &self.history(memory, now));
            self.note(&seen.guest);
            let Some(step) = plan.step else {
                if plan.verdict == Verdict::Settled {
                    memory.trouble = None;
                    self.made = true;
                    self.reached.push(MADE);
                }
                return Ok(plan.verdict);
            };
            if step == Step::Clone
                && let Some(verdict) = self.before_clone(slot, memory).await?
            {
                return Ok(verdict);
            }
            match step {
                Step::Quarantine(text) => {
                    memory.permit = None;
                    setting::quarantine(self.shared, slot, &text).await?;
                    return Ok(plan.verdict);
                }
                Step::Supersede => {
                    memory.permit = None;
                    setting::supersede(self.shared, slot, now).await?;
                    return Ok(plan.verdict);
                }
                step => {
                    let (cloning, known) = (step == Step::Clone, memory.trouble.clone());
                    match self.act(step, memory, now).await {
                        Err(failed) if failed.class != Class::Conflict => {
                            return Ok(self.failed(failed, memory, now));
                        }
                        Err(_) => {}
                        Ok(_) => self.site().learn(cloning, known.as_ref(), memory),
                    }
                }
            }
        }
        // Others keep changing what is being changed here: look again a little later.
        let wait = Wait::new(
            Reason::Reconciling,
            "Somebody else changes this VM at the same time.",
            "It is looked at again by itself.",
        );
        Ok(Verdict::Waiting {
            wait,
            recheck: SignedDuration::from_secs(1),
        })
    }

    fn failed(&mut self, failed: Failed, memory: &mut Remembered, now: Timestamp) -> Verdict {
        let trouble = Trouble::again(
            memory.trouble.as_ref(),
            failed.step,
            failed.class.clone(),
            failed.text.clone(),
            now,
        );
        let wait = trouble.wait(&self.pool.asker());
        self.site().blame(Some(&trouble));
        memory.trouble = Some(trouble);
        self.failed = Some(failed);
        Verdict::Waiting {
            wait,
            recheck: SignedDuration::from_secs(1),
        }
    }

    async fn look(&self, memory: &mut Remembered, now: Timestamp) -> Seen {
        let scope = Scope {
            pve: &self.pool.pve,
            vmid: self.want.place.vmid,
            node: &self.want.place.node,
            template: self.want.place.template,
            absence_interval: self.shared.config.absence_interval,
            pool: &self.want.place.pool,
            token: self.pool.token_id(),
        };
        let (cloning, known) = (is_cloning(memory), memory.trouble.clone());
        let found = look(&scope, memory, now).await;
        self.site().learn(cloning, known.as_ref(), memory);
        let guest = match found.guest {
            Presence::Present(guest) if needs_firewall(self.want, &guest, self.made) => {
                self.with_firewall(guest).await
            }
            other => other,
        };
        Seen {
            guest,
            task: found.task,
            now,
        }
    }

    const fn site(&self) -> Site<'_> {
        Site {
            pool: self.pool,
            place: &self.want.place,
        }
    }

    async fn with_firewall(&self, mut guest: Guest) -> Presence<Guest> {
        match read_firewall(&self.pool.pve, &guest).await {
            Ok(firewall) => {
                guest.firewall = Some(firewall);
                Presence::Present(guest)
            }
            Err(e) => Presence::Unknown(no_answer(&e)),
        }
    }

    fn history(&self, memory: &Remembered, now: Timestamp) -> History {
        History {
            cloned: match (memory.untouched, memory.cloned) {
                (true, _) => Cloned::Never,
                (false, false) => Cloned::Perhaps,
                (false, true) => Cloned::Well,
            },
            hidden_limit: self.shared.config.hidden_limit,
            task_limit: self.shared.config.task_limit,
            node_lost: self.site().lost(&self.shared.config, now),
            made: self.made,
            trouble: memory.trouble.clone(),
            restarts: self.restarts.clone(),
            deadline: self.machine.spec.provision_by.as_ref().map(|t| t.0),
            asker: self.pool.asker(),
        }
    }

    fn note(&mut self, guest: &Presence<Guest>) {
        if let Presence::Present(guest) = guest
            && let Some(power) = guest.power
            && Ownership::prove(guest, &self.want.stamp).is_ok()
        {
            let vmid = i32::try_from(guest.vmid.get()).unwrap_or(i32::MAX);
            self.vm = Some(VmStatus {
                vmid,
                node: guest.node.clone(),
                power,
            });
        }
    }

    async fn act(&mut self, step: Step, memory: &mut Remembered, now: Timestamp) -> Result<TaskSeen, Failed> {
        let mut hands = Hands {
            pve: &self.pool.pve,
            memory,
            now,
        };
        match step {
            Step::Clone => hands.clone(self.want).await,
            Step::Configure(proof, change) => hands.configure(&proof, change).await.map(|()| TaskSeen::None),
            Step::Isolate(proof, ops) => hands.isolate(&proof, &ops).await.map(|()| TaskSeen::None),
            Step::Grow(proof, disk, to) => hands.grow(&proof, &disk, to).await,
            Step::Start(proof) => {
                if self.made && self.was_running() {
                    self.restarts
                        .retain(|at| now.duration_since(*at) < plan::BRAKE_WINDOW);
                    self.restarts.push(seconds(now).0);
                }
                hands.drive(&proof, Drive::Start).await
            }
            Step::Shutdown(proof) => {
                let patience = Duration::try_from(self.shared.config.shutdown_wait).unwrap_or_default();
                hands.drive(&proof, Drive::Shutdown(patience)).await
            }
            Step::Stop(proof) => hands.drive(&proof, Drive::Stop).await,
            Step::Cancel => hands.cancel().await,
            Step::Quarantine(_) | Step::Supersede => Ok(TaskSeen::None),
        }
    }

    /// Why nothing is to be cloned right now.
    async fn before_clone(&self, slot: &Slot, memory: &mut Remembered) -> Result<Option<Verdict>, Error> {
        let wait = |wait, millis| {
            Some(Verdict::Waiting {
                wait,
                recheck: SignedDuration::from_millis(millis),
            })
        };
        if !self.still_claimed(slot).await? {
            let changed = "The Slot has changed meanwhile.";
            return Ok(wait(
                Wait::new(Reason::Reconciling, changed, "It is looked at again by itself."),
                200,
            ));
        }
        if !self.may_clone(memory).await {
            return Ok(wait(words::clone_queued(self.want), 100));
        }
        Ok(None)
    }

    /// Asks the API server itself before something is made: a stale cache, or a leader that slept, may hold a Slot that
    /// has been given back since.
    async fn still_claimed(&self, slot: &Slot) -> Result<bool, Error> {
        let api = Api::<Slot>::namespaced(
            self.shared.ctx.client.clone(),
            &slot.namespace().unwrap_or_default(),
        );
        let live = self
            .shared
            .ctx
            .writer
            .get(&api, &slot.name_any())
            .await
            .map_err(Error::kube)?;
        Ok(live.is_some_and(|live| live.uid() == slot.uid() && live.phase() == SlotPhase::Claimed))
    }

    /// Waits a moment for a place among the clones of the node; without one the next pass asks again.
    async fn may_clone(&self, memory: &mut Remembered) -> bool {
        if memory.permit.is_none() {
            let enter = self.pool.admission.enter(&self.want.place.node);
            memory.permit = tokio::time::timeout(TASK_BUDGET, enter).await.ok();
        }
        memory.permit.is_some()
    }

    fn was_running(&self) -> bool {
        let vm = self.machine.status.as_ref().and_then(|s| s.vm.as_ref());
        vm.is_some_and(|vm| vm.power == PowerState::Running)
    }

    fn pass(self, slot: &Slot, verdict: Verdict, memory: &Remembered) -> Pass {
        let task = memory.task.as_ref().map(|task| TaskRef {
            upid: task.upid.to_string(),
            kind: task.kind,
            started_at: seconds(task.since),
        });
        let found = Found {
            generation: self.machine.metadata.generation,
            slot: Some(place(slot)),
            vm: self.vm,
            task,
            verdict,
            trouble: memory.trouble.clone(),
            restarts: self.restarts,
            ended: None,
            reached: self.reached,
        };
        Pass {
            found,
            failed: self.failed,
        }
    }
}
