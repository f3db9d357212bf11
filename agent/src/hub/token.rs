//! A token of one's own: bound to the identity's Secret, for 90 days, renewed daily.

use std::sync::Arc;

use agent_core::identity::{Claims, Identity, Token, TokenError};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kit::clock::Clock;
use kube::{Api, Client};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::client::writer;
use super::store::{Store, StoreError};

/// For how long a token is good.
const LIFE_SECONDS: i64 = 90 * 24 * 3600;
/// How often it is looked whether a new one is due, and how soon after a failure.
const LOOK: Duration = Duration::from_mins(10);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum OwnTokenError {
    /// The hub gave none.
    #[error("failed to obtain a token of this host's own")]
    Request(#[source] kit::call::Error),
    /// What it gave cannot be used.
    #[error("failed to use the token that the hub gave")]
    Token(#[source] TokenError),
    /// It could not be kept.
    #[error("failed to keep the token")]
    Keep(#[source] StoreError),
}

/// Asks for a token that lives as long as the identity's Secret.
pub async fn request(
    client: &Client,
    namespace: &str,
    gateway: &str,
) -> Result<(Token, Claims), OwnTokenError> {
    let account = crds::gateway::agent_account(gateway);
    let wanted = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: None,
            expiration_seconds: Some(LIFE_SECONDS),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Secret".to_owned()),
                name: Some(account.clone()),
                uid: None,
            }),
        }),
        ..TokenRequest::default()
    };
    let api = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let given = writer()
        .request_token(&api, &account, &wanted)
        .await
        .map_err(OwnTokenError::Request)?;
    let token = Token::new(&given.status.and_then(|status| status.token).unwrap_or_default());
    let claims = Claims::read(&token).map_err(OwnTokenError::Token)?;
    Ok((token, claims))
}

/// Renews the token daily until shutdown.
pub async fn renew(
    client: Client,
    (identity, store): (Identity, Store),
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) {
    loop {
        let due = match store.load() {
            Ok(Some((_, token))) => Claims::read(&token).is_ok_and(|claims| claims.is_due(clock.now())),
            Ok(None) | Err(_) => false,
        };
        if due {
            let renewed = async {
                let (token, _) = request(&client, &identity.namespace, &identity.gateway).await?;
                store.put_token(&token).map_err(OwnTokenError::Keep)
            };
            match renewed.await {
                Ok(()) => tracing::info!("the token was renewed"),
                Err(error) => tracing::warn!("the token was not renewed: {}", kit::chain(&error)),
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(LOOK) => {}
        }
    }
}
