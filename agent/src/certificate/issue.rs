//! One certificate from an ACME authority by DNS-01. Owns the protocol's steps; must not decide when, nor publish a
//! record itself.
//!
//! Its HTTP goes through reqwest, which knows a bundle of several roots, a proxy and deadlines.

use std::pin::Pin;
use std::time::Duration;

use agent_core::certificate::{challenge_name, wildcard};
use agent_core::site::Acme;
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, HttpClient,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::store::{Store, StoreError, leaf};
use super::{Publisher, Stored, Value};

/// How long one call to the authority may take.
const CALL: Duration = Duration::from_secs(30);
/// How long a record may take until the zone's servers answer it.
const PUBLISH: Duration = Duration::from_mins(10);
/// How long the authority may take to look and to sign.
const VALIDATE: Duration = Duration::from_mins(5);
/// Tries within one, for problems that say nothing about the certificate.
const PATIENCE: u32 = 10;
const ACCOUNT_GONE: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";

/// Why there is no certificate; named by the step.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No client for the authority could be built.
    #[error("failed to build a client for the authority")]
    Client(#[source] reqwest::Error),
    /// The account.
    #[error("failed to have an account at the authority")]
    Account(#[source] instant_acme::Error),
    /// The kept account is no account.
    #[error("failed to read the kept account")]
    Credentials(#[source] serde_json::Error),
    /// The order.
    #[error("failed to order a certificate")]
    Order(#[source] instant_acme::Error),
    /// The authority offers no way that we know.
    #[error("the authority offers no challenge by DNS")]
    NoChallenge,
    /// The record was not published.
    #[error("the record {name} was not published")]
    Publish {
        /// Its name.
        name: String,
    },
    /// The authority did not find the record.
    #[error("failed to prove the name to the authority: {said}")]
    Prove {
        /// What the authority says.
        said: String,
    },
    /// The authority could not be asked about it.
    #[error("failed to prove the name to the authority")]
    Ask(#[source] instant_acme::Error),
    /// The key or the request for a certificate.
    #[error("failed to make a key")]
    Key(#[source] rcgen::Error),
    /// The certificate did not come.
    #[error("failed to obtain the certificate")]
    Obtain(#[source] instant_acme::Error),
    /// The certificate is not the one that was asked for.
    #[error("the authority gave a certificate for something else")]
    Other,
    /// It could not be kept.
    #[error("failed to keep the certificate")]
    Keep(#[source] StoreError),
    /// The work on files was given up.
    #[error("the work on the certificate's files was given up")]
    GivenUp(#[source] tokio::task::JoinError),
}

impl IssueError {
    /// The authority's own name for the problem, if it is one of the conversation and not of the proof.
    fn problem(&self) -> Option<&str> {
        let (Self::Account(error) | Self::Order(error) | Self::Ask(error) | Self::Obtain(error)) = self
        else {
            return None;
        };
        match error {
            instant_acme::Error::Api(problem) => problem.r#type.as_deref(),
            _ => None,
        }
    }
}

/// reqwest, as the protocol's library wants it.
struct Http(reqwest::Client);

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>>;

impl HttpClient for Http {
    fn request(&self, request: http::Request<BodyWrapper<Bytes>>) -> Answer {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| instant_acme::Error::Other(error.into()))?;
            let call = client
                .request(parts.method, parts.uri.to_string())
                .headers(parts.headers)
                .body(body.to_bytes());
            let answer = call
                .send()
                .await
                .map_err(|error| instant_acme::Error::Other(error.into()))?;
            Ok(BytesResponse::from(http::Response::<reqwest::Body>::from(answer)))
        })
    }
}

/// Obtains and keeps a certificate for all names of a site.
///
/// # Errors
/// The step that failed; what was kept before stays.
pub async fn issue(
    acme: &Acme,
    fqdn: &str,
    store: &Store,
    publisher: &Publisher,
) -> Result<Stored, IssueError> {
    let mut patience = PATIENCE;
    loop {
        let error = match attempt(acme, fqdn, store, publisher).await {
            Ok(stored) => return Ok(stored),
            Err(error) => error,
        };
        patience = patience.saturating_sub(1);
        match error.problem() {
            Some(ACCOUNT_GONE) if patience > 0 => {
                tracing::warn!("the authority does not know our account any more; making another");
                let directory = acme.directory.clone();
                on_disk(store, move |store| store.forget_account(&directory)).await?;
            }
            Some(BAD_NONCE) if patience > 0 => tracing::debug!("the authority refused nonces; trying again"),
            _ => return Err(error),
        }
    }
}

async fn attempt(
    acme: &Acme,
    fqdn: &str,
    store: &Store,
    publisher: &Publisher,
) -> Result<Stored, IssueError> {
    let account = account(acme, store).await?;
    let names = [Identifier::Dns(wildcard(fqdn))];
    let mut order = account
        .new_order(&NewOrder::new(&names))
        .await
        .map_err(IssueError::Order)?;
    let mut values = Vec::new();
    let obtained = match prove(&mut order, fqdn, publisher, &mut values).await {
        Ok(()) => obtain(&mut order, fqdn).await,
        Err(error) => Err(error),
    };
    for value in values {
        publisher.withdraw(value);
    }
    let (chain, key) = obtained?;
    let leaf = leaf(chain.as_bytes()).map_err(IssueError::Keep)?;
    if leaf.public_key != key.public_key_raw() || !leaf.held.names.contains(&wildcard(fqdn)) {
        return Err(IssueError::Other);
    }
    on_disk(store, move |store| {
        store.put(chain.as_bytes(), &key.serialize_pem())
    })
    .await
}

async fn on_disk<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, IssueError> {
    let store = store.clone();
    let done = tokio::task::spawn_blocking(move || work(store)).await;
    done.map_err(IssueError::GivenUp)?.map_err(IssueError::Keep)
}

async fn account(acme: &Acme, store: &Store) -> Result<Account, IssueError> {
    let mut client = reqwest::Client::builder().timeout(CALL).https_only(true);
    if let Some(bundle) = &acme.ca_bundle {
        let roots = reqwest::Certificate::from_pem_bundle(bundle.as_bytes()).map_err(IssueError::Client)?;
        client = client.tls_certs_only(roots);
    }
    let client = client.build().map_err(IssueError::Client)?;
    let builder = Account::builder_with_http(Box::new(Http(client)));
    let directory = acme.directory.clone();
    let kept = on_disk(store, move |store| store.account(&directory)).await?;
    if let Some(kept) = kept {
        let credentials: AccountCredentials =
            serde_json::from_slice(&kept).map_err(IssueError::Credentials)?;
        return builder
            .from_credentials(credentials)
            .await
            .map_err(IssueError::Account);
    }
    let contact = format!("mailto:{}", acme.email);
    let wanted = NewAccount {
        contact: &[&contact],
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let created = builder.create(&wanted, acme.directory.clone(), None).await;
    let (account, credentials) = created.map_err(IssueError::Account)?;
    let credentials = serde_json::to_vec(&credentials).map_err(IssueError::Credentials)?;
    let directory = acme.directory.clone();
    on_disk(store, move |store| store.put_account(&directory, &credentials)).await?;
    Ok(account)
}

/// Has the authority see the record. What was published is noted, also when a later step fails.
async fn prove(
    order: &mut Order,
    fqdn: &str,
    publisher: &Publisher,
    values: &mut Vec<Value>,
) -> Result<(), IssueError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(IssueError::Order)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization
            .challenge(ChallengeType::Dns01)
            .ok_or(IssueError::NoChallenge)?;
        let value = Value {
            name: challenge_name(fqdn),
            value: challenge.key_authorization().dns_value(),
        };
        values.push(value.clone());
        let name = value.name.clone();
        let confirmed = tokio::time::timeout(PUBLISH, publisher.publish(value)).await;
        if confirmed != Ok(true) {
            return Err(IssueError::Publish { name });
        }
        challenge.set_ready().await.map_err(IssueError::Ask)?;
    }
    let patience = RetryPolicy::new().timeout(VALIDATE);
    match order.poll_ready(&patience).await.map_err(IssueError::Ask)? {
        OrderStatus::Ready | OrderStatus::Valid => Ok(()),
        _ => Err(IssueError::Prove {
            said: refusal(order).await,
        }),
    }
}

/// Why the authority was not convinced, in its own words.
async fn refusal(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        let errors = authorization
            .challenges
            .iter()
            .filter_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = errors.into_iter().next() {
            return problem.to_string();
        }
    }
    "it gives no reason".to_owned()
}

/// The chain and the key, which was made here and goes nowhere else.
async fn obtain(order: &mut Order, fqdn: &str) -> Result<(String, KeyPair), IssueError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IssueError::Key)?;
    let mut params = CertificateParams::new(vec![wildcard(fqdn)]).map_err(IssueError::Key)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(IssueError::Key)?;
    order
        .finalize_csr(request.der())
        .await
        .map_err(IssueError::Obtain)?;
    let patience = RetryPolicy::new().timeout(VALIDATE);
    let chain = order
        .poll_certificate(&patience)
        .await
        .map_err(IssueError::Obtain)?;
    Ok((chain, key))
}
