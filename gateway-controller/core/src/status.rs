//! What a Gateway's status says, from facts: four conditions and a few numbers. Equal facts give equal bytes.

use crds::{
    Gateway, GatewayStatus,
    condition::{READY, Truth, find, merged},
    gateway::{Finding, Severity},
    text::UidText,
};
use domain::slot::GatewayPlan;
use jiff::{SignedDuration, Timestamp, Unit};
use kube::ResourceExt;

use crate::{enrolment::host, reason::Reason};

/// Condition: the site's records are at all servers of its zone.
pub const DNS_READY: &str = "DNSReady";
/// Condition: the certificate is valid.
pub const CERTIFICATE_READY: &str = "CertificateReady";
/// Condition: the agent renews its Lease.
pub const AGENT_CONNECTED: &str = "AgentConnected";

type Stated = crds::condition::Stated<Reason>;

/// Where the records stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Whether they are published.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// What is so and what to do, in sentences.
    pub message: String,
    /// Values of the challenge that all servers answer with.
    pub challenges: Vec<String>,
}

/// The Lease as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSeen {
    /// When it was renewed last.
    pub renewed: Timestamp,
    /// For how long it holds.
    pub holds: SignedDuration,
}

/// What is known of a Gateway.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The Gateway.
    pub gateway: &'a Gateway,
    /// The Gateway that has its name, if it is another.
    pub rival: Option<String>,
    /// Names under which records of its may stand.
    pub under: Vec<String>,
    /// Its arithmetic, or why it has none.
    pub plan: Result<GatewayPlan, String>,
    /// Where its records stand.
    pub dns: Dns,
    /// UID of the Secret that credentials are bound to now.
    pub identity: Option<String>,
    /// The agent's Lease, once it was renewed.
    pub lease: Option<LeaseSeen>,
    /// Slots that name it.
    pub slots: usize,
    /// The instant.
    pub now: Timestamp,
}

/// The status to store; `slotsInUse` and `agent` are others'.
#[must_use]
pub fn status(facts: &Facts<'_>) -> GatewayStatus {
    let gateway = facts.gateway;
    let generation = gateway.metadata.generation;
    let (dns, agent, certificate) = (dns(facts), agent(facts), certificate(facts));
    let ready = ready(facts, [&dns, &agent, &certificate]);
    let prior = gateway
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    GatewayStatus {
        observed_generation: generation,
        fqdn: facts.rival.is_none().then(|| gateway.spec.fqdn()),
        records_under: facts.under.clone(),
        identity: identity(facts),
        capacity: facts
            .plan
            .as_ref()
            .ok()
            .map(|plan| whole(plan.capacity() as usize)),
        used: Some(whole(facts.slots)),
        challenges_published: facts.dns.challenges.clone(),
        conditions: merged(prior, vec![ready, dns, certificate, agent], generation, facts.now),
        slots_in_use: None,
        agent: None,
    }
}

/// The present identity; the last one known while there is none, so that nobody enrols with one of his own.
fn identity(facts: &Facts<'_>) -> Option<UidText> {
    let known = facts
        .gateway
        .status
        .as_ref()
        .and_then(|status| status.identity.clone());
    facts.identity.as_deref().map(UidText::from).or(known)
}

fn whole(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn dns(facts: &Facts<'_>) -> Stated {
    let Dns {
        truth,
        reason,
        message,
        ..
    } = &facts.dns;
    Stated::new(DNS_READY, *truth, *reason, message.clone())
}

fn agent(facts: &Facts<'_>) -> Stated {
    let gateway = facts.gateway;
    if host(gateway, facts.identity.as_deref()).is_none() {
        let (name, namespace) = (gateway.name_any(), gateway.namespace().unwrap_or_default());
        let says = format!(
            "No host serves it. On your machine: dcctl gateway token {name} -n {namespace}; then on the host, with what \
             that prints: decent-agent enrol."
        );
        return Stated::new(AGENT_CONNECTED, false, Reason::NotEnrolled, says);
    }
    let Some(lease) = facts.lease else {
        let says = "The host has enrolled; its agent has not been heard of yet. On the host: systemctl status decent-agent";
        return Stated::new(AGENT_CONNECTED, false, Reason::AgentSilent, says);
    };
    let since = facts.now.duration_since(lease.renewed);
    if since < SignedDuration::ZERO.saturating_sub(lease.holds) {
        let says = format!(
            "Its Lease was renewed {}, which is yet to come here: one of the two clocks is wrong. On the host: timedatectl",
            say(lease.renewed)
        );
        return Stated::new(AGENT_CONNECTED, false, Reason::ClockOff, says);
    }
    if since > lease.holds {
        let says = format!(
            "Not heard of since {}. Machines that are reachable stay so; new ones are not reached. On the host: systemctl \
             status decent-agent",
            say(lease.renewed)
        );
        return Stated::new(AGENT_CONNECTED, false, Reason::AgentSilent, says);
    }
    match worst(gateway) {
        Some(finding) if finding.severity == Severity::Failed => {
            Stated::new(AGENT_CONNECTED, true, Reason::AgentTroubled, told(finding))
        }
        Some(finding) => Stated::new(AGENT_CONNECTED, true, Reason::Connected, told(finding)),
        None => Stated::new(
            AGENT_CONNECTED,
            true,
            Reason::Connected,
            "The agent renews its Lease.",
        ),
    }
}

fn told(finding: &Finding) -> String {
    format!("{}: {}", finding.check, finding.message)
}

fn worst(gateway: &Gateway) -> Option<&Finding> {
    let agent = gateway.status.as_ref()?.agent.as_ref()?;
    agent.findings.iter().max_by_key(|finding| finding.severity)
}

fn certificate(facts: &Facts<'_>) -> Stated {
    let gateway = facts.gateway;
    let state = |truth: bool, reason, says: String| Stated::new(CERTIFICATE_READY, truth, reason, says);
    if gateway.spec.tls.is_none() {
        let says = "spec.tls names no authority: SSH works, HTTPS does not. Set spec.tls.acme.";
        return state(false, Reason::NoAuthority, says.into());
    }
    let agent = gateway.status.as_ref().and_then(|status| status.agent.as_ref());
    let held = agent.and_then(|agent| agent.certificate.as_ref());
    let end = held.and_then(|held| held.not_after.as_ref()).map(|time| time.0);
    let problem = held.and_then(|held| held.problem.as_deref());
    match (end, problem) {
        (None, None) => state(
            false,
            Reason::Issuing,
            "The agent obtains the first certificate.".into(),
        ),
        (None, Some(problem)) => state(false, Reason::IssuingFails, problem.to_owned()),
        (Some(end), problem) if end <= facts.now => {
            let why = problem.unwrap_or("The agent has not renewed it.");
            state(
                false,
                Reason::CertificateExpired,
                format!("It expired {}. {why}", say(end)),
            )
        }
        (Some(end), None) => state(true, Reason::Issued, format!("Valid until {}.", say(end))),
        (Some(end), Some(problem)) => {
            let says = format!("Valid until {}; a newer one is due: {problem}", say(end));
            state(true, Reason::IssuingFails, says)
        }
    }
}

/// The first thing in the way.
fn ready(facts: &Facts<'_>, parts: [&Stated; 3]) -> Stated {
    let says = |reason, text: String| Stated::new(READY, false, reason, text);
    if facts.gateway.metadata.deletion_timestamp.is_some() {
        return if facts.slots > 0 {
            let text = format!("{} Slots name it; it goes once they are gone.", facts.slots);
            says(Reason::InUse, text)
        } else {
            says(
                Reason::Terminating,
                "Its records are removed, then it goes.".into(),
            )
        };
    }
    if let Some(rival) = &facts.rival {
        let text = format!(
            "Gateway {rival} has the name {}. Choose another dcId, prefix or domain.",
            facts.gateway.spec.fqdn()
        );
        return says(Reason::NameTaken, text);
    }
    if let Err(why) = &facts.plan {
        return says(Reason::Invalid, format!("It cannot be used: {why}."));
    }
    let troubled = |part: &&&Stated| part.truth != Truth::True || part.reason == Reason::AgentTroubled;
    match parts.iter().find(troubled) {
        Some(part) => says(part.reason, part.message.clone()),
        None => Stated::new(
            READY,
            true,
            Reason::Ready,
            "Machines are reached by SSH and HTTPS.",
        ),
    }
}

/// An instant for people.
fn say(at: Timestamp) -> String {
    let at = at.round(Unit::Second).unwrap_or(at);
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// When the state of a Lease changes by itself.
#[must_use]
pub fn recheck(lease: Option<LeaseSeen>, now: Timestamp) -> Option<SignedDuration> {
    let lease = lease?;
    let since = now.duration_since(lease.renewed);
    let left = lease.holds.saturating_sub(since);
    let left = if left > lease.holds.saturating_mul(2) {
        SignedDuration::ZERO
    } else {
        left
    };
    (left > SignedDuration::ZERO).then(|| left.saturating_add(SignedDuration::from_millis(100)))
}

/// Whether a status says another thing than the one before, numbers apart.
#[must_use]
pub fn speaks_up(prior: Option<&GatewayStatus>, next: &GatewayStatus) -> bool {
    let Some(prior) = prior else { return true };
    let same = |kind| {
        let of = |status: &'_ GatewayStatus| find(&status.conditions, kind).cloned();
        of(prior) == of(next)
    };
    prior.challenges_published != next.challenges_published
        || prior.fqdn != next.fqdn
        || prior.records_under != next.records_under
        || prior.identity != next.identity
        || prior.capacity != next.capacity
        || prior.observed_generation != next.observed_generation
        || ![READY, DNS_READY, CERTIFICATE_READY, AGENT_CONNECTED]
            .into_iter()
            .all(same)
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
