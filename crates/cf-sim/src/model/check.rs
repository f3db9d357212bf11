//! Whether the fields of a record are good by themselves: TTL, name, content by type, comment, tags. Gives them as they
//! are kept.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::names;
use super::record::{Fields, proxiable};
use super::refusal::Refusal;
use super::wish::bad_ttl;
use super::zone::Plan;

/// Seconds that a record may live in caches.
const TTL: std::ops::RangeInclusive<u32> = 60..=86_400;
/// The longest content of a TXT record.
const TXT: usize = 2_048;
/// The types that the API takes.
const TYPES: [&str; 21] = [
    "A",
    "AAAA",
    "CAA",
    "CERT",
    "CNAME",
    "DNSKEY",
    "DS",
    "HTTPS",
    "LOC",
    "MX",
    "NAPTR",
    "NS",
    "OPENPGPKEY",
    "PTR",
    "SMIMEA",
    "SRV",
    "SSHFP",
    "SVCB",
    "TLSA",
    "TXT",
    "URI",
];

/// The fields as a zone keeps them.
pub fn checked(fields: Fields, (zone, plan): (&str, &Plan)) -> Result<Fields, Refusal> {
    let mut fields = fields;
    if !TYPES.contains(&fields.kind.as_str()) {
        return Err(Refusal::invalid(
            9004,
            format!("DNS record type {:?} is invalid.", fields.kind),
        ));
    }
    fields.name = names::normal(&fields.name, zone)?;
    fields.content = content(&fields, plan)?;
    if fields.ttl != 1 && !TTL.contains(&fields.ttl) {
        return Err(bad_ttl());
    }
    if fields.proxied && !proxiable(&fields.kind) {
        return Err(Refusal::invalid(9041, "This DNS record cannot be proxied."));
    }
    if fields.proxied {
        fields.ttl = 1;
    }
    notes(&fields, plan)?;
    Ok(fields)
}

fn content(fields: &Fields, plan: &Plan) -> Result<String, Refusal> {
    let given = fields.content.trim();
    let bad = |code, text: &str| Refusal::invalid(code, text);
    match fields.kind.as_str() {
        "A" => match given.parse::<Ipv4Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Err(bad(9005, "Content for A record must be a valid IPv4 address.")),
        },
        "AAAA" => match given.parse::<Ipv6Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Err(bad(9006, "Content for AAAA record must be a valid IPv6 address.")),
        },
        "CNAME" => names::host(given).ok_or_else(|| bad(9007, "Content for CNAME record is invalid.")),
        "NS" => names::host(given).ok_or_else(|| bad(9008, "Content for NS record is invalid.")),
        "MX" if fields.priority.is_none() => Err(Refusal::required("priority")),
        "MX" => names::host(given).ok_or_else(|| bad(9009, "Content for MX record is invalid.")),
        "TXT" => txt(&fields.content, plan),
        "CAA" => caa(given, fields.data.as_ref()),
        _ => structured(given, fields.data.as_ref()),
    }
}

fn txt(given: &str, plan: &Plan) -> Result<String, Refusal> {
    if given.trim().is_empty() {
        return Err(Refusal::required("content"));
    }
    if given.len() > TXT || given.chars().any(char::is_control) {
        return Err(Refusal::invalid(9010, "Content for TXT record is invalid."));
    }
    let quoted = given.len() > 1 && given.starts_with('"') && given.ends_with('"');
    if plan.quotes_txt && !quoted {
        return Ok(format!("\"{given}\""));
    }
    Ok(given.to_owned())
}

/// The content of a CAA record, given whole or in parts.
fn caa(given: &str, data: Option<&Value>) -> Result<String, Refusal> {
    let bad = || Refusal::invalid(9011, "Data for CAA record is invalid.");
    let Some(data) = data else {
        let mut parts = given.splitn(3, ' ');
        let flags = parts.next().and_then(|flags| flags.parse::<u8>().ok());
        let value = parts.nth(1).is_some_and(|value| !value.is_empty());
        return if flags.is_some() && value {
            Ok(given.to_owned())
        } else {
            Err(bad())
        };
    };
    let flags = data
        .get("flags")
        .and_then(Value::as_u64)
        .filter(|flags| *flags < 256);
    let text = |key: &str| data.get(key).and_then(Value::as_str).ok_or_else(bad);
    let (tag, value) = (text("tag")?, text("value")?);
    let word = !tag.is_empty() && tag.chars().all(|c| c.is_ascii_alphanumeric());
    match flags {
        Some(flags) if word && !value.contains('"') => Ok(format!("{flags} {tag} \"{value}\"")),
        _ => Err(bad()),
    }
}

/// The content of any other record: as it is given, or the values of its parts.
fn structured(given: &str, data: Option<&Value>) -> Result<String, Refusal> {
    if !given.is_empty() {
        return Ok(given.to_owned());
    }
    let parts = data
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|map| map.values());
    let texts = parts.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned));
    let content = texts.collect::<Vec<_>>().join(" ");
    if content.is_empty() {
        return Err(Refusal::required("content"));
    }
    Ok(content)
}

fn notes(fields: &Fields, plan: &Plan) -> Result<(), Refusal> {
    if let Some(comment) = &fields.comment {
        let most = plan.comment;
        if comment.chars().count() > most {
            let text = format!("DNS record comment exceeds the maximum length of {most} characters.");
            return Err(Refusal::invalid(9313, text));
        }
        if comment.chars().any(char::is_control) {
            return Err(Refusal::invalid(
                9314,
                "DNS record comment has invalid characters.",
            ));
        }
    }
    if fields.tags.len() > plan.tags {
        let (have, most) = (fields.tags.len(), plan.tags);
        let text = format!("DNS record has {have} tags, exceeding the quota of {most}.");
        return Err(Refusal::invalid(9300, text));
    }
    let named = |tag: &String| {
        let name = tag.split(':').next().unwrap_or_default();
        !name.is_empty()
            && name.len() <= 32
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    if !fields.tags.iter().all(named) {
        return Err(Refusal::invalid(9301, "DNS record has an invalid tag."));
    }
    Ok(())
}
