//! How to connect, from Slot and Gateway by slot arithmetic. Never by address: names move, addresses are reused.

use crds::{
    Gateway, Machine, Slot,
    contract::{Connection, ForwardedPort, Protocol},
    slot::SlotPhase,
};
use domain::{ids::Uid, slot::SlotIndex};
use kube::ResourceExt;

use crate::gateway;

/// Longest text of known hosts that the kind takes.
const KNOWN_HOSTS_MAX: usize = 16_384;

/// Of the Slots that name this Contract, the one that its Machine holds now.
#[must_use]
pub fn slot_of<'a>(machine: Option<&Machine>, slots: &[&'a Slot]) -> Option<&'a Slot> {
    let uid = machine.and_then(ResourceExt::uid);
    let held = |slot: &Slot| {
        let phase = slot.phase();
        phase == SlotPhase::Claimed
            && uid
                .as_ref()
                .is_none_or(|uid| slot.spec.machine_ref.uid.as_str() == uid)
    };
    let named = machine.and_then(|m| m.status.as_ref()?.slot.as_deref());
    let mut claimed: Vec<&Slot> = slots.iter().copied().filter(|slot| held(slot)).collect();
    claimed.sort_by_key(|slot| (named != Some(slot.name_any().as_str()), slot.name_any()));
    claimed.first().copied()
}

/// How to connect to the machine in this Slot; None when Slot and Gateway do not fit each other.
pub(super) fn connection(slot: &Slot, gateway: &Gateway, contract: &Uid, user: &str) -> Option<Connection> {
    let index = u32::try_from(slot.spec.index).ok()?;
    let base = slot.spec.vmid.checked_sub(slot.spec.index)?;
    let plan = gateway::plan(gateway, base).ok()?;
    let index = SlotIndex(index);
    let slug = plan.slug(index, contract).ok()?;
    let spec = &gateway.spec;
    let host = format!("{slug}.{}.{}.{}", spec.dc_id, spec.prefix, spec.domain);
    let ports = plan.ports(index).ok()?;
    let (ssh, others) = ports.split_first()?;
    Some(Connection {
        ssh_port: i32::from(ssh.public),
        user: user.to_owned(),
        ports: others.iter().copied().map(forwarded).collect(),
        url: format!("https://{host}"),
        known_hosts: known_hosts(slot, &host, ssh.public),
        host,
    })
}

fn forwarded(port: domain::slot::PortMap) -> ForwardedPort {
    ForwardedPort {
        public: i32::from(port.public),
        internal: i32::from(port.private),
        protocol: match port.protocol {
            domain::slot::Protocol::Tcp => Protocol::Tcp,
            domain::slot::Protocol::Udp => Protocol::Udp,
        },
    }
}

/// A line for each host key that is one: the agent reads them from the guest, which may send anything.
fn known_hosts(slot: &Slot, host: &str, port: u16) -> Option<String> {
    let keys = &slot.status.as_ref()?.route.as_ref()?.host_keys;
    let mut text = String::new();
    for key in keys {
        let mut words = key.split_ascii_whitespace();
        let (Some(kind), Some(blob)) = (words.next(), words.next()) else {
            continue;
        };
        if !plain(kind) || !plain(blob) {
            continue;
        }
        let line = format!("[{host}]:{port} {kind} {blob}\n");
        if text.len() + line.len() <= KNOWN_HOSTS_MAX {
            text.push_str(&line);
        }
    }
    (!text.is_empty()).then_some(text)
}

fn plain(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_ascii_alphanumeric() || "+/=@.-".contains(c))
}
