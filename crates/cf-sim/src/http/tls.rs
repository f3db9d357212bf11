//! The simulator's own certificate authority and the certificate of its one address.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

/// What a server needs and what a client must know.
#[derive(Clone)]
pub struct Identity {
    /// The server's side.
    pub config: Arc<ServerConfig>,
    /// The authority's certificate.
    pub ca_pem: String,
}

/// Why there is no identity.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Keys or certificates.
    #[error("failed to make a certificate")]
    Make {
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The server's configuration.
    #[error("failed to set TLS up")]
    Configure {
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// A new authority and a server's certificate under it.
pub fn identity() -> Result<Identity, TlsError> {
    let (chain, key, ca_pem) = papers().map_err(|source| TlsError::Make { source })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|source| TlsError::Configure { source })?;
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    let config = config.map_err(|source| TlsError::Configure { source })?;
    Ok(Identity {
        config: Arc::new(config),
        ca_pem,
    })
}

type Papers = (
    Vec<rustls::pki_types::CertificateDer<'static>>,
    PrivateKeyDer<'static>,
    String,
);

fn papers() -> Result<Papers, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "Cloudflare (simulated)");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let names = ["127.0.0.1", "localhost", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "cf-sim");
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let server = params.signed_by(&key, &authority)?;
    let chain = vec![server.der().clone(), authority.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((chain, key, authority.pem()))
}
