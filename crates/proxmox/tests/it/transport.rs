//! How the client behaves on the wire: errors in reason phrases, empty data, lost answers, TLS, several endpoints.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use crate::support::{Asked, Identity, Reply, SECRET, Server, bare, client, json, nobody};
use dc_proxmox::{Change, CloneRequest, Error, Fingerprint, TransportKind, Trust};
use domain::ids::{NodeName, Vmid};
use domain::pve::{Class, MissingPrivilege, Upid};

const UPID: &str = "UPID:pve1:000001AD:00030542:6AFFD643:qmclone:9000:dc@pve!op:";

fn pve1() -> NodeName {
    "pve1".parse().unwrap()
}

fn vmid(id: u32) -> Vmid {
    id.try_into().unwrap()
}

fn clone() -> CloneRequest {
    CloneRequest {
        newid: vmid(5001),
        name: "dc-1".into(),
        description: "a\nb %41 ü".into(),
        pool: "decent".into(),
        full: false,
        storage: None,
        target: None,
    }
}

fn cores(count: &str) -> Change {
    Change {
        set: BTreeMap::from([("cores".to_owned(), count.to_owned())]),
        delete: vec!["tags".to_owned()],
    }
}

#[test]
fn calls_may_move_between_threads() {
    fn moves<T: Send>(_: &T) {}
    let pve = client(&[([127, 0, 0, 1], 1).into()], Trust::Fingerprint([0; 32]));
    let (node, change) = (pve1(), cores("2"));
    moves(&pve.version());
    moves(&pve.clone_vm(&node, vmid(9000), &clone()));
    moves(&pve.put_config(&node, vmid(100), &change, None));
    moves(&pve.cancel_task(&UPID.parse().unwrap()));
    moves(&pve.resources());
}

/// The sentence with its causes, as a log would show it.
fn chain(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text} {inner}");
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn success_without_data_is_success() {
    let server = Server::start(|_| json("200 OK", r#"{"data":null}"#)).await;
    let pve = server.client();
    pve.put_config(&pve1(), vmid(100), &cores("2"), Some("d1"))
        .await
        .unwrap();
    assert_eq!(
        pve.resize(&pve1(), vmid(100), ("scsi0", 1024), None)
            .await
            .unwrap(),
        None
    );
    pve.cancel_task(&UPID.parse().unwrap()).await.unwrap();
    assert!(pve.firewall_rules(&pve1(), vmid(100)).await.unwrap().is_empty());
    let asked = server.asked();
    assert!(
        asked[0]
            .head
            .starts_with("PUT /api2/json/nodes/pve1/qemu/100/config HTTP/1.1")
    );
    assert_eq!(asked[0].body, r#"{"cores":"2","delete":"tags","digest":"d1"}"#);
    assert!(
        asked[0]
            .head
            .to_lowercase()
            .contains("content-type: application/json")
    );
    assert!(asked[0].head.contains(&format!("PVEAPIToken=dc@pve!op={SECRET}")));
    assert!(
        asked[2]
            .head
            .starts_with(&format!("DELETE /api2/json/nodes/pve1/tasks/{UPID} HTTP/1.1"))
    );
    assert!(
        asked.iter().all(|asked| asked.connection == 0),
        "one connection serves all"
    );
}

#[tokio::test]
async fn clone_says_everything_and_returns_its_task() {
    let server = Server::start(|_| json("200 OK", &format!(r#"{{"data":"{UPID}"}}"#))).await;
    let task: Upid = server
        .client()
        .clone_vm(&pve1(), vmid(9000), &clone())
        .await
        .unwrap();
    assert_eq!(task.to_string(), UPID);
    let body: serde_json::Value = serde_json::from_str(&server.asked()[0].body).unwrap();
    let want = serde_json::json!({
        "newid": 5001, "name": "dc-1", "description": "a\nb %41 ü", "pool": "decent", "full": 0
    });
    assert_eq!(body, want);
}

#[tokio::test]
async fn error_text_is_read_from_the_reason_phrase() {
    let server =
        Server::start(|_| bare("500 Configuration file 'nodes/pve1/qemu-server/5001.conf' does not exist"))
            .await;
    let error = server.client().vm_config(&pve1(), vmid(5001)).await.unwrap_err();
    assert_eq!(error.class(), Class::Gone);
    assert!(
        error
            .to_string()
            .starts_with("failed to read the configuration of VM 5001 on pve1: 500 Configuration")
    );
}

#[tokio::test]
async fn denied_names_path_and_privilege() {
    let server = Server::start(|_| {
        json(
            "403 Permission check failed (/vms/9000, VM.Clone)",
            r#"{"data":null,"message":"x\n"}"#,
        )
    })
    .await;
    let error = server
        .client()
        .clone_vm(&pve1(), vmid(9000), &clone())
        .await
        .unwrap_err();
    let privilege = MissingPrivilege {
        path: "/vms/9000".into(),
        privilege: "VM.Clone".into(),
    };
    assert_eq!(
        error.class(),
        Class::Denied {
            privilege: Some(privilege)
        }
    );
    assert!(!error.is_ambiguous());
}

#[tokio::test]
async fn parameter_errors_are_kept() {
    let body = r#"{"data":null,"message":"Parameter verification failed.\n","errors":{"vmid":"VM 9000 already exists"}}"#;
    let server = Server::start(move |_| json("400 Parameter verification failed.", body)).await;
    assert!(!server.client().vmid_free(vmid(9000)).await.unwrap());
    assert!(
        server.asked()[0]
            .head
            .starts_with("GET /api2/json/cluster/nextid?vmid=9000 ")
    );
    let error = server.client().start(&pve1(), vmid(9000)).await.unwrap_err();
    let want =
        "failed to start VM 9000 on pve1: 400 Parameter verification failed.: vmid: VM 9000 already exists";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn message_of_the_body_serves_where_the_phrase_is_plain() {
    let body = r#"{"data":null,"message":"checksum mismatch (file change by other user?)\n"}"#;
    let server = Server::start(move |_| json("500 Internal Server Error", body)).await;
    let error = server
        .client()
        .put_config(&pve1(), vmid(100), &cores("2"), None)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
}

#[tokio::test]
async fn unreachable_node_is_retried_later_and_a_broken_proxy_is_ambiguous() {
    for (status, ambiguous) in [
        ("595 No route to host", false),
        ("595 Connection refused", false),
        ("596 Broken pipe", true),
    ] {
        let server = Server::start(move |_| bare(status)).await;
        let error = server.client().start(&pve1(), vmid(100)).await.unwrap_err();
        assert_eq!(
            (error.class(), error.is_ambiguous()),
            (Class::Retryable { after: None }, ambiguous),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_lost_answer_is_ambiguous_and_nothing_is_sent_twice() {
    let server = Server::start(|_| Reply::Close).await;
    let error = server
        .client()
        .clone_vm(&pve1(), vmid(9000), &clone())
        .await
        .unwrap_err();
    assert!(error.is_ambiguous());
    assert_eq!(
        (error.transport(), error.class()),
        (Some(TransportKind::Reset), Class::Retryable { after: None })
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_cut_answer_is_ambiguous() {
    let cut = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{\"data\":\"UPID";
    let server = Server::start(move |_| Reply::Bytes(cut.to_owned())).await;
    let error = server.client().start(&pve1(), vmid(100)).await.unwrap_err();
    assert!(error.is_ambiguous());
    assert_eq!(error.transport(), Some(TransportKind::Reset));
}

#[tokio::test]
async fn an_answer_that_names_no_task_is_ambiguous() {
    for body in [r#"{"data":null}"#, r#"{"data":"OK"}"#, "{}", "<html>"] {
        let server = Server::start(move |_| json("200 OK", body)).await;
        let error = server.client().start(&pve1(), vmid(100)).await.unwrap_err();
        assert_eq!(
            (error.is_ambiguous(), error.class()),
            (true, Class::Provider),
            "{body}"
        );
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let server = Server::start(|_| Reply::Hang).await;
    let (pve, node) = (server.client(), pve1());
    let (change, read) = tokio::join!(pve.stop(&node, vmid(100)), pve.version());
    let (change, read) = (change.unwrap_err(), read.unwrap_err());
    assert_eq!(
        (change.transport(), change.is_ambiguous()),
        (Some(TransportKind::Timeout), true)
    );
    assert_eq!(
        (read.transport(), read.is_ambiguous()),
        (Some(TransportKind::Timeout), false)
    );
}

#[tokio::test]
async fn a_closed_endpoint_is_not_ambiguous() {
    let error = client(&[nobody().await], Trust::Fingerprint([0; 32]))
        .start(&pve1(), vmid(100))
        .await
        .unwrap_err();
    assert_eq!(
        (error.transport(), error.is_ambiguous()),
        (Some(TransportKind::Refused), false)
    );
    assert_eq!(error.class(), Class::Retryable { after: None });
}

fn version(_: &Asked) -> Reply {
    json(
        "200 OK",
        r#"{"data":{"version":"9.2.11","release":"9.2","repoid":"14a22df35955d97d"}}"#,
    )
}

#[tokio::test]
async fn reads_fail_over_and_stay_there() {
    let server = Server::start(version).await;
    let pve = client(
        &[nobody().await, server.address],
        Trust::Fingerprint(server.identity.fingerprint),
    );
    assert_eq!(pve.version().await.unwrap().version, "9.2.11");
    pve.version().await.unwrap();
    assert!(server.asked().iter().all(|asked| asked.connection == 0));
    assert_eq!(
        pve.tls_fingerprint(),
        Some(Fingerprint(server.identity.fingerprint))
    );
}

#[tokio::test]
async fn a_change_is_sent_to_one_endpoint_only() {
    let server = Server::start(|_| json("200 OK", &format!(r#"{{"data":"{UPID}"}}"#))).await;
    let pve = client(
        &[nobody().await, server.address],
        Trust::Fingerprint(server.identity.fingerprint),
    );
    let error = pve.start(&pve1(), vmid(100)).await.unwrap_err();
    assert_eq!(
        (error.transport(), server.asked().len()),
        (Some(TransportKind::Refused), 0)
    );
    pve.start(&pve1(), vmid(100)).await.unwrap();
    assert_eq!(
        server.asked().len(),
        1,
        "the next call starts at the endpoint that may answer"
    );
}

#[tokio::test]
async fn only_the_trusted_certificate_is_talked_to() {
    let server = Server::start(version).await;
    let (right, other) = (&server.identity, Identity::new());
    for good in [
        Trust::Ca(right.ca_pem.clone()),
        Trust::Fingerprint(right.fingerprint),
    ] {
        client(&[server.address], good).version().await.unwrap();
    }
    let before = server.asked().len();
    for bad in [Trust::Ca(other.ca_pem), Trust::Fingerprint(other.fingerprint)] {
        let pve = client(&[server.address, server.address], bad);
        let error = pve.start(&pve1(), vmid(100)).await.unwrap_err();
        let presented = Some(Fingerprint(right.fingerprint));
        assert_eq!(error.transport(), Some(TransportKind::Tls { presented }));
        assert_eq!((error.class(), error.is_ambiguous()), (Class::Provider, false));
        assert_eq!(pve.tls_fingerprint(), presented);
        assert!(
            error
                .to_string()
                .contains(&Fingerprint(right.fingerprint).to_string())
        );
    }
    assert_eq!(server.asked().len(), before, "nothing was sent");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let server = Server::start(version).await;
    let url = format!("https://localhost:{}", server.address.port());
    let config = dc_proxmox::Config {
        endpoints: vec![url.parse().unwrap()],
        token: "a@pve!b=c".parse().unwrap(),
        trust: Trust::Ca(server.identity.ca_pem.clone()),
        deadline: Duration::from_secs(2),
    };
    let error = dc_proxmox::Pve::new(&config)
        .unwrap()
        .version()
        .await
        .unwrap_err();
    assert!(
        matches!(error.transport(), Some(TransportKind::Tls { presented: Some(_) })),
        "{error}"
    );
}

#[tokio::test]
async fn bad_trust_is_refused_before_anything_is_sent() {
    for pem in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let config = dc_proxmox::Config {
            endpoints: vec!["https://127.0.0.1".parse().unwrap()],
            token: "a@pve!b=c".parse().unwrap(),
            trust: Trust::Ca(pem.to_owned()),
            deadline: Duration::from_secs(2),
        };
        assert!(dc_proxmox::Pve::new(&config).is_err(), "{pem}");
    }
}

#[tokio::test]
async fn no_error_shows_the_token() {
    let closing = Server::start(|_| Reply::Close).await;
    let refusing = Server::start(|_| bare("401 Authentication failed!")).await;
    let garbled = Server::start(|_| json("200 OK", "[")).await;
    for server in [&closing, &refusing, &garbled] {
        let pve = server.client();
        let error = pve.start(&pve1(), vmid(100)).await.unwrap_err();
        assert!(
            !chain(&error).contains(SECRET) && !format!("{pve:?}").contains(SECRET),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_name_cannot_change_the_path() {
    let server = Server::start(version).await;
    let pve = server.client();
    for name in ["../../x", "a?b", "a/../b", "a b", "a%2e"] {
        let error = pve.ipset(&pve1(), vmid(100), name).await.unwrap_err();
        assert_eq!(
            (error.class(), error.is_ambiguous()),
            (Class::Bug, false),
            "{name}"
        );
    }
    assert!(server.asked().is_empty());
    let _ = pve.delete_cidr(&pve1(), vmid(100), "set", "10.0.0.0/24").await;
    assert!(
        server.asked()[0]
            .head
            .starts_with("DELETE /api2/json/nodes/pve1/qemu/100/firewall/ipset/set/10.0.0.0%2F24 ")
    );
}

#[tokio::test]
#[ignore = "needs five seconds of silence on a connection"]
async fn a_connection_idle_for_more_than_four_seconds_is_not_used_again() {
    let server = Server::start(|_| json("200 OK", &format!(r#"{{"data":"{UPID}"}}"#))).await;
    let pve = server.client();
    pve.start(&pve1(), vmid(100)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(4200)).await;
    pve.start(&pve1(), vmid(100)).await.unwrap();
    let connections: Vec<usize> = server.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 1]);
}
