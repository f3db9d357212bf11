//! The stamp: the one line in a VM's description that says whose it is.
//!
//! Owns its syntax and how it shares a description with an admin's notes. A VM is ours only by its stamp.

use crate::ids::Uid;

const MARK: &str = "decent-cloud.org/v";

/// Whose VM this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The hub (UID of its namespace kube-system).
    pub hub: Uid,
    /// The Machine.
    pub machine: Uid,
    /// The Slot.
    pub slot: Uid,
}

/// What a description says about ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No stamp: not ours.
    Nothing,
    /// Exactly one well-formed stamp.
    One(Stamp),
    /// Several stamps or a broken one: foreign.
    Malformed,
}

impl Stamp {
    /// The stamp's line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{MARK}1 hub={} machine={} slot={}",
            self.hub, self.machine, self.slot
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let fields = line.strip_prefix(MARK)?.strip_prefix("1 hub=")?;
        let (hub, rest) = fields.split_once(" machine=")?;
        let (machine, slot) = rest.split_once(" slot=")?;
        let stamp = Self {
            hub: hub.parse().ok()?,
            machine: machine.parse().ok()?,
            slot: slot.parse().ok()?,
        };
        (stamp.line() == line).then_some(stamp)
    }
}

/// A line that is, or tries to be, a stamp.
fn marked(line: &str) -> bool {
    line.trim_start().starts_with(MARK)
}

fn without_return(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// Looks for the stamp in a description.
#[must_use]
pub fn find(description: &str) -> Found {
    let mut stamps = description.split('\n').filter(|line| marked(line));
    match (stamps.next(), stamps.next()) {
        (None, _) => Found::Nothing,
        (Some(line), None) => Stamp::parse(without_return(line)).map_or(Found::Malformed, Found::One),
        (Some(_), Some(_)) => Found::Malformed,
    }
}

/// The description with exactly this stamp; all other lines stay as they are.
#[must_use]
pub fn stamped(existing: &str, stamp: &Stamp) -> String {
    let line = stamp.line();
    let existing = body(existing);
    if existing.is_empty() {
        return line;
    }
    let mut placed = false;
    let mut lines: Vec<&str> = Vec::new();
    for old in existing.split('\n') {
        if !marked(old) {
            lines.push(old);
        } else if !placed {
            placed = true;
            lines.push(&line);
        }
    }
    if !placed {
        lines.push(&line);
    }
    body(&lines.join("\n")).to_owned()
}

/// Whether two descriptions are the same to Proxmox, which cuts newlines at the end.
#[must_use]
pub fn same_description(a: &str, b: &str) -> bool {
    body(a) == body(b)
}

fn body(description: &str) -> &str {
    description.trim_end_matches(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn stamp() -> impl Strategy<Value = Stamp> {
        any::<[[u8; 16]; 3]>().prop_map(|[h, m, s]| Stamp {
            hub: Uid::from_bytes(h),
            machine: Uid::from_bytes(m),
            slot: Uid::from_bytes(s),
        })
    }

    const LINE: &str = "decent-cloud.org/v1 hub=00000000-0000-0000-0000-000000000001 \
                        machine=00000000-0000-0000-0000-00000000000a slot=00000000-0000-0000-0000-0000000000ff";

    #[rstest]
    #[case::empty("", false)]
    #[case::notes("hello\nworld", false)]
    #[case::link_to_us("see decent-cloud.org/v1 for docs", false)]
    #[case::upper_case(&LINE.to_uppercase().replace("DECENT-CLOUD.ORG/V1", "decent-cloud.org/v1"), true)]
    #[case::indented(&format!(" {LINE}"), true)]
    #[case::trailing(&format!("{LINE} "), true)]
    #[case::twice(&format!("{LINE}\n{LINE}"), true)]
    #[case::newer("decent-cloud.org/v2 hub=x", true)]
    #[case::cut(&LINE[..60], true)]
    #[case::broken_beside_good(&format!("{LINE}\ndecent-cloud.org/v1"), true)]
    fn foreign_descriptions(#[case] text: &str, #[case] malformed: bool) {
        let want = if malformed {
            Found::Malformed
        } else {
            Found::Nothing
        };
        assert_eq!(find(text), want);
    }

    #[test]
    fn stamp_is_found_between_notes() {
        let Found::One(stamp) = find(&format!("a\r\n{LINE}\r\n\nb\n")) else {
            panic!("not found")
        };
        assert_eq!(stamp.line(), LINE);
    }

    proptest! {
        #[test]
        fn stamped_has_exactly_this_stamp(existing in "([a-z #\t]{0,9}[\r\n]{0,2}){0,5}", old in stamp(), new in stamp(), twice: bool) {
            let notes: Vec<String> = existing.trim_end_matches(['\r', '\n']).split('\n').map(str::to_owned).collect();
            let dirty = if twice { format!("{}\n{existing}\n{}", old.line(), old.line()) } else { existing.clone() };
            let text = stamped(&dirty, &new);
            prop_assert_eq!(find(&text), Found::One(new));
            prop_assert_eq!(&stamped(&text, &new), &text, "stamping again changes nothing");
            let kept: Vec<&str> = text.split('\n').filter(|l| !marked(l)).map(without_return).collect();
            for line in notes.iter().filter(|l| !l.trim().is_empty()) {
                prop_assert!(kept.contains(&without_return(line)), "lost the note {:?}", line);
            }
            let longer = text.clone() + "\n\n";
            prop_assert!(same_description(&text, &longer));
        }

        #[test]
        fn no_description_makes_finding_panic(text in "\\PC*") {
            let _ = find(&text);
        }
    }
}
