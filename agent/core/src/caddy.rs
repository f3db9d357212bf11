//! The web server's configuration: one wildcard site that no slot changes. A name's machine is looked up per request in
//! the loopback zone.
//!
//! Owns Caddy's JSON; must not talk to it. Checked with Caddy 2.11.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::zone::ZONE;

/// Where a machine is asked.
pub const MACHINE_PORT: u16 = 80;
/// Our servers' names begin so; a configuration with others is somebody else's.
const OURS: &str = "decent_";
const MARK: &str = "decent-";

/// What the configuration depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Common ending of the machines' names.
    pub fqdn: String,
    /// Where plain requests come in, such as ":80"; they are sent to https.
    pub http: Vec<String>,
    /// Where requests come in, such as ":443".
    pub https: Vec<String>,
    /// The zone's server.
    pub zone: SocketAddr,
    /// Where the admin API stays, as Caddy writes it: `127.0.0.1:2019` or `unix//run/caddy/admin.sock`.
    pub admin: String,
    /// The certificate; without one, https is not served.
    pub certificate: Option<Files>,
}

/// A certificate on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The chain.
    pub chain: PathBuf,
    /// The key.
    pub key: PathBuf,
    /// What tells it from its predecessor, which had the same paths.
    pub fingerprint: String,
}

/// A configuration and the mark by which it is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// What Caddy is given.
    pub json: Value,
    /// The `@id` of one of its objects; another configuration has another.
    pub mark: String,
}

/// The configuration.
#[must_use]
pub fn configuration(web: &Web) -> Configuration {
    let mut servers = serde_json::Map::new();
    servers.insert(format!("{OURS}http"), redirect(web));
    let mut tls = json!({});
    if let Some(Files { chain, key, .. }) = &web.certificate {
        servers.insert(format!("{OURS}https"), proxy(web));
        tls = json!({ "certificates": { "load_files": [{ "certificate": chain, "key": key }] } });
    }
    let mut json = json!({
        "admin": { "listen": web.admin },
        "apps": { "http": { "servers": servers }, "tls": tls },
    });
    let fingerprint = web.certificate.as_ref().map(|files| files.fingerprint.as_str());
    let hash = Sha256::new()
        .chain_update(json.to_string())
        .chain_update(fingerprint.unwrap_or_default())
        .finalize();
    let mark = format!("{MARK}{}", hex::encode(hash).get(..16).unwrap_or_default());
    if let Some(server) = json.pointer_mut(&format!("/apps/http/servers/{OURS}http")) {
        server["@id"] = json!(mark);
    }
    Configuration { json, mark }
}

/// Servers in a running configuration that are none of ours.
#[must_use]
pub fn foreign_servers(running: &Value) -> Vec<String> {
    let servers = running.pointer("/apps/http/servers").and_then(Value::as_object);
    let names = servers.into_iter().flat_map(|servers| servers.keys());
    names.filter(|name| !name.starts_with(OURS)).cloned().collect()
}

fn wildcard(web: &Web) -> Value {
    json!([{ "host": [format!("*.{}", web.fqdn)] }])
}

fn redirect(web: &Web) -> Value {
    json!({
        "listen": web.http,
        "automatic_https": { "disable": true },
        "read_header_timeout": "10s",
        "routes": [
            {
                "match": wildcard(web),
                "handle": [{
                    "handler": "static_response",
                    "status_code": 308,
                    "headers": { "Location": ["https://{http.request.host}{http.request.uri}"] },
                }],
                "terminal": true,
            },
            { "handle": [answer(404)] },
        ],
    })
}

fn proxy(web: &Web) -> Value {
    // Labels are counted from the right, from 0: the slug comes after all labels of the ending.
    let slug = web.fqdn.split('.').count();
    let name = format!("{{http.request.host.labels.{slug}}}.{}.", ZONE.join("."));
    json!({
        "listen": web.https,
        "automatic_https": { "disable": true },
        "tls_connection_policies": [{}],
        "read_header_timeout": "10s",
        "routes": [
            {
                "match": wildcard(web),
                "handle": [{
                    "handler": "reverse_proxy",
                    // A new certificate reloads the configuration; open WebSockets outlive that.
                    "stream_close_delay": "24h",
                    "dynamic_upstreams": {
                        "source": "a",
                        "name": name,
                        "port": MACHINE_PORT.to_string(),
                        "refresh": "1s",
                        "resolver": { "addresses": [web.zone.to_string()] },
                        "versions": { "ipv4": true, "ipv6": false },
                    },
                    "transport": { "protocol": "http", "dial_timeout": "3s" },
                }],
                "terminal": true,
            },
            { "handle": [answer(421)] },
        ],
        "errors": { "routes": [
            {
                // No upstream: nobody has the name.
                "match": [{ "expression": "{http.error.status_code} == 503" }],
                "handle": [answer(404)],
                "terminal": true,
            },
            { "handle": [{ "handler": "static_response", "status_code": "{http.error.status_code}" }] },
        ] },
    })
}

fn answer(code: u16) -> Value {
    let text = match code {
        404 => "no such machine\n",
        _ => "not a name of this site\n",
    };
    json!({ "handler": "static_response", "status_code": code, "body": text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Web {
        Web {
            fqdn: "ams1.gw.example.org".into(),
            http: vec![":80".into()],
            https: vec![":443".into()],
            zone: "127.0.0.1:5353".parse().unwrap(),
            admin: "127.0.0.1:2019".into(),
            certificate: Some(Files {
                chain: "/c.pem".into(),
                key: "/k.pem".into(),
                fingerprint: "a".into(),
            }),
        }
    }

    #[test]
    fn the_slugs_label_follows_the_endings() {
        for (fqdn, label) in [("ams1.gw.example.org", "labels.4}"), ("a.example", "labels.2}")] {
            let text = configuration(&Web {
                fqdn: fqdn.into(),
                ..web()
            })
            .json
            .to_string();
            assert!(text.contains(&format!("{label}.slots.internal.")), "{text}");
        }
    }

    #[test]
    fn a_configuration_is_known_by_its_mark() {
        let base = configuration(&web());
        assert_eq!(base, configuration(&web()));
        assert_eq!(
            base.json["apps"]["http"]["servers"]["decent_http"]["@id"],
            base.mark
        );
        let mut renewed = web();
        renewed.certificate.as_mut().unwrap().fingerprint = "b".into();
        assert_ne!(configuration(&renewed).mark, base.mark);
    }

    #[test]
    fn without_a_certificate_https_is_not_served() {
        let bare = configuration(&Web {
            certificate: None,
            ..web()
        });
        assert!(bare.json["apps"]["http"]["servers"]["decent_https"].is_null());
        assert!(bare.json["apps"]["http"]["servers"]["decent_http"].is_object());
    }

    #[test]
    fn a_strangers_site_is_seen() {
        let running = json!({ "apps": { "http": { "servers": { "srv0": {}, "decent_http": {} } } } });
        assert_eq!(foreign_servers(&running), ["srv0"]);
        assert!(foreign_servers(&Value::Null).is_empty());
        assert!(foreign_servers(&configuration(&web()).json).is_empty());
    }
}
