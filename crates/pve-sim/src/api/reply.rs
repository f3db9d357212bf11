//! What a call answers, before it is made into HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::locks::LockFile;
use crate::model::refusal::Refusal;

/// The result of a call.
pub type Reply = Result<Answer, Fault>;

/// A good answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The value of `data`.
    pub data: Value,
    /// Further keys beside `data`.
    pub beside: Map<String, Value>,
}

#[expect(clippy::unnecessary_wraps, reason = "each is the last expression of handlers")]
impl Answer {
    /// Answers `null`.
    pub fn null() -> Reply {
        Ok(Self::default())
    }

    /// Answers a value.
    pub fn of(data: impl Into<Value>) -> Reply {
        Ok(Self {
            data: data.into(),
            beside: Map::new(),
        })
    }

    /// Answers a part of a list with its total length.
    pub fn page(data: Vec<Value>, total: usize) -> Reply {
        // The daemon says nothing of a total of none.
        let total = (total > 0).then(|| ("total".to_owned(), Value::from(total)));
        let beside = Map::from_iter(total);
        Ok(Self {
            data: Value::Array(data),
            beside,
        })
    }

    /// The body.
    pub fn body(&self) -> Value {
        let mut body = self.beside.clone();
        body.insert("data".to_owned(), self.data.clone());
        Value::Object(body)
    }
}

/// A bad answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// An error that is sent.
    Failed {
        /// The status code.
        status: u16,
        /// The reason phrase, also the message of the body.
        reason: String,
        /// Errors by parameter.
        errors: BTreeMap<String, String>,
        /// Whether there is a body.
        body: bool,
        /// How long the answer is held back.
        after: Duration,
    },
    /// A lock file is held: try again for ten seconds.
    Busy(LockFile),
    /// A dead storage was touched: the worker hangs, and the proxy gives up in the end.
    Stuck(String),
}

impl Fault {
    /// An error with a body.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Self::Failed {
            status,
            reason: reason.into(),
            errors: BTreeMap::new(),
            body: true,
            after: Duration::ZERO,
        }
    }

    /// An error from before the dispatch: nothing but a reason.
    pub fn bare(status: u16, reason: impl Into<String>) -> Self {
        Self::Failed {
            status,
            reason: reason.into(),
            errors: BTreeMap::new(),
            body: false,
            after: Duration::ZERO,
        }
    }

    /// 500
    pub fn died(reason: impl Into<String>) -> Self {
        Self::new(500, reason)
    }

    /// 403
    pub fn denied(path: &str, privileges: &[&str]) -> Self {
        Self::new(
            403,
            format!("Permission check failed ({path}, {})", privileges.join("|")),
        )
    }

    /// 400 with an error for each parameter.
    pub fn invalid(errors: BTreeMap<String, String>) -> Self {
        let reason = "Parameter verification failed.".to_owned();
        Self::Failed {
            status: 400,
            reason,
            errors,
            body: true,
            after: Duration::ZERO,
        }
    }

    /// 400 about one parameter.
    pub fn param(name: &str, text: impl Into<String>) -> Self {
        Self::invalid(BTreeMap::from([(name.to_owned(), text.into())]))
    }

    /// The same, held back.
    #[must_use]
    pub fn held(mut self, span: Duration) -> Self {
        if let Self::Failed { after, .. } = &mut self {
            *after = span;
        }
        self
    }

    /// The body of an error that has one.
    pub fn body_of(reason: &str, errors: &BTreeMap<String, String>, status: u16) -> Value {
        let end = if status == 501 { "" } else { "\n" };
        let mut body = json!({"data": null, "message": format!("{reason}{end}")});
        if !errors.is_empty() {
            body["errors"] = json!(errors);
        }
        body
    }
}

/// A refusal of the model as the answer of a synchronous call.
pub fn sync(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Busy(file) => Fault::Busy(file),
        Refusal::Stuck(storage) => Fault::Stuck(storage),
        Refusal::Died(text) => Fault::died(text),
    }
}
