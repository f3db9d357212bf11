//! What a change costs at a large site, and how much memory it takes. Figures are printed; time is bounded by the
//! benchmark only.

use std::time::{Duration, Instant};

use agent::nft::Nft;
use agent_core::nft::{Elements, Transaction, rehearsal};
use agent_core::routes::{Cause, Changes, Removal, Routes};
use agent_core::snapshot::encode;
use domain::slot::SlotIndex;
use testkit::process::{Launch, Process, Ready};

use super::bed::{self, LIMIT, until};
use super::objects::{live, site};

const CHANGES: u32 = 200;
/// A machine that is busy with something else may spoil a round, not all of them.
const ROUNDS: usize = 3;
const LARGE: u32 = 1000;
const SMALL: u32 = 10;

/// Figures of one kind of change.
#[derive(Clone, Copy, Debug)]
struct Figures {
    p50: Duration,
    p99: Duration,
}

impl Figures {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self {
            p50: times[times.len() / 2],
            p99: times[times.len() * 99 / 100],
        }
    }

    fn better(self, other: Self) -> Self {
        if other.p99 < self.p99 { other } else { self }
    }
}

async fn timed<E: std::fmt::Debug>(work: impl Future<Output = Result<(), E>>) -> Duration {
    let begin = Instant::now();
    work.await.unwrap();
    begin.elapsed()
}

/// One slot comes and goes in the kernel, again and again, beside so many others.
async fn measure(slots: u32) -> (Figures, Figures) {
    let nft = Nft::default();
    let routes: Routes = (0..slots).map(|index| live(index).route).collect();
    nft.commit(&Transaction::replace(&rehearsal(), Elements::wanted(&routes)))
        .await
        .unwrap();
    let mut best: Option<(Figures, Figures)> = None;
    for _ in 0..ROUNDS {
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        for change in 0..CHANGES {
            let route = live(2000 + change).route;
            let come = Changes {
                add: vec![route.clone()],
                ..Changes::default()
            };
            let go = Changes {
                remove: vec![Removal {
                    route,
                    cause: Cause::Ended,
                }],
                ..Changes::default()
            };
            add.push(timed(nft.commit(&Transaction::of(&come))).await);
            remove.push(timed(nft.commit(&Transaction::of(&go))).await);
        }
        let round = (Figures::of(add), Figures::of(remove));
        best = Some(best.map_or(round, |best| (best.0.better(round.0), best.1.better(round.1))));
    }
    best.unwrap()
}

#[test]
#[ignore = "needs root, nftables"]
fn one_change_among_ten_thousand_ports_costs_what_it_costs_among_a_hundred() {
    bed::run(async |_| {
        let (small, large) = (measure(SMALL).await, measure(LARGE).await);
        eprintln!("100 ports: add {:?}, remove {:?}", small.0, small.1);
        eprintln!("10 000 ports: add {:?}, remove {:?}", large.0, large.1);
        for (few, many) in [(small.0, large.0), (small.1, large.1)] {
            let ratio = many.p50.as_secs_f64() / few.p50.as_secs_f64();
            eprintln!("ratio of medians {ratio:.2}");
            // Figures are the benchmark's; here it only must not grow with the table.
            assert!(ratio <= 5.0, "{ratio:.2}");
        }
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack"]
fn four_thousand_slots_take_less_than_forty_megabytes() {
    bed::run(async |bed| {
        let routes: Routes = (0..4000).map(|index| live(index).route).collect();
        std::fs::create_dir_all(bed.state()).unwrap();
        std::fs::write(
            bed.state().join("snapshot.json"),
            encode(&site(), &routes).unwrap(),
        )
        .unwrap();
        let probe = bed.config().probe.namespace;
        let launch = Launch::new("agent", "ip", bed.folder.path())
            .args([
                "netns",
                "exec",
                &bed.gateway.0,
                env!("CARGO_BIN_EXE_decent-agent"),
                "run",
            ])
            .args(["--probe-namespace", probe.as_str(), "--state"])
            .arg(bed.state())
            .ready(Ready::Http("http://127.0.0.1:8086/readyz".into()), LIMIT);
        let mut agent = Process::start(launch).await.unwrap();
        let memory = |kind: &str| -> u64 {
            let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(kind)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        // Counters are read every ten seconds: wait until that has happened, too.
        until("counters are read", async || {
            bed.gateway
                .sh("curl -s http://127.0.0.1:8086/metrics")
                .await
                .stdout
                .windows(20)
                .any(|w| w == b"decent_agent_routes ")
                && bed
                    .gateway
                    .sh("curl -s http://127.0.0.1:8086/metrics | grep -q 'routes 4000'")
                    .await
                    .status
                    .success()
        })
        .await;
        let (all, own, most) = (memory("VmRSS:"), memory("RssAnon:"), memory("VmHWM:"));
        eprintln!("4000 slots: {all} kB ({own} kB of it its own), at most {most} kB");
        assert!(all < 40 * 1024);
        let seen = Nft::default().look().await.unwrap().unwrap();
        assert_eq!(seen.elements.sent.len(), 4000);
        assert!(
            seen.elements
                .tcp
                .contains_key(&live(3999).route.ssh_port().unwrap())
        );
        assert_eq!(live(3999).route.index, SlotIndex(3999));
        agent.stop(Duration::from_secs(10)).await.unwrap();
    });
}
