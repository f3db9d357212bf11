//! Identities, parsed once at the edge: UIDs of objects, VMIDs, names of nodes and storages.
//!
//! Owns the syntax of each; must not know what any of them refers to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text or number is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a UUID in its 8-4-4-4-12 form.
    #[error("not a UUID of the form 8-4-4-4-12 hex digits")]
    Uid,
    /// Outside Proxmox's range of VMIDs.
    #[error("VMID {value} is outside 100–999999999")]
    Vmid {
        /// What was given.
        value: i64,
    },
    /// Not a name that Proxmox gives to such a thing.
    #[error("not a {what} name")]
    Name {
        /// "node" or "storage".
        what: &'static str,
    },
}

/// The UID of a Kubernetes object: a UUID, always shown in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(u128);

const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl Uid {
    /// All 32 hex digits without dashes.
    #[must_use]
    pub fn hex(&self) -> String {
        format!("{:032x}", self.0)
    }

    /// The sixteen bytes, most significant first.
    #[must_use]
    pub fn bytes(&self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The UID of sixteen bytes, most significant first.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.hex();
        let mut rest = hex.as_str();
        for (i, len) in GROUPS.into_iter().enumerate() {
            let (group, tail) = rest.split_at(len);
            if i > 0 {
                f.write_str("-")?;
            }
            f.write_str(group)?;
            rest = tail;
        }
        Ok(())
    }
}

impl FromStr for Uid {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let groups: Vec<&str> = text.split('-').collect();
        let shape = groups.iter().map(|g| g.len()).eq(GROUPS);
        let digits = groups.concat();
        if !shape || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(IdError::Uid);
        }
        u128::from_str_radix(&digits, 16)
            .map(Self)
            .map_err(|_| IdError::Uid)
    }
}

impl TryFrom<String> for Uid {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.to_string()
    }
}

/// The number of a guest in a Proxmox cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Vmid(u32);

impl Vmid {
    /// The lowest VMID that Proxmox accepts.
    pub const MIN: u32 = 100;
    /// The highest VMID that Proxmox accepts.
    pub const MAX: u32 = 999_999_999;

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for Vmid {
    type Error = IdError;

    fn try_from(value: i64) -> Result<Self, IdError> {
        u32::try_from(value)
            .ok()
            .filter(|v| (Self::MIN..=Self::MAX).contains(v))
            .map(Self)
            .ok_or(IdError::Vmid { value })
    }
}

impl TryFrom<u32> for Vmid {
    type Error = IdError;

    fn try_from(value: u32) -> Result<Self, IdError> {
        i64::from(value).try_into()
    }
}

impl From<Vmid> for i64 {
    fn from(id: Vmid) -> Self {
        id.0.into()
    }
}

impl From<Vmid> for u32 {
    fn from(id: Vmid) -> Self {
        id.0
    }
}

impl fmt::Display for Vmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! bounded_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $inner:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                let inner: fn(char) -> bool = $inner;
                let ends = text.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && text.ends_with(|c: char| c.is_ascii_alphanumeric());
                if ends && text.len() <= $max && text.chars().all(inner) {
                    Ok(Self(text))
                } else {
                    Err(IdError::Name { what: $what })
                }
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

bounded_name!(
    /// The name of a Proxmox node: a host name without dots.
    NodeName, "node", 63, |c| c.is_ascii_alphanumeric() || c == '-'
);
bounded_name!(
    /// The id of a Proxmox storage.
    StorageName, "storage", 100, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    proptest! {
        #[test]
        fn uid_text_round_trips_and_is_lower_case(bytes: [u8; 16]) {
            let uid = Uid::from_bytes(bytes);
            let text = uid.to_string();
            prop_assert_eq!(text.len(), 36);
            prop_assert_eq!(&text.to_lowercase(), &text);
            prop_assert_eq!(text.to_uppercase().parse::<Uid>(), Ok(uid));
            prop_assert_eq!(text.replace('-', ""), uid.hex());
            prop_assert_eq!(uid.bytes(), bytes);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "\\PC*") {
            let _ = text.parse::<Uid>();
            let _ = text.parse::<NodeName>();
            let _ = text.parse::<StorageName>();
        }
    }

    #[rstest]
    #[case("")]
    #[case("0b8f4b5e-9b1e-4c5a-8d57-2f0c6a1e3f4")]
    #[case("0b8f4b5e9b1e4c5a8d572f0c6a1e3f4d")]
    #[case("0b8f4b5e-9b1e-4c5a-8d57-2f0c6a1e3f4g")]
    #[case("+b8f4b5e-9b1e-4c5a-8d57-2f0c6a1e3f4d")]
    #[case("0b8f4b5e-9b1e-4c5a-8d57-2f0c6a1e3f4d ")]
    fn uid_refuses(#[case] text: &str) {
        assert_eq!(text.parse::<Uid>(), Err(IdError::Uid));
    }

    #[test]
    fn vmid_has_proxmox_bounds() {
        assert!(Vmid::try_from(99_u32).is_err());
        assert!(Vmid::try_from(-100_i64).is_err());
        assert!(Vmid::try_from(i64::MAX).is_err());
        assert!(Vmid::try_from(1_000_000_000_u32).is_err());
        assert_eq!(Vmid::try_from(100_u32).map(Vmid::get), Ok(100));
        assert_eq!(Vmid::try_from(999_999_999_i64).map(Vmid::get), Ok(999_999_999));
        assert!(serde_json::from_str::<Vmid>("99").is_err());
        assert_eq!(serde_json::from_str::<Vmid>("4711").unwrap().to_string(), "4711");
    }

    #[rstest]
    #[case("pve1", true)]
    #[case("PVE-2", true)]
    #[case("pve.1", false)]
    #[case("-pve", false)]
    #[case("pve-", false)]
    #[case("pve/1", false)]
    #[case("", false)]
    fn node_names(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<NodeName>().is_ok(), good);
    }

    #[rstest]
    #[case("local-lvm", true)]
    #[case("ceph_1.ssd", true)]
    #[case("a b", false)]
    #[case("../x", false)]
    fn storage_names(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<StorageName>().is_ok(), good);
    }
}
