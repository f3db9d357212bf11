//! Certificate and key on disk, and the key of the account. Owns their files; keys are readable by their owner alone.
//!
//! Each certificate has a folder of its own, named by its fingerprint; the file `current` names the one in use. So a
//! certificate and its key change in one step.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use agent_core::caddy::Files;
use agent_core::certificate::Held;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::files::{self, Access, PRIVATE};

const MAX_FILE: u64 = 1024 * 1024;
/// Certificates kept besides the one in use: an open handshake may still read the one before.
const KEPT: usize = 1;

/// Why a certificate could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("failed to write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A chain cannot be used.
    #[error("failed to read the certificate: {0}")]
    Chain(&'static str),
}

/// A certificate at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its files.
    pub files: Files,
    /// What it is for, and how long.
    pub held: Held,
}

/// The folder of certificates.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    owner: Option<u32>,
}

impl Store {
    /// The store in a folder; keys belong to `owner`, which is the web server's user.
    #[must_use]
    pub fn new(state: &Path, owner: Option<u32>) -> Self {
        Self {
            folder: state.join("certificate"),
            owner,
        }
    }

    /// The certificate in use; none if there is none. Blocks.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn load(&self) -> Result<Option<Stored>, StoreError> {
        let Some(name) = self.read("current")? else {
            return Ok(None);
        };
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(StoreError::Chain("the name of its folder is damaged"));
        }
        let files = self.files(&name);
        let chain = self.read(&format!("{name}/chain.pem"))?;
        let chain = chain.ok_or(StoreError::Chain("its file is gone"))?;
        let leaf = leaf(&chain)?;
        if !files.key.is_file() {
            return Err(StoreError::Chain("its key is gone"));
        }
        Ok(Some(Stored {
            files,
            held: leaf.held,
        }))
    }

    /// Keeps a certificate with its key and puts it in use. Blocks.
    ///
    /// # Errors
    /// When the chain cannot be used, or a file cannot be written; then the certificate before stays in use.
    pub fn put(&self, chain: &[u8], key: &str) -> Result<Stored, StoreError> {
        let leaf = leaf(chain)?;
        let files = self.files(&leaf.fingerprint);
        let open = Access {
            mode: 0o644,
            owner: None,
        };
        let secret = Access {
            mode: 0o600,
            owner: self.owner,
        };
        write(&files.key, key.as_bytes(), secret)?;
        write(&files.chain, chain, open)?;
        write(&self.folder.join("current"), leaf.fingerprint.as_bytes(), open)?;
        self.tidy(&leaf.fingerprint);
        Ok(Stored {
            files,
            held: leaf.held,
        })
    }

    /// What is kept of the account at an authority. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn account(&self, directory: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(&account_name(directory))
    }

    /// Keeps the account at an authority. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_account(&self, directory: &str, credentials: &[u8]) -> Result<(), StoreError> {
        write(&self.folder.join(account_name(directory)), credentials, PRIVATE)
    }

    /// Forgets the account at an authority, which does not know it any more. Blocks.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn forget_account(&self, directory: &str) -> Result<(), StoreError> {
        let path = self.folder.join(account_name(directory));
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Write { path, source })
            }
            _ => Ok(()),
        }
    }

    fn files(&self, name: &str) -> Files {
        Files {
            chain: self.folder.join(name).join("chain.pem"),
            key: self.folder.join(name).join("key.pem"),
            fingerprint: name.to_owned(),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.folder.join(name);
        files::read(&path, MAX_FILE).map_err(|source| StoreError::Read { path, source })
    }

    /// Removes certificates that were replaced longer ago. One that stays does no harm.
    fn tidy(&self, current: &str) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut old: Vec<_> = entries
            .filter(|entry| entry.file_name() != current && entry.path().is_dir())
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        old.sort();
        for (_, path) in old.iter().rev().skip(KEPT) {
            if let Err(error) = fs::remove_dir_all(path) {
                tracing::debug!(path = %path.display(), %error, "an old certificate stays");
            }
        }
    }
}

/// One account an authority: its name is in the file's.
fn account_name(directory: &str) -> String {
    let hash = hex::encode(Sha256::digest(directory));
    format!("account-{}.json", hash.get(..16).unwrap_or_default())
}

fn write(path: &Path, bytes: &[u8], access: Access) -> Result<(), StoreError> {
    files::replace(path, bytes, access).map_err(|source| StoreError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The first certificate of a chain.
pub(super) struct Leaf {
    fingerprint: String,
    pub(super) held: Held,
    /// Its public key, as it stands in the certificate.
    pub(super) public_key: Vec<u8>,
}

/// Reads the first certificate of a chain.
pub(super) fn leaf(chain: &[u8]) -> Result<Leaf, StoreError> {
    let bad = StoreError::Chain;
    let pem = Pem::iter_from_buffer(chain)
        .next()
        .and_then(Result::ok)
        .ok_or(bad("it is not PEM"))?;
    let certificate = pem.parse_x509().map_err(|_| bad("it is no X.509"))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| bad("its names are damaged"))?;
    let names = names
        .into_iter()
        .flat_map(|extension| &extension.value.general_names);
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    let at = |seconds| Timestamp::from_second(seconds).map_err(|_| bad("its validity is out of range"));
    let validity = certificate.validity();
    Ok(Leaf {
        fingerprint: hex::encode(Sha256::digest(&pem.contents))
            .get(..16)
            .unwrap_or_default()
            .to_owned(),
        public_key: certificate.public_key().subject_public_key.data.to_vec(),
        held: Held {
            names: names.filter_map(dns).collect(),
            not_before: at(validity.not_before.timestamp())?,
            not_after: at(validity.not_after.timestamp())?,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_comes_back_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), None);
        assert_eq!(store.load().unwrap(), None);
        let (chain, key) = certificate("*.a.example");
        let stored = store.put(chain.as_bytes(), &key).unwrap();
        assert_eq!(stored.held.names, ["*.a.example"]);
        assert_eq!(store.load().unwrap(), Some(stored.clone()));
        let mode = fs::metadata(&stored.files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&stored.files.key).unwrap(), key);
    }

    #[test]
    fn a_chain_that_cannot_be_used_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), None);
        let (chain, key) = certificate("*.a.example");
        let stored = store.put(chain.as_bytes(), &key).unwrap();
        assert!(store.put(b"no certificate", "key").is_err());
        assert_eq!(store.load().unwrap(), Some(stored));
    }

    #[test]
    fn old_certificates_go_but_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), None);
        for _ in 0..4 {
            let (chain, key) = certificate("*.a.example");
            store.put(chain.as_bytes(), &key).unwrap();
        }
        let folders = fs::read_dir(folder.path().join("certificate")).unwrap().flatten();
        assert_eq!(folders.filter(|entry| entry.path().is_dir()).count(), 2);
    }

    #[test]
    fn accounts_are_kept_by_authority() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), None);
        store.put_account("https://one", b"1").unwrap();
        assert_eq!(store.account("https://one").unwrap().unwrap(), b"1");
        assert_eq!(store.account("https://two").unwrap(), None);
        store.forget_account("https://two").unwrap();
        store.forget_account("https://one").unwrap();
        assert_eq!(store.account("https://one").unwrap(), None);
    }
}
