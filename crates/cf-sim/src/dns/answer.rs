//! From the bytes of a question to the bytes of its answer. Garbage gets FORMERR where it has a number to answer to, and
//! nothing otherwise.

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use super::Role;
use super::lookup::{self, Found};
use crate::model::server::Asked;
use crate::model::world::NAME_SERVERS;
use crate::sim::Shared;

/// The largest answer by UDP for who does not say what it takes.
const PLAIN: usize = 512;
/// The largest answer by UDP.
const LARGEST: u16 = 1_232;
/// The length of a header.
const HEADER: usize = 12;

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// In a datagram.
    Udp,
    /// By a connection.
    Tcp,
}

/// The answer to a question, if it gets one.
pub fn answer(shared: &Shared, role: Role, (bytes, by): (&[u8], By)) -> Option<Vec<u8>> {
    let Ok(question) = Message::from_vec(bytes) else {
        return malformed(bytes);
    };
    if question.metadata.message_type != MessageType::Query {
        return None;
    }
    let found = found(shared, role, &question);
    note(shared, role, (&question, by), &found);
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&question.metadata);
    reply.metadata.response_code = found.code;
    reply.metadata.authoritative = found.authoritative && role != Role::Resolver;
    reply.metadata.recursion_available = role == Role::Resolver;
    reply.queries.clone_from(&question.queries);
    reply.answers = found.answers;
    reply.authorities = found.authority;
    if question.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST).set_version(0);
        reply.set_edns(edns);
    }
    let bytes = reply.to_vec().ok()?;
    let takes = question
        .edns
        .as_ref()
        .map_or(PLAIN, |edns| usize::from(edns.max_payload().clamp(512, LARGEST)));
    if by == By::Udp && bytes.len() > takes {
        return reply.truncate().to_vec().ok();
    }
    Some(bytes)
}

/// FORMERR for what has at least a header of a question.
fn malformed(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = bytes.get(..HEADER)?;
    let (first, second, flags) = (*head.first()?, *head.get(1)?, *head.get(2)?);
    if flags & 0x80 != 0 {
        return None;
    }
    let id = u16::from_be_bytes([first, second]);
    Message::error_msg(id, OpCode::Query, ResponseCode::FormErr)
        .to_vec()
        .ok()
}

fn found(shared: &Shared, role: Role, question: &Message) -> Found {
    if question.metadata.op_code != OpCode::Query {
        return Found::code(ResponseCode::NotImp);
    }
    let [query] = question.queries.as_slice() else {
        return Found::code(ResponseCode::FormErr);
    };
    if query.query_class() != DNSClass::IN {
        return Found::code(ResponseCode::Refused);
    }
    match role {
        Role::Authority(server) => authority(shared, server, query),
        Role::Resolver => resolver(shared, query),
    }
}

fn authority(shared: &Shared, server: usize, query: &Query) -> Found {
    let world = shared.world();
    if world
        .servers
        .each
        .get(server)
        .is_some_and(|server| server.servfail)
    {
        return Found::code(ResponseCode::ServFail);
    }
    lookup::find(&world, server, (query.name(), query.query_type()))
}

/// What the resolver remembers, or else what the servers say: the first that does not fail.
fn resolver(shared: &Shared, query: &Query) -> Found {
    let (name, kind) = (lookup::text(query.name()), query.query_type());
    if let Some(host) = NAME_SERVERS.iter().position(|host| *host == name) {
        return name_server(shared, query, host);
    }
    let now = shared.clock.now();
    if let Some(known) = shared.cache().get(&name, kind, now) {
        return known;
    }
    let world = shared.world();
    let servers = world.servers.each.iter().enumerate();
    let able = servers.filter(|(_, server)| !server.servfail && !server.silent);
    let Some(server) = able.map(|(number, _)| number).next() else {
        return Found::code(ResponseCode::ServFail);
    };
    let found = lookup::find(&world, server, (query.name(), kind));
    drop(world);
    // What nobody serves, nobody can resolve.
    if found.code == ResponseCode::Refused {
        return Found::code(ResponseCode::ServFail);
    }
    shared.cache().put(&name, kind, &found, now);
    found
}

/// The addresses of the authoritative servers.
fn name_server(shared: &Shared, query: &Query, host: usize) -> Found {
    let mut found = Found::code(ResponseCode::NoError);
    let address = shared.name_servers().get(host).map(std::net::SocketAddr::ip);
    if let (Some(std::net::IpAddr::V4(address)), RecordType::A) = (address, query.query_type()) {
        let record = Record::from_rdata(query.name().clone(), 3_600, RData::A(A(address)));
        found.answers.push(record);
    }
    found
}

fn note(shared: &Shared, role: Role, (question, by): (&Message, By), found: &Found) {
    let query = question.queries.first();
    let asked = Asked {
        seq: 0,
        time_ms: 0,
        server: role.name(),
        name: query.map(|query| lookup::text(query.name())).unwrap_or_default(),
        kind: query
            .map(|query| query.query_type().to_string())
            .unwrap_or_default(),
        by: if by == By::Udp { "udp" } else { "tcp" },
        rcode: format!("{:?}", found.code),
        answers: found.answers.len(),
    };
    let now = shared.clock.now();
    shared.world().servers.note(now, asked);
}
