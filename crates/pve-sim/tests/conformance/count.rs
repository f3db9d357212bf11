//! The count of groups, and its file for the benchmark.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All its pairs are reproduced.
    Reproduced,
    /// Some are excluded, all others are reproduced.
    Excluded,
    /// Something in it differs and nothing excludes that.
    Wrong,
}

/// The fates of all groups.
#[derive(Debug, Default)]
pub struct Count(pub BTreeMap<u32, Fate>);

impl Count {
    /// How many groups have a fate.
    pub fn of(&self, fate: Fate) -> usize {
        self.0.values().filter(|other| **other == fate).count()
    }

    /// `reproduced N of M, excluded K`
    pub fn line(&self) -> String {
        let (reproduced, excluded) = (self.of(Fate::Reproduced), self.of(Fate::Excluded));
        format!("reproduced {reproduced} of {}, excluded {excluded}", self.0.len())
    }

    /// Writes the count where the benchmark reads it.
    pub fn write(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
        std::fs::create_dir_all(&folder).unwrap();
        let text = json!({
            "reproduced": self.of(Fate::Reproduced), "total": self.0.len(), "excluded": self.of(Fate::Excluded),
        });
        std::fs::write(folder.join("conformance.json"), format!("{text}\n")).unwrap();
    }
}
