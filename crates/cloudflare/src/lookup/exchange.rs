//! One question to one server: datagrams first, sent again while there is time; a connection where the answer does not
//! fit. An answer counts only if it has the question's number and repeats the question.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query};
use hickory_proto::rr::{Name as DnsName, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::LookupError;
use crate::name::Name;

/// How long a datagram is waited for before it is sent again.
const AGAIN: Duration = Duration::from_millis(700);
/// The largest datagram that we take.
const DATAGRAM: u16 = 1_232;

/// Asks; ends within `patience`.
pub(super) async fn ask(
    (name, kind): (&Name, RecordType),
    (server, patience): (SocketAddr, Duration),
    recursion: bool,
) -> Result<Message, LookupError> {
    let unwritable = || LookupError::Question {
        name: name.clone(),
        kind: kind.to_string(),
    };
    let mut asked = DnsName::from_ascii(name.as_str()).map_err(|_| unwritable())?;
    asked.set_fqdn(true);
    let mut question = Message::query();
    question.metadata.recursion_desired = recursion;
    question.add_query(Query::query(asked, kind));
    let mut edns = Edns::new();
    edns.set_max_payload(DATAGRAM).set_version(0);
    question.set_edns(edns);
    let bytes = question.to_vec().map_err(|_| unwritable())?;
    let exchange = async {
        let answer = datagrams(server, (&question, &bytes)).await?;
        if answer.metadata.truncation {
            return connection(server, (&question, &bytes)).await;
        }
        Ok(answer)
    };
    let ended = tokio::time::timeout(patience, exchange).await;
    ended.unwrap_or(Err(LookupError::Timeout { server }))
}

async fn datagrams(server: SocketAddr, (question, bytes): (&Message, &[u8])) -> Result<Message, LookupError> {
    let io = |source| LookupError::Io { server, source };
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    // A socket and a port of its own for each question, connected: only this server can answer it.
    let socket = UdpSocket::bind(any).await.map_err(io)?;
    socket.connect(server).await.map_err(io)?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        socket.send(bytes).await.map_err(io)?;
        let answered = async {
            loop {
                let length = socket.recv(&mut buffer).await.map_err(io)?;
                let answer = Message::from_vec(buffer.get(..length).unwrap_or_default());
                if let Some(answer) = answer.ok().filter(|answer| answers(answer, question)) {
                    return Ok(answer);
                }
            }
        };
        if let Ok(ended) = tokio::time::timeout(AGAIN, answered).await {
            return ended;
        }
    }
}

async fn connection(
    server: SocketAddr,
    (question, bytes): (&Message, &[u8]),
) -> Result<Message, LookupError> {
    let io = |source| LookupError::Io { server, source };
    let garbled = || LookupError::Garbled { server };
    let mut stream = TcpStream::connect(server).await.map_err(io)?;
    let length = u16::try_from(bytes.len()).map_err(|_| garbled())?;
    stream.write_u16(length).await.map_err(io)?;
    stream.write_all(bytes).await.map_err(io)?;
    let length = stream.read_u16().await.map_err(io)?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.map_err(io)?;
    let answer = Message::from_vec(&answer).map_err(|_| garbled())?;
    if answers(&answer, question) {
        Ok(answer)
    } else {
        Err(garbled())
    }
}

/// Whether a message is the answer to a question.
fn answers(answer: &Message, question: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        && answer.queries == question.queries
}
