//! What namespaces and links are called: recognisably ours, and of one folder alone.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// The names that belong to one folder. Two simulators have two folders, so neither meets the other's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// The names for a folder, given by its one absolute path.
    pub fn of(folder: &Path) -> Self {
        let hash = hex::encode(Sha256::digest(folder.as_os_str().as_bytes()));
        Self {
            prefix: format!("pvesim-{}", &hash[..8]),
        }
    }

    /// The namespace that holds the bridges.
    pub fn network(&self) -> &str {
        &self.prefix
    }

    /// The namespace of a guest.
    pub fn guest(&self, vmid: u32) -> String {
        format!("{}-{vmid}", self.prefix)
    }

    /// Whether a namespace with this name was made for this folder.
    pub fn owns(&self, namespace: &str) -> bool {
        namespace == self.prefix || self.owns_guest(namespace)
    }

    /// Whether a namespace with this name is that of one of this folder's guests.
    pub fn owns_guest(&self, namespace: &str) -> bool {
        let vmid = namespace
            .strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_prefix('-'));
        vmid.is_some_and(|vmid| !vmid.is_empty() && vmid.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// The bridge's side of a guest's first card, called as on a real node; at most 14 of the 15 characters of a link.
pub fn tap(vmid: u32) -> String {
    format!("tap{vmid}i0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_two_folders_differ_and_are_recognised_by_their_own_folder_only() {
        let (one, other) = (
            Names::of(Path::new("/run/one")),
            Names::of(Path::new("/run/other")),
        );
        assert_ne!(one, other);
        assert!(one.owns(one.network()) && one.owns(&one.guest(101)));
        assert!(!one.owns(other.network()) && !one.owns(&other.guest(101)));
    }

    #[test]
    fn names_that_only_begin_alike_are_not_ours() {
        let names = Names::of(Path::new("/run/one"));
        for strange in ["-", "-gw", "-1x", "0", "-101-gw"] {
            assert!(!names.owns(&format!("{}{strange}", names.network())), "{strange}");
        }
        assert!(!names.owns_guest(names.network()));
    }

    #[test]
    fn a_link_of_the_greatest_id_fits() {
        assert!(tap(999_999_999).len() <= 15);
    }
}
