//! Looks after Machines whose Contract is gone though nothing ended them. Decides nothing: that is the core's.

use std::{sync::Arc, time::Duration};

use crds::{Contract, Machine};
use kit::events::Transition;
use kube::{
    Resource, ResourceExt,
    runtime::{controller::Action, events::EventType},
};
use operator_core::{
    market::ownerless::{Care, END, SINCE, care},
    reason::Reason,
};
use serde_json::json;

use super::{
    Error, Shared,
    error::at,
    labels::Step,
    status::{api, identity},
};
use crate::caches::get;

/// The cache is asked this often: a Contract that vanishes wakes nobody.
const LOOK: Duration = Duration::from_mins(10);
/// While its Contract is being deleted.
const SOON: Duration = Duration::from_secs(5);

/// One look at a Machine without a teardown.
///
/// # Errors
/// A call to the API server failed.
pub(super) async fn look_after(shared: &Shared, machine: &Machine) -> Result<Action, Error> {
    let (owned, going) = contract(shared, machine).await?;
    let sure = !shared.ctx.server_clock.agreement().must_hold();
    match care(machine, owned, sure, shared.ctx.clock.now()) {
        Care::Nothing => {}
        // Emptied, not left out: a mark that somebody else has edited stays otherwise.
        Care::Unmark => {
            write(
                shared,
                machine,
                &json!({SINCE: "", END: ""}),
                &json!(machine.spec),
            )
            .await?;
        }
        Care::Mark(since, text) => {
            write(shared, machine, &json!({SINCE: since}), &json!(machine.spec)).await?;
            say(shared, machine, &text);
        }
        Care::Wait(until) => {
            let left = until.duration_since(shared.ctx.clock.now());
            let left = Duration::try_from(left).unwrap_or_default();
            return Ok(Action::requeue(left.clamp(SOON, LOOK)));
        }
        Care::End(teardown) => {
            let mut spec = machine.spec.clone();
            spec.teardown = Some(teardown);
            let kept = machine.annotations().get(SINCE);
            write(shared, machine, &json!({SINCE: kept}), &json!(spec)).await?;
        }
    }
    Ok(Action::requeue(if going { SOON } else { LOOK }))
}

/// Whether its very Contract is there, and whether that is being deleted. What the cache lacks the API server is asked
/// for.
async fn contract(shared: &Shared, machine: &Machine) -> Result<(bool, bool), Error> {
    let of = &machine.spec.contract_ref;
    let (namespace, name) = (of.namespace.as_str(), of.name.as_str());
    let its = |uid: Option<String>| uid.as_deref() == Some(of.uid.as_str());
    let cached = get(&shared.contracts, namespace, name).filter(|guard| its(guard.uid()));
    if let Some(guard) = cached {
        return Ok((true, guard.meta().deletion_timestamp.is_some()));
    }
    let live = shared
        .ctx
        .writer
        .get(&api::<Contract>(shared, namespace), name)
        .await;
    let live = live
        .map_err(at(Step::Observe))?
        .filter(|contract| its(contract.uid()));
    let going = live
        .as_ref()
        .is_some_and(|contract| contract.metadata.deletion_timestamp.is_some());
    Ok((live.is_some(), going))
}

/// The spec belongs to the same manager as the mark, so both are applied together.
async fn write(
    shared: &Shared,
    machine: &Machine,
    marks: &serde_json::Value,
    spec: &serde_json::Value,
) -> Result<(), Error> {
    let mut body = identity(machine);
    body["metadata"]["annotations"] = marks.clone();
    // The cached spec is written back: only if nobody has changed it since.
    body["metadata"]["resourceVersion"] = json!(machine.resource_version());
    body["spec"] = spec.clone();
    let api = api::<Machine>(shared, &machine.namespace().unwrap_or_default());
    let written = shared
        .ctx
        .writer
        .apply(&api, &machine.name_any(), &body)
        .await
        .map_err(at(Step::Teardown))?;
    shared.written_machines.wrote(Arc::new(written));
    Ok(())
}

fn say(shared: &Shared, machine: &Machine, text: &str) {
    let (namespace, name) = (machine.namespace().unwrap_or_default(), machine.name_any());
    tracing::warn!(machine = %format!("{namespace}/{name}"), "machine {namespace}/{name}: {text}");
    let transition = Transition {
        reason: Reason::ContractGone.as_str().to_owned(),
        message: text.to_owned(),
        action: "LookAfter".to_owned(),
        type_: EventType::Warning,
    };
    shared
        .ctx
        .events
        .publish(&machine.object_ref(&()), vec![transition]);
}
