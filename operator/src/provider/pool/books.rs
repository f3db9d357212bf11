//! Claims of ours that the watch does not show yet. They count as taken until the Slot is seen, or some time has passed
//! without one: a claim that was lost must not hold room for ever.

use std::{collections::HashMap, time::Duration};

use operator_core::provider::place::{Amount, Spot};

/// A claim that the watch has not shown after this time was never made.
const FORGET: Duration = Duration::from_mins(1);

/// One claim under way.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where.
    pub spot: Spot,
    /// How much.
    pub amount: Amount,
    /// Since when, monotonic.
    pub since: Duration,
}

/// All claims under way: by namespace and the Machine's UID, and the indices that turned out to be taken.
#[derive(Debug, Default)]
pub struct Books {
    claims: HashMap<(String, String), Entry>,
    taken: HashMap<(String, String, u32), Duration>,
}

impl Books {
    /// Writes down a claim; an earlier one of the same Machine is void.
    pub fn claim(&mut self, namespace: &str, machine: &str, entry: Entry) {
        self.claims
            .insert((namespace.to_owned(), machine.to_owned()), entry);
    }

    /// Strikes the claim of this Machine.
    pub fn strike(&mut self, namespace: &str, machine: &str) {
        self.claims.remove(&(namespace.to_owned(), machine.to_owned()));
    }

    /// Somebody has this index already.
    pub fn taken(&mut self, namespace: &str, gateway: &str, index: u32, now: Duration) {
        self.taken
            .insert((namespace.to_owned(), gateway.to_owned(), index), now);
    }

    /// Drops what the watch shows by now and what is too old.
    pub fn settle(&mut self, now: Duration, shown: impl Fn(&str, &str, &Spot) -> bool) {
        let young = |since: Duration| now.saturating_sub(since) < FORGET;
        self.claims.retain(|(namespace, machine), entry| {
            young(entry.since) && !shown(namespace, machine, &entry.spot)
        });
        self.taken.retain(|_, since| young(*since));
    }

    /// The claims under way in a namespace, by the Machine's UID.
    pub fn claims<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.claims
            .iter()
            .filter(move |((of, _), _)| of == namespace)
            .map(|((_, machine), entry)| (machine.as_str(), entry))
    }

    /// The indices of a namespace that turned out to be taken, with their Gateways.
    pub fn indices<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = (&'a str, u32)> {
        self.taken
            .keys()
            .filter(move |(of, _, _)| of == namespace)
            .map(|(_, gateway, index)| (gateway.as_str(), *index))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use domain::slot::SlotIndex;

    use super::*;

    fn entry(since: u64) -> Entry {
        let spot = Spot {
            pool: "p".to_owned(),
            node: "pve1".to_owned(),
            storage: "fast".to_owned(),
            template_vmid: 9000,
            full_clone: false,
            gateway: "g".to_owned(),
            index: SlotIndex(3),
            vmid: 10_003,
            address: Ipv4Addr::LOCALHOST,
            replaces: None,
        };
        Entry {
            spot,
            amount: Amount::default(),
            since: Duration::from_secs(since),
        }
    }

    fn machines(books: &Books) -> Vec<&str> {
        books.claims("n").map(|(machine, _)| machine).collect()
    }

    #[test]
    fn a_claim_counts_until_it_is_shown() {
        let mut books = Books::default();
        books.claim("n", "a", entry(0));
        books.claim("n", "b", entry(0));
        books.claim("other", "c", entry(0));
        books.settle(Duration::from_secs(1), |_, machine, spot| {
            machine == "a" && spot.index.0 == 3
        });
        assert_eq!(machines(&books), ["b"]);
        books.strike("n", "b");
        assert!(machines(&books).is_empty());
    }

    #[test]
    fn a_claim_that_was_lost_holds_nothing_for_ever() {
        let mut books = Books::default();
        books.claim("n", "a", entry(10));
        books.taken("n", "g", 7, Duration::from_secs(10));
        books.settle(Duration::from_secs(69), |_, _, _| false);
        assert_eq!(
            (machines(&books).len(), books.indices("n").collect::<Vec<_>>()),
            (1, vec![("g", 7)])
        );
        books.settle(Duration::from_secs(70), |_, _, _| false);
        assert_eq!((machines(&books).len(), books.indices("n").count()), (0, 0));
    }
}
