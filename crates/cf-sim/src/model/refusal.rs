//! What the API refuses, with Cloudflare's own codes and texts. Which of them are known from public sources and which
//! are assumed is in the README.

use std::time::Duration;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Cloudflare's code.
    pub code: u32,
    /// Its text.
    pub message: String,
    /// What is behind it, where that is told.
    pub chain: Option<(u32, String)>,
    /// How long to wait; only where the answer tells it.
    pub retry_after: Option<Duration>,
    /// Whether this is about the values of a record: those were wrapped in "DNS Validation Error" until 2024.
    pub validation: bool,
}

impl Refusal {
    fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            chain: None,
            retry_after: None,
            validation: false,
        }
    }

    /// A value of a record that is refused.
    pub fn invalid(code: u32, message: impl Into<String>) -> Self {
        Self {
            validation: true,
            ..Self::new(400, code, message)
        }
    }

    /// A field that must be there.
    pub fn required(field: &str) -> Self {
        Self::invalid(9101, format!("{field} is a required field."))
    }

    /// A field of the wrong kind.
    pub fn kind(field: &str, wanted: &str) -> Self {
        Self::invalid(9102, format!("{field} must be {wanted}."))
    }

    /// A path that leads nowhere.
    pub fn no_route(path: &str) -> Self {
        let text = format!("Could not route to {path}, perhaps your object identifier is invalid?");
        Self::new(404, 7003, text)
    }

    /// A method that a path does not take.
    pub fn method() -> Self {
        Self::new(405, 10405, "Method not allowed for this authentication scheme")
    }

    /// No credentials.
    pub fn no_credentials() -> Self {
        let text = "Missing X-Auth-Key, X-Auth-Email or Authorization headers";
        Self::new(400, 9106, text)
    }

    /// Credentials of the old kind, which are not simulated.
    pub fn unknown_key() -> Self {
        Self::new(403, 9103, "Unknown X-Auth-Key or X-Auth-Email")
    }

    /// A header that is no token.
    pub fn malformed_token() -> Self {
        let inner = "Invalid format for Authorization header".to_owned();
        Self {
            chain: Some((6111, inner)),
            ..Self::new(400, 6003, "Invalid request headers")
        }
    }

    /// A token that does not exist (any more).
    pub fn invalid_token() -> Self {
        Self::new(403, 9109, "Invalid access token")
    }

    /// The same, where the token asks about itself.
    pub fn verify_failed() -> Self {
        Self::new(401, 1000, "Invalid API Token")
    }

    /// A zone that the token may not see, or that is not there.
    pub fn unauthorized() -> Self {
        Self::new(403, 9109, "Unauthorized to access requested resource")
    }

    /// A right that the token lacks.
    pub fn authentication() -> Self {
        Self::new(403, 10000, "Authentication error")
    }

    /// A record that is not there.
    pub fn no_record() -> Self {
        Self::new(404, 81044, "Record does not exist.")
    }

    /// The same record again.
    pub fn identical() -> Self {
        Self::new(400, 81058, "An identical record already exists.")
    }

    /// A CNAME beside something else.
    pub fn taken() -> Self {
        let text = "An A, AAAA, or CNAME record with that host already exists.";
        Self::new(400, 81053, text)
    }

    /// Something beside a CNAME.
    pub fn cname_there() -> Self {
        Self::new(400, 81054, "A CNAME record with that host already exists.")
    }

    /// Something beside NS records.
    pub fn ns_there() -> Self {
        Self::new(400, 81056, "NS records with that host already exist.")
    }

    /// The zone is full.
    pub fn quota() -> Self {
        Self::new(400, 81045, "Record quota exceeded.")
    }

    /// A body that is no JSON.
    pub fn malformed_json() -> Self {
        Self::new(400, 6007, "Malformed JSON in request body")
    }

    /// A body of another kind.
    pub fn content_type() -> Self {
        Self::new(400, 9207, "Content-type must be application/json.")
    }

    /// A body that is too large.
    pub fn too_large() -> Self {
        Self::new(413, 7413, "Request body is too large")
    }

    /// A parameter of a list that means nothing.
    pub fn parameter(name: &str) -> Self {
        Self::new(400, 1004, format!("Invalid query parameter {name}"))
    }

    /// Too many calls of a user.
    pub fn too_many(limit: (u32, Duration), wait: Option<Duration>) -> Self {
        let (calls, window) = (limit.0, limit.1.as_secs());
        let text = format!(
            "More than {calls} requests per {window} seconds reached. Please wait and consider throttling your \
             request speed"
        );
        Self {
            retry_after: wait,
            ..Self::new(429, 971, text)
        }
    }

    /// Too many calls of an address.
    pub fn too_fast(wait: Option<Duration>) -> Self {
        Self {
            retry_after: wait,
            ..Self::new(
                429,
                10429,
                "Rate limited. Please wait and consider throttling your request speed",
            )
        }
    }

    /// A refusal that a rule states.
    pub fn stated(status: u16, code: u32, message: &str, retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..Self::new(status, code, message)
        }
    }
}
