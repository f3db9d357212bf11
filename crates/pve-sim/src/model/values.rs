//! The forms of configuration values: what is taken, what is refused with which text, how it is stored.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::config::is_disk_key;
use super::dice::Dice;

/// The models of network card.
const MODELS: &[&str] = &[
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];
/// The other properties of a network card.
const NET_KEYS: &[&str] = &[
    "bridge",
    "firewall",
    "link_down",
    "macaddr",
    "model",
    "mtu",
    "queues",
    "rate",
    "tag",
    "trunks",
];

/// Checks a value of a key; the error is the text of the 400.
pub fn check(key: &str, value: &str) -> Result<(), String> {
    let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
    match family {
        "name" => format_error(is_dns_name(value), "value does not look like a valid DNS name"),
        "tags" => format_error(split_tags(value).all(is_tag), "invalid characters in tag"),
        "memory" => check_memory(value).map_err(|text| format!("invalid format - format error\n{text}\n")),
        "sshkeys" => {
            let plain = value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "%-_.!~*'()".contains(c));
            if plain {
                Ok(())
            } else {
                Err(format!("invalid format - invalid urlencoded string: {value}\n"))
            }
        }
        "net" if family != key => parse_net(value)
            .map(drop)
            .map_err(|text| format!("invalid format - format error\n{key}.{text}\n")),
        "ipconfig" if family != key => check_ipconfig(key, value)
            .map_err(|text| format!("invalid format - format error\n{key}.{text}\n")),
        "hookscript" => Err(format!("script '{value}' does not exist\n")),
        "cicustom" => check_cicustom(value),
        _ => Ok(()),
    }
}

fn format_error(good: bool, text: &str) -> Result<(), String> {
    if good {
        Ok(())
    } else {
        Err(format!("invalid format - {text}\n"))
    }
}

/// Whether a text is a DNS name as the daemon sees it.
pub fn is_dns_name(text: &str) -> bool {
    text.split('.').all(|label| {
        let inner = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    })
}

/// The tags in a list.
pub fn split_tags(list: &str) -> impl Iterator<Item = &str> {
    list.split([';', ',', ' ']).filter(|tag| !tag.is_empty())
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.starts_with(word) && tag.chars().all(|c| word(c) || "-+.".contains(c))
}

/// How tags are stored: sorted, in lower case, each once.
pub fn stored_tags(list: &str) -> String {
    let tags: BTreeSet<String> = split_tags(list).map(str::to_lowercase).collect();
    if tags.is_empty() {
        return " ".to_owned();
    }
    tags.into_iter().collect::<Vec<_>>().join(";")
}

fn check_memory(value: &str) -> Result<(), String> {
    let value = value.strip_prefix("current=").unwrap_or(value);
    match value.parse::<i64>() {
        Err(_) => Err(format!(
            "memory.current: type check ('integer') failed - got '{value}'"
        )),
        Ok(size) if size < 16 => Err("memory.current: value must have a minimum value of 16".to_owned()),
        Ok(_) => Ok(()),
    }
}

/// A network card: model, address if given, and the rest sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
    /// The card's model.
    pub model: String,
    /// Its hardware address.
    pub mac: Option<String>,
    /// Its other properties.
    pub rest: Vec<(String, String)>,
}

impl Net {
    /// The bridge that it hangs on.
    pub fn bridge(&self) -> Option<&str> {
        self.rest
            .iter()
            .find(|(key, _)| key == "bridge")
            .map(|(_, bridge)| bridge.as_str())
    }

    fn text(&self, mac: &str) -> String {
        let head = format!("{}={mac}", self.model);
        let rest = self.rest.iter().map(|(key, value)| format!("{key}={value}"));
        std::iter::once(head).chain(rest).collect::<Vec<_>>().join(",")
    }
}

/// Reads a network card; the error lacks the key in front of its dot.
pub fn parse_net(value: &str) -> Result<Net, String> {
    let mut net = Net {
        model: String::new(),
        mac: None,
        rest: Vec::new(),
    };
    for part in value.split(',') {
        match part.split_once('=') {
            None if net.model.is_empty() => part.clone_into(&mut net.model),
            None => return Err(format!("{part}: property is missing a value")),
            Some(("model", model)) => model.clone_into(&mut net.model),
            Some(("macaddr", mac)) => net.mac = Some(mac.to_owned()),
            Some((model, mac)) if MODELS.contains(&model) => {
                model.clone_into(&mut net.model);
                net.mac = Some(mac.to_owned());
            }
            Some((key, value)) if NET_KEYS.contains(&key) => {
                net.rest.push((key.to_owned(), value.to_owned()));
            }
            Some((key, _)) => {
                let text =
                    "property is not defined in schema and the schema does not allow additional properties";
                return Err(format!("{key}: {text}"));
            }
        }
    }
    if !MODELS.contains(&net.model.as_str()) {
        let all = MODELS.join(", ");
        return Err(format!(
            "model: value '{}' does not have a value in the enumeration '{all}'",
            net.model
        ));
    }
    if net.mac.as_deref().is_some_and(|mac| !is_unicast_mac(mac)) {
        return Err(
            "macaddr: invalid format - value does not look like a valid unicast MAC address\n".to_owned(),
        );
    }
    check_net_numbers(&net)?;
    net.rest.sort();
    Ok(net)
}

fn check_net_numbers(net: &Net) -> Result<(), String> {
    for (key, value) in &net.rest {
        let (low, high) = match key.as_str() {
            "tag" => (1, 4094),
            "mtu" => (1, 65520),
            "queues" => (0, 64),
            "firewall" | "link_down" if !matches!(value.as_str(), "0" | "1") => {
                return Err(format!("{key}: type check ('boolean') failed - got '{value}'"));
            }
            _ => continue,
        };
        check_range(value, low, high).map_err(|text| format!("{key}: {text}"))?;
    }
    Ok(())
}

/// Checks an integer's bounds, with the daemon's texts.
pub fn check_range(value: &str, low: i64, high: i64) -> Result<(), String> {
    match value.parse::<i64>() {
        Err(_) => Err(format!("type check ('integer') failed - got '{value}'")),
        Ok(number) if number < low => Err(format!("value must have a minimum value of {low}")),
        Ok(number) if number > high => Err(format!("value must have a maximum value of {high}")),
        Ok(_) => Ok(()),
    }
}

fn is_unicast_mac(mac: &str) -> bool {
    let bytes: Vec<Option<u8>> = mac.split(':').map(hex_byte).collect();
    bytes.len() == 6
        && bytes.iter().all(Option::is_some)
        && bytes.first().copied().flatten().is_some_and(|b| b & 1 == 0)
}

fn hex_byte(part: &str) -> Option<u8> {
    (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok())?
}

fn check_ipconfig(name: &str, value: &str) -> Result<(), String> {
    let mut seen = Vec::new();
    for part in value.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (good, what) = match key {
            "ip" => (
                value == "dhcp" || is_cidr4(value),
                "value does not look like a valid ipv4 network configuration",
            ),
            "gw" => (
                value.parse::<Ipv4Addr>().is_ok(),
                "value does not look like a valid IPv4 address",
            ),
            "ip6" => (
                matches!(value, "dhcp" | "auto") || is_cidr6(value),
                "value does not look like a valid ipv6 network configuration",
            ),
            "gw6" => (
                value.parse::<Ipv6Addr>().is_ok(),
                "value does not look like a valid IPv6 address",
            ),
            _ => {
                let text =
                    "property is not defined in schema and the schema does not allow additional properties";
                return Err(format!("{key}: {text}"));
            }
        };
        if !good {
            return Err(format!("{key}: invalid format - {what}\n"));
        }
        seen.push(key);
    }
    for (gateway, address) in [("gw", "ip"), ("gw6", "ip6")] {
        if seen.contains(&gateway) && !seen.contains(&address) {
            return Err(format!(
                "{address}: missing property required by '{name}.{gateway}'"
            ));
        }
    }
    Ok(())
}

fn is_cidr4(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, bits)| {
        address.parse::<Ipv4Addr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| (1..=32).contains(&bits))
    })
}

fn is_cidr6(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, bits)| {
        address.parse::<Ipv6Addr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
    })
}

fn check_cicustom(value: &str) -> Result<(), String> {
    for part in value.split(',') {
        let (key, volume) = part.split_once('=').unwrap_or((part, ""));
        if !volume.contains(':') {
            return Err(format!(
                "invalid format - format error\ncicustom.{key}: invalid format - unable to parse volume ID '{volume}'\n\n"
            ));
        }
    }
    Ok(())
}

/// Whether every line of percent-encoded keys is a public key.
pub fn are_ssh_keys(encoded: &str) -> bool {
    let Ok(text) = percent_encoding::percent_decode_str(encoded).decode_utf8() else {
        return false;
    };
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .all(|line| ssh_key::PublicKey::from_openssh(line.trim()).is_ok())
}

/// How a value is stored.
pub fn stored(key: &str, value: &str, dice: &mut Dice) -> String {
    match key {
        "tags" => stored_tags(value),
        "description" => trim_newlines(value).to_owned(),
        _ if key.starts_with("net") && !is_disk_key(key) => match parse_net(value) {
            Ok(net) => net.text(&net.mac.clone().unwrap_or_else(|| dice.mac())),
            Err(_) => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

/// A network card with a new hardware address.
pub fn with_new_mac(value: &str, dice: &mut Dice) -> String {
    let mac = dice.mac();
    parse_net(value).map_or_else(|_| value.to_owned(), |net| net.text(&mac))
}

/// A description as it is kept: without line ends at its end.
pub fn trim_newlines(text: &str) -> &str {
    text.trim_end_matches(['\n', '\r'])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("zeta;alpha,decent alpha", "alpha;decent;zeta")]
    #[case("B;a;A", "a;b")]
    #[case("", " ")]
    fn tags_are_stored_sorted_and_once(#[case] sent: &str, #[case] kept: &str) {
        assert_eq!(stored_tags(sent), kept);
    }

    #[rstest]
    #[case("tags", "decent=1", "invalid format - invalid characters in tag\n")]
    #[case("name", "a_b", "invalid format - value does not look like a valid DNS name\n")]
    #[case("name", "", "invalid format - value does not look like a valid DNS name\n")]
    #[case(
        "memory",
        "128M",
        "invalid format - format error\nmemory.current: type check ('integer') failed - got '128M'\n"
    )]
    #[case(
        "memory",
        "8",
        "invalid format - format error\nmemory.current: value must have a minimum value of 16\n"
    )]
    #[case(
        "net0",
        "virtio=01:00:5E:00:00:01,bridge=vmbr0",
        "invalid format - format error\nnet0.macaddr: invalid format - value does not look like a valid unicast MAC address\n\n"
    )]
    #[case(
        "net0",
        "virtio,bridge=vmbr0,foo=1",
        "invalid format - format error\nnet0.foo: property is not defined in schema and the schema does not allow additional properties\n"
    )]
    #[case(
        "ipconfig0",
        "ip=10.77.0.3",
        "invalid format - format error\nipconfig0.ip: invalid format - value does not look like a valid ipv4 network configuration\n\n"
    )]
    #[case(
        "ipconfig0",
        "gw=10.77.0.1",
        "invalid format - format error\nipconfig0.ip: missing property required by 'ipconfig0.gw'\n"
    )]
    fn refusals_have_the_recorded_texts(#[case] key: &str, #[case] value: &str, #[case] text: &str) {
        assert_eq!(check(key, value), Err(text.to_owned()));
    }
}
