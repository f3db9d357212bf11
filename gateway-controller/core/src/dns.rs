//! The records that a site needs: one wildcard address for each public address, and what the certificate's authority
//! has to find. Their number does not depend on machines.

use crds::Gateway;

/// Seconds that resolvers may keep an address.
const ADDRESS_TTL: u32 = 300;
/// Seconds that resolvers may keep a challenge: the least that Cloudflare takes.
const CHALLENGE_TTL: u32 = 60;

/// A type of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// A text.
    Txt,
}

/// A record that a site needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Its whole name, without a dot at the end.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Its content.
    pub content: String,
    /// Seconds that resolvers may keep it.
    pub ttl: u32,
}

/// The records of a Gateway; its agent's challenges only if `enrolled`.
#[must_use]
pub fn wanted(gateway: &Gateway, enrolled: bool) -> Vec<Wanted> {
    let fqdn = gateway.spec.fqdn();
    let addresses = gateway.spec.public_ips.iter().map(|address| Wanted {
        name: format!("*.{fqdn}"),
        kind: Kind::A,
        content: address.as_str().to_owned(),
        ttl: ADDRESS_TTL,
    });
    let agent = gateway.status.as_ref().and_then(|status| status.agent.as_ref());
    let challenges = agent
        .filter(|_| enrolled)
        .map_or(&[][..], |agent| &agent.challenges);
    let challenges = challenges
        .iter()
        .filter(|value| is_challenge(value))
        .map(|value| Wanted {
            name: format!("_acme-challenge.{fqdn}"),
            kind: Kind::Txt,
            content: value.clone(),
            ttl: CHALLENGE_TTL,
        });
    let mut all: Vec<Wanted> = addresses.chain(challenges).collect();
    all.sort();
    all.dedup();
    all
}

/// The values of the challenge among these records.
#[must_use]
pub fn challenges(records: &[Wanted]) -> Vec<String> {
    let texts = records.iter().filter(|record| record.kind == Kind::Txt);
    texts.map(|record| record.content.clone()).collect()
}

/// The digest of a key authorisation in base64url (RFC 8555, section 8.4): 43 characters. Nothing else is published.
fn is_challenge(value: &str) -> bool {
    value.len() == 43
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::gateway;
    use crds::gateway::{AgentStatus, GatewayStatus};

    #[test]
    fn a_site_has_one_wildcard_and_its_agents_challenges() {
        let mut gateway = gateway("ams1", 1, 10);
        let value = "a".repeat(43);
        let agent = AgentStatus {
            challenges: vec![value.clone(), "b\"; drop".into(), value.clone()],
            ..AgentStatus::default()
        };
        gateway.status = Some(GatewayStatus {
            agent: Some(agent),
            ..GatewayStatus::default()
        });
        let all = wanted(&gateway, true);
        let shown: Vec<_> = all
            .iter()
            .map(|record| (record.name.as_str(), record.content.as_str()))
            .collect();
        let address = ("*.ams1.gw.example.org", "192.0.2.10");
        assert_eq!(
            shown,
            [address, ("_acme-challenge.ams1.gw.example.org", value.as_str())]
        );
        assert_eq!(challenges(&all), [value]);
        assert_eq!(
            wanted(&gateway, false).len(),
            1,
            "whoever wrote that was not enrolled"
        );
    }
}
