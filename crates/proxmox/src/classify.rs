//! What Proxmox's error texts mean: one readable table, total and pure.
//!
//! `*` in a row stands for any text. The first row that matches decides. An unknown text is the provider's to look at,
//! never swallowed.

use std::collections::BTreeMap;
use std::fmt;

use domain::pve::{Class, MissingPrivilege};

/// An error answer of Proxmox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The reason phrase, which is where Proxmox puts its text.
    pub reason: String,
    /// Texts by parameter (with status 400).
    pub errors: BTreeMap<String, String>,
    /// Seconds that something in front of Proxmox asks us to wait.
    pub retry_after: Option<u32>,
}

impl Answer {
    /// What this means for the next step.
    #[must_use]
    pub fn class(&self) -> Class {
        match classify(self.status, &self.reason, &self.errors, None) {
            Class::Retryable { after } => Class::Retryable {
                after: after.or(self.retry_after),
            },
            class => class,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)?;
        for (i, (name, text)) in self.errors.iter().enumerate() {
            let lead = if i == 0 { ": " } else { "; " };
            write!(f, "{lead}{name}: {}", text.trim_end())?;
        }
        Ok(())
    }
}

/// A row's meaning; [`Class`] without what is read from the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Retryable,
    LostRace,
    ReplaceNode,
    Locked,
    Gone,
    Denied,
    Spec,
    Provider,
    Bug,
    Conflict,
}

use Means::{Bug, Conflict, Denied, Gone, Locked, LostRace, Provider, ReplaceNode, Retryable, Spec};

/// Reason phrases and exit statuses of tasks.
const TEXTS: &[(&str, Means)] = &[
    // Somebody else has the VMID.
    ("unable to create VM *: config file already exists", LostRace),
    ("unable to create VM * - VM * already exists on node *", LostRace),
    (
        "close (rename) atomic file '/etc/pve/nodes/*.conf' failed: File exists",
        LostRace,
    ),
    ("*link * failed: File exists", LostRace),
    // Another operation holds the guest, the storage or the template.
    ("*can't lock file * - got timeout", Locked),
    ("VM is locked (*)", Locked),
    ("*cfs-lock * error: got lock request timeout", Locked),
    // No quorum, or the cluster's own parts are starting.
    ("cluster not ready - no quorum?", Retryable),
    ("*cfs-lock * error: no quorum!", Retryable),
    ("unable to open file '/etc/pve/* - Permission denied", Retryable),
    ("RPCEnvironment init request failed: *", Retryable),
    // Not there (on that node).
    ("Configuration file '*' does not exist", Gone),
    ("unable to find configuration file for VM * on node *", Gone),
    ("no rule at position *", Gone),
    ("no such IPSet '*'", Gone),
    // The guest or its configuration is not as we last saw it: look again.
    ("checksum mismatch (file change by other user?)", Conflict),
    (
        "detected modified configuration - file changed by other user? Try again.",
        Conflict,
    ),
    ("VM * already running", Conflict),
    ("VM * not running", Conflict),
    ("VM * is not running", Conflict),
    ("VM * is running - destroy failed", Conflict),
    ("can't remove * - protection mode enabled", Conflict),
    ("IPSet '*' is not empty", Conflict),
    // The storage of this node cannot take it.
    (
        "clone failed: copy failed: * failed: interrupted by signal",
        Retryable,
    ),
    (
        "clone failed: copy failed: command * failed: exit code *",
        ReplaceNode,
    ),
    ("clone failed: *unable to create image: *", ReplaceNode),
    ("*unable to activate storage '*", ReplaceNode),
    ("storage '*' is disabled", ReplaceNode),
    ("storage '*' is not available on node '*'", ReplaceNode),
    // May pass by itself.
    ("unexpected status", Retryable),
    ("* interrupted by signal", Retryable),
    ("VM quit/powerdown failed*", Retryable),
    ("QEMU guest agent is not running", Retryable),
    // What the tenant asked for.
    ("SSH public key validation error", Spec),
    // What we must never send.
    ("only root can set '*' config", Bug),
    ("no options specified", Bug),
    ("parameter '*' not allowed for linked clones", Bug),
    ("*expected, at character offset *", Bug),
    // Denied, where the text and not the status says so.
    ("Permission check failed (pool '*' does not exist)", Provider),
    ("Permission check failed*", Denied),
    // The provider's set-up.
    ("storage '*' does not exist", Provider),
    ("pool '*' does not exist", Provider),
    ("*volume '*' does not exist", Provider),
    ("bridge '*' does not exist", Provider),
    ("MAX * vcpus allowed per VM on this node", Provider),
    ("Linked clone feature is not supported for *", Provider),
    ("can't clone VM to node * (VM uses local storage)", Provider),
    ("you can't start a vm if it's a template", Provider),
    ("start failed: QEMU exited with code *", Provider),
    ("base volume * is still in use by linked cloned", Provider),
    ("hostname lookup '*' failed - *", Provider),
    ("no such cluster node '*'", Provider),
    ("unable to get any free VMID in range *", Provider),
];

/// Texts by parameter, as `parameter: text`.
const PARAMETERS: &[(&str, Means)] = &[
    ("vmid: VM * already exists", LostRace),
    ("newid: * already exists*", LostRace),
    ("upid: no such task", Gone),
    ("source: no such ipset '*'", Gone),
    ("cidr: no such IP/Network", Gone),
    ("name: IPSet '*' already exists", Conflict),
    ("cidr: address '*' already exists", Conflict),
    ("tokenid: Token already exists.", Conflict),
    ("storage: No such storage.", Provider),
    ("storage: storage '*' does not support vm images", Provider),
    ("hookscript: *", Provider),
    (
        "*: property is not defined in schema and the schema does not allow additional properties",
        Bug,
    ),
    ("*: property is missing and it is not optional", Bug),
    ("*: missing property - *", Bug),
    ("*: type check (*", Bug),
    ("*: invalid format - *", Bug),
    ("*: value *", Bug),
    ("*: Only root may use this option.", Bug),
    ("*: no such option '*'", Bug),
    ("*: unknown option '*'", Bug),
    ("*: unknown action '*'", Bug),
    ("*: unknown macro '*'", Bug),
    ("*: you can't use '*' and -delete *", Bug),
    ("*: invalid ACL path '*'", Bug),
    ("*: unable to parse worker upid", Bug),
    ("*: a zero prefix is not allowed in ipset entries", Bug),
];

/// What a failure means. `exit` is a task's exit status; without it, the rest is an HTTP answer.
#[must_use]
pub fn classify(status: u16, reason: &str, errors: &BTreeMap<String, String>, exit: Option<&str>) -> Class {
    match exit {
        Some(text) => {
            let (status, text) = leading_status(text);
            class(by_text(status, text), text)
        }
        None if errors.is_empty() => class(by_text(status, reason), reason),
        None => class(by_parameters(errors), reason),
    }
}

/// Some exit statuses begin with the status that the same error would have had as an answer.
fn leading_status(text: &str) -> (u16, &str) {
    let split = text
        .split_once(' ')
        .and_then(|(head, tail)| Some((head.parse().ok()?, tail)));
    split
        .filter(|(status, _)| (400..600).contains(status))
        .unwrap_or((500, text))
}

fn by_text(status: u16, text: &str) -> Means {
    let text = text.trim_end();
    if let Some((_, means)) = TEXTS.iter().find(|(row, _)| like(row, text)) {
        return *means;
    }
    match status {
        401 | 403 => Denied,
        408 | 425 | 429 | 502..=504 | 595..=599 => Retryable,
        404 | 405 | 415 | 501 | 505 | 506 => Bug,
        _ => Provider,
    }
}

/// Of several parameters the least hopeful decides: what we must not send, then the first.
fn by_parameters(errors: &BTreeMap<String, String>) -> Means {
    let mut all = errors.iter().map(|(name, text)| {
        let line = format!("{name}: {}", text.trim_end());
        PARAMETERS
            .iter()
            .find(|(row, _)| like(row, &line))
            .map_or(Provider, |(_, means)| *means)
    });
    let first = all.next().unwrap_or(Provider);
    if all.any(|means| means == Bug) { Bug } else { first }
}

fn class(means: Means, text: &str) -> Class {
    match means {
        Retryable => Class::Retryable { after: None },
        LostRace => Class::LostRace,
        ReplaceNode => Class::ReplaceNode,
        Locked => Class::Locked,
        Gone => Class::Gone,
        Denied => Class::Denied {
            privilege: missing(text),
        },
        Spec => Class::Spec,
        Provider => Class::Provider,
        Bug => Class::Bug,
        Conflict => Class::Conflict,
    }
}

/// Reads `Permission check failed (/path, Privilege|Other)`.
fn missing(text: &str) -> Option<MissingPrivilege> {
    let inside = text
        .trim_end()
        .strip_prefix("Permission check failed (")?
        .strip_suffix(')')?;
    let (path, rest) = inside.split_once(", ")?;
    let privilege = rest.split(' ').next().filter(|word| word.contains('.'))?;
    path.starts_with('/').then(|| MissingPrivilege {
        path: path.to_owned(),
        privilege: privilege.to_owned(),
    })
}

/// Whether a row with `*` for any text matches the whole text.
fn like(row: &str, text: &str) -> bool {
    let Some((head, rest)) = row.split_once('*') else {
        return row == text;
    };
    let Some(text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    let Some(mut text) = text.strip_suffix(tail) else {
        return false;
    };
    for part in parts {
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_match_whole_texts() {
        for (row, text, want) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c", "abc", true),
            ("a*a", "a", false),
            ("a*b*c", "a b b c", true),
            ("a*b*c", "a c", false),
            ("*", "", true),
            ("VM * not running", "VM 1 is running", false),
        ] {
            assert_eq!(like(row, text), want, "{row} ~ {text}");
        }
    }

    #[test]
    fn no_row_is_hidden_by_an_earlier_one() {
        for table in [TEXTS, PARAMETERS] {
            for (at, (row, means)) in table.iter().enumerate() {
                let sample = row.replace('*', "7");
                let first = table.iter().position(|(row, _)| like(row, &sample));
                let hidden = first.is_some_and(|first| first < at && table[first].1 != *means);
                assert!(!hidden, "{row} never decides");
            }
        }
    }

    #[test]
    fn missing_privileges_are_read() {
        let read = |text: &str| missing(text).map(|m| (m.path, m.privilege));
        let some = |path: &str, privilege: &str| Some((path.to_owned(), privilege.to_owned()));
        assert_eq!(
            read("Permission check failed (/vms/9000, VM.Clone)"),
            some("/vms/9000", "VM.Clone")
        );
        assert_eq!(
            read("Permission check failed (/vms/1, VM.A|VM.B)\n"),
            some("/vms/1", "VM.A|VM.B")
        );
        assert_eq!(
            read("Permission check failed (/, Sys.Modify for modifying tag 'a')"),
            some("/", "Sys.Modify")
        );
        assert_eq!(read("Permission check failed"), None);
        assert_eq!(read("Permission check failed (, Pool.Allocate)"), None);
    }

    #[test]
    fn unknown_texts_are_the_providers_and_statuses_still_speak() {
        let none = BTreeMap::new();
        assert_eq!(
            classify(500, "a text from next year", &none, None),
            Class::Provider
        );
        assert_eq!(
            classify(200, "OK", &none, Some("a text from next year")),
            Class::Provider
        );
        assert_eq!(
            classify(401, "whatever", &none, None),
            Class::Denied { privilege: None }
        );
        assert_eq!(
            classify(596, "Broken pipe", &none, None),
            Class::Retryable { after: None }
        );
        let answer = Answer {
            status: 503,
            reason: "busy".into(),
            errors: none,
            retry_after: Some(7),
        };
        assert_eq!(answer.class(), Class::Retryable { after: Some(7) });
    }

    proptest! {
        #[test]
        fn every_answer_has_a_class(status: u16, reason in "\\PC{0,40}", key in "[a-z]{1,5}", text in "\\PC{0,40}", exit: bool) {
            let errors = BTreeMap::from([(key, text.clone())]);
            let class = classify(status, &reason, &errors, exit.then_some(text.as_str()));
            prop_assert!(!class.name().is_empty());
        }
    }
}
