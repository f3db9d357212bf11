//! What the zone's own servers say: each is asked directly, by UDP and where that does not suffice by TCP, within a time.
//! Resolvers are asked only for the servers' addresses, never for what was published.

mod exchange;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use crate::name::Name;
use crate::record::Kind;

/// The most servers that are asked.
const SERVERS: usize = 16;
/// The most values of an answer that are kept.
const VALUES: usize = 1_000;
/// The port of DNS.
const PORT: u16 = 53;

/// What a server shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// These values: addresses, texts in one piece, hosts without the last dot.
    Values(BTreeSet<String>),
    /// The name is there, but has no record of this type.
    NoRecord,
    /// There is no such name.
    NoName,
}

/// Why a server shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// It did not answer.
    #[error("no answer from {server} in time")]
    Timeout {
        /// The server.
        server: SocketAddr,
    },
    /// It cannot be reached.
    #[error("failed to ask {server}")]
    Io {
        /// The server.
        server: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It answers with a failure.
    #[error("{server} answers {code}")]
    Failed {
        /// The server.
        server: SocketAddr,
        /// The failure, such as `Server Failure`.
        code: String,
    },
    /// It does not have the zone.
    #[error("{server} does not have the zone")]
    NotAuthoritative {
        /// The server.
        server: SocketAddr,
    },
    /// Its answer is no DNS message, or none to our question.
    #[error("{server} gives an answer that is not understood")]
    Garbled {
        /// The server.
        server: SocketAddr,
    },
    /// The question cannot be written.
    #[error("{name} {kind} cannot be asked for")]
    Question {
        /// The name.
        name: Name,
        /// The type.
        kind: String,
    },
}

/// One server and what it shows.
#[derive(Debug)]
pub struct View {
    /// The server.
    pub server: SocketAddr,
    /// What it shows, or why nothing.
    pub seen: Result<Seen, LookupError>,
}

impl View {
    /// Whether it shows a value, for certain.
    #[must_use]
    pub fn shows(&self, value: &str) -> bool {
        matches!(&self.seen, Ok(Seen::Values(values)) if values.contains(value))
    }

    /// Whether it does not show a value, for certain: a server that does not answer proves nothing.
    #[must_use]
    pub fn lacks(&self, value: &str) -> bool {
        self.seen.is_ok() && !self.shows(value)
    }
}

/// Asks each server for a name and type, all at once; none is waited for longer than `patience`. At most 16 servers are
/// asked.
pub async fn published(name: &Name, kind: &Kind, servers: &[SocketAddr], patience: Duration) -> Vec<View> {
    let asked = servers.iter().take(SERVERS).map(|server| async move {
        let seen = authoritative(name, kind, (*server, patience)).await;
        View {
            server: *server,
            seen,
        }
    });
    join_all(asked).await
}

/// The addresses (IPv4) of a zone's servers, as a resolver knows them; asked at `port`, 53 if it is none.
///
/// # Errors
/// If the resolver does not tell the servers' names. A server whose address it does not tell is left out.
pub async fn servers_of(
    zone: &Name,
    (resolver, port): (SocketAddr, Option<u16>),
    patience: Duration,
) -> Result<Vec<SocketAddr>, LookupError> {
    let names = resolved(zone, RecordType::NS, (resolver, patience)).await?;
    let hosts = names.iter().filter_map(|host| host.parse().ok()).take(SERVERS);
    let hosts: Vec<Name> = hosts.collect();
    let asked = hosts
        .iter()
        .map(|host| resolved(host, RecordType::A, (resolver, patience)));
    let mut servers = BTreeSet::new();
    for addresses in join_all(asked).await.into_iter().flatten() {
        let parsed = addresses.iter().filter_map(|text| text.parse().ok());
        servers.extend(parsed.map(|address| SocketAddr::new(address, port.unwrap_or(PORT))));
    }
    if servers.is_empty() {
        return Err(LookupError::Failed {
            server: resolver,
            code: format!("no address of a server of {zone}"),
        });
    }
    Ok(servers.into_iter().take(SERVERS).collect())
}

/// What a server says that has the zone.
async fn authoritative(
    name: &Name,
    kind: &Kind,
    (server, patience): (SocketAddr, Duration),
) -> Result<Seen, LookupError> {
    let question = || LookupError::Question {
        name: name.clone(),
        kind: kind.to_string(),
    };
    let kind = kind.to_string().parse().map_err(|_| question())?;
    let answer = exchange::ask((name, kind), (server, patience), false).await?;
    let code = answer.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Err(failed(server, code));
    }
    if !answer.metadata.authoritative {
        return Err(LookupError::NotAuthoritative { server });
    }
    let values = values(&answer, kind);
    Ok(match (values.is_empty(), code) {
        (false, _) => Seen::Values(values),
        (true, ResponseCode::NXDomain) => Seen::NoName,
        (true, _) => Seen::NoRecord,
    })
}

/// What a resolver says.
async fn resolved(
    name: &Name,
    kind: RecordType,
    (resolver, patience): (SocketAddr, Duration),
) -> Result<BTreeSet<String>, LookupError> {
    let answer = exchange::ask((name, kind), (resolver, patience), true).await?;
    match answer.metadata.response_code {
        ResponseCode::NoError => Ok(values(&answer, kind)),
        code => Err(failed(resolver, code)),
    }
}

fn failed(server: SocketAddr, code: ResponseCode) -> LookupError {
    LookupError::Failed {
        server,
        code: code.to_string(),
    }
}

/// The values of one type in an answer.
fn values(answer: &Message, kind: RecordType) -> BTreeSet<String> {
    let records = answer
        .answers
        .iter()
        .filter(|record| record.record_type() == kind);
    records.take(VALUES).map(|record| value(&record.data)).collect()
}

fn value(data: &RData) -> String {
    match data {
        RData::TXT(txt) => {
            let bytes: Vec<u8> = txt
                .txt_data
                .iter()
                .flat_map(|piece| piece.iter().copied())
                .collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        RData::CNAME(host) => host.0.to_lowercase().to_ascii().trim_end_matches('.').to_owned(),
        RData::NS(host) => host.0.to_lowercase().to_ascii().trim_end_matches('.').to_owned(),
        other => other.to_string(),
    }
}
