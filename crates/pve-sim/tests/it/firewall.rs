//! Firewalls of guests and of the datacenter.

use serde_json::{Value, json};

use crate::rig::Rig;

const FW: &str = "/nodes/pve1/qemu/200/firewall";

async fn rig() -> Rig {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    rig
}

impl Rig {
    async fn fw(&self, method: &str, path: &str, params: &[(&str, &str)]) -> crate::rig::Got {
        self.call(method, &format!("{FW}{path}"), params).await
    }
}

#[tokio::test]
async fn options_show_what_is_set_and_refuse_a_stale_digest() {
    let rig = rig().await;
    rig.fw(
        "PUT",
        "/options",
        &[("enable", "1"), ("policy_in", "DROP"), ("ipfilter", "1")],
    )
    .await
    .data();
    let options = rig.fw("GET", "/options", &[]).await.data();
    let shown = json!({"enable": 1, "policy_in": "DROP", "ipfilter": 1, "digest": "cf0c74d651f2314ef799568eaa32dcc6542f4e07"});
    assert_eq!(options, shown);
    let stale = [
        ("policy_in", "REJECT"),
        ("digest", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ];
    let text = "detected modified configuration - file changed by other user? Try again.";
    assert_eq!(rig.fw("PUT", "/options", &stale).await.line(), (500, text));
    rig.fw("PUT", "/options", &[("delete", "dhcp,enable")])
        .await
        .data();
    assert!(
        rig.fw("GET", "/options", &[])
            .await
            .data()
            .get("enable")
            .is_none()
    );
    assert_eq!(
        rig.fw("PUT", "/options", &[("delete", "nope")]).await.body["errors"]["delete"],
        "no such option 'nope'"
    );
}

#[tokio::test]
async fn a_new_rule_goes_to_the_top_and_is_off() {
    let rig = rig().await;
    rig.fw(
        "POST",
        "/rules",
        &[
            ("type", "in"),
            ("action", "DROP"),
            ("enable", "1"),
            ("source", "10.77.0.0/24"),
        ],
    )
    .await
    .data();
    rig.fw(
        "POST",
        "/rules",
        &[
            ("type", "out"),
            ("action", "ACCEPT"),
            ("pos", "1"),
            ("digest", "stale"),
            ("comment", "a\nb"),
        ],
    )
    .await
    .data();
    let rules = rig.fw("GET", "/rules", &[]).await.data();
    let facts = |rule: &Value| {
        (
            rule["pos"].clone(),
            rule["action"].clone(),
            rule["enable"].clone(),
        )
    };
    assert_eq!(facts(&rules[0]), (json!(0), json!("ACCEPT"), json!(0)));
    assert_eq!(facts(&rules[1]), (json!(1), json!("DROP"), json!(1)));
    assert_eq!(rules[0]["comment"], "a");
    assert_eq!(rules[1]["ipversion"], 4);
}

#[tokio::test]
async fn a_rule_is_changed_moved_and_removed_by_its_position() {
    let rig = rig().await;
    for action in ["DROP", "ACCEPT"] {
        rig.fw("POST", "/rules", &[("type", "in"), ("action", action)])
            .await
            .data();
    }
    let rules = rig.fw("GET", "/rules", &[]).await.data();
    assert_eq!(rig.fw("GET", "/rules/0", &[]).await.data()["pos"], "0");
    let digest = rules[0]["digest"].as_str().unwrap();
    rig.fw("PUT", "/rules/0", &[("enable", "1"), ("digest", digest)])
        .await
        .data();
    assert_eq!(
        rig.fw("PUT", "/rules/0", &[("enable", "0"), ("digest", digest)])
            .await
            .status,
        500
    );
    rig.fw("PUT", "/rules/0", &[("moveto", "2")]).await.data();
    assert_eq!(rig.fw("GET", "/rules", &[]).await.data()[0]["action"], "DROP");
    assert_eq!(
        rig.fw("DELETE", "/rules/77", &[]).await.line(),
        (500, "no rule at position 77")
    );
    rig.fw("DELETE", "/rules/0", &[]).await.data();
    assert_eq!(
        rig.fw("GET", "/rules", &[])
            .await
            .data()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn sets_keep_addresses_once_sorted_and_short() {
    let rig = rig().await;
    rig.fw("POST", "/ipset", &[("name", "ipfilter-net0")])
        .await
        .data();
    let again = rig.fw("POST", "/ipset", &[("name", "ipfilter-net0")]).await;
    assert_eq!(
        again.body["errors"]["name"],
        "IPSet 'ipfilter-net0' already exists"
    );
    assert_eq!(
        rig.fw("POST", "/ipset", &[("name", "IPFILTER-NET0")])
            .await
            .status,
        200
    );
    let set = "/ipset/ipfilter-net0";
    for cidr in ["10.77.0.50/32", "10.77.0.0/24", "FD00:0::1/128"] {
        rig.fw("POST", set, &[("cidr", cidr)]).await.data();
    }
    let cidrs: Vec<Value> = rig
        .fw("GET", set, &[])
        .await
        .data()
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["cidr"].clone())
        .collect();
    assert_eq!(cidrs, ["10.77.0.0/24", "10.77.0.50", "fd00::1"]);
    let host_bits = rig.fw("POST", set, &[("cidr", "10.77.0.9/24")]).await;
    assert_eq!(
        host_bits.body["errors"]["cidr"],
        "address '10.77.0.0/24' already exists"
    );
    assert_eq!(
        rig.fw("POST", set, &[("cidr", "nosuchalias")]).await.line(),
        (500, "no such alias 'nosuchalias'")
    );
    assert_eq!(
        rig.fw("DELETE", set, &[]).await.line(),
        (500, "IPSet 'ipfilter-net0' is not empty")
    );
    assert_eq!(
        rig.fw("DELETE", &format!("{set}/192.0.2.1"), &[]).await.status,
        200,
        "a missing address"
    );
    rig.fw("DELETE", &format!("{set}/10.77.0.0%2F24"), &[])
        .await
        .data();
    assert_eq!(
        rig.fw("GET", &format!("{set}/10.77.0.0%2F24"), &[]).await.body["errors"]["cidr"],
        "no such IP/Network"
    );
    rig.fw("DELETE", set, &[("force", "1")]).await.data();
    assert_eq!(
        rig.fw("GET", set, &[]).await.line(),
        (500, "no such IPSet 'ipfilter-net0'")
    );
}

#[tokio::test]
async fn a_rule_may_name_only_sets_that_are_there_and_shows_when_one_is_gone() {
    let rig = rig().await;
    let rule = [("type", "in"), ("action", "ACCEPT"), ("source", "+allowed")];
    let missing = rig.fw("POST", "/rules", &rule).await;
    assert_eq!(missing.body["errors"]["source"], "no such ipset 'allowed'");
    rig.fw("POST", "/ipset", &[("name", "allowed")]).await.data();
    rig.fw("POST", "/rules", &rule).await.data();
    rig.fw("DELETE", "/ipset/allowed", &[]).await.data();
    let rules = rig.fw("GET", "/rules", &[]).await.data();
    assert_eq!(rules[0]["errors"]["source"], "no such ipset 'allowed'");
}

#[tokio::test]
async fn the_datacenter_firewall_is_on_and_only_root_turns_it_off() {
    let rig = Rig::quick().await;
    let path = "/cluster/firewall/options";
    let options = rig.call("GET", path, &[]).await.data();
    assert_eq!(
        options,
        json!({"enable": 1, "digest": "bb9ed91416c7ca9fe0bdb701360217e37ab4497f"})
    );
    let denied = rig.call("PUT", path, &[("enable", "0")]).await;
    assert_eq!(denied.line(), (403, "Permission check failed (/, Sys.Modify)"));
    rig.root("PUT", path, &[("delete", "enable")]).await.data();
    assert!(rig.call("GET", path, &[]).await.data().get("enable").is_none());
    rig.control("PUT", "/firewall", json!({"enable": false})).await;
    assert_eq!(rig.call("GET", path, &[]).await.data()["enable"], 0);
}

#[tokio::test]
async fn a_guest_that_is_not_there_answers_root_with_an_empty_file() {
    let rig = Rig::quick().await;
    let options = rig
        .root("GET", "/nodes/pve1/qemu/7777/firewall/options", &[])
        .await
        .data();
    assert_eq!(
        options,
        json!({"digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709"})
    );
    assert_eq!(
        rig.call("GET", "/nodes/pve1/qemu/7777/firewall/options", &[])
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn aliases_references_and_the_log_are_as_recorded() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let path = "/nodes/pve1/qemu/200/firewall";
    rig.call("POST", &format!("{path}/ipset"), &[("name", "management")])
        .await
        .data();
    let alias = [("name", "gw"), ("cidr", "10.77.0.1")];
    rig.call("POST", &format!("{path}/aliases"), &alias).await.data();
    let mut listed = rig.call("GET", &format!("{path}/aliases"), &[]).await.data();
    listed[0].as_object_mut().unwrap().remove("digest");
    assert_eq!(
        listed,
        serde_json::json!([{"ipversion": 4, "name": "gw", "cidr": "10.77.0.1"}])
    );
    let sets = rig
        .call("GET", &format!("{path}/refs"), &[("type", "ipset")])
        .await
        .data();
    let set =
        serde_json::json!({"name": "management", "scope": "guest", "type": "ipset", "ref": "+management"});
    assert_eq!(sets, serde_json::json!([set]));
    let denied = rig.call("GET", &format!("{path}/log"), &[]).await;
    assert_eq!(
        denied.line(),
        (403, "Permission check failed (/vms/200, VM.Console)")
    );
    let log = rig.root("GET", &format!("{path}/log"), &[]).await;
    assert_eq!(log.body["total"], 1);
}
