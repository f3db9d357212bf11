//! Names that we generate from identities. All fit 63 characters and are valid host names.
//!
//! Names are for finding and for people; nothing may parse an identity back out of one.

use sha2::{Digest, Sha256};

use crate::ids::Uid;

/// The longest gateway name that appears unchanged in a Slot's name.
pub const GATEWAY_NAME_MAX: usize = 52;

/// The Machine of a contract: a second create finds the first.
#[must_use]
pub fn machine_name(contract: &Uid) -> String {
    format!("m-{:.20}", contract.hex())
}

/// What people see as the VM's name; it proves nothing.
#[must_use]
pub fn vm_name(contract: &Uid) -> String {
    format!("dc-{:.10}", contract.hex())
}

/// The Slot of an index: creating it is the claim.
///
/// A gateway name over [`GATEWAY_NAME_MAX`] characters is cut and told apart by a hash.
#[must_use]
pub fn slot_name(gateway: &str, index: u32) -> String {
    if gateway.len() <= GATEWAY_NAME_MAX {
        return format!("{gateway}-{index}");
    }
    let hash = hex::encode(Sha256::digest(gateway.as_bytes()));
    let head: String = gateway.chars().take(40).collect();
    format!("{}-{hash:.10}-{index}", head.trim_end_matches(['-', '.']))
}

/// The contract's public id on the wire: 64 hex digits.
#[must_use]
pub fn contract_id(contract: &Uid) -> String {
    hex::encode(digest("decent-cloud.org/contract-id/v1", contract))
}

/// A hash of a UID that is used for one purpose only.
pub(crate) fn digest(purpose: &str, uid: &Uid) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(purpose.as_bytes());
    hash.update([0]);
    hash.update(uid.bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host_name(text: &str) -> bool {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        text.len() <= 63
            && text.starts_with(edge)
            && text.ends_with(edge)
            && text.chars().all(|c| edge(c) || c == '-')
    }

    proptest! {
        #[test]
        fn p23_generated_names_are_host_names(bytes: [u8; 16], gateway in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", index: u32) {
            let uid = Uid::from_bytes(bytes);
            prop_assert!(host_name(&machine_name(&uid)));
            prop_assert!(host_name(&vm_name(&uid)));
            prop_assert!(host_name(&slot_name(&gateway, index)));
            let id = contract_id(&uid);
            prop_assert!(id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        }

        #[test]
        fn slots_of_one_gateway_have_names_of_their_own(gateway in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", a: u32, b: u32) {
            prop_assert_eq!(a == b, slot_name(&gateway, a) == slot_name(&gateway, b));
        }

        #[test]
        fn p66_different_contracts_have_different_ids(a: [u8; 16], b: [u8; 16]) {
            prop_assume!(a != b);
            prop_assert_ne!(contract_id(&Uid::from_bytes(a)), contract_id(&Uid::from_bytes(b)));
        }
    }

    #[test]
    fn names_are_what_people_were_told() {
        let uid: Uid = "0b8f4b5e-9b1e-4c5a-8d57-2f0c6a1e3f4d".parse().unwrap();
        assert_eq!(machine_name(&uid), "m-0b8f4b5e9b1e4c5a8d57");
        assert_eq!(vm_name(&uid), "dc-0b8f4b5e9b");
        assert_eq!(slot_name("gw-a", 17), "gw-a-17");
        let long = "g".repeat(63);
        assert_ne!(slot_name(&long, 1), slot_name(&"g".repeat(62), 1));
    }
}
