//! What the agent says of itself in its Gateway's status. Pure.

use agent_core::doctor::{Finding as Found, Verdict};
use crds::condition::cut;
use crds::gateway::{AgentStatus, Certificate, Enrolment, Finding, Severity};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::caddy;
use crate::certificate::Status;
use crate::plane::Health;

/// Findings that a Gateway's status takes, and their lengths.
const FINDINGS: usize = 32;
const TEXT: usize = 512;

/// Everything that goes into it.
pub struct Facts<'a> {
    /// Which host serves.
    pub enrolment: Enrolment,
    /// Generation of the Gateway that is served.
    pub applied: Option<i64>,
    /// Values that the certificate's authority has to find.
    pub challenges: &'a [String],
    /// The certificate.
    pub certificate: &'a Status,
    /// Routes in force.
    pub routes: usize,
    /// Table, snapshot, limits.
    pub health: &'a Health,
    /// The web server.
    pub caddy: &'a caddy::State,
    /// Why the Gateway is not served as it is written.
    pub refused: Option<&'a str>,
    /// What the doctor found.
    pub doctor: &'a [Found],
}

/// What to write.
pub fn status(facts: &Facts<'_>) -> AgentStatus {
    let Status { held, error, .. } = facts.certificate;
    let certificate = (held.is_some() || error.is_some()).then(|| Certificate {
        not_after: held.as_ref().map(|held| Time(held.not_after)),
        problem: error.as_ref().map(|text| cut(text.clone(), TEXT)),
    });
    let mut findings = own(facts);
    findings.extend(facts.doctor.iter().filter_map(finding));
    findings.sort_by(|one, other| {
        other
            .severity
            .cmp(&one.severity)
            .then(one.check.cmp(&other.check))
    });
    findings.dedup_by(|one, other| one.check == other.check);
    findings.truncate(FINDINGS);
    AgentStatus {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        applied: facts.applied,
        enrolment: Some(facts.enrolment.clone()),
        challenges: facts.challenges.to_vec(),
        certificate,
        routes: Some(i32::try_from(facts.routes).unwrap_or(i32::MAX)),
        findings,
    }
}

/// Whether two statuses say the same, but for the number of routes.
pub fn same(one: &AgentStatus, other: &AgentStatus) -> bool {
    let apart = |status: &AgentStatus| AgentStatus {
        routes: None,
        ..status.clone()
    };
    apart(one) == apart(other)
}

fn finding(found: &Found) -> Option<Finding> {
    let severity = match found.verdict {
        Verdict::Ok => return None,
        Verdict::Warn => Severity::Warning,
        Verdict::Fail => Severity::Failed,
    };
    let mend = found
        .mend
        .as_ref()
        .map_or_else(String::new, |line| format!(": {line}"));
    Some(made(
        found.check.name(),
        severity,
        format!("{}{mend}", found.says),
    ))
}

fn made(check: &str, severity: Severity, message: String) -> Finding {
    Finding {
        check: check.to_owned(),
        severity,
        message: cut(message, TEXT),
    }
}

/// What the running data plane knows better than a look at the host.
fn own(facts: &Facts<'_>) -> Vec<Finding> {
    let Health {
        table,
        snapshot,
        corrupt_snapshot,
        missing,
        held,
        limited,
    } = facts.health;
    let failed = |check, text: &Option<String>| {
        text.as_ref()
            .map(|text| made(check, Severity::Failed, text.clone()))
    };
    let mut all: Vec<Finding> = Vec::new();
    all.extend(
        facts
            .refused
            .map(|text| made("gateway", Severity::Failed, text.to_owned())),
    );
    all.extend(failed("table", table));
    all.extend(failed("snapshot", snapshot));
    if let caddy::State::Failing(text) = facts.caddy {
        all.push(made("caddy", Severity::Failed, text.clone()));
    }
    if let Some(path) = corrupt_snapshot {
        let says = format!(
            "it could not be used and is kept as {}; routes came from the hub",
            path.display()
        );
        all.push(made("snapshot-kept", Severity::Warning, says));
    }
    if !missing.is_empty() {
        let says = format!(
            "{} routes have no Slot in the hub's list; they stay until it says that they end",
            missing.len()
        );
        all.push(made("missing-slots", Severity::Warning, says));
    }
    if *held > 0 {
        let says =
            format!("{held} routes at once were to be removed; they wait until somebody has looked why");
        all.push(made("mass-removal", Severity::Failed, says));
    }
    if !limited.is_empty() {
        let shown: Vec<String> = limited.iter().take(8).map(ToString::to_string).collect();
        let says = format!(
            "new SSH connections of these sources were limited lately: {}",
            shown.join(", ")
        );
        all.push(made("ssh-limit", Severity::Warning, says));
    }
    all
}
