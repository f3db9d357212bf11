//! TLS towards Proxmox: by authority or by pinned certificate, and what certificate each host presented.
//!
//! Signatures are always verified: a pin names the certificate, the handshake proves its key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::config::{ConfigError, Fingerprint, Trust};

/// The certificates that hosts presented last, accepted or not.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<BTreeMap<String, Fingerprint>>);

impl Seen {
    pub(crate) fn of(&self, host: &str) -> Option<Fingerprint> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(host)
            .copied()
    }

    fn note(&self, host: &ServerName<'_>, presented: Fingerprint) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(host.to_str().into_owned(), presented);
    }
}

#[derive(Debug)]
enum Judge {
    Authorities(Arc<WebPkiServerVerifier>),
    Pin(Fingerprint),
}

#[derive(Debug)]
struct Verifier {
    judge: Judge,
    algorithms: WebPkiSupportedAlgorithms,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let presented = Fingerprint(Sha256::digest(end_entity).into());
        self.seen.note(server_name, presented);
        match &self.judge {
            Judge::Authorities(roots) => {
                roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Judge::Pin(pin) if *pin == presented => Ok(ServerCertVerified::assertion()),
            Judge::Pin(_) => Err(rustls::Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn authorities(pem: &str, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, ConfigError> {
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let cert = cert.map_err(|source| ConfigError::Pem { source })?;
        roots
            .add(cert)
            .map_err(|source| ConfigError::Ca { source: Some(source) })?;
    }
    if roots.is_empty() {
        return Err(ConfigError::Ca { source: None });
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|source| ConfigError::Verifier { source })
}

/// The TLS set-up of one client.
pub(crate) fn client_config(trust: &Trust, seen: Arc<Seen>) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let judge = match trust {
        Trust::Ca(pem) => Judge::Authorities(authorities(pem, &provider)?),
        Trust::Fingerprint(pin) => Judge::Pin(Fingerprint(*pin)),
    };
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| ConfigError::Tls { source })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier {
            judge,
            algorithms,
            seen,
        }))
        .with_no_client_auth();
    Ok(config)
}
