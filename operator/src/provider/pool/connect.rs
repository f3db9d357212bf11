//! From a Pool's spec and Secret to a client: token, trust, addresses. The token goes nowhere but into the client.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crds::{PoolSpec, provider::OperatorSite};
use dc_proxmox::{Config, ConfigError, Endpoint, Error, Fingerprint, Pve, Token, TransportKind, Trust};
use domain::pve::Class;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use operator_core::provider::pool::{
    Contact,
    endpoint::{Rules, refused},
};

use crate::ctx::{Ctx, ProviderConfig};

/// Key of the Secret that holds the token.
const KEY: &str = "token";
/// How long one call may take: Proxmox waits 10 s for its own locks.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long a name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(3);

/// A client and what it was made of.
#[derive(Clone, Debug)]
pub struct Connected {
    /// The client.
    pub pve: Pve,
    /// Who we are.
    pub token: Token,
    endpoints: Vec<Endpoint>,
    trust: Trust,
    made: Arc<()>,
}

impl Connected {
    /// Whether both are the same client.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.made, &other.made)
    }
}

/// The client for this Pool: the one before, if nothing has changed.
///
/// # Errors
/// Why there is none.
pub async fn connect(
    ctx: &Ctx,
    config: &ProviderConfig,
    namespace: &str,
    spec: &PoolSpec,
    before: Option<&Connected>,
) -> Result<Connected, Contact> {
    let rules = Rules {
        hub: config.site == OperatorSite::Hub,
        allow_loopback: config.allow_loopback_endpoints,
        cluster: config.cluster_networks.clone(),
    };
    client(spec, token(ctx, namespace, spec).await?, &rules, before).await
}

/// The same with this token.
///
/// # Errors
/// Why there is none.
pub async fn client(
    spec: &PoolSpec,
    token: Token,
    rules: &Rules,
    before: Option<&Connected>,
) -> Result<Connected, Contact> {
    let trust = trust(spec)?;
    let endpoints = endpoints(spec)?;
    for endpoint in &endpoints {
        if let Some(text) = refused(&host(endpoint), &resolved(endpoint).await, rules) {
            return Err(Contact::EndpointRefused { text });
        }
    }
    let same = |old: &&Connected| old.token == token && old.endpoints == endpoints && old.trust == trust;
    if let Some(same) = before.filter(same) {
        return Ok(same.clone());
    }
    let config = Config {
        endpoints,
        token,
        trust,
        deadline: DEADLINE,
    };
    let pve = Pve::new(&config).map_err(|error| untrusted(&error))?;
    let Config {
        endpoints,
        token,
        trust,
        ..
    } = config;
    Ok(Connected {
        pve,
        token,
        endpoints,
        trust,
        made: Arc::new(()),
    })
}

fn untrusted(error: &ConfigError) -> Contact {
    Contact::TrustUnreadable {
        text: kit::chain(error),
    }
}

async fn token(ctx: &Ctx, namespace: &str, spec: &PoolSpec) -> Result<Token, Contact> {
    let unreadable = |text: &str| Contact::SecretUnreadable {
        text: text.to_owned(),
    };
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    let name = spec.proxmox.token_secret_ref.name.as_str();
    let secret = match ctx.writer.get(&api, name).await {
        Ok(Some(secret)) => secret,
        Ok(None) => return Err(unreadable("it does not exist")),
        Err(error) => return Err(unreadable(&format!("reading it failed ({})", kit::chain(&error)))),
    };
    let value = secret
        .data
        .as_ref()
        .and_then(|data| data.get(KEY))
        .ok_or_else(|| unreadable("it has no key token"))?;
    let text = std::str::from_utf8(&value.0).map_err(|_| unreadable("its key token is not text"))?;
    text.parse()
        .map_err(|_: ConfigError| unreadable("its key token is not a Proxmox API token"))
}

fn trust(spec: &PoolSpec) -> Result<Trust, Contact> {
    let proxmox = &spec.proxmox;
    match (&proxmox.fingerprint, &proxmox.ca_bundle) {
        (Some(print), _) => {
            let print: Fingerprint = print.as_str().parse().map_err(|error| untrusted(&error))?;
            Ok(Trust::Fingerprint(print.0))
        }
        (None, Some(ca)) => Ok(Trust::Ca(ca.as_str().to_owned())),
        (None, None) => Err(Contact::TrustUnreadable {
            text: "neither caBundle nor fingerprint is set".to_owned(),
        }),
    }
}

fn endpoints(spec: &PoolSpec) -> Result<Vec<Endpoint>, Contact> {
    let refused = |error: ConfigError| Contact::EndpointRefused {
        text: format!("{error}."),
    };
    spec.proxmox
        .endpoints
        .iter()
        .map(|url| url.as_str().parse().map_err(refused))
        .collect()
}

fn host(endpoint: &Endpoint) -> String {
    endpoint.to_string().trim_start_matches("https://").to_owned()
}

/// The addresses tried, without scheme.
#[must_use]
pub fn hosts(spec: &PoolSpec) -> String {
    let hosts: Vec<&str> = spec
        .proxmox
        .endpoints
        .iter()
        .map(|url| url.as_str().trim_start_matches("https://").trim_end_matches('/'))
        .collect();
    hosts.join(", ")
}

/// What the endpoint's name means now; nothing if nobody knows, which the call then says.
async fn resolved(endpoint: &Endpoint) -> Vec<IpAddr> {
    if let Ok(address) = endpoint.host().parse() {
        return vec![address];
    }
    let found = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((endpoint.host(), 0))).await;
    found
        .ok()
        .and_then(Result::ok)
        .map(|all| all.map(|address| address.ip()).collect())
        .unwrap_or_default()
}

/// What a failed call says about the contact; `since` is when the cluster stopped answering.
#[must_use]
pub fn failed(error: &Error, spec: &PoolSpec, token: &str, since: Timestamp) -> Contact {
    let hosts = hosts(spec);
    match (error.transport(), error.answer()) {
        (Some(TransportKind::Tls { presented }), _) => Contact::CertificateMismatch {
            hosts,
            presented: presented.map(|print| print.to_string()),
        },
        (Some(kind), _) => Contact::Unreachable {
            hosts,
            since,
            text: kind.to_string(),
        },
        (None, Some(answer)) if answer.status == 401 => Contact::TokenRejected {
            token: token.to_owned(),
        },
        (None, Some(answer)) if matches!(error.class(), Class::Retryable { .. } | Class::ReplaceNode) => {
            Contact::Unreachable {
                hosts,
                since,
                text: answer.to_string(),
            }
        }
        _ => Contact::Refused {
            text: error.to_string(),
        },
    }
}
