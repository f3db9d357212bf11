//! Gateway: the host through which a site's machines are reached, and the network behind it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::AGENT_ACCOUNT;
use crate::{
    common::{LocalRef, conditions},
    text::{DomainName, Ipv4, Ipv4Cidr, Label, Line, Pem, UidText},
};

/// The host through which a site's machines are reached, and the network behind it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "decent-cloud.org",
    version = "v1alpha1",
    kind = "Gateway",
    namespaced,
    status = "GatewayStatus",
    derive = "PartialEq",
    category = "decent",
    shortname = "dgw",
    printcolumn(name = "FQDN", type_ = "string", json_path = ".status.fqdn"),
    printcolumn(name = "Used", type_ = "integer", json_path = ".status.used"),
    printcolumn(name = "Capacity", type_ = "integer", json_path = ".status.capacity"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!(has(oldSelf.status) && has(oldSelf.status.slotsInUse) && oldSelf.status.slotsInUse) || self.spec.dcId == oldSelf.spec.dcId").message("spec.dcId is immutable while a Slot exists").field_path(".spec.dcId"),
    validation = Rule::new("!(has(oldSelf.status) && has(oldSelf.status.slotsInUse) && oldSelf.status.slotsInUse) || self.spec.prefix == oldSelf.spec.prefix").message("spec.prefix is immutable while a Slot exists").field_path(".spec.prefix"),
    validation = Rule::new("!(has(oldSelf.status) && has(oldSelf.status.slotsInUse) && oldSelf.status.slotsInUse) || self.spec.domain == oldSelf.spec.domain").message("spec.domain is immutable while a Slot exists").field_path(".spec.domain"),
    validation = Rule::new("!(has(oldSelf.status) && has(oldSelf.status.slotsInUse) && oldSelf.status.slotsInUse) || self.spec.network.cidr == oldSelf.spec.network.cidr").message("spec.network.cidr is immutable while a Slot exists").field_path(".spec.network.cidr"),
    validation = Rule::new("!(has(oldSelf.status) && has(oldSelf.status.slotsInUse) && oldSelf.status.slotsInUse) || self.spec.ports == oldSelf.spec.ports").message("spec.ports is immutable while a Slot exists").field_path(".spec.ports"),
    validation = Rule::new("self.metadata.name.size() <= 40 && !self.metadata.name.contains('.')").message("metadata.name must be at most 40 characters without '.': Slots are named after it").field_path(".metadata.name"),
    validation = Rule::new("!has(oldSelf.status) || has(self.status)").message("a status is never taken away").field_path(".status"),
    doc = "Gateway is the host through which a site's machines are reached, and the network behind it. Written by the provider."
)]
#[x_kube(validation = Rule::new("self.dcId.size() + self.prefix.size() + self.domain.size() <= 244").message("dcId, prefix and domain together must be at most 244 characters: a machine's name is made of them and has at most 253"))]
pub struct GatewaySpec {
    /// Short name of the site, part of each machine's name: `{slug}.{dcId}.{prefix}.{domain}`.
    pub dc_id: Label,
    /// Label between site and domain.
    #[serde(default = "gw")]
    pub prefix: Label,
    /// Domain of the machines' names.
    pub domain: DomainName,
    /// Public addresses of the host.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(rename = "publicIPs")]
    pub public_ips: Vec<Ipv4>,
    /// Public ports, ten for each machine.
    #[serde(default)]
    pub ports: PortRange,
    /// The machines' private network.
    pub network: Network,
    /// A zone of the provider's own; the market's zones need nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// How the site's certificate is obtained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Label of a Secret whose tokens may enrol a host; the value is the Gateway's name.
pub const ENROLS: &str = "decent-cloud.org/enrols";

/// The ServiceAccount of a Gateway's agent, and the Secret that its credentials are bound to.
#[must_use]
pub fn agent_account(gateway: &str) -> String {
    format!("{AGENT_ACCOUNT}{gateway}")
}

/// The Lease that a Gateway's agent renews.
#[must_use]
pub fn agent_lease(gateway: &str) -> String {
    format!("decent-agent-{gateway}")
}

impl GatewaySpec {
    /// Common ending of the machines' names, in lower case.
    #[must_use]
    pub fn fqdn(&self) -> String {
        let labels = [self.dc_id.as_str(), self.prefix.as_str(), self.domain.as_str()];
        labels.join(".").to_ascii_lowercase()
    }
}

fn gw() -> Label {
    Label::from("gw")
}

/// A range of public ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.last - self.first >= 9").message("must hold at least ten ports: a machine takes ten"))]
pub struct PortRange {
    /// First port.
    #[serde(default = "first_port")]
    #[x_kube(validation = Rule::new("self >= 1024 && self <= 65535").message("must be 1024 to 65535"))]
    pub first: i32,
    /// Last port.
    #[serde(default = "last_port")]
    #[x_kube(validation = Rule::new("self >= 1024 && self <= 65535").message("must be 1024 to 65535"))]
    pub last: i32,
}

impl Default for PortRange {
    fn default() -> Self {
        Self {
            first: first_port(),
            last: last_port(),
        }
    }
}

const fn first_port() -> i32 {
    20000
}

const fn last_port() -> i32 {
    59999
}

/// The machines' private network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!isCIDR(self.cidr) || !isIP(self.gateway) || cidr(self.cidr).containsIP(ip(self.gateway))").message("gateway must be an address of cidr").field_path(".gateway"),
    validation = Rule::new(gateway_host_rule()).message("gateway must leave room for machines: not the first, the last or the eleventh address of cidr").field_path(".gateway")
)]
pub struct Network {
    /// Network of the machines; machine `index` has host number `index + 10`.
    pub cidr: Ipv4Cidr,
    /// The gateway host's address in it: the machines' router.
    pub gateway: Ipv4,
    /// Resolvers given to the machines.
    #[schemars(length(min = 1, max = 3))]
    pub nameservers: Vec<Ipv4>,
}

/// Machines have the addresses from the eleventh on, up to the gateway's own if that comes later.
fn gateway_host_rule() -> String {
    let octet = |address: &str, n: usize| format!("int({address}.split('.')[{n}])");
    let number = |a: &str| {
        format!(
            "((({} * 256 + {}) * 256 + {}) * 256 + {})",
            octet(a, 0),
            octet(a, 1),
            octet(a, 2),
            octet(a, 3)
        )
    };
    let (gateway, network) = (number("self.gateway"), number("self.cidr.split('/')[0]"));
    let sizes: Vec<String> = (0..=32).map(|bits| (1_u64 << bits).to_string()).collect();
    let size = format!("[{}][32 - cidr(self.cidr).prefixLength()]", sizes.join(", "));
    format!(
        "!isCIDR(self.cidr) || !isIP(self.gateway) || !cidr(self.cidr).containsIP(ip(self.gateway)) \
         || !({gateway} - {network} in [0, 10, {size} - 1])"
    )
}

/// A zone of the provider's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dns {
    /// Cloudflare as the zone's host.
    pub cloudflare: Cloudflare,
}

/// A zone at Cloudflare.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cloudflare {
    /// Identifier of the zone.
    pub zone_id: Line,
    /// Secret of this namespace with key `token`.
    pub token_secret_ref: LocalRef,
}

/// How the site's certificate is obtained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// An ACME authority.
    pub acme: Acme,
}

/// An ACME authority.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Acme {
    /// Address of the directory.
    #[x_kube(validation = Rule::new("isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''").message("must be an https address"))]
    pub directory: Line,
    /// Where the authority writes to.
    #[x_kube(validation = Rule::new("self.matches(r'^[^@ ]+@[^@ ]+$')").message("must be an e-mail address"))]
    pub email: Line,
    /// Certificates that sign the authority's own API, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<Pem>,
}

/// What was found and set up. `slotsInUse` is written by the operator, `agent` by the agent, the rest by the gateway controller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(oldSelf.slotsInUse) && oldSelf.slotsInUse) || has(self.slotsInUse)").message("slotsInUse is changed on purpose only"),
    validation = Rule::new("!has(oldSelf.agent) || has(self.agent)").message("what the agent says is never taken away: its enrolment would go with it"),
    validation = Rule::new("!has(self.agent) || !has(self.agent.enrolment) || !has(self.identity) || self.agent.enrolment.identity == self.identity || (has(oldSelf.agent) && has(oldSelf.agent.enrolment) && oldSelf.agent.enrolment == self.agent.enrolment)").message("a host enrols with the present identity: the one that status.identity names").field_path(".agent.enrolment.identity")
)]
pub struct GatewayStatus {
    /// Generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Common ending of the machines' names, once the Gateway has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub fqdn: Option<String>,
    /// Names under which records of its may stand: written before the first of them is, taken away after the last is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub records_under: Vec<String>,
    /// UID of the Secret that its agent's credentials are bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<UidText>,
    /// Machines that fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i32>,
    /// Slots claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<i32>,
    /// Slots name this Gateway: some of its fields are immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots_in_use: Option<bool>,
    /// Values of the challenge that all servers of the zone answer with; the agent waits for its own among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(max = 128)))]
    pub challenges_published: Vec<String>,
    /// Written by the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentStatus>,
    /// Conditions by type: `Ready`, `DNSReady`, `CertificateReady`, `AgentConnected`.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// What the agent says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.enrolment) || (has(self.enrolment) && (self.enrolment == oldSelf.enrolment || self.enrolment.identity != oldSelf.enrolment.identity))").message("another host has enrolled for this Gateway: revoke it first (dcctl gateway revoke)").field_path(".enrolment"))]
pub struct AgentStatus {
    /// Version of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// Generation of the Gateway that it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<i64>,
    /// The host that serves this Gateway. Written once for each identity: it decides a race between two hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<Enrolment>,
    /// Values that the certificate's authority has to find under `_acme-challenge` of the site's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(max = 128)))]
    pub challenges: Vec<String>,
    /// The site's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// Routes in force; written with other changes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<i32>,
    /// What its doctor found amiss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub findings: Vec<Finding>,
}

/// Which host serves a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// Chosen by the host when it enrolled.
    pub host: UidText,
    /// UID of the Secret that its credentials are bound to; another one is another identity.
    pub identity: UidText,
}

/// The site's certificate as the agent has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// End of the certificate at hand, RFC 3339; nothing while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
    /// Why there is no newer one, though it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub problem: Option<String>,
}

/// Something that keeps the host from serving, or soon will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at, such as `forwarding`.
    #[schemars(length(max = 64))]
    pub check: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is so, and the line that mends it.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    /// It serves, but should be looked at.
    Warning,
    /// It does not serve as it should.
    Failed,
}
