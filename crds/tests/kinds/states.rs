//! The two persisted state machines, pair by pair, as the API server enforces them on the status.

use std::collections::BTreeMap;

use anyhow::Result;
use crds::slot::SlotPhase;
use domain::contract::{State, next};
use serde_json::{Value, json};
use testkit::{TestNamespace, with_namespace};

use crate::support::samples::{self, AT};
use crate::support::{Case, check, collection, merged, send, store};

const STATE: &str = "the state cannot go there from where it is";
const PHASE: &str = "phase moves Claimed → Releasing → Resting; Quarantined is left by clearing only";
const CAUSE: &str = "a Slot is released with a cause only";

fn with_status(object: &Value, status: &Value) -> Value {
    merged(object, &json!({ "status": status }))
}

/// First writes and the rules beside the tables.
pub fn all() -> Vec<Case> {
    let contract = samples::full("Contract");
    let to_state = |state: State| {
        let object = with_status(&contract, &json!({ "state": state, "conditions": [] }));
        let legal = next(State::Requested, state).is_ok();
        let case = if legal {
            Case::accepted(object)
        } else {
            Case::refused(object, "status.state", STATE)
        };
        case.from(contract.clone()).in_status()
    };
    let slot = samples::full("Slot");
    let to_phase = |phase: SlotPhase| {
        let legal = phase == SlotPhase::Claimed || SlotPhase::Claimed.successors().contains(&phase);
        let object = with_status(&slot, &slot_status(phase));
        let case = if legal {
            Case::accepted(object)
        } else {
            Case::refused(object, "status.phase", PHASE)
        };
        case.from(slot.clone()).in_status()
    };
    let causeless = with_status(&slot, &json!({ "phase": "Releasing", "conditions": [] }));
    let quarantined = with_status(&slot, &json!({ "phase": "Quarantined", "conditions": [] }));
    let beside = [
        Case::refused(causeless, "status.release", CAUSE)
            .from(slot.clone())
            .in_status(),
        Case::accepted(quarantined).from(slot.clone()).in_status(),
    ];
    let states = State::ALL.into_iter().map(to_state);
    states
        .chain(SlotPhase::ALL.into_iter().map(to_phase))
        .chain(beside)
        .collect()
}

fn slot_status(phase: SlotPhase) -> Value {
    json!({ "phase": phase, "conditions": [], "release": { "cause": "Teardown", "at": AT, "by": "m-1" } })
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn a_first_status_starts_at_the_beginning() -> Result<()> {
    with_namespace(|ns| async move { check(&ns, all()).await }).await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn contracts_move_exactly_as_the_table_says() -> Result<()> {
    with_namespace(|ns| async move {
        let status = |state: State| json!({ "state": state, "conditions": [] });
        let ways = ways(State::Requested, State::successors);
        assert_eq!(ways.len(), State::ALL.len(), "every state is reachable");
        for (n, way) in ways.values().enumerate() {
            let mut object = samples::full("Contract");
            object["metadata"]["name"] = json!(format!("at-{n}"));
            let from = *way.last().expect("a state");
            let at = walk(
                &ns,
                &object,
                &way.iter().map(|state| status(*state)).collect::<Vec<_>>(),
            )
            .await?;
            for to in State::ALL {
                let legal = next(from, to).is_ok();
                verdict(
                    &ns,
                    &at,
                    &status(to),
                    legal.then_some(()).ok_or(("status.state", STATE)),
                )
                .await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn slots_move_exactly_as_the_table_says() -> Result<()> {
    with_namespace(|ns| async move {
        let ways = ways(SlotPhase::Claimed, SlotPhase::successors);
        assert_eq!(ways.len(), SlotPhase::ALL.len(), "every phase is reachable");
        for (n, way) in ways.values().enumerate() {
            let mut object = merged(&samples::full("Slot"), &json!({ "spec": { "index": n } }));
            object["metadata"]["name"] = json!(format!("ams1-{n}"));
            let from = *way.last().expect("a phase");
            let at = walk(
                &ns,
                &object,
                &way.iter().map(|phase| slot_status(*phase)).collect::<Vec<_>>(),
            )
            .await?;
            for to in SlotPhase::ALL {
                let legal = from == to || from.successors().contains(&to);
                verdict(
                    &ns,
                    &at,
                    &slot_status(to),
                    legal.then_some(()).ok_or(("status.phase", PHASE)),
                )
                .await?;
            }
        }
        Ok(())
    })
    .await
}

/// A shortest way from the start to each state that can be reached.
fn ways<S: Copy + Ord>(start: S, successors: fn(S) -> &'static [S]) -> BTreeMap<S, Vec<S>> {
    let mut found = BTreeMap::from([(start, vec![start])]);
    let mut open = std::collections::VecDeque::from([start]);
    while let Some(state) = open.pop_front() {
        for after in successors(state) {
            if !found.contains_key(after) {
                found.insert(*after, [&found[&state][..], &[*after]].concat());
                open.push_back(*after);
            }
        }
    }
    found
}

/// Stores the object and takes its status along a way.
async fn walk(ns: &TestNamespace, object: &Value, way: &[Value]) -> Result<Value> {
    let mut at = store(ns, object).await?;
    for status in way {
        let answer = put(ns, &at, status, false).await?;
        at = answer.unwrap_or_else(|refusal| panic!("{status}: {}", refusal.message));
    }
    Ok(at)
}

async fn put(
    ns: &TestNamespace,
    at: &Value,
    status: &Value,
    dry: bool,
) -> Result<Result<Value, Box<kube::core::Status>>> {
    let (kind, name) = (
        at["kind"].as_str().unwrap_or_default(),
        at["metadata"]["name"].as_str().unwrap_or_default(),
    );
    let path = format!(
        "{}/{name}/status{}",
        collection(ns, kind),
        if dry { "?dryRun=All" } else { "" }
    );
    let mut object = at.clone();
    object["status"] = status.clone();
    send(ns, "PUT", &path, &object).await
}

async fn verdict(ns: &TestNamespace, at: &Value, to: &Value, due: Result<(), (&str, &str)>) -> Result<()> {
    let answer = put(ns, at, to, true).await?;
    let from = &at["status"];
    match (answer, due) {
        (Ok(_), Ok(())) => {}
        (Err(refusal), Err((path, says))) => {
            let causes = refusal.details.map(|details| details.causes).unwrap_or_default();
            let right = causes
                .iter()
                .any(|cause| cause.field == path && cause.message.contains(says));
            assert!(right, "{from} to {to}: {}", refusal.message);
        }
        (Ok(_), Err(_)) => panic!("accepted: {from} to {to}"),
        (Err(refusal), Ok(())) => panic!("refused: {from} to {to}: {}", refusal.message),
    }
    Ok(())
}
