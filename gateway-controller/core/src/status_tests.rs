use crds::condition::find;
use crds::gateway::{Acme, Certificate, Tls};
use domain::slot::GatewayFacts;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::samples::{enrolled, gateway, uid};

const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn plan() -> Result<GatewayPlan, String> {
    let facts = GatewayFacts {
        network: "10.64.0.0/16",
        gateway: "10.64.0.1".parse().unwrap(),
        first_port: 20_000,
        last_port: 59_999,
        gateway_uid: uid(1).parse().unwrap(),
        vmid_base: 10_000,
    };
    GatewayPlan::new(&facts).map_err(|error| error.to_string())
}

fn published() -> Dns {
    Dns {
        truth: Truth::True,
        reason: Reason::Published,
        message: "All servers answer.".into(),
        challenges: Vec::new(),
    }
}

/// A Gateway that serves.
fn serving() -> Gateway {
    let mut gateway = enrolled("ams1");
    gateway.spec.tls = Some(Tls {
        acme: Acme {
            directory: "https://ca.example.org/dir".into(),
            ..Acme::default()
        },
    });
    let agent = gateway.status.as_mut().unwrap().agent.as_mut().unwrap();
    agent.certificate = Some(Certificate {
        not_after: Some(Time(at(NOW + 86_400))),
        problem: None,
    });
    gateway
}

fn facts(gateway: &Gateway) -> Facts<'_> {
    Facts {
        gateway,
        rival: None,
        under: vec!["ams1.gw.example.org".into()],
        plan: plan(),
        dns: published(),
        identity: Some(uid(8)),
        lease: Some(LeaseSeen {
            renewed: at(NOW - 10),
            holds: SignedDuration::from_secs(15),
        }),
        slots: 3,
        now: at(NOW),
    }
}

fn said(facts: &Facts<'_>, kind: &str) -> (String, String) {
    let status = status(facts);
    let condition = find(&status.conditions, kind).unwrap();
    (condition.status.clone(), condition.reason.clone())
}

fn is(truth: &str, reason: &str) -> (String, String) {
    (truth.to_owned(), reason.to_owned())
}

#[test]
fn a_site_that_serves_is_ready_and_says_its_numbers() {
    let gateway = serving();
    let status = status(&facts(&gateway));
    assert_eq!((status.capacity, status.used), (Some(4_000), Some(3)));
    assert_eq!(status.fqdn.as_deref(), Some("ams1.gw.example.org"));
    assert_eq!(said(&facts(&gateway), READY), is("True", "Ready"));
}

#[test]
fn three_missed_heartbeats_are_told_and_nothing_else_changes() {
    let gateway = serving();
    let mut facts = facts(&gateway);
    facts.now = at(NOW + 5);
    assert_eq!(said(&facts, AGENT_CONNECTED), is("True", "Connected"));
    facts.now = at(NOW + 6);
    assert_eq!(said(&facts, AGENT_CONNECTED), is("False", "AgentSilent"));
    assert_eq!(said(&facts, DNS_READY), is("True", "Published"));
    assert_eq!(said(&facts, READY), is("False", "AgentSilent"));
}

#[test]
fn a_revoked_identity_has_no_host() {
    let gateway = serving();
    let mut facts = facts(&gateway);
    facts.identity = Some(uid(9));
    assert_eq!(said(&facts, AGENT_CONNECTED), is("False", "NotEnrolled"));
    let found = status(&facts);
    let message = &find(&found.conditions, AGENT_CONNECTED).unwrap().message;
    assert!(
        message.contains("dcctl gateway token ams1 -n provider-acme"),
        "{message}"
    );
}

#[rstest::rstest]
#[case(15, "True", "Connected")]
#[case(16, "False", "ClockOff")]
fn a_clock_that_runs_ahead_is_told_and_does_not_keep_a_dead_agent_alive(
    #[case] ahead: i64,
    #[case] truth: &str,
    #[case] reason: &str,
) {
    let gateway = serving();
    let mut facts = facts(&gateway);
    let lease = LeaseSeen {
        renewed: at(NOW + ahead),
        holds: SignedDuration::from_secs(15),
    };
    facts.lease = Some(lease);
    assert_eq!(said(&facts, AGENT_CONNECTED), is(truth, reason));
    assert_eq!(recheck(Some(lease), at(NOW)).is_some(), truth == "True");
}

#[test]
fn the_present_identity_is_told_and_stays_while_there_is_none() {
    let mut gateway = serving();
    let told = |facts: &Facts<'_>| status(facts).identity.map(|uid| uid.as_str().to_owned());
    assert_eq!(told(&facts(&gateway)), Some(uid(8)));
    gateway.status.as_mut().unwrap().identity = Some(uid(8).as_str().into());
    let mut none = facts(&gateway);
    none.identity = None;
    assert_eq!(told(&none), Some(uid(8)));
}

#[test]
fn who_does_not_have_the_name_does_not_say_it() {
    let gateway = serving();
    let mut facts = facts(&gateway);
    facts.rival = Some("provider-birch/ams1".into());
    assert_eq!(status(&facts).fqdn, None);
}

#[test]
fn the_gateway_that_has_the_name_is_told() {
    let gateway = serving();
    let mut facts = facts(&gateway);
    facts.rival = Some("provider-birch/ams1".into());
    assert_eq!(said(&facts, READY), is("False", "NameTaken"));
    let found = status(&facts);
    assert!(
        find(&found.conditions, READY)
            .unwrap()
            .message
            .contains("provider-birch/ams1")
    );
}

#[rstest::rstest]
#[case(None, None, "False", "Issuing")]
#[case(None, Some("the authority is down"), "False", "IssuingFails")]
#[case(Some(NOW + 60), None, "True", "Issued")]
#[case(Some(NOW + 60), Some("the authority is down"), "True", "IssuingFails")]
#[case(Some(NOW), Some("the authority is down"), "False", "CertificateExpired")]
fn a_certificate_serves_until_its_end(
    #[case] end: Option<i64>,
    #[case] problem: Option<&str>,
    #[case] truth: &str,
    #[case] reason: &str,
) {
    let mut gateway = serving();
    let agent = gateway.status.as_mut().unwrap().agent.as_mut().unwrap();
    agent.certificate = Some(Certificate {
        not_after: end.map(|second| Time(at(second))),
        problem: problem.map(str::to_owned),
    });
    assert_eq!(said(&facts(&gateway), CERTIFICATE_READY), is(truth, reason));
}

#[test]
fn a_host_that_cannot_serve_is_not_ready_though_its_agent_lives() {
    let mut gateway = serving();
    let agent = gateway.status.as_mut().unwrap().agent.as_mut().unwrap();
    agent.findings = vec![Finding {
        check: "forwarding".into(),
        severity: Severity::Failed,
        message: "it is off: sysctl -w net.ipv4.ip_forward=1".into(),
    }];
    assert_eq!(
        said(&facts(&gateway), AGENT_CONNECTED),
        is("True", "AgentTroubled")
    );
    assert_eq!(said(&facts(&gateway), READY), is("False", "AgentTroubled"));
}

#[test]
fn deletion_waits_for_slots() {
    let mut gateway = serving();
    gateway.metadata.deletion_timestamp = Some(Time(at(NOW)));
    assert_eq!(said(&facts(&gateway), READY), is("False", "InUse"));
    let mut empty = facts(&gateway);
    empty.slots = 0;
    assert_eq!(said(&empty, READY), is("False", "Terminating"));
}

#[test]
fn numbers_alone_do_not_speak_up() {
    let gateway = serving();
    let first = status(&facts(&gateway));
    let mut more = facts(&gateway);
    more.slots = 4;
    assert!(!speaks_up(Some(&first), &status(&more)));
    more.rival = Some("a/b".into());
    assert!(speaks_up(Some(&first), &status(&more)));
    assert!(speaks_up(None, &first));
}

#[test]
fn a_gateway_nobody_enrolled_for_is_told_how() {
    let gateway = gateway("ams1", 1, 10);
    assert_eq!(
        said(&facts(&gateway), AGENT_CONNECTED),
        is("False", "NotEnrolled")
    );
    assert_eq!(
        said(&facts(&gateway), CERTIFICATE_READY),
        is("False", "NoAuthority")
    );
}

#[test]
fn a_lease_is_looked_at_when_it_ends() {
    let lease = LeaseSeen {
        renewed: at(NOW),
        holds: SignedDuration::from_secs(15),
    };
    assert_eq!(
        recheck(Some(lease), at(NOW + 5)),
        Some(SignedDuration::from_millis(10_100))
    );
    assert_eq!(recheck(Some(lease), at(NOW + 15)), None);
}
