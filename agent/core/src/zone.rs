//! Answers of the loopback zone that the web server asks: slug → address. Owns names and their matching; must not know
//! how a question comes in.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::routes::{Changes, Removal, Route};

/// The zone; `internal` is reserved for such use and is never delegated.
pub const ZONE: [&str; 2] = ["slots", "internal"];
/// For how long an answer may be kept, in seconds: an old name ends within two of them.
pub const TTL: u32 = 1;

/// What a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A machine.
    Address(Ipv4Addr),
    /// The zone itself: it exists, without addresses.
    Apex,
    /// No machine has this name.
    NoName,
    /// Not a name of the zone: this server does not speak about it.
    Foreign,
}

/// Names of all machines.
#[derive(Debug, Clone, Default)]
pub struct Zone(HashMap<String, Ipv4Addr>);

impl Zone {
    /// The zone of these routes.
    pub fn of<'a>(routes: impl Iterator<Item = &'a Route>) -> Self {
        Self(routes.map(|route| (route.slug.clone(), route.address)).collect())
    }

    /// Follows changes of the routes.
    pub fn apply(&mut self, changes: &Changes) {
        for Removal { route, .. } in &changes.remove {
            self.0.remove(&route.slug);
        }
        for route in &changes.add {
            self.0.insert(route.slug.clone(), route.address);
        }
    }

    /// The answer to a name, given by its labels, leftmost first.
    pub fn answer<'a>(&self, labels: impl DoubleEndedIterator<Item = &'a [u8]>) -> Answer {
        let mut labels = labels.rev();
        for own in ZONE.iter().rev() {
            if !labels
                .next()
                .is_some_and(|label| label.eq_ignore_ascii_case(own.as_bytes()))
            {
                return Answer::Foreign;
            }
        }
        let Some(slug) = labels.next() else {
            return Answer::Apex;
        };
        let slug = String::from_utf8_lossy(slug).to_ascii_lowercase();
        match (self.0.get(&slug), labels.next()) {
            (Some(address), None) => Answer::Address(*address),
            _ => Answer::NoName,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Cause;
    use crate::samples;

    fn ask(zone: &Zone, name: &str) -> Answer {
        zone.answer(name.split('.').map(str::as_bytes))
    }

    #[test]
    fn names_lead_to_machines_in_any_case_and_nowhere_else() {
        let routes = samples::routes(3);
        let zone = Zone::of(routes.iter());
        let route = samples::route(1, 101);
        assert_eq!(
            ask(&zone, &format!("{}.slots.internal", route.slug)),
            Answer::Address(route.address)
        );
        let loud = format!("{}.Slots.INTERNAL", route.slug.to_uppercase());
        assert_eq!(ask(&zone, &loud), Answer::Address(route.address));
        assert_eq!(ask(&zone, "zzzzzz.slots.internal"), Answer::NoName);
        assert_eq!(
            ask(&zone, &format!("a.{}.slots.internal", route.slug)),
            Answer::NoName
        );
        assert_eq!(ask(&zone, "slots.internal"), Answer::Apex);
        assert_eq!(ask(&zone, "example.org"), Answer::Foreign);
        assert_eq!(ask(&zone, "internal"), Answer::Foreign);
    }

    #[test]
    fn a_successor_takes_the_address_and_the_old_name_ends() {
        let (old, new) = (samples::route(1, 101), samples::route(1, 900));
        let mut zone = Zone::of(std::iter::once(&old));
        zone.apply(&Changes {
            remove: vec![Removal {
                route: old.clone(),
                cause: Cause::Succeeded(new.uid),
            }],
            add: vec![new.clone()],
        });
        assert_eq!(
            ask(&zone, &format!("{}.slots.internal", old.slug)),
            Answer::NoName
        );
        assert_eq!(
            ask(&zone, &format!("{}.slots.internal", new.slug)),
            Answer::Address(new.address)
        );
    }
}
