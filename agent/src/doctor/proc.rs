//! Facts from `/proc`. Owns its paths and formats; must not judge.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use agent_core::doctor::{Fact, Listener};

const SETTINGS: &str = "/proc/sys";
/// A TCP socket that listens, and a UDP socket without a peer.
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";
/// `127.0.0.0/8` and `::1`, as these files write addresses.
const LOOPBACK4: &str = "7F";
const LOOPBACK6: &str = "00000000000000000000000001000000";

fn read(path: &Path) -> Fact<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A kernel setting, by its path such as `net/ipv4/ip_forward`.
pub fn setting<T: FromStr>(path: &str) -> Fact<T> {
    let text = read(&Path::new(SETTINGS).join(path))?;
    text.trim()
        .parse()
        .map_err(|_| format!("{path} is {:?}", text.trim()))
}

/// `rp_filter` as it holds on a link: the greater of its own and that of all.
pub fn reverse_path(link: Option<&str>) -> Fact<u8> {
    let all: u8 = setting("net/ipv4/conf/all/rp_filter")?;
    match link {
        Some(link) => setting::<u8>(&format!("net/ipv4/conf/{link}/rp_filter")).map(|own| own.max(all)),
        None => Ok(all),
    }
}

/// Whether IPv6 is off on a link.
pub fn ipv6_off(link: Option<&str>) -> Fact<bool> {
    if !Path::new(SETTINGS).join("net/ipv6").is_dir() {
        return Ok(true);
    }
    let link = link.unwrap_or("all");
    setting::<u8>(&format!("net/ipv6/conf/{link}/disable_ipv6")).map(|value| value == 1)
}

/// Ports that the host's own connections take, first and last.
pub fn local_ports() -> Fact<(u16, u16)> {
    let path = "net/ipv4/ip_local_port_range";
    let text = read(&Path::new(SETTINGS).join(path))?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) => Ok((first, last)),
        _ => Err(format!("{path} is {:?}", text.trim())),
    }
}

/// Ranges that they keep off.
pub fn reserved_ports() -> Fact<Vec<(u16, u16)>> {
    let path = "net/ipv4/ip_local_reserved_ports";
    let text = read(&Path::new(SETTINGS).join(path))?;
    let range = |range: &str| -> Option<(u16, u16)> {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    let ranges = text.trim().split(',').filter(|range| !range.is_empty());
    ranges
        .map(range)
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{path} is {:?}", text.trim()))
}

/// Who listens to others than this host, in the network that this thread is in.
pub fn listeners() -> Fact<Vec<Listener>> {
    let mut all = Vec::new();
    for (file, protocol, state) in [
        ("tcp", "tcp", LISTENS),
        ("tcp6", "tcp", LISTENS),
        ("udp", "udp", UNCONNECTED),
        ("udp6", "udp", UNCONNECTED),
    ] {
        let path = Path::new("/proc/thread-self/net").join(file);
        if path.exists() {
            let text = read(&path)?;
            let ports = text.lines().skip(1).filter_map(|line| listener(line, state));
            all.extend(ports.map(|port| Listener { protocol, port }));
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The port of a line `sl local remote state …`, if it is open to others.
fn listener(line: &str, state: &str) -> Option<u16> {
    let mut words = line.split_whitespace().skip(1);
    let (local, remote, found) = (words.next()?, words.next()?, words.next()?);
    let (address, port) = local.split_once(':')?;
    // Addresses are little-endian: their first byte comes last.
    let inward = match address.len() {
        8 => address.ends_with(LOOPBACK4),
        _ => address == LOOPBACK6,
    };
    let idle = remote.split_once(':')?.1 == "0000";
    let port = u16::from_str_radix(port, 16).ok()?;
    (found == state && idle && !inward && port != 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_reach_counts_as_listening() {
        let line = |local: &str, remote: &str, state: &str| {
            listener(
                &format!("   0: {local} {remote} {state} 00000000:00000000 0 0"),
                LISTENS,
            )
        };
        assert_eq!(line("00000000:0016", "00000000:0000", "0A"), Some(22));
        assert_eq!(line("0100007F:0016", "00000000:0000", "0A"), None);
        assert_eq!(line("00000000:0016", "0200000A:1234", "01"), None);
        assert_eq!(
            line("00000000000000000000000000000000:0050", "0:0000", "0A"),
            Some(80)
        );
        assert_eq!(line(&format!("{LOOPBACK6}:0050"), "0:0000", "0A"), None);
        assert_eq!(listener("sl local", LISTENS), None);
    }

    #[test]
    fn this_host_can_be_read() {
        assert!(setting::<u8>("net/ipv4/ip_forward").is_ok());
        assert!(local_ports().is_ok() && reserved_ports().is_ok() && listeners().is_ok());
        assert!(reverse_path(Some("lo")).is_ok() && ipv6_off(Some("lo")).is_ok());
        assert!(setting::<u8>("net/nowhere").unwrap_err().contains("nowhere"));
    }
}
