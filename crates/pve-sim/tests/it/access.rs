//! Rights: tokens, roles, pools, and the exact texts of a refusal.

use rstest::rstest;
use serde_json::json;

use crate::rig::Rig;

#[tokio::test]
async fn the_service_token_has_exactly_thirteen_privileges_on_five_kinds_of_path() {
    let rig = Rig::quick().await;
    let all = rig.call("GET", "/access/permissions", &[]).await.data();
    let on = |path: &str| all[path].as_object().map_or(0, serde_json::Map::len);
    assert_eq!(
        [
            on("/pool/decent"),
            on("/vms/9000"),
            on("/storage/local"),
            on("/sdn/zones/localnetwork/vmbr0"),
            on("/")
        ],
        [8, 2, 1, 1, 1]
    );
    assert_eq!(on("/vms"), 1, "only the system role reaches /vms");
}

#[tokio::test]
async fn members_of_the_pool_show_its_rights_as_not_propagated() {
    let rig = Rig::quick().await;
    let before = rig
        .call("GET", "/access/permissions", &[("path", "/vms/200")])
        .await
        .data();
    assert!(before["/vms/200"].get("VM.Audit").is_none());
    rig.clone(200).await;
    let after = rig
        .call("GET", "/access/permissions", &[("path", "/vms/200")])
        .await
        .data();
    assert_eq!(after["/vms/200"]["VM.Audit"], 0);
}

#[rstest]
#[case("/pool/decent", "VM.Audit", "GET", "/config", "VM.Audit")]
#[case("/pool/decent", "VM.PowerMgmt", "POST", "/status/start", "VM.PowerMgmt")]
#[case("/pool/decent", "VM.Allocate", "DELETE", "", "VM.Allocate")]
#[case(
    "/pool/decent",
    "VM.Config.Network",
    "PUT",
    "/firewall/options",
    "VM.Config.Network"
)]
#[case("/pool/decent", "VM.Config.Disk", "PUT", "/resize", "VM.Config.Disk")]
#[tokio::test]
async fn a_revoked_privilege_is_named_and_works_again_when_restored(
    #[case] path: &str,
    #[case] privilege: &str,
    #[case] method: &str,
    #[case] call: &str,
    #[case] named: &str,
) {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let call = format!("/nodes/pve1/qemu/200{call}");
    let asked = json!({"path": path, "privilege": privilege});
    rig.control("POST", "/privileges/revoke", asked.clone()).await;
    let denied = rig.call(method, &call, &[]).await;
    assert_eq!(
        denied.line(),
        (
            403,
            format!("Permission check failed (/vms/200, {named})").as_str()
        )
    );
    assert_eq!(denied.body["message"], format!("{}\n", denied.reason));
    rig.control("POST", "/privileges/restore", asked).await;
    assert_ne!(rig.call(method, &call, &[]).await.status, 403);
}

#[tokio::test]
async fn a_privilege_counts_only_if_user_and_token_both_have_it() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let of_user = json!({"path": "/pool/decent", "privilege": "VM.Audit", "who": "decent@pve"});
    rig.control("POST", "/privileges/revoke", of_user).await;
    assert_eq!(
        rig.call("GET", "/nodes/pve1/qemu/200/config", &[]).await.status,
        403
    );
}

#[tokio::test]
async fn somebody_without_any_right_gets_the_text_with_eight_names() {
    let rig = Rig::quick().await;
    rig.control(
        "POST",
        "/vms",
        json!({"vmid": 300, "node": "pve1", "name": "foreign"}),
    )
    .await;
    let denied = rig
        .call("PUT", "/nodes/pve1/qemu/300/config", &[("cores", "2")])
        .await;
    let names = "VM.Config.Disk|VM.Config.CDROM|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.HWType|\
                 VM.Config.Options|VM.Config.Cloudinit";
    assert_eq!(
        denied.line(),
        (
            403,
            format!("Permission check failed (/vms/300, {names})").as_str()
        )
    );
}

#[tokio::test]
async fn a_guest_that_never_was_is_denied_like_a_foreign_one() {
    let rig = Rig::quick().await;
    let never = rig.call("GET", "/nodes/pve1/qemu/7777/config", &[]).await;
    assert_eq!(
        never.line(),
        (403, "Permission check failed (/vms/7777, VM.Audit)")
    );
    let to_root = rig.root("GET", "/nodes/pve1/qemu/7777/config", &[]).await;
    assert_eq!(
        to_root.line(),
        (
            500,
            "Configuration file 'nodes/pve1/qemu-server/7777.conf' does not exist"
        )
    );
}

#[tokio::test]
async fn a_guest_taken_out_of_the_pool_is_gone_for_the_token_only() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let taken = [("poolid", "decent"), ("vms", "200"), ("delete", "1")];
    assert_eq!(
        rig.call("PUT", "/pools", &taken).await.line(),
        (403, "Permission check failed (/pool/decent, Pool.Allocate)")
    );
    rig.root("PUT", "/pools", &taken).await.data();
    assert_eq!(
        rig.call("GET", "/nodes/pve1/qemu/200/config", &[]).await.status,
        403
    );
    assert_eq!(
        rig.root("GET", "/nodes/pve1/qemu/200/config", &[]).await.status,
        200
    );
    let taken = rig.call("GET", "/cluster/nextid", &[("vmid", "200")]).await;
    assert_eq!(taken.body["errors"]["vmid"], "VM 200 already exists");
}

#[tokio::test]
async fn a_changed_secret_is_refused_and_the_new_one_accepted() {
    let rig = Rig::quick().await;
    let new = rig
        .control("POST", "/tokens/decent@pve!op/secret", json!({}))
        .await;
    let refused = rig.call("GET", "/version", &[]).await;
    assert_eq!(refused.line(), (401, "Authentication failed!"));
    assert!(refused.body.is_null());
    assert_eq!(
        rig.call_as(new["token"].as_str().unwrap(), "GET", "/version", &[])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn members_of_a_pool_are_told_to_everybody_and_its_old_path_is_not() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let pool = rig.call("GET", "/pools", &[("poolid", "decent")]).await.data();
    assert_eq!(pool[0]["members"][0]["vmid"], 200);
    assert_eq!(rig.call("GET", "/pools", &[]).await.data(), json!([]));
    let old = rig.call("GET", "/pools/decent", &[]).await;
    assert_eq!(
        old.line(),
        (403, "Permission check failed (/pool/decent, Pool.Audit)")
    );
    let missing = rig.call("GET", "/pools", &[("poolid", "none")]).await;
    assert_eq!(missing.line(), (500, "pool 'none' does not exist"));
}
