//! The loopback DNS server that the web server asks where a name leads. Owns sockets and messages; the answers are the
//! core's. Must not answer anybody but this host: it is bound to a loopback address.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use agent_core::routes::{Changes, Routes};
use agent_core::zone::{Answer, TTL, ZONE, Zone};
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A question without extensions is not longer.
const MAX_QUESTION: usize = 4096;
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(5);

/// The server failed.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// The address is not on loopback.
    #[error("{0} is no loopback address: only this host may ask the zone")]
    Open(SocketAddr),
    /// The address cannot be listened on.
    #[error("failed to listen on {address} for DNS")]
    Listen {
        /// The address as asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Questions cannot be received.
    #[error("failed to receive questions")]
    Receive(#[source] io::Error),
}

/// The names, shared with whoever changes them.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<RwLock<Zone>>);

impl Names {
    /// Puts all names anew.
    pub fn put(&self, routes: &Routes) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Zone::of(routes.iter());
    }

    /// Follows changes of the routes.
    pub fn apply(&self, changes: &Changes) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(changes);
    }

    fn answer(&self, name: &Name) -> Answer {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .answer(name.iter())
    }
}

/// A bound server.
#[derive(Debug)]
pub struct Server {
    udp: UdpSocket,
    tcp: TcpListener,
    names: Names,
}

impl Server {
    /// Listens on a loopback address.
    ///
    /// # Errors
    /// When the address is no loopback address, or cannot be listened on.
    pub async fn bind(address: SocketAddr, names: Names) -> Result<Self, ZoneError> {
        if !address.ip().is_loopback() {
            return Err(ZoneError::Open(address));
        }
        let refused = |source| ZoneError::Listen { address, source };
        Ok(Self {
            udp: UdpSocket::bind(address).await.map_err(refused)?,
            tcp: TcpListener::bind(address).await.map_err(refused)?,
            names,
        })
    }

    /// Serves until the shutdown.
    ///
    /// # Errors
    /// When questions cannot be received any more.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), ZoneError> {
        let Self { udp, tcp, names } = self;
        let mut connections = JoinSet::new();
        let mut buffer = vec![0; MAX_QUESTION];
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                received = udp.recv_from(&mut buffer) => {
                    let (length, from) = received.map_err(ZoneError::Receive)?;
                    if let Some(reply) = reply(&names, buffer.get(..length).unwrap_or_default()) {
                        // Who asked asks again if this is lost.
                        let _lost = udp.send_to(&reply, from).await;
                    }
                }
                accepted = tcp.accept(), if connections.len() < MAX_CONNECTIONS => {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(connection(stream, names.clone()));
                    }
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
    }
}

/// Answers on a connection until the other side is done, silent or unclear.
async fn connection(mut stream: TcpStream, names: Names) {
    let exchange = async |stream: &mut TcpStream| -> io::Result<bool> {
        let length = usize::from(stream.read_u16().await?);
        let mut question = vec![0; length.min(MAX_QUESTION)];
        stream.read_exact(&mut question).await?;
        let Some(reply) = reply(&names, &question) else {
            return Ok(false);
        };
        stream.write_u16(u16::try_from(reply.len()).unwrap_or(0)).await?;
        stream.write_all(&reply).await?;
        Ok(true)
    };
    while let Ok(Ok(true)) = tokio::time::timeout(SILENCE, exchange(&mut stream)).await {}
}

/// The reply to a question; none to what is no question at all.
fn reply(names: &Names, question: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::from_vec(question).ok()?;
    if asked.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
    reply.metadata.recursion_desired = asked.metadata.recursion_desired;
    reply.metadata.response_code = match asked.queries.as_slice() {
        [query] if asked.metadata.op_code == OpCode::Query && query.query_class() == DNSClass::IN => {
            reply.add_query(query.clone());
            fill(
                &mut reply,
                names.answer(query.name()),
                query.name(),
                query.query_type(),
            )
        }
        _ => ResponseCode::NotImp,
    };
    reply.to_vec().ok()
}

fn fill(reply: &mut Message, answer: Answer, name: &Name, kind: RecordType) -> ResponseCode {
    if answer == Answer::Foreign {
        return ResponseCode::Refused;
    }
    reply.metadata.authoritative = true;
    if let (Answer::Address(address), RecordType::A | RecordType::ANY) = (answer, kind) {
        reply.add_answer(Record::from_rdata(name.clone(), TTL, RData::A(A(address))));
        return ResponseCode::NoError;
    }
    // Says for how long nothing may be remembered as nothing.
    reply.add_authority(soa());
    match answer {
        Answer::NoName => ResponseCode::NXDomain,
        Answer::Address(_) | Answer::Apex | Answer::Foreign => ResponseCode::NoError,
    }
}

fn soa() -> Record {
    let apex = Name::from_labels(ZONE).unwrap_or_else(|_| Name::root());
    let seconds = i32::try_from(TTL).unwrap_or(1);
    let data = SOA::new(apex.clone(), apex.clone(), 1, seconds, seconds, seconds, TTL);
    Record::from_rdata(apex, TTL, RData::SOA(data))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use agent_core::routes::Route;
    use agent_core::site::{Site, SiteFacts};
    use domain::ids::Uid;
    use domain::slot::SlotIndex;
    use hickory_proto::op::Query;

    use super::*;

    fn route() -> Route {
        let uid = |n: u128| Uid::from_bytes(n.to_be_bytes());
        let facts = SiteFacts {
            name: "a".into(),
            uid: uid(1),
            generation: 1,
            fqdn: "a.example.org".into(),
            public: vec![Ipv4Addr::new(203, 0, 113, 7)],
            network: "10.64.0.0/16".into(),
            gateway: Ipv4Addr::new(10, 64, 0, 1),
            resolvers: vec![],
            first_port: 20_000,
            last_port: 59_999,
            acme: None,
        };
        Route::new(&Site::new(facts).unwrap(), SlotIndex(5), uid(2), uid(3)).unwrap()
    }

    fn question(name: &str, kind: RecordType) -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.id = 7;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message.to_vec().unwrap()
    }

    /// A served zone of one route, with the addresses of both its sockets.
    async fn served() -> (
        SocketAddr,
        SocketAddr,
        CancellationToken,
        tokio::task::JoinSet<()>,
    ) {
        let names = Names::default();
        names.put(&std::iter::once(route()).collect());
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), names).await.unwrap();
        let addresses = (server.udp.local_addr().unwrap(), server.tcp.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let mut running = tokio::task::JoinSet::new();
        let token = shutdown.clone();
        running.spawn(async move { server.serve(token).await.unwrap() });
        (addresses.0, addresses.1, shutdown, running)
    }

    async fn ask_udp(server: SocketAddr, question: &[u8]) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(question, server).await.unwrap();
        let mut buffer = [0; 512];
        let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
        Message::from_vec(&buffer[..length]).unwrap()
    }

    #[tokio::test]
    async fn a_machines_name_has_its_address_and_others_are_denied_briefly() {
        let (udp, _tcp, _shutdown, _running) = served().await;
        let name = format!("{}.slots.internal.", route().slug);
        let found = ask_udp(udp, &question(&name, RecordType::A)).await;
        assert_eq!(found.metadata.id, 7);
        assert_eq!(found.answers[0].data, RData::A(A(route().address)));
        assert_eq!(found.answers[0].ttl, TTL);
        let empty = ask_udp(udp, &question(&name, RecordType::AAAA)).await;
        assert_eq!(
            (empty.metadata.response_code, empty.answers.len()),
            (ResponseCode::NoError, 0)
        );
        let none = ask_udp(udp, &question("zzzzzz.slots.internal.", RecordType::A)).await;
        assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(none.authorities[0].ttl, TTL);
        let foreign = ask_udp(udp, &question("example.org.", RecordType::A)).await;
        assert_eq!(foreign.metadata.response_code, ResponseCode::Refused);
    }

    #[tokio::test]
    async fn tcp_answers_several_questions_and_noise_ends_it() {
        let (_, tcp, _shutdown, _running) = served().await;
        let mut stream = TcpStream::connect(tcp).await.unwrap();
        let asked = question(&format!("{}.slots.internal.", route().slug), RecordType::A);
        for _ in 0..2 {
            stream
                .write_u16(u16::try_from(asked.len()).unwrap())
                .await
                .unwrap();
            stream.write_all(&asked).await.unwrap();
            let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut reply).await.unwrap();
            assert_eq!(Message::from_vec(&reply).unwrap().answers.len(), 1);
        }
        stream.write_all(b"\x00\x03abc").await.unwrap();
        assert!(stream.read_u16().await.is_err());
    }

    #[tokio::test]
    async fn only_this_host_may_ask() {
        let open = Server::bind("0.0.0.0:0".parse().unwrap(), Names::default()).await;
        assert!(matches!(open, Err(ZoneError::Open(_))));
    }
}
