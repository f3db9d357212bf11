//! Events: one per condition that changes, published beside the reconcile pass.
//! Best effort: a full queue or a refusal never fails or delays a pass. Must
//! not be used to carry facts; status does that.

use std::time::Duration;

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::chain::cut;

/// The API server's bound on a note.
const NOTE: usize = 1024;
const QUEUE: usize = 1024;
/// The recorder remembers what it sent for minutes; a fresh one now and then
/// bounds that memory.
const RECORDER_USES: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(5);

/// What changed about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Machine-readable reason, as in the condition.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// What was done or waited for: the condition's type.
    pub action: String,
    /// Normal or Warning.
    pub type_: EventType,
}

/// The conditions of `next` that are new or have another status or reason.
/// Conditions changing together for one reason give one transition.
#[must_use]
pub fn transitions(before: &[Condition], next: &[Condition]) -> Vec<Transition> {
    let mut changed: Vec<Transition> = Vec::new();
    for condition in next.iter().filter(|condition| differs(before, condition)) {
        let stalled = condition.type_ == "Stalled" && condition.status == "True";
        let type_ = if stalled {
            EventType::Warning
        } else {
            EventType::Normal
        };
        match changed.iter_mut().find(|other| other.reason == condition.reason) {
            Some(other) if stalled => other.type_ = type_,
            Some(_) => {}
            None => changed.push(Transition {
                reason: condition.reason.clone(),
                message: condition.message.clone(),
                action: condition.type_.clone(),
                type_,
            }),
        }
    }
    changed
}

fn differs(before: &[Condition], condition: &Condition) -> bool {
    before
        .iter()
        .find(|other| other.type_ == condition.type_)
        .is_none_or(|other| other.status != condition.status || other.reason != condition.reason)
}

/// Where passes hand in their transitions.
#[derive(Debug, Clone)]
pub struct Events(mpsc::Sender<(ObjectReference, Transition)>);

/// Publishes what was handed in.
pub struct Publisher {
    queue: mpsc::Receiver<(ObjectReference, Transition)>,
    client: Client,
    reporter: Reporter,
    recorder: Recorder,
    uses: usize,
}

/// A queue and the task that empties it; one pair per process.
#[must_use]
pub fn channel(client: Client, manager: &str, instance: &str) -> (Events, Publisher) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let reporter = Reporter {
        controller: manager.to_owned(),
        instance: Some(instance.to_owned()),
    };
    let recorder = Recorder::new(client.clone(), reporter.clone());
    (
        Events(sender),
        Publisher {
            queue,
            client,
            reporter,
            recorder,
            uses: 0,
        },
    )
}

impl Events {
    /// Hands in transitions; returns at once.
    pub fn publish(&self, object: &ObjectReference, transitions: Vec<Transition>) {
        for transition in transitions {
            if self.0.try_send((object.clone(), transition)).is_err() {
                let name = object.name.as_deref().unwrap_or_default();
                tracing::debug!(object = name, "event dropped: the queue is full or closed");
            }
        }
    }
}

impl Publisher {
    /// Publishes until `shutdown`, then what is still queued, within one timeout.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while let Some(Some((object, transition))) = shutdown.run_until_cancelled(self.queue.recv()).await {
            self.publish(&object, transition).await;
        }
        self.queue.close();
        let rest = async {
            while let Some((object, transition)) = self.queue.recv().await {
                self.publish(&object, transition).await;
            }
        };
        if tokio::time::timeout(TIMEOUT, rest).await.is_err() {
            tracing::debug!("events dropped: no time left");
        }
    }

    async fn publish(&mut self, object: &ObjectReference, transition: Transition) {
        self.uses += 1;
        if self.uses > RECORDER_USES {
            self.uses = 1;
            self.recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        }
        let Transition {
            reason,
            message,
            action,
            type_,
        } = transition;
        let note = Some(cut(&message, NOTE));
        let event = Event {
            type_,
            reason,
            note,
            action,
            secondary: None,
        };
        let name = object.name.as_deref().unwrap_or_default();
        match tokio::time::timeout(TIMEOUT, self.recorder.publish(&event, object)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(object = name, error = %crate::chain(&error), "failed to publish an event");
            }
            Err(_) => tracing::debug!(object = name, "no answer when publishing an event"),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::{
        managers,
        scripted::{refusal, server},
    };

    fn condition(type_: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: type_.into(),
            status: status.into(),
            reason: reason.into(),
            message: format!("{reason}."),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            observed_generation: None,
        }
    }

    #[test]
    fn only_changed_conditions_speak() {
        let before = [condition("Ready", "False", "TaskRunning")];
        assert_eq!(transitions(&before, &before), []);
        let mut told = before.clone();
        told[0].message = "other words".into();
        assert_eq!(transitions(&before, &told), []);
        let next = [condition("Ready", "True", "Settled")];
        let got = transitions(&before, &next);
        assert_eq!(
            (got.len(), got[0].reason.as_str(), got[0].type_),
            (1, "Settled", EventType::Normal)
        );
    }

    #[test]
    fn one_reason_speaks_once_and_a_stall_warns() {
        let next = [
            condition("Ready", "False", "InvalidSpec"),
            condition("Stalled", "True", "InvalidSpec"),
        ];
        let got = transitions(&[], &next);
        assert_eq!(
            (got.len(), got[0].action.as_str(), got[0].type_),
            (1, "Ready", EventType::Warning)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn notes_are_cut_and_a_refusal_is_no_end() {
        let (client, mut server) = server();
        let (events, publisher) = channel(client, managers::OPERATOR, "r");
        let object = ObjectReference {
            namespace: Some("n".into()),
            name: Some("a".into()),
            ..ObjectReference::default()
        };
        let transition = |reason: &str| Transition {
            reason: reason.into(),
            message: "x".repeat(5000),
            action: "Ready".into(),
            type_: EventType::Normal,
        };
        events.publish(&object, vec![transition("One"), transition("Two")]);
        let shutdown = CancellationToken::new();
        let script = async {
            let line = "POST /apis/events.k8s.io/v1/namespaces/n/events?";
            server.expect(line, 403, refusal(403, "Forbidden")).await;
            let seen = server
                .expect(
                    line,
                    201,
                    serde_json::json!({
                        "metadata": {"name": "e", "namespace": "n"}, "eventTime": null,
                    }),
                )
                .await;
            assert_eq!(seen.body["reason"], "Two");
            assert_eq!(seen.body["note"].as_str().unwrap().len(), NOTE);
            assert_eq!(seen.body["reportingController"], "decent-operator");
            shutdown.cancel();
        };
        tokio::join!(publisher.run(shutdown.clone()), script);
    }
}
