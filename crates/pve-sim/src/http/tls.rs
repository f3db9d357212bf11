//! The simulator's own certificate authority and the certificate of its one address.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// What a server needs and what a client must know.
#[derive(Clone)]
pub struct Identity {
    /// The server's side.
    pub config: Arc<ServerConfig>,
    /// The authority's certificate.
    pub ca_pem: String,
    /// The SHA-256 fingerprint of the server's certificate, as Proxmox shows it.
    pub fingerprint: String,
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
    /// Papers that were kept.
    #[error("failed to read the kept certificates")]
    Read {
        /// Why.
        #[source]
        source: hex::FromHexError,
    },
    /// The server's configuration.
    #[error("failed to set TLS up")]
    Configure {
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// Certificates and key as they can be kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct Papers {
    /// The server's certificate and the authority's, as hexadecimal DER.
    chain: Vec<String>,
    /// The server's key, as hexadecimal PKCS #8.
    key: String,
    /// The authority's certificate.
    ca_pem: String,
}

/// Makes a new authority and a certificate under it.
pub fn papers() -> Result<Papers, TlsError> {
    certificates().map_err(|source| TlsError::Make { source })
}

/// What a server needs, from its papers.
pub fn identity(papers: Papers) -> Result<Identity, TlsError> {
    let Papers { chain, key, ca_pem } = papers;
    let der = |text: &String| hex::decode(text).map_err(|source| TlsError::Read { source });
    let chain: Result<Vec<CertificateDer<'static>>, TlsError> =
        chain.iter().map(|cert| Ok(der(cert)?.into())).collect();
    let (chain, key) = (chain?, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der(&key)?)));
    let fingerprint = fingerprint(chain.first().map_or(&[], |cert| cert.as_ref()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|source| TlsError::Configure { source })?;
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    let config = config.map_err(|source| TlsError::Configure { source })?;
    Ok(Identity {
        config: Arc::new(config),
        ca_pem,
        fingerprint,
    })
}

fn certificates() -> Result<Papers, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "Proxmox Virtual Environment (simulated)");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let names = ["127.0.0.1", "localhost", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "pve1");
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let server = params.signed_by(&key, &authority)?;
    Ok(Papers {
        chain: [server.der(), authority.der()].map(hex::encode).to_vec(),
        key: hex::encode(key.serialize_der()),
        ca_pem: authority.pem(),
    })
}

fn fingerprint(der: &[u8]) -> String {
    let bytes = Sha256::digest(der);
    bytes
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(":")
}
