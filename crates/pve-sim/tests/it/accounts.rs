//! Users, tokens, roles, the access control list and tickets, with recorded texts.

use rstest::rstest;
use serde_json::{Value, json};

use crate::rig::{Got, Rig, got};

/// A cluster with the user and the token of the recordings.
async fn rig() -> Rig {
    let rig = Rig::quick().await;
    let user = [
        ("userid", "svc@pve"),
        ("comment", "service"),
        ("email", "svc@example.org"),
    ];
    rig.root("POST", "/access/users", &user).await.data();
    let token = [("privsep", "1"), ("comment", "tok"), ("expire", "0")];
    rig.root("POST", "/access/users/svc@pve/token/agent", &token)
        .await
        .data();
    rig
}

#[rstest]
#[case("POST", "/access/users", &[("userid", "svc@pve")], "create user failed: user 'svc@pve' already exists")]
#[case("POST", "/access/users", &[("userid", "svc")], "value 'svc' does not look like a valid user name")]
#[case("GET", "/access/users/none@pve", &[], "no such user ('none@pve')")]
#[case("DELETE", "/access/users/none@pve", &[], "no such user ('none@pve')")]
#[case("PUT", "/access/users/svc@pve/token/none", &[("comment", "x")], "no such token 'none' for user 'svc@pve'")]
#[case("DELETE", "/access/users/svc@pve/token/none", &[], "no such token 'none' for user 'svc@pve'")]
#[case("POST", "/access/roles", &[("roleid", "PVEAdmin")], "create role failed: role 'PVEAdmin' already exists")]
#[case("GET", "/access/roles/None", &[], "role 'None' does not exist")]
#[case("DELETE", "/access/roles/None", &[], "delete role failed: role 'None' does not exist")]
#[case("DELETE", "/access/roles/PVEAdmin", &[], "auto-generated role 'PVEAdmin' cannot be deleted")]
#[case("PUT", "/access/acl", &[("path", "/vms"), ("roles", "Nope"), ("tokens", "svc@pve!agent")],
    "ACL update failed: role 'Nope' does not exist")]
#[case("PUT", "/access/acl", &[("path", "/vms"), ("roles", "PVEAuditor"), ("users", "nobody@pve")],
    "ACL update failed: user 'nobody@pve' does not exist")]
#[tokio::test]
async fn what_is_there_or_missing_is_500(
    #[case] method: &str,
    #[case] path: &str,
    #[case] params: &[(&str, &str)],
    #[case] text: &str,
) {
    let rig = rig().await;
    assert_eq!(rig.root(method, path, params).await.line(), (500, text));
}

#[rstest]
#[case("POST", "/access/users/svc@pve/token/agent", &[], "tokenid", "Token already exists.")]
#[case("POST", "/access/users/svc@pve/token/bad!id", &[], "tokenid", "value does not match the regex pattern")]
#[case("PUT", "/access/acl", &[("path", "/nonsense"), ("roles", "PVEAuditor"), ("users", "svc@pve")], "path",
    "invalid ACL path '/nonsense'")]
#[tokio::test]
async fn wrong_parameters_are_400(
    #[case] method: &str,
    #[case] path: &str,
    #[case] params: &[(&str, &str)],
    #[case] name: &str,
    #[case] text: &str,
) {
    let rig = rig().await;
    let got = rig.root(method, path, params).await;
    assert_eq!((got.status, &got.body["errors"]), (400, &json!({name: text})));
}

#[tokio::test]
async fn users_and_tokens_read_back_as_recorded() {
    let rig = rig().await;
    let user = json!({"groups": [], "expire": 0, "email": "svc@example.org", "enable": 1, "comment": "service",
        "tokens": {"agent": {"privsep": 1, "expire": 0, "comment": "tok"}}});
    assert_eq!(rig.root("GET", "/access/users/svc@pve", &[]).await.data(), user);
    let tokens = rig.root("GET", "/access/users/svc@pve/token", &[]).await.data();
    assert_eq!(
        tokens,
        json!([{"privsep": 1, "expire": 0, "comment": "tok", "tokenid": "agent"}])
    );
    let new = rig
        .root(
            "POST",
            "/access/users/svc@pve/token/old",
            &[("expire", "1000000000")],
        )
        .await
        .data();
    assert_eq!(new["info"], json!({"privsep": 1, "expire": "1000000000"}));
    assert_eq!(new["full-tokenid"], "svc@pve!old");
    let again = rig
        .root("PUT", "/access/users/svc@pve/token/old", &[("regenerate", "1")])
        .await
        .data();
    assert_ne!(again["value"], new["value"]);
    let denied = rig.root("POST", "/access/users/none@pve/token/agent", &[]).await;
    assert_eq!(denied.line(), (403, "Permission check failed"));
}

#[tokio::test]
async fn those_without_rights_see_no_users_and_make_none() {
    let rig = rig().await;
    let new = [("regenerate", "1")];
    let token = rig
        .root("PUT", "/access/users/svc@pve/token/agent", &new)
        .await
        .data();
    let svc = format!("svc@pve!agent={}", token["value"].as_str().unwrap());
    assert_eq!(
        rig.call_as(&svc, "GET", "/access/users", &[]).await.data(),
        json!([])
    );
    let made = rig
        .call_as(&svc, "POST", "/access/users", &[("userid", "evil@pve")])
        .await;
    assert_eq!(
        made.line(),
        (
            403,
            "Permission check failed (/access/realm/pve, Realm.AllocateUser)"
        )
    );
    let given = [("path", "/"), ("roles", "Administrator"), ("users", "svc@pve")];
    let given = rig.call_as(&svc, "PUT", "/access/acl", &given).await;
    assert_eq!(
        given.line(),
        (403, "Permission check failed (/, Permissions.Modify)")
    );
}

#[tokio::test]
async fn rights_given_by_the_api_count_and_go_with_the_user() {
    let rig = rig().await;
    let path = "/access/users/svc@pve/token/t2";
    let token = rig.root("POST", path, &[("privsep", "0")]).await.data();
    let secret = format!("svc@pve!t2={}", token["value"].as_str().unwrap());
    let config = "/nodes/pve1/qemu/9000/config";
    assert_eq!(rig.call_as(&secret, "GET", config, &[]).await.status, 403);
    rig.root(
        "POST",
        "/access/roles",
        &[("roleid", "Fleet"), ("privs", "VM.Clone,VM.Audit")],
    )
    .await
    .data();
    let acl = [("path", "/vms"), ("roles", "Fleet"), ("users", "svc@pve")];
    rig.root("PUT", "/access/acl", &acl).await.data();
    assert_eq!(rig.call_as(&secret, "GET", config, &[]).await.status, 200);
    rig.root("DELETE", "/access/users/svc@pve", &[]).await.data();
    assert_eq!(
        rig.call_as(&secret, "GET", config, &[]).await.line(),
        (401, "Authentication failed!")
    );
    let acl = rig.root("GET", "/access/acl", &[]).await.data();
    assert!(
        acl.as_array()
            .unwrap()
            .iter()
            .all(|entry| entry["ugid"] != "svc@pve")
    );
}

/// A call with a cookie, and with the token beside it if one is given.
async fn by_ticket(rig: &Rig, method: reqwest::Method, path: &str, ticket: &str, csrf: &str) -> Got {
    let url = format!("{}/api2/json{path}", rig.sim.url);
    let request = rig
        .client
        .request(method, url)
        .header("cookie", format!("PVEAuthCookie={ticket}"));
    got(request.header("CSRFPreventionToken", csrf).send().await.unwrap()).await
}

async fn login(rig: &Rig, params: &[(&str, &str)]) -> Got {
    let url = format!("{}/api2/json/access/ticket", rig.sim.url);
    got(rig.client.post(url).form(params).send().await.unwrap()).await
}

#[tokio::test]
async fn a_password_becomes_a_ticket_whose_writes_need_a_token() {
    let rig = rig().await;
    let wrong = login(&rig, &[("username", "root@pam"), ("password", "nope")]).await;
    assert_eq!(wrong.line(), (401, "authentication failure"));
    assert_eq!(wrong.body["message"], "authentication failure\n");
    let missing = login(&rig, &[("username", "root@pam")]).await;
    assert_eq!(
        missing.body["errors"],
        json!({"password": "property is missing and it is not optional"})
    );
    let good = login(&rig, &[("username", "root@pam"), ("password", "testbed")])
        .await
        .data();
    let ticket = good["ticket"].as_str().unwrap();
    assert_eq!(
        good["cap"]["access"],
        json!({"Permissions.Modify": 1, "Group.Allocate": 1, "User.Modify": 1})
    );
    let read = by_ticket(&rig, reqwest::Method::GET, "/cluster/status", ticket, "").await;
    assert_eq!(read.status, 200);
    let path = "/pools?poolid=decent";
    let write = by_ticket(&rig, reqwest::Method::PUT, path, ticket, "").await;
    assert_eq!(write.line(), (401, "Permission denied - invalid csrf token"));
    let csrf = good["CSRFPreventionToken"].as_str().unwrap();
    assert_eq!(
        by_ticket(&rig, reqwest::Method::PUT, path, ticket, csrf)
            .await
            .status,
        200
    );
    let bad = by_ticket(&rig, reqwest::Method::GET, "/version", "PVE:root@pam:00::x", "").await;
    assert_eq!(bad.line(), (401, "Authentication failed!"));
}

#[tokio::test]
async fn only_root_itself_may_skip_a_lock() {
    let rig = rig().await;
    rig.clone(200).await;
    rig.control("PATCH", "/vms/200", json!({"config": {"lock": "clone"}}))
        .await;
    let token = rig
        .root("DELETE", "/nodes/pve1/qemu/200", &[("skiplock", "1")])
        .await;
    assert_eq!(token.body["errors"]["skiplock"], "Only root may use this option.");
    let good = login(&rig, &[("username", "root@pam"), ("password", "testbed")])
        .await
        .data();
    let (ticket, csrf) = (
        good["ticket"].as_str().unwrap(),
        good["CSRFPreventionToken"].as_str().unwrap(),
    );
    let path = "/nodes/pve1/qemu/200?skiplock=1";
    let upid = by_ticket(&rig, reqwest::Method::DELETE, path, ticket, csrf)
        .await
        .data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    assert_eq!(rig.truth(200).await, None::<Value>);
}
