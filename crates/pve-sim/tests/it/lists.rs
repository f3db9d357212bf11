//! Lists: silent filters, stale values, nodes, storages, tasks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{Rig, quick};

fn ids(list: &Value) -> Vec<u64> {
    list.as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["vmid"].as_u64())
        .collect()
}

#[tokio::test]
async fn foreign_guests_are_missing_from_lists_without_a_word() {
    let rig = Rig::quick().await;
    rig.control(
        "POST",
        "/vms",
        json!({"vmid": 300, "node": "pve1", "name": "foreign"}),
    )
    .await;
    rig.clone(200).await;
    let mine = rig
        .call("GET", "/cluster/resources", &[("type", "vm")])
        .await
        .data();
    assert_eq!(ids(&mine), [200, 9000, 9001, 9002]);
    assert_eq!(
        ids(&rig.call("GET", "/nodes/pve1/qemu", &[]).await.data()),
        [200, 9000]
    );
    assert_eq!(
        ids(&rig.root("GET", "/nodes/pve1/qemu", &[]).await.data()),
        [200, 300, 9000]
    );
    assert!(
        mine[0].get("pool").is_none(),
        "the pool is shown only to its auditors"
    );
    let to_root = rig
        .root("GET", "/cluster/resources", &[("type", "vm")])
        .await
        .data();
    assert_eq!(to_root[0]["pool"], "decent");
}

#[tokio::test]
async fn a_newborn_is_unknown_until_statistics_are_published() {
    let mut config = quick();
    config.stats_lag = Duration::from_hours(1);
    let rig = Rig::start(config).await;
    rig.clone(200).await;
    let list = rig
        .call("GET", "/cluster/resources", &[("type", "vm")])
        .await
        .data();
    assert_eq!(
        list[0],
        json!({"id": "qemu/200", "vmid": 200, "node": "pve1", "type": "qemu", "status": "unknown"})
    );
    rig.call("PUT", "/nodes/pve1/qemu/200/config", &[("tags", "now")])
        .await
        .data();
    let list = rig
        .call("GET", "/cluster/resources", &[("type", "vm")])
        .await
        .data();
    assert_eq!(list[0]["tags"], "now", "tags are current");
    rig.control("PUT", "/durations", json!({"stats_lag": 0})).await;
    let list = rig
        .call("GET", "/cluster/resources", &[("type", "vm")])
        .await
        .data();
    assert_eq!(
        (&list[0]["status"], &list[0]["name"]),
        (&json!("stopped"), &json!("dc-a"))
    );
}

#[tokio::test]
async fn a_dead_node_is_offline_and_answers_595_without_a_body() {
    let rig = Rig::quick().await;
    rig.control("POST", "/nodes/pve2", json!({"online": false})).await;
    let nodes = rig.call("GET", "/nodes", &[]).await.data();
    assert_eq!(nodes[1]["status"], "offline");
    let status = rig.call("GET", "/cluster/status", &[]).await.data();
    assert_eq!(status[2]["online"], 0);
    let dead = rig.call("GET", "/nodes/pve2/qemu/9001/config", &[]).await;
    assert_eq!(dead.line(), (595, "No route to host"));
    assert!(dead.body.is_null());
}

#[tokio::test]
async fn an_unknown_node_and_path_have_the_recorded_texts() {
    let rig = Rig::quick().await;
    let node = rig.root("GET", "/nodes/pve9/status", &[]).await;
    let text =
        "hostname lookup 'pve9' failed - failed to get address info for: pve9: Name or service not known";
    assert_eq!(node.line(), (500, text));
    let path = rig.root("GET", "/nodes/pve1/qemu/9000/nothing", &[]).await;
    assert_eq!(
        path.line(),
        (501, "Method 'GET /nodes/pve1/qemu/9000/nothing' not implemented")
    );
    let kind = rig.call("GET", "/cluster/resources", &[("type", "bogus")]).await;
    assert_eq!(
        kind.body["errors"]["type"],
        "value 'bogus' does not have a value in the enumeration 'vm, storage, node, sdn'"
    );
}

#[tokio::test]
async fn storages_show_with_the_right_to_allocate_and_their_images_do_not() {
    let rig = Rig::quick().await;
    let list = rig.call("GET", "/nodes/pve1/storage", &[]).await.data();
    assert_eq!(
        (&list[0]["storage"], &list[0]["active"]),
        (&json!("local"), &json!(1))
    );
    let status = rig
        .call("GET", "/nodes/pve1/storage/local/status", &[])
        .await
        .data();
    let number = |key: &str| status[key].as_u64().unwrap();
    assert_eq!(number("total"), number("used") + number("avail"));
    assert_eq!(
        rig.call("GET", "/nodes/pve1/storage/local/content", &[])
            .await
            .data(),
        json!([])
    );
    let missing = rig.root("GET", "/nodes/pve1/storage/nope/status", &[]).await;
    assert_eq!(missing.body["errors"]["storage"], "No such storage.");
}

#[tokio::test]
async fn tasks_of_others_are_hidden_from_those_who_may_not_audit() {
    let rig = Rig::quick().await;
    let upid = rig
        .root("POST", "/nodes/pve1/qemu/9000/status/stop", &[])
        .await
        .data();
    rig.end_of(&upid).await;
    rig.clone(200).await;
    let path = format!("/nodes/pve1/tasks/{}/status", upid.as_str().unwrap());
    assert_eq!(rig.call("GET", &path, &[]).await.status, 200);
    for who in ["decent@pve!op", "decent@pve"] {
        let asked = json!({"path": "/", "privilege": "Sys.Audit", "who": who});
        rig.control("POST", "/privileges/revoke", asked).await;
    }
    assert_eq!(
        rig.call("GET", &path, &[]).await.line(),
        (403, "Permission check failed (/nodes/pve1, Sys.Audit)")
    );
    let mine = rig.call("GET", "/nodes/pve1/tasks", &[]).await;
    assert_eq!(mine.body["total"], 1);
    assert_eq!(mine.body["data"][0]["type"], "qmclone");
    assert_eq!(mine.body["data"][0]["tokenid"], "op");
    assert_eq!(rig.call("GET", "/cluster/tasks", &[]).await.data(), json!([]));
    let by_target = rig
        .call("GET", "/nodes/pve1/tasks", &[("vmid", "200")])
        .await
        .data();
    assert_eq!(by_target, json!([]), "a clone's task counts for its source");
}

#[tokio::test]
async fn task_ids_are_read_before_they_are_looked_up() {
    let rig = Rig::quick().await;
    let errors = |upid: &'static str| {
        let rig = &rig;
        async move {
            rig.root("GET", &format!("/nodes/pve1/tasks/{upid}/status"), &[])
                .await
                .body["errors"]["upid"]
                .clone()
        }
    };
    assert_eq!(errors("notaupid").await, "unable to parse worker upid");
    assert_eq!(
        errors("UPID:pve1:0000FFFF:0002B35E:6AFFD571:qmclone:9000:root@pam!t1:").await,
        "no such task"
    );
    let log = "/nodes/pve1/tasks/UPID:pve1:0000FFFF:0002B35E:6AFFD571:qmclone:9000:root@pam!t1:/log";
    let log = rig.root("GET", log, &[]).await.data();
    assert_eq!(log[0]["t"], "unable to open file - No such file or directory");
}
