//! Parameters out of query strings, forms and JSON, with the daemon's quirks.

use serde_json::Value;

use super::multipart::from_multipart;
use crate::api::params::{Params, Raw};
use crate::api::reply::Fault;

/// The parameters of a query string or form.
pub fn from_form(text: &[u8]) -> Params {
    let mut params = Params::default();
    for (name, value) in form_urlencoded::parse(text) {
        params.push(name.into_owned(), value.into_owned());
    }
    params
}

/// The parameters of a body by its content type.
pub fn from_body(content_type: Option<&str>, body: &[u8]) -> Result<Params, Fault> {
    let kind = content_type.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_lowercase());
    match kind.as_deref() {
        None | Some("application/x-www-form-urlencoded") => Ok(from_form(body)),
        Some("application/json") => from_json(body),
        Some("multipart/form-data") => {
            let upload = from_multipart(content_type.unwrap_or_default(), body);
            upload.ok_or_else(|| Fault::bare(501, "Unable to parse multipart form data"))
        }
        Some(_) if body.is_empty() => Ok(Params::default()),
        Some(other) => Err(Fault::bare(
            506,
            format!("upload 'Content-Type '{other}' not implemented"),
        )),
    }
}

fn from_json(body: &[u8]) -> Result<Params, Fault> {
    let mut params = Params::default();
    if body.is_empty() {
        return Ok(params);
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| broken(body, error.column()))?;
    let Value::Object(map) = value else {
        return Err(broken(body, 1));
    };
    for (name, value) in map {
        let raw = match value {
            Value::Null => continue,
            Value::Bool(on) => Raw::One(u8::from(on).to_string()),
            Value::Number(number) => Raw::One(number.to_string()),
            Value::String(text) => Raw::One(text),
            Value::Array(_) => Raw::Many,
            Value::Object(_) => Raw::Nested,
        };
        params.put(name, raw);
    }
    Ok(params)
}

/// Malformed JSON, as the daemon's parser says it.
fn broken(body: &[u8], column: usize) -> Fault {
    let at = column.saturating_sub(1);
    let rest = String::from_utf8_lossy(body.get(at..).unwrap_or_default());
    let rest: String = rest
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .take(20)
        .collect();
    let place = "at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934.";
    Fault::bare(
        500,
        format!("'\"' expected, at character offset {at} (before \"{rest}\") {place}"),
    )
}
