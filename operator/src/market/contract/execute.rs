//! Does the steps of a plan in order and stops at the first that fails. Decides nothing.

use std::sync::Arc;

use crds::{Contract, ContractStatus, Machine, MachineSpec};
use kit::apply::Claim;
use kube::ResourceExt;
use operator_core::{
    condition::{READY, find},
    market::{contract::Step as Planned, names::CONTRACT_FINALIZER},
};
use serde_json::json;

use crate::market::{
    Error, Shared,
    error::at,
    labels::Step,
    status::{api, identity, store},
};

pub(super) async fn execute(
    shared: &Shared,
    contract: &Contract,
    machine: Option<&Machine>,
    steps: Vec<Planned>,
) -> Result<(), Error> {
    let mut latest = Arc::new(contract.clone());
    for step in steps {
        let changed = match step {
            Planned::AddFinalizer => add_finalizer(shared, &latest).await?,
            Planned::Status(status) => match status_of(shared, &latest, &status).await? {
                Some(stored) => Some(stored),
                None => return Ok(()),
            },
            Planned::CreateMachine(machine) => create(shared, &machine).await.map(|()| None)?,
            Planned::ApplyMachine(spec) => change(shared, machine, &spec, Step::ApplyMachine)
                .await
                .map(|()| None)?,
            Planned::Teardown(spec) => change(shared, machine, &spec, Step::Teardown)
                .await
                .map(|()| None)?,
            Planned::DropFinalizer => drop_finalizer(shared, &latest).await.map(|()| None)?,
        };
        if let Some(changed) = changed {
            shared.written_contracts.wrote(Arc::clone(&changed));
            latest = changed;
        }
    }
    Ok(())
}

async fn add_finalizer(shared: &Shared, contract: &Contract) -> Result<Option<Arc<Contract>>, Error> {
    let api = api::<Contract>(shared, &contract.namespace().unwrap_or_default());
    let added = shared
        .ctx
        .writer
        .add_finalizer(&api, contract, CONTRACT_FINALIZER)
        .await;
    added
        .map(|contract| contract.map(Arc::new))
        .map_err(at(Step::AddFinalizer))
}

async fn drop_finalizer(shared: &Shared, contract: &Contract) -> Result<(), Error> {
    let (namespace, name) = (contract.namespace().unwrap_or_default(), contract.name_any());
    let api = api::<Contract>(shared, &namespace);
    let dropped = shared
        .ctx
        .writer
        .drop_finalizer(&api, contract, CONTRACT_FINALIZER)
        .await;
    let dropped = dropped.map_err(at(Step::DropFinalizer))?;
    match dropped.filter(|contract| contract.metadata.deletion_timestamp.is_none()) {
        Some(contract) => shared.written_contracts.wrote(Arc::new(contract)),
        None => shared.written_contracts.forget(&namespace, &name),
    }
    Ok(())
}

async fn status_of(
    shared: &Shared,
    contract: &Contract,
    status: &ContractStatus,
) -> Result<Option<Arc<Contract>>, Error> {
    let namespace = contract.namespace().unwrap_or_default();
    let before = contract.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let api = api::<Contract>(shared, &namespace);
    let stored = store(shared, &api, contract, status, [before, &status.conditions]).await?;
    if contract.state() != status.state {
        let (from, to, name) = (contract.state(), status.state, contract.name_any());
        let reason = find(&status.conditions, READY).map_or("", |ready| ready.reason.as_str());
        tracing::info!(
            contract = %format!("{namespace}/{name}"), state = %to, reason,
            "contract {namespace}/{name}: {from} → {to} ({reason})"
        );
    }
    Ok(stored)
}

async fn create(shared: &Shared, machine: &Machine) -> Result<(), Error> {
    let (namespace, name) = (machine.namespace().unwrap_or_default(), machine.name_any());
    let api = api::<Machine>(shared, &namespace);
    let made = match shared
        .ctx
        .writer
        .create_claim(&api, machine)
        .await
        .map_err(at(Step::CreateMachine))?
    {
        Claim::Created(machine) => Some(*machine),
        // Ours of an earlier try, or another's: the next pass looks at whose it is.
        Claim::AlreadyExists => shared
            .ctx
            .writer
            .get(&api, &name)
            .await
            .map_err(at(Step::CreateMachine))?,
    };
    if let Some(made) = made {
        shared.written_machines.wrote(Arc::new(made));
    }
    Ok(())
}

async fn change(
    shared: &Shared,
    seen: Option<&Machine>,
    spec: &MachineSpec,
    step: Step,
) -> Result<(), Error> {
    let Some(seen) = seen else { return Ok(()) };
    let mut body = identity(seen);
    body["spec"] = json!(spec);
    let api = api::<Machine>(shared, &seen.namespace().unwrap_or_default());
    let changed = shared
        .ctx
        .writer
        .apply(&api, &seen.name_any(), &body)
        .await
        .map_err(at(step))?;
    shared.written_machines.wrote(Arc::new(changed));
    Ok(())
}
