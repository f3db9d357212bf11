//! What the demo says of an object: one short line that changes only when something did. Pure.

use crds::common::{Actor, Waiting};
use crds::{Account, Contract, Machine, Offering, Pool, Provider, Slot};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The condition of that type.
pub fn condition<'a>(all: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    all.iter().find(|condition| condition.type_ == kind)
}

/// Whether the condition of that type is True.
pub fn holds(all: &[Condition], kind: &str) -> bool {
    condition(all, kind).is_some_and(|condition| condition.status == "True")
}

/// An object that can be followed.
pub trait Told {
    /// Its kind, as kubectl takes it.
    const KIND: &'static str;
    /// Its conditions.
    fn conditions(&self) -> &[Condition];
    /// How it stands.
    fn says(&self) -> String {
        ready(self.conditions())
    }
}

macro_rules! told {
    ($($kind:ident, $name:literal;)+) => {
        $(impl Told for $kind {
            const KIND: &'static str = $name;
            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| &status.conditions)
            }
        })+
    };
}

told! {
    Account, "account";
    Provider, "provider";
    Offering, "offering";
    Pool, "pool";
}

impl Told for Slot {
    const KIND: &'static str = "slot";

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn says(&self) -> String {
        let spec = &self.spec;
        let phase = self.phase();
        format!(
            "{phase:?}: VMID {}, node {}, address {}",
            spec.vmid, spec.node, spec.address
        )
    }
}

impl Told for Machine {
    const KIND: &'static str = "machine";

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn says(&self) -> String {
        match condition(self.conditions(), "Ready") {
            Some(ready) => ready.reason.clone(),
            None if self.spec.admitted => "admitted".into(),
            None => "waits to be admitted".into(),
        }
    }
}

impl Told for Contract {
    const KIND: &'static str = "contract";

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn says(&self) -> String {
        let Some(status) = &self.status else {
            return "requested".into();
        };
        let state = status.state;
        let ready = condition(&status.conditions, "Ready");
        let cause = ready.map_or("", |ready| first_sentence(&ready.message));
        match (&status.waiting, ready) {
            (Some(waiting), _) => format!("{state} · {}: {cause}{}", waiting.reason, who(waiting)),
            (None, Some(ready)) if state.is_terminal() => format!("{state} · {}: {cause}", ready.reason),
            (None, _) => state.to_string(),
        }
    }
}

/// Who must act for a wait to end, and how.
fn who(waiting: &Waiting) -> String {
    match waiting.actor {
        Actor::Nobody => String::new(),
        actor => format!(
            " ({} must act: {})",
            format!("{actor:?}").to_lowercase(),
            waiting.next_step
        ),
    }
}

fn ready(conditions: &[Condition]) -> String {
    match condition(conditions, "Ready") {
        Some(ready) => format!("{}: {}", ready.reason, first_sentence(&ready.message)),
        None => "created".into(),
    }
}

/// Up to the first full stop that ends a sentence.
fn first_sentence(text: &str) -> &str {
    text.find(". ").and_then(|end| text.get(..=end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn contract(status: &Value) -> Contract {
        let spec = json!({ "offeringRef": { "namespace": "p", "name": "small" }, "sshKeys": ["k"] });
        let object = json!({
            "apiVersion": "decent-cloud.org/v1alpha1", "kind": "Contract", "metadata": { "name": "web" },
            "spec": spec, "status": status,
        });
        serde_json::from_value(object).expect("a Contract")
    }

    fn waiting(actor: &str) -> Value {
        json!({
            "state": "Provisioning",
            "conditions": [{
                "type": "Ready", "status": "False", "reason": "Cloning", "lastTransitionTime": "2026-01-01T00:00:00Z",
                "message": "Cloning template 9000 to VMID 10000 on pve1. You can cancel.",
            }],
            "waiting": {
                "reason": "Cloning", "actor": actor, "since": "2026-01-01T00:00:00Z", "nextStep": "Wait.",
            },
        })
    }

    #[test]
    fn a_contract_says_its_state_and_what_it_waits_for() {
        assert_eq!(contract(&json!(null)).says(), "requested");
        let says = contract(&waiting("Nobody")).says();
        assert_eq!(
            says,
            "provisioning · Cloning: Cloning template 9000 to VMID 10000 on pve1."
        );
    }

    #[test]
    fn who_must_act_is_named_with_what_to_do() {
        assert!(
            contract(&waiting("Provider"))
                .says()
                .ends_with("(provider must act: Wait.)")
        );
    }

    #[test]
    fn an_ended_contract_says_why() {
        let mut status = waiting("Nobody");
        status["state"] = json!("Rejected");
        status["waiting"] = json!(null);
        let says = contract(&status).says();
        assert_eq!(
            says,
            "rejected · Cloning: Cloning template 9000 to VMID 10000 on pve1."
        );
    }

    #[test]
    fn a_sentence_ends_at_a_full_stop_before_a_space() {
        assert_eq!(first_sentence("At 10.64.0.1 now. Next."), "At 10.64.0.1 now.");
        assert_eq!(first_sentence("Only one."), "Only one.");
    }
}
