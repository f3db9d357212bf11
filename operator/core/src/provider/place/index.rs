//! Which index of a Gateway a claim takes: the lowest free one, else the one that has rested longest.

use std::collections::BTreeSet;

use domain::slot::SlotIndex;
use jiff::Timestamp;

/// The indices of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indices {
    /// Indices held by Slots that do not rest, or by claims of ours that are under way.
    pub held: BTreeSet<u32>,
    /// Slots that rest.
    pub resting: Vec<Resting>,
}

/// A Slot that rests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resting {
    /// Since when.
    pub since: Timestamp,
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
}

/// An index to claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The index.
    pub index: SlotIndex,
    /// A resting Slot of that name, which must go first.
    pub replaces: Option<String>,
}

impl Indices {
    /// The index to claim, of `capacity`; `barred` says where something sits already.
    #[must_use]
    pub fn choose(&self, capacity: u32, barred: impl Fn(u32) -> bool) -> Option<Choice> {
        let rests: BTreeSet<u32> = self.resting.iter().map(|slot| slot.index).collect();
        let free = (0..capacity).find(|i| !self.held.contains(i) && !rests.contains(i) && !barred(*i));
        if let Some(index) = free {
            return Some(Choice {
                index: SlotIndex(index),
                replaces: None,
            });
        }
        let oldest = self
            .resting
            .iter()
            .filter(|slot| slot.index < capacity && !self.held.contains(&slot.index) && !barred(slot.index))
            .min();
        oldest.map(|slot| Choice {
            index: SlotIndex(slot.index),
            replaces: Some(slot.name.clone()),
        })
    }

    /// How many more claims there is room for.
    #[must_use]
    pub fn left(&self, capacity: u32) -> u32 {
        let held = self.held.iter().filter(|index| **index < capacity).count();
        capacity.saturating_sub(u32::try_from(held).unwrap_or(u32::MAX))
    }
}
