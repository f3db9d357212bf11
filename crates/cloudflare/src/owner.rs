//! Whose record it is: the comment that says so, and the names that it may stand at. The one place that writes and reads
//! ownership comments.

use domain::ids::Uid;

use crate::name::Name;
use crate::record::Record;

const MARK: &str = "decent-cloud hub=";
const GATEWAY: &str = " gateway=";

/// Who a record belongs to: one gateway of one hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The hub (UID of its namespace kube-system).
    pub hub: Uid,
    /// The Gateway.
    pub gateway: Uid,
}

impl Owner {
    /// The longest comment that the smallest plan takes.
    pub const MAX: usize = 100;

    /// The comment that our records carry.
    #[must_use]
    pub fn comment(&self) -> String {
        format!("{MARK}{}{GATEWAY}{}", self.hub, self.gateway)
    }

    /// The owner that a comment names, if it is one of ours to the letter.
    #[must_use]
    pub fn of(comment: &str) -> Option<Self> {
        let (hub, gateway) = comment.strip_prefix(MARK)?.split_once(GATEWAY)?;
        let owner = Self {
            hub: hub.parse().ok()?,
            gateway: gateway.parse().ok()?,
        };
        (owner.comment() == comment).then_some(owner)
    }

    /// How the comments of all gateways of a hub begin.
    #[must_use]
    pub fn hub_prefix(hub: &Uid) -> String {
        format!("{MARK}{hub}{GATEWAY}")
    }
}

/// An owner and the names where its records may stand. A record elsewhere is not its, whatever its comment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Who.
    pub owner: Owner,
    /// These names and all below them; after a change of a gateway's name also the old ones.
    pub under: Vec<Name>,
}

impl Scope {
    /// Whether a name is in it.
    #[must_use]
    pub fn covers(&self, name: &Name) -> bool {
        self.under.iter().any(|top| name.within(top))
    }

    /// Whether a record is this owner's: the exact comment, at a name of its.
    #[must_use]
    pub fn owns(&self, record: &Record) -> bool {
        let name = record.name.parse::<Name>();
        record.owner() == Some(self.owner) && name.is_ok_and(|name| self.covers(&name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const COMMENT: &str = "decent-cloud hub=00000000-0000-0000-0000-000000000001 \
                           gateway=00000000-0000-0000-0000-0000000000ff";

    #[rstest]
    #[case("")]
    #[case("decent-cloud")]
    #[case(&format!("{COMMENT} "))]
    #[case(&format!(" {COMMENT}"))]
    #[case(&COMMENT.to_uppercase())]
    #[case(&COMMENT.replace("ff", "FF"))]
    #[case(&COMMENT.replace("gateway", "gate"))]
    #[case(&COMMENT[..97])]
    fn comments_that_are_almost_ours_are_not(#[case] comment: &str) {
        assert_eq!(Owner::of(comment), None);
    }

    proptest! {
        #[test]
        fn a_comment_names_its_owner_and_fits_the_smallest_plan(hub: [u8; 16], gateway: [u8; 16]) {
            let owner = Owner { hub: Uid::from_bytes(hub), gateway: Uid::from_bytes(gateway) };
            let comment = owner.comment();
            prop_assert!(comment.len() <= Owner::MAX);
            prop_assert!(comment.starts_with(&Owner::hub_prefix(&owner.hub)));
            prop_assert_eq!(Owner::of(&comment), Some(owner));
        }

        #[test]
        fn no_comment_makes_reading_panic(text in "\\PC*") {
            let _ = Owner::of(&text);
        }
    }
}
