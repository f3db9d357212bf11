//! What the rest of the system knows about Proxmox's answers: classes of failure and task ids.
//!
//! Owns the words; must not know any text of Proxmox (that is the client's).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A privilege that the token lacks, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MissingPrivilege {
    /// The access path, such as `/vms/9000`.
    pub path: String,
    /// The privilege, such as `VM.Clone`; alternatives are joined by `|`.
    pub privilege: String,
}

/// What a failure means for the next step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Class {
    /// May pass by itself; nobody must act.
    Retryable {
        /// Seconds to wait at least, if the failure says so.
        after: Option<u32>,
    },
    /// Somebody else took the VMID: take another Slot and never touch this one.
    LostRace,
    /// This node or its storage cannot do it: place elsewhere.
    ReplaceNode,
    /// Another operation holds the guest or the storage.
    Locked,
    /// The thing is not there (on that node).
    Gone,
    /// The token lacks a right, or is no token of this cluster.
    Denied {
        /// The right that is missing, if Proxmox names it.
        privilege: Option<MissingPrivilege>,
    },
    /// What the tenant asked for is refused.
    Spec,
    /// The provider's set-up or an unknown text.
    Provider,
    /// We sent what is never right.
    Bug,
    /// Somebody wrote the Kubernetes object or the configuration meanwhile.
    Conflict,
}

impl Class {
    /// A word for conditions and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Retryable { .. } => "Retryable",
            Self::LostRace => "LostRace",
            Self::ReplaceNode => "ReplaceNode",
            Self::Locked => "Locked",
            Self::Gone => "Gone",
            Self::Denied { .. } => "Denied",
            Self::Spec => "Spec",
            Self::Provider => "Provider",
            Self::Bug => "Bug",
            Self::Conflict => "Conflict",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The id of a Proxmox task: `UPID:node:pid:pstart:starttime:kind:id:user:`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Upid {
    text: String,
    node: (usize, usize),
    kind: (usize, usize),
    id: (usize, usize),
    user: (usize, usize),
    started: i64,
}

/// Not a task id of Proxmox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a Proxmox task id")]
pub struct NotUpid;

impl Upid {
    fn part(&self, (from, to): (usize, usize)) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The node that runs the task; its status must be asked there.
    #[must_use]
    pub fn node(&self) -> &str {
        self.part(self.node)
    }

    /// The kind, such as `qmclone`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.part(self.kind)
    }

    /// What the task works on; for `qmclone` the source.
    #[must_use]
    pub fn id(&self) -> &str {
        self.part(self.id)
    }

    /// Who started it, with the token's id if Proxmox gave it.
    #[must_use]
    pub fn user(&self) -> &str {
        self.part(self.user)
    }

    /// When it started, in seconds since 1970.
    #[must_use]
    pub fn started(&self) -> i64 {
        self.started
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Upid {
    type Err = NotUpid;

    fn from_str(text: &str) -> Result<Self, NotUpid> {
        let parts: Vec<&str> = text.split(':').collect();
        let [head, node, pid, pstart, started, kind, id, user, tail] = parts.as_slice() else {
            return Err(NotUpid);
        };
        let hex = |s: &str, len: &[usize]| len.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_hexdigit());
        let word = |s: &str| !s.contains(char::is_whitespace) && !s.contains('/');
        let node_name = node.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !node.is_empty();
        let numbers = hex(pid, &[8]) && hex(pstart, &[8, 9]) && hex(started, &[8]);
        let words = word(kind) && word(id) && word(user) && !kind.is_empty() && !user.is_empty();
        if *head != "UPID" || !tail.is_empty() || !node_name || !numbers || !words {
            return Err(NotUpid);
        }
        let started = i64::from_str_radix(started, 16).map_err(|_| NotUpid)?;
        let span = |n: usize| {
            let from = parts.iter().take(n).map(|p| p.len() + 1).sum();
            (from, from + parts.get(n).map_or(0, |p| p.len()))
        };
        let (node, kind, id, user) = (span(1), span(5), span(6), span(7));
        Ok(Self {
            node,
            kind,
            id,
            user,
            started,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Upid {
    type Error = NotUpid;

    fn try_from(text: String) -> Result<Self, NotUpid> {
        text.parse()
    }
}

impl From<Upid> for String {
    fn from(upid: Upid) -> Self {
        upid.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn fields_are_read() {
        let text = "UPID:pve1:000003E8:0001A2B3C:6720B1C2:qmclone:9000:dc@pve!dc:";
        let upid: Upid = text.parse().unwrap();
        assert_eq!(
            (upid.node(), upid.kind(), upid.id(), upid.user()),
            ("pve1", "qmclone", "9000", "dc@pve!dc")
        );
        assert_eq!(upid.started(), 0x6720_B1C2);
        assert_eq!(upid.to_string(), text);
        assert_eq!(
            serde_json::from_str::<Upid>(&serde_json::to_string(&upid).unwrap()).unwrap(),
            upid
        );
    }

    #[test]
    fn a_task_may_have_no_id() {
        let upid: Upid = "UPID:pve1:000003E8:00001A2B:6720B1C2:vzdump::root@pam:"
            .parse()
            .unwrap();
        assert_eq!(upid.id(), "");
    }

    #[rstest]
    #[case("")]
    #[case("UPID:pve1:000003E8:00001A2B:6720B1C2:qmclone:9000:dc@pve!dc")]
    #[case("UPID:pve1:3E8:00001A2B:6720B1C2:qmclone:9000:dc@pve:")]
    #[case("UPID::000003E8:00001A2B:6720B1C2:qmclone:9000:dc@pve:")]
    #[case("UPID:../x:000003E8:00001A2B:6720B1C2:qmclone:9000:dc@pve:")]
    #[case("UPID:pve1:000003E8:00001A2B:6720B1C2:qmclone:9 0:dc@pve:")]
    #[case("UPID:pve1:000003E8:00001A2B:6720B1C2:qmclone:9000:dc@pve:x")]
    fn other_texts_are_refused(#[case] text: &str) {
        assert_eq!(text.parse::<Upid>(), Err(NotUpid));
    }

    proptest! {
        #[test]
        fn round_trip(node in "[a-z][a-z0-9]{0,8}", pid: u32, started: u32, kind in "[a-z]{1,9}", id in "[0-9a-zA-Z-]{0,9}") {
            let text = format!("UPID:{node}:{pid:08X}:{pid:08X}:{started:08X}:{kind}:{id}:a@pve!b:");
            let upid: Upid = text.parse().unwrap();
            prop_assert_eq!(upid.to_string(), text);
            prop_assert_eq!((upid.node(), upid.kind(), upid.id()), (node.as_str(), kind.as_str(), id.as_str()));
            prop_assert_eq!(upid.started(), i64::from(started));
        }
    }
}
