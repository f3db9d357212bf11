//! The forms of configuration values that the schema only names: what is refused with which text, and how values are
//! stored. The texts stand behind "invalid format - ".

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use sha2::{Digest as _, Sha256};

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
/// Checks a list of tags.
pub fn check_tags(value: &str) -> Result<(), String> {
    if split_tags(value).all(is_tag) {
        return Ok(());
    }
    Err("invalid characters in tag\n".to_owned())
}

/// Checks percent-encoded text.
pub fn check_urlencoded(value: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%-_.!~*'()".contains(c);
    if value.chars().all(plain) {
        return Ok(());
    }
    Err(format!("invalid urlencoded string: {value}\n"))
}

/// Whether a text is the name of a user: something, @ and a realm.
pub fn is_user_id(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(name, realm)| {
        let odd = |c: char| c.is_whitespace() || ":/".contains(c);
        let word = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        !name.is_empty() && !name.contains(odd) && realm.len() > 1 && realm.chars().all(word)
    })
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

/// Reads a network card, whose form the schema has checked.
pub fn parse_net(value: &str) -> Option<Net> {
    let mut net = Net {
        model: String::new(),
        mac: None,
        rest: Vec::new(),
    };
    for part in value.split(',') {
        match part.split_once('=') {
            None => part.clone_into(&mut net.model),
            Some(("model", model)) => model.clone_into(&mut net.model),
            Some(("macaddr", mac)) => net.mac = Some(mac.to_owned()),
            Some((model, mac)) if MODELS.contains(&model) => {
                model.clone_into(&mut net.model);
                net.mac = Some(mac.to_owned());
            }
            Some((key, value)) => net.rest.push((key.to_owned(), value.to_owned())),
        }
    }
    net.rest.sort();
    (!net.model.is_empty()).then_some(net)
}

/// Whether a text is the hardware address of one card.
pub fn is_unicast_mac(mac: &str) -> bool {
    let bytes: Vec<Option<u8>> = mac.split(':').map(hex_byte).collect();
    bytes.len() == 6
        && bytes.iter().all(Option::is_some)
        && bytes.first().copied().flatten().is_some_and(|b| b & 1 == 0)
}

fn hex_byte(part: &str) -> Option<u8> {
    (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok())?
}

/// Checks a card's addresses.
pub fn check_ipconfig(name: &str, value: &str) -> Result<(), String> {
    check_addresses(name, value).map_err(|text| format!("format error\n{name}.{text}\n"))
}

fn check_addresses(name: &str, value: &str) -> Result<(), String> {
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

/// Checks a list of snippets.
pub fn check_cicustom(value: &str) -> Result<(), String> {
    for part in value.split(',') {
        let (key, volume) = part.split_once('=').unwrap_or((part, ""));
        if !volume.contains(':') {
            return Err(format!(
                "format error\ncicustom.{key}: invalid format - unable to parse volume ID '{volume}'\n\n"
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
        "cipassword" if !value.starts_with('$') => hashed(value, dice),
        _ if key.starts_with("net") && !is_disk_key(key) => match parse_net(value) {
            Some(net) => net.text(&net.mac.clone().unwrap_or_else(|| dice.mac())),
            None => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

/// A password as it is kept: with a new salt each time.
fn hashed(password: &str, dice: &mut Dice) -> String {
    let salt = dice.uuid().replace('-', "");
    let salt = salt.get(..8).unwrap_or_default();
    format!(
        "$5${salt}${}",
        hex::encode(Sha256::digest(format!("{salt}{password}")))
    )
}

/// A network card with a new hardware address.
pub fn with_new_mac(value: &str, dice: &mut Dice) -> String {
    let mac = dice.mac();
    parse_net(value).map_or_else(|| value.to_owned(), |net| net.text(&mac))
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

    #[test]
    fn a_card_is_stored_with_its_model_and_address_first() {
        let net = stored(
            "net0",
            "bridge=vmbr0,model=virtio,macaddr=aa:bb:cc:00:00:01",
            &mut Dice::new(1),
        );
        assert_eq!(net, "virtio=aa:bb:cc:00:00:01,bridge=vmbr0");
    }

    #[rstest]
    #[case("svc@pve", true)]
    #[case("svc", false)]
    #[case("@pve", false)]
    #[case("a b@pve", false)]
    fn users_have_a_realm(#[case] text: &str, #[case] good: bool) {
        assert_eq!(is_user_id(text), good);
    }
}
