//! The sockets of one server: UDP and TCP on the same address. Bounded: as many questions at once as there are permits,
//! as many connections, each with a time and a length.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::Role;
use super::answer::{By, answer};
use crate::http::bind;
use crate::sim::Shared;

/// The most questions that are thought about at once.
const QUESTIONS: usize = 512;
/// The most connections at once.
const CONNECTIONS: usize = 256;
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(10);
/// The largest datagram that is read.
const DATAGRAM: usize = 4_096;
/// How often another port is tried, where any would do.
const TRIES: usize = 32;

/// A server's sockets.
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
    /// Where they are.
    pub address: SocketAddr,
}

impl Sockets {
    /// Binds both; with port 0, one that both can have.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let mut tries = if address.port() == 0 { TRIES } else { 1 };
        loop {
            tries -= 1;
            let udp = UdpSocket::bind(address).await?;
            let bound = udp.local_addr()?;
            match bind(bound) {
                Ok(tcp) => {
                    return Ok(Self {
                        udp,
                        tcp,
                        address: bound,
                    });
                }
                Err(_) if tries > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Serves until it is stopped.
pub async fn serve(shared: Arc<Shared>, role: Role, sockets: Sockets) {
    let Sockets { udp, tcp, address: _ } = sockets;
    let tracker = TaskTracker::new();
    let stop = shared.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = datagrams(&shared, role, Arc::new(udp), &tracker) => {}
        () = connections(&shared, role, tcp, &tracker) => {}
    }
    tracker.close();
    tracker.wait().await;
}

async fn datagrams(shared: &Arc<Shared>, role: Role, socket: Arc<UdpSocket>, tracker: &TaskTracker) {
    let permits = Arc::new(Semaphore::new(QUESTIONS));
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // Only what a client's closed port answered to us.
            continue;
        };
        // A server that is too busy drops what comes.
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            continue;
        };
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        let (shared, socket) = (Arc::clone(shared), Arc::clone(&socket));
        tracker.spawn(async move {
            let _permit = permit;
            if let Some(reply) = thought(&shared, role, (&bytes, By::Udp)).await
                && let Err(error) = socket.send_to(&reply, from).await
            {
                tracing::debug!(%error, "failed to answer {from}");
            }
        });
    }
}

async fn connections(shared: &Arc<Shared>, role: Role, listener: TcpListener, tracker: &TaskTracker) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed, so there is always a permit some time.
        let permit = Arc::clone(&permits).acquire_owned().await.ok();
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(shared);
                tracker.spawn(async move {
                    let _permit = permit;
                    let stop = shared.stop.clone();
                    tokio::select! {
                        () = stop.cancelled() => {}
                        ended = conversation(&shared, role, stream) => if let Err(error) = ended {
                            tracing::debug!(%error, "a connection ended early");
                        }
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn conversation(shared: &Arc<Shared>, role: Role, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let read = async {
            let length = stream.read_u16().await?;
            let mut bytes = vec![0; length.into()];
            stream.read_exact(&mut bytes).await?;
            io::Result::Ok(bytes)
        };
        let bytes = tokio::time::timeout(IDLE, read).await??;
        let Some(reply) = thought(shared, role, (&bytes, By::Tcp)).await else {
            return Ok(());
        };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        stream.write_u16(length).await?;
        stream.write_all(&reply).await?;
    }
}

/// The answer, after as long as this server thinks; none from a silent one.
async fn thought(shared: &Arc<Shared>, role: Role, question: (&[u8], By)) -> Option<Vec<u8>> {
    if let Role::Authority(server) = role {
        let (silent, slow) = {
            let mut world = shared.world();
            let server = world.servers.each.get_mut(server)?;
            server.asked += 1;
            (server.silent, server.slow)
        };
        if silent {
            return None;
        }
        if !slow.is_zero() {
            tokio::select! {
                () = shared.stop.cancelled() => return None,
                () = shared.clock.sleep(slow) => {}
            }
        }
    }
    answer(shared, role, question)
}
