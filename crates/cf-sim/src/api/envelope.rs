//! The form of every answer: result, success, errors, messages, and where it is a list, where in it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::rate::Left;
use crate::model::refusal::Refusal;

/// An answer before it is sent.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// How long to wait, if the answer says so.
    pub retry_after: Option<Duration>,
    /// What the caller has left, if it was counted.
    pub left: Option<Left>,
}

impl Answer {
    /// A good answer.
    pub fn good(result: Value) -> Self {
        Self::with(result, &[])
    }

    /// A good answer with more fields.
    pub fn with(result: Value, more: &[(&str, Value)]) -> Self {
        let mut body = Map::new();
        body.insert("result".to_owned(), result);
        body.insert("success".to_owned(), Value::Bool(true));
        body.insert("errors".to_owned(), json!([]));
        body.insert("messages".to_owned(), json!([]));
        for (key, value) in more {
            body.insert((*key).to_owned(), value.clone());
        }
        Self {
            status: 200,
            body: Value::Object(body),
            retry_after: None,
            left: None,
        }
    }
}

/// A refusal as an answer.
pub fn refused(refusal: &Refusal, error_chain: bool) -> Answer {
    let Refusal {
        status,
        code,
        message,
        chain,
        retry_after,
        validation,
    } = refusal;
    let error = match chain {
        _ if *validation && error_chain => json!({
            "code": 1004, "message": "DNS Validation Error",
            "error_chain": [{"code": code, "message": message}],
        }),
        Some((inner, text)) => json!({
            "code": code, "message": message, "error_chain": [{"code": inner, "message": text}],
        }),
        None => json!({"code": code, "message": message}),
    };
    Answer {
        status: *status,
        body: json!({"result": null, "success": false, "errors": [error], "messages": []}),
        retry_after: *retry_after,
        left: None,
    }
}
