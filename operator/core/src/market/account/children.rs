//! What is in a namespace of an account: a ServiceAccount, its permissions, and for tenants a quota. Generated from
//! the table "who may write what"; nothing here looks at what exists.

use std::collections::BTreeMap;

use crds::common::GROUP;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{
    api::{
        authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
        core::v1::{ResourceQuota, ResourceQuotaSpec, ServiceAccount},
        rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::{Home, Part};

const TENANT: &str = "tenant";
const PROVIDER: &str = "provider";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

/// An object that we make in a namespace.
#[derive(Clone, Debug, PartialEq)]
pub enum Child {
    /// Whom kubeconfigs are for.
    ServiceAccount(ServiceAccount),
    /// What it may do.
    Role(Role),
    /// That it may.
    RoleBinding(RoleBinding),
    /// How many objects it may leave.
    ResourceQuota(ResourceQuota),
}

pub(super) fn of(home: &Home, account: &str, limit: i32) -> Vec<Child> {
    let (name, rules) = match home.part {
        Part::Tenant => (TENANT, tenant()),
        Part::Provider => (PROVIDER, provider()),
    };
    let metadata = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(home.namespace.clone()),
        labels: Some(BTreeMap::from([(
            home.part.label().to_owned(),
            account.to_owned(),
        )])),
        ..ObjectMeta::default()
    };
    let mut children = vec![
        Child::ServiceAccount(ServiceAccount {
            metadata: metadata(name),
            ..ServiceAccount::default()
        }),
        Child::Role(Role {
            metadata: metadata(name),
            rules: Some(rules),
        }),
        Child::RoleBinding(binding(metadata(name), name, &home.namespace)),
    ];
    if home.part == Part::Tenant {
        children.push(Child::ResourceQuota(quota(metadata("contracts"), limit)));
    }
    children
}

/// Asks the API server whether the account's ServiceAccount may already do what it is for: a permission that was granted
/// a moment ago is not known to the authorizer yet.
#[must_use]
pub fn review(granted: &RoleBinding) -> SubjectAccessReview {
    let namespace = granted.metadata.namespace.clone().unwrap_or_default();
    let name = granted.metadata.name.clone().unwrap_or_default();
    let resource = if name == TENANT { "contracts" } else { "offerings" };
    let groups = [
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ];
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{namespace}:{name}")),
            groups: Some(groups.into()),
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace),
                verb: Some("create".to_owned()),
                group: Some(GROUP.to_owned()),
                resource: Some(resource.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}

fn binding(metadata: ObjectMeta, name: &str, namespace: &str) -> RoleBinding {
    RoleBinding {
        metadata,
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".into()),
            kind: "Role".into(),
            name: name.into(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name: name.into(),
            namespace: Some(namespace.into()),
            ..Subject::default()
        }]),
    }
}

/// Ended Contracts stay as objects until their tenant deletes them, so the quota is far above the limit of live ones,
/// which the Contract planner keeps: it only bounds what one tenant can leave in the database.
fn quota(metadata: ObjectMeta, limit: i32) -> ResourceQuota {
    let objects = i64::from(limit.max(0)) * 10 + 100;
    let hard = BTreeMap::from([(format!("count/contracts.{GROUP}"), Quantity(objects.to_string()))]);
    let spec = Some(ResourceQuotaSpec {
        hard: Some(hard),
        ..ResourceQuotaSpec::default()
    });
    ResourceQuota {
        metadata,
        spec,
        ..ResourceQuota::default()
    }
}

fn tenant() -> Vec<PolicyRule> {
    vec![
        rule(GROUP, &["contracts"], &WRITE),
        rule(GROUP, &["contracts/status"], &["get"]),
        events(),
    ]
}

fn provider() -> Vec<PolicyRule> {
    vec![
        rule(GROUP, &["providers", "offerings", "pools", "gateways"], &WRITE),
        rule("", &["secrets"], &["get", "create", "update", "patch"]),
        // Which fields of these may be changed is said by the policy `provider-hands`.
        rule(GROUP, &["slots", "machines"], &["get", "list", "watch", "patch"]),
        rule(GROUP, &["machines/status"], &["get", "patch"]),
        events(),
    ]
}

fn events() -> PolicyRule {
    let mut rule = rule("events.k8s.io", &["events"], &READ);
    rule.api_groups = Some(vec![String::new(), "events.k8s.io".into()]);
    rule
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}
