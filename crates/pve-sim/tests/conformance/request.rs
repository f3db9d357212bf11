//! A recorded request as it goes over the wire: method, target, encoding, credentials.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pve_sim::{Lab, LabRequest};
use serde_json::Value;

use crate::accounts;
use crate::pairs::{Pair, plain};

/// Recorded texts that stand for something which is another one in each run, with what they stand for here.
pub type Replaced = Vec<(String, String)>;

/// The request of a pair.
pub fn of(lab: &Lab, pair: &Pair, replaced: &Replaced) -> LabRequest {
    let mut headers = credentials(lab, pair);
    if pair.raw["headers"]["Connection"] == "close" {
        headers.push(("connection".to_owned(), "close".to_owned()));
    }
    let mut body = Vec::new();
    if matches!(pair.method.as_str(), "PUT" | "POST") {
        let (kind, text) = encoded(pair, replaced);
        headers.push(("content-type".to_owned(), kind.to_owned()));
        body = text.into_bytes();
    }
    let mut target = pair.target.clone();
    for (old, new) in replaced {
        target = target.replace(old, new).replace(&escaped(old), &escaped(new));
    }
    LabRequest {
        method: pair.method.clone(),
        target,
        headers,
        body,
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn encoded(pair: &Pair, replaced: &Replaced) -> (&'static str, String) {
    if let Some(body) = pair.raw["request_body"].as_str() {
        // The recording keeps the body but not its content type, which the answer or the body tells.
        let kind = if pair.reason().contains("text/plain") {
            "text/plain"
        } else if body.starts_with("------X1") {
            "multipart/form-data; boundary=----X1"
        } else {
            "application/json"
        };
        return (kind, body.to_owned());
    }
    if pair.raw["encoding"] == "json" {
        return ("application/json", pair.raw["params"].to_string());
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    let mut add = |name: &str, value: &Value| {
        let mut text = plain(value);
        if let Some((_, new)) = replaced.iter().find(|(old, _)| *old == text) {
            text.clone_from(new);
        }
        form.append_pair(name, &text);
    };
    match &pair.raw["params"] {
        Value::Object(map) => map.iter().for_each(|(name, value)| add(name, value)),
        Value::Array(list) => list.iter().for_each(|item| add(&plain(&item[0]), &item[1])),
        _ => {}
    }
    ("application/x-www-form-urlencoded", form.finish())
}

/// The recording names its tokens; of headers that were written by hand it keeps only the effect.
fn credentials(lab: &Lab, pair: &Pair) -> Vec<(String, String)> {
    let token = |full: &str| by_token(full).1;
    let header = match (pair.raw["auth"].as_str(), pair.raw["auth_name"].as_str()) {
        (Some("ticket"), _) => return ticket(lab),
        (_, Some("root")) => token(accounts::ROOT),
        (_, Some("dc")) => token(accounts::SERVICE),
        (_, Some("svc")) => token(accounts::OTHER),
        (_, Some("literal")) if pair.status() == 401 && pair.reason() == "No ticket" => "Bearer x".to_owned(),
        (_, Some("literal")) if pair.status() == 401 && pair.reason() != "Authentication failed!" => {
            format!("PVEAPIToken={}", named(pair.reason()))
        }
        (_, Some("literal")) if pair.status() == 401 => format!("PVEAPIToken={}=wrong", accounts::ROOT),
        (_, Some("literal")) => format!("PVEAPIToken {}={}", accounts::ROOT, accounts::SECRET),
        _ if pair.template() == "/access/ticket" || pair.reason() == "No ticket" => return Vec::new(),
        _ if pair.reason().contains("csrf") => return ticket(lab).into_iter().take(1).collect(),
        _ if pair.status() == 401 => {
            return vec![("cookie".to_owned(), "PVEAuthCookie=PVE:root@pam:0::x".to_owned())];
        }
        _ => return ticket(lab),
    };
    vec![("authorization".to_owned(), header)]
}

/// The header of a token.
pub fn by_token(full: &str) -> (String, String) {
    let value = format!("PVEAPIToken={full}={}", accounts::SECRET);
    ("authorization".to_owned(), value)
}

/// The token that a refusal in old words names.
fn named(reason: &str) -> String {
    let quoted: Vec<&str> = reason.split('\'').skip(1).step_by(2).collect();
    let full = match quoted.as_slice() {
        [id, user] => format!("{user}!{id}"),
        [full] if full.contains('!') => (*full).to_owned(),
        [user] if user.contains('@') => format!("{user}!agent"),
        [id] => format!("svc@pve!{id}"),
        _ if reason.starts_with("no tokenid") => return "junk".to_owned(),
        _ => return format!("{}=wrong", accounts::ROOT),
    };
    format!("{full}={}", accounts::SECRET)
}

/// Root's cookie, and the token that writes need.
fn ticket(lab: &Lab) -> Vec<(String, String)> {
    let login = LabRequest {
        method: "POST".to_owned(),
        target: "/api2/json/access/ticket".to_owned(),
        headers: Vec::new(),
        body: format!("username=root%40pam&password={}", accounts::PASSWORD).into_bytes(),
    };
    let Some(answer) = lab.call(login).filter(|answer| answer.status == 200) else {
        return Vec::new();
    };
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let text = |key: &str| answer["data"][key].as_str().unwrap_or_default().to_owned();
    vec![
        (
            "cookie".to_owned(),
            format!("PVEAuthCookie={}", escaped(&text("ticket"))),
        ),
        ("CSRFPreventionToken".to_lowercase(), text("CSRFPreventionToken")),
    ]
}
