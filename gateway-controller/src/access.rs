//! Makes what a Gateway's agent is and may do, and removes what could enrol another host. Claims (Secret, Lease) are
//! created once and never written over.

use crds::{Gateway, gateway::ENROLS};
use gateway_core::{
    access::{Access, access},
    enrolment::is_spent,
};
use jiff::Timestamp;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        coordination::v1::Lease,
        core::v1::{Secret, ServiceAccount},
    },
};
use kit::{
    apply::{Claim, Object},
    lacks::lacks,
};
use kube::{Api, Resource, ResourceExt, api::ListParams, core::PartialObjectMeta};
use serde::Serialize;
use serde_json::json;

use crate::{
    ctx::Ctx,
    error::{Error, Step, at},
};

/// Makes what is missing; gives the UID of the Secret that credentials are bound to.
pub async fn furnish(ctx: &Ctx, gateway: &Gateway) -> Result<Option<String>, Error> {
    let Access {
        account,
        identity,
        lease,
        roles,
        bindings,
    } = access(gateway);
    ensure(ctx, &account).await?;
    for role in &roles {
        ensure(ctx, role).await?;
    }
    for binding in &bindings {
        ensure(ctx, binding).await?;
    }
    create_once(ctx, &lease).await?;
    create_once(ctx, &identity).await?;
    self::identity(ctx, gateway).await
}

/// UID of the Secret that credentials are bound to, if it is there.
pub async fn identity(ctx: &Ctx, gateway: &Gateway) -> Result<Option<String>, Error> {
    let api = api::<PartialObjectMeta<Secret>>(ctx, gateway);
    let name = crds::gateway::agent_account(&gateway.name_any());
    let found = ctx.writer.get(&api, &name).await.map_err(at(Step::Furnish))?;
    Ok(found.and_then(|secret| secret.uid()))
}

/// Whether the agent's account is there.
pub async fn has_account(ctx: &Ctx, gateway: &Gateway) -> Result<bool, Error> {
    let api = api::<PartialObjectMeta<ServiceAccount>>(ctx, gateway);
    let name = crds::gateway::agent_account(&gateway.name_any());
    let found = ctx.writer.get(&api, &name).await.map_err(at(Step::Furnish))?;
    Ok(found.is_some())
}

/// Removes the identity: credentials that are bound to it end with it.
pub async fn revoke(ctx: &Ctx, gateway: &Gateway) -> Result<(), Error> {
    let api = api::<PartialObjectMeta<Secret>>(ctx, gateway);
    let name = crds::gateway::agent_account(&gateway.name_any());
    match ctx.writer.get(&api, &name).await.map_err(at(Step::Furnish))? {
        Some(secret) => ctx
            .writer
            .delete_seen(&api, &secret, false)
            .await
            .map_err(at(Step::Furnish)),
        None => Ok(()),
    }
}

/// Removes Secrets that may enrol a host: all of them once one is `enrolled`, else those that are too old.
pub async fn spend(ctx: &Ctx, gateway: &Gateway, enrolled: bool, now: Timestamp) -> Result<(), Error> {
    let api = api::<PartialObjectMeta<Secret>>(ctx, gateway);
    let params = ListParams::default().labels(&format!("{ENROLS}={}", gateway.name_any()));
    let found = ctx.writer.list(&api, &params).await.map_err(at(Step::Enrol))?;
    for secret in found.items {
        let made = secret.creation_timestamp().map(|time| time.0);
        if is_spent(enrolled, made, now, ctx.enrolment_life) {
            ctx.writer
                .delete_seen(&api, &secret, false)
                .await
                .map_err(at(Step::Enrol))?;
        }
    }
    Ok(())
}

/// The agent's Lease.
pub async fn lease(ctx: &Ctx, gateway: &Gateway) -> Result<Option<Lease>, Error> {
    let name = crds::gateway::agent_lease(&gateway.name_any());
    let found = ctx.writer.get(&api::<Lease>(ctx, gateway), &name).await;
    found.map_err(at(Step::Lease))
}

/// The API of a kind in a Gateway's namespace.
pub fn api<K>(ctx: &Ctx, gateway: &Gateway) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(ctx.client.clone(), &gateway.namespace().unwrap_or_default())
}

async fn create_once<K>(ctx: &Ctx, object: &K) -> Result<(), Error>
where
    K: Object + Serialize + Resource<Scope = NamespaceResourceScope>,
{
    let api = Api::<K>::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    let name = object.name_any();
    let found = ctx.writer.get(&api, &name).await.map_err(at(Step::Furnish))?;
    if found.is_none() {
        match ctx
            .writer
            .create_claim(&api, object)
            .await
            .map_err(at(Step::Furnish))?
        {
            Claim::Created(_) | Claim::AlreadyExists => {}
        }
    }
    Ok(())
}

async fn ensure<K>(ctx: &Ctx, wanted: &K) -> Result<(), Error>
where
    K: Object + Serialize + Resource<Scope = NamespaceResourceScope>,
{
    let api = Api::<K>::namespaced(ctx.client.clone(), &wanted.namespace().unwrap_or_default());
    let name = wanted.name_any();
    let actual = ctx.writer.get(&api, &name).await.map_err(at(Step::Furnish))?;
    let wanted = json!(wanted);
    if actual.is_none_or(|actual| lacks(&wanted, &json!(actual))) {
        ctx.writer
            .apply(&api, &name, &wanted)
            .await
            .map_err(at(Step::Furnish))?;
    }
    Ok(())
}
