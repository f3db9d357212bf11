//! Calls that wait: for locks, for the cluster, for one of three workers. In virtual time.

use std::time::Duration;

use pve_sim::model::locks::LockFile;
use pve_sim::model::storage::Health;
use pve_sim::{Lab, LabRequest, LabResponse, SimConfig};

const SECOND: Duration = Duration::from_secs(1);
const TEMPLATE: &str = "/nodes/pve1/qemu/9000/config";

fn lab() -> Lab {
    Lab::new(&SimConfig::default())
}

fn request(lab: &Lab, method: &str, path: &str, form: &str) -> LabRequest {
    let secret = lab.world(|world| world.access.users["root@pam"].tokens["t1"].secret.clone());
    let form_type = ("content-type", "application/x-www-form-urlencoded");
    let authorization = format!("PVEAPIToken=root@pam!t1={secret}");
    LabRequest {
        method: method.to_owned(),
        target: format!("/api2/json{path}"),
        headers: [form_type, ("authorization", authorization.as_str())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        body: form.as_bytes().to_vec(),
    }
}

fn call(lab: &Lab, method: &str, path: &str, form: &str) -> LabResponse {
    lab.call(request(lab, method, path, form)).unwrap()
}

/// Status, reason and whole seconds.
fn line(answer: &LabResponse) -> (u16, &str, u64) {
    (answer.status, answer.reason.as_str(), answer.held.as_secs())
}

#[test]
fn a_template_that_is_being_copied_refuses_changes_after_ten_seconds() {
    let lab = lab();
    lab.world(|world| world.durations.full_clone = (30 * SECOND).into());
    let begun = call(&lab, "POST", "/nodes/pve1/qemu/9000/clone", "newid=501&full=1");
    assert_eq!(begun.status, 200);
    lab.pass(SECOND);
    let put = call(&lab, "PUT", TEMPLATE, "description=x");
    let text = "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout";
    assert_eq!(line(&put), (500, text, 10));
}

#[test]
fn a_held_storage_lock_refuses_a_new_disk_after_ten_seconds_and_nothing_is_changed() {
    let lab = lab();
    let digest = lab.world(|world| world.vms[&9000].digest());
    lab.world(|world| {
        let file = world.storage_lock("local", "pve1");
        world.hold_lock(file, 60 * SECOND).unwrap();
    });
    let put = call(&lab, "PUT", TEMPLATE, "scsi1=local:1&description=x");
    let text = "can't lock file '/var/lock/pve-manager/pve-storage-local' - got timeout";
    assert_eq!(line(&put), (500, text, 10));
    assert_eq!(lab.world(|world| world.vms[&9000].digest()), digest);
}

#[test]
fn without_quorum_users_and_pools_are_refused_after_ten_seconds_and_reads_go_on() {
    let lab = lab();
    lab.world(|world| world.datacenter.parted = true);
    let pool = call(&lab, "POST", "/pools", "poolid=fleet");
    let text = "create pool failed: cfs-lock 'file-user_cfg' error: no quorum!";
    assert_eq!(line(&pool), (500, text, 10));
    for path in [
        "/cluster/nextid",
        TEMPLATE,
        "/cluster/resources",
        "/cluster/status",
    ] {
        assert_eq!(line(&call(&lab, "GET", path, "")), (200, "OK", 0), "{path}");
    }
}

#[test]
fn three_calls_that_wait_for_locks_keep_a_nodes_daemon_busy_and_no_other() {
    let lab = lab();
    lab.world(|world| {
        for vmid in [9000, 9001, 9002] {
            world.hold_lock(LockFile::Guest(vmid), 60 * SECOND).unwrap();
        }
    });
    let mut requests = vec![request(&lab, "PUT", TEMPLATE, "description=x"); 3];
    for path in [
        "/nodes/pve1/qemu/9000/status/current",
        "/nodes/pve2/qemu/9001/status/current",
        TEMPLATE,
    ] {
        requests.push(request(&lab, "GET", path, ""));
    }
    let answers: Vec<LabResponse> = lab.calls(requests).into_iter().flatten().collect();
    let seen: Vec<(u16, u64)> = answers
        .iter()
        .map(|answer| (answer.status, answer.held.as_secs()))
        .collect();
    let waited = (500, 10);
    assert_eq!(seen, [waited, waited, waited, (200, 10), (200, 0), (200, 0)]);
}

#[test]
fn three_agents_that_do_not_answer_keep_a_nodes_daemon_busy_for_three_seconds() {
    let lab = lab();
    let made = call(&lab, "POST", "/nodes/pve1/qemu/9000/clone", "newid=501");
    assert_eq!(made.status, 200);
    lab.pass(60 * SECOND);
    let config = "/nodes/pve1/qemu/501/config";
    assert_eq!(call(&lab, "PUT", config, "agent=1&memory=16").status, 200);
    assert_eq!(
        call(&lab, "POST", "/nodes/pve1/qemu/501/status/start", "").status,
        200
    );
    while lab.world(|world| !world.vms[&501].running()) {
        lab.pass(SECOND / 10);
    }
    let ping = request(&lab, "POST", "/nodes/pve1/qemu/501/agent/ping", "");
    let mut requests = vec![ping; 3];
    requests.push(request(&lab, "GET", "/nodes/pve1/qemu/501/status/current", ""));
    requests.push(request(&lab, "GET", "/nodes/pve2/qemu/9001/status/current", ""));
    let answers: Vec<LabResponse> = lab.calls(requests).into_iter().flatten().collect();
    let seen: Vec<(u16, &str, u64)> = answers.iter().map(line).collect();
    let silent = (500, "QEMU guest agent is not running", 3);
    assert_eq!(seen, [silent, silent, silent, (200, "OK", 3), (200, "OK", 0)]);
}

#[test]
fn a_dead_storage_keeps_the_workers_that_touched_it_until_it_is_back() {
    let lab = lab();
    let health = |health| lab.world(|world| world.storages.get_mut("local").unwrap().health = health);
    health(Health::Dead);
    let touch = vec![request(&lab, "GET", "/nodes/pve1/storage/local/content", ""); 3];
    for answer in lab.calls(touch).iter().flatten() {
        assert_eq!(line(answer), (596, "Connection timed out", 30));
    }
    let current = "/nodes/pve1/qemu/9000/status/current";
    assert_eq!(
        line(&call(&lab, "GET", current, "")),
        (596, "Connection timed out", 30)
    );
    assert_eq!(call(&lab, "GET", TEMPLATE, "").status, 200);
    assert_eq!(
        call(&lab, "GET", "/nodes/pve2/qemu/9001/status/current", "").status,
        200
    );
    health(Health::Fine);
    assert_eq!(line(&call(&lab, "GET", current, "")), (200, "OK", 0));
}
