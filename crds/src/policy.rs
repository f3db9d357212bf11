//! Admission policies that belong to the kinds: rules that CEL in a definition can't state, since they concern verbs.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
    Validation,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::common::{GROUP, VERSION};

/// Name of the policy that keeps a Machine until its teardown is finished.
pub const MACHINE_DELETION: &str = "machine-deletion.decent-cloud.org";

/// Name of the policy that says what a provider may change of what is made for it.
pub const PROVIDER_HANDS: &str = "provider-hands.decent-cloud.org";
/// Name of the policy that says what of a Machine's status a provider may change.
pub const PROVIDER_DECISION: &str = "provider-decision.decent-cloud.org";
/// Name of the policy that says what an agent may write of Slots: the routes of its own Gateway.
pub const AGENT_ROUTES: &str = "agent-routes.decent-cloud.org";
/// Name of the policy that says what an agent may write of Gateways: what it says of itself.
pub const AGENT_WORD: &str = "agent-word.decent-cloud.org";
/// Name of the policy that says which tokens an agent may draw: those that end with its identity.
pub const AGENT_TOKENS: &str = "agent-tokens.decent-cloud.org";
/// The longest life of an agent's token, in seconds: 90 days.
pub const AGENT_TOKEN_LIFE: i64 = 90 * 86_400;
/// Prefix of the service accounts of agents; the rest is the Gateway's name.
pub const AGENT_ACCOUNT: &str = "gateway-";
/// Name of the policy that keeps a tenant from letting go of a Contract before its Machine knows.
pub const TENANT_HANDS: &str = "tenant-hands.decent-cloud.org";
const SAYS: &str = "a provider changes annotations of Slots and Machines, and status.decision and status.decisionMessage \
                    of Machines; the rest is the operator's";

/// A policy and what puts it in force.
pub type Policy = (ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding);

/// Every policy.
#[must_use]
pub fn all() -> Vec<Policy> {
    vec![
        machine_deletion(),
        provider_hands(),
        provider_decision(),
        tenant_hands(),
        agent_routes(),
        agent_word(),
        agent_tokens(),
    ]
}

/// Refuses to delete a Machine whose teardown is not finished: its VM would be left behind.
#[must_use]
pub fn machine_deletion() -> Policy {
    let spec = ValidatingAdmissionPolicySpec {
        match_constraints: Some(on(&["DELETE"], &["machines"])),
        validations: Some(vec![validation(
            "has(oldObject.status) && has(oldObject.status.ended)",
            "a Machine is deleted only after its teardown is finished: cancel or delete its Contract instead",
        )]),
        ..ValidatingAdmissionPolicySpec::default()
    };
    policy(MACHINE_DELETION, spec)
}

/// Fields of a Machine's status that only the operator writes.
const OPERATORS: &[&str] = &[
    "observedGeneration",
    "slot",
    "task",
    "vm",
    "waiting",
    "lastError",
    "phaseTimes",
    "restarts",
    "ended",
    "conditions",
];

/// A provider annotates Slots and Machines; roles can't tell fields apart, so this does.
#[must_use]
pub fn provider_hands() -> Policy {
    let spec = ValidatingAdmissionPolicySpec {
        match_constraints: Some(on(&["UPDATE"], &["slots", "machines", "machines/status"])),
        match_conditions: Some(by("provider")),
        validations: Some(vec![
            validation("object.spec == oldObject.spec", SAYS),
            validation(
                "object.metadata.?labels == oldObject.metadata.?labels && \
                 object.metadata.?finalizers == oldObject.metadata.?finalizers && \
                 object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences",
                SAYS,
            ),
        ]),
        ..ValidatingAdmissionPolicySpec::default()
    };
    policy(PROVIDER_HANDS, spec)
}

/// A provider decides about Machines and writes nothing else of their status.
#[must_use]
pub fn provider_decision() -> Policy {
    // The API server fills in an empty list of conditions with the first write of a status.
    let held = |object: &str, field: &str| match field {
        "conditions" => format!("{object}.?status.?conditions.orValue([])"),
        _ => format!("{object}.?status.?{field}"),
    };
    let same = |field: &&str| format!("{} == {}", held("object", field), held("oldObject", field));
    let kept: Vec<String> = OPERATORS.iter().map(same).collect();
    let spec = ValidatingAdmissionPolicySpec {
        match_constraints: Some(on(&["UPDATE"], &["machines", "machines/status"])),
        match_conditions: Some(by("provider")),
        validations: Some(vec![validation(&kept.join(" && "), SAYS)]),
        ..ValidatingAdmissionPolicySpec::default()
    };
    policy(PROVIDER_DECISION, spec)
}

/// A Contract without its finalizer could vanish while its machine goes on.
#[must_use]
pub fn tenant_hands() -> Policy {
    let spec = ValidatingAdmissionPolicySpec {
        match_constraints: Some(on(&["UPDATE"], &["contracts"])),
        match_conditions: Some(by("tenant")),
        validations: Some(vec![validation(
            "object.metadata.?finalizers == oldObject.metadata.?finalizers",
            "the finalizers of a Contract are the operator's: its machine is ended first; to end it, cancel or delete it",
        )]),
        ..ValidatingAdmissionPolicySpec::default()
    };
    policy(TENANT_HANDS, spec)
}

/// Fields of a Slot's status that only the operator writes.
const OPERATORS_OF_SLOTS: &[&str] = &["phase", "release", "restingSince", "conditions"];
/// Fields of a Gateway's status that only operator and gateway controller write.
const CONTROLLERS_OF_GATEWAYS: &[&str] = &[
    "observedGeneration",
    "fqdn",
    "recordsUnder",
    "identity",
    "capacity",
    "used",
    "slotsInUse",
    "challengesPublished",
    "conditions",
];

/// An agent writes `status.route` of its own Gateway's Slots.
#[must_use]
pub fn agent_routes() -> Policy {
    agent(AGENT_ROUTES, ("slots", "object.spec.gateway"), OPERATORS_OF_SLOTS)
}

/// An agent writes `status.agent` of its Gateway.
#[must_use]
pub fn agent_word() -> Policy {
    agent(
        AGENT_WORD,
        ("gateways", "object.metadata.name"),
        CONTROLLERS_OF_GATEWAYS,
    )
}

/// An agent draws tokens that end with its identity: one that is bound to nothing, or to something else, would outlive the
/// day on which its host is shut out.
#[must_use]
pub fn agent_tokens() -> Policy {
    let account = format!("'system:serviceaccount:' + request.namespace + ':{AGENT_ACCOUNT}'");
    let bound = "object.spec.?boundObjectRef.?kind.orValue('') == 'Secret' && \
                 'system:serviceaccount:' + request.namespace + ':' + object.spec.?boundObjectRef.?name.orValue('') == \
                 request.userInfo.username";
    let life = format!("object.spec.?expirationSeconds.orValue(0) <= {AGENT_TOKEN_LIFE}");
    let spec = ValidatingAdmissionPolicySpec {
        match_constraints: Some(rules("", "v1", &["CREATE"], &["serviceaccounts/token"])),
        match_conditions: Some(vec![MatchCondition {
            name: "by-an-agent".into(),
            expression: format!("request.userInfo.username.startsWith({account})"),
        }]),
        validations: Some(vec![
            validation(
                bound,
                "an agent's token is bound to the Secret that is its identity",
            ),
            validation(&life, "an agent's token lives for 90 days at most"),
        ]),
        ..ValidatingAdmissionPolicySpec::default()
    };
    policy(AGENT_TOKENS, spec)
}

/// Each policy is about one kind: a rule that reads fields of two is refused for both.
fn agent(name: &str, (kind, gateway): (&str, &str), guarded: &[&str]) -> Policy {
    // What the API server fills in with the first write of a status.
    let held = |object: &str, field: &str| match field {
        "conditions" => format!("{object}.?status.?conditions.orValue([])"),
        "phase" => format!("{object}.?status.?phase.orValue('Claimed')"),
        _ => format!("{object}.?status.?{field}"),
    };
    let same = |field: &&str| format!("{} == {}", held("object", field), held("oldObject", field));
    let kept: Vec<String> = guarded.iter().map(same).collect();
    let says = "an agent writes status.route of its own Gateway's Slots and status.agent of its Gateway, nothing else";
    let account = format!("'system:serviceaccount:' + request.namespace + ':{AGENT_ACCOUNT}'");
    let metadata = "object.metadata.?labels == oldObject.metadata.?labels && \
                    object.metadata.?annotations == oldObject.metadata.?annotations && \
                    object.metadata.?finalizers == oldObject.metadata.?finalizers && object.spec == oldObject.spec";
    let spec = ValidatingAdmissionPolicySpec {
        match_constraints: Some(on(&["UPDATE"], &[kind, &format!("{kind}/status")])),
        match_conditions: Some(vec![MatchCondition {
            name: "by-an-agent".into(),
            expression: format!("request.userInfo.username.startsWith({account})"),
        }]),
        validations: Some(vec![
            validation(
                &format!("request.userInfo.username == {account} + {gateway}"),
                says,
            ),
            validation(metadata, says),
            validation(&kept.join(" && "), says),
        ]),
        ..ValidatingAdmissionPolicySpec::default()
    };
    policy(name, spec)
}

/// Requests of the account that people of this side work with in their namespace.
fn by(side: &str) -> Vec<MatchCondition> {
    vec![MatchCondition {
        name: format!("by-a-{side}"),
        expression: format!(
            "request.userInfo.username == 'system:serviceaccount:' + request.namespace + ':{side}'"
        ),
    }]
}

/// Operations on our kinds.
fn on(operations: &[&str], resources: &[&str]) -> MatchResources {
    rules(GROUP, VERSION, operations, resources)
}

fn rules(group: &str, version: &str, operations: &[&str], resources: &[&str]) -> MatchResources {
    let owned = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
    MatchResources {
        resource_rules: Some(vec![NamedRuleWithOperations {
            api_groups: owned(&[group]),
            api_versions: owned(&[version]),
            operations: owned(operations),
            resources: owned(resources),
            ..NamedRuleWithOperations::default()
        }]),
        ..MatchResources::default()
    }
}

fn validation(expression: &str, message: &str) -> Validation {
    Validation {
        expression: expression.to_owned(),
        message: Some(message.to_owned()),
        reason: Some("Forbidden".into()),
        ..Validation::default()
    }
}

fn policy(name: &str, spec: ValidatingAdmissionPolicySpec) -> Policy {
    let policy = ValidatingAdmissionPolicy {
        metadata: named(name),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some("Fail".into()),
            ..spec
        }),
        ..ValidatingAdmissionPolicy::default()
    };
    let binding = ValidatingAdmissionPolicyBinding {
        metadata: named(name),
        spec: ValidatingAdmissionPolicyBindingSpec {
            policy_name: name.to_owned(),
            validation_actions: vec!["Deny".into()],
            ..ValidatingAdmissionPolicyBindingSpec::default()
        },
    };
    (policy, binding)
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[rstest::rstest]
    #[case("machines", OPERATORS, &["decision", "decisionMessage"])]
    #[case("slots", OPERATORS_OF_SLOTS, &["route"])]
    #[case("gateways", CONTROLLERS_OF_GATEWAYS, &["agent"])]
    fn every_field_of_a_status_is_either_free_for_one_or_guarded(
        #[case] kind: &str,
        #[case] guarded: &[&str],
        #[case] free: &[&str],
    ) {
        let (_, definition) = crate::manifests::definitions()
            .into_iter()
            .find(|(plural, _)| *plural == kind)
            .unwrap();
        let schema = serde_json::to_value(definition).unwrap();
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
        let fields: BTreeSet<String> = schema
            .pointer(path)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let known = guarded.iter().chain(free);
        assert_eq!(fields, known.map(|&field| field.to_owned()).collect());
    }
}
