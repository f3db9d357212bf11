//! Which values of a guest's cloud-init image were changed while it ran. Its configuration file keeps the old ones, in a
//! section that no call shows and that counts for the digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The key under which the section lists values that the image does not have at all.
const ADDED: &str = "added";

/// The values that the image has otherwise than the configuration; it stays when they are alike again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outdated {
    old: BTreeMap<String, String>,
    added: BTreeSet<String>,
}

/// The keys of which an image is made, but for the name, the cards and their addresses.
pub const KEYS: &[&str] = &[
    "cicustom",
    "cipassword",
    "citype",
    "ciupgrade",
    "ciuser",
    "nameserver",
    "searchdomain",
    "sshkeys",
];

/// Whether an image is made of a key, among others.
pub fn is_in_image(key: &str) -> bool {
    let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
    key == "name" || KEYS.contains(&key) || (family != key && matches!(family, "net" | "ipconfig"))
}

impl Outdated {
    /// Values that the image has otherwise.
    pub fn of(old: BTreeMap<String, String>) -> Self {
        Self {
            old,
            added: BTreeSet::new(),
        }
    }

    /// Takes note of a change.
    pub fn note(&mut self, key: &str, before: Option<&str>, after: Option<&str>) {
        if self.old.get(key).is_some_and(|old| Some(old.as_str()) == after) {
            self.old.remove(key);
        } else if self.added.contains(key) {
            if after.is_none() {
                self.added.remove(key);
            }
        } else if !self.old.contains_key(key) {
            match before {
                Some(before) => drop(self.old.insert(key.to_owned(), before.to_owned())),
                None => drop(after.map(|_| self.added.insert(key.to_owned()))),
            }
        }
    }

    /// The section of the file.
    pub fn text(&self) -> String {
        let mut keys = self.old.clone();
        if !self.added.is_empty() {
            let names: Vec<&str> = self.added.iter().map(String::as_str).collect();
            keys.insert(ADDED.to_owned(), names.join(","));
        }
        let mut text = "\n[special:cloudinit]\n".to_owned();
        for (key, value) in keys {
            let _ = writeln!(text, "{key}: {value}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_changed_back_is_noted_no_more() {
        let mut outdated = Outdated::default();
        outdated.note("net0", Some("a"), Some("b"));
        outdated.note("net0", Some("b"), Some("c"));
        assert_eq!(outdated.text(), "\n[special:cloudinit]\nnet0: a\n");
        outdated.note("net0", Some("c"), Some("a"));
        outdated.note("ciuser", None, Some("x"));
        assert_eq!(outdated.text(), "\n[special:cloudinit]\nadded: ciuser\n");
        outdated.note("ciuser", Some("x"), None);
        assert_eq!(outdated, Outdated::default());
    }
}
