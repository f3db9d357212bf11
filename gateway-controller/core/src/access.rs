//! What a Gateway's agent is and may do: objects that belong to the Gateway and go with it. The table is "who may write
//! what"; which fields is said by the policies `agent-routes` and `agent-word`.

use std::collections::BTreeMap;

use crds::{
    Gateway,
    common::{API_VERSION, GROUP},
    gateway::{agent_account, agent_lease},
};
use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Secret, ServiceAccount},
        rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::ResourceExt;

/// Label of everything that is made for a Gateway; the value is its name.
pub const OF_GATEWAY: &str = "decent-cloud.org/gateway";
/// The account of the provider's people.
const PROVIDER: &str = "provider";

/// What is made for a Gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Whom the agent is.
    pub account: ServiceAccount,
    /// What its credentials are bound to: deleting it revokes them.
    pub identity: Secret,
    /// What it renews.
    pub lease: Lease,
    /// What it may do, and what the provider's people may do about it.
    pub roles: [Role; 2],
    /// That they may.
    pub bindings: [RoleBinding; 2],
}

/// Everything that is made for a Gateway.
#[must_use]
pub fn access(gateway: &Gateway) -> Access {
    let (name, account) = (gateway.name_any(), agent_account(&gateway.name_any()));
    let people = format!("{account}-people");
    Access {
        account: ServiceAccount {
            metadata: named(gateway, &account),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        },
        identity: Secret {
            metadata: named(gateway, &account),
            ..Secret::default()
        },
        lease: Lease {
            metadata: named(gateway, &agent_lease(&name)),
            ..Lease::default()
        },
        roles: [
            role(gateway, &account, agent(&name)),
            role(gateway, &people, self::people(&account)),
        ],
        bindings: [
            binding(gateway, &account, &account),
            binding(gateway, &people, PROVIDER),
        ],
    }
}

/// The agent reads its Gateway and the namespace's Slots, writes their status and its Lease, and renews its token.
fn agent(gateway: &str) -> Vec<PolicyRule> {
    let account = agent_account(gateway);
    vec![
        rule(GROUP, "gateways", &["get", "list", "watch"], Some(gateway)),
        rule(GROUP, "gateways/status", &["get", "patch"], Some(gateway)),
        rule(GROUP, "slots", &["get", "list", "watch"], None),
        rule(GROUP, "slots/status", &["get", "patch"], None),
        rule(
            "coordination.k8s.io",
            "leases",
            &["get", "update", "patch"],
            Some(&agent_lease(gateway)),
        ),
        rule("", "serviceaccounts/token", &["create"], Some(&account)),
    ]
}

/// The provider's people draw tokens that enrol a host, and revoke its credentials.
fn people(account: &str) -> Vec<PolicyRule> {
    vec![
        rule("", "serviceaccounts/token", &["create"], Some(account)),
        rule("", "secrets", &["get", "delete"], Some(account)),
        rule("", "serviceaccounts", &["get", "delete"], Some(account)),
    ]
}

fn rule(group: &str, resource: &str, verbs: &[&str], name: Option<&str>) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names: name.map(|name| vec![name.to_owned()]),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..PolicyRule::default()
    }
}

fn role(gateway: &Gateway, name: &str, rules: Vec<PolicyRule>) -> Role {
    Role {
        metadata: named(gateway, name),
        rules: Some(rules),
    }
}

fn binding(gateway: &Gateway, role: &str, account: &str) -> RoleBinding {
    RoleBinding {
        metadata: named(gateway, role),
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "Role".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: account.to_owned(),
            namespace: gateway.namespace(),
            ..Subject::default()
        }]),
    }
}

fn named(gateway: &Gateway, name: &str) -> ObjectMeta {
    let owner = OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: "Gateway".to_owned(),
        name: gateway.name_any(),
        uid: gateway.uid().unwrap_or_default(),
        controller: Some(true),
        ..OwnerReference::default()
    };
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: gateway.namespace(),
        labels: Some(BTreeMap::from([(OF_GATEWAY.to_owned(), gateway.name_any())])),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::gateway;

    #[test]
    fn an_agent_may_name_only_what_is_its_own() {
        let made = access(&gateway("ams1", 1, 10));
        let rules = made.roles[0].rules.clone().unwrap();
        let open: Vec<_> = rules
            .iter()
            .filter(|rule| rule.resource_names.is_none())
            .collect();
        // Slots have no name that could be known before.
        assert!(
            open.iter()
                .all(|rule| rule.resources.as_ref().unwrap()[0].starts_with("slots"))
        );
        let secrets = rules
            .iter()
            .any(|rule| rule.resources.as_ref().unwrap()[0] == "secrets");
        assert!(!secrets, "an agent reads no Secret");
        let own = ["ams1", "decent-agent-ams1", "gateway-ams1"];
        let named = rules.iter().filter_map(|rule| rule.resource_names.as_ref());
        assert!(named.flatten().all(|name| own.contains(&name.as_str())));
    }

    #[test]
    fn all_of_it_goes_with_its_gateway() {
        let made = access(&gateway("ams1", 1, 10));
        let metadata = [
            &made.account.metadata,
            &made.identity.metadata,
            &made.lease.metadata,
            &made.roles[0].metadata,
            &made.roles[1].metadata,
            &made.bindings[0].metadata,
            &made.bindings[1].metadata,
        ];
        for one in metadata {
            assert_eq!(
                one.owner_references.as_ref().unwrap()[0].uid,
                crate::samples::uid(1)
            );
            assert_eq!(one.namespace.as_deref(), Some("provider-acme"));
        }
    }
}
