//! Records of a zone as DNS carries them.

use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::model::record::Fields;

/// Seconds that "automatic" means.
const AUTOMATIC: u32 = 300;
/// The longest string of a TXT record.
const STRING: usize = 255;
/// What stands in front of proxied records (an address for documentation).
const PROXY: [u8; 4] = [192, 0, 2, 1];

/// The type of a record; none if DNS has no such type.
pub fn kind(fields: &Fields) -> Option<RecordType> {
    if fields.proxied {
        return Some(RecordType::A);
    }
    fields.kind.parse().ok()
}

/// Seconds that a record may live in caches.
pub fn ttl(fields: &Fields) -> u32 {
    if fields.ttl == 1 { AUTOMATIC } else { fields.ttl }
}

/// What a record says; none if DNS cannot carry it.
pub fn rdata(fields: &Fields) -> Option<RData> {
    if fields.proxied {
        return Some(RData::A(A::from(std::net::Ipv4Addr::from(PROXY))));
    }
    let content = fields.content.as_str();
    match fields.kind.as_str() {
        "A" => content.parse().ok().map(|address| RData::A(A(address))),
        "AAAA" => content.parse().ok().map(|address| RData::AAAA(AAAA(address))),
        "CNAME" => name(content).map(|host| RData::CNAME(CNAME(host))),
        "NS" => name(content).map(|host| RData::NS(NS(host))),
        "MX" => name(content).map(|host| RData::MX(MX::new(fields.priority.unwrap_or_default(), host))),
        "TXT" => Some(RData::TXT(txt(content))),
        kind => RData::try_from_str(kind.parse().ok()?, content).ok(),
    }
}

/// A whole name.
pub fn name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// The strings of a text: quoted ones one by one, a bare one cut into pieces.
fn txt(content: &str) -> TXT {
    let quoted = content.len() > 1 && content.starts_with('"') && content.ends_with('"');
    let texts: Vec<String> = if quoted {
        let inner = content.get(1..content.len() - 1).unwrap_or_default();
        inner
            .split("\" \"")
            .map(|text| text.replace("\\\"", "\""))
            .collect()
    } else {
        vec![content.to_owned()]
    };
    let pieces: Vec<&[u8]> = texts
        .iter()
        .flat_map(|text| text.as_bytes().chunks(STRING))
        .collect();
    TXT::from_bytes(pieces)
}
