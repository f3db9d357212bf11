//! The judgement, one function a check.

use jiff::SignedDuration;

use super::{Asked, Check, Fact, Facts, Finding, HubFacts, Verdict};

/// Connections that a machine brings on average, for the size of the kernel's table.
const CONNECTIONS_PER_SLOT: u64 = 64;
const LEAST_CONNECTIONS: u64 = 65_536;
/// Newer features of the web server are not needed, older lack dynamic upstreams as used here.
const CADDY: (u32, u32) = (2, 11);
const CLOCK_WARN: SignedDuration = SignedDuration::from_secs(5);
const CLOCK_FAIL: SignedDuration = SignedDuration::from_mins(5);
/// A token is renewed daily; one that has less left was not.
const TOKEN_WARN: SignedDuration = SignedDuration::from_hours(24 * 30);

/// All findings, in the order of the checks. Without a site, what depends on one is left out.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![
        programs(facts),
        nftables(facts),
        forwarding(facts),
        foreign_rules(facts),
    ];
    findings.extend([reverse_path(facts), ipv6(facts)]);
    if let Some(asked) = &facts.asked {
        findings.extend([
            lan(facts, asked),
            public_address(facts, asked),
            ports(facts, asked),
            local_ports(facts, asked),
            conntrack(facts, asked),
        ]);
    }
    findings.extend([caddy(facts), clock(facts)]);
    if let Some(asked) = &facts.asked {
        findings.extend(certificate(facts, asked));
    }
    match &facts.hub {
        Some(hub_facts) => findings.extend([hub(hub_facts), token(facts, hub_facts)]),
        None => findings.push(fail(
            Check::Hub,
            "this host is not enrolled".to_owned(),
            "decent-agent enrol --help",
        )),
    }
    findings
}

fn ok(check: Check, says: impl Into<String>) -> Finding {
    Finding {
        check,
        verdict: Verdict::Ok,
        says: says.into(),
        mend: None,
    }
}

fn warn(check: Check, says: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding {
        check,
        verdict: Verdict::Warn,
        says: says.into(),
        mend: Some(mend.into()),
    }
}

fn fail(check: Check, says: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding {
        verdict: Verdict::Fail,
        ..warn(check, says, mend)
    }
}

/// What could not be learnt is a failure: nobody can say that it is well.
fn known<T>(check: Check, fact: &Fact<T>, then: impl FnOnce(&T) -> Finding) -> Finding {
    match fact {
        Ok(value) => then(value),
        Err(why) => fail(check, format!("could not be checked: {why}"), "run this as root"),
    }
}

fn sysctl(check: Check, says: String, key: &str, value: &str) -> Finding {
    fail(
        check,
        says,
        format!("decent-agent install   # or: sysctl -w {key}={value}"),
    )
}

fn programs(facts: &Facts) -> Finding {
    if facts.absent_programs.is_empty() {
        return ok(Check::Programs, "all programs are there");
    }
    let (names, packages): (Vec<&str>, Vec<&str>) = facts.absent_programs.iter().copied().unzip();
    let says = format!("absent: {}", names.join(", "));
    fail(
        Check::Programs,
        says,
        format!("apt-get install {}", packages.join(" ")),
    )
}

fn nftables(facts: &Facts) -> Finding {
    match &facts.nftables {
        Ok(()) => ok(Check::Nftables, "the kernel takes the agent's table"),
        Err(why) => fail(
            Check::Nftables,
            format!("the kernel does not take the agent's table: {why}"),
            "modprobe -a nf_tables nft_chain_nat nft_masq nft_reject_ipv4 nft_connlimit nft_limit nft_ct",
        ),
    }
}

fn forwarding(facts: &Facts) -> Finding {
    known(Check::Forwarding, &facts.forwarding, |on| match on {
        true => ok(Check::Forwarding, "packets are forwarded"),
        false => sysctl(
            Check::Forwarding,
            "packets are not forwarded".into(),
            "net.ipv4.ip_forward",
            "1",
        ),
    })
}

fn foreign_rules(facts: &Facts) -> Finding {
    known(Check::ForeignRules, &facts.dropping, |chains| {
        match chains.first() {
            None => ok(Check::ForeignRules, "nobody else's rules drop what is forwarded"),
            Some(chain) => warn(
                Check::ForeignRules,
                format!(
                    "what is forwarded is dropped by {}, unless it has rules that accept",
                    chains.join(", ")
                ),
                format!(
                    "nft 'chain {chain} {{ policy accept; }}'   # or let it accept what goes to and from the machines"
                ),
            ),
        }
    })
}

fn reverse_path(facts: &Facts) -> Finding {
    known(Check::ReversePath, &facts.reverse_path, |value| match value {
        1 | 2 => ok(
            Check::ReversePath,
            "source addresses are checked on the machines' link",
        ),
        _ => {
            let key = lan_key(facts, "ipv4", "rp_filter");
            let says = "source addresses are not checked on the machines' link".to_owned();
            warn(
                Check::ReversePath,
                says,
                format!("decent-agent install   # or: sysctl -w {key}=1"),
            )
        }
    })
}

fn ipv6(facts: &Facts) -> Finding {
    known(Check::Ipv6, &facts.ipv6_off, |off| match off {
        true => ok(Check::Ipv6, "IPv6 is off on the machines' link"),
        false => {
            let says = "machines reach this host's services by IPv6, where the agent's table does not hold";
            sysctl(
                Check::Ipv6,
                says.into(),
                &lan_key(facts, "ipv6", "disable_ipv6"),
                "1",
            )
        }
    })
}

fn lan_key(facts: &Facts, family: &str, name: &str) -> String {
    let link = facts.lan.as_ref().map_or("LINK", |link| link.as_str());
    format!("net.{family}.conf.{}.{name}", link.replace('.', "/"))
}

fn lan(facts: &Facts, asked: &Asked) -> Finding {
    let gateway = asked.gateway;
    match &facts.lan {
        Ok(link) => ok(Check::Lan, format!("{link} has {gateway}")),
        Err(why) => {
            let says = format!("no link to the machines: {why}");
            fail(
                Check::Lan,
                says,
                format!(
                    "ip address add {gateway}/PREFIX dev LINK   # and the same in the host's own network settings"
                ),
            )
        }
    }
}

fn public_address(facts: &Facts, asked: &Asked) -> Finding {
    known(Check::PublicAddress, &facts.addresses, |own| {
        let absent: Vec<String> = asked
            .public
            .iter()
            .filter(|address| !own.contains(address))
            .map(ToString::to_string)
            .collect();
        if absent.is_empty() {
            return ok(Check::PublicAddress, "the public addresses are this host's");
        }
        let says = format!("{} is not this host's", absent.join(", "));
        let mend = "add it to the host's network settings, or correct spec.publicIPs of the Gateway";
        fail(Check::PublicAddress, says, mend)
    })
}

fn ports(facts: &Facts, asked: &Asked) -> Finding {
    let (first, last) = asked.ports;
    known(Check::Ports, &facts.listeners, |listeners| {
        let inside = listeners
            .iter()
            .filter(|listener| (first..=last).contains(&listener.port));
        let taken: Vec<String> = inside.map(|l| format!("{}/{}", l.port, l.protocol)).collect();
        match taken.first() {
            None => ok(Check::Ports, format!("nobody listens on {first}–{last}")),
            Some(port) => warn(
                Check::Ports,
                format!(
                    "a program listens on {}: a machine's port would hide it",
                    taken.join(", ")
                ),
                format!(
                    "ss -Hlnp 'sport = :{}'   # and move that program",
                    port.split('/').next().unwrap_or_default()
                ),
            ),
        }
    })
}

fn local_ports(facts: &Facts, asked: &Asked) -> Finding {
    let (first, last) = asked.ports;
    known(Check::LocalPorts, &facts.local_ports, |(low, high)| {
        let reserved = facts.reserved_ports.as_deref().unwrap_or_default();
        let apart = *high < first || *low > last;
        if apart || reserved.iter().any(|(from, to)| *from <= first && *to >= last) {
            return ok(
                Check::LocalPorts,
                "the host's own connections keep off the machines' ports",
            );
        }
        let says = format!("the host's own connections take ports {low}–{high}, also those of machines");
        let mend =
            format!("decent-agent install   # or: sysctl -w net.ipv4.ip_local_reserved_ports={first}-{last}");
        warn(Check::LocalPorts, says, mend)
    })
}

fn conntrack(facts: &Facts, asked: &Asked) -> Finding {
    let need = (u64::from(asked.capacity) * CONNECTIONS_PER_SLOT).max(LEAST_CONNECTIONS);
    known(Check::Conntrack, &facts.conntrack_max, |max| {
        if *max >= need {
            return ok(Check::Conntrack, format!("room for {max} connections"));
        }
        let says = format!("room for {max} connections, {} slots need {need}", asked.capacity);
        let mend = format!("decent-agent install   # or: sysctl -w net.netfilter.nf_conntrack_max={need}");
        warn(Check::Conntrack, says, mend)
    })
}

fn caddy(facts: &Facts) -> Finding {
    let start = "systemctl enable --now caddy-api";
    let version = match &facts.caddy {
        Ok(version) => version,
        Err(why) => {
            return fail(
                Check::Caddy,
                format!("no web server: {why}"),
                "apt-get install caddy",
            );
        }
    };
    if !is_new_enough(version) {
        let says = format!("Caddy {version} is too old, 2.11 is needed");
        return fail(Check::Caddy, says, "install Caddy 2.11 from its own packages");
    }
    match &facts.foreign_sites {
        Err(why) => fail(
            Check::Caddy,
            format!("its admin API does not answer: {why}"),
            start,
        ),
        Ok(sites) if sites.is_empty() => ok(Check::Caddy, format!("Caddy {version} answers")),
        Ok(sites) => fail(
            Check::Caddy,
            format!(
                "it serves sites that are none of the agent's ({}), which it would lose",
                sites.join(", ")
            ),
            format!("systemctl disable --now caddy; {start}"),
        ),
    }
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= CADDY,
        _ => false,
    }
}

fn clock(facts: &Facts) -> Finding {
    let mend = "systemctl enable --now systemd-timesyncd";
    let ahead = facts.hub.as_ref().and_then(|hub| hub.ahead.as_ref().ok());
    if let Some(ahead) = ahead.filter(|ahead| ahead.abs() > CLOCK_WARN) {
        let says = format!("the clock differs from the hub's by {} s", ahead.abs().as_secs());
        return if ahead.abs() > CLOCK_FAIL {
            fail(Check::Clock, says, mend)
        } else {
            warn(Check::Clock, says, mend)
        };
    }
    match (&facts.clock_synchronised, ahead) {
        (Ok(true), _) | (_, Some(_)) => ok(Check::Clock, "the clock is right"),
        _ => warn(Check::Clock, "nothing keeps the clock right", mend),
    }
}

fn certificate(facts: &Facts, asked: &Asked) -> Option<Finding> {
    let name = asked.wildcard.as_ref()?;
    let log = "journalctl -u decent-agent   # says why it was not renewed";
    Some(known(Check::Certificate, &facts.certificate, |held| match held {
        None => warn(
            Check::Certificate,
            "there is no certificate yet",
            "systemctl start decent-agent",
        ),
        Some(held) if !held.names.contains(name) => {
            let says = format!("the certificate is for {}, not for {name}", held.names.join(", "));
            warn(Check::Certificate, says, "systemctl restart decent-agent")
        }
        Some(held) if facts.now >= held.not_after => fail(
            Check::Certificate,
            format!("the certificate ended at {}", held.not_after),
            log,
        ),
        Some(held) => {
            let life = held.not_after.duration_since(held.not_before);
            let left = held.not_after.duration_since(facts.now);
            let says = format!("the certificate for {name} ends at {}", held.not_after);
            // It should have been renewed at a third.
            if left < life / 4 {
                warn(Check::Certificate, says, log)
            } else {
                ok(Check::Certificate, says)
            }
        }
    }))
}

fn hub(hub: &HubFacts) -> Finding {
    match &hub.ahead {
        Ok(_) => ok(Check::Hub, "the hub answers"),
        Err(why) => warn(
            Check::Hub,
            format!("the hub does not answer: {why}; routes stay as they are"),
            "journalctl -u decent-agent",
        ),
    }
}

fn token(facts: &Facts, hub: &HubFacts) -> Finding {
    let again = "decent-agent enrol --help   # enrol this host again";
    match &hub.token_until {
        Err(why) => fail(Check::Token, format!("no usable token: {why}"), again),
        Ok(until) if *until <= facts.now => fail(Check::Token, format!("the token ended at {until}"), again),
        Ok(until) if until.duration_since(facts.now) < TOKEN_WARN => {
            let says = format!("the token ends at {until} and was not renewed");
            warn(Check::Token, says, "journalctl -u decent-agent")
        }
        Ok(until) => ok(Check::Token, format!("the token is valid until {until}")),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
