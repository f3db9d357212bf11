//! What a rule does to a request that it meets: as it is sent, and the plan that it becomes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bad::BadRule;
use super::hand::{Hand, When};
use crate::model::task::Doom;

/// The longest delay.
const DELAY: u64 = 10 * 60_000;
/// The longest reason phrase or exit status.
const TEXT: usize = 2_000;
/// The longest body.
const BODY: usize = 1 << 20;
/// The most acts of one rule.
const ACTS: usize = 16;

/// One act, as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// The task that the request starts fails at its last step with this text, and cleans up.
    FailTask {
        /// The text.
        exitstatus: String,
    },
    /// Its worker is killed before the last step and leaves everything as it is.
    KillWorker,
    /// It does its work and ends with this many warnings.
    WarnTask {
        /// How many.
        warnings: u32,
    },
    /// It does its work, and then nobody knows of it any more.
    LoseTask,
    /// It never comes to its last step.
    EndlessTask,
    /// The connection is cut before anything happens.
    DropBefore,
    /// The connection is cut after it happened.
    DropAfter,
    /// It is never answered and has no effect.
    Blackhole,
    /// What was asked for happens, and the answer has no body.
    EmptyBody,
    /// It is refused.
    Refuse {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// It is answered so, and nothing happens.
    Answer {
        /// The status.
        status: u16,
        /// The body, whatever it is.
        body: String,
        /// The content type; JSON if it is not given.
        content_type: Option<String>,
    },
    /// It is held back first.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// A worker of the node's daemon is busy with it for longer; a call that needs none is held back.
    Work {
        /// Milliseconds.
        ms: u64,
    },
    /// A call of the control port: any switch, any foreign hand.
    Control(Hand),
}

/// What becomes of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The connection is cut before anything happens.
    DropBefore,
    /// The connection is cut after it happened.
    DropAfter,
    /// No answer, no effect.
    Blackhole,
    /// The effect, and an answer without body.
    EmptyBody,
    /// A refusal, as the daemon forms it.
    Refuse {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// This answer.
    Answer {
        /// The status.
        status: u16,
        /// The body.
        body: String,
        /// The content type.
        content_type: String,
    },
}

/// What happens to a request in all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// How long it is held back first.
    pub delay: Duration,
    /// For how much longer a worker is busy with it.
    pub work: Duration,
    /// Calls of the control port, before the effect and after it.
    pub hands: Vec<Hand>,
    /// What becomes of the task that it starts.
    pub doom: Option<Doom>,
    /// What becomes of the answer.
    pub ending: Option<Ending>,
}

/// Reads one act or a list of acts.
pub fn read(acts: &Value) -> Result<Vec<Act>, BadRule> {
    let each = match acts {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    if each.is_empty() || each.len() > ACTS {
        return Err(BadRule::field("act", format!("a rule has 1 to {ACTS} acts")));
    }
    let read = each
        .iter()
        .map(|act| serde_json::from_value(act.clone()).map_err(BadRule::Act));
    read.collect()
}

impl Plan {
    /// The plan of some acts.
    pub fn of(acts: &[Act]) -> Result<Self, BadRule> {
        let mut plan = Self::default();
        for act in acts {
            plan.add(act)?;
        }
        let no_effect = matches!(
            plan.ending,
            Some(Ending::DropBefore | Ending::Blackhole | Ending::Refuse { .. } | Ending::Answer { .. })
        );
        if no_effect && plan.doom.is_some() {
            return Err(BadRule::field(
                "act",
                "a request without effect starts no task that could fail",
            ));
        }
        Ok(plan)
    }

    fn add(&mut self, act: &Act) -> Result<(), BadRule> {
        match act {
            Act::FailTask { exitstatus } => {
                check_text("act.fail_task.exitstatus", exitstatus)?;
                if exitstatus == "OK" {
                    return Err(BadRule::field("act.fail_task.exitstatus", "OK is no failure"));
                }
                self.doom(Doom::Fail(exitstatus.clone()))
            }
            Act::KillWorker => self.doom(Doom::Kill),
            Act::WarnTask { warnings: 0 } => Err(BadRule::field(
                "act.warn_task.warnings",
                "a task with no warnings ends OK",
            )),
            Act::WarnTask { warnings } => self.doom(Doom::Warn(*warnings)),
            Act::LoseTask => self.doom(Doom::Lose),
            Act::EndlessTask => self.doom(Doom::Endless),
            Act::DropBefore => self.end(Ending::DropBefore),
            Act::DropAfter => self.end(Ending::DropAfter),
            Act::Blackhole => self.end(Ending::Blackhole),
            Act::EmptyBody => self.end(Ending::EmptyBody),
            Act::Refuse { status, reason } => {
                check_status("act.refuse.status", *status, 400)?;
                check_text("act.refuse.reason", reason)?;
                self.end(Ending::Refuse {
                    status: *status,
                    reason: reason.clone(),
                })
            }
            Act::Answer {
                status,
                body,
                content_type,
            } => self.answer(*status, body, content_type.as_deref()),
            Act::Delay { ms } => {
                self.delay += time("act.delay.ms", *ms)?;
                Ok(())
            }
            Act::Work { ms } => {
                self.work += time("act.work.ms", *ms)?;
                Ok(())
            }
            Act::Control(hand) => {
                hand.check()?;
                self.hands.push(hand.clone());
                Ok(())
            }
        }
    }

    fn answer(&mut self, status: u16, body: &str, content_type: Option<&str>) -> Result<(), BadRule> {
        check_status("act.answer.status", status, 200)?;
        if body.len() > BODY {
            return Err(BadRule::field(
                "act.answer.body",
                format!("a body has {BODY} bytes at most"),
            ));
        }
        let content_type = content_type.unwrap_or("application/json;charset=UTF-8");
        check_text("act.answer.content_type", content_type)?;
        self.end(Ending::Answer {
            status,
            body: body.to_owned(),
            content_type: content_type.to_owned(),
        })
    }

    fn doom(&mut self, doom: Doom) -> Result<(), BadRule> {
        match self.doom.replace(doom) {
            None => Ok(()),
            Some(_) => Err(BadRule::field("act", "two acts decide how the task ends")),
        }
    }

    fn end(&mut self, ending: Ending) -> Result<(), BadRule> {
        match self.ending.replace(ending) {
            None => Ok(()),
            Some(_) => Err(BadRule::field("act", "two acts decide the answer")),
        }
    }

    /// The hands that act at this time.
    pub fn hands(&self, when: When) -> impl Iterator<Item = &Hand> {
        self.hands.iter().filter(move |hand| hand.when == when)
    }

    /// Whether the connection ends without an answer.
    pub fn cuts(&self) -> bool {
        matches!(
            self.ending,
            Some(Ending::DropBefore | Ending::DropAfter | Ending::Blackhole)
        )
    }
}

fn time(field: &'static str, ms: u64) -> Result<Duration, BadRule> {
    if ms > DELAY {
        return Err(BadRule::field(field, format!("a delay is {DELAY} ms at most")));
    }
    Ok(Duration::from_millis(ms))
}

fn check_status(field: &'static str, status: u16, least: u16) -> Result<(), BadRule> {
    if (least..=599).contains(&status) {
        return Ok(());
    }
    Err(BadRule::field(field, format!("a status is from {least} to 599")))
}

/// A text that fits into a status line.
fn check_text(field: &'static str, text: &str) -> Result<(), BadRule> {
    if text.is_empty() || text.len() > TEXT {
        return Err(BadRule::field(field, format!("a text has 1 to {TEXT} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(BadRule::field(field, "a text has no control characters"));
    }
    Ok(())
}
