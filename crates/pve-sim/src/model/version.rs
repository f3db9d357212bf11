//! Which release the nodes run, and in what its answers differ. Only 9.2 was recorded; the others differ from it in
//! what is listed here and in nothing else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Version {
    /// 7.4: a resize is done by the call itself.
    V7_4,
    /// 8.3: errors have a reason phrase and nothing else.
    V8_3,
    /// 8.4: a refused login says why, and VM.Monitor is what the agent's calls ask for.
    V8_4,
    /// 9.2, as recorded.
    #[default]
    V9_2,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::V7_4, Self::V8_3, Self::V8_4, Self::V9_2];

    /// The release, as in 9.2.
    pub fn release(self) -> &'static str {
        match self {
            Self::V7_4 => "7.4",
            Self::V8_3 => "8.3",
            Self::V8_4 => "8.4",
            Self::V9_2 => "9.2",
        }
    }

    /// The version of the package.
    pub fn full(self) -> &'static str {
        match self {
            Self::V7_4 => "7.4-17",
            Self::V8_3 => "8.3.0",
            Self::V8_4 => "8.4.1",
            Self::V9_2 => "9.2.11",
        }
    }

    /// Whether errors are told in the body too: since pve-http-server 5.2.0 of January 2025.
    pub fn has_error_bodies(self) -> bool {
        self >= Self::V8_4
    }

    /// Whether a resize is a task: since qemu-server 8.0.
    pub fn resizes_in_tasks(self) -> bool {
        self >= Self::V8_3
    }

    /// Whether every refused login gets the same answer: since pve-manager 9.1.5.
    pub fn hides_why_a_login_failed(self) -> bool {
        self >= Self::V9_2
    }

    /// What this release asks for where 9.2 asks for the privilege: the agent's own ones are new in 9.0.
    pub fn privilege(self, name: &str) -> &str {
        if self < Self::V9_2 && name.starts_with("VM.GuestAgent.") {
            "VM.Monitor"
        } else {
            name
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str(self.release())
    }
}

/// A text that is no release.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("one of 9.2, 8.4, 8.3, 7.4")]
pub struct BadVersion;

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let mut all = Self::ALL.into_iter();
        all.find(|version| version.release() == text).ok_or(BadVersion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_is_read_back_from_its_own_text() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert_eq!("9.9".parse::<Version>(), Err(BadVersion));
    }
}
