//! Starting and stopping a simulator, and what its parts share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::SimConfig;
use crate::control;
use crate::control::faults::Faults;
use crate::control::requests::Requests;
use crate::demo;
use crate::guests::{Board, GuestError, Guests, Keeper};
use crate::http::{Listener, Workers, bind, tls};
use crate::model::moment::Moment;
use crate::model::seed::{self, Size};
use crate::model::world::World;
use crate::state::{Folder, Origin, Present, StateError, Store};

/// Why a simulator did not start.
#[derive(Debug, Error)]
pub enum SimError {
    /// The certificates.
    #[error("failed to make the certificates")]
    Certificates {
        /// Why.
        #[source]
        source: tls::TlsError,
    },
    /// The kept cluster.
    #[error("failed to keep the cluster")]
    State {
        /// Why.
        #[source]
        source: StateError,
    },
    /// A socket.
    #[error("failed to listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The guests.
    #[error("failed to prepare guests")]
    Guests {
        /// Why.
        #[source]
        source: GuestError,
    },
    /// The certificate file.
    #[error("failed to write {path}")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl SimError {
    fn state(source: StateError) -> Self {
        Self::State { source }
    }
}

/// A Proxmox VE simulator.
#[derive(Debug, Clone, Copy)]
pub struct Sim;

/// A running simulator; it stops when this is dropped.
pub struct SimHandle {
    /// Where the API is: `https://127.0.0.1:PORT`.
    pub url: String,
    /// Where the control port is: `http://127.0.0.1:PORT`.
    pub control_url: String,
    /// The authority's certificate.
    pub ca_pem: String,
    /// The file that holds it, if a folder was given.
    pub ca_file: Option<PathBuf>,
    /// The SHA-256 fingerprint of the server's certificate, as Proxmox shows it.
    pub fingerprint: String,
    /// The service token: `USER@REALM!ID=SECRET`.
    pub token: String,
    /// Root's token.
    pub root_token: String,
    /// The pool of the service token.
    pub pool: String,
    /// The template of each node.
    pub templates: Vec<(String, u32)>,
    /// The network namespace that holds the bridges, if guests have any.
    pub guest_network: Option<String>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

/// What the API, the control port and the listener share.
pub struct Shared {
    world: Mutex<World>,
    store: Option<Mutex<Store>>,
    /// The workers of the nodes' daemons.
    pub workers: Workers,
    requests: Mutex<Requests>,
    faults: Mutex<Faults>,
    /// The time.
    pub clock: Clock,
    /// How long a refused login waits.
    pub auth_delay: Duration,
    /// Whether the API takes connections.
    pub door: watch::Sender<bool>,
    /// What happens later by itself, and when all of it ends.
    pub later: TaskTracker,
    /// Ends everything.
    pub stop: CancellationToken,
    /// The guests that can be reached.
    pub guests: Board,
    fingerprint: String,
    config: SimConfig,
    seed: u64,
}

impl Shared {
    /// A simulator before its first request.
    pub fn new(config: &SimConfig, seed: u64, (clock, fingerprint): (Clock, String)) -> Self {
        let world = fresh(config, seed, (clock.now(), &fingerprint));
        Self::with(config, seed, (clock, fingerprint), (world, None))
    }

    /// A simulator with a cluster that was there before.
    fn with(
        config: &SimConfig,
        seed: u64,
        (clock, fingerprint): (Clock, String),
        (world, store): (World, Option<Store>),
    ) -> Self {
        Self {
            world: Mutex::new(world),
            store: store.map(Mutex::new),
            workers: Workers::default(),
            requests: Mutex::new(Requests::default()),
            faults: Mutex::new(Faults::new(seed)),
            clock,
            auth_delay: config.auth_delay,
            door: watch::Sender::new(true),
            later: TaskTracker::new(),
            stop: CancellationToken::new(),
            guests: Board::default(),
            fingerprint,
            config: config.clone(),
            seed,
        }
    }

    /// The cluster, brought up to the present.
    pub fn world(&self) -> Present<'_> {
        let mut world = lock(&self.world);
        let changed = world.advance(self.clock.now());
        Present::new(world, self.store.as_ref(), changed)
    }

    /// The log of requests.
    pub fn requests(&self) -> MutexGuard<'_, Requests> {
        lock(&self.requests)
    }

    /// The faults that are armed.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// Puts everything back to how it was at the start; secrets stay the same.
    pub fn reset(&self) {
        *self.world() = fresh(&self.config, self.seed, (self.clock.now(), &self.fingerprint));
        *self.requests() = Requests::default();
        *self.faults() = Faults::new(self.seed);
        self.door.send_replace(true);
    }
}

/// A lock that a panic elsewhere does not poison for good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fresh(config: &SimConfig, seed: u64, (now, fingerprint): (Moment, &str)) -> World {
    let mut world = World::empty(now, seed, config.durations, config.stats_lag);
    fingerprint.clone_into(&mut world.datacenter.fingerprint);
    world.datacenter.name.clone_from(&config.cluster_name);
    world.datacenter.notice = config.death_notice;
    world.version = config.version;
    let size = Size {
        nodes: config.nodes,
        cores: config.cores,
        memory: config.memory,
        disk: config.disk,
        shared_storage: config.shared_storage,
    };
    seed::fill(&mut world, &size);
    world
}

impl Sim {
    /// Starts a simulator in the present runtime.
    ///
    /// # Errors
    /// If an address cannot be listened on, or certificates not be made or written.
    pub async fn start(config: SimConfig) -> Result<SimHandle, SimError> {
        let (origin, folder) = origin(&config)?;
        let identity = tls::identity(origin.papers).map_err(|source| SimError::Certificates { source })?;
        let ca_file = write_ca(&config, &identity.ca_pem).await?;
        let shared = Arc::new(open(&config, origin.seed, &identity.fingerprint, folder)?);
        let (api, address) = listen(config.listen)?;
        let (control, control_address) = listen(config.control)?;
        let (stop, tracker) = (shared.stop.clone(), shared.later.clone());
        let listener = Listener::new(Arc::clone(&shared), identity.config, address, stop.clone());
        tracker.spawn(listener.run(api));
        tracker.spawn(control::serve(Arc::clone(&shared), control, stop.clone()));
        let guest_network = keep_guests(&config, &shared, (&stop, &tracker))?;
        tracker.close();
        let kept = Arc::clone(&shared);
        let world = shared.world();
        Ok(SimHandle {
            url: format!("https://{address}"),
            control_url: format!("http://{control_address}"),
            ca_pem: identity.ca_pem,
            ca_file,
            fingerprint: identity.fingerprint,
            token: token_text(&world, seed::USER, seed::TOKEN),
            root_token: token_text(&world, "root@pam", "t1"),
            pool: seed::POOL.to_owned(),
            templates: templates(&world),
            guest_network,
            shared: kept,
            stop,
            tracker,
        })
    }
}

/// Where this simulator comes from: its folder, if it has one, or nowhere.
fn origin(config: &SimConfig) -> Result<(Origin, Option<Folder>), SimError> {
    let make = || {
        let papers = tls::papers().map_err(|source| SimError::Certificates { source })?;
        let seed = config.seed.unwrap_or_else(|| fastrand::u64(..));
        Ok::<_, SimError>(Origin { seed, papers })
    };
    let Some(path) = &config.state else {
        return Ok((make()?, None));
    };
    let folder = Folder::open(path, config.journal).map_err(SimError::state)?;
    let origin = folder.origin(SimError::state, make)?;
    Ok((origin, Some(folder)))
}

/// The simulator, with the cluster as it was left if it was kept.
fn open(
    config: &SimConfig,
    seed: u64,
    fingerprint: &str,
    folder: Option<Folder>,
) -> Result<Shared, SimError> {
    let clock = |earliest| (Clock::system(config.time_scale, earliest), fingerprint.to_owned());
    let Some(folder) = folder else {
        return Ok(Shared::new(config, seed, clock(Moment::default())));
    };
    let begin = || fresh(config, seed, (clock(Moment::default()).0.now(), fingerprint));
    let (mut world, store) = folder.follow(begin).map_err(SimError::state)?;
    // The statistics daemons begin anew too.
    world.publish();
    let clock = clock(world.now);
    Ok(Shared::with(config, seed, clock, (world, Some(store))))
}

/// Starts what follows the model with guests, if they are wanted; gives the namespace of their bridges.
fn keep_guests(
    config: &SimConfig,
    shared: &Arc<Shared>,
    (stop, tracker): (&CancellationToken, &TaskTracker),
) -> Result<Option<String>, SimError> {
    let Guests::Netns { boot } = config.guests else {
        return Ok(None);
    };
    let keeper = Keeper::open(config.dir.as_deref(), boot).map_err(|source| SimError::Guests { source })?;
    let network = keeper.network().to_owned();
    let (shared, stop) = (Arc::clone(shared), stop.clone());
    tracker.spawn_blocking(move || keeper.run(&shared, &stop));
    Ok(Some(network))
}

async fn write_ca(config: &SimConfig, pem: &str) -> Result<Option<PathBuf>, SimError> {
    let Some(dir) = &config.dir else { return Ok(None) };
    let path = dir.join("pve-root-ca.pem");
    let written = async {
        tokio::fs::create_dir_all(dir).await?;
        tokio::fs::write(&path, pem).await
    };
    written.await.map_err(|source| SimError::Write {
        path: path.clone(),
        source,
    })?;
    Ok(Some(path))
}

fn listen(address: SocketAddr) -> Result<(tokio::net::TcpListener, SocketAddr), SimError> {
    let wrap = |source| SimError::Listen { address, source };
    let listener = bind(address).map_err(wrap)?;
    let bound = listener.local_addr().map_err(wrap)?;
    Ok((listener, bound))
}

fn token_text(world: &World, user: &str, token: &str) -> String {
    let secret = world
        .access
        .users
        .get(user)
        .and_then(|user| user.tokens.get(token))
        .map(|token| token.secret.as_str());
    format!("{user}!{token}={}", secret.unwrap_or_default())
}

fn templates(world: &World) -> Vec<(String, u32)> {
    let templates = world.vms.values().filter(|vm| vm.config.template());
    templates.map(|vm| (vm.node.clone(), vm.vmid)).collect()
}

impl SimHandle {
    /// Furnishes the cluster with guests in various states, to look at.
    ///
    /// # Errors
    /// What the control port refused.
    pub async fn furnish(&self) -> Result<(), String> {
        demo::furnish(&self.shared).await
    }

    /// What to try on a furnished cluster: a word about each line for a shell, and the line.
    #[must_use]
    pub fn lines(&self, ca_file: &str) -> Vec<(&'static str, String)> {
        demo::lines(self, ca_file)
    }

    /// Stops the simulator and waits for its last connection.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tracker.wait().await;
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
