//! The preflight and the picture of the cluster, against a Proxmox that answers as the real one does.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crds::{
    PoolSpec,
    pool::{PoolNode, Template, TemplateVmid},
};
use dc_proxmox::{Admission, Token};
use jiff::Timestamp;
use kit::clock::{Clock, TestClock};
use operator_core::{
    provider::pool::{Contact, Facts, Readiness, endpoint::Rules, findings, privileges::needs, readiness},
    reason::Reason,
};
use pve_sim::{Sim, SimConfig, SimHandle};
use serde_json::{Value, json};

use super::{
    connect::{Connected, client, failed},
    handle::{Link, PoolHandle},
    orphans::Orphans,
    probe::probe,
};

/// A Proxmox, a Pool for two of its nodes, and a clock that stands still.
/// The third node keeps the quorum when one of the two is off.
pub struct Bed {
    pub sim: SimHandle,
    pub spec: PoolSpec,
    pub clock: Arc<TestClock>,
}

impl Bed {
    pub async fn start() -> Self {
        kit::tls::install();
        let config = SimConfig {
            nodes: 3,
            ..SimConfig::default()
        };
        let sim = Sim::start(config).await.unwrap();
        let mut spec = PoolSpec {
            nodes: ["pve1", "pve2"]
                .map(|name| PoolNode {
                    name: name.into(),
                    ..PoolNode::default()
                })
                .to_vec(),
            storage: "local".into(),
            templates: vec![Template {
                name: "debian-13".into(),
                vmids: [("pve1", 9000), ("pve2", 9001)]
                    .map(|(node, vmid)| TemplateVmid {
                        node: node.into(),
                        vmid,
                    })
                    .to_vec(),
                digest: None,
            }],
            bridge: "vmbr1".into(),
            vmid_base: 10_000,
            ..PoolSpec::default()
        };
        spec.proxmox.endpoints = vec![sim.url.as_str().into()];
        spec.proxmox.fingerprint = Some(sim.fingerprint.as_str().into());
        spec.proxmox.pool = "decent".into();
        Self {
            sim,
            spec,
            clock: Arc::new(TestClock::at(Timestamp::UNIX_EPOCH)),
        }
    }

    pub async fn control(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.sim.control_url);
        let sent = reqwest::Client::new()
            .request(method, url)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(sent.status().is_success(), "{path}: {}", sent.status());
        sent.json().await.unwrap_or_default()
    }

    pub async fn post(&self, path: &str, body: Value) {
        self.control(reqwest::Method::POST, path, body).await;
    }

    async fn connected(&self) -> Connected {
        let token: Token = self.sim.token.parse().unwrap();
        client(&self.spec, token, &Rules::default(), None).await.unwrap()
    }

    fn handle(&self, connected: &Connected) -> PoolHandle {
        let readiness = Readiness::Ready { warning: None };
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        PoolHandle {
            namespace: "provider-acme".to_owned(),
            name: "rack1".to_owned(),
            spec: self.spec.clone(),
            gateway: None,
            pve: connected.pve.clone(),
            admission: Admission::new(2),
            token: connected.token.id().to_owned(),
            link: Arc::new(Link::new(clock, readiness)),
        }
    }

    async fn contact(&self, connected: &Connected) -> Contact {
        let told = |error| failed(&error, &self.spec, connected.token.id(), Timestamp::UNIX_EPOCH);
        let inventory = match self.handle(connected).fresh(Duration::ZERO).await {
            Ok(inventory) => inventory,
            Err(error) => return told(error),
        };
        match probe(&self.spec, connected, &inventory).await {
            Ok(answered) => Contact::Answered(Box::new(answered)),
            Err(error) => told(error),
        }
    }

    async fn verdict(&self) -> Readiness {
        let contact = self.contact(&self.connected().await).await;
        let facts = Facts {
            spec: &self.spec,
            contact: &contact,
            gateway: None,
            overlap: None,
            held_by: None,
        };
        readiness(&findings(&facts))
    }
}

fn barred(verdict: Readiness) -> (Reason, String) {
    match verdict {
        Readiness::Not { reason, message } => (reason, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cluster_set_up_as_documented_is_ready() {
    let bed = Bed::start().await;
    assert_eq!(bed.verdict().await, Readiness::Ready { warning: None });
}

#[tokio::test]
async fn p37_each_privilege_that_is_revoked_is_named_with_its_path_and_line() {
    let bed = Bed::start().await;
    let mut tried = 0;
    for need in needs(&bed.spec, "9.2") {
        for privilege in need.privileges {
            let what = json!({"path": need.path, "privilege": privilege});
            bed.post("/privileges/revoke", what.clone()).await;
            let (reason, message) = barred(bed.verdict().await);
            assert_eq!(reason, Reason::MissingPrivilege, "{privilege}");
            assert!(
                message.contains(&format!("lacks {privilege} on {}.", need.path)),
                "{message}"
            );
            assert!(
                message.contains(&format!(
                    "pveum acl modify {} --tokens 'decent@pve!op' --roles ",
                    need.path
                )),
                "{message}"
            );
            bed.post("/privileges/restore", what).await;
            tried += 1;
        }
    }
    assert_eq!(tried, 13 + 2, "thirteen, two of them on a second template");
    assert!(bed.verdict().await.is_ready());
}

#[tokio::test]
async fn firewall_quorum_and_nodes_are_told() {
    let bed = Bed::start().await;
    bed.control(reqwest::Method::PUT, "/firewall", json!({"enable": false}))
        .await;
    assert!(matches!(
        bed.verdict().await,
        Readiness::OwnerOnly {
            reason: Reason::FirewallOff,
            ..
        }
    ));
    bed.post("/quorum", json!({"on": false})).await;
    assert_eq!(barred(bed.verdict().await).0, Reason::NoQuorum);
    bed.post("/quorum", json!({"on": true})).await;
    bed.control(reqwest::Method::PUT, "/firewall", json!({"enable": true}))
        .await;
    bed.post("/nodes/pve2", json!({"online": false, "notice": 0}))
        .await;
    let Readiness::Ready {
        warning: Some((reason, message)),
    } = bed.verdict().await
    else {
        panic!()
    };
    assert_eq!(
        (reason, message.as_str()),
        (Reason::NodeOffline, "Node pve2 is offline.")
    );
}

#[tokio::test]
async fn templates_and_storages_are_told() {
    let bed = Bed::start().await;
    bed.control(
        reqwest::Method::PATCH,
        "/storages/local",
        json!({"enabled": false}),
    )
    .await;
    let (reason, message) = barred(bed.verdict().await);
    assert_eq!(reason, Reason::StorageMissing);
    assert!(
        message.starts_with("Storage local is switched off or not mounted on node pve1."),
        "{message}"
    );
    bed.control(
        reqwest::Method::PATCH,
        "/storages/local",
        json!({"enabled": true}),
    )
    .await;
    bed.control(reqwest::Method::DELETE, "/templates/9001", Value::Null)
        .await;
    let (reason, message) = barred(bed.verdict().await);
    assert_eq!(reason, Reason::TemplateMissing);
    assert!(
        message.contains("Template debian-13 (VMID 9001) isn't on node pve2."),
        "{message}"
    );
}

#[tokio::test]
async fn a_storage_that_the_token_may_not_see_is_a_missing_privilege() {
    let mut bed = Bed::start().await;
    bed.spec.nodes[0].storage = Some("nope".into());
    let (reason, message) = barred(bed.verdict().await);
    assert_eq!(reason, Reason::MissingPrivilege);
    assert!(
        message.contains("lacks Datastore.AllocateSpace on /storage/nope."),
        "{message}"
    );
}

#[tokio::test]
async fn p44_another_certificate_is_refused_and_both_are_shown() {
    let mut bed = Bed::start().await;
    let pinned = ["AA"; 32].join(":");
    bed.spec.proxmox.fingerprint = Some(pinned.as_str().into());
    let (reason, message) = barred(bed.verdict().await);
    assert_eq!(reason, Reason::CertificateMismatch);
    assert!(
        message.contains(&bed.sim.fingerprint) && message.contains(&pinned),
        "{message}"
    );
}

#[tokio::test]
async fn a_refused_token_and_a_closed_port_are_told_apart() {
    let bed = Bed::start().await;
    let connected = bed.connected().await;
    bed.post("/refuse-connections", json!({"on": true})).await;
    let told = bed.contact(&connected).await;
    assert!(matches!(told, Contact::Unreachable { .. }), "{told:?}");
    bed.post("/refuse-connections", json!({"on": false})).await;
    bed.post("/tokens/decent@pve!op/secret", json!({})).await;
    let told = bed.contact(&connected).await;
    assert_eq!(
        told,
        Contact::TokenRejected {
            token: "decent@pve!op".to_owned()
        }
    );
}

#[tokio::test]
async fn a_hub_calls_no_loopback_address_unless_told_to() {
    let bed = Bed::start().await;
    let token: Token = bed.sim.token.parse().unwrap();
    let rules = Rules {
        hub: true,
        ..Rules::default()
    };
    let refused = client(&bed.spec, token.clone(), &rules, None).await.unwrap_err();
    assert!(matches!(refused, Contact::EndpointRefused { .. }), "{refused:?}");
    let allowed = Rules {
        allow_loopback: true,
        ..rules
    };
    assert!(client(&bed.spec, token, &allowed, None).await.is_ok());
}

#[tokio::test]
async fn the_client_stays_while_nothing_changes() {
    let mut bed = Bed::start().await;
    let (first, token) = (bed.connected().await, bed.sim.token.parse::<Token>().unwrap());
    let again = client(&bed.spec, token.clone(), &Rules::default(), Some(&first))
        .await
        .unwrap();
    assert!(again.is(&first));
    bed.spec.proxmox.endpoints.push("https://127.0.0.1:1".into());
    let other = client(&bed.spec, token, &Rules::default(), Some(&first))
        .await
        .unwrap();
    assert!(!other.is(&first));
}

#[tokio::test]
async fn callers_at_the_same_time_share_one_read() {
    let bed = Bed::start().await;
    let handle = bed.handle(&bed.connected().await);
    let seen = futures::future::join_all((0..50).map(|_| handle.fresh(Duration::from_secs(1)))).await;
    assert!(seen.iter().all(Result::is_ok));
    let reads = |seen: &Value| {
        let requests = seen["requests"].as_array().unwrap();
        requests
            .iter()
            .filter(|r| r["path"].as_str().unwrap().ends_with("/cluster/resources"))
            .count()
    };
    let all = bed
        .control(reqwest::Method::GET, "/requests?since=0", Value::Null)
        .await;
    assert_eq!(reads(&all), 1);
    bed.clock.advance(Duration::from_secs(2));
    handle.fresh(Duration::from_secs(1)).await.unwrap();
    let all = bed
        .control(reqwest::Method::GET, "/requests?since=0", Value::Null)
        .await;
    assert_eq!(reads(&all), 2);
}

#[tokio::test]
async fn a_stamped_vm_that_no_slot_claims_is_named_at_the_second_look() {
    let bed = Bed::start().await;
    let stamp = "decent-cloud.org/v1 hub=0a1b2c3d-0000-4000-8000-000000000000 \
                 machine=0a1b2c3d-0000-4000-8000-000000000001 slot=0a1b2c3d-0000-4000-8000-000000000002";
    for (vmid, description) in [(10_000, stamp), (10_001, stamp), (10_002, "by hand")] {
        let vm =
            json!({"vmid": vmid, "node": "pve1", "pool": "decent", "config": {"description": description}});
        bed.post("/vms", vm).await;
    }
    let connected = bed.connected().await;
    let inventory = bed.handle(&connected).fresh(Duration::ZERO).await.unwrap();
    let (claimed, mut orphans) = (BTreeSet::from([10_001]), Orphans::default());
    let first = orphans.look(&connected.pve, &inventory, &claimed).await;
    let second = orphans.look(&connected.pve, &inventory, &claimed).await;
    assert!(first.is_empty());
    assert_eq!(second.len(), 1);
    assert!(
        second[0].starts_with(
            "VM 10000 on node pve1 carries the stamp of Slot 0a1b2c3d-0000-4000-8000-000000000002"
        )
    );
}
