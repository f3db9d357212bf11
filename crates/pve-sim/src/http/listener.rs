//! Accepts connections while the door is open; while it is shut the port refuses and open connections are cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::exchange::exchange;
use crate::sim::Shared;

/// How long a connection may be idle.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often a taken port is tried again.
const REBIND: Duration = Duration::from_millis(20);

/// The API's listening side.
pub struct Listener {
    shared: Arc<Shared>,
    acceptor: TlsAcceptor,
    address: SocketAddr,
    open: watch::Receiver<bool>,
    stop: CancellationToken,
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
    pub fn new(
        shared: Arc<Shared>,
        config: Arc<ServerConfig>,
        address: SocketAddr,
        stop: CancellationToken,
    ) -> Self {
        let open = shared.door.subscribe();
        Self {
            shared,
            acceptor: TlsAcceptor::from(config),
            address,
            open,
            stop,
            tracker: TaskTracker::new(),
        }
    }

    /// Serves until it is stopped.
    pub async fn run(mut self, first: TcpListener) {
        let mut socket = Some(first);
        loop {
            let stop = self.stop.clone();
            tokio::select! {
                () = stop.cancelled() => break,
                () = becomes(&mut self.open, true) => {}
            }
            match socket.take().map_or_else(|| bind(self.address), Ok) {
                Ok(listener) => self.serve(listener).await,
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
    async fn serve(&self, listener: TcpListener) {
        let cut = self.stop.child_token();
        let mut open = self.open.clone();
        loop {
            tokio::select! {
                () = cut.cancelled() => break,
                () = becomes(&mut open, false) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.spawn(stream, cut.clone()),
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a connection");
                        tokio::time::sleep(REBIND).await;
                    }
                },
            }
        }
        cut.cancel();
    }

    fn spawn(&self, stream: TcpStream, cut: CancellationToken) {
        let (acceptor, shared) = (self.acceptor.clone(), Arc::clone(&self.shared));
        self.tracker.spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection(stream, acceptor, shared) => {}
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

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let greeted = async {
        // Nothing is kept for a connection that says nothing.
        stream.readable().await?;
        acceptor.accept(stream).await
    };
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, greeted).await else {
        return;
    };
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { exchange(&shared, request.map(Body::new)).await }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .keep_alive(true)
        .max_buf_size(64 * 1024);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
