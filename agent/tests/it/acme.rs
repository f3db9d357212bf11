//! Certificates from a real ACME authority, which validates by DNS and sometimes does not want to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::caddy::State;
use agent::certificate::{Ask, Status};
use agent_core::routes::Heard;
use agent_core::site::Site;
use jiff::Timestamp;
use kit::clock::TestClock;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use testkit::process::{Launch, Process, Ready};
use tokio::sync::{mpsc, watch};

use super::bed::{self, Bed, LIMIT, Running, until};
use super::dns::Records;
use super::objects::{FQDN, gateway, live};

const DIRECTORY: &str = "https://127.0.0.1:14000/dir";

/// Pebble in the gateway's namespace, with these variables.
struct Authority {
    folder: std::path::PathBuf,
    root: String,
    records: Records,
}

impl Authority {
    fn new(bed: &Bed) -> Self {
        let folder = bed.folder.path().join("pebble");
        std::fs::create_dir_all(&folder).unwrap();
        let root = api_certificate(&folder);
        let config = json!({ "pebble": {
            "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
            "certificate": folder.join("api.pem"), "privateKey": folder.join("api.key"),
            "httpPort": 5002, "tlsPort": 5001, "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "profiles": { "default": { "description": "90 days", "validityPeriod": 90 * 86_400 } },
        } });
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let records = Records::default();
        records.serve(&bed.gateway, 8053);
        Self {
            folder,
            root,
            records,
        }
    }

    async fn start(&self, bed: &Bed, variables: &[(&str, &str)]) -> Process {
        let program = testkit::assets::program("pebble").unwrap();
        let mut launch = Launch::new("pebble", "ip", &self.folder)
            .args(["netns", "exec", &bed.gateway.0])
            .arg(program)
            .arg("-config")
            .arg(self.folder.join("config.json"))
            .args(["-dnsserver", "127.0.0.1:8053", "-strict"])
            .ready(Ready::Started, LIMIT);
        for (name, value) in variables {
            launch = launch.env(name, value);
        }
        let process = Process::start(launch).await.unwrap();
        let ask = format!("curl -s --cacert {}/ca.pem {DIRECTORY}", self.folder.display());
        until("Pebble answers", async || {
            bed.gateway.sh(&ask).await.status.success()
        })
        .await;
        process
    }

    fn site(&self) -> Site {
        let acme: Value =
            json!({ "directory": DIRECTORY, "email": "ops@example.org", "caBundle": self.root });
        Site::of(&gateway(&["9.9.9.9"], Some(&acme))).unwrap()
    }
}

/// The certificate of Pebble's own API, and the root that signed it.
fn api_certificate(folder: &Path) -> String {
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "the test's root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&root_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(params, root_key)).unwrap();
    for (name, text) in [
        ("ca.pem", &root),
        ("api.pem", &leaf.pem()),
        ("api.key", &key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    root
}

/// Plays the hub's part: publishes what is asked for.
fn publish(plane: &mut Running, records: &Records) {
    let mut asks = std::mem::replace(&mut plane.seams.asks, mpsc::channel(1).1);
    let records = records.clone();
    let play = async move {
        while let Some(ask) = asks.recv().await {
            match ask {
                Ask::Publish(challenge) => {
                    assert_eq!(challenge.wanted.name, format!("_acme-challenge.{FQDN}"));
                    records.publish(&challenge.wanted.name, &challenge.wanted.value);
                    challenge.confirm();
                }
                Ask::Withdraw(value) => records.withdraw(&value.value),
            }
        }
    };
    plane.helpers.spawn(play);
}

async fn status(
    statuses: &mut watch::Receiver<Status>,
    what: &str,
    holds: impl FnMut(&Status) -> bool,
) -> Status {
    let waited = tokio::time::timeout(Duration::from_mins(1), statuses.wait_for(holds)).await;
    let found = waited.ok().map(|now| now.unwrap().clone());
    found.unwrap_or_else(|| panic!("not in time: {what}; {:?}", *statuses.borrow()))
}

/// A clock that can be moved, at the true time: the authority has its own.
#[expect(
    clippy::disallowed_methods,
    reason = "the test's clock starts at the authority's time"
)]
fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::at(Timestamp::now()))
}

#[test]
#[ignore = "needs root, nftables, conntrack, caddy, pebble"]
fn a_certificate_is_issued_though_nonces_are_refused_and_served_by_name() {
    bed::run(async |bed| {
        let authority = Authority::new(bed);
        let slow = [("PEBBLE_WFE_NONCEREJECT", "40"), ("PEBBLE_VA_SLEEPTIME", "2")];
        let _pebble = authority.start(bed, &slow).await;
        let _caddy = bed.caddy().await;
        let mut plane = Running::start(bed.config()).await;
        publish(&mut plane, &authority.records);
        plane.data.serve(authority.site()).await.unwrap();
        plane.data.hear(Heard::One(&live(0))).await.unwrap();
        plane.seams.hub.send_replace(true);
        let mut statuses = plane.data.certificate();
        let got = status(&mut statuses, "a certificate", |status| status.held.is_some()).await;
        assert_eq!(got.held.unwrap().names, [format!("*.{FQDN}")]);
        until("the record is withdrawn", async || authority.records.len() == 0).await;
        let mut caddy = plane.data.caddy();
        until("it is served", async || {
            matches!(*caddy.borrow_and_update(), State::Serving(_))
        })
        .await;
        let folder = authority.folder.display();
        let fetch =
            format!("curl -sk --cacert {folder}/ca.pem -o {folder}/root.pem https://127.0.0.1:15000/roots/0");
        assert!(bed.gateway.sh(&fetch).await.status.success());
        let host = format!("{}.{FQDN}", live(0).route.slug);
        let get = format!(
            "curl -sS -m 5 -o /dev/null -w '%{{http_code}}' --cacert {folder}/root.pem --resolve {host}:443:{} https://{host}/",
            bed::PUBLIC
        );
        // Nobody listens in the machine, but its name is proven.
        until("the name is proven", async || {
            bed.client.sh(&get).await.stdout == b"502"
        })
        .await;
        let keys = bed
            .gateway
            .sh(&format!(
                "find {} -name '*.pem' -perm /077 -name 'key*'",
                bed.state().display()
            ))
            .await;
        assert!(keys.stdout.is_empty(), "{keys:?}");
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack, pebble"]
fn a_renewal_waits_for_the_hub_and_succeeds_at_its_return() {
    bed::run(async |bed| {
        let authority = Authority::new(bed);
        let pebble = authority.start(bed, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
        let clock = clock();
        let mut plane = Running::start_at(bed.config(), clock.clone()).await;
        publish(&mut plane, &authority.records);
        plane.data.serve(authority.site()).await.unwrap();
        let mut statuses = plane.data.certificate();
        // Wanted, but the hub, which publishes, is not there.
        status(&mut statuses, "it is known that one is due", |status| {
            status.next_try.is_some()
        })
        .await;
        assert_eq!(authority.records.asked(), 0);
        plane.seams.hub.send_replace(true);
        let first = status(&mut statuses, "a certificate", |status| status.held.is_some()).await;
        assert_eq!((first.error, first.next_try), (None, None));
        // The authority forgets everybody: a new account is made. The certificate is due again after two thirds.
        drop(pebble);
        let _pebble = authority.start(bed, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
        plane.seams.hub.send_replace(false);
        clock.advance(Duration::from_hours(24 * 61));
        plane.seams.hub.send_replace(true);
        let second = status(&mut statuses, "a renewal", |status| status.held != first.held).await;
        assert!(second.held.unwrap().not_before >= first.held.unwrap().not_before);
        plane.stop().await;
    });
}

#[test]
#[ignore = "needs root, nftables, conntrack, pebble"]
fn a_failing_validation_keeps_the_certificate_at_hand_and_says_so() {
    bed::run(async |bed| {
        let authority = Authority::new(bed);
        let pebble = authority
            .start(bed, &[("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_AUTHZREUSE", "0")])
            .await;
        let clock = clock();
        let mut plane = Running::start_at(bed.config(), clock.clone()).await;
        publish(&mut plane, &authority.records);
        plane.seams.hub.send_replace(true);
        plane.data.serve(authority.site()).await.unwrap();
        let mut statuses = plane.data.certificate();
        let first = status(&mut statuses, "a certificate", |status| status.held.is_some()).await;
        // The hub's return makes it look at the clock, on which the time to try again has come.
        let renew = || {
            clock.advance(Duration::from_hours(13));
            plane.seams.hub.send_replace(false);
            plane.seams.hub.send_replace(true);
        };
        authority.records.break_down(true);
        clock.advance(Duration::from_hours(24 * 61));
        renew();
        let failed = status(&mut statuses, "a failure", |status| status.error.is_some()).await;
        let error = failed.error.unwrap();
        assert!(
            error.starts_with("failed to prove the name to the authority: "),
            "{error}"
        );
        assert!(failed.next_try.is_some());
        assert_eq!(failed.held, first.held);
        // An authority that is down is another failure, and no end.
        drop(pebble);
        renew();
        let down = status(&mut statuses, "another failure", |status| {
            status.error.as_ref() != Some(&error)
        })
        .await;
        assert_eq!(down.held, first.held);
        let _pebble = authority.start(bed, &[("PEBBLE_VA_NOSLEEP", "1")]).await;
        authority.records.break_down(false);
        renew();
        let renewed = status(&mut statuses, "a renewal", |status| status.held != first.held).await;
        assert_eq!(renewed.held.unwrap().names, [format!("*.{FQDN}")]);
        plane.stop().await;
    });
}
