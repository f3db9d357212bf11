//! Which objects belong to which, so that no pass looks through all of them. Entries are hints: whoever reads one
//! takes the object from the cache and checks it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use crds::{Account, Contract, Slot};
use kube::ResourceExt;

use super::Shared;
use crate::caches::Guarded;

/// Namespace and name.
pub type Name = (String, String);

/// Objects by what they belong to.
#[derive(Debug, Default)]
pub struct Index {
    entries: Mutex<HashMap<String, BTreeSet<Name>>>,
}

impl Index {
    fn set(&self, key: &str, name: Name, there: bool) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if there {
            entries.entry(key.to_owned()).or_default().insert(name);
        } else if let Some(names) = entries.get_mut(key) {
            names.remove(&name);
            if names.is_empty() {
                entries.remove(key);
            }
        }
    }

    /// What belongs to this.
    #[must_use]
    pub fn of(&self, key: &str) -> Vec<Name> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(key)
            .map(|names| names.iter().cloned().collect())
            .unwrap_or_default()
    }
}

/// This family's indices.
#[derive(Debug, Default)]
pub struct Indices {
    /// Contracts by their namespace.
    pub by_namespace: Index,
    /// Contracts by `namespace/name` of their Offering.
    pub by_offering: Index,
    /// Contracts by the namespace of their Offering.
    pub by_provider: Index,
    /// Slots by the UID of their Contract.
    pub by_contract: Index,
    /// Accounts by the namespaces that they name.
    pub by_claim: Index,
}

impl Indices {
    /// Enters all that the caches hold.
    pub fn fill(&self, shared: &Shared) {
        shared
            .contracts
            .state()
            .iter()
            .for_each(|guard| self.contract(shared, guard));
        shared
            .slots
            .state()
            .iter()
            .for_each(|guard| self.slot(shared, guard));
        shared
            .accounts
            .state()
            .iter()
            .for_each(|guard| self.account(shared, guard));
    }

    /// A Contract changed or went.
    pub fn contract(&self, shared: &Shared, guard: &Guarded<Contract>) {
        let Ok(contract) = &guard.0 else { return };
        let name = named(contract);
        let there = shared.contracts.get(&key(&name)).is_some();
        let offering = &contract.spec.offering_ref;
        self.by_namespace.set(&name.0.clone(), name.clone(), there);
        self.by_offering.set(
            &format!("{}/{}", offering.namespace, offering.name),
            name.clone(),
            there,
        );
        self.by_provider.set(offering.namespace.as_str(), name, there);
    }

    /// A Slot changed or went.
    pub fn slot(&self, shared: &Shared, guard: &Guarded<Slot>) {
        let Ok(slot) = &guard.0 else { return };
        let name = named(slot);
        let there = shared.slots.get(&key(&name)).is_some();
        self.by_contract.set(slot.spec.contract_uid.as_str(), name, there);
    }

    /// An Account changed or went.
    pub fn account(&self, shared: &Shared, guard: &Guarded<Account>) {
        let Ok(account) = &guard.0 else { return };
        let name = named(account);
        let there = shared
            .accounts
            .get(&kube::runtime::reflector::ObjectRef::new(&name.1))
            .is_some();
        self.by_claim
            .set(account.spec.namespace.as_str(), name.clone(), there);
        if let Some(provider) = &account.spec.provider {
            self.by_claim.set(provider.namespace.as_str(), name, there);
        }
    }
}

fn named(object: &impl ResourceExt) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn key<K>(name: &Name) -> kube::runtime::reflector::ObjectRef<Guarded<K>>
where
    K: kube::Resource<DynamicType = ()>,
{
    kube::runtime::reflector::ObjectRef::new(&name.1).within(&name.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_is_not_named_any_more() {
        let index = Index::default();
        let name = |n: &str| ("n".to_owned(), n.to_owned());
        index.set("k", name("b"), true);
        index.set("k", name("a"), true);
        index.set("k", name("a"), true);
        assert_eq!(index.of("k"), [name("a"), name("b")]);
        index.set("k", name("a"), false);
        index.set("other", name("a"), false);
        assert_eq!(index.of("k"), [name("b")]);
        index.set("k", name("b"), false);
        assert_eq!(index.of("k"), []);
        assert!(index.entries.lock().unwrap().is_empty());
    }
}
