//! Kubeconfigs and clients made from them. Owns their shape; must not start or find an API server.

use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

const TOKEN_SECONDS: i64 = 24 * 3600;

/// Chooses the TLS provider of this process, once.
pub fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only when the program has chosen already.
        rustls::crypto::ring::default_provider().install_default().ok();
    });
}

/// How a user proves who it is.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// A client certificate and its key, PEM.
    Certificate { cert: String, key: String },
    /// A bearer token.
    Token(String),
}

/// A kubeconfig for one server, one user.
pub(crate) fn build(server: &str, ca_pem: &str, user: &str, credential: &Credential) -> Result<Kubeconfig> {
    let cluster = json!({ "server": server, "certificate-authority-data": base64(ca_pem) });
    with_user(&cluster, user, credential)
}

fn with_user(cluster: &Value, user: &str, credential: &Credential) -> Result<Kubeconfig> {
    let secret = match credential {
        Credential::Certificate { cert, key } => {
            json!({ "client-certificate-data": base64(cert), "client-key-data": base64(key) })
        }
        Credential::Token(token) => json!({ "token": token }),
    };
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "testbed",
        "clusters": [{ "name": "testbed", "cluster": cluster }],
        "users": [{ "name": user, "user": secret }],
        "contexts": [{ "name": "testbed", "context": { "cluster": "testbed", "user": user } }],
    }))
    .context("failed to build a kubeconfig")
}

/// A kubeconfig for the same server as `base` with a fresh token of a ServiceAccount, good for a day.
///
/// # Errors
/// When the ServiceAccount doesn't exist or the server refuses the token.
pub async fn for_service_account(
    client: &Client,
    base: &Kubeconfig,
    ns: &str,
    name: &str,
) -> Result<Kubeconfig> {
    let spec = TokenRequestSpec {
        expiration_seconds: Some(TOKEN_SECONDS),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest {
        spec: Some(spec),
        ..TokenRequest::default()
    };
    let answer = Api::<ServiceAccount>::namespaced(client.clone(), ns)
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .with_context(|| format!("failed to request a token for ServiceAccount {ns}/{name}"))?;
    let token = answer
        .status
        .and_then(|status| status.token)
        .context("the answer to a token request has no token")?;
    let cluster = base.clusters.first().context("the kubeconfig names no cluster")?;
    with_user(
        &serde_json::to_value(&cluster.cluster)?,
        name,
        &Credential::Token(token),
    )
}

/// Writes a kubeconfig that only we can read. JSON is YAML.
///
/// # Errors
/// When the file can't be written.
pub fn write(kubeconfig: &Kubeconfig, path: &Path) -> Result<()> {
    write_private(
        path,
        &serde_json::to_string_pretty(kubeconfig).context("failed to encode a kubeconfig")?,
    )
}

pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("failed to write {}", path.display()))
}

/// A client for a kubeconfig.
///
/// # Errors
/// When the kubeconfig makes no sense.
pub async fn client(kubeconfig: &Kubeconfig) -> Result<Client> {
    install_tls();
    let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default())
        .await
        .context("failed to read the kubeconfig")?;
    Client::try_from(config).context("failed to build a client")
}

fn base64(text: &str) -> Value {
    // ByteString is the API's own base64.
    json!(k8s_openapi::ByteString(text.as_bytes().to_vec()))
}
