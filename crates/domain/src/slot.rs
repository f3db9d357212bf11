//! Slot arithmetic: what follows from a gateway and an index, and nothing else.
//!
//! VMID, address, MAC, ports and slug are computed, never allocated. Every function is injective in the index.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::ids::{Uid, Vmid};
use crate::names::digest;

/// Public ports of one slot.
pub const PORTS_PER_SLOT: u32 = 10;
/// The first slot's address is this host of the network.
pub const FIRST_HOST: u32 = 10;

const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Why a gateway cannot hold slots, or an index is none of its.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// The network is not `a.b.c.d/n` with n from 8 to 30 and zero host bits.
    #[error("network {given} is not an IPv4 network of /8 to /30 without host bits")]
    Network {
        /// What was given.
        given: String,
    },
    /// The gateway's address is not a host of the network.
    #[error("gateway address {gateway} is not a host of the network")]
    Gateway {
        /// What was given.
        gateway: Ipv4Addr,
    },
    /// The port range is empty or runs backwards.
    #[error("ports {first}–{last} hold no slot")]
    Ports {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// No address is left for slots.
    #[error("the network has no address for slots (they start at host 10 and end before the gateway's own)")]
    NoAddress,
    /// The VMIDs of all slots must be valid.
    #[error("VMIDs from {base} on do not fit 100–999999999")]
    Vmids {
        /// The first VMID.
        base: u32,
    },
    /// The index is not below the capacity.
    #[error("slot {index} is outside the gateway's {capacity}")]
    Index {
        /// What was given.
        index: u32,
        /// How many slots there are.
        capacity: u32,
    },
}

/// The number of a slot at its gateway, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotIndex(pub u32);

impl fmt::Display for SlotIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A transport protocol of a forwarded port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// Transmission control protocol.
    Tcp,
    /// User datagram protocol.
    Udp,
}

/// One forwarded port of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortMap {
    /// The gateway's port.
    pub public: u16,
    /// The VM's port.
    pub private: u16,
    /// Both sides' protocol.
    pub protocol: Protocol,
}

/// The VM's ports in the order of the public ones.
const PRIVATE: [(u16, Protocol); PORTS_PER_SLOT as usize] = [
    (22, Protocol::Tcp),
    (10001, Protocol::Tcp),
    (10002, Protocol::Tcp),
    (10003, Protocol::Tcp),
    (10004, Protocol::Tcp),
    (10005, Protocol::Udp),
    (10006, Protocol::Udp),
    (10007, Protocol::Udp),
    (10008, Protocol::Udp),
    (10009, Protocol::Udp),
];

/// What a gateway and a pool say about slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayFacts<'a> {
    /// The private network, `a.b.c.d/n`.
    pub network: &'a str,
    /// The gateway's own private address.
    pub gateway: Ipv4Addr,
    /// The first public port.
    pub first_port: u16,
    /// The last public port.
    pub last_port: u16,
    /// The Gateway object's UID.
    pub gateway_uid: Uid,
    /// The VMID of slot 0.
    pub vmid_base: u32,
}

/// A checked gateway: its slots are the indices below [`GatewayPlan::capacity`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPlan {
    network: u32,
    prefix: u8,
    gateway: Ipv4Addr,
    first_port: u16,
    mac_prefix: [u8; 4],
    vmid_base: u32,
    capacity: u32,
}

impl GatewayPlan {
    /// Checks the facts. Addresses end at the gateway's own if that lies among them: the slots stay one run of indices.
    ///
    /// # Errors
    /// A [`SlotError`] that names the fact at fault.
    pub fn new(facts: &GatewayFacts<'_>) -> Result<Self, SlotError> {
        let GatewayFacts {
            network: given,
            gateway,
            first_port,
            last_port,
            gateway_uid,
            vmid_base,
        } = facts;
        let (network, prefix) = parse_network(given).ok_or_else(|| SlotError::Network {
            given: (*given).to_owned(),
        })?;
        let broadcast = network | (u32::MAX >> prefix);
        let own = u32::from(*gateway);
        if own <= network || own >= broadcast {
            return Err(SlotError::Gateway { gateway: *gateway });
        }
        let ports = (u32::from(*last_port) + 1).saturating_sub((*first_port).into()) / PORTS_PER_SLOT;
        if ports == 0 || *first_port == 0 {
            return Err(SlotError::Ports {
                first: *first_port,
                last: *last_port,
            });
        }
        let first = network + FIRST_HOST;
        let end = if own >= first { own } else { broadcast };
        let capacity = ports.min(end.saturating_sub(first));
        if capacity == 0 {
            return Err(SlotError::NoAddress);
        }
        let vmids = || SlotError::Vmids { base: *vmid_base };
        let top = vmid_base.checked_add(capacity - 1).ok_or_else(vmids)?;
        Vmid::try_from(*vmid_base)
            .and(Vmid::try_from(top))
            .map_err(|_| vmids())?;
        Ok(Self {
            network,
            prefix,
            gateway: *gateway,
            first_port: *first_port,
            mac_prefix: mac_prefix(gateway_uid),
            vmid_base: *vmid_base,
            capacity,
        })
    }

    /// How many slots there are.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The length of the network's prefix.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The network as text, `a.b.c.d/n`.
    #[must_use]
    pub fn cidr(&self) -> String {
        format!("{}/{}", Ipv4Addr::from(self.network), self.prefix)
    }

    /// The gateway's own private address.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// All indices in order.
    pub fn indices(&self) -> impl Iterator<Item = SlotIndex> + use<> {
        (0..self.capacity).map(SlotIndex)
    }

    fn inside(&self, i: SlotIndex) -> Result<u32, SlotError> {
        if i.0 < self.capacity {
            Ok(i.0)
        } else {
            Err(SlotError::Index {
                index: i.0,
                capacity: self.capacity,
            })
        }
    }

    /// The slot's VMID.
    ///
    /// # Errors
    /// [`SlotError::Index`] if there is no such slot.
    pub fn vmid(&self, i: SlotIndex) -> Result<Vmid, SlotError> {
        let i = self.inside(i)?;
        Vmid::try_from(self.vmid_base + i).map_err(|_| SlotError::Vmids { base: self.vmid_base })
    }

    /// The VM's private address.
    ///
    /// # Errors
    /// [`SlotError::Index`] if there is no such slot.
    pub fn ip(&self, i: SlotIndex) -> Result<Ipv4Addr, SlotError> {
        Ok(Ipv4Addr::from(self.network + FIRST_HOST + self.inside(i)?))
    }

    /// The VM's MAC: locally administered, unicast, upper case as Proxmox prints it.
    ///
    /// # Errors
    /// [`SlotError::Index`] if there is no such slot.
    pub fn mac(&self, i: SlotIndex) -> Result<String, SlotError> {
        let [.., high, low] = self.inside(i)?.to_be_bytes();
        let mac: Vec<String> = self
            .mac_prefix
            .into_iter()
            .chain([high, low])
            .map(|byte| format!("{byte:02X}"))
            .collect();
        Ok(mac.join(":"))
    }

    /// The slot's ten forwarded ports.
    ///
    /// # Errors
    /// [`SlotError::Index`] if there is no such slot.
    pub fn ports(&self, i: SlotIndex) -> Result<Vec<PortMap>, SlotError> {
        let first = u32::from(self.first_port) + PORTS_PER_SLOT * self.inside(i)?;
        (first..)
            .zip(PRIVATE)
            .map(|(public, (private, protocol))| {
                let public = u16::try_from(public).map_err(|_| SlotError::Index {
                    index: i.0,
                    capacity: self.capacity,
                })?;
                Ok(PortMap {
                    public,
                    private,
                    protocol,
                })
            })
            .collect()
    }

    /// The slot's host label: three digits of the index, three of the contract.
    ///
    /// # Errors
    /// [`SlotError::Index`] if there is no such slot.
    pub fn slug(&self, i: SlotIndex, contract: &Uid) -> Result<String, SlotError> {
        let hash = digest("decent-cloud.org/slug/v1", contract);
        let number = hash
            .iter()
            .take(4)
            .fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
        let tail = number % 36_u32.pow(3);
        Ok(format!("{}{}", base36(self.inside(i)?), base36(tail)))
    }
}

fn parse_network(text: &str) -> Option<(u32, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok().filter(|p| (8..=30).contains(p))?;
    let network = u32::from(address);
    (network & (u32::MAX >> prefix) == 0 && text == format!("{address}/{prefix}"))
        .then_some((network, prefix))
}

fn mac_prefix(gateway: &Uid) -> [u8; 4] {
    let [a, b, c, d, ..] = digest("decent-cloud.org/mac/v1", gateway);
    [a & 0xfc | 0x02, b, c, d]
}

fn base36(value: u32) -> String {
    [value / 1296 % 36, value / 36 % 36, value % 36]
        .into_iter()
        .filter_map(|digit| BASE36.get(digit as usize).copied().map(char::from))
        .collect()
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
