//! The fixed part of the table: sets, maps, counters and chains, which no slot changes.
//!
//! A chain without rules carries the hash of the part's text in its name, and each rule its place as a comment: so
//! whether a table that is there is this very one can be told without comparing texts, which nft writes differently
//! from version to version.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{Ground, Limits, Refused, TABLE};

/// The marker's name before the hash.
pub(super) const MARK: &str = "fixed_";
/// For how long a source that was limited is remembered.
const REMEMBER: &str = "10m";
/// Destinations that are nobody's on the internet.
const CLOSED: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
];

/// The fixed part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The declaration of the table, in nft's language.
    pub text: String,
    /// Name of the chain that marks it.
    pub mark: String,
    /// Every rule as (chain, comment), in order within each chain; chains by name.
    pub rules: Vec<(String, String)>,
}

struct Chain {
    name: &'static str,
    hook: &'static str,
    rules: Vec<String>,
}

/// The fixed part for this ground.
#[must_use]
pub fn fixed(ground: &Ground) -> Fixed {
    let chains = chains(ground);
    let mut body = String::new();
    declare(&mut body, ground);
    let mut rules = Vec::new();
    for Chain {
        name,
        hook,
        rules: lines,
    } in &chains
    {
        let _ = writeln!(body, "  chain {name} {{\n    {hook}");
        for (place, line) in lines.iter().enumerate() {
            let _ = writeln!(body, "    {line} comment \"{place}\"");
            rules.push(((*name).to_owned(), place.to_string()));
        }
        body.push_str("  }\n");
    }
    rules.sort_by(|a, b| a.0.cmp(&b.0));
    let hash = hex::encode(Sha256::digest(&body));
    let mark = format!("{MARK}{}", hash.get(..16).unwrap_or_default());
    Fixed {
        text: format!("table ip {TABLE} {{\n{body}  chain {mark} {{ }}\n}}\n"),
        mark,
        rules,
    }
}

fn declare(text: &mut String, ground: &Ground) {
    for refused in Refused::ALL {
        let _ = writeln!(text, "  counter refused_{} {{ }}", refused.name());
    }
    let mut set = |name: &str, body: &str| {
        let _ = writeln!(text, "  set {name} {{ type ipv4_addr; {body} }}");
    };
    let closed = CLOSED.iter().map(ToString::to_string);
    let closed: Vec<String> = closed.chain(ground.own.iter().map(ToString::to_string)).collect();
    set("public", &elements(&ground.public));
    set("resolvers", &elements(&ground.resolvers));
    set(
        "closed",
        &format!("flags interval; auto-merge; {}", elements(&closed)),
    );
    // Addresses of machines that have a route; what passes by them is counted.
    set("sent", "counter;");
    set("received", "counter;");
    for direction in ["in", "out"] {
        set(&format!("connections_{direction}"), "size 65536; flags dynamic;");
    }
    set(
        "ssh_sources",
        &format!("size 65536; flags dynamic,timeout; timeout {REMEMBER};"),
    );
    set(
        "limited",
        &format!("size 4096; flags dynamic,timeout; timeout {REMEMBER}; counter;"),
    );
    for protocol in ["tcp", "udp"] {
        let _ = writeln!(
            text,
            "  map {protocol}_fwd {{ type inet_service : ipv4_addr . inet_service; }}"
        );
    }
}

fn elements<T: ToString>(values: &[T]) -> String {
    if values.is_empty() {
        return String::new();
    }
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("elements = {{ {} }};", values.join(", "))
}

/// A refusal is counted and answered, never silent.
fn refuse(why: Refused) -> String {
    format!("counter name refused_{} goto refuse", why.name())
}

fn chains(ground: &Ground) -> Vec<Chain> {
    let chain = |name, hook, rules| Chain { name, hook, rules };
    let Ground {
        network,
        lan,
        slots: (first, last),
        ..
    } = ground;
    vec![
        chain(
            "refuse",
            "",
            vec![
                "meta l4proto tcp reject with tcp reset".to_owned(),
                "reject with icmp type admin-prohibited".to_owned(),
            ],
        ),
        chain("from_vm", "", from_vm(ground)),
        chain("mapped", "", mapped(ground)),
        chain("to_vm", "", to_vm()),
        chain("to_host", "", to_host(ground)),
        chain(
            "prerouting",
            "type nat hook prerouting priority -100; policy accept;",
            ["tcp", "udp"]
                .map(|p| format!("ip daddr @public dnat ip to {p} dport map @{p}_fwd"))
                .to_vec(),
        ),
        chain(
            "postrouting",
            "type nat hook postrouting priority 100; policy accept;",
            vec![format!("ip saddr {network} oifname != \"{lan}\" masquerade")],
        ),
        chain(
            "forward",
            "type filter hook forward priority 0; policy accept;",
            vec![
                format!("iifname \"{lan}\" goto from_vm"),
                format!("oifname \"{lan}\" goto to_vm"),
            ],
        ),
        chain(
            "input",
            "type filter hook input priority 0; policy accept;",
            vec![format!("iifname \"{lan}\" goto to_host")],
        ),
        chain(
            "output",
            "type filter hook output priority 0; policy accept;",
            vec![
                // Counts what the web server passes on.
                "ip daddr @received accept".to_owned(),
                format!("ip daddr {first}-{last} {}", refuse(Refused::Routeless)),
            ],
        ),
    ]
}

/// What machines send out. A positive match of `@sent` counts; a negated one does not.
fn from_vm(ground: &Ground) -> Vec<String> {
    let (lan, Limits { connections, .. }) = (&ground.lan, ground.limits);
    vec![
        format!("oifname \"{lan}\" {}", refuse(Refused::Neighbour)),
        format!("ip saddr != @sent {}", refuse(Refused::Routeless)),
        "ct state established,related ip saddr @sent accept".to_owned(),
        "ct state invalid drop".to_owned(),
        "ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 ip saddr @sent accept".to_owned(),
        format!("ip daddr @closed {}", refuse(Refused::Private)),
        format!("tcp dport 25 {}", refuse(Refused::Mail)),
        format!(
            "add @connections_out {{ ip saddr ct count over {connections} }} {}",
            refuse(Refused::Connections)
        ),
        "ip saddr @sent accept".to_owned(),
    ]
}

/// What comes to machines.
fn to_vm() -> Vec<String> {
    vec![
        format!("ip daddr != @received {}", refuse(Refused::Routeless)),
        "ct state established,related ip daddr @received accept".to_owned(),
        "ct state invalid drop".to_owned(),
        "ct status dnat goto mapped".to_owned(),
        refuse(Refused::Unmapped),
    ]
}

/// New connections by a forwarded port. Port 22 of a machine is forwarded from its SSH port alone.
fn mapped(ground: &Ground) -> Vec<String> {
    let Limits {
        connections,
        ssh_per_minute,
        ssh_burst,
    } = ground.limits;
    vec![
        format!(
            "tcp dport 22 ip saddr != {} add @ssh_sources {{ ip saddr limit rate over {ssh_per_minute}/minute burst \
             {ssh_burst} packets }} update @limited {{ ip saddr }} {}",
            ground.probe,
            refuse(Refused::Ssh)
        ),
        format!(
            "add @connections_in {{ ip daddr ct count over {connections} }} {}",
            refuse(Refused::Connections)
        ),
        "ip daddr @received accept".to_owned(),
    ]
}

/// What the host itself is asked by machines. Neighbours that are no machines may answer what the host asks them.
fn to_host(ground: &Ground) -> Vec<String> {
    let Ground {
        slots: (first, last),
        gateway,
        ..
    } = ground;
    let mut rules = Vec::new();
    if ground.offers_dhcp {
        rules.push("udp sport 68 udp dport 67 accept".to_owned());
    }
    rules.extend([
        format!(
            "ip saddr {first}-{last} ip saddr != @sent {}",
            refuse(Refused::Routeless)
        ),
        "ct state established,related ip saddr @sent accept".to_owned(),
        "ct state established,related accept".to_owned(),
        "ct state invalid drop".to_owned(),
    ]);
    if ground.resolvers.contains(gateway) {
        rules.push(format!(
            "ip daddr {gateway} meta l4proto {{ tcp, udp }} th dport 53 accept"
        ));
    }
    rules.extend([
        "icmp type echo-request limit rate 50/second burst 50 packets accept".to_owned(),
        refuse(Refused::Service),
    ]);
    rules
}

#[cfg(test)]
mod tests {
    use super::super::takeover::samples::ground;
    use super::*;

    fn chain(text: &str, name: &str) -> String {
        let start = text.find(&format!("chain {name} {{")).unwrap();
        text[start..].split("  }\n").next().unwrap().to_owned()
    }

    #[test]
    fn the_same_ground_has_the_same_mark_and_any_other_another() {
        let base = fixed(&ground());
        assert_eq!(base, fixed(&ground()));
        let changes: [fn(&mut Ground); 6] = [
            |g| g.public.push([192, 0, 2, 1].into()),
            |g| g.lan = "lan1".parse().unwrap(),
            |g| g.own.clear(),
            |g| g.offers_dhcp = true,
            |g| g.resolvers = vec![g.gateway],
            |g| g.limits.ssh_burst += 1,
        ];
        for change in changes {
            let mut other = ground();
            change(&mut other);
            assert_ne!(fixed(&other).mark, base.mark);
        }
    }

    #[test]
    fn dns_and_dhcp_are_open_only_if_offered() {
        let closed = chain(&fixed(&ground()).text, "to_host");
        assert!(
            !closed.contains("dport 53") && !closed.contains("dport 67"),
            "{closed}"
        );
        let mut offering = ground();
        offering.offers_dhcp = true;
        offering.resolvers = vec![offering.gateway];
        let open = chain(&fixed(&offering).text, "to_host");
        assert!(open.contains("dport 53") && open.contains("dport 67"), "{open}");
    }

    #[test]
    fn what_is_forwarded_was_sent_to_a_public_address() {
        let text = fixed(&ground()).text;
        for line in text.lines().filter(|line| line.contains("dnat ip to")) {
            assert!(line.trim_start().starts_with("ip daddr @public "), "{line}");
        }
        assert!(chain(&text, "from_vm").contains("ip daddr @closed"));
        assert!(
            text.contains("203.0.113.0/24"),
            "the host's own network is closed"
        );
    }

    #[test]
    fn every_refusal_is_counted() {
        let text = fixed(&ground()).text;
        for refused in Refused::ALL {
            let uses = text
                .matches(&format!("counter name refused_{} ", refused.name()))
                .count();
            assert!(uses > 0, "{refused:?}");
        }
        let unannounced = text
            .lines()
            .filter(|line| line.contains("goto refuse") && !line.contains("counter name"));
        assert_eq!(unannounced.count(), 0);
    }
}
