//! Starting and stopping a simulator, and what its parts share.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::SimConfig;
use crate::control;
use crate::control::faults::Faults;
use crate::control::requests::Requests;
use crate::dns::{self, Cache, Role, Sockets};
use crate::http::tls::{self, Identity};
use crate::http::{Listener, bind};
use crate::model::seed::{Start, fresh};
use crate::model::world::World;

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
    /// A socket.
    #[error("failed to listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
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

/// A Cloudflare simulator.
#[derive(Debug, Clone, Copy)]
pub struct Sim;

/// A zone and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFact {
    /// 32 hex digits.
    pub id: String,
    /// The name.
    pub name: String,
}

/// A running simulator; it stops when this is dropped.
pub struct SimHandle {
    /// Where the API is, with the slash at its end: `http://127.0.0.1:PORT/client/v4/`.
    pub url: String,
    /// Where the control port is: `http://127.0.0.1:PORT`.
    pub control_url: String,
    /// The authority's certificate, if the API speaks TLS.
    pub ca_pem: Option<String>,
    /// The file that holds it, if a folder was given.
    pub ca_file: Option<PathBuf>,
    /// The authoritative servers.
    pub name_servers: [SocketAddr; 2],
    /// The caching resolver.
    pub resolver: SocketAddr,
    /// The zones.
    pub zones: Vec<ZoneFact>,
    /// A token that may do everything with zones and records.
    pub token: String,
    /// A token of the same user that may only read.
    pub read_token: String,
    /// A token of the same user that sees zones, but no records.
    pub zone_token: String,
    /// A token of another user that may do everything.
    pub other_token: String,
    shared: Arc<Shared>,
    tracker: TaskTracker,
}

/// What the API, the servers and the control port share.
pub struct Shared {
    world: Mutex<World>,
    requests: Mutex<Requests>,
    faults: Mutex<Faults>,
    cache: Mutex<Cache>,
    name_servers: [SocketAddr; 2],
    /// The time.
    pub clock: Clock,
    /// Whether the API takes connections.
    pub door: watch::Sender<bool>,
    /// Ends everything.
    pub stop: CancellationToken,
    /// How it all began.
    pub start: Start,
}

impl Shared {
    fn new(start: Start, clock: Clock, name_servers: [SocketAddr; 2]) -> Self {
        Self {
            world: Mutex::new(fresh(&start, clock.now())),
            requests: Mutex::new(Requests::default()),
            faults: Mutex::new(Faults::new(start.seed)),
            cache: Mutex::new(Cache::default()),
            name_servers,
            clock,
            door: watch::Sender::new(true),
            stop: CancellationToken::new(),
            start,
        }
    }

    /// The world, brought up to the present.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = lock(&self.world);
        world.advance(self.clock.now());
        world
    }

    /// The log of requests.
    pub fn requests(&self) -> MutexGuard<'_, Requests> {
        lock(&self.requests)
    }

    /// The faults that are armed.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// The resolver's memory.
    pub fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.cache)
    }

    /// Where the authoritative servers are.
    pub fn name_servers(&self) -> &[SocketAddr; 2] {
        &self.name_servers
    }

    /// Puts everything back to how it was at the start; ids and tokens stay the same.
    pub fn reset(&self) {
        *self.world() = fresh(&self.start, self.clock.now());
        *self.requests() = Requests::default();
        *self.faults() = Faults::new(self.start.seed);
        self.cache().flush();
        self.door.send_replace(true);
    }
}

/// A lock that a panic elsewhere does not poison for good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All sockets, bound before anything is served.
struct Bound {
    api: (TcpListener, SocketAddr),
    control: (TcpListener, SocketAddr),
    first: Sockets,
    second: Sockets,
    resolver: Sockets,
}

impl Sim {
    /// Starts a simulator in the present runtime.
    ///
    /// # Errors
    /// If an address cannot be listened on, or certificates not be made or written.
    pub async fn start(config: SimConfig) -> Result<SimHandle, SimError> {
        let identity = config.tls.then(tls::identity).transpose();
        let identity = identity.map_err(|source| SimError::Certificates { source })?;
        let ca_file = write_ca(&config, identity.as_ref()).await?;
        let bound = Bound::open(&config).await?;
        let name_servers = [bound.first.address, bound.second.address];
        let shared = Arc::new(Shared::new(begin(&config), Clock::new(config.time), name_servers));
        let (api, control) = (bound.api.1, bound.control.1);
        let resolver = bound.resolver.address;
        let tracker = bound.serve(&shared, identity.as_ref());
        let world = shared.world();
        let zones = world.zones.values().map(|zone| ZoneFact {
            id: zone.id.clone(),
            name: zone.name.clone(),
        });
        let mut zones: Vec<ZoneFact> = zones.collect();
        zones.sort_by_key(|zone| {
            config
                .zones
                .iter()
                .position(|name| name.eq_ignore_ascii_case(&zone.name))
        });
        let mut secrets = world.tokens.iter().map(|token| token.secret.clone());
        let mut secret = || secrets.next().unwrap_or_default();
        let scheme = if identity.is_some() { "https" } else { "http" };
        Ok(SimHandle {
            url: format!("{scheme}://{api}/client/v4/"),
            control_url: format!("http://{control}"),
            ca_pem: identity.map(|identity| identity.ca_pem),
            ca_file,
            name_servers,
            resolver,
            zones,
            token: secret(),
            read_token: secret(),
            zone_token: secret(),
            other_token: secret(),
            shared: Arc::clone(&shared),
            tracker,
        })
    }
}

fn begin(config: &SimConfig) -> Start {
    Start {
        seed: config.seed.unwrap_or_else(|| fastrand::u64(..)),
        zones: config.zones.clone(),
        quota: config.quota,
        limits: config.limits.clone(),
        publish_delay: config.publish_delay,
        negative_ttl: config.negative_ttl,
    }
}

impl Bound {
    async fn open(config: &SimConfig) -> Result<Self, SimError> {
        let first = sockets(config.dns).await?;
        let second = config.dns_second.unwrap_or_else(|| {
            let beside = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
            SocketAddr::new(beside, first.address.port())
        });
        Ok(Self {
            api: listen(config.listen)?,
            control: listen(config.control)?,
            second: sockets(second).await?,
            resolver: sockets(config.resolver).await?,
            first,
        })
    }

    fn serve(self, shared: &Arc<Shared>, identity: Option<&Identity>) -> TaskTracker {
        let tracker = TaskTracker::new();
        let acceptor = identity.map(|identity| TlsAcceptor::from(Arc::clone(&identity.config)));
        let Self {
            api: (api, address),
            control: (control, _),
            first,
            second,
            resolver,
        } = self;
        let listener = Listener::new(Arc::clone(shared), acceptor, address);
        tracker.spawn(listener.run(api));
        tracker.spawn(control::serve(Arc::clone(shared), control, shared.stop.clone()));
        tracker.spawn(dns::serve(Arc::clone(shared), Role::Authority(0), first));
        tracker.spawn(dns::serve(Arc::clone(shared), Role::Authority(1), second));
        tracker.spawn(dns::serve(Arc::clone(shared), Role::Resolver, resolver));
        tracker.close();
        tracker
    }
}

async fn sockets(address: SocketAddr) -> Result<Sockets, SimError> {
    let wrap = |source| SimError::Listen { address, source };
    Sockets::bind(address).await.map_err(wrap)
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), SimError> {
    let wrap = |source| SimError::Listen { address, source };
    let listener = bind(address).map_err(wrap)?;
    let bound = listener.local_addr().map_err(wrap)?;
    Ok((listener, bound))
}

async fn write_ca(config: &SimConfig, identity: Option<&Identity>) -> Result<Option<PathBuf>, SimError> {
    let (Some(dir), Some(identity)) = (&config.dir, identity) else {
        return Ok(None);
    };
    let path = dir.join("cf-sim-ca.pem");
    let written = async {
        tokio::fs::create_dir_all(dir).await?;
        tokio::fs::write(&path, &identity.ca_pem).await
    };
    written.await.map_err(|source| SimError::Write {
        path: path.clone(),
        source,
    })?;
    Ok(Some(path))
}

impl SimHandle {
    /// A call of the control port, without a socket.
    ///
    /// # Errors
    /// What the control port refused, as a sentence.
    pub async fn control(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        control::call(&self.shared, method, path, body).await
    }

    /// Moves a standing clock; false if this simulator's passes by itself.
    #[must_use]
    pub fn pass(&self, span: Duration) -> bool {
        self.shared.clock.pass(span)
    }

    /// Milliseconds since the epoch, by the simulator's clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.shared.clock.now().millis()
    }

    /// Stops the simulator and waits for its last connection.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.tracker.wait().await;
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
