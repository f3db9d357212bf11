//! The snapshot on disk. Owns its file and who waits for it; the format is the core's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent_core::routes::Routes;
use agent_core::site::Site;
use agent_core::snapshot::{Corrupt, EncodeError, MAX_BYTES, decode, encode};
use jiff::Timestamp;
use kit::clock::Clock;
use tokio::task::JoinError;

use crate::files::{self, PRIVATE};

/// Why the snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Its file cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A corrupt one cannot be moved aside.
    #[error("failed to move {path} aside")]
    MoveAside {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be encoded.
    #[error("failed to make the snapshot")]
    Encode(#[source] EncodeError),
    /// Its file cannot be written.
    #[error("failed to write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The write was given up.
    #[error("the write of the snapshot was given up")]
    GivenUp(#[source] JoinError),
}

/// What was found at the start.
#[derive(Debug)]
pub enum Found {
    /// A site with its routes.
    Whole(Box<Site>, Routes),
    /// There is none.
    Nothing,
    /// One that cannot be used; it is kept under another name.
    Corrupt {
        /// Why.
        why: Corrupt,
        /// Where it is now.
        kept: PathBuf,
    },
}

/// The snapshot's file.
#[derive(Clone)]
pub struct Store {
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

impl Store {
    /// The store in a folder.
    #[must_use]
    pub fn new(folder: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            path: folder.join("snapshot.json"),
            clock,
        }
    }

    /// Reads the snapshot; one that cannot be used is moved aside. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read or moved.
    pub fn load(&self) -> Result<Found, SnapshotError> {
        let max = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
        let path = self.path.clone();
        let bytes = match files::read(&self.path, max) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Found::Nothing),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return self.aside(Corrupt::TooLarge);
            }
            Err(source) => return Err(SnapshotError::Read { path, source }),
        };
        match decode(&bytes) {
            Ok((site, routes)) => Ok(Found::Whole(Box::new(site), routes)),
            Err(why) => self.aside(why),
        }
    }

    /// Writes the snapshot and waits until it is on disk.
    ///
    /// # Errors
    /// When it cannot be written; the one before stays.
    pub async fn save(&self, site: &Site, routes: &Routes) -> Result<(), SnapshotError> {
        let bytes = encode(site, routes).map_err(SnapshotError::Encode)?;
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || files::replace(&path, &bytes, PRIVATE)).await;
        written
            .map_err(SnapshotError::GivenUp)?
            .map_err(|source| SnapshotError::Write {
                path: self.path.clone(),
                source,
            })
    }

    fn aside(&self, why: Corrupt) -> Result<Found, SnapshotError> {
        let kept = self.path.with_file_name(aside_name(self.clock.now()));
        fs::rename(&self.path, &kept).map_err(|source| SnapshotError::MoveAside {
            path: self.path.clone(),
            source,
        })?;
        Ok(Found::Corrupt { why, kept })
    }
}

fn aside_name(now: Timestamp) -> String {
    format!("snapshot.corrupt-{}.json", now.strftime("%Y%m%dT%H%M%S%.6fZ"))
}

#[cfg(test)]
mod tests {
    use kit::clock::TestClock;

    use super::*;

    #[test]
    fn a_torn_snapshot_is_kept_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
        let store = Store::new(folder.path(), clock);
        assert!(matches!(store.load(), Ok(Found::Nothing)));
        fs::write(
            folder.path().join("snapshot.json"),
            r#"{"version":1,"sha256":"00","#,
        )
        .unwrap();
        let Ok(Found::Corrupt { why, kept }) = store.load() else {
            unreachable!("it was taken");
        };
        assert!(matches!(why, Corrupt::Form(_)));
        assert_eq!(
            kept,
            folder
                .path()
                .join("snapshot.corrupt-20270115T080000.000000Z.json")
        );
        assert!(kept.is_file() && !folder.path().join("snapshot.json").exists());
        assert!(matches!(store.load(), Ok(Found::Nothing)));
    }
}
