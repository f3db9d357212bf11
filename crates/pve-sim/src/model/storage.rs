//! Storages and the volumes on them. A local storage has contents of its own on each node.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::moment::Moment;
use super::refusal::{Outcome, Refusal};

/// A disk image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Virtual size in bytes.
    pub size: u64,
    /// The guest that its name states.
    pub vmid: u32,
    /// When it was made.
    pub created: Moment,
    /// The base image of a linked clone.
    pub base: Option<String>,
}

/// What is wrong with a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing.
    Fine,
    /// Its directory should be a mount point and is none.
    Unmounted,
    /// It does not answer any more: whoever touches it hangs.
    Dead,
}

/// A file that is no disk: an ISO image, a template, a snippet, an image to import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredFile {
    /// The kind of content.
    pub content: String,
    /// Bytes.
    pub size: u64,
    /// When it was made.
    pub created: Moment,
}

/// A storage definition with its contents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Storage {
    /// Its name.
    pub name: String,
    /// Whether all nodes see the same contents.
    pub shared: bool,
    /// Whether it may be used.
    pub enabled: bool,
    /// What is wrong with it.
    pub health: Health,
    /// The only nodes that have it; none given: all.
    pub nodes: Vec<String>,
    /// Content types.
    pub content: Vec<String>,
    /// Bytes in total, on each node.
    pub total: u64,
    /// What else its definition says: path, mount point, and so on.
    pub settings: BTreeMap<String, String>,
    /// Files by place and name.
    files: BTreeMap<String, BTreeMap<String, StoredFile>>,
    /// Volumes by place (node, or "" if shared) and name.
    volumes: BTreeMap<String, BTreeMap<String, Volume>>,
}

impl Storage {
    /// A directory storage for all kinds of content.
    pub fn dir(name: &str, shared: bool, total: u64) -> Self {
        let content = [
            "images", "rootdir", "vztmpl", "backup", "iso", "snippets", "import",
        ];
        Self {
            name: name.to_owned(),
            shared,
            enabled: true,
            health: Health::Fine,
            nodes: Vec::new(),
            content: content.map(str::to_owned).to_vec(),
            total,
            settings: BTreeMap::from([("path".to_owned(), "/var/lib/vz".to_owned())]),
            files: BTreeMap::new(),
            volumes: BTreeMap::new(),
        }
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        self.settings.get("type").map_or("dir", String::as_str)
    }

    fn place<'a>(&self, node: &'a str) -> &'a str {
        if self.shared { "" } else { node }
    }

    /// Whether a node has it.
    pub fn on(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.iter().any(|name| name == node)
    }

    /// The checks before use, in the daemon's order.
    pub fn check(&self, node: &str) -> Outcome<()> {
        if !self.enabled {
            return Err(Refusal::died(format!("storage '{}' is disabled", self.name)));
        }
        if !self.on(node) {
            return Err(Refusal::died(format!(
                "storage '{}' is not available on node '{node}'",
                self.name
            )));
        }
        Ok(())
    }

    /// Hangs on a dead storage.
    pub fn check_alive(&self) -> Outcome<()> {
        if self.health == Health::Dead {
            return Err(Refusal::Stuck(self.name.clone()));
        }
        Ok(())
    }

    /// The checks before its contents are touched.
    pub fn activate(&self, node: &str) -> Outcome<()> {
        self.check(node)?;
        self.check_alive()?;
        if self.health != Health::Unmounted {
            return Ok(());
        }
        Err(Refusal::died(format!(
            "unable to activate storage '{}' - directory is expected to be a mount point but is not mounted: '{}'",
            self.name,
            self.path()
        )))
    }

    /// Where it lies on a node.
    pub fn path(&self) -> String {
        if self.name == "local" {
            "/var/lib/vz".to_owned()
        } else {
            format!("/mnt/{}", self.name)
        }
    }

    /// Where a file lies, by its kind of content.
    pub fn file_path(&self, name: &str) -> String {
        let folder = match name.split('/').next() {
            Some("iso") => "template/",
            Some("vztmpl") => {
                return format!("{}/template/{}", self.path(), name.replacen("vztmpl", "cache", 1));
            }
            _ => "",
        };
        format!("{}/{folder}{name}", self.path())
    }

    /// Everything but its volumes.
    #[must_use]
    pub fn head(&self) -> Self {
        let Self {
            name,
            shared,
            enabled,
            health,
            nodes,
            content,
            total,
            settings,
            files,
            volumes: _,
        } = self;
        Self {
            name: name.clone(),
            shared: *shared,
            enabled: *enabled,
            health: *health,
            nodes: nodes.clone(),
            content: content.clone(),
            total: *total,
            settings: settings.clone(),
            files: files.clone(),
            volumes: BTreeMap::new(),
        }
    }

    /// The same with the volumes of another.
    #[must_use]
    pub fn with_contents_of(self, other: Self) -> Self {
        Self {
            volumes: other.volumes,
            ..self
        }
    }

    /// The volumes that are new, different or gone: place, name.
    pub fn changes_since(&self, old: &Self) -> Vec<(String, String, Option<Volume>)> {
        let none = BTreeMap::new();
        let places: BTreeSet<&String> = self.volumes.keys().chain(old.volumes.keys()).collect();
        let mut changes = Vec::new();
        for place in places {
            let before = old.volumes.get(place).unwrap_or(&none);
            let after = self.volumes.get(place).unwrap_or(&none);
            for (name, volume) in super::delta::changes(before, after) {
                changes.push((place.clone(), name, volume));
            }
        }
        changes
    }

    /// Puts a volume to a place, or takes it away.
    pub fn put(&mut self, place: &str, name: String, volume: Option<Volume>) {
        let volumes = self.volumes.entry(place.to_owned()).or_default();
        match volume {
            Some(volume) => drop(volumes.insert(name, volume)),
            None => drop(volumes.remove(&name)),
        }
    }

    /// The volumes that a node sees.
    pub fn volumes(&self, node: &str) -> impl Iterator<Item = (&str, &Volume)> {
        let found = self.volumes.get(self.place(node));
        found
            .into_iter()
            .flatten()
            .map(|(name, volume)| (name.as_str(), volume))
    }

    /// A volume by name.
    pub fn volume(&self, node: &str, name: &str) -> Option<&Volume> {
        self.volumes.get(self.place(node))?.get(name)
    }

    /// A volume by name, to change it.
    pub fn volume_mut(&mut self, node: &str, name: &str) -> Option<&mut Volume> {
        let place = self.place(node).to_owned();
        self.volumes.get_mut(&place)?.get_mut(name)
    }

    /// Puts a volume there.
    pub fn add(&mut self, node: &str, name: &str, volume: Volume) {
        let place = self.place(node).to_owned();
        self.volumes
            .entry(place)
            .or_default()
            .insert(name.to_owned(), volume);
    }

    /// Removes a volume.
    pub fn remove(&mut self, node: &str, name: &str) {
        let place = self.place(node).to_owned();
        if let Some(volumes) = self.volumes.get_mut(&place) {
            volumes.remove(name);
        }
    }

    /// Puts a file there.
    pub fn add_file(&mut self, node: &str, name: &str, file: StoredFile) {
        let place = self.place(node).to_owned();
        self.files.entry(place).or_default().insert(name.to_owned(), file);
    }

    /// The files that a node sees.
    pub fn files(&self, node: &str) -> impl Iterator<Item = (&str, &StoredFile)> {
        let found = self.files.get(self.place(node));
        found
            .into_iter()
            .flatten()
            .map(|(name, file)| (name.as_str(), file))
    }

    /// Removes a file.
    pub fn remove_file(&mut self, node: &str, name: &str) {
        let place = self.place(node).to_owned();
        if let Some(files) = self.files.get_mut(&place) {
            files.remove(name);
        }
    }

    /// Removes every volume whose name states this guest.
    pub fn remove_all_of(&mut self, node: &str, vmid: u32) {
        let place = self.place(node).to_owned();
        if let Some(volumes) = self.volumes.get_mut(&place) {
            volumes.retain(|_, volume| volume.vmid != vmid);
        }
    }

    /// Carries a guest's volumes from one node to another; nothing on a shared storage.
    pub fn carry(&mut self, vmid: u32, from: &str, to: &str) {
        if self.shared {
            return;
        }
        let Some(volumes) = self.volumes.get_mut(from) else {
            return;
        };
        let moved: BTreeMap<_, _> = volumes.extract_if(.., |_, volume| volume.vmid == vmid).collect();
        self.volumes.entry(to.to_owned()).or_default().extend(moved);
    }

    /// The next free disk name of a guest.
    pub fn next_disk(&self, node: &str, vmid: u32) -> String {
        let taken: Vec<&str> = self.volumes(node).map(|(name, _)| name).collect();
        let names = (0_u32..).map(|index| format!("{vmid}/vm-{vmid}-disk-{index}.qcow2"));
        names
            .take(1000)
            .find(|name| !taken.iter().any(|other| stem(other) == stem(name)))
            .unwrap_or_default()
    }

    /// Bytes in use on a node: a linked clone takes a tenth of its size.
    pub fn used(&self, node: &str) -> u64 {
        let taken = |volume: &Volume| {
            if volume.base.is_some() {
                volume.size / 10
            } else {
                volume.size
            }
        };
        (1 << 30) + self.volumes(node).map(|(_, volume)| taken(volume)).sum::<u64>()
    }

    /// The answer of the status call.
    pub fn status(&self, node: &str) -> Value {
        let used = self.used(node).min(self.total);
        json!({
            "type": self.kind(), "content": self.content.join(","), "enabled": u8::from(self.enabled),
            "active": u8::from(self.enabled && self.health == Health::Fine), "shared": u8::from(self.shared), "total": self.total, "used": used,
            "avail": self.total - used,
        })
    }
}

/// Splits a volume id into storage and name.
pub fn split_volid(volid: &str) -> Option<(&str, &str)> {
    volid.split_once(':')
}

/// The volume id in a drive's value, if it names one.
pub fn drive_volid(drive: &str) -> Option<&str> {
    let file = drive.split(',').next()?;
    let file = file.strip_prefix("file=").unwrap_or(file);
    file.contains(':').then_some(file)
}

/// A file name without its kind: disks of all formats share one row of numbers.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The name under which the volume itself is kept: without the base of a linked clone.
pub fn own_name(name: &str) -> &str {
    let parts: Vec<usize> = name.match_indices('/').map(|(at, _)| at).collect();
    match parts.as_slice() {
        [_, second, _] => name.get(second + 1..).unwrap_or(name),
        _ => name,
    }
}
