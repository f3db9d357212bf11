//! The cluster on disk: a whole state, and behind it a journal of changes. What was answered is there after a kill -9
//! at any moment: each change is one write, made before its answer. Nothing is flushed to the disk itself, so a loss
//! of power may cost the last seconds.

mod present;
mod record;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use present::Present;

use crate::http::tls::Papers;
use crate::model::delta::{Delta, Parts, parts_of};
use crate::model::world::World;

/// What a simulator keeps of itself for ever.
#[derive(Clone, Serialize, Deserialize)]
pub struct Origin {
    /// The seed of its randomness.
    pub seed: u64,
    /// Its certificates and key.
    pub papers: Papers,
}

/// Why a state could not be kept or found.
#[derive(Debug, Error)]
pub enum StateError {
    /// A file or folder.
    #[error("failed to use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its text.
    #[error("failed to understand {path}")]
    Text {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Another simulator has it.
    #[error("another simulator uses {path}")]
    Taken {
        /// The folder.
        path: PathBuf,
    },
}

/// A folder that holds a state.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// A journal that has grown beyond this, and beyond twice its state, is replaced by a new state.
    most: u64,
    /// Held for as long as this process lives.
    lock: File,
}

/// A state on disk that follows a cluster.
#[derive(Debug)]
pub struct Store {
    folder: Folder,
    generation: u64,
    journal: File,
    /// Bytes of the journal, and of the state before it.
    size: u64,
    base: u64,
    last: World,
    parts: Parts,
}

fn wrap<T>(path: &Path, result: std::io::Result<T>) -> Result<T, StateError> {
    result.map_err(|source| StateError::File {
        path: path.to_owned(),
        source,
    })
}

fn understood<T>(path: &Path, result: serde_json::Result<T>) -> Result<T, StateError> {
    result.map_err(|source| StateError::Text {
        path: path.to_owned(),
        source,
    })
}

fn writer() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

/// Writes a file so that a reader sees all of it or nothing.
fn replace(path: &Path, text: &str) -> Result<(), StateError> {
    let part = path.with_extension("part");
    let mut file = wrap(&part, writer().write(true).truncate(true).open(&part))?;
    wrap(&part, file.write_all(text.as_bytes()))?;
    wrap(path, fs::rename(&part, path))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => wrap(path, result).map(Some),
    }
}

impl Folder {
    /// Takes a folder, which is made if it is not there. `most` is how many bytes its journal may have.
    pub fn open(path: &Path, most: u64) -> Result<Self, StateError> {
        wrap(path, fs::create_dir_all(path))?;
        let file = path.join("lock");
        let lock = wrap(&file, writer().write(true).truncate(false).open(&file))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                most,
                lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StateError::Taken {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(StateError::File { path: file, source }),
        }
    }

    /// Where the simulator comes from; `make` is asked if nothing is known yet.
    pub fn origin<E>(
        &self,
        wrap: impl Fn(StateError) -> E,
        make: impl FnOnce() -> Result<Origin, E>,
    ) -> Result<Origin, E> {
        let path = self.path.join("origin.json");
        if let Some(bytes) = read(&path).map_err(&wrap)? {
            return understood(&path, serde_json::from_slice(&bytes)).map_err(wrap);
        }
        let origin = make()?;
        let text = understood(&path, serde_json::to_string(&origin)).map_err(&wrap)?;
        replace(&path, &text).map_err(wrap)?;
        Ok(origin)
    }

    /// The cluster as it was left, with its generation and the length of its journal.
    fn load(&self) -> Result<Option<(World, u64)>, StateError> {
        let mut found = Vec::new();
        for entry in wrap(&self.path, fs::read_dir(&self.path))? {
            let name = wrap(&self.path, entry)?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix("world-")?.parse::<u64>().ok());
            found.extend(number);
        }
        found.sort_unstable();
        let Some(generation) = found.pop() else {
            return Ok(None);
        };
        let (path, journal) = (self.world(generation), self.journal(generation));
        let bytes = read(&path)?.unwrap_or_default();
        let (texts, _) = record::whole(&bytes);
        let mut world: World = understood(&path, serde_json::from_str(texts.first().unwrap_or(&"")))?;
        let bytes = read(&journal)?.unwrap_or_default();
        for text in record::whole(&bytes).0 {
            let delta: Delta = understood(&journal, serde_json::from_str(text))?;
            understood(&journal, delta.apply(&mut world))?;
        }
        Ok(Some((world, generation)))
    }

    fn world(&self, generation: u64) -> PathBuf {
        self.path.join(format!("world-{generation}"))
    }

    fn journal(&self, generation: u64) -> PathBuf {
        self.path.join(format!("journal-{generation}"))
    }

    /// The cluster as it was left, or else a fresh one, and the state that follows it from now on.
    pub fn follow(self, fresh: impl FnOnce() -> World) -> Result<(World, Store), StateError> {
        let (world, generation) = match self.load()? {
            Some((world, generation)) => (world, generation),
            None => (fresh(), 0),
        };
        let store = Store::begin(self, generation + 1, &world)?;
        Ok((world, store))
    }
}

impl Store {
    /// Writes a whole state and an empty journal; older ones are removed.
    fn begin(folder: Folder, generation: u64, world: &World) -> Result<Self, StateError> {
        let path = folder.world(generation);
        let text = record::line(&understood(&path, serde_json::to_string(world))?);
        replace(&path, &text)?;
        let file = folder.journal(generation);
        let journal = wrap(&file, writer().append(true).open(&file))?;
        for entry in wrap(&folder.path, fs::read_dir(&folder.path))?.flatten() {
            let name = entry.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.split_once('-')?.1.parse::<u64>().ok());
            if number.is_some_and(|number| number < generation) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self {
            parts: understood(&path, parts_of(world))?,
            last: world.clone(),
            base: text.len() as u64,
            size: 0,
            journal,
            generation,
            folder,
        })
    }

    /// Writes down what has changed. What cannot be written is tried again with the next change.
    pub fn save(&mut self, world: &World) -> Result<(), StateError> {
        let path = self.folder.journal(self.generation);
        let delta = understood(&path, Delta::between(&self.last, &self.parts, world))?;
        if delta.is_empty() {
            return Ok(());
        }
        let text = understood(&path, serde_json::to_string(&delta))?;
        let line = record::line(&text);
        if let Err(source) = self.journal.write_all(line.as_bytes()) {
            // Half a line would hide those behind it.
            wrap(&path, self.journal.set_len(self.size))?;
            return Err(StateError::File { path, source });
        }
        self.size += line.len() as u64;
        delta.note(&mut self.last, &mut self.parts);
        if self.size > self.folder.most.max(self.base * 2) {
            self.renew(world)?;
        }
        Ok(())
    }

    /// Replaces state and journal by a new state.
    fn renew(&mut self, world: &World) -> Result<(), StateError> {
        let folder = Folder {
            path: self.folder.path.clone(),
            most: self.folder.most,
            lock: wrap(&self.folder.path, self.folder.lock.try_clone())?,
        };
        *self = Self::begin(folder, self.generation + 1, world)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
