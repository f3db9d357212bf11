//! Who this host is to the hub: what its token says of itself, and what is kept between starts. Must not read files.

use std::fmt;

use domain::ids::Uid;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A token is renewed when it is this old.
const RENEWED_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// The largest token that is looked at.
const MAX_TOKEN: usize = 16 * 1024;

/// A token of the hub. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// A token as text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text, for a file or a header.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why a token cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of an API server.
    #[error("it is not a token of a Kubernetes API server")]
    Form,
    /// It does not say until when it is good.
    #[error("it does not say until when it is good")]
    Unbounded,
    /// It is bound to nothing that could be deleted.
    #[error("it is not bound to a Secret")]
    Unbound,
}

/// What a token says of itself. The API server proves it, not we.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Since when it is good.
    pub issued: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// UID of the Secret that it is bound to.
    pub secret: Uid,
}

#[derive(Deserialize)]
struct Payload {
    iat: Option<i64>,
    exp: Option<i64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
struct Kubernetes {
    secret: Option<Bound>,
}

#[derive(Deserialize)]
struct Bound {
    uid: Uid,
}

impl Claims {
    /// Reads them.
    ///
    /// # Errors
    /// What is missing.
    pub fn read(token: &Token) -> Result<Self, TokenError> {
        let text = Some(token.expose())
            .filter(|text| text.len() <= MAX_TOKEN)
            .ok_or(TokenError::Form)?;
        let payload = text
            .split('.')
            .nth(1)
            .and_then(unbase64)
            .ok_or(TokenError::Form)?;
        let payload: Payload = serde_json::from_slice(&payload).map_err(|_| TokenError::Form)?;
        let instant = |second: Option<i64>| second.and_then(|second| Timestamp::from_second(second).ok());
        let bound = payload.kubernetes.and_then(|kubernetes| kubernetes.secret);
        Ok(Self {
            issued: instant(payload.iat).ok_or(TokenError::Unbounded)?,
            expires: instant(payload.exp).ok_or(TokenError::Unbounded)?,
            secret: bound.ok_or(TokenError::Unbound)?.uid,
        })
    }

    /// Whether a new one is to be had: daily, so that a lost day does no harm.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.duration_since(self.issued) >= RENEWED_AFTER
    }
}

/// Base64 in the URL's alphabet, without padding.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut bits = 0_u32;
    let mut held = 0_u32;
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// What a host keeps of its enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// Address of the API server.
    pub server: String,
    /// Certificates that it is trusted by, in PEM.
    pub ca: String,
    /// Namespace of the Gateway.
    pub namespace: String,
    /// Name of the Gateway.
    pub gateway: String,
    /// Chosen by this host.
    pub host: Uid,
    /// UID of the Secret that the credentials are bound to.
    pub identity: Uid,
}

#[cfg(test)]
mod tests {
    use super::*;

    // {"alg":"RS256"} . {"iat":1000,"exp":2000,"kubernetes.io":{"secret":{"name":"s","uid":"…01"}}} . signature
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpYXQiOjEwMDAsImV4cCI6MjAwMCwia3ViZXJuZXRlcy5pbyI6eyJzZWNyZXQiOnsibm\
                         FtZSI6InMiLCJ1aWQiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDEifX19.c2ln";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_says_until_when_and_what_it_is_bound_to() {
        let claims = Claims::read(&Token::new(TOKEN)).unwrap();
        assert_eq!((claims.issued, claims.expires), (at(1000), at(2000)));
        assert_eq!(
            claims.secret,
            Uid::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        );
        assert!(!claims.is_due(at(1000 + 86_399)));
        assert!(claims.is_due(at(1000 + 86_400)));
    }

    #[test]
    fn what_is_no_token_is_refused_and_never_shown() {
        for bad in ["", "a.b.c", "a.e30.c", "eyJ9", "a.!!.c"] {
            assert!(Claims::read(&Token::new(bad)).is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", Token::new(TOKEN)), "Token(…)");
    }
}
