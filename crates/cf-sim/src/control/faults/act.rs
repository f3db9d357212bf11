//! What a rule does to a request that it meets: as it is sent, and the plan that it becomes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bad::BadRule;
use super::hand::{Hand, When};

/// The longest delay.
const DELAY: u64 = 10 * 60_000;
/// The longest text.
const TEXT: usize = 2_000;
/// The longest body.
const BODY: usize = 1 << 20;
/// The most acts of one rule.
const ACTS: usize = 16;

/// One act, as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// The connection is cut before anything happens.
    DropBefore,
    /// The connection is cut after it happened.
    DropAfter,
    /// It is never answered and has no effect.
    Blackhole,
    /// It is refused, in the API's form.
    Refuse {
        /// The status.
        status: u16,
        /// The code.
        code: u32,
        /// The text.
        message: String,
        /// The header Retry-After, in seconds.
        retry_after: Option<u64>,
    },
    /// It is answered with these bytes, and nothing happens.
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
    /// A refusal, as the API forms it.
    Refuse {
        /// The status.
        status: u16,
        /// The code.
        code: u32,
        /// The text.
        message: String,
        /// How long to wait.
        retry_after: Option<Duration>,
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

impl Ending {
    /// Whether the connection ends without an answer.
    pub fn cuts(&self) -> bool {
        matches!(self, Self::DropBefore | Self::DropAfter | Self::Blackhole)
    }
}

/// What happens to a request in all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// How long it is held back first.
    pub delay: Duration,
    /// Calls of the control port, before the effect and after it.
    pub hands: Vec<Hand>,
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
            plan.add(act.clone())?;
        }
        Ok(plan)
    }

    fn add(&mut self, act: Act) -> Result<(), BadRule> {
        match act {
            Act::DropBefore => self.end(Ending::DropBefore),
            Act::DropAfter => self.end(Ending::DropAfter),
            Act::Blackhole => self.end(Ending::Blackhole),
            Act::Refuse {
                status,
                code,
                message,
                retry_after,
            } => {
                check_status("act.refuse.status", status, 400)?;
                check_text("act.refuse.message", &message)?;
                let retry_after = retry_after.map(Duration::from_secs);
                self.end(Ending::Refuse {
                    status,
                    code,
                    message,
                    retry_after,
                })
            }
            Act::Answer {
                status,
                body,
                content_type,
            } => self.answer(status, body, content_type),
            Act::Delay { ms } if ms > DELAY => {
                let why = format!("a delay is {DELAY} ms at most");
                Err(BadRule::field("act.delay.ms", why))
            }
            Act::Delay { ms } => {
                self.delay += Duration::from_millis(ms);
                Ok(())
            }
            Act::Control(hand) => {
                hand.check()?;
                self.hands.push(hand);
                Ok(())
            }
        }
    }

    fn answer(&mut self, status: u16, body: String, content_type: Option<String>) -> Result<(), BadRule> {
        check_status("act.answer.status", status, 200)?;
        if body.len() > BODY {
            let why = format!("a body has {BODY} bytes at most");
            return Err(BadRule::field("act.answer.body", why));
        }
        let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
        check_text("act.answer.content_type", &content_type)?;
        self.end(Ending::Answer {
            status,
            body,
            content_type,
        })
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

    /// Whether what was asked for happens.
    pub fn effect(&self) -> bool {
        matches!(self.ending, None | Some(Ending::DropAfter))
    }
}

fn check_status(field: &'static str, status: u16, least: u16) -> Result<(), BadRule> {
    if (least..=599).contains(&status) {
        return Ok(());
    }
    Err(BadRule::field(field, format!("a status is from {least} to 599")))
}

fn check_text(field: &'static str, text: &str) -> Result<(), BadRule> {
    if text.is_empty() || text.len() > TEXT {
        return Err(BadRule::field(field, format!("a text has 1 to {TEXT} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(BadRule::field(field, "a text has no control characters"));
    }
    Ok(())
}
