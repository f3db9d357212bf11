//! Makes this host the one that serves a Gateway: trades a token of one use for one of its own. Of two hosts one wins,
//! by a field that the API server lets be written once; the other stops and says why.

use std::path::Path;
use std::sync::Arc;

use agent_core::identity::{Identity, Token};
use crds::Gateway;
use crds::common::API_VERSION;
use domain::ids::Uid;
use kit::apply::Writer;
use kit::clock::SystemClock;
use kit::server_clock::{Limits, ServerClock};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::json;

use super::client::{ClientError, Proof, connect, writer};
use super::store::{Store, StoreError};
use super::token::{OwnTokenError, request};

/// What the API server answers where a rule of the kind refuses.
const INVALID: u16 = 422;
/// The longest text that is read.
const MAX: usize = 256 * 1024;

/// Why the host was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// What was given is no kubeconfig.
    #[error("what was given is not what `dcctl gateway token` prints")]
    Form,
    /// A part of it is missing.
    #[error("what was given is not what `dcctl gateway token` prints: it has no {0}")]
    Part(&'static str),
    /// This host serves already.
    #[error(
        "this host has enrolled for Gateway {gateway} in {namespace}; to enrol it again, remove {state} and draw another token"
    )]
    Already {
        /// The Gateway.
        gateway: String,
        /// Its namespace.
        namespace: String,
        /// The folder.
        state: String,
    },
    /// No way to the hub.
    #[error("failed to prepare for the hub")]
    Client(#[source] ClientError),
    /// The token is spent.
    #[error("the token has been used, or is older than an hour: draw another with `dcctl gateway token`")]
    Spent(#[source] Box<kit::call::Error>),
    /// The hub did not answer as it should.
    #[error("failed to look at the Gateway")]
    Look(#[source] kit::call::Error),
    /// There is none.
    #[error("there is no Gateway {0}")]
    NoGateway(String),
    /// No token of its own.
    #[error("failed to trade the token")]
    Own(#[source] OwnTokenError),
    /// Another host was faster.
    #[error(
        "another host has enrolled for this Gateway; if that is not meant: dcctl gateway revoke {gateway}"
    )]
    Lost {
        /// The Gateway.
        gateway: String,
        /// What the API server says.
        #[source]
        source: Box<kit::call::Error>,
    },
    /// The enrolment could not be written.
    #[error("failed to enrol")]
    Write(#[source] kit::call::Error),
    /// It could not be kept.
    #[error("failed to keep the enrolment")]
    Keep(#[source] StoreError),
}

/// Enrols this host with what `dcctl gateway token` has printed. Gives who it is from now on. Asked again after it was
/// cut short, it goes on.
///
/// # Errors
/// Why it was not enrolled; nothing is left of it then, unless the hub may have heard of it.
pub async fn enrol(text: &str, state: &Path) -> Result<Identity, EnrolError> {
    let (mut identity, once) = read(text)?;
    let store = Store::new(state);
    let clock = Arc::new(ServerClock::new(Arc::new(SystemClock::new()), Limits::default()));
    if let Some((kept, token)) = store.load().map_err(EnrolError::Keep)? {
        return resume(&store, (kept, token), &identity, (state, clock)).await;
    }
    let client = connect(&identity, &Proof::Once(&once), Arc::clone(&clock)).map_err(EnrolError::Client)?;
    look(&client, &identity).await?;
    let own = request(&client, &identity.namespace, &identity.gateway).await;
    let (token, claims) = own.map_err(EnrolError::Own)?;
    identity.identity = claims.secret;
    store.put(&identity, &token).map_err(EnrolError::Keep)?;
    claim(&store, identity, &client).await
}

/// An enrolment that was begun here before.
async fn resume(
    store: &Store,
    (kept, token): (Identity, Token),
    wanted: &Identity,
    (state, clock): (&Path, Arc<ServerClock>),
) -> Result<Identity, EnrolError> {
    let client = connect(&kept, &Proof::Once(&token), clock).map_err(EnrolError::Client)?;
    let same = (&kept.namespace, &kept.gateway) == (&wanted.namespace, &wanted.gateway);
    let found = look(&client, &kept).await;
    let enrolled = match &found {
        Ok(gateway) => {
            let agent = gateway.status.as_ref().and_then(|status| status.agent.as_ref());
            agent
                .and_then(|agent| agent.enrolment.as_ref())
                .is_some_and(|by| by.host.as_str() == kept.host.to_string())
        }
        Err(_) => true,
    };
    if enrolled || !same {
        return Err(EnrolError::Already {
            gateway: kept.gateway,
            namespace: kept.namespace,
            state: state.display().to_string(),
        });
    }
    claim(store, kept, &client).await
}

/// Writes the field that decides.
async fn claim(store: &Store, identity: Identity, client: &Client) -> Result<Identity, EnrolError> {
    let api = Api::<Gateway>::namespaced(client.clone(), &identity.namespace);
    let agent = json!({"enrolment": {"host": identity.host, "identity": identity.identity}});
    let body = json!({
        "apiVersion": API_VERSION, "kind": "Gateway", "metadata": {"name": identity.gateway},
        "status": {"agent": agent},
    });
    let written = writer().apply_status(&api, &identity.gateway, &body).await;
    match written {
        Ok(_) => Ok(identity),
        Err(error) if error.status().is_some_and(|status| status.code == INVALID) => {
            store.forget().map_err(EnrolError::Keep)?;
            Err(EnrolError::Lost {
                gateway: identity.gateway,
                source: Box::new(error),
            })
        }
        Err(error) => Err(EnrolError::Write(error)),
    }
}

async fn look(client: &Client, identity: &Identity) -> Result<Gateway, EnrolError> {
    let writer: Writer = writer();
    let api = Api::<Gateway>::namespaced(client.clone(), &identity.namespace);
    match writer.get(&api, &identity.gateway).await {
        Ok(Some(gateway)) => Ok(gateway),
        Ok(None) => Err(EnrolError::NoGateway(format!(
            "{}/{}",
            identity.namespace, identity.gateway
        ))),
        Err(error) if error.status().is_some_and(|status| status.code == 401) => {
            Err(EnrolError::Spent(Box::new(error)))
        }
        Err(error) => Err(EnrolError::Look(error)),
    }
}

/// What `dcctl gateway token` prints: a kubeconfig of one context, named after the Gateway. Of it, what is needed.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Given {
    current_context: String,
    contexts: Vec<Context>,
    clusters: Vec<Cluster>,
    users: Vec<User>,
}

#[derive(Deserialize)]
struct Context {
    name: String,
    context: ContextParts,
}

#[derive(Deserialize)]
struct ContextParts {
    cluster: String,
    user: String,
    namespace: String,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    cluster: ClusterParts,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterParts {
    server: String,
    certificate_authority_data: k8s_openapi::ByteString,
}

#[derive(Deserialize)]
struct User {
    name: String,
    user: UserParts,
}

#[derive(Deserialize)]
struct UserParts {
    token: Token,
}

fn read(text: &str) -> Result<(Identity, Token), EnrolError> {
    if text.len() > MAX {
        return Err(EnrolError::Part("end"));
    }
    let given: Given = serde_saphyr::from_str(text).map_err(|_| EnrolError::Form)?;
    let Given {
        current_context: gateway,
        contexts,
        clusters,
        users,
    } = given;
    let context = contexts.into_iter().find(|context| context.name == gateway);
    let context = context.ok_or(EnrolError::Part("current context"))?.context;
    let cluster = clusters
        .into_iter()
        .find(|cluster| cluster.name == context.cluster);
    let cluster = cluster.ok_or(EnrolError::Part("cluster"))?.cluster;
    let user = users.into_iter().find(|user| user.name == context.user);
    let user = user.ok_or(EnrolError::Part("user"))?.user;
    let ca = String::from_utf8(cluster.certificate_authority_data.0);
    let identity = Identity {
        server: cluster.server,
        ca: ca.map_err(|_| EnrolError::Part("certificate of the hub"))?,
        namespace: context.namespace,
        gateway,
        host: Uid::from_bytes(*uuid::Uuid::new_v4().as_bytes()),
        identity: Uid::from_bytes([0; 16]),
    };
    Ok((identity, Token::new(user.token.expose())))
}
