//! Looks at all machines, each when the core's schedule says so, and reports what changes. Owns the schedule's state;
//! must not connect itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use agent_core::probe::{Phase, interval};
use agent_core::routes::Route;
use domain::ids::Uid;
use domain::slot::SlotIndex;
use kit::clock::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Answer, ProbeError, Prober, Report};

/// Machines that are looked at at once; the others wait for their turn.
const AT_ONCE: usize = 256;
/// Looks in a row without an answer until a machine counts as silent.
const PATIENCE: u32 = 3;

/// What the schedule is told.
#[derive(Debug, Clone)]
pub enum Order {
    /// Look at this machine from now on.
    Watch(Route),
    /// Its boot is expected now: look often.
    Expect(SlotIndex, Uid),
    /// Look no more.
    Forget(SlotIndex, Uid),
    /// All machines are reached by this public address.
    Through(Ipv4Addr),
}

struct Watched {
    route: Route,
    since: Instant,
    state: State,
    failures: u32,
    due: Instant,
}

enum State {
    Awaited,
    Answers(Answer),
    Silent,
}

type Seen = (SlotIndex, Uid, Result<Answer, ProbeError>);

/// The schedule over all machines.
pub struct Watch {
    prober: Prober,
    clock: Arc<dyn Clock>,
    reports: mpsc::UnboundedSender<Report>,
    address: Option<Ipv4Addr>,
    machines: BTreeMap<SlotIndex, Watched>,
    due: BTreeSet<(Instant, SlotIndex)>,
    running: JoinSet<Seen>,
}

impl Watch {
    /// A schedule without machines.
    #[must_use]
    pub fn new(prober: Prober, clock: Arc<dyn Clock>, reports: mpsc::UnboundedSender<Report>) -> Self {
        Self {
            prober,
            clock,
            reports,
            address: None,
            machines: BTreeMap::new(),
            due: BTreeSet::new(),
            running: JoinSet::new(),
        }
    }

    /// Runs until the shutdown, or until nobody gives orders any more.
    pub async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>, shutdown: CancellationToken) {
        loop {
            let next = self.due.first().map(|(at, _)| *at);
            tokio::select! {
                () = shutdown.cancelled() => return,
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                Some(Ok(seen)) = self.running.join_next() => self.note(seen),
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() && self.may_look() => {
                    self.look();
                }
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Through(address) => self.address = Some(address),
            Order::Watch(route) => {
                let index = route.index;
                self.forget(index);
                self.due.insert((now, index));
                let watched = Watched {
                    route,
                    since: now,
                    state: State::Awaited,
                    failures: 0,
                    due: now,
                };
                self.machines.insert(index, watched);
            }
            Order::Expect(index, uid) => {
                if let Some(watched) = self
                    .machines
                    .get_mut(&index)
                    .filter(|known| known.route.uid == uid)
                {
                    if !matches!(watched.state, State::Answers(_)) {
                        (watched.state, watched.since) = (State::Awaited, now);
                    }
                    self.plan(index, now);
                }
            }
            Order::Forget(index, uid) => {
                if self
                    .machines
                    .get(&index)
                    .is_some_and(|known| known.route.uid == uid)
                {
                    self.forget(index);
                }
            }
        }
    }

    fn forget(&mut self, index: SlotIndex) {
        if let Some(watched) = self.machines.remove(&index) {
            self.due.remove(&(watched.due, index));
        }
    }

    /// Sets when a machine is looked at next. One that is being looked at has no such time.
    fn plan(&mut self, index: SlotIndex, at: Instant) {
        if let Some(watched) = self.machines.get_mut(&index)
            && self.due.remove(&(watched.due, index))
        {
            watched.due = at;
            self.due.insert((at, index));
        }
    }

    fn may_look(&self) -> bool {
        self.address.is_some() && self.running.len() < AT_ONCE
    }

    /// Begins to look at all that are due, as far as there is room.
    fn look(&mut self) {
        let (now, Some(address)) = (Instant::now(), self.address) else {
            return;
        };
        while self.running.len() < AT_ONCE
            && let Some((at, index)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            let Some(watched) = self.machines.get(&index) else {
                continue;
            };
            let Some(port) = watched.route.ssh_port() else {
                continue;
            };
            let (uid, prober) = (watched.route.uid, self.prober.clone());
            // Keys are scanned when a machine begins to answer, or its banner changes: a scan is several connections.
            let known = match &watched.state {
                State::Answers(answer) => Some(answer.clone()),
                State::Awaited | State::Silent => None,
            };
            self.running
                .spawn(async move { (index, uid, see(&prober, address, port, known).await) });
        }
    }

    /// Takes what was seen, reports a change and plans the next look.
    fn note(&mut self, (index, uid, seen): Seen) {
        let now = Instant::now();
        let Some(watched) = self
            .machines
            .get_mut(&index)
            .filter(|known| known.route.uid == uid)
        else {
            return;
        };
        if let Some(news) = watched.take(seen, now) {
            let report = Report {
                route: watched.route.clone(),
                at: self.clock.now(),
                seen: news,
            };
            // Nobody listens while the process ends.
            let _unheard = self.reports.send(report);
        }
        watched.due = now + interval(watched.phase(now));
        self.due.insert((watched.due, index));
    }
}

impl Watched {
    fn phase(&self, now: Instant) -> Phase {
        let since = now - self.since;
        match (&self.state, self.failures) {
            (State::Awaited, _) => Phase::Awaited(since),
            (State::Answers(_), 0) => Phase::Answers(since),
            // One failure may be chance: the next look is soon.
            (State::Answers(_), _) => Phase::Silent(std::time::Duration::ZERO),
            (State::Silent, _) => Phase::Silent(since),
        }
    }

    /// News, if there are any.
    fn take(&mut self, seen: Result<Answer, ProbeError>, now: Instant) -> Option<Result<Answer, String>> {
        match seen {
            Ok(answer) => {
                self.failures = 0;
                let same = matches!(&self.state, State::Answers(before) if *before == answer);
                if same {
                    return None;
                }
                (self.state, self.since) = (State::Answers(answer.clone()), now);
                Some(Ok(answer))
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if !matches!(self.state, State::Answers(_)) || self.failures < PATIENCE {
                    return None;
                }
                (self.state, self.since) = (State::Silent, now);
                Some(Err(kit::chain(&error)))
            }
        }
    }
}

/// A machine answers when it has a banner and at least one host key: nobody can log in before.
async fn see(
    prober: &Prober,
    address: Ipv4Addr,
    port: u16,
    known: Option<Answer>,
) -> Result<Answer, ProbeError> {
    let banner = prober.banner(address, port).await?;
    match known {
        Some(known) if known.banner == banner => Ok(known),
        _ => {
            let host_keys = prober.host_keys(address, port).await?;
            if host_keys.is_empty() {
                return Err(ProbeError::Ended);
            }
            Ok(Answer { banner, host_keys })
        }
    }
}
