//! A thread that lives in the probes' namespace. Owns the connections and scans made there; must not decide when to
//! look. No other thread ever leaves ours.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_core::probe::{MAX_BANNER_BYTES, banner, host_keys};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Answer, ProbeError};
use crate::command::run;

/// How long a banner may take.
const BANNER: Duration = Duration::from_secs(3);
/// How long a scan of host keys may take.
const SCAN: Duration = Duration::from_secs(15);
/// Connections at once, and scans at once: each scan is a process.
const CONNECTIONS: usize = 256;
const SCANS: usize = 4;

/// The thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the thread that probes")]
pub struct ThreadError(#[source] io::Error);

enum Job {
    Banner(SocketAddrV4, oneshot::Sender<Result<String, ProbeError>>),
    Keys(SocketAddrV4, oneshot::Sender<Result<Vec<String>, ProbeError>>),
}

/// Looks at machines from the namespace. Its thread ends with the last clone.
#[derive(Clone)]
pub struct Prober(mpsc::Sender<Job>);

impl Prober {
    /// Starts the thread in a namespace, given by its file.
    ///
    /// # Errors
    /// When the thread cannot enter it.
    pub async fn start(namespace: PathBuf) -> Result<Self, ThreadError> {
        let (jobs, work) = mpsc::channel(CONNECTIONS);
        let (entered, entry) = oneshot::channel();
        let body = move || match enter(&namespace) {
            Ok(runtime) => {
                let _started = entered.send(Ok(()));
                runtime.block_on(serve(work));
            }
            Err(error) => {
                let _not_started = entered.send(Err(error));
            }
        };
        std::thread::Builder::new()
            .name("probe".to_owned())
            .spawn(body)
            .map_err(ThreadError)?;
        let entry = entry
            .await
            .map_err(|_| ThreadError(io::Error::other("it ended at once")))?;
        entry.map(|()| Self(jobs)).map_err(ThreadError)
    }

    /// The SSH identification at an address.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn banner(&self, address: Ipv4Addr, port: u16) -> Result<String, ProbeError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Banner(SocketAddrV4::new(address, port), reply), answer)
            .await
    }

    /// The host keys at an address.
    ///
    /// # Errors
    /// When they could not be scanned. That there are none is no error.
    pub async fn host_keys(&self, address: Ipv4Addr, port: u16) -> Result<Vec<String>, ProbeError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Keys(SocketAddrV4::new(address, port), reply), answer)
            .await
    }

    /// Banner and host keys at an address.
    ///
    /// # Errors
    /// When one of them is not to be had.
    pub async fn answer(&self, address: Ipv4Addr, port: u16) -> Result<Answer, ProbeError> {
        let banner = self.banner(address, port).await?;
        let host_keys = self.host_keys(address, port).await?;
        Ok(Answer { banner, host_keys })
    }

    async fn ask<T>(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<T, ProbeError>>,
    ) -> Result<T, ProbeError> {
        self.0.send(job).await.map_err(|_| ProbeError::Gone)?;
        answer.await.map_err(|_| ProbeError::Gone)?
    }
}

fn enter(namespace: &PathBuf) -> io::Result<tokio::runtime::Runtime> {
    let file = File::open(namespace)?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve(mut work: mpsc::Receiver<Job>) {
    let (connections, scans) = (
        Arc::new(Semaphore::new(CONNECTIONS)),
        Arc::new(Semaphore::new(SCANS)),
    );
    let mut running = JoinSet::new();
    while let Some(job) = work.recv().await {
        while running.try_join_next().is_some() {}
        let places = match &job {
            Job::Banner(..) => &connections,
            Job::Keys(..) => &scans,
        };
        let place = Arc::clone(places).acquire_owned();
        running.spawn(async move {
            // Places are never closed.
            let _place = place.await;
            match job {
                Job::Banner(address, reply) => drop(reply.send(read_banner(address).await)),
                Job::Keys(address, reply) => drop(reply.send(scan(address).await)),
            }
        });
    }
}

async fn read_banner(address: SocketAddrV4) -> Result<String, ProbeError> {
    let conversation = async {
        let mut stream = TcpStream::connect(address).await.map_err(ProbeError::Connect)?;
        let mut said = Vec::new();
        loop {
            let mut chunk = [0; 512];
            let read = stream.read(&mut chunk).await.map_err(ProbeError::Connect)?;
            said.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if let Some(banner) = banner(&said).map_err(ProbeError::Banner)? {
                return Ok(banner);
            }
            if read == 0 || said.len() > MAX_BANNER_BYTES {
                return Err(ProbeError::Ended);
            }
        }
    };
    tokio::time::timeout(BANNER, conversation)
        .await
        .unwrap_or(Err(ProbeError::Slow))
}

async fn scan(address: SocketAddrV4) -> Result<Vec<String>, ProbeError> {
    let (port, host) = (address.port().to_string(), address.ip().to_string());
    let arguments = ["-T", "3", "-t", "ed25519,ecdsa,rsa", "-p", &port, &host];
    let output = run("ssh-keyscan", &arguments, b"", SCAN)
        .await
        .map_err(ProbeError::Scan)?;
    Ok(host_keys(&String::from_utf8_lossy(&output)))
}
