//! What belongs to the datacenter: the range of ids, tags, options, definitions of storages.

use rstest::rstest;
use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn the_range_of_free_ids_ends_before_its_upper_bound() {
    let rig = Rig::quick().await;
    let next = || rig.root("GET", "/cluster/nextid", &[]);
    rig.root("PUT", "/cluster/options", &[("next-id", "lower=500,upper=501")])
        .await
        .data();
    assert_eq!(next().await.data(), "500");
    rig.control("POST", "/vms", json!({"vmid": 500, "node": "pve1"}))
        .await;
    assert_eq!(
        next().await.line(),
        (500, "unable to get any free VMID in range [500, 501]")
    );
    rig.root("PUT", "/cluster/options", &[("delete", "next-id")])
        .await
        .data();
    assert_eq!(next().await.data(), "100");
}

#[rstest]
#[case("user-tag-access", "user-allow=none", "new", Some("new"))]
#[case(
    "user-tag-access",
    "user-allow=list,user-allow-list=allowed;decent",
    "new",
    Some("new")
)]
#[case(
    "user-tag-access",
    "user-allow=list,user-allow-list=allowed;decent",
    "byroot;decent",
    None
)]
#[case(
    "user-tag-access",
    "user-allow=list,user-allow-list=allowed;decent",
    "decent",
    Some("byroot")
)]
#[case("user-tag-access", "user-allow=existing", "new", Some("new"))]
#[case("registered-tags", "decent;prod", "byroot;decent", Some("decent"))]
#[case("registered-tags", "decent;prod", "byroot;other", None)]
#[tokio::test]
async fn tags_are_given_by_those_who_may(
    #[case] option: &str,
    #[case] value: &str,
    #[case] tags: &str,
    #[case] refused: Option<&str>,
) {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let config = "/nodes/pve1/qemu/200/config";
    rig.root("PUT", config, &[("tags", "byroot")]).await.data();
    rig.root("PUT", "/cluster/options", &[(option, value)])
        .await
        .data();
    assert_eq!(rig.call("PUT", config, &[("tags", "byroot")]).await.status, 200);
    let given = rig.call("PUT", config, &[("tags", tags)]).await;
    match refused {
        None => assert_eq!(given.status, 200, "{}", given.reason),
        Some(tag) => {
            let text = format!("Permission check failed (/, Sys.Modify for modifying tag '{tag}')");
            assert_eq!(given.line(), (403, text.as_str()));
        }
    }
}

#[tokio::test]
async fn options_read_back_taken_apart() {
    let rig = Rig::quick().await;
    let set = [
        (
            "user-tag-access",
            "user-allow=list,user-allow-list=allowed;decent",
        ),
        ("registered-tags", "prod;decent"),
    ];
    rig.root("PUT", "/cluster/options", &set).await.data();
    let shown = rig.root("GET", "/cluster/options", &[]).await.data();
    assert_eq!(
        shown["user-tag-access"],
        json!({"user-allow": "list", "user-allow-list": ["allowed", "decent"]})
    );
    assert_eq!(shown["registered-tags"], json!(["decent", "prod"]));
}

#[tokio::test]
async fn storages_are_defined_used_and_removed() {
    let rig = Rig::quick().await;
    let made = [
        ("storage", "tiny"),
        ("type", "dir"),
        ("path", "/mnt/tiny"),
        ("content", "images"),
        ("disable", "1"),
    ];
    assert_eq!(
        rig.root("POST", "/storage", &made).await.data(),
        json!({"storage": "tiny", "type": "dir"})
    );
    let off = rig.root("GET", "/nodes/pve1/storage/tiny/content", &[]).await;
    assert_eq!(off.line(), (500, "storage 'tiny' is disabled"));
    rig.root("PUT", "/storage/tiny", &[("delete", "disable")])
        .await
        .data();
    let volume = [
        ("vmid", "221"),
        ("filename", "vm-221-stray.qcow2"),
        ("size", "8M"),
        ("format", "qcow2"),
    ];
    let content = "/nodes/pve1/storage/tiny/content";
    assert_eq!(
        rig.root("POST", content, &volume).await.data(),
        "tiny:221/vm-221-stray.qcow2"
    );
    let listed = rig.root("GET", content, &[]).await.data();
    assert_eq!(listed[0]["size"], 8 << 20);
    let upid = rig
        .root(
            "DELETE",
            &format!("{content}/tiny%3A221%2Fvm-221-stray.qcow2"),
            &[],
        )
        .await
        .data();
    assert!(upid.as_str().unwrap().contains(":imgdel:tiny:"));
    assert_eq!(rig.end_of(&upid).await, "OK");
    assert_eq!(rig.root("GET", content, &[]).await.data(), json!([]));
    assert_eq!(rig.root("DELETE", "/storage/tiny", &[]).await.data(), Value::Null);
    assert_eq!(
        rig.call("GET", "/storage", &[]).await.data()[0]["storage"],
        "local"
    );
}
