//! The changing part of the table: elements of maps and sets, and transactions that add and remove some.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::net::Ipv4Addr;

use domain::slot::{PortMap, Protocol};

use super::{Fixed, TABLE};
use crate::routes::{Changes, Removal, Route, Routes, Unnamed};

/// Where a public port leads.
pub type Forward = (Ipv4Addr, u16);

/// What passed by an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meter {
    /// Packets.
    pub packets: u64,
    /// Bytes, with IP headers.
    pub bytes: u64,
}

/// All elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Elements {
    /// Forwarded TCP ports.
    pub tcp: BTreeMap<u16, Forward>,
    /// Forwarded UDP ports.
    pub udp: BTreeMap<u16, Forward>,
    /// Machines with a route and what they have sent.
    pub sent: BTreeMap<Ipv4Addr, Meter>,
    /// The same machines and what they have received.
    pub received: BTreeMap<Ipv4Addr, Meter>,
}

impl Elements {
    /// What all routes need, with meters at zero.
    #[must_use]
    pub fn wanted(routes: &Routes) -> Self {
        let mut all = Self::of(routes.iter());
        for (_, Unnamed { address, ports }) in routes.unnamed() {
            all.insert(*address, ports);
        }
        all
    }

    fn of<'a>(routes: impl Iterator<Item = &'a Route>) -> Self {
        let mut all = Self::default();
        routes.for_each(|route| all.insert(route.address, &route.ports));
        all
    }

    fn insert(&mut self, address: Ipv4Addr, ports: &[PortMap]) {
        for port in ports {
            let map = match port.protocol {
                Protocol::Tcp => &mut self.tcp,
                Protocol::Udp => &mut self.udp,
            };
            map.insert(port.public, (address, port.private));
        }
        self.sent.insert(address, Meter::default());
        self.received.insert(address, Meter::default());
    }
}

/// One atomic change: removals first, then additions. The same element may be in both: its meter starts anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    pub(super) replace: Option<String>,
    pub(super) remove: Elements,
    pub(super) add: Elements,
}

impl Transaction {
    /// The change of the table that belongs to a change of routes.
    #[must_use]
    pub fn of(changes: &Changes) -> Self {
        Self {
            replace: None,
            remove: Elements::of(changes.remove.iter().map(|Removal { route, .. }| route)),
            add: Elements::of(changes.add.iter()),
        }
    }

    /// The whole table with these elements in place of whatever has its name.
    #[must_use]
    pub fn replace(fixed: &Fixed, elements: Elements) -> Self {
        Self {
            replace: Some(fixed.text.clone()),
            remove: Elements::default(),
            add: elements,
        }
    }

    /// Whether it does nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replace.is_none() && self.remove == Elements::default() && self.add == Elements::default()
    }

    /// Whether it makes the whole table anew.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.replace.is_some()
    }

    /// How many elements it touches.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = |e: &Elements| e.tcp.len() + e.udp.len() + e.sent.len() + e.received.len();
        count(&self.remove) + count(&self.add)
    }

    /// The transaction in nft's language, one command a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(table) = &self.replace {
            // Added first, so that it can be deleted whether or not it was there.
            let _ = writeln!(text, "add table ip {TABLE}\ndelete table ip {TABLE}\n{table}");
        }
        let Elements {
            tcp,
            udp,
            sent,
            received,
        } = &self.remove;
        command(&mut text, "delete", "tcp_fwd", tcp.keys());
        command(&mut text, "delete", "udp_fwd", udp.keys());
        command(&mut text, "delete", "sent", sent.keys());
        command(&mut text, "delete", "received", received.keys());
        let Elements {
            tcp,
            udp,
            sent,
            received,
        } = &self.add;
        command(&mut text, "add", "tcp_fwd", tcp.iter().map(forward));
        command(&mut text, "add", "udp_fwd", udp.iter().map(forward));
        command(&mut text, "add", "sent", sent.iter().map(metered));
        command(&mut text, "add", "received", received.iter().map(metered));
        text
    }
}

fn forward((port, (address, private)): (&u16, &Forward)) -> impl Display {
    format!("{port} : {address} . {private}")
}

fn metered((address, Meter { packets, bytes }): (&Ipv4Addr, &Meter)) -> impl Display {
    if *packets == 0 && *bytes == 0 {
        address.to_string()
    } else {
        format!("{address} counter packets {packets} bytes {bytes}")
    }
}

fn command<T: Display>(text: &mut String, verb: &str, name: &str, elements: impl Iterator<Item = T>) {
    for (place, element) in elements.enumerate() {
        let _ = match place {
            0 => write!(text, "{verb} element ip {TABLE} {name} {{ {element}"),
            _ => write!(text, ", {element}"),
        };
    }
    if text.ends_with(['\n']) || text.is_empty() {
        return;
    }
    text.push_str(" }\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Cause;
    use crate::samples;

    #[test]
    fn a_new_slot_is_four_commands() {
        let changes = Changes {
            remove: vec![],
            add: vec![samples::route(0, 1)],
        };
        let want = "add element ip decent tcp_fwd { 20000 : 10.64.0.10 . 22, 20001 : 10.64.0.10 . 10001, \
                    20002 : 10.64.0.10 . 10002, 20003 : 10.64.0.10 . 10003, 20004 : 10.64.0.10 . 10004 }\n\
                    add element ip decent udp_fwd { 20005 : 10.64.0.10 . 10005, 20006 : 10.64.0.10 . 10006, \
                    20007 : 10.64.0.10 . 10007, 20008 : 10.64.0.10 . 10008, 20009 : 10.64.0.10 . 10009 }\n\
                    add element ip decent sent { 10.64.0.10 }\nadd element ip decent received { 10.64.0.10 }\n";
        assert_eq!(Transaction::of(&changes).text(), want);
    }

    #[test]
    fn a_successor_is_removed_and_added_so_that_its_meter_starts_anew() {
        let changes = Changes {
            remove: vec![Removal {
                route: samples::route(1, 1),
                cause: Cause::Succeeded(samples::uid(2)),
            }],
            add: vec![samples::route(1, 2)],
        };
        let text = Transaction::of(&changes).text();
        let lines: Vec<&str> = text
            .lines()
            .map(|line| line.split(" {").next().unwrap())
            .collect();
        assert_eq!(lines[2], "delete element ip decent sent");
        assert_eq!(lines[6], "add element ip decent sent");
        assert_eq!(lines.len(), 8);
    }

    #[test]
    fn nothing_is_no_text() {
        let nothing = Transaction::of(&Changes::default());
        assert!(nothing.is_empty());
        assert_eq!(nothing.text(), "");
    }

    #[test]
    fn a_change_is_as_long_as_what_changes() {
        let add = |index| Changes {
            remove: vec![],
            add: vec![samples::route(index, 1)],
        };
        assert_eq!(Transaction::of(&add(3)).len(), 12);
        assert_eq!(Transaction::of(&add(3999)).len(), 12);
    }
}
