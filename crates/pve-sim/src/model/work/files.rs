//! imgcopy and imgdel: files that come onto a storage and go.

use serde::{Deserialize, Serialize};

use super::super::refusal::{Outcome, Refusal};
use super::super::storage::StoredFile;
use super::super::world::World;
use super::{Next, Step, log};

/// A change of a storage's contents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileJob {
    /// The storage.
    pub storage: String,
    /// The name on it.
    pub name: String,
    /// The new file; none: the old one goes.
    pub file: Option<StoredFile>,
}

impl FileJob {
    /// The only step.
    pub fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        let missing = || Refusal::died(format!("storage '{}' does not exist", self.storage));
        let storage = world.storages.get_mut(&self.storage).ok_or_else(missing)?;
        storage.check(&step.node)?;
        let Some(file) = &self.file else {
            storage.remove(&step.node, &self.name);
            storage.remove_file(&step.node, &self.name);
            log(
                world,
                step.task,
                format!("Removed volume '{}:{}'", self.storage, self.name),
            );
            return Ok(Next::Done);
        };
        storage.add_file(&step.node, &self.name, file.clone());
        let (from, to) = (temporary(file.size), storage.file_path(&self.name));
        for line in [
            format!("starting file import from: {from}"),
            format!("target node: {}", step.node),
            format!("target file: {to}"),
            format!("file size is: {}", file.size),
            format!("command: cp -- {from} {to}"),
            "finished file import successfully".to_owned(),
        ] {
            log(world, step.task, line);
        }
        Ok(Next::Done)
    }
}

/// Where an upload was kept until now.
fn temporary(size: u64) -> String {
    format!("/var/tmp/pveupload-{size:032x}")
}
