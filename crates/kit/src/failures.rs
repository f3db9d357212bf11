//! What follows from a failed pass, for every controller: one log line, an event where no status can speak, and
//! when the next try is. Must not know any family: each says for its own errors how they are to be tried again.

use std::{error::Error, hash::Hash, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    ResourceExt,
    runtime::{controller::Action, events::EventType},
};

use crate::{
    backoff::Backoff,
    events::{Events, Transition},
    guarded::Undecodable,
};

/// The reason of an event about an object that cannot be read.
const INVALID: &str = "InvalidSpec";
/// Somebody wrote at the same time.
const SOON: Duration = Duration::from_millis(200);
/// Trying again mends nothing before a new version does.
const RARELY: Duration = Duration::from_mins(10);

/// How a failed pass is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// At once: somebody wrote at the same time. Not worth a warning.
    Soon,
    /// After this long; the pauses between tries are kept elsewhere.
    After(Duration),
    /// After a pause that grows with each failure in a row.
    Later,
    /// When the object changes.
    OnChange,
    /// Rarely: it should never have happened.
    Rarely,
}

/// A failed pass.
#[derive(Debug)]
pub struct Failure<'a, E> {
    /// The kind, for people.
    pub kind: &'static str,
    /// What kind of failure it is.
    pub class: &'static str,
    /// Why.
    pub error: &'a E,
    /// The object that cannot be decoded, if that is why.
    pub undecodable: Option<&'a Undecodable>,
    /// How it is tried again.
    pub again: Again,
}

/// Tells a failure once and says when the next try is.
pub fn settle<K: Hash + Eq + Clone, E: Error + 'static>(
    events: &Events,
    (backoff, key): (&Backoff<K>, &K),
    object: &impl ResourceExt,
    failure: &Failure<'_, E>,
) -> Action {
    let Failure {
        kind,
        class,
        error,
        undecodable,
        again,
    } = *failure;
    if let Some(undecodable) = undecodable {
        tell(events, undecodable);
    }
    let name = object.name_any();
    let object = object
        .namespace()
        .map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
    let text = crate::chain(error);
    match again {
        Again::Soon => tracing::debug!(kind, object, class, "{kind} {object}: {text}"),
        Again::Rarely => tracing::error!(kind, object, class, "{kind} {object}: {text}"),
        _ => tracing::warn!(kind, object, class, "{kind} {object}: {text}"),
    }
    match again {
        Again::Soon => Action::requeue(SOON),
        Again::After(pause) => Action::requeue(pause),
        Again::Later => Action::requeue(backoff.next(key)),
        Again::OnChange => Action::await_change(),
        Again::Rarely => Action::requeue(RARELY),
    }
}

/// An object that cannot be decoded has no status of ours to say so: an event does.
fn tell(events: &Events, undecodable: &Undecodable) {
    let object = ObjectReference {
        api_version: Some(undecodable.api_version.to_string()),
        kind: Some(undecodable.kind.clone()),
        namespace: undecodable.metadata.namespace.clone(),
        name: Some(undecodable.name.clone()),
        uid: undecodable.metadata.uid.clone(),
        ..ObjectReference::default()
    };
    let transition = Transition {
        reason: INVALID.to_owned(),
        message: format!("It cannot be read and is left alone: {}", undecodable.text),
        action: "Decode".to_owned(),
        type_: EventType::Warning,
    };
    events.publish(&object, vec![transition]);
}
