use k8s_openapi::api::rbac::v1::PolicyRule;
use rstest::rstest;

use super::*;
use crate::market::samples::{account, at, instant, offering_account};

fn exists(key: &str, value: &str) -> Standing {
    Standing::Exists {
        labels: vec![(key.into(), value.into())],
        terminating: false,
    }
}

fn planned(account: &Account, standing: &Standing) -> Plan {
    let homes: Vec<_> = homes(account)
        .into_iter()
        .map(|home| (home, standing.clone()))
        .collect();
    plan(account, &homes, 3, instant(60))
}

fn reason(plan: &Plan) -> (&str, &str) {
    let ready = &plan.status.conditions[0];
    (ready.status.as_str(), ready.reason.as_str())
}

fn rules(steps: &[Step]) -> Vec<PolicyRule> {
    steps
        .iter()
        .filter_map(|step| match step {
            Step::Ensure(child) => match &**child {
                Child::Role(role) => role.rules.clone(),
                _ => None,
            },
            Step::CreateNamespace(_) => None,
        })
        .flatten()
        .collect()
}

#[test]
fn a_new_account_gets_its_namespace_and_permissions() {
    let plan = planned(&account("alice"), &Standing::Absent);
    assert_eq!(reason(&plan), ("True", "Ready"));
    let Step::CreateNamespace(namespace) = &plan.steps[0] else {
        panic!("{:?}", plan.steps[0])
    };
    assert_eq!(namespace.metadata.name.as_deref(), Some("tenant-alice"));
    assert_eq!(
        namespace.metadata.labels,
        Some([(LABEL_ACCOUNT.to_owned(), "alice".to_owned())].into())
    );
    assert_eq!(plan.steps.len(), 5);
    assert_eq!(plan.status.contracts, 3);
}

#[test]
fn a_tenant_may_write_contracts_and_nothing_else() {
    let rules = rules(&planned(&account("alice"), &Standing::Absent).steps);
    let read = ["get", "list", "watch"];
    for rule in &rules {
        let writes = rule.verbs.iter().any(|verb| !read.contains(&verb.as_str()));
        assert_eq!(
            writes,
            rule.resources == Some(vec!["contracts".into()]),
            "{rule:?}"
        );
    }
    let all: Vec<_> = rules
        .iter()
        .flat_map(|r| r.resources.clone().unwrap_or_default())
        .collect();
    assert_eq!(all, ["contracts", "contracts/status", "events"]);
}

#[test]
fn a_provider_may_decide_and_annotate_but_not_make_or_delete_machines() {
    let rules = rules(&planned(&offering_account("acme"), &Standing::Absent).steps);
    let verbs = |resource: &str| {
        let of = rules
            .iter()
            .filter(|r| r.resources.iter().flatten().any(|r| r == resource));
        of.flat_map(|r| r.verbs.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(verbs("machines"), "get list watch patch");
    assert_eq!(verbs("slots"), "get list watch patch");
    assert_eq!(verbs("machines/status"), "get patch");
    assert_eq!(verbs("secrets"), "get create update patch");
    assert_eq!(verbs("offerings"), "get list watch create update patch delete");
}

#[rstest]
#[case::no_label(Standing::Exists { labels: vec![], terminating: false }, "NamespaceTaken")]
#[case::other_account(exists(LABEL_ACCOUNT, "bob"), "NamespaceTaken")]
#[case::other_label(exists("team", "alice"), "NamespaceTaken")]
#[case::older(Standing::TakenBy("bob".into()), "NamespaceTaken")]
#[case::going(Standing::Exists { labels: vec![(LABEL_ACCOUNT.into(), "alice".into())], terminating: true }, "Terminating")]
fn what_is_not_ours_is_never_touched(#[case] standing: Standing, #[case] want: &str) {
    let plan = planned(&account("alice"), &standing);
    assert_eq!(plan.steps, []);
    assert_eq!(reason(&plan), ("False", want));
}

#[test]
fn a_labelled_namespace_is_furnished_not_made() {
    let plan = planned(&account("alice"), &exists(LABEL_ACCOUNT, "alice"));
    assert_eq!(plan.steps.len(), 4);
    assert!(plan.steps.iter().all(|step| matches!(step, Step::Ensure(_))));
    assert_eq!(reason(&plan), ("True", "Ready"));
}

#[test]
fn the_quota_leaves_room_for_ended_contracts() {
    let plan = planned(&account("alice"), &Standing::Absent);
    let Some(Step::Ensure(child)) = plan.steps.last() else {
        panic!()
    };
    let Child::ResourceQuota(quota) = &**child else {
        panic!("{child:?}")
    };
    let hard = quota.spec.clone().unwrap().hard.unwrap();
    assert_eq!(hard["count/contracts.decent-cloud.org"].0, "200");
}

#[test]
fn equal_facts_give_equal_plans_and_times_move_with_the_status() {
    let alice = account("alice");
    let first = planned(&alice, &Standing::Absent);
    assert_eq!(first, planned(&alice, &Standing::Absent));
    assert_eq!(first.status.conditions[0].last_transition_time, at(0));
    let failed = failed(&alice, "no answer", 0, instant(60));
    assert_eq!(failed.conditions[0].last_transition_time, at(60));
}

#[test]
fn a_quota_that_was_never_counted_admits_nothing() {
    let children = children::of(&homes(&account("alice"))[0], "alice", 10);
    let quota = children.into_iter().find_map(|child| match child {
        Child::ResourceQuota(quota) => Some(quota),
        _ => None,
    });
    let mut quota = quota.unwrap();
    assert!(!admits(&quota));
    let used = quota.spec.clone().unwrap().hard;
    quota.status = Some(k8s_openapi::api::core::v1::ResourceQuotaStatus { used, hard: None });
    assert!(admits(&quota));
    let said = opening(&account("alice"), 0, instant(0));
    assert_eq!(said.conditions[0].reason, "Reconciling");
}

#[rstest]
#[case::tenant("alice", "tenant", "contracts")]
#[case::provider("acme", "provider", "offerings")]
fn whether_a_permission_is_known_is_asked_for_the_very_service_account(
    #[case] account: &str,
    #[case] name: &str,
    #[case] resource: &str,
) {
    let account = offering_account(account);
    let home = &homes(&account)[usize::from(name == "provider")];
    let children = children::of(home, &account.name_any(), 10);
    let granted = children.into_iter().find_map(|child| match child {
        Child::RoleBinding(binding) => Some(binding),
        _ => None,
    });
    let asked = review(&granted.unwrap()).spec;
    let user = format!("system:serviceaccount:{}:{name}", home.namespace);
    assert_eq!(asked.user, Some(user));
    assert!(
        asked
            .groups
            .unwrap()
            .contains(&format!("system:serviceaccounts:{}", home.namespace))
    );
    let wanted = asked.resource_attributes.unwrap();
    assert_eq!(wanted.namespace.as_deref(), Some(home.namespace.as_str()));
    assert_eq!(
        (wanted.verb.as_deref(), wanted.resource.as_deref()),
        (Some("create"), Some(resource))
    );
}
