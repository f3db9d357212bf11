//! The routes that should exist: a merge of those known with what the hub says of Slots.
//!
//! Owns the law that blindness removes nothing: a route goes only when its Slot is released or quarantined, or its index
//! has a Slot of another UID. Must not know how a route is programmed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crds::Slot;
use crds::slot::SlotPhase;
use domain::ids::Uid;
use domain::slot::{PortMap, SlotError, SlotIndex};
use kube::ResourceExt;

use crate::site::Site;

/// One machine's way in: all of it follows from the site, the index and the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Index at the gateway.
    pub index: SlotIndex,
    /// UID of the Slot.
    pub uid: Uid,
    /// UID of the Contract.
    pub contract: Uid,
    /// Host label.
    pub slug: String,
    /// The machine's private address.
    pub address: Ipv4Addr,
    /// Its forwarded ports.
    pub ports: Vec<PortMap>,
}

impl Route {
    /// The route of a slot.
    ///
    /// # Errors
    /// When the site has no such index.
    pub fn new(site: &Site, index: SlotIndex, uid: Uid, contract: Uid) -> Result<Self, SlotError> {
        Ok(Self {
            index,
            uid,
            contract,
            slug: site.plan().slug(index, &contract)?,
            address: site.plan().ip(index)?,
            ports: site.plan().ports(index)?,
        })
    }

    /// The public port that leads to the machine's SSH.
    #[must_use]
    pub fn ssh_port(&self) -> Option<u16> {
        self.ports.first().map(|port| port.public)
    }
}

/// Why a Slot says nothing about routes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It is a claim on another gateway.
    #[error("it claims a slot of gateway {0:?}")]
    Gateway(String),
    /// A field is not what it should be.
    #[error("its {field} cannot be used")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// The site has no such index.
    #[error("its index is none of the site's")]
    Index(#[source] SlotError),
    /// Its address is not the one that follows from its index: it was made for another network.
    #[error("its address is {given:?}, that of its index is {want}")]
    Address {
        /// What the Slot says.
        given: String,
        /// What follows from the index.
        want: Ipv4Addr,
    },
}

/// A Slot, as far as routes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The route that it has while it lives.
    pub route: Route,
    /// Whether it is released or quarantined.
    pub ended: bool,
}

impl Claim {
    /// Reads a Slot.
    ///
    /// # Errors
    /// Why it cannot be understood; then nothing may change because of it.
    pub fn read(slot: &Slot, site: &Site) -> Result<Self, ClaimError> {
        let field = |field| ClaimError::Field { field };
        if slot.spec.gateway.as_str() != site.facts().name {
            return Err(ClaimError::Gateway(slot.spec.gateway.as_str().to_owned()));
        }
        let uid = slot.uid().and_then(|uid| uid.parse().ok()).ok_or(field("UID"))?;
        let index = u32::try_from(slot.spec.index).map_err(|_| field("index"))?;
        let contract = slot.spec.contract_uid.as_str().parse();
        let contract = contract.map_err(|_| field("contractUID"))?;
        let route = Route::new(site, SlotIndex(index), uid, contract).map_err(ClaimError::Index)?;
        if slot.spec.address.parse() != Ok(route.address) {
            return Err(ClaimError::Address {
                given: slot.spec.address.clone(),
                want: route.address,
            });
        }
        let released = slot
            .status
            .as_ref()
            .is_some_and(|status| status.release.is_some());
        let ended = released || slot.phase() != SlotPhase::Claimed;
        Ok(Self { route, ended })
    }
}

/// A forwarded slot of which nothing else is known: the table had it when its snapshot was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// The machine's private address.
    pub address: Ipv4Addr,
    /// Its forwarded ports.
    pub ports: Vec<PortMap>,
}

/// All routes by index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    known: BTreeMap<SlotIndex, Route>,
    unnamed: BTreeMap<SlotIndex, Unnamed>,
}

impl FromIterator<Route> for Routes {
    fn from_iter<T: IntoIterator<Item = Route>>(routes: T) -> Self {
        Self {
            known: routes.into_iter().map(|route| (route.index, route)).collect(),
            unnamed: BTreeMap::new(),
        }
    }
}

impl Routes {
    /// The route of an index.
    #[must_use]
    pub fn get(&self, index: SlotIndex) -> Option<&Route> {
        self.known.get(&index)
    }

    /// All of them in the order of their indices.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.known.values()
    }

    /// Slots that are forwarded although their route is not known.
    #[must_use]
    pub fn unnamed(&self) -> impl ExactSizeIterator<Item = (SlotIndex, &Unnamed)> {
        self.unnamed.iter().map(|(index, unnamed)| (*index, unnamed))
    }

    /// Keeps a forwarded slot whose route is not known, until the hub says what became of it.
    ///
    /// # Errors
    /// When the site has no such index.
    pub fn keep(&mut self, site: &Site, index: SlotIndex) -> Result<(), SlotError> {
        let unnamed = Unnamed {
            address: site.plan().ip(index)?,
            ports: site.plan().ports(index)?,
        };
        if !self.known.contains_key(&index) {
            self.unnamed.insert(index, unnamed);
        }
        Ok(())
    }

    /// How many slots are forwarded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len() + self.unnamed.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Does what a merge says.
    pub fn apply(&mut self, changes: &Changes) {
        for Removal { route, .. } in &changes.remove {
            self.unnamed.remove(&route.index);
            if self.get(route.index).is_some_and(|known| known.uid == route.uid) {
                self.known.remove(&route.index);
            }
        }
        for route in &changes.add {
            self.unnamed.remove(&route.index);
            self.known.insert(route.index, route.clone());
        }
    }
}

/// What the hub said.
#[derive(Debug, Clone, Copy)]
pub enum Heard<'a> {
    /// Every Slot of the gateway, as far as they could be read.
    All(&'a [Claim]),
    /// One Slot that is new or changed. That a Slot is gone is never said: it changes nothing.
    One(&'a Claim),
}

/// Why a route goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its Slot is released or quarantined.
    Ended,
    /// Its index has a Slot of this UID.
    Succeeded(Uid),
}

/// A route that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The route.
    pub route: Route,
    /// Why.
    pub cause: Cause,
}

/// What is to be done: the removals first, then the additions, in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Routes that go.
    pub remove: Vec<Removal>,
    /// Routes that come.
    pub add: Vec<Route>,
}

impl Changes {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}

/// What follows from something heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merge {
    /// What is to be done.
    pub changes: Changes,
    /// Routes whose Slot was not in a whole list: they stay, and somebody should be told.
    pub missing: Vec<SlotIndex>,
}

/// What should change, given what is known and what was heard.
#[must_use]
pub fn merge(known: &Routes, heard: Heard<'_>) -> Merge {
    let mut merge = Merge::default();
    let claims = match heard {
        Heard::All(claims) => claims,
        Heard::One(claim) => std::slice::from_ref(claim),
    };
    let by_index: BTreeMap<SlotIndex, &Claim> =
        claims.iter().map(|claim| (claim.route.index, claim)).collect();
    for (index, claim) in &by_index {
        one(&mut merge.changes, known.get(*index), claim);
        if known.unnamed.contains_key(index) && claim.ended {
            merge.changes.remove.push(Removal {
                route: claim.route.clone(),
                cause: Cause::Ended,
            });
        }
    }
    if let Heard::All(_) = heard {
        let all = known.known.keys().chain(known.unnamed.keys());
        merge.missing = all
            .copied()
            .filter(|index| !by_index.contains_key(index))
            .collect();
    }
    merge
}

fn one(changes: &mut Changes, known: Option<&Route>, claim: &Claim) {
    let Claim { route, ended } = claim;
    let same = known.is_some_and(|known| known.uid == route.uid);
    if let Some(known) = known {
        let cause = match (same, ended) {
            (true, true) => Some(Cause::Ended),
            (true, false) => None,
            (false, _) => Some(Cause::Succeeded(route.uid)),
        };
        let removal = |cause| Removal {
            route: known.clone(),
            cause,
        };
        changes.remove.extend(cause.map(removal));
    }
    if !same && !ended {
        changes.add.push(route.clone());
    }
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
