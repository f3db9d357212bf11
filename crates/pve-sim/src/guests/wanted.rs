//! Which guests the model says there are, as validated facts. Pure: reads the model and touches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use percent_encoding::percent_decode_str;

use super::filter::{self, Fence};
use crate::model::config::VmConfig;
use crate::model::moment::Moment;
use crate::model::vm::{Power, Vm};
use crate::model::world::World;

/// The user of a guest whose configuration names none: that of the image.
const IMAGE_USER: &str = "debian";
/// How many keys a guest takes.
const MAX_KEYS: usize = 64;
/// How long one key may be.
const MAX_KEY: usize = 16 * 1024;

/// All that there should be at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The guests that run.
    pub guests: BTreeMap<u32, Guest>,
    /// Whose disks and host keys are to be kept: running or not.
    pub homes: BTreeSet<Home>,
    /// The bridges of all nodes.
    pub bridges: BTreeSet<String>,
    /// What holds between the guests.
    pub rules: filter::Ruleset,
}

/// One guest as it was started. Later changes of its configuration reach it at its next start, as with a real one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Its id.
    pub vmid: u32,
    /// Which of its starts this is.
    pub start: Start,
    /// What its disk and host keys belong to.
    pub home: Home,
    /// Its name, which is its host name.
    pub name: String,
    /// Its first network card, if that is on a bridge.
    pub card: Option<Card>,
    /// Who may log in.
    pub user: String,
    /// With which keys.
    pub keys: Vec<String>,
}

/// One start of a guest: no two are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// When.
    pub at: Moment,
    /// Its process on the node.
    pub pid: u32,
}

/// An id together with the machine that has it now: a later machine under the same id is another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Home(String);

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac([u8; 6]);

/// A network card on a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The bridge.
    pub bridge: String,
    /// Its hardware address.
    pub mac: Mac,
    /// Its static address, if it has one.
    pub address: Option<Address>,
}

/// A static address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The address itself.
    pub ip: Ipv4Addr,
    /// The length of its network's prefix.
    pub prefix: u8,
    /// Where everything else goes.
    pub gateway: Option<Ipv4Addr>,
}

/// What the model wants at this moment.
pub fn wanted(world: &World) -> Wanted {
    let on = |vm: &&Vm| world.nodes.get(&vm.node).is_some_and(|node| node.online);
    let running = world.vms.values().filter(on);
    let guests: BTreeMap<u32, Guest> = running
        .filter_map(guest)
        .map(|guest| (guest.vmid, guest))
        .collect();
    let bridges = world.nodes.values().flat_map(|node| &node.bridges);
    Wanted {
        homes: world.vms.values().map(Home::of).collect(),
        bridges: bridges.filter(|name| is_link(name)).cloned().collect(),
        rules: filter::ruleset(&fences(world, &guests)),
        guests,
    }
}

/// The guests between which rules hold: datacenter, guest and card must all have the firewall on.
fn fences<'a>(world: &'a World, guests: &BTreeMap<u32, Guest>) -> Vec<Fence<'a>> {
    if !filter::on(&world.datacenter.firewall, "enable", false) {
        return Vec::new();
    }
    let fence = |vmid: &u32| {
        let net = parts(world.vms.get(vmid)?.config.get("net0")?);
        let file = world.firewalls.get(vmid)?;
        let guarded = net.get("firewall") == Some(&"1") && filter::on(&file.options, "enable", false);
        let mac = hardware(&net)?;
        guarded.then_some(Fence {
            vmid: *vmid,
            mac,
            file,
        })
    };
    guests.keys().filter_map(fence).collect()
}

fn guest(vm: &Vm) -> Option<Guest> {
    let Power::Running { since, pid } = vm.power else {
        return None;
    };
    let config = &vm.config;
    let user = config.get("ciuser").filter(|user| is_user(user));
    Some(Guest {
        vmid: vm.vmid,
        start: Start { at: since, pid },
        home: Home::of(vm),
        name: config
            .get("name")
            .filter(|name| is_host(name))
            .map_or_else(|| format!("vm{}", vm.vmid), str::to_owned),
        card: card(config),
        user: user.unwrap_or(IMAGE_USER).to_owned(),
        keys: config.get("sshkeys").map(keys).unwrap_or_default(),
    })
}

/// The first card. One without a bridge is behind QEMU's own NAT, which nothing here stands for.
fn card(config: &VmConfig) -> Option<Card> {
    let net = parts(config.get("net0")?);
    let bridge = net.get("bridge").filter(|bridge| is_link(bridge))?;
    Some(Card {
        bridge: (*bridge).to_owned(),
        mac: hardware(&net)?,
        address: config.get("ipconfig0").and_then(address),
    })
}

fn address(ipconfig: &str) -> Option<Address> {
    let parts = parts(ipconfig);
    let (ip, prefix) = parts.get("ip")?.split_once('/')?;
    Some(Address {
        ip: ip.parse().ok()?,
        prefix: prefix.parse().ok().filter(|prefix| (1..=32).contains(prefix))?,
        gateway: parts.get("gw").and_then(|gateway| gateway.parse().ok()),
    })
}

/// The keys of a percent-encoded list, one a line.
fn keys(encoded: &str) -> Vec<String> {
    let text = percent_decode_str(encoded).decode_utf8_lossy().into_owned();
    let lines = text.lines().map(str::trim);
    let sound = |line: &&str| {
        !line.is_empty()
            && !line.starts_with('#')
            && line.len() <= MAX_KEY
            && !line.contains(char::is_control)
    };
    lines.filter(sound).take(MAX_KEYS).map(str::to_owned).collect()
}

/// The `key=value` parts of a value such as net0's.
fn parts(value: &str) -> BTreeMap<&str, &str> {
    value.split(',').filter_map(|part| part.split_once('=')).collect()
}

/// The card's hardware address, which is the value of whatever key names its model.
fn hardware(net: &BTreeMap<&str, &str>) -> Option<Mac> {
    net.values().find_map(|value| Mac::parse(value))
}

fn is_link(name: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=15).contains(&name.len())
        && name.chars().all(sound)
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn is_user(name: &str) -> bool {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    (1..=32).contains(&name.len())
        && name.chars().all(sound)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_host(name: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    (1..=63).contains(&name.len())
        && name.chars().all(sound)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

impl Home {
    /// The home of a guest.
    pub fn of(vm: &Vm) -> Self {
        let smbios = parts(vm.config.get("smbios1").unwrap_or_default());
        let uuid = smbios
            .get("uuid")
            .and_then(|uuid| uuid::Uuid::parse_str(uuid).ok());
        Self(format!("{}-{}", vm.vmid, uuid.unwrap_or_default()))
    }

    /// The home with this name, if it is the name of one.
    pub fn parse(name: &str) -> Option<Self> {
        let (vmid, uuid) = name.split_once('-')?;
        let sound = vmid.parse::<u32>().is_ok() && uuid::Uuid::parse_str(uuid).is_ok();
        sound.then(|| Self(name.to_owned()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Mac {
    /// An address such as BC:24:11:00:00:01 of one machine.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2)?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        (parts.next().is_none() && bytes[0] & 1 == 0).then_some(Self(bytes))
    }

    /// The address that its card gives itself on the link (RFC 4291).
    pub fn link_local(self) -> std::net::Ipv6Addr {
        let Self(own) = self;
        let join = |high: u8, low: u8| u16::from_be_bytes([high, low]);
        std::net::Ipv6Addr::new(
            0xfe80,
            0,
            0,
            0,
            join(own[0] ^ 2, own[1]),
            join(own[2], 0xff),
            join(0xfe, own[3]),
            join(own[4], own[5]),
        )
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&bytes.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(pairs: &[(&str, &str)]) -> Vm {
        let mut config = VmConfig::default();
        for (key, value) in pairs {
            config.set(key, *value);
        }
        let mut vm = Vm::new(101, "pve1", config);
        vm.power = Power::Running {
            since: Moment::from_micros(7),
            pid: 42,
        };
        vm
    }

    const NET: &str = "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1";

    #[test]
    fn a_started_guest_has_the_card_address_user_and_keys_of_its_configuration() {
        let guest = guest(&vm(&[
            ("name", "web"),
            ("net0", NET),
            ("ipconfig0", "ip=10.64.1.54/16,gw=10.64.0.1"),
            ("ciuser", "root"),
            ("sshkeys", "ssh-ed25519%20AA%2BA%20a%40b%0A%0Assh-rsa%20B%0A"),
        ]))
        .unwrap();
        let card = guest.card.unwrap();
        assert_eq!(card.mac.to_string(), "bc:24:11:00:00:01");
        assert_eq!(card.bridge, "vmbr0");
        let address = card.address.unwrap();
        assert_eq!((address.ip, address.prefix), (Ipv4Addr::new(10, 64, 1, 54), 16));
        assert_eq!(address.gateway, Some(Ipv4Addr::new(10, 64, 0, 1)));
        assert_eq!((guest.name.as_str(), guest.user.as_str()), ("web", "root"));
        assert_eq!(guest.keys, ["ssh-ed25519 AA+A a@b", "ssh-rsa B"]);
    }

    #[test]
    fn a_stopped_guest_is_none() {
        let mut vm = vm(&[("net0", NET)]);
        vm.power = Power::Stopped;
        assert_eq!(guest(&vm), None);
    }

    #[test]
    fn what_no_system_could_use_is_left_out() {
        let guest = guest(&vm(&[
            ("name", "../etc"),
            ("net0", "virtio=BC:24:11:00:00:01,bridge=a very long name"),
            ("ciuser", "root:0"),
        ]))
        .unwrap();
        assert_eq!(
            (guest.name.as_str(), guest.user.as_str(), guest.card),
            ("vm101", "debian", None)
        );
        for text in [
            "ip=dhcp",
            "ip=10.0.0.1",
            "ip=10.0.0.1/33",
            "gw=10.0.0.1",
            "ip=fd00::1/64",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
        assert_eq!(keys("a%00b%0A%23%20no"), Vec::<String>::new());
    }

    #[test]
    fn hardware_addresses_are_those_of_one_machine() {
        for text in [
            "01:00:00:00:00:01",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "2:0:0:0:0:1",
            "vmbr0",
        ] {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
        let mac = Mac::parse("02:00:00:00:00:0A").unwrap();
        assert_eq!(mac.link_local().to_string(), "fe80::ff:fe00:a");
    }

    #[test]
    fn the_same_id_with_another_machine_is_another_home() {
        let one = vm(&[("smbios1", "uuid=5a1b6a3c-0000-4000-8000-000000000001")]);
        let other = vm(&[("smbios1", "uuid=5a1b6a3c-0000-4000-8000-000000000002")]);
        assert_ne!(Home::of(&one), Home::of(&other));
        assert_eq!(Home::parse(Home::of(&one).name()), Some(Home::of(&one)));
        assert_eq!(Home::parse("lost+found"), None);
    }
}
