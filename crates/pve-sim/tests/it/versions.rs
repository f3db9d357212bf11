//! Older releases: the differences that are known, and nothing else.

use pve_sim::{SimConfig, Version};

use crate::rig::{Rig, quick};

async fn rig(version: Version) -> Rig {
    Rig::start(SimConfig { version, ..quick() }).await
}

async fn login(rig: &Rig, token: &str) -> String {
    rig.call_as(token, "GET", "/cluster/nextid", &[]).await.reason
}

#[tokio::test]
async fn before_9_1_5_a_refused_login_says_why() {
    let rows = [
        ("root@pam!t1=wrong", "invalid token value!"),
        ("root@pam!nosuch=x", "no such token 'nosuch' for user 'root@pam'"),
        ("root@pam!t1", "no tokenid specified"),
        (
            "nobody@pve!x=x",
            "'nobody@pve!x' is not a valid token ID - not able to split into user and token parts",
        ),
    ];
    let (old, new) = (rig(Version::V8_4).await, rig(Version::V9_2).await);
    for (token, reason) in rows {
        assert_eq!(login(&old, token).await, reason);
        assert_eq!(login(&new, token).await, "Authentication failed!");
    }
}

#[tokio::test]
async fn before_8_4_errors_have_no_body_and_before_8_0_a_resize_has_no_task() {
    for version in Version::ALL {
        let rig = rig(version).await;
        let release = rig.call("GET", "/version", &[]).await.data();
        assert_eq!(release["release"], version.release());
        rig.clone(200).await;
        let missing = rig.root("GET", "/nodes/pve1/qemu/7777/config", &[]).await;
        let reason = "Configuration file 'nodes/pve1/qemu-server/7777.conf' does not exist";
        assert_eq!(missing.line(), (500, reason));
        assert_eq!(missing.body.is_object(), version >= Version::V8_4, "{version}");
        let params = [("disk", "scsi0"), ("size", "+1G")];
        let resize = rig
            .call("PUT", "/nodes/pve1/qemu/200/resize", &params)
            .await
            .data();
        assert_eq!(resize.is_string(), version > Version::V7_4, "{version}");
        if resize.is_null() {
            assert!(
                rig.config(200).await["scsi0"]
                    .as_str()
                    .unwrap()
                    .ends_with("size=3G")
            );
            let smaller = [("disk", "scsi0"), ("size", "1G")];
            let refused = rig.call("PUT", "/nodes/pve1/qemu/200/resize", &smaller).await;
            assert_eq!(refused.line(), (500, "shrinking disks is not supported"));
        }
    }
}

#[tokio::test]
async fn before_9_0_the_agents_calls_ask_for_the_right_to_monitor() {
    for (version, asked) in [
        (Version::V8_4, "VM.Monitor"),
        (Version::V9_2, "VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted"),
    ] {
        let rig = rig(version).await;
        rig.clone(200).await;
        let path = "/nodes/pve1/qemu/200/agent/network-get-interfaces";
        let refused = rig.call("GET", path, &[]).await;
        let reason = format!("Permission check failed (/vms/200, {asked})");
        assert_eq!(refused.line(), (403, reason.as_str()));
        let allowed = rig.root("GET", path, &[]).await;
        assert_eq!(allowed.line(), (500, "VM 200 is not running"));
    }
}
