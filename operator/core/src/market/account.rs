//! Account → the namespaces that it rents and offers in, and the permissions there. A namespace that exists and is not
//! labelled as this Account's is never adopted, and none is ever deleted.

mod children;
use crds::{Account, AccountStatus};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, ResourceQuota};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

pub use self::children::{Child, review};
use super::names::{LABEL_ACCOUNT, LABEL_PROVIDER};
use crate::{
    condition::{READY, Stated, merged},
    reason::Reason,
};

/// What an account does in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It rents.
    Tenant,
    /// It offers.
    Provider,
}

impl Part {
    /// The label that makes a namespace the account's.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tenant => LABEL_ACCOUNT,
            Self::Provider => LABEL_PROVIDER,
        }
    }
}

/// A namespace of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Its name.
    pub namespace: String,
    /// What the account does there.
    pub part: Part,
}

/// What is known of such a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// An older Account names it too.
    TakenBy(String),
    /// It does not exist.
    Absent,
    /// It exists with these labels.
    Exists {
        /// Label keys and values.
        labels: Vec<(String, String)>,
        /// It is being deleted.
        terminating: bool,
    },
}

/// One write. Each is done only if the object is not so already.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Create it; that it exists already is for the next pass to look at.
    CreateNamespace(Box<Namespace>),
    /// Make this object of ours so.
    Ensure(Box<Child>),
}

/// What is to be done, and what to say.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// The status once they are done.
    pub status: AccountStatus,
}

/// The namespaces that the account asks for.
#[must_use]
pub fn homes(account: &Account) -> Vec<Home> {
    let tenant = Home {
        namespace: account.spec.namespace.to_string(),
        part: Part::Tenant,
    };
    let provider = account.spec.provider.as_ref();
    let provider = provider.map(|p| Home {
        namespace: p.namespace.to_string(),
        part: Part::Provider,
    });
    [tenant].into_iter().chain(provider).collect()
}

/// What to do about an account whose namespaces stand so. `alive` Contracts are not yet ended.
pub fn plan(account: &Account, homes: &[(Home, Standing)], alive: i32, now: Timestamp) -> Plan {
    let mut steps = Vec::new();
    let mut faults = Vec::new();
    for (home, standing) in homes {
        match fault(account, home, standing) {
            Some(fault) => faults.push(fault),
            None => steps.extend(furnish(account, home, standing)),
        }
    }
    let ready = faults.into_iter().next().unwrap_or_else(|| settled(homes));
    Plan {
        steps,
        status: status(account, ready, alive, now),
    }
}

/// Whether a quota admits Contracts: before it has been counted once, the API server refuses every one.
#[must_use]
pub fn admits(quota: &ResourceQuota) -> bool {
    let wanted = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
    let counted = quota.status.as_ref().and_then(|status| status.used.as_ref());
    wanted.is_none_or(|wanted| {
        wanted
            .keys()
            .all(|key| counted.is_some_and(|used| used.contains_key(key)))
    })
}

/// The status while the API server does not let the tenant in yet: the quota has not been counted, or the permissions
/// are not known to it.
#[must_use]
pub fn opening(account: &Account, alive: i32, now: Timestamp) -> AccountStatus {
    let message = format!(
        "Namespace {} is set up; the API server is taking up its quota and permissions, which takes half a minute at most \
         on a new cluster.",
        account.spec.namespace
    );
    status(
        account,
        Stated::new(READY, false, Reason::Reconciling, message),
        alive,
        now,
    )
}

/// The status when a step failed.
#[must_use]
pub fn failed(account: &Account, text: &str, alive: i32, now: Timestamp) -> AccountStatus {
    let message = format!("Setting up its namespaces failed and is tried again: {text}");
    status(
        account,
        Stated::new(READY, false, Reason::Reconciling, message),
        alive,
        now,
    )
}

fn status(account: &Account, ready: Stated, alive: i32, now: Timestamp) -> AccountStatus {
    let prior = account.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let generation = account.metadata.generation;
    AccountStatus {
        observed_generation: generation,
        contracts: alive,
        conditions: merged(prior, vec![ready], generation, now),
    }
}

fn settled(homes: &[(Home, Standing)]) -> Stated {
    let names: Vec<&str> = homes.iter().map(|(home, _)| home.namespace.as_str()).collect();
    let message = format!("Set up in namespace {}.", names.join(" and "));
    Stated::new(READY, true, Reason::Ready, message)
}

fn fault(account: &Account, home: &Home, standing: &Standing) -> Option<Stated> {
    let namespace = &home.namespace;
    let (reason, message) = match standing {
        Standing::Absent => return None,
        Standing::TakenBy(other) => (
            Reason::NamespaceTaken,
            format!("Namespace {namespace} belongs to the older Account {other}. Name another one."),
        ),
        Standing::Exists {
            terminating: true, ..
        } => (
            Reason::Terminating,
            format!("Namespace {namespace} is being deleted; it is made again once it is gone."),
        ),
        Standing::Exists { labels, .. } if labelled(labels, account) => return None,
        Standing::Exists { .. } => (
            Reason::NamespaceTaken,
            format!(
                "Namespace {namespace} exists and is not this Account's. If it should be, run: kubectl label namespace {namespace} {}={}",
                home.part.label(),
                account.name_any(),
            ),
        ),
    };
    Some(Stated::new(READY, false, reason, message))
}

/// Whether a namespace carries the Account's label: then nobody else has a claim to it.
#[must_use]
pub fn is_ours(account: &Account, standing: &Standing) -> bool {
    matches!(standing, Standing::Exists { labels, .. } if labelled(labels, account))
}

fn labelled(labels: &[(String, String)], account: &Account) -> bool {
    let name = account.name_any();
    labels
        .iter()
        .any(|(key, value)| [LABEL_ACCOUNT, LABEL_PROVIDER].contains(&key.as_str()) && *value == name)
}

fn furnish(account: &Account, home: &Home, standing: &Standing) -> Vec<Step> {
    let name = account.name_any();
    let mut steps = Vec::new();
    if *standing == Standing::Absent {
        let metadata = ObjectMeta {
            name: Some(home.namespace.clone()),
            labels: Some([(home.part.label().to_owned(), name.clone())].into()),
            ..ObjectMeta::default()
        };
        let namespace = Namespace {
            metadata,
            ..Namespace::default()
        };
        steps.push(Step::CreateNamespace(Box::new(namespace)));
    }
    let children = children::of(home, &name, account.spec.limits.contracts);
    steps.extend(children.into_iter().map(|child| Step::Ensure(Box::new(child))));
    steps
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
