//! Names that the market writes: labels, finalizers, and instants as people read them.
//! Must not decide anything.

use crds::common::NamespacedRef;
use jiff::Timestamp;

/// On a namespace and all that we make in it: the Account whose Contracts live there.
pub const LABEL_ACCOUNT: &str = "decent-cloud.org/account";
/// On a namespace and all that we make in it: the Account that offers machines from there.
pub const LABEL_PROVIDER: &str = "decent-cloud.org/provider";
/// On a Machine: the UID of its Contract.
pub const LABEL_CONTRACT_UID: &str = "decent-cloud.org/contract-uid";
/// Holds a Contract until its Machine knows that it ends.
pub const CONTRACT_FINALIZER: &str = "decent-cloud.org/contract";
/// Holds a Machine until its VM is proven absent; the provider family drops it.
pub const MACHINE_FINALIZER: &str = crds::machine::FINALIZER;

/// An instant as people read it.
#[must_use]
pub fn say(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An object of another namespace as people write it.
#[must_use]
pub fn path(named: &NamespacedRef) -> String {
    format!("{}/{}", named.namespace, named.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_absolute_and_name_their_zone() {
        assert_eq!(say(Timestamp::UNIX_EPOCH), "1970-01-01 00:00:00 UTC");
    }
}
