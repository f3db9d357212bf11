//! A client, the internet, a gateway and its machines, each a network namespace. All of it goes at the end; what a
//! killed run left goes at the next start.
//!
//! ```text
//! client 198.51.100.2 ── net ── 203.0.113.7 gateway 10.64.0.1 ── bridge lan0 ── vm0 10.64.0.10, vm1 10.64.0.11
//!                         └ 192.168.77.1: a private address outside
//! ```

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use agent::config::{Config, WebConfig};
use agent::plane::{DataPlane, Seams};
use agent::probe::Outside;
use agent_core::brake::Limit;
use agent_core::nft::Limits;
use kit::clock::{Clock, SystemClock};
use kit::metrics::Metrics;
use kit::tasks::Tasks;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use testkit::process::{Launch, Process, Ready};

pub const PUBLIC: &str = "203.0.113.7";
pub const CLIENT: &str = "198.51.100.2";
/// How long anything may take.
pub const LIMIT: Duration = Duration::from_secs(20);
const SPACES: &str = "/run/netns";
const PREFIX: &str = "dcat";
static NEXT: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// A namespace.
#[derive(Clone, Debug)]
pub struct Space(pub String);

impl Space {
    /// Runs a program in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    /// Runs a shell line in it, off the runtime.
    pub async fn sh(&self, line: &str) -> Output {
        let mut command = self.command("sh");
        command.args(["-c", line]).stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }
}

/// Moves this thread for good.
pub fn enter(space: &str) {
    let file = File::open(Path::new(SPACES).join(space)).unwrap();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// The whole of it.
pub struct Bed {
    pub client: Space,
    pub net: Space,
    pub gateway: Space,
    pub vms: Vec<Space>,
    pub folder: tempfile::TempDir,
    name: String,
}

/// Makes a bed and does something in its gateway.
pub fn run<T>(story: impl AsyncFnOnce(&Bed) -> T) -> T
where
    T: Send,
{
    SWEEP.call_once(sweep);
    kit::tls::install();
    let bed = Bed::make();
    // The runtime's threads inherit the namespace of the thread that makes them.
    enter(&bed.gateway.0);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(story(&bed))
}

impl Bed {
    fn make() -> Self {
        let name = format!(
            "{PREFIX}{}x{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let space = |role: &str| Space(format!("{name}-{role}"));
        let bed = Self {
            client: space("client"),
            net: space("net"),
            gateway: space("gw"),
            vms: (0..2).map(|n| space(&format!("vm{n}"))).collect(),
            folder: tempfile::tempdir().unwrap(),
            name,
        };
        for space in bed.spaces() {
            ip(&format!("netns add {}", space.0));
            ip(&format!("-n {} link set lo up", space.0));
        }
        bed.wire();
        bed
    }

    fn spaces(&self) -> impl Iterator<Item = &Space> {
        [&self.client, &self.net, &self.gateway]
            .into_iter()
            .chain(&self.vms)
    }

    fn wire(&self) {
        let Self {
            client, net, gateway, ..
        } = self;
        let (client, net, gateway) = (&client.0, &net.0, &gateway.0);
        for line in [
            format!("-n {client} link add eth0 type veth peer name c0 netns {net}"),
            format!("-n {client} addr add {CLIENT}/24 dev eth0"),
            format!("-n {client} addr add 198.51.100.3/24 dev eth0"),
            format!("-n {client} link set eth0 up"),
            format!("-n {client} route add default via 198.51.100.1"),
            format!("-n {gateway} link add wan type veth peer name g0 netns {net}"),
            format!("-n {gateway} addr add {PUBLIC}/24 dev wan"),
            format!("-n {gateway} link set wan up"),
            format!("-n {gateway} route add default via 203.0.113.1"),
            format!("-n {net} addr add 198.51.100.1/24 dev c0"),
            format!("-n {net} addr add 203.0.113.1/24 dev g0"),
            format!("-n {net} addr add 192.168.77.1/32 dev lo"),
            format!("-n {net} link set c0 up"),
            format!("-n {net} link set g0 up"),
            format!("-n {gateway} link add lan0 type bridge"),
            format!("-n {gateway} addr add 10.64.0.1/16 dev lan0"),
            format!("-n {gateway} link set lan0 up"),
        ] {
            ip(&line);
        }
        for (n, vm) in self.vms.iter().enumerate() {
            let (vm, address) = (&vm.0, machine(n));
            for line in [
                format!("-n {vm} link add eth0 type veth peer name tap{n} netns {gateway}"),
                format!("-n {gateway} link set tap{n} master lan0 up"),
                format!("-n {vm} addr add {address}/16 dev eth0"),
                format!("-n {vm} link set eth0 up"),
                format!("-n {vm} route add default via 10.64.0.1"),
            ] {
                ip(&line);
            }
        }
        for space in [&self.net, &self.gateway] {
            let forward = "echo 1 >/proc/sys/net/ipv4/ip_forward";
            assert!(
                space
                    .command("sh")
                    .args(["-c", forward])
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }

    /// A configuration of the agent.
    pub fn config(&self) -> Config {
        let name = &self.name[PREFIX.len()..];
        Config {
            state: self.state(),
            lan: None,
            offers_dhcp: false,
            limits: Limits::default(),
            brake: Limit::default(),
            zone: "127.0.0.1:5380".parse().unwrap(),
            web: WebConfig {
                program: "caddy".to_owned(),
                admin: "127.0.0.1:2019".parse().unwrap(),
                http: vec![":80".into()],
                https: vec![":443".into()],
                user: None,
            },
            probe: Outside {
                namespace: format!("dcp{name}").parse().unwrap(),
                link: "probe".parse().unwrap(),
                host: Ipv4Addr::new(198, 18, 255, 253),
                probe: Ipv4Addr::new(198, 18, 255, 254),
            },
        }
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Starts Caddy in the gateway, without a configuration.
    pub async fn caddy(&self) -> Process {
        let folder = self.folder.path().join("caddy");
        let program = testkit::assets::program("caddy").unwrap();
        let ready = Ready::Http("http://127.0.0.1:2019/config/".into());
        let launch = Launch::new("caddy", "ip", &folder)
            .args(["netns", "exec", &self.gateway.0])
            .arg(program)
            .arg("run")
            .env("XDG_DATA_HOME", &folder)
            .env("XDG_CONFIG_HOME", &folder)
            .ready(ready, LIMIT);
        Process::start(launch).await.unwrap()
    }

    /// Everything that nft lists of our table, with handles.
    pub async fn table(&self) -> String {
        let output = self.gateway.sh("nft -a list table ip decent").await;
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let probe = Space(format!("dcp{}", &self.name[PREFIX.len()..]));
        for space in self.spaces().chain([&probe]) {
            let _ = Command::new("ip").args(["netns", "del", &space.0]).output();
        }
    }
}

/// The address of a machine.
pub fn machine(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 64, 0, u8::try_from(10 + n).unwrap())
}

pub fn public(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(PUBLIC.parse().unwrap(), port)
}

fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output().unwrap();
    assert!(
        output.status.success(),
        "ip {line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Removes what runs that ended have left.
fn sweep() {
    for entry in std::fs::read_dir(SPACES).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let ours = name.strip_prefix(PREFIX).or_else(|| name.strip_prefix("dcp"));
        let pid = ours.and_then(|rest| rest.split('x').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

/// A data plane that runs; it is to be stopped.
pub struct Running {
    pub data: DataPlane,
    pub seams: Seams,
    pub metrics: Metrics,
    /// What a test lets run beside it.
    pub helpers: tokio::task::JoinSet<()>,
    tasks: Tasks,
}

impl Running {
    /// Starts one.
    pub async fn start(config: Config) -> Self {
        Self::start_at(config, Arc::new(SystemClock::new())).await
    }

    /// Starts one with this clock.
    pub async fn start_at(config: Config, clock: Arc<dyn Clock>) -> Self {
        let (tasks, metrics) = (Tasks::new(LIMIT), Metrics::new("agent"));
        let (data, seams) = DataPlane::start(config, &tasks, &metrics, clock).await.unwrap();
        Self {
            data,
            seams,
            metrics,
            helpers: tokio::task::JoinSet::new(),
            tasks,
        }
    }

    /// Ends it as SIGTERM would.
    pub async fn stop(self) {
        self.tasks.shutdown().cancel();
        self.tasks.wait().await.unwrap();
        drop(self.seams);
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < LIMIT, "still not after {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
