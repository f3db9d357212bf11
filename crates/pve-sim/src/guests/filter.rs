//! Firewall files as one nftables ruleset, in the order in which a node's own chains judge a packet. Pure.
//!
//! Bridged frames are judged in the bridge family, where each guest is known by its card's link. Whether a packet
//! belongs to a connection is learnt before, in the inet family (through `br_netfilter`, as on a real node), and handed
//! on as the packet's mark: nftables' own connection tracking for bridges is not in every kernel.

use std::fmt::Write as _;

use super::names::tap;
use super::rule::{self, Direction, Skipped};
use super::wanted::Mac;
use crate::model::firewall::{Entry, FirewallFile};

/// The set that says which addresses the first card may use.
const OWN_ADDRESSES: &str = "ipfilter-net0";
/// What holds for all packets: learnt before the bridge sees them.
const STATE: &str = "\
add table inet guests
delete table inet guests
add table bridge guests
delete table bridge guests
table inet guests {
  chain state {
    type filter hook prerouting priority 0; policy accept;
    meta mark set ct state map { established : 1, related : 1, invalid : 2 }
  }
}
";

/// A guest between which and the others rules hold.
#[derive(Debug, Clone, Copy)]
pub struct Fence<'a> {
    /// Its id.
    pub vmid: u32,
    /// The hardware address of its configuration.
    pub mac: Mac,
    /// Its firewall file.
    pub file: &'a FirewallFile,
}

/// A ruleset for `nft -f`; loading it replaces the one before in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// Its text.
    pub text: String,
    /// Rules that are not part of it, with the reason.
    pub skipped: Vec<String>,
}

/// Whether an option is on.
pub fn on(options: &Entry, key: &str, default: bool) -> bool {
    options.get(key).map_or(default, |value| match value.as_str() {
        Some(text) => text == "1",
        None => value.as_i64() == Some(1),
    })
}

/// The rules that hold between these guests.
pub fn ruleset(fences: &[Fence<'_>]) -> Ruleset {
    let (mut text, mut skipped) = (STATE.to_owned(), Vec::new());
    text.push_str("table bridge guests {\n");
    for fence in fences {
        link(&mut text, fence);
        for direction in [Direction::Out, Direction::In] {
            chain(&mut text, &mut skipped, fence, direction);
        }
    }
    base(&mut text, fences);
    text.push_str("}\n");
    Ruleset { text, skipped }
}

/// Where all frames between cards pass.
fn base(text: &mut String, fences: &[Fence<'_>]) {
    let jumps = |side: &str| {
        let jump = |fence: &Fence<'_>| format!("\"{}\" : jump {side}-{}", tap(fence.vmid), fence.vmid);
        fences.iter().map(jump).collect::<Vec<_>>().join(", ")
    };
    text.push_str("  chain forward {\n    type filter hook forward priority 0; policy accept;\n");
    if !fences.is_empty() {
        let _ = write!(
            text,
            "    iifname vmap {{ {} }}\n    meta protocol != {{ ip, ip6 }} accept\n    meta mark 1 accept\n    \
             meta mark 2 drop\n    iifname vmap {{ {} }}\n    oifname vmap {{ {} }}\n",
            jumps("link"),
            jumps("out"),
            jumps("in"),
        );
    }
    text.push_str("  }\n");
}

/// What is asked of every frame that a guest sends: its own hardware address, and in ARP its own addresses.
fn link(text: &mut String, fence: &Fence<'_>) {
    let Fence { vmid, mac, file } = fence;
    if let Some(own) = own_addresses(file) {
        for (family, kind) in [("v4", "ipv4_addr"), ("v6", "ipv6_addr")] {
            let members = own.of(family, *mac);
            let elements = if members.is_empty() {
                String::new()
            } else {
                format!("\n    elements = {{ {} }}", members.join(", "))
            };
            let _ = writeln!(
                text,
                "  set own-{family}-{vmid} {{\n    type {kind}; flags interval; auto-merge{elements}\n  }}"
            );
        }
    }
    let _ = writeln!(text, "  chain link-{vmid} {{");
    if on(&file.options, "macfilter", true) {
        let _ = writeln!(text, "    ether saddr != {mac} drop");
    }
    if own_addresses(file).is_some() {
        let _ = writeln!(text, "    arp saddr ip != @own-v4-{vmid} drop");
    }
    text.push_str("  }\n");
}

/// What a guest may send, or what may reach it, on a connection that is new.
fn chain(text: &mut String, skipped: &mut Vec<String>, fence: &Fence<'_>, direction: Direction) {
    let Fence { vmid, file, .. } = fence;
    let options = &file.options;
    let (name, key, default) = match direction {
        Direction::Out => ("out", "policy_out", "ACCEPT"),
        Direction::In => ("in", "policy_in", "DROP"),
    };
    let _ = writeln!(text, "  chain {name}-{vmid} {{");
    let mut line = |body: &str| {
        let _ = writeln!(text, "    {body}");
    };
    if on(options, "dhcp", true) {
        line(match direction {
            Direction::Out => "udp sport 68 udp dport 67 return",
            Direction::In => "udp sport 67 udp dport 68 return",
        });
    }
    if direction == Direction::Out {
        if !on(options, "radv", false) {
            line("icmpv6 type nd-router-advert drop");
        }
        if own_addresses(file).is_some() {
            line(&format!("ip saddr != @own-v4-{vmid} drop"));
            line(&format!("ip6 saddr != @own-v6-{vmid} drop"));
        }
    }
    if on(options, "ndp", true) {
        line(
            "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } return",
        );
    }
    for (position, entry) in file.rules.iter().enumerate() {
        match rule::lines(entry, file, direction) {
            Ok(lines) => lines.iter().for_each(|body| line(body)),
            // Said once, not for each direction.
            Err(Skipped(why)) if direction == Direction::In => {
                skipped.push(format!("VM {vmid}, rule {position}: {why}"));
            }
            Err(_) => {}
        }
    }
    let policy = options
        .get(key)
        .and_then(|value| value.as_str())
        .unwrap_or(default);
    line(if policy == "ACCEPT" { "return" } else { "drop" });
    text.push_str("  }\n");
}

/// The addresses that a guest may use as its own.
struct Own {
    v4: Vec<String>,
    v6: Vec<String>,
}

impl Own {
    fn of(&self, family: &str, mac: Mac) -> Vec<String> {
        let mut members = if family == "v4" {
            self.v4.clone()
        } else {
            self.v6.clone()
        };
        if family == "v6" {
            members.push(mac.link_local().to_string());
        }
        members
    }
}

/// None where a guest may use any. A set that exists counts without the option as well.
fn own_addresses(file: &FirewallFile) -> Option<Own> {
    let set = file.ipsets.get(OWN_ADDRESSES);
    if set.is_none() && !on(&file.options, "ipfilter", false) {
        return None;
    }
    let mut own = Own {
        v4: Vec::new(),
        v6: Vec::new(),
    };
    for network in set.into_iter().flat_map(|set| rule::members(set, file)) {
        if network.is_v4() {
            own.v4.push(network.to_string());
        } else {
            own.v6.push(network.to_string());
        }
    }
    Some(own)
}
