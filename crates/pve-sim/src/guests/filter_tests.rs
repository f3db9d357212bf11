//! The ruleset of a guest as the operator fences it, and what each option changes in it.

use serde_json::{Value, json};

use super::filter::{Fence, ruleset};
use super::wanted::Mac;
use crate::model::firewall::FirewallFile;

fn file(options: &Value, rules: &Value, own: Option<&[&str]>) -> FirewallFile {
    let sets = match own {
        Some(own) => {
            let addresses: serde_json::Map<String, Value> =
                own.iter().map(|cidr| ((*cidr).to_owned(), json!({}))).collect();
            json!({"ipfilter-net0": {"comment": null, "addresses": addresses}})
        }
        None => json!({}),
    };
    serde_json::from_value(json!({"options": options, "rules": rules, "ipsets": sets, "aliases": {}}))
        .unwrap()
}

fn text(file: &FirewallFile) -> String {
    let mac = Mac::parse("BC:24:11:00:00:01").unwrap();
    ruleset(&[Fence { vmid: 101, mac, file }]).text
}

/// The lines of a chain, without those that the kind of chain is declared with.
fn chain(text: &str, name: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let body = lines
        .skip_while(|line| *line != format!("chain {name} {{"))
        .skip(1);
    body.take_while(|line| *line != "}").map(str::to_owned).collect()
}

#[test]
fn a_fenced_guest_answers_its_gateway_and_the_world_but_no_neighbour() {
    let options = json!({"enable": 1, "policy_in": "DROP", "ipfilter": 1, "macfilter": 1, "ndp": 0});
    let rule =
        |action: &str, source: &str| json!({"type": "in", "enable": 1, "action": action, "source": source});
    let rules = json!([
        rule("ACCEPT", "10.64.0.1"),
        rule("DROP", "10.64.0.0/16"),
        rule("ACCEPT", "0.0.0.0/0")
    ]);
    let text = text(&file(&options, &rules, Some(&["10.64.0.10"])));
    assert_eq!(
        chain(&text, "link-101"),
        [
            "ether saddr != bc:24:11:00:00:01 drop",
            "arp saddr ip != @own-v4-101 drop"
        ]
    );
    assert_eq!(
        chain(&text, "out-101"),
        [
            "udp sport 68 udp dport 67 return",
            "icmpv6 type nd-router-advert drop",
            "ip saddr != @own-v4-101 drop",
            "ip6 saddr != @own-v6-101 drop",
            "return",
        ]
    );
    assert_eq!(
        chain(&text, "in-101"),
        [
            "udp sport 67 udp dport 68 return",
            "ip saddr 10.64.0.1/32 return",
            "ip saddr 10.64.0.0/16 drop",
            "ip saddr 0.0.0.0/0 return",
            "drop",
        ]
    );
    assert_eq!(
        chain(&text, "forward"),
        [
            "type filter hook forward priority 0; policy accept;",
            "iifname vmap { \"tap101i0\" : jump link-101 }",
            "meta protocol != { ip, ip6 } accept",
            "meta mark 1 accept",
            "meta mark 2 drop",
            "iifname vmap { \"tap101i0\" : jump out-101 }",
            "oifname vmap { \"tap101i0\" : jump in-101 }",
        ]
    );
    assert!(text.contains("elements = { 10.64.0.10/32 }"), "{text}");
    assert!(text.contains("elements = { fe80::be24:11ff:fe00:1 }"), "{text}");
}

#[test]
fn without_options_nothing_comes_in_and_only_the_hardware_address_is_held() {
    let text = text(&file(&json!({"enable": 1}), &json!([]), None));
    assert_eq!(
        chain(&text, "link-101"),
        ["ether saddr != bc:24:11:00:00:01 drop"]
    );
    assert_eq!(chain(&text, "in-101").last().unwrap(), "drop");
    assert_eq!(chain(&text, "out-101").last().unwrap(), "return");
    assert!(!text.contains("own-"), "{text}");
}

#[test]
fn address_filters_hold_by_option_or_by_the_set() {
    let by_option = text(&file(&json!({"enable": 1, "ipfilter": 1}), &json!([]), None));
    let by_set = text(&file(&json!({"enable": 1}), &json!([]), Some(&[])));
    assert_eq!(by_option, by_set);
    // No address is listed, so none may be used.
    assert!(
        by_option.contains("set own-v4-101 {\n    type ipv4_addr; flags interval; auto-merge\n  }"),
        "{by_option}"
    );
}

#[test]
fn filters_and_policies_can_be_turned() {
    let options =
        json!({"enable": 1, "macfilter": 0, "policy_in": "ACCEPT", "policy_out": "REJECT", "dhcp": 0});
    let text = text(&file(&options, &json!([]), None));
    assert_eq!(chain(&text, "link-101"), Vec::<String>::new());
    assert_eq!(chain(&text, "in-101").last().unwrap(), "return");
    assert_eq!(chain(&text, "out-101").last().unwrap(), "drop");
    assert!(!text.contains("dport 67"), "{text}");
}

#[test]
fn a_rule_without_counterpart_is_reported_once_and_the_rest_holds() {
    let rules = json!([
        {"type": "in", "enable": 1, "action": "ACCEPT", "macro": "Ceph"},
        {"type": "in", "enable": 1, "action": "ACCEPT", "macro": "SSH"},
    ]);
    let file = file(&json!({"enable": 1}), &rules, None);
    let mac = Mac::parse("BC:24:11:00:00:01").unwrap();
    let found = ruleset(&[Fence {
        vmid: 101,
        mac,
        file: &file,
    }]);
    assert_eq!(found.skipped, ["VM 101, rule 0: the macro Ceph is not simulated"]);
    assert!(chain(&found.text, "in-101").contains(&"tcp dport 22 return".to_owned()));
}

#[test]
fn no_guest_no_rule() {
    let text = ruleset(&[]).text;
    assert_eq!(
        chain(&text, "forward"),
        ["type filter hook forward priority 0; policy accept;"]
    );
}
