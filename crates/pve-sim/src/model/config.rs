//! A guest's configuration file: keys, text, digest and what GET shows of it. Decides no permission.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha1::{Digest as _, Sha1};

use super::values::parse_net;

/// Keys that read back as numbers.
const NUMBERS: &[&str] = &[
    "acpi",
    "autostart",
    "balloon",
    "cores",
    "cpuunits",
    "freeze",
    "keephugepages",
    "kvm",
    "localtime",
    "migrate_downtime",
    "migrate_speed",
    "numa",
    "onboot",
    "protection",
    "reboot",
    "shares",
    "sockets",
    "tablet",
    "tdf",
    "template",
    "vcpus",
    "ciupgrade",
];

/// Characters that a comment line of the file encodes.
const COMMENT: &AsciiSet = &CONTROLS.add(b'%').add(b':');

/// The keys and values of one guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmConfig {
    values: BTreeMap<String, String>,
}

impl VmConfig {
    /// A configuration of these keys.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self {
            values: pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Its network cards: index and address in small letters.
    pub fn cards(&self) -> impl Iterator<Item = (&str, String)> {
        self.values.iter().filter_map(|(key, value)| {
            let index = key.strip_prefix("net")?;
            index.parse::<u8>().ok()?;
            let mac = parse_net(value).and_then(|net| net.mac).unwrap_or_default();
            Some((index, mac.to_lowercase()))
        })
    }

    /// Sets a key.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.values.insert(key.to_owned(), value.into());
    }

    /// Removes a key and says what it held.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.values.remove(key)
    }

    /// All keys with their values, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A number, or the default where it is unset or odd.
    pub fn number(&self, key: &str, default: u64) -> u64 {
        self.get(key)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    }

    /// Whether a boolean key is on.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key) == Some("1")
    }

    /// Whether this is a template.
    pub fn template(&self) -> bool {
        self.flag("template")
    }

    /// The lock, if one is set.
    pub fn lock(&self) -> Option<&str> {
        self.get("lock")
    }

    /// Memory in bytes.
    pub fn memory(&self) -> u64 {
        let memory = self
            .get("memory")
            .map(|memory| memory.strip_prefix("current=").unwrap_or(memory));
        memory
            .and_then(|memory| memory.parse().ok())
            .unwrap_or(512_u64)
            .saturating_mul(1 << 20)
    }

    /// Processors.
    pub fn cpus(&self) -> u64 {
        self.number("cores", 1).saturating_mul(self.number("sockets", 1))
    }

    /// The disks with their keys, without CD drives.
    pub fn disks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter()
            .filter(|(key, value)| is_disk_key(key) && !value.contains("media=cdrom"))
    }

    /// The size of the boot disk in bytes.
    pub fn disk_size(&self) -> u64 {
        let boot = self
            .get("boot")
            .and_then(|boot| boot.strip_prefix("order="))
            .and_then(|order| order.split(';').next());
        let boot = boot
            .and_then(|key| self.get(key))
            .filter(|value| !value.contains("media=cdrom"));
        boot.or_else(|| self.disks().next().map(|(_, value)| value))
            .and_then(size_of)
            .unwrap_or(0)
    }

    /// The file's text: the description as comment lines, then the keys.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(512);
        if let Some(description) = self.get("description") {
            for line in description.split('\n') {
                let _ = writeln!(text, "#{}", utf8_percent_encode(line, COMMENT));
            }
        }
        for (key, value) in self.iter().filter(|(key, _)| *key != "description") {
            let _ = writeln!(text, "{key}: {value}");
        }
        text
    }

    /// The digest of the text, with the changes that wait for a restart and what else stands in the file.
    pub fn digest(&self, pending: &Pending, more: &str) -> String {
        let mut text = self.text();
        if !pending.is_empty() {
            text.push_str("\n[PENDING]\n");
            for (key, value) in pending {
                let _ = match value {
                    Some(value) => writeln!(text, "{key}: {value}"),
                    None => writeln!(text, "delete: {key}"),
                };
            }
        }
        text.push_str(more);
        hex::encode(Sha1::digest(text.as_bytes()))
    }

    /// What GET config shows, without the digest.
    pub fn shown(&self) -> Map<String, Value> {
        self.iter()
            .map(|(key, value)| (key.to_owned(), shown_value(key, value)))
            .collect()
    }
}

/// Changes of a running guest that wait for its next start; `None` deletes.
pub type Pending = BTreeMap<String, Option<String>>;

/// A value with the type in which it reads back.
pub fn shown_value(key: &str, value: &str) -> Value {
    if key == "cipassword" {
        return Value::from("**********");
    }
    match value.parse::<i64>() {
        Ok(number) if NUMBERS.contains(&key) => Value::from(number),
        _ => Value::from(value),
    }
}

/// Whether a key names a disk or CD drive.
pub fn is_disk_key(key: &str) -> bool {
    let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
    name != key && matches!(name, "ide" | "scsi" | "virtio" | "sata" | "efidisk" | "tpmstate")
}

/// The size that a drive's value states, in bytes.
pub fn size_of(drive: &str) -> Option<u64> {
    drive
        .split(',')
        .find_map(|part| part.strip_prefix("size="))
        .and_then(parse_size)
}

/// A size such as 2G, 1026M or 17466K in bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    match digits.split_once('.') {
        None => digits.parse::<u64>().ok()?.checked_mul(unit),
        Some((whole, part)) => {
            let part = part.get(..part.len().min(9)).unwrap_or(part);
            let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
            let fraction = u128::from(part.parse::<u64>().ok()?) * u128::from(unit) / u128::from(scale);
            whole
                .parse::<u64>()
                .ok()?
                .checked_mul(unit)?
                .checked_add(u64::try_from(fraction).ok()?)
        }
    }
}

/// A size with the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    let units = [("T", 1_u64 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];
    let unit = units
        .iter()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(
        || bytes.to_string(),
        |(name, size)| format!("{}{name}", bytes / size),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_a_clone_target_is_the_recorded_one() {
        let config = VmConfig::of([("description", " qmclone temporary file"), ("lock", "clone")]);
        assert_eq!(
            config.digest(&Pending::new(), ""),
            "eb54fb9d9f120ba0c3bdf694f73b10002c375c38"
        );
    }

    #[test]
    fn sizes_keep_the_largest_exact_unit() {
        assert_eq!(format_size(2 << 30), "2G");
        assert_eq!(format_size(1026 << 20), "1026M");
        assert_eq!(format_size(17466 << 10), "17466K");
        assert_eq!(parse_size("1.5G"), Some(3 << 29));
        assert_eq!(parse_size("big"), None);
    }
}
