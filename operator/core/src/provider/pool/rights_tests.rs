//! The preflight's view of rights: what is lacking, what is too much, and the line that gives it.

use rstest::rstest;

use super::{
    tests::{TOKEN, answered, barred, good},
    *,
};
use crate::provider::pool::NodeSeen;

#[test]
fn p37_each_privilege_that_is_taken_is_named_with_the_line_that_gives_it_back() {
    let all: Vec<(String, String)> = good()
        .permissions
        .iter()
        .flat_map(|(path, held)| held.keys().map(move |name| (path.clone(), name.clone())))
        .collect();
    assert_eq!(all.len(), 13 + 2, "thirteen, two of them on a second template");
    for (path, privilege) in all {
        let (_, verdict) = answered(|seen| {
            seen.permissions.get_mut(&path).unwrap().remove(&privilege);
        });
        let (reason, message) = barred(&verdict);
        assert_eq!(reason, Reason::MissingPrivilege);
        assert!(
            message.contains(&format!("lacks {privilege} on {path}.")),
            "{message}"
        );
        assert!(
            message.contains(&format!(
                "pveum acl modify {path} --tokens '{TOKEN}' --roles Decent"
            )),
            "{message}"
        );
        assert!(message.contains("--users 'decent@pve'"), "{message}");
    }
}

#[test]
fn a_token_without_any_privilege_is_told_all_of_them() {
    let (found, _) = answered(|seen| seen.permissions.clear());
    let paths = [
        "on /.",
        "on /pool/decent.",
        "on /sdn/zones/localnetwork/vmbr1.",
        "on /storage/fast.",
        "on /vms/9000.",
        "on /vms/9001.",
    ];
    assert_eq!(found.len(), paths.len());
    for (finding, path) in found.iter().zip(paths) {
        assert!(finding.message.contains(path), "{}", finding.message);
    }
}

#[rstest]
#[case("/storage", true, false)]
#[case("/storage", false, true)]
#[case("/", true, false)]
fn p45_rights_are_inherited_only_where_they_propagate(
    #[case] above: &str,
    #[case] propagates: bool,
    #[case] lacks: bool,
) {
    let (found, _) = answered(|seen| {
        seen.permissions.remove("/storage/fast");
        seen.permissions
            .entry(above.to_owned())
            .or_default()
            .insert("Datastore.AllocateSpace".to_owned(), propagates);
    });
    assert_eq!(
        found.iter().any(|f| f.reason == Reason::MissingPrivilege),
        lacks,
        "{found:?}"
    );
}

#[test]
fn a_path_that_is_stated_hides_what_is_above() {
    let (found, _) = answered(|seen| {
        seen.permissions
            .insert("/vms".to_owned(), [("VM.Clone".to_owned(), true)].into());
        seen.permissions.get_mut("/vms/9000").unwrap().remove("VM.Clone");
    });
    assert_eq!(found[0].reason, Reason::MissingPrivilege);
}

#[test]
fn p38_bridges_need_a_privilege_only_where_proxmox_knows_it() {
    let without = |version: &str| {
        answered(|seen| {
            seen.version = version.to_owned();
            seen.permissions.remove("/sdn/zones/localnetwork/vmbr1");
        })
        .1
        .is_ready()
    };
    assert!(without("7.4-17") && !without("8.4.1") && !without("9.2.11") && !without("") && !without("10.0"));
}

#[test]
fn a_bridge_of_another_zone_counts() {
    let (_, verdict) = answered(|seen| {
        let held = seen.permissions.remove("/sdn/zones/localnetwork/vmbr1").unwrap();
        seen.permissions.insert("/sdn/zones/site/vmbr1".to_owned(), held);
    });
    assert!(verdict.is_ready());
}

#[test]
fn sys_audit_that_does_not_propagate_hides_the_nodes_sizes() {
    let (_, verdict) = answered(|seen| {
        seen.permissions
            .get_mut("/")
            .unwrap()
            .insert("Sys.Audit".to_owned(), false);
        seen.nodes.insert(
            "pve2".to_owned(),
            NodeSeen {
                online: true,
                sized: false,
            },
        );
    });
    let (reason, message) = barred(&verdict);
    assert_eq!(reason, Reason::MissingPrivilege);
    assert!(
        message.contains("lacks Sys.Audit on /nodes/pve2. On any node run: pveum acl modify / --tokens"),
        "{message}"
    );
}

#[test]
fn p45_vm_audit_on_all_vms_is_a_warning_only() {
    for path in ["/vms", "/"] {
        let (_, verdict) = answered(|seen| {
            seen.permissions
                .entry(path.to_owned())
                .or_default()
                .insert("VM.Audit".to_owned(), true);
        });
        let Readiness::Ready {
            warning: Some((reason, message)),
        } = verdict
        else {
            panic!("{verdict:?}")
        };
        assert_eq!(reason, Reason::ExcessPrivilege);
        assert!(message.contains("VM.Audit on /vms"), "{message}");
    }
}
