//! A Gateway, parsed once. Owns the bounds of what a site may say; must not know the host that serves it.

use std::net::Ipv4Addr;

use crds::Gateway;
use domain::ids::Uid;
use domain::slot::{GatewayFacts, GatewayPlan, SlotError, SlotIndex};
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

/// Longest ending of names: a slug of six characters and a dot come before it.
const MAX_FQDN: usize = 246;
const MAX_PUBLIC: usize = 8;
const MAX_RESOLVERS: usize = 3;
/// The arithmetic of VMIDs is the operator's; the lowest base serves all others.
const ANY_VMID_BASE: u32 = domain::ids::Vmid::MIN;

/// Why a Gateway cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// A field is not what it should be.
    #[error("{field} is not {want}")]
    Field {
        /// The field's path.
        field: &'static str,
        /// What it should be.
        want: &'static str,
    },
    /// Its network or ports hold no slots.
    #[error("the gateway cannot hold slots")]
    Plan(#[source] SlotError),
}

/// What is kept of a Gateway: plain values, as they are stored in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SiteFacts {
    /// Name of the Gateway.
    pub name: String,
    /// Its UID.
    pub uid: Uid,
    /// Its generation.
    pub generation: i64,
    /// Ending of the machines' names.
    pub fqdn: String,
    /// Public addresses of the host.
    pub public: Vec<Ipv4Addr>,
    /// The machines' network, `a.b.c.d/n`.
    pub network: String,
    /// The host's address in it.
    pub gateway: Ipv4Addr,
    /// The machines' resolvers.
    pub resolvers: Vec<Ipv4Addr>,
    /// First public port.
    pub first_port: u16,
    /// Last public port.
    pub last_port: u16,
    /// Where the certificate comes from.
    pub acme: Option<Acme>,
}

/// An ACME authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acme {
    /// Address of its directory, https.
    pub directory: String,
    /// Where it writes to.
    pub email: String,
    /// Roots of its own API, in PEM; without it the system's.
    pub ca_bundle: Option<String>,
}

/// A checked site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    facts: SiteFacts,
    plan: GatewayPlan,
}

impl SiteFacts {
    /// The facts of a Gateway.
    ///
    /// # Errors
    /// The first field that cannot be read.
    pub fn of(gateway: &Gateway) -> Result<Self, SiteError> {
        let spec = &gateway.spec;
        let address = |field, text: &str| text.parse().map_err(|_| not(field, "an IPv4 address"));
        let port = |field, port: i32| u16::try_from(port).map_err(|_| not(field, "a port"));
        let all = |field, texts: &[crds::text::Ipv4]| -> Result<Vec<Ipv4Addr>, SiteError> {
            texts.iter().map(|text| address(field, text.as_str())).collect()
        };
        let labels = [spec.dc_id.as_str(), spec.prefix.as_str(), spec.domain.as_str()];
        Ok(Self {
            name: gateway.name_any(),
            uid: gateway
                .uid()
                .and_then(|uid| uid.parse().ok())
                .ok_or(not("metadata.uid", "a UID"))?,
            generation: gateway.metadata.generation.unwrap_or_default(),
            fqdn: labels.join(".").to_ascii_lowercase(),
            public: all("spec.publicIPs", &spec.public_ips)?,
            network: spec.network.cidr.as_str().to_owned(),
            gateway: address("spec.network.gateway", spec.network.gateway.as_str())?,
            resolvers: all("spec.network.nameservers", &spec.network.nameservers)?,
            first_port: port("spec.ports.first", spec.ports.first)?,
            last_port: port("spec.ports.last", spec.ports.last)?,
            acme: spec.tls.as_ref().map(|tls| Acme {
                directory: tls.acme.directory.as_str().to_owned(),
                email: tls.acme.email.as_str().to_owned(),
                ca_bundle: tls.acme.ca_bundle.as_ref().map(|pem| pem.as_str().to_owned()),
            }),
        })
    }
}

impl Site {
    /// Checks the facts.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn new(facts: SiteFacts) -> Result<Self, SiteError> {
        if !is_name(&facts.fqdn) {
            return Err(not(
                "dcId, prefix and domain",
                "a host name of at most 246 characters",
            ));
        }
        if facts.public.is_empty() || facts.public.len() > MAX_PUBLIC {
            return Err(not("spec.publicIPs", "a list of one to eight addresses"));
        }
        if facts.resolvers.len() > MAX_RESOLVERS {
            return Err(not(
                "spec.network.nameservers",
                "a list of at most three addresses",
            ));
        }
        if let Some(acme) = &facts.acme {
            if !acme.directory.starts_with("https://") || acme.directory.contains(char::is_whitespace) {
                return Err(not("spec.tls.acme.directory", "an https address"));
            }
            if !acme.email.contains('@') || acme.email.contains(char::is_whitespace) {
                return Err(not("spec.tls.acme.email", "an e-mail address"));
            }
        }
        let plan = GatewayPlan::new(&GatewayFacts {
            network: &facts.network,
            gateway: facts.gateway,
            first_port: facts.first_port,
            last_port: facts.last_port,
            gateway_uid: facts.uid,
            vmid_base: ANY_VMID_BASE,
        })
        .map_err(SiteError::Plan)?;
        Ok(Self { facts, plan })
    }

    /// The site of a Gateway.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn of(gateway: &Gateway) -> Result<Self, SiteError> {
        SiteFacts::of(gateway).and_then(Self::new)
    }

    /// What it was made from.
    #[must_use]
    pub fn facts(&self) -> &SiteFacts {
        &self.facts
    }

    /// The arithmetic of its slots.
    #[must_use]
    pub fn plan(&self) -> &GatewayPlan {
        &self.plan
    }

    /// Ending of the machines' names: `{dcId}.{prefix}.{domain}`.
    #[must_use]
    pub fn fqdn(&self) -> &str {
        &self.facts.fqdn
    }

    /// The first and the last address that a slot can have.
    #[must_use]
    pub fn slot_addresses(&self) -> (Ipv4Addr, Ipv4Addr) {
        let address = |index| self.plan.ip(SlotIndex(index)).unwrap_or(self.facts.gateway);
        (address(0), address(self.plan.capacity().saturating_sub(1)))
    }

    /// Whether the machines' resolver is this host.
    #[must_use]
    pub fn offers_dns(&self) -> bool {
        self.facts.resolvers.contains(&self.facts.gateway)
    }
}

fn not(field: &'static str, want: &'static str) -> SiteError {
    SiteError::Field { field, want }
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_FQDN && text.split('.').count() >= 2 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::samples;

    #[test]
    fn a_gateway_is_read_whole() {
        let site = Site::of(&samples::gateway()).unwrap();
        assert_eq!(site.fqdn(), "ams1.gw.example.org");
        assert_eq!(site.plan().capacity(), 4000);
        let (first, last) = site.slot_addresses();
        assert_eq!(
            (first.to_string(), last.to_string()),
            ("10.64.0.10".into(), "10.64.15.169".into())
        );
        assert!(!site.offers_dns());
    }

    #[test]
    fn facts_survive_being_stored() {
        let site = samples::site();
        let text = serde_json::to_string(site.facts()).unwrap();
        assert_eq!(Site::new(serde_json::from_str(&text).unwrap()), Ok(site));
    }

    #[rstest]
    #[case(|f: &mut SiteFacts| f.fqdn = "a..b".into(), "dcId, prefix and domain")]
    #[case(|f: &mut SiteFacts| f.fqdn = format!("{}.org", "a".repeat(64)), "dcId, prefix and domain")]
    #[case(|f: &mut SiteFacts| f.fqdn = format!("{}.org", "a.".repeat(125)), "dcId, prefix and domain")]
    #[case(|f: &mut SiteFacts| f.public.clear(), "spec.publicIPs")]
    #[case(|f: &mut SiteFacts| f.resolvers = vec![Ipv4Addr::LOCALHOST; 4], "spec.network.nameservers")]
    #[case(|f: &mut SiteFacts| f.acme.as_mut().unwrap().directory = "http://ca".into(), "spec.tls.acme.directory")]
    #[case(|f: &mut SiteFacts| f.acme.as_mut().unwrap().email = "nobody".into(), "spec.tls.acme.email")]
    fn what_cannot_be_served_is_named(#[case] spoil: fn(&mut SiteFacts), #[case] at: &str) {
        let mut facts = samples::site().facts().clone();
        spoil(&mut facts);
        let Err(SiteError::Field { field, .. }) = Site::new(facts) else {
            unreachable!("it was taken");
        };
        assert_eq!(field, at);
    }

    #[test]
    fn a_network_without_room_is_refused() {
        let mut facts = samples::site().facts().clone();
        facts.network = "10.64.0.0/31".into();
        assert!(matches!(Site::new(facts), Err(SiteError::Plan(_))));
    }
}
