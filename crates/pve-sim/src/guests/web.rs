//! A guest's web server: it says who it is. Its socket is opened in the guest's namespace and served from here.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

use super::network::namespace_file;

/// Where it listens, in the guest.
pub const PORT: u16 = 80;
/// How many connections it has at once.
const MAX_CONNECTIONS: usize = 256;
/// How often its end is looked for, and how long in between.
const ROUNDS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(1);
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// A running web server with its connections; it begins to end when this is dropped.
pub struct Web(JoinHandle<()>);

impl Drop for Web {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Web {
    /// Ends it and waits until its sockets are closed: an open one would keep the namespace alive.
    pub fn end(self) {
        self.0.abort();
        for _ in 0..ROUNDS {
            if self.0.is_finished() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Starts one for a guest in its namespace.
    pub fn start(runtime: &Handle, namespace: &str, vmid: u32, name: &str) -> io::Result<Self> {
        let socket = listen_in(namespace_file(namespace))?;
        socket.set_nonblocking(true)?;
        let text = format!("{}\n", json!({"vmid": vmid, "name": name}));
        let _inside = runtime.enter();
        let listener = TcpListener::from_std(socket)?;
        Ok(Self(runtime.spawn(serve(listener, text))))
    }
}

/// Listens inside a namespace. A thread of its own enters it and ends there: no other ever leaves ours.
fn listen_in(namespace: PathBuf) -> io::Result<std::net::TcpListener> {
    let inside = std::thread::spawn(move || {
        let file = File::open(namespace)?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))
    });
    inside
        .join()
        .map_err(|_| io::Error::other("the thread in the namespace ended early"))?
}

async fn serve(listener: TcpListener, text: String) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, text.clone()));
            }
            Err(error) => {
                tracing::debug!(%error, "failed to accept a guest's connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
    }
}

async fn connection(stream: TcpStream, text: String) {
    let service = service_fn(|_request| {
        let text = text.clone();
        async move { Ok::<_, Infallible>(Response::new(text)) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(16 * 1024);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a guest's connection ended early");
    }
}
