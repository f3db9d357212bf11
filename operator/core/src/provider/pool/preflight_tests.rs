//! The preflight by example: what of a Pool is told, and to whom it bars the way.

use std::collections::BTreeMap;

use crds::pool::{CloneMode, PoolNode, Template, TemplateVmid};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::provider::pool::{NodeSeen, StorageSeen, lint::TemplateSeen};

pub(super) const TOKEN: &str = "decent@pve!op";

fn spec() -> PoolSpec {
    let node = |name: &str| PoolNode {
        name: name.into(),
        ..PoolNode::default()
    };
    let mut spec = PoolSpec {
        nodes: vec![node("pve1"), node("pve2")],
        storage: "fast".into(),
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
    spec.proxmox.pool = "decent".into();
    spec.gateway_ref.name = "ams1".into();
    spec.proxmox.token_secret_ref.name = "proxmox".into();
    spec
}

fn config() -> BTreeMap<String, String> {
    [
        ("boot", "order=scsi0"),
        ("scsi0", "fast:base-9000-disk-0,size=1G"),
        ("ide2", "fast:vm-9000-cloudinit,media=cdrom,size=4M"),
        ("template", "1"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

pub(super) fn good() -> Answered {
    let grant = |path: &str, names: &[&str]| {
        (
            path.to_owned(),
            names
                .iter()
                .map(|name| ((*name).to_owned(), true))
                .collect::<BTreeMap<_, _>>(),
        )
    };
    let on_pool = [
        "VM.Allocate",
        "VM.Audit",
        "VM.Config.CPU",
        "VM.Config.Disk",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.Options",
        "VM.PowerMgmt",
    ];
    let usable = |node: &str| StorageSeen {
        node: node.to_owned(),
        name: "fast".to_owned(),
        state: StorageState::Usable,
    };
    let template = |vmid, node: &str| TemplateSeen {
        vmid,
        node: Some(node.to_owned()),
        gone: false,
        template: true,
        config: Some(config()),
    };
    let node = |name: &str| {
        (
            name.to_owned(),
            NodeSeen {
                online: true,
                sized: true,
            },
        )
    };
    Answered {
        token: TOKEN.to_owned(),
        version: "9.2.11".to_owned(),
        permissions: BTreeMap::from([
            grant("/", &["Sys.Audit"]),
            grant("/pool/decent", &on_pool),
            grant("/vms/9000", &["VM.Clone", "VM.Audit"]),
            grant("/vms/9001", &["VM.Clone", "VM.Audit"]),
            grant("/storage/fast", &["Datastore.AllocateSpace"]),
            grant("/sdn/zones/localnetwork/vmbr1", &["SDN.Use"]),
        ]),
        quorate: Some(true),
        firewall: Some(true),
        nodes: [node("pve1"), node("pve2")].into(),
        storages: vec![usable("pve1"), usable("pve2")],
        templates: vec![template(9000, "pve1"), template(9001, "pve2")],
    }
}

fn judged(spec: &PoolSpec, contact: &Contact) -> (Vec<Finding>, Readiness) {
    let found = findings(&Facts {
        spec,
        contact,
        gateway: None,
        overlap: None,
        held_by: None,
    });
    let verdict = readiness(&found);
    (found, verdict)
}

pub(super) fn answered(change: impl FnOnce(&mut Answered)) -> (Vec<Finding>, Readiness) {
    let mut answered = good();
    change(&mut answered);
    judged(&spec(), &Contact::Answered(Box::new(answered)))
}

pub(super) fn barred(verdict: &Readiness) -> (Reason, &str) {
    match verdict {
        Readiness::Not { reason, message } => (*reason, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_pool_is_ready_without_a_word() {
    assert_eq!(answered(|_| {}), (vec![], Readiness::Ready { warning: None }));
}

#[test]
fn a_firewall_that_is_off_keeps_tenants_out_but_not_the_owner() {
    for firewall in [Some(false), None] {
        let (_, verdict) = answered(|seen| seen.firewall = firewall);
        let Readiness::OwnerOnly { reason, message } = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(reason, Reason::FirewallOff);
        assert!(message.contains("neighbours on vmbr1"), "{message}");
    }
    let external = PoolSpec {
        network_isolation: NetworkIsolation::External,
        ..spec()
    };
    let off = Answered {
        firewall: Some(false),
        ..good()
    };
    assert!(judged(&external, &Contact::Answered(Box::new(off))).1.is_ready());
}

#[test]
fn a_cluster_without_quorum_takes_nobody() {
    let (_, verdict) = answered(|seen| seen.quorate = Some(false));
    assert_eq!(barred(&verdict).0, Reason::NoQuorum);
}

#[test]
fn one_node_away_is_a_warning_and_all_away_bars() {
    let away = NodeSeen {
        online: false,
        sized: false,
    };
    let (_, verdict) = answered(|seen| {
        seen.nodes.insert("pve2".to_owned(), away);
        seen.templates[1].node = None;
    });
    let Readiness::Ready {
        warning: Some((reason, message)),
    } = verdict
    else {
        panic!("{verdict:?}")
    };
    assert_eq!(
        (reason, message.as_str()),
        (Reason::NodeOffline, "Node pve2 is offline.")
    );
    let (_, verdict) = answered(|seen| {
        seen.nodes.insert("pve1".to_owned(), away);
        seen.nodes.remove("pve2");
    });
    assert_eq!(
        barred(&verdict),
        (
            Reason::NodeOffline,
            "Node pve1 is offline. The cluster has no node pve2."
        )
    );
}

#[rstest]
#[case(StorageState::Missing, "does not exist")]
#[case(StorageState::Inactive, "is switched off or not mounted")]
#[case(StorageState::NoImages, "does not hold disks of VMs")]
fn a_storage_that_holds_no_disks_is_named(#[case] state: StorageState, #[case] says: &str) {
    let (_, verdict) = answered(|seen| seen.storages.iter_mut().for_each(|storage| storage.state = state));
    let (reason, message) = barred(&verdict);
    assert_eq!(reason, Reason::StorageMissing);
    assert!(
        message.contains(&format!("Storage fast {says} on node pve1.")),
        "{message}"
    );
    let (_, one) = answered(|seen| seen.storages[0].state = state);
    assert!(one.is_ready(), "{one:?}");
}

#[rstest]
#[case::missing(|t: &mut TemplateSeen| t.node = None, "isn't on node pve2. Replicate it or take pve2 out of the pool.")]
#[case::elsewhere(|t: &mut TemplateSeen| t.node = Some("pve1".to_owned()), "is on node pve1, not on pve2.")]
#[case::ordinary(|t: &mut TemplateSeen| t.template = false, "is an ordinary VM. Convert it to a template.")]
#[case::no_disk(|t: &mut TemplateSeen| { t.config.as_mut().unwrap().remove("scsi0"); }, "has no boot disk.")]
#[case::no_drive(|t: &mut TemplateSeen| { t.config.as_mut().unwrap().remove("ide2"); }, "has no cloud-init drive. Add one: qm set 9001 --ide2 fast:cloudinit")]
#[case::other_cd(|t: &mut TemplateSeen| { t.config.as_mut().unwrap().insert("ide2".to_owned(), "local:iso/cloudinit-live.iso,media=cdrom".to_owned()); }, "has no cloud-init drive.")]
fn templates_are_linted(#[case] spoil: fn(&mut TemplateSeen), #[case] says: &str) {
    let (_, verdict) = answered(|seen| spoil(&mut seen.templates[1]));
    let (reason, message) = barred(&verdict);
    assert_eq!(reason, Reason::TemplateMissing);
    assert!(
        message.starts_with("Template debian-13 (VMID 9001)") && message.contains(says),
        "{message}"
    );
}

#[test]
fn a_template_that_is_gone_is_missing_and_no_privilege_is() {
    let gone = |gone: bool| {
        answered(|seen| {
            seen.permissions.remove("/vms/9001");
            seen.templates[1] = TemplateSeen {
                vmid: 9001,
                node: None,
                gone,
                template: false,
                config: None,
            };
        })
        .1
    };
    assert_eq!(barred(&gone(true)).0, Reason::TemplateMissing);
    assert_eq!(barred(&gone(false)).0, Reason::MissingPrivilege);
}

#[test]
fn one_vmid_named_for_two_nodes_is_told() {
    let mut spec = spec();
    spec.templates[0].vmids[1].vmid = 9000;
    let (_, verdict) = judged(&spec, &Contact::Answered(Box::new(good())));
    let (reason, message) = barred(&verdict);
    assert_eq!(reason, Reason::TemplateMissing);
    assert!(
        message.contains("names VMID 9000 for more than one node"),
        "{message}"
    );
}

#[rstest]
#[case(CloneMode::Auto, "fast", Some(false))]
#[case(CloneMode::Auto, "slow", Some(true))]
#[case(CloneMode::Full, "fast", Some(true))]
#[case(CloneMode::Linked, "fast", Some(false))]
#[case(CloneMode::Linked, "slow", None)]
fn clones_are_linked_where_the_disk_is_on_the_same_storage(
    #[case] mode: CloneMode,
    #[case] on: &str,
    #[case] full: Option<bool>,
) {
    let spec = PoolSpec {
        clone_mode: mode,
        ..spec()
    };
    let mut seen = good().templates;
    seen[0]
        .config
        .as_mut()
        .unwrap()
        .insert("scsi0".to_owned(), format!("{on}:base-9000-disk-0"));
    let lint = lint(&spec, &seen, |_| true);
    let replica = lint.replicas.get(&("pve1".to_owned(), "debian-13".to_owned()));
    assert_eq!(replica.map(|replica| replica.full_clone), full);
    assert_eq!(lint.findings.is_empty(), full.is_some());
}

#[test]
fn the_gateway_and_the_overlap_are_told_besides() {
    let overlap = Finding::new(Reason::VmidOverlap, Bars::All, "VMIDs overlap.");
    let contact = Contact::Answered(Box::new(good()));
    let facts = Facts {
        spec: &spec(),
        contact: &contact,
        gateway: Some("does not exist.".to_owned()),
        overlap: Some(overlap),
        held_by: Some("ams1-3".to_owned()),
    };
    let found = findings(&facts);
    assert_eq!(
        found.iter().map(|f| f.reason).collect::<Vec<_>>(),
        [Reason::InUse, Reason::GatewayMissing, Reason::VmidOverlap]
    );
    assert_eq!(
        barred(&readiness(&found)).1,
        "It is being deleted, but Slot ams1-3 still names it. It goes once no Slot does. \
         Gateway ams1 does not exist. VMIDs overlap."
    );
}

#[rstest]
#[case(Contact::SecretUnreadable { text: "it does not exist".to_owned() }, Reason::SecretUnreadable, "Secret proxmox cannot be used: it does not exist.")]
#[case(Contact::TrustUnreadable { text: "no certificate".to_owned() }, Reason::TrustUnreadable, "no certificate")]
#[case(Contact::EndpointRefused { text: "Endpoint x.".to_owned() }, Reason::EndpointRefused, "Endpoint x.")]
#[case(Contact::Unreachable { hosts: "10.0.0.5:8006".to_owned(), since: Timestamp::UNIX_EPOCH, text: "no answer in time".to_owned() }, Reason::ProxmoxUnreachable, "No answer from 10.0.0.5:8006 since 1970-01-01 00:00 UTC (no answer in time). Running machines are not touched.")]
#[case(Contact::TokenRejected { token: TOKEN.to_owned() }, Reason::TokenRejected, "pveum user token list 'decent@pve'")]
#[case(Contact::Refused { text: "failed to read: 500 odd".to_owned() }, Reason::ProviderError, "500 odd")]
fn no_answer_says_why(#[case] contact: Contact, #[case] reason: Reason, #[case] says: &str) {
    let (_, verdict) = judged(&spec(), &contact);
    let (got, message) = barred(&verdict);
    assert_eq!(got, reason);
    assert!(message.contains(says), "{message}");
}

#[test]
fn p44_both_fingerprints_are_shown() {
    let mut pinned = spec();
    pinned.proxmox.fingerprint = Some("A1:B2".into());
    let other = Contact::CertificateMismatch {
        hosts: "pve1:8006".to_owned(),
        presented: Some("3F:00".to_owned()),
    };
    let (_, verdict) = judged(&pinned, &other);
    let (reason, message) = barred(&verdict);
    assert_eq!(reason, Reason::CertificateMismatch);
    assert!(
        message.starts_with("pve1:8006 presents fingerprint 3F:00 but the pool pins A1:B2."),
        "{message}"
    );
    let (_, verdict) = judged(&spec(), &other);
    assert!(barred(&verdict).1.contains("caBundle"));
}

proptest! {
    #[test]
    fn a_finding_that_bars_is_never_outvoted(bars in proptest::collection::vec(0_u8..3, 0..8)) {
        let found: Vec<Finding> = bars
            .iter()
            .map(|bars| match bars {
                0 => Finding::new(Reason::NoQuorum, Bars::All, "a"),
                1 => Finding::new(Reason::FirewallOff, Bars::Tenants, "b"),
                _ => Finding::new(Reason::ExcessPrivilege, Bars::Nobody, "c"),
            })
            .collect();
        let verdict = readiness(&found);
        prop_assert_eq!(matches!(verdict, Readiness::Not { .. }), bars.contains(&0));
        prop_assert_eq!(matches!(verdict, Readiness::OwnerOnly { .. }), !bars.contains(&0) && bars.contains(&1));
    }
}
