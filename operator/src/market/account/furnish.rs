//! Looks at an account's namespaces at the API server itself and does what the planner says.

use crds::{Account, AccountStatus};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{authorization::v1::SubjectAccessReview, core::v1::Namespace, rbac::v1::RoleBinding},
};
use kit::apply::{Claim, Object};
use kit::lacks::lacks;
use kube::{Api, ResourceExt, runtime::reflector::ObjectRef};
use operator_core::market::{
    account::{self, Child, Home, Standing, Step as Planned, homes},
    owner::{self, settled},
};
use serde::Serialize;
use serde_json::json;

use crate::caches::decoded;
use crate::market::{Error, Shared, error::at, labels::Step, status::api};

/// Another Account that has the namespace.
fn rival(shared: &Shared, account: &Account, namespace: &str) -> Option<String> {
    let names = shared.indices.by_claim.of(namespace);
    let guards: Vec<_> = names
        .iter()
        .filter_map(|(_, name)| shared.accounts.get(&ObjectRef::new(name)))
        .collect();
    let owner = owner::owner(guards.iter().filter_map(|guard| decoded(guard)), namespace)?;
    (owner.uid() != account.uid()).then(|| owner.name_any())
}

/// The status while nothing has to be looked at: only who has the namespaces may have changed.
pub(super) fn known(shared: &Shared, account: &Account, alive: i32) -> AccountStatus {
    let ours = |home: &Home| Standing::Exists {
        labels: vec![(home.part.label().to_owned(), account.name_any())],
        terminating: false,
    };
    let standings: Vec<(Home, Standing)> = homes(account)
        .into_iter()
        .map(|home| {
            let rival = rival(shared, account, &home.namespace).filter(|_| !settled(account));
            let standing = rival.map_or_else(|| ours(&home), Standing::TakenBy);
            (home, standing)
        })
        .collect();
    account::plan(account, &standings, alive, shared.ctx.clock.now()).status
}

pub(super) async fn furnish(shared: &Shared, account: &Account, alive: i32) -> Result<AccountStatus, Error> {
    let mut standings = Vec::new();
    for home in homes(account) {
        let mut standing = standing(shared, &home.namespace).await?;
        if !account::is_ours(account, &standing)
            && let Some(other) = rival(shared, account, &home.namespace)
        {
            standing = Standing::TakenBy(other);
        }
        standings.push((home, standing));
    }
    let plan = account::plan(account, &standings, alive, shared.ctx.clock.now());
    let mut admits = true;
    for step in plan.steps {
        match step {
            Planned::CreateNamespace(namespace) => create(shared, &namespace).await?,
            Planned::Ensure(child) => admits &= ensure(shared, &child).await?,
        }
    }
    Ok(if admits {
        plan.status
    } else {
        account::opening(account, alive, shared.ctx.clock.now())
    })
}

async fn standing(shared: &Shared, name: &str) -> Result<Standing, Error> {
    let api = Api::<Namespace>::all(shared.ctx.client.clone());
    let found = shared
        .ctx
        .writer
        .get(&api, name)
        .await
        .map_err(at(Step::Observe))?;
    Ok(found.map_or(Standing::Absent, |namespace| Standing::Exists {
        labels: namespace
            .labels()
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        terminating: namespace.metadata.deletion_timestamp.is_some(),
    }))
}

/// A namespace that somebody made meanwhile is looked at, not furnished.
async fn create(shared: &Shared, namespace: &Namespace) -> Result<(), Error> {
    let api = Api::<Namespace>::all(shared.ctx.client.clone());
    let name = namespace.name_any();
    match shared
        .ctx
        .writer
        .create_claim(&api, namespace)
        .await
        .map_err(at(Step::CreateNamespace))?
    {
        Claim::Created(_) => {
            tracing::info!(namespace = %name, "namespace {name}: created");
            Ok(())
        }
        Claim::AlreadyExists => Err(Error::NamespaceAppeared { name }),
    }
}

/// Makes it so; whether Contracts can be made as far as this object goes.
async fn ensure(shared: &Shared, child: &Child) -> Result<bool, Error> {
    match child {
        Child::ServiceAccount(object) => one(shared, object).await.map(|_| true),
        Child::Role(object) => one(shared, object).await.map(|_| true),
        Child::RoleBinding(object) => {
            one(shared, object).await?;
            is_effective(shared, object).await
        }
        Child::ResourceQuota(object) => one(shared, object).await.map(|stored| account::admits(&stored)),
    }
}

async fn is_effective(shared: &Shared, granted: &RoleBinding) -> Result<bool, Error> {
    let api = Api::<SubjectAccessReview>::all(shared.ctx.client.clone());
    let asked = shared
        .ctx
        .writer
        .create_claim(&api, &account::review(granted))
        .await
        .map_err(at(Step::Furnish))?;
    Ok(match asked {
        Claim::Created(review) => review.status.is_some_and(|status| status.allowed),
        Claim::AlreadyExists => false,
    })
}

async fn one<K>(shared: &Shared, wanted: &K) -> Result<K, Error>
where
    K: Object + Serialize + kube::Resource<Scope = NamespaceResourceScope>,
{
    let api = api::<K>(shared, &wanted.namespace().unwrap_or_default());
    let name = wanted.name_any();
    let actual = shared
        .ctx
        .writer
        .get(&api, &name)
        .await
        .map_err(at(Step::Furnish))?;
    let wanted = json!(wanted);
    match actual.filter(|actual| !lacks(&wanted, &json!(actual))) {
        Some(actual) => Ok(actual),
        None => shared
            .ctx
            .writer
            .apply(&api, &name, &wanted)
            .await
            .map_err(at(Step::Furnish)),
    }
}
