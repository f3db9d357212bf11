//! Writes to the API server, each with its manager, a deadline and a named
//! error. Must not compare, decide or retry: callers write only on change.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, ObjectList, Patch, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    call::{Act, Cause, Error, Fault, within},
    managers,
};

/// What the kinds that we read and write have in common.
pub trait Object: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send> Object for K {}

/// Reads and writes in the name of one manager.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    manager: &'static str,
    timeout: Duration,
}

/// The result of creating an object whose name is the claim.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Claim<K> {
    /// The name was free; this is the object as the API server stored it.
    Created(Box<K>),
    /// Somebody has that name (possibly we, by an earlier try): read and compare.
    AlreadyExists,
}

impl Writer {
    /// `timeout` bounds each single call.
    #[must_use]
    pub const fn new(manager: &'static str, timeout: Duration) -> Self {
        Self { manager, timeout }
    }

    /// The manager in whose name this writes.
    #[must_use]
    pub const fn manager(&self) -> &'static str {
        self.manager
    }

    /// Runs a call of `K` under this writer's deadline.
    pub(crate) async fn call<K: Resource<DynamicType = ()>, T>(
        &self,
        act: Act,
        name: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        within(self.timeout, act, (&K::kind(&()), name), call).await
    }

    /// Server-side apply with force: `body` is all that this manager has to
    /// say about an object we own.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn apply<K: Object, B: Serialize + Debug>(
        &self,
        api: &Api<K>,
        name: &str,
        body: &B,
    ) -> Result<K, Error> {
        let params = managers::apply_params(self.manager);
        self.call::<K, _>(Act::Apply, name, api.patch(name, &params, &Patch::Apply(body)))
            .await
    }

    /// Server-side apply of the status; `body` carries apiVersion, kind and status.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn apply_status<K: Object, B: Serialize + Debug>(
        &self,
        api: &Api<K>,
        name: &str,
        body: &B,
    ) -> Result<K, Error> {
        let params = managers::apply_params(self.manager);
        let patch = Patch::Apply(body);
        let call = api.patch_status(name, &params, &patch);
        self.call::<K, _>(Act::ApplyStatus, name, call).await
    }

    /// As [`Self::apply_status`]; `None` if the object is gone.
    ///
    /// # Errors
    /// When the call fails otherwise.
    pub async fn apply_status_if_present<K: Object, B: Serialize + Debug>(
        &self,
        api: &Api<K>,
        name: &str,
        body: &B,
    ) -> Result<Option<K>, Error> {
        tolerate_absence(self.apply_status(api, name, body).await)
    }

    /// Creates an object whose name is a claim. Never an apply: it needs the conflict.
    ///
    /// # Errors
    /// When the call fails other than by the name being taken.
    pub async fn create_claim<K: Object + Serialize>(
        &self,
        api: &Api<K>,
        object: &K,
    ) -> Result<Claim<K>, Error> {
        let params = managers::post_params(self.manager);
        let name = object.name_any();
        match self
            .call::<K, _>(Act::CreateClaim, &name, api.create(&params, object))
            .await
        {
            Ok(created) => Ok(Claim::Created(Box::new(created))),
            Err(error) if error.status().is_some_and(kube::core::Status::is_already_exists) => {
                Ok(Claim::AlreadyExists)
            }
            Err(error) => Err(error),
        }
    }

    /// Replaces an object; its resourceVersion is the precondition.
    ///
    /// # Errors
    /// When the call fails, or `object` carries no resourceVersion.
    pub async fn replace<K: Object + Serialize>(&self, api: &Api<K>, object: &K) -> Result<K, Error> {
        let name = object.name_any();
        if object.resource_version().is_none() {
            return Err(unbuilt::<K>(Act::Replace, name));
        }
        let params = managers::post_params(self.manager);
        self.call::<K, _>(Act::Replace, &name, api.replace(&name, &params, object))
            .await
    }

    /// Deletes exactly the object that was seen: same UID and, if `version`,
    /// unchanged since. Absence is success.
    ///
    /// # Errors
    /// When the call fails, or `seen` carries no UID.
    pub async fn delete_seen<K: Object>(&self, api: &Api<K>, seen: &K, version: bool) -> Result<(), Error> {
        let name = seen.name_any();
        let Some(uid) = seen.uid() else {
            return Err(unbuilt::<K>(Act::Delete, name));
        };
        let resource_version = seen.resource_version().filter(|_| version);
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: Some(uid),
            resource_version,
        });
        tolerate_absence(
            self.call::<K, _>(Act::Delete, &name, api.delete(&name, &params))
                .await,
        )
        .map(|_| ())
    }

    /// Reads one object from the API server; `None` if it does not exist.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn get<K: Object>(&self, api: &Api<K>, name: &str) -> Result<Option<K>, Error> {
        self.call::<K, _>(Act::Get, name, api.get_opt(name)).await
    }

    /// A token of a ServiceAccount.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn request_token(
        &self,
        api: &Api<ServiceAccount>,
        name: &str,
        request: &TokenRequest,
    ) -> Result<TokenRequest, Error> {
        let params = managers::post_params(self.manager);
        let call = api.create_token_request(name, &params, request);
        self.call::<ServiceAccount, _>(Act::RequestToken, name, call)
            .await
    }

    /// Lists objects.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn list<K: Object>(&self, api: &Api<K>, params: &ListParams) -> Result<ObjectList<K>, Error> {
        self.call::<K, _>(Act::List, "objects", api.list(params)).await
    }
}

pub(crate) fn unbuilt<K: Resource<DynamicType = ()>>(act: Act, name: String) -> Error {
    Error {
        act,
        kind: K::kind(&()).into_owned(),
        name,
        source: Cause::Build,
    }
}

pub(crate) fn tolerate_absence<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.fault() == Fault::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
