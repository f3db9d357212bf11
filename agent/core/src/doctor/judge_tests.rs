//! Every check can be well and can be ill, and what is ill says how it is mended.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use rstest::rstest;

use super::super::Listener;
use super::*;
use crate::certificate::Held;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
}

fn healthy() -> Facts {
    Facts {
        now: at(10),
        asked: Some(Asked {
            public: vec![PUBLIC],
            gateway: GATEWAY,
            ports: (20_000, 59_999),
            capacity: 4000,
            wildcard: Some("*.ams1.gw.example.org".into()),
        }),
        absent_programs: vec![],
        nftables: Ok(()),
        forwarding: Ok(true),
        dropping: Ok(vec![]),
        lan: Ok("lan0".parse().unwrap()),
        reverse_path: Ok(1),
        ipv6_off: Ok(true),
        addresses: Ok(vec![GATEWAY, PUBLIC]),
        listeners: Ok(vec![Listener {
            protocol: "tcp",
            port: 22,
        }]),
        local_ports: Ok((32_768, 60_999)),
        reserved_ports: Ok(vec![(20_000, 59_999)]),
        conntrack_max: Ok(262_144),
        caddy: Ok("2.11.7".into()),
        foreign_sites: Ok(vec![]),
        clock_synchronised: Ok(true),
        certificate: Ok(Some(Held {
            names: vec!["*.ams1.gw.example.org".into()],
            not_before: at(0),
            not_after: at(90),
        })),
        hub: Some(HubFacts {
            ahead: Ok(SignedDuration::from_millis(300)),
            token_until: Ok(at(90)),
        }),
    }
}

fn verdicts(facts: &Facts) -> BTreeMap<&'static str, (Verdict, String)> {
    let line = |f: Finding| (f.check.name(), (f.verdict, f.to_string()));
    judge(facts).into_iter().map(line).collect()
}

#[test]
fn a_healthy_host_has_nothing_to_mend() {
    for finding in judge(&healthy()) {
        assert_eq!(finding.verdict, Verdict::Ok, "{finding}");
        assert_eq!(finding.mend, None, "{finding}");
    }
    assert_eq!(judge(&healthy()).len(), 16);
}

type Spoil = fn(&mut Facts);

#[rstest]
#[case("programs", Verdict::Fail, |f: &mut Facts| f.absent_programs = vec![("conntrack", "conntrack")], "apt-get install conntrack")]
#[case("nftables", Verdict::Fail, |f: &mut Facts| f.nftables = Err("Operation not supported".into()), "modprobe")]
#[case("forwarding", Verdict::Fail, |f: &mut Facts| f.forwarding = Ok(false), "net.ipv4.ip_forward=1")]
#[case("forwarding", Verdict::Fail, |f: &mut Facts| f.forwarding = Err("no /proc".into()), "root")]
#[case("foreign rules", Verdict::Warn, |f: &mut Facts| f.dropping = Ok(vec!["inet filter forward".into()]), "chain inet filter forward")]
#[case("rp_filter", Verdict::Warn, |f: &mut Facts| f.reverse_path = Ok(0), "net.ipv4.conf.lan0.rp_filter=1")]
#[case("ipv6", Verdict::Fail, |f: &mut Facts| f.ipv6_off = Ok(false), "net.ipv6.conf.lan0.disable_ipv6=1")]
#[case("lan", Verdict::Fail, |f: &mut Facts| f.lan = Err("no link has it".into()), "ip address add 10.64.0.1/")]
#[case("public address", Verdict::Fail, |f: &mut Facts| f.addresses = Ok(vec![GATEWAY]), "spec.publicIPs")]
#[case("ports", Verdict::Warn, |f: &mut Facts| f.listeners = Ok(vec![Listener { protocol: "tcp", port: 20_000 }]), "sport = :20000")]
#[case("local ports", Verdict::Warn, |f: &mut Facts| f.reserved_ports = Ok(vec![]), "ip_local_reserved_ports=20000-59999")]
#[case("conntrack", Verdict::Warn, |f: &mut Facts| f.conntrack_max = Ok(65_536), "nf_conntrack_max=256000")]
#[case("caddy", Verdict::Fail, |f: &mut Facts| f.caddy = Err("no such program".into()), "apt-get install caddy")]
#[case("caddy", Verdict::Fail, |f: &mut Facts| f.caddy = Ok("v2.6.2".into()), "2.11")]
#[case("caddy", Verdict::Fail, |f: &mut Facts| f.foreign_sites = Err("refused".into()), "caddy-api")]
#[case("caddy", Verdict::Fail, |f: &mut Facts| f.foreign_sites = Ok(vec!["srv0".into()]), "disable --now caddy")]
#[case("clock", Verdict::Warn, |f: &mut Facts| f.hub.as_mut().unwrap().ahead = Ok(SignedDuration::from_secs(-9)), "timesyncd")]
#[case("clock", Verdict::Fail, |f: &mut Facts| f.hub.as_mut().unwrap().ahead = Ok(SignedDuration::from_mins(10)), "timesyncd")]
#[case("certificate", Verdict::Warn, |f: &mut Facts| f.certificate = Ok(None), "systemctl start")]
#[case("certificate", Verdict::Warn, |f: &mut Facts| f.now = at(70), "journalctl")]
#[case("certificate", Verdict::Fail, |f: &mut Facts| f.now = at(91), "journalctl")]
#[case("certificate", Verdict::Warn, |f: &mut Facts| f.asked.as_mut().unwrap().wildcard = Some("*.x.org".into()), "restart")]
#[case("hub", Verdict::Fail, |f: &mut Facts| f.hub = None, "enrol")]
#[case("hub", Verdict::Warn, |f: &mut Facts| f.hub.as_mut().unwrap().ahead = Err("refused".into()), "journalctl")]
#[case("token", Verdict::Fail, |f: &mut Facts| f.hub.as_mut().unwrap().token_until = Err("no file".into()), "enrol")]
#[case("token", Verdict::Warn, |f: &mut Facts| f.hub.as_mut().unwrap().token_until = Ok(at(20)), "journalctl")]
#[case("token", Verdict::Fail, |f: &mut Facts| f.hub.as_mut().unwrap().token_until = Ok(at(9)), "enrol")]
fn what_is_ill_is_named_with_what_mends_it(
    #[case] check: &str,
    #[case] verdict: Verdict,
    #[case] spoil: Spoil,
    #[case] mend: &str,
) {
    let mut facts = healthy();
    spoil(&mut facts);
    let (found, line) = &verdicts(&facts)[check];
    assert_eq!(*found, verdict, "{line}");
    assert!(line.contains('→') && line.contains(mend), "{line}");
}

#[test]
fn ports_apart_from_the_hosts_own_need_no_reservation() {
    let mut facts = healthy();
    facts.reserved_ports = Ok(vec![]);
    facts.local_ports = Ok((60_000, 65_535));
    assert_eq!(verdicts(&facts)["local ports"].0, Verdict::Ok);
}

#[test]
fn without_a_site_what_depends_on_one_is_left_out() {
    let facts = Facts {
        asked: None,
        ..healthy()
    };
    let found = verdicts(&facts);
    assert!(!found.contains_key("ports") && found.contains_key("nftables"));
}
