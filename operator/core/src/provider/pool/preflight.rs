//! The verdict on a Pool: all that should be mended, the gravest first, and whether it takes machines meanwhile.

use crds::pool::{NetworkIsolation, PoolSpec};
use jiff::Timestamp;

use super::{
    Answered, Bars, Contact, Facts, Finding, Readiness, StorageState,
    identity::SAME,
    lint::{TemplateSeen, lint},
    privileges,
};
use crate::reason::Reason;

/// All that should be mended, the gravest first.
#[must_use]
pub fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let mut all = match facts.contact {
        Contact::Answered(answered) => answer(facts.spec, answered),
        other => vec![no_answer(facts.spec, other)],
    };
    all.extend(facts.gateway.as_ref().map(|text| {
        let name = &facts.spec.gateway_ref.name;
        Finding::new(
            Reason::GatewayMissing,
            Bars::All,
            format!("Gateway {name} {text}"),
        )
    }));
    all.extend(facts.overlap.clone());
    all.extend(facts.held_by.as_ref().map(|slot| {
        Finding::new(
            Reason::InUse,
            Bars::All,
            format!("It is being deleted, but Slot {slot} still names it. It goes once no Slot does."),
        )
    }));
    all.sort_by_key(|finding| (finding.bars, rank(finding.reason)));
    all
}

/// What keeps us from seeing anything else comes first.
const fn rank(reason: Reason) -> u8 {
    match reason {
        Reason::MissingPrivilege => 1,
        Reason::NoQuorum => 2,
        Reason::GatewayMissing => 3,
        Reason::VmidOverlap => 4,
        Reason::StorageMissing => 5,
        Reason::TemplateMissing => 6,
        Reason::NodeOffline => 7,
        Reason::FirewallOff => 8,
        Reason::ExcessPrivilege => 9,
        _ => 0,
    }
}

/// Whether it takes machines: as the gravest finding says, with the others' sentences after its own.
#[must_use]
pub fn readiness(findings: &[Finding]) -> Readiness {
    let Some(gravest) = findings.iter().min_by_key(|finding| finding.bars) else {
        return Readiness::Ready { warning: None };
    };
    let same = findings
        .iter()
        .filter(|finding| finding.bars == gravest.bars)
        .map(|finding| finding.message.as_str());
    let (reason, message) = (gravest.reason, same.collect::<Vec<_>>().join(" "));
    match gravest.bars {
        Bars::All => Readiness::Not { reason, message },
        Bars::Tenants => Readiness::OwnerOnly { reason, message },
        Bars::Nobody => Readiness::Ready {
            warning: Some((reason, message)),
        },
    }
}

fn no_answer(spec: &PoolSpec, contact: &Contact) -> Finding {
    let (reason, message) = match contact {
        Contact::SecretUnreadable { text } => {
            let name = &spec.proxmox.token_secret_ref.name;
            (
                Reason::SecretUnreadable,
                format!(
                    "Secret {name} cannot be used: {text}. Its key token must hold USER@REALM!ID=SECRET."
                ),
            )
        }
        Contact::TrustUnreadable { text } => (
            Reason::TrustUnreadable,
            format!(
                "The cluster's certificate cannot be verified: {text}. Mend spec.proxmox.caBundle or fingerprint."
            ),
        ),
        Contact::EndpointRefused { text } => (Reason::EndpointRefused, text.clone()),
        Contact::Unreachable { hosts, since, text } => (
            Reason::ProxmoxUnreachable,
            format!(
                "No answer from {hosts} since {} ({text}). Running machines are not touched.",
                minute(*since)
            ),
        ),
        Contact::CertificateMismatch { hosts, presented } => (
            Reason::CertificateMismatch,
            mismatch(spec, hosts, presented.as_deref()),
        ),
        Contact::TokenRejected { token } => (Reason::TokenRejected, rejected(spec, token)),
        Contact::Refused { text } => (Reason::ProviderError, format!("Proxmox cannot be used: {text}.")),
        Contact::OtherCluster {
            pool,
            hosts,
            known,
            seen,
        } => (
            Reason::ClusterMismatch,
            format!(
                "At {hosts} answers {seen}, but the machines of this Pool are on {known}. None of them is touched. \
                 Point spec.proxmox.endpoints back; for another cluster make another Pool. If it is the same one: \
                 kubectl annotate pool {pool} {SAME}='{seen}'"
            ),
        ),
        Contact::Answered(_) => (Reason::Bug, String::new()),
    };
    Finding::new(reason, Bars::All, message)
}

fn rejected(spec: &PoolSpec, token: &str) -> String {
    let user = token.split('!').next().unwrap_or_default();
    format!(
        "Proxmox refuses token {token}. Check on a node that it exists and has not expired \
         (pveum user token list '{user}'), then put its secret into Secret {}.",
        spec.proxmox.token_secret_ref.name
    )
}

fn mismatch(spec: &PoolSpec, hosts: &str, presented: Option<&str>) -> String {
    let shown = presented.unwrap_or("that nobody could read");
    match &spec.proxmox.fingerprint {
        Some(pinned) => format!(
            "{hosts} presents fingerprint {shown} but the pool pins {pinned}. If you replaced the certificate, set \
             spec.proxmox.fingerprint; otherwise somebody is in between."
        ),
        None => format!(
            "{hosts} presents a certificate (fingerprint {shown}) that spec.proxmox.caBundle does not vouch for under \
             that name. If you replaced it, set caBundle; otherwise somebody is in between."
        ),
    }
}

/// An instant for people, to the minute.
#[must_use]
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn answer(spec: &PoolSpec, answered: &Answered) -> Vec<Finding> {
    let mut all = privileges::missing(spec, answered);
    let blind = !all.is_empty();
    if answered.quorate == Some(false) {
        all.push(Finding::new(
            Reason::NoQuorum,
            Bars::All,
            "The Proxmox cluster has no quorum, so nothing can be changed there. Bring its other nodes back.",
        ));
    }
    let online = |name: &str| answered.nodes.get(name).is_some_and(|node| node.online);
    let readable: Vec<TemplateSeen> = answered
        .templates
        .iter()
        .filter(|seen| !blind || seen.gone)
        .cloned()
        .collect();
    all.extend(lint(spec, &readable, online).findings);
    if !blind {
        all.extend(storages(spec, answered));
        all.extend(nodes(spec, answered));
    }
    all.extend(firewall(spec, answered).filter(|_| !blind));
    all.extend(privileges::excess(answered));
    all
}

fn storages(spec: &PoolSpec, answered: &Answered) -> Vec<Finding> {
    let online = |name: &str| answered.nodes.get(name).is_some_and(|node| node.online);
    let says = |state: StorageState| match state {
        StorageState::Usable | StorageState::Unknown => None,
        StorageState::Missing => Some("does not exist"),
        StorageState::Inactive => Some("is switched off or not mounted"),
        StorageState::NoImages => Some("does not hold disks of VMs"),
    };
    let bad = answered
        .storages
        .iter()
        .filter(|seen| online(&seen.node))
        .filter_map(|seen| {
            let what = says(seen.state)?;
            Some((
                seen,
                format!(
                    "Storage {} {what} on node {}. Mend it, or name another in spec.storage.",
                    seen.name, seen.node
                ),
            ))
        });
    let usable = spec.nodes.iter().filter(|node| {
        let seen = answered
            .storages
            .iter()
            .find(|seen| seen.node == node.name.as_str());
        online(node.name.as_str()) && seen.is_none_or(|seen| says(seen.state).is_none())
    });
    let bars = if usable.count() == 0 {
        Bars::All
    } else {
        Bars::Nobody
    };
    bad.map(|(_, message)| Finding::new(Reason::StorageMissing, bars, message))
        .collect()
}

fn nodes(spec: &PoolSpec, answered: &Answered) -> Vec<Finding> {
    let away = |name: &str| match answered.nodes.get(name) {
        Some(node) if node.online => None,
        Some(_) => Some(format!("Node {name} is offline.")),
        None => Some(format!("The cluster has no node {name}.")),
    };
    let texts: Vec<String> = spec
        .nodes
        .iter()
        .filter_map(|node| away(node.name.as_str()))
        .collect();
    let bars = if texts.len() == spec.nodes.len() {
        Bars::All
    } else {
        Bars::Nobody
    };
    texts
        .into_iter()
        .map(|text| Finding::new(Reason::NodeOffline, bars, text))
        .collect()
}

fn firewall(spec: &PoolSpec, answered: &Answered) -> Option<Finding> {
    let needed = spec.network_isolation == NetworkIsolation::Proxmox;
    let off = needed && answered.firewall != Some(true);
    off.then(|| {
        Finding::new(
            Reason::FirewallOff,
            Bars::Tenants,
            format!(
                "The datacenter firewall is off, so neighbours on {} could reach each other. Turn it on \
                 (Datacenter → Firewall → Options) or state spec.networkIsolation: External.",
                spec.bridge
            ),
        )
    })
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "rights_tests.rs"]
mod rights_tests;
