//! The control plane's own authority and certificates. Owns the files under `pki/`; good for loopback only.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::kubeconfig::{Credential, write_private};

/// Names under which the API server is called, from outside and from inside.
const SERVER_NAMES: [&str; 5] = [
    "localhost",
    "127.0.0.1",
    "10.0.0.1",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Paths of what the control plane reads, and the authority itself.
pub(super) struct Pki {
    pub(super) ca_cert: PathBuf,
    pub(super) ca_key: PathBuf,
    pub(super) server_cert: PathBuf,
    pub(super) server_key: PathBuf,
    pub(super) accounts_key: PathBuf,
    pub(super) accounts_public: PathBuf,
    pub(super) ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// Makes everything anew under `dir`.
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let dir = dir.join("pki");
        fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
        let (issuer, ca_pem) = authority()?;
        let pki = Self {
            ca_cert: dir.join("ca.crt"),
            ca_key: dir.join("ca.key"),
            server_cert: dir.join("server.crt"),
            server_key: dir.join("server.key"),
            accounts_key: dir.join("accounts.key"),
            accounts_public: dir.join("accounts.pub"),
            ca_pem,
            issuer,
        };
        pki.write()?;
        Ok(pki)
    }

    fn write(&self) -> Result<()> {
        let (cert, key) = self.server()?;
        let accounts = KeyPair::generate().context("failed to make the key of the service accounts")?;
        write_private(&self.ca_cert, &self.ca_pem)?;
        write_private(&self.ca_key, &self.issuer.key().serialize_pem())?;
        write_private(&self.server_cert, &cert)?;
        write_private(&self.server_key, &key)?;
        write_private(&self.accounts_key, &accounts.serialize_pem())?;
        write_private(&self.accounts_public, &accounts.public_key_pem())
    }

    fn server(&self) -> Result<(String, String)> {
        let mut params =
            CertificateParams::new(SERVER_NAMES.map(str::to_owned)).context("failed to name the server")?;
        params
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
        self.sign(params)
    }

    /// A client certificate: the user is the common name, its groups are the organisations.
    pub(super) fn client(&self, user: &str, groups: &[&str]) -> Result<Credential> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ClientAuth);
        let (cert, key) = self.sign(params)?;
        Ok(Credential::Certificate { cert, key })
    }

    fn sign(&self, mut params: CertificateParams) -> Result<(String, String)> {
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().context("failed to make a key")?;
        let cert = params
            .signed_by(&key, &self.issuer)
            .context("failed to sign a certificate")?;
        Ok((cert.pem(), key.serialize_pem()))
    }
}

fn authority() -> Result<(Issuer<'static, KeyPair>, String)> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "decent-cloud testbed");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .key_usages
        .extend([KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
    let key = KeyPair::generate().context("failed to make the authority's key")?;
    let cert = params
        .self_signed(&key)
        .context("failed to sign the authority's certificate")?;
    Ok((Issuer::new(params, key), cert.pem()))
}
