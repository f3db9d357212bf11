//! Accepts connections while the door is open; while it is shut the port refuses and open connections are cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::exchange::{Cut, Sent, has_body, perform, respond};
use crate::sim::Shared;

/// The largest body that is read.
const LARGEST: usize = 512 * 1024;
/// How long a connection may be idle, between requests or within one.
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
        let acceptor = self.acceptor.clone();
        let works = Works {
            shared: Arc::clone(&self.shared),
            stop: self.stop.clone(),
            tracker: self.tracker.clone(),
        };
        self.tracker.spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection(stream, acceptor, works) => {}
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

/// Where requests are worked on, apart from the connections that they came by.
#[derive(Clone)]
struct Works {
    shared: Arc<Shared>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Works {
    /// Answers a request, or cuts the connection. A client that goes away misses the answer only.
    async fn exchange(self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let (head, body) = request.into_parts();
        let sent = if has_body(&head.method) {
            read(Body::new(body)).await?
        } else {
            Sent::Whole(Bytes::new())
        };
        let (shared, request) = (Arc::clone(&self.shared), Request::from_parts(head, sent));
        let work = self.tracker.spawn(async move {
            tokio::select! {
                () = self.stop.cancelled() => Err(Cut),
                done = perform(&shared, request) => done.map(|done| (shared, done)),
            }
        });
        let (shared, done) = work.await.map_err(|_| Cut)??;
        respond(&shared, done).await
    }
}

/// Reads a body to its end; a client that stops sending is cut off.
async fn read(body: Body) -> Result<Sent, Cut> {
    let mut parts = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(part) = timeout(KEEP_ALIVE, parts.next()).await.map_err(|_| Cut)? {
        let part = part.map_err(|_| Cut)?;
        if whole.len() + part.len() > LARGEST {
            return Ok(Sent::TooLarge);
        }
        whole.extend_from_slice(&part);
    }
    Ok(Sent::Whole(Bytes::from(whole)))
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, works: Works) {
    let _ = stream.set_nodelay(true);
    let greeted = async {
        // Nothing is kept for a connection that says nothing.
        stream.readable().await?;
        acceptor.accept(stream).await
    };
    let Ok(Ok(stream)) = timeout(HANDSHAKE, greeted).await else {
        return;
    };
    let service = service_fn(|request| works.clone().exchange(request));
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
