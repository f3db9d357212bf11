//! A machine's whole life, lost races, lost answers and missing rights against the simulator.

use std::collections::BTreeMap;

use dc_proxmox::{
    Change, Exit, Fingerprint, PowerStatus, Pve, TaskQuery, TaskSource, TaskStatus, TransportKind, Trust,
};
use domain::pve::{Class, MissingPrivilege, Upid};
use domain::stamp::{Found, find};
use serde_json::json;

use crate::bed::{BUDGET, Bed, config, rule, set, stamp, vmid};

#[tokio::test]
async fn preflight_reads_say_how_the_cluster_is() {
    let bed = Bed::start().await;
    assert!(!bed.pve.version().await.unwrap().version.is_empty());
    let status = bed.pve.cluster_status().await.unwrap();
    assert!(status.quorate && status.nodes.len() == 3 && status.nodes.values().all(|online| *online));
    assert!(bed.pve.firewall_enabled().await.unwrap());
    let rights = bed.pve.permissions().await.unwrap();
    assert!(
        rights.has(&format!("/pool/{}", bed.sim.pool), "VM.Allocate"),
        "{rights:?}"
    );
    assert!(!rights.has("/vms", "VM.Audit"));
    let all = bed.pve.resources().await.unwrap();
    assert_eq!(all.nodes.len(), 3);
    assert!(all.vm(bed.template).unwrap().template);
    let storage = bed
        .pve
        .storage_status(&bed.node, &"local".parse().unwrap())
        .await
        .unwrap();
    assert!(storage.active && storage.content.iter().any(|kind| kind == "images"));
    let pool = bed.pve.pool(&bed.sim.pool).await.unwrap().unwrap();
    assert!(pool.members.is_empty());
}

#[tokio::test]
async fn a_clone_is_configured_and_grown() {
    let bed = Bed::start().await;
    let (pve, node) = (&bed.pve, &bed.node);
    assert!(pve.vmid_free(vmid(5001)).await.unwrap());
    let vm = bed.made(5001).await;
    assert!(!pve.vmid_free(vm).await.unwrap());
    assert_eq!(
        pve.pool(&bed.sim.pool).await.unwrap().unwrap().members[0].vmid,
        vm
    );

    let before = pve.vm_config(node, vm).await.unwrap();
    assert_eq!(find(before.description()), Found::One(stamp()));
    let change = set(&[("cores", "2"), ("memory", "2048"), ("protection", "1")]);
    pve.put_config(node, vm, &change, Some(&before.digest))
        .await
        .unwrap();
    let after = pve.vm_config(node, vm).await.unwrap();
    assert_eq!(
        (after.get("cores"), after.get("memory")),
        (Some("2"), Some("2048"))
    );
    let stale = pve
        .put_config(node, vm, &change, Some(&before.digest))
        .await
        .unwrap_err();
    assert_eq!(stale.class(), Class::Conflict);

    let task = pve.resize(node, vm, ("scsi0", 20 << 30), None).await.unwrap();
    assert_eq!(bed.ended(&task.unwrap()).await, Exit::Ok);
    assert!(
        pve.vm_config(node, vm)
            .await
            .unwrap()
            .get("scsi0")
            .unwrap()
            .contains("size=20G")
    );
    let stale = pve
        .resize(node, vm, ("scsi0", 21 << 30), Some(&"0".repeat(40)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bed.ended(&stale).await.class(), Some(Class::Conflict));
    let shrink = pve
        .resize(node, vm, ("scsi0", 1 << 30), None)
        .await
        .unwrap()
        .unwrap();
    assert!(!bed.ended(&shrink).await.succeeded());
}

#[tokio::test]
async fn a_machine_is_started_stopped_unprotected_and_deleted() {
    let bed = Bed::start().await;
    let (pve, node) = (&bed.pve, &bed.node);
    let vm = bed.made(5010).await;
    pve.put_config(node, vm, &set(&[("protection", "1")]), None)
        .await
        .unwrap();
    assert_eq!(bed.ended(&pve.start(node, vm).await.unwrap()).await, Exit::Ok);
    assert_eq!(
        pve.vm_current(node, vm).await.unwrap().status,
        PowerStatus::Running
    );
    assert_eq!(
        pve.delete_vm(node, vm).await.unwrap_err().class(),
        Class::Conflict,
        "it is protected and runs"
    );
    assert_eq!(
        bed.ended(&pve.shutdown(node, vm, 5).await.unwrap()).await,
        Exit::Ok
    );
    assert_eq!(bed.ended(&pve.stop(node, vm).await.unwrap()).await, Exit::Ok);
    assert_eq!(
        pve.vm_current(node, vm).await.unwrap().status,
        PowerStatus::Stopped
    );
    assert_eq!(
        pve.delete_vm(node, vm).await.unwrap_err().class(),
        Class::Conflict,
        "it is protected"
    );
    let digest = pve.vm_config(node, vm).await.unwrap().digest;
    pve.put_config(node, vm, &set(&[("protection", "0")]), Some(&digest))
        .await
        .unwrap();
    assert_eq!(bed.ended(&pve.delete_vm(node, vm).await.unwrap()).await, Exit::Ok);
    assert!(pve.vmid_free(vm).await.unwrap());
    assert!(matches!(
        pve.vm_config(node, vm).await.unwrap_err().class(),
        Class::Denied { .. }
    ));
}

#[tokio::test]
async fn firewall_options_are_written_and_read_back() {
    let bed = Bed::start().await;
    let (pve, node) = (&bed.pve, &bed.node);
    let vm = bed.made(5002).await;
    let options = set(&[
        ("enable", "1"),
        ("policy_in", "DROP"),
        ("ipfilter", "1"),
        ("macfilter", "1"),
        ("ndp", "0"),
    ]);
    pve.put_firewall_options(node, vm, &options, None).await.unwrap();
    assert_eq!(pve.firewall_options(node, vm).await.unwrap().values, options.set);
    let stale = pve
        .put_firewall_options(node, vm, &options, Some("0000"))
        .await
        .unwrap_err();
    assert_eq!(stale.class(), Class::Conflict);
}

#[tokio::test]
async fn a_new_rule_is_the_first_one() {
    let bed = Bed::start().await;
    let (pve, node) = (&bed.pve, &bed.node);
    let vm = bed.made(5011).await;
    for rule in [
        rule("ACCEPT", "0.0.0.0/0"),
        rule("DROP", "10.64.0.0/16"),
        rule("ACCEPT", "10.64.0.1"),
    ] {
        pve.post_rule(node, vm, &rule).await.unwrap();
    }
    let rules = pve.firewall_rules(node, vm).await.unwrap();
    let order: Vec<_> = rules
        .iter()
        .map(|rule| (rule.pos, rule.source.as_deref().unwrap(), rule.enable))
        .collect();
    assert_eq!(
        order,
        [
            (0, "10.64.0.1", true),
            (1, "10.64.0.0/16", true),
            (2, "0.0.0.0/0", true)
        ]
    );
    pve.delete_rule(node, vm, 1, rules[1].digest.as_deref())
        .await
        .unwrap();
    let left = pve.firewall_rules(node, vm).await.unwrap();
    assert!(left.iter().all(|rule| rule.action == "ACCEPT") && left.len() == 2);
    assert_eq!(
        pve.delete_rule(node, vm, 77, None).await.unwrap_err().class(),
        Class::Gone
    );
}

#[tokio::test]
async fn an_address_set_is_filled_and_emptied() {
    const SET: &str = "ipfilter-net0";
    let bed = Bed::start().await;
    let (pve, node) = (&bed.pve, &bed.node);
    let vm = bed.made(5012).await;
    pve.create_ipset(node, vm, SET).await.unwrap();
    assert_eq!(
        pve.create_ipset(node, vm, SET).await.unwrap_err().class(),
        Class::Conflict
    );
    for cidr in ["10.64.0.10", "10.65.0.0/24"] {
        pve.add_cidr(node, vm, SET, cidr).await.unwrap();
    }
    assert_eq!(
        pve.add_cidr(node, vm, SET, "10.64.0.10")
            .await
            .unwrap_err()
            .class(),
        Class::Conflict
    );
    let cidrs: Vec<String> = pve
        .ipset(node, vm, SET)
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.cidr)
        .collect();
    assert_eq!(cidrs, ["10.64.0.10", "10.65.0.0/24"]);
    for cidr in &cidrs {
        pve.delete_cidr(node, vm, SET, cidr).await.unwrap();
    }
    assert!(pve.ipset(node, vm, SET).await.unwrap().is_empty());
    assert_eq!(
        pve.ipset(node, vm, "nope").await.unwrap_err().class(),
        Class::Gone
    );
}

#[tokio::test]
async fn a_lost_race_is_known_at_once_or_at_the_end() {
    let bed = Bed::start().await;
    bed.made(5003).await;
    let class = match bed.clone(5003).await {
        Err(error) => error.class(),
        Ok(task) => bed.ended(&task).await.class().unwrap(),
    };
    assert_eq!(class, Class::LostRace);
}

#[tokio::test]
async fn our_tasks_are_found_and_their_log_names_the_new_machine() {
    let bed = Bed::start().await;
    let task = bed.clone(5004).await.unwrap();
    bed.ended(&task).await;
    let query = TaskQuery {
        source: TaskSource::All,
        since: Some(task.started()),
    };
    let tasks = bed.pve.node_tasks(&bed.node, query).await.unwrap();
    let mine = tasks.iter().find(|row| row.upid == task).unwrap();
    let owner = format!("{}!{}", mine.user, mine.token.as_deref().unwrap_or_default());
    assert!(bed.sim.token.starts_with(&owner));
    assert_eq!(
        (mine.exit.as_ref(), mine.upid.kind()),
        (Some(&Exit::Ok), "qmclone")
    );
    let log = bed.pve.task_log(&task, 1).await.unwrap();
    assert!(log.len() == 1 && log[0].contains("with ID 5004"), "{log:?}");
}

#[tokio::test]
async fn a_task_is_asked_for_at_the_node_that_its_id_names() {
    let bed = Bed::start().await;
    let (node, template) = bed.sim.templates[1].clone();
    let (home, wish) = (node.parse().unwrap(), bed.wish(5007));
    let task = bed.pve.clone_vm(&home, vmid(template), &wish).await.unwrap();
    assert_eq!((task.node(), bed.ended(&task).await), (node.as_str(), Exit::Ok));
    // Elsewhere nobody knows it.
    let elsewhere = task.to_string().replacen(&node, bed.node.as_ref(), 1);
    let refused = bed
        .pve
        .task_status(&elsewhere.parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(refused.class(), Class::Gone, "{refused}");
}

#[tokio::test]
async fn an_answer_lost_after_the_effect_is_ambiguous_and_the_effect_is_there_once() {
    let bed = Bed::start().await;
    let fault =
        json!({"match": {"method": "POST", "path": "/nodes/{node}/qemu/{vmid}/clone"}, "act": "drop_after"});
    bed.turn("/faults", &fault).await;
    let error = bed.clone(5005).await.unwrap_err();
    assert!(error.is_ambiguous(), "{error}");
    let query = TaskQuery {
        source: TaskSource::All,
        since: None,
    };
    let tasks = bed.pve.node_tasks(&bed.node, query).await.unwrap();
    let [found] = tasks.as_slice() else {
        panic!("not one task: {tasks:?}")
    };
    assert_eq!(bed.ended(&found.upid).await, Exit::Ok);
    let config = bed.pve.vm_config(&bed.node, vmid(5005)).await.unwrap();
    assert_eq!(find(config.description()), Found::One(stamp()));
}

#[tokio::test]
async fn a_failed_task_says_its_class() {
    let bed = Bed::start().await;
    let text = "can't lock file '/var/lock/qemu-server/lock-130.conf' - got timeout";
    let fault = json!({"match": {"path": "/nodes/{node}/qemu/{vmid}/clone"}, "act": {"fail_task": {"exitstatus": text}}});
    bed.turn("/faults", &fault).await;
    let exit = bed.ended(&bed.clone(5006).await.unwrap()).await;
    assert_eq!(exit.class(), Some(Class::Locked), "{exit:?}");
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let bed = Bed::start().await;
    let path = format!("/vms/{}", bed.template);
    bed.turn(
        "/privileges/revoke",
        &json!({"path": path, "privilege": "VM.Clone"}),
    )
    .await;
    let missing = MissingPrivilege {
        path,
        privilege: "VM.Clone".into(),
    };
    assert_eq!(
        bed.clone(5007).await.unwrap_err().class(),
        Class::Denied {
            privilege: Some(missing)
        }
    );
}

#[tokio::test]
async fn wrong_token_wrong_certificate_and_closed_door_are_told_apart() {
    let bed = Bed::start().await;
    let good = Trust::Ca(bed.sim.ca_pem.clone());
    let open = |trust: Trust, token: &str| Pve::new(&config(&bed.sim, trust, token)).unwrap();
    let token = bed.sim.token.replace('=', "=x");
    let denied = open(good, &token).resources().await.unwrap_err();
    assert_eq!(denied.class(), Class::Denied { privilege: None });
    let real: Fingerprint = bed.sim.fingerprint.parse().unwrap();
    let pinned = open(Trust::Fingerprint(real.0), &bed.sim.token);
    pinned.version().await.unwrap();
    let wrong = open(Trust::Fingerprint([7; 32]), &bed.sim.token)
        .version()
        .await
        .unwrap_err();
    assert_eq!(
        wrong.transport(),
        Some(TransportKind::Tls {
            presented: Some(real)
        })
    );
    bed.turn("/refuse-connections", &json!({"on": true})).await;
    let closed = open(Trust::Fingerprint(real.0), &bed.sim.token)
        .version()
        .await
        .unwrap_err();
    assert!(
        !closed.is_ambiguous() && closed.class() == Class::Retryable { after: None },
        "{closed}"
    );
}

#[tokio::test]
async fn a_missing_machine_is_gone_to_those_who_may_know() {
    let bed = Bed::start().await;
    let root = Pve::new(&config(
        &bed.sim,
        Trust::Ca(bed.sim.ca_pem.clone()),
        &bed.sim.root_token,
    ))
    .unwrap();
    assert_eq!(
        root.vm_config(&bed.node, vmid(7777)).await.unwrap_err().class(),
        Class::Gone
    );
    let started = root.start(&bed.node, vmid(7777)).await.unwrap();
    let ended = root.await_task(&started, BUDGET).await.unwrap();
    let TaskStatus::Ended { exit } = ended else {
        unreachable!("{started} still runs")
    };
    assert_eq!(exit.class(), Some(Class::Gone));
    let unknown: Upid = "UPID:pve1:0000FFFF:0002B35E:6AFFD571:qmclone:9000:a@pve!b:"
        .parse()
        .unwrap();
    assert_eq!(root.task_status(&unknown).await.unwrap_err().class(), Class::Gone);
    let tagged = BTreeMap::from([("tags".to_owned(), "a b".to_owned())]);
    let change = Change {
        set: tagged,
        delete: vec!["tags".to_owned()],
    };
    let vm = bed.made(5008).await;
    assert_eq!(
        bed.pve
            .put_config(&bed.node, vm, &change, None)
            .await
            .unwrap_err()
            .class(),
        Class::Bug
    );
}
