//! Accepts connections, with TLS or without, while the door is open; while it is shut the port refuses and open
//! connections are cut. As many connections as there are permits; the others wait.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::exchange::exchange;
use crate::sim::Shared;

/// The most connections at once.
const CONNECTIONS: usize = 1_024;
/// How long a connection may be idle, or take for its headers.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often a taken port is tried again.
const REBIND: Duration = Duration::from_millis(20);
/// The largest head of a request.
const HEAD: usize = 64 * 1024;

/// The API's listening side.
pub struct Listener {
    shared: Arc<Shared>,
    acceptor: Option<TlsAcceptor>,
    address: SocketAddr,
    open: watch::Receiver<bool>,
    permits: Arc<Semaphore>,
    tracker: TaskTracker,
}

/// Binds an address; a port that was just closed may be taken at once.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

impl Listener {
    /// A listener for a bound address.
    pub fn new(shared: Arc<Shared>, acceptor: Option<TlsAcceptor>, address: SocketAddr) -> Self {
        let open = shared.door.subscribe();
        Self {
            shared,
            acceptor,
            address,
            open,
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            tracker: TaskTracker::new(),
        }
    }

    /// Serves until it is stopped.
    pub async fn run(mut self, first: TcpListener) {
        let mut socket = Some(first);
        let stop = self.shared.stop.clone();
        loop {
            if !*self.open.borrow() {
                // Shut before it was ever served: nobody shall wait in its queue.
                socket = None;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = becomes(&mut self.open, true) => {}
            }
            match socket.take().map_or_else(|| bind(self.address), Ok) {
                Ok(listener) => self.serve(listener, stop.child_token()).await,
                Err(error) => {
                    tracing::warn!(%error, address = %self.address, "failed to listen on {} again", self.address);
                    tokio::time::sleep(REBIND).await;
                }
            }
        }
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Serves until the door is shut.
    async fn serve(&self, listener: TcpListener, cut: CancellationToken) {
        let mut open = self.open.clone();
        loop {
            let accepted = async {
                // Never closed, so there is always a permit some time.
                let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
                listener.accept().await.map(|accepted| (accepted, permit))
            };
            tokio::select! {
                () = cut.cancelled() => break,
                () = becomes(&mut open, false) => break,
                accepted = accepted => match accepted {
                    Ok(((stream, from), permit)) => self.spawn((stream, from.ip()), permit, cut.clone()),
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a connection");
                        tokio::time::sleep(REBIND).await;
                    }
                },
            }
        }
        cut.cancel();
    }

    fn spawn(
        &self,
        (stream, from): (TcpStream, IpAddr),
        permit: Option<OwnedSemaphorePermit>,
        cut: CancellationToken,
    ) {
        let (acceptor, shared) = (self.acceptor.clone(), Arc::clone(&self.shared));
        self.tracker.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection((stream, from), acceptor, shared) => {}
            }
        });
    }
}

/// Waits until the door is open or shut; a door that nobody can turn any more stays as it is.
async fn becomes(door: &mut watch::Receiver<bool>, open: bool) {
    let gone = door.wait_for(|now| *now == open).await.is_err();
    if gone {
        std::future::pending::<()>().await;
    }
}

async fn connection((stream, from): (TcpStream, IpAddr), acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return speak(stream, from, shared).await;
    };
    let greeted = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
    if let Ok(Ok(stream)) = greeted {
        speak(stream, from, shared).await;
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, from: IpAddr, shared: Arc<Shared>) {
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { exchange(&shared, from, request.map(Body::new)).await }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .keep_alive(true)
        .max_buf_size(HEAD);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
