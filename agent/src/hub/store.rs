//! What the host keeps of its enrolment: who it is in one file, its token in another, since that is replaced daily.

use std::io;
use std::path::{Path, PathBuf};

use agent_core::identity::{Identity, Token};

use crate::files::{self, Access};

const MAX: u64 = 256 * 1024;
const IDENTITY: &str = "identity.json";
const TOKEN: &str = "token";
const PRIVATE: Access = Access {
    mode: 0o600,
    owner: None,
};

/// Why the enrolment cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file.
    #[error("failed to use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its text.
    #[error("failed to understand {path}: remove it and enrol this host again")]
    Text {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Where the enrolment is kept.
#[derive(Debug, Clone)]
pub struct Store {
    identity: PathBuf,
    token: PathBuf,
}

impl Store {
    /// The enrolment in a folder.
    pub fn new(state: &Path) -> Self {
        Self {
            identity: state.join(IDENTITY),
            token: state.join(TOKEN),
        }
    }

    /// The file with the token, which is read again when it changes.
    pub fn token_file(&self) -> &Path {
        &self.token
    }

    /// Who this host is, if it has enrolled.
    pub fn load(&self) -> Result<Option<(Identity, Token)>, StoreError> {
        let read = |path: &Path| {
            files::read(path, MAX).map_err(|source| StoreError::File {
                path: path.to_owned(),
                source,
            })
        };
        let (Some(identity), Some(token)) = (read(&self.identity)?, read(&self.token)?) else {
            return Ok(None);
        };
        let identity = serde_json::from_slice(&identity).map_err(|source| StoreError::Text {
            path: self.identity.clone(),
            source,
        })?;
        Ok(Some((identity, Token::new(&String::from_utf8_lossy(&token)))))
    }

    /// Keeps a token.
    pub fn put_token(&self, token: &Token) -> Result<(), StoreError> {
        put(&self.token, token.expose().as_bytes())
    }

    /// Keeps an enrolment: the token first, since without it the other is nothing.
    pub fn put(&self, identity: &Identity, token: &Token) -> Result<(), StoreError> {
        self.put_token(token)?;
        let text = serde_json::to_vec_pretty(identity).map_err(|source| StoreError::Text {
            path: self.identity.clone(),
            source,
        })?;
        put(&self.identity, &text)
    }

    /// Forgets an enrolment that did not come about.
    pub fn forget(&self) -> Result<(), StoreError> {
        for path in [&self.identity, &self.token] {
            match std::fs::remove_file(path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::File {
                        path: path.clone(),
                        source,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    files::replace(path, bytes, PRIVATE).map_err(|source| StoreError::File {
        path: path.to_owned(),
        source,
    })
}
