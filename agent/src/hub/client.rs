//! The way to the hub: one client whose token is read from its file, so that a renewed one is used by itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_core::identity::{Identity, Token};
use kit::apply::Writer;
use kit::server_clock::ServerClock;
use kit::{client, managers};
use kube::{Client, Config};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);

/// Why there is no way to the hub.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("{0:?} is no address of an API server")]
    Address(String),
    /// The certificates are none.
    #[error("the hub's certificates cannot be read")]
    Certificates(#[source] rustls::pki_types::pem::Error),
    /// The client cannot be built.
    #[error("failed to prepare for the hub")]
    Client(#[source] client::Error),
}

/// Who proves who we are.
pub enum Proof<'a> {
    /// A token in a file.
    File(&'a Path),
    /// A token that is used once.
    Once(&'a Token),
}

/// A client of the hub.
pub fn connect(
    identity: &Identity,
    proof: &Proof<'_>,
    clock: Arc<ServerClock>,
) -> Result<Client, ClientError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let address = identity
        .server
        .parse()
        .map_err(|_| ClientError::Address(identity.server.clone()))?;
    let mut config = Config::new(address);
    let roots = CertificateDer::pem_slice_iter(identity.ca.as_bytes())
        .map(|one| one.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(ClientError::Certificates)?;
    config.root_cert = Some(roots);
    config.default_namespace.clone_from(&identity.namespace);
    config.connect_timeout = Some(CONNECT);
    match proof {
        Proof::File(path) => config.auth_info.token_file = Some(path.display().to_string()),
        Proof::Once(token) => config.auth_info.token = Some(token.expose().to_owned().into()),
    }
    client::connect(config, clock).map_err(ClientError::Client)
}

/// Writes in the agent's name.
pub const fn writer() -> Writer {
    Writer::new(managers::AGENT, CALL)
}
