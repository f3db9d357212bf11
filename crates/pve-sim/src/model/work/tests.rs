//! Work that goes wrong, each in the recorded words and at the recorded time.

use super::super::bed::{begin, clone_job, cloned, cluster, destroy, end, grow, pass, power, run, volumes};
use super::super::locks::LockFile;
use super::super::storage::{Health, Storage};
use super::*;

const LOCK: &str = "can't lock file '/var/lock/qemu-server/lock-200.conf' - got timeout";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn full(newid: u32, storage: &str) -> Job {
    Job::Clone(CloneJob {
        storage: Some(storage.to_owned()),
        full: true,
        ..clone_job(newid)
    })
}

fn number(world: &World, upid: &str) -> u64 {
    world.tasks.number(upid).unwrap()
}

#[test]
fn a_worker_killed_while_it_copies_leaves_a_locked_guest_and_an_image_that_no_configuration_names() {
    let mut world = cluster();
    let upid = begin(&mut world, "pve1", full(211, "local"));
    pass(&mut world, 200);
    let task = number(&world, &upid);
    kill(&mut world, task);
    assert_eq!(end(&world, &upid).unwrap(), "unexpected status");
    let config = &world.vms[&211].config;
    assert_eq!((config.lock(), config.get("scsi0")), (Some("clone"), None));
    assert_eq!(world.pools.of(211), None);
    assert!(volumes(&world, "local", 211).contains(&"211/vm-211-disk-0.qcow2".to_owned()));
    // It stays for ever.
    pass(&mut world, 3_600_000);
    let removal = destroy(&mut world, 211);
    assert_eq!(run(&mut world, &removal), ("VM is locked (clone)".to_owned(), 0));
    for kind in [PowerKind::Stop, PowerKind::Shutdown] {
        let upid = power(&mut world, 211, kind);
        assert_eq!(
            run(&mut world, &upid).0,
            "OK",
            "a stopped guest is stopped already"
        );
    }
    // What root removes by hand leaves the image behind, and the next clone counts on.
    let left = world.erase(211).unwrap();
    world.erase_volumes(&left, false);
    assert_eq!(volumes(&world, "local", 211), ["211/vm-211-disk-0.qcow2"]);
    cloned(&mut world, 211);
    let disk = world.vms[&211].config.get("scsi0").unwrap();
    assert_eq!(
        disk,
        "local:9000/base-9000-disk-0.qcow2/211/vm-211-disk-1.qcow2,size=2G"
    );
}

#[test]
fn an_interrupted_clone_leaves_nothing_but_what_was_there_before() {
    let mut world = cluster();
    let upid = begin(&mut world, "pve1", full(212, "local"));
    pass(&mut world, 200);
    let task = number(&world, &upid);
    interrupt(&mut world, task);
    let end = end(&world, &upid).unwrap();
    assert!(
        end.starts_with("clone failed: copy failed: command '/usr/bin/qemu-img convert -p -n"),
        "{end}"
    );
    assert!(end.ends_with("' failed: interrupted by signal"), "{end}");
    assert!(!world.vms.contains_key(&212));
    assert_eq!(volumes(&world, "local", 212), Vec::<String>::new());
}

#[test]
fn quorum_lost_during_a_clone_leaves_the_target_locked() {
    let mut world = cluster();
    let upid = begin(&mut world, "pve1", Job::Clone(clone_job(200)));
    pass(&mut world, 150);
    world.datacenter.parted = true;
    let (end, _) = run(&mut world, &upid);
    let pid = world.tasks.find(&upid).unwrap().upid.pid;
    let denied = format!(
        "unable to open file '/etc/pve/nodes/pve1/qemu-server/200.conf.tmp.{pid}' - Permission denied"
    );
    assert_eq!(end, format!("clone failed: {denied}"));
    assert_eq!(world.vms[&200].config.lock(), Some("clone"));
}

#[test]
fn without_quorum_a_removal_destroys_the_disks_and_keeps_the_configuration() {
    let mut world = cluster();
    cloned(&mut world, 200);
    world.datacenter.parted = true;
    let upid = destroy(&mut world, 200);
    let pid = world.tasks.find(&upid).unwrap().upid.pid;
    // Recorded with 120 and the worker's own process id: …/120.conf.tmp.271
    let denied = format!(
        "unable to open file '/etc/pve/nodes/pve1/qemu-server/200.conf.tmp.{pid}' - Permission denied"
    );
    assert_eq!(run(&mut world, &upid).0, denied);
    assert!(world.vms.contains_key(&200));
    assert_eq!(volumes(&world, "local", 200), Vec::<String>::new());
    let upid = grow(&mut world, 200);
    assert_eq!(
        run(&mut world, &upid).0,
        "volume 'local:9000/base-9000-disk-0.qcow2/200/vm-200-disk-0.qcow2' does not exist"
    );
}

#[test]
fn a_start_right_after_a_shutdown_costs_the_next_act_its_lock() {
    let mut world = cluster();
    cloned(&mut world, 200);
    for kind in [PowerKind::Start, PowerKind::Shutdown, PowerKind::Start] {
        let upid = power(&mut world, 200, kind);
        assert_eq!(run(&mut world, &upid).0, "OK");
    }
    pass(&mut world, 1200);
    let upid = power(&mut world, 200, PowerKind::Stop);
    assert_eq!(run(&mut world, &upid), (LOCK.to_owned(), 10));
    pass(&mut world, 20_000);
    let upid = power(&mut world, 200, PowerKind::Stop);
    assert_eq!(run(&mut world, &upid).0, "OK");
    // Two seconds later nothing is in the way.
    pass(&mut world, 2000);
    for kind in [PowerKind::Start, PowerKind::Stop] {
        let upid = power(&mut world, 200, kind);
        assert_eq!(run(&mut world, &upid).0, "OK");
        pass(&mut world, 2000);
    }
}

#[test]
fn a_reboot_is_a_shutdown_and_a_start_of_its_own_by_root() {
    let mut world = cluster();
    cloned(&mut world, 200);
    let upid = power(&mut world, 200, PowerKind::Start);
    assert_eq!(run(&mut world, &upid).0, "OK");
    let upid = power(&mut world, 200, PowerKind::Reboot);
    assert_eq!(run(&mut world, &upid).0, "OK");
    assert_eq!(world.vms[&200].status(), "stopped");
    pass(&mut world, 3000);
    assert_eq!(world.vms[&200].status(), "running");
    let start = world.tasks.newest().next().unwrap();
    assert_eq!(
        (start.upid.kind.as_str(), start.upid.who.full()),
        ("qmstart", "root@pam".to_owned())
    );
}

#[test]
fn a_full_clone_locks_its_template_against_removal_but_not_against_clones() {
    let mut world = cluster();
    world.durations.full_clone = seconds(30).into();
    let copy = begin(&mut world, "pve1", full(200, "local"));
    pass(&mut world, 1000);
    cloned(&mut world, 201);
    let upid = destroy(&mut world, 9000);
    let lock = "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout";
    assert_eq!(run(&mut world, &upid), (lock.to_owned(), 10));
    assert_eq!(run(&mut world, &copy).0, "OK");
}

#[test]
fn a_held_storage_lock_fails_a_clone_after_ten_seconds() {
    let mut world = cluster();
    let file = world.storage_lock("local", "pve1");
    world.hold_lock(file, seconds(60)).unwrap();
    let upid = begin(&mut world, "pve1", Job::Clone(clone_job(200)));
    let text = "clone failed: can't lock file '/var/lock/pve-manager/pve-storage-local' - got timeout";
    assert_eq!(run(&mut world, &upid), (text.to_owned(), 10));
    assert!(!world.vms.contains_key(&200));
    // The other node has a lock of its own.
    let job = CloneJob {
        source: 9001,
        target: "pve2".to_owned(),
        ..clone_job(200)
    };
    let upid = begin(&mut world, "pve2", Job::Clone(job));
    assert_eq!(run(&mut world, &upid).0, "OK");
}

#[test]
fn linked_clones_take_turns_at_their_storage() {
    let mut world = cluster();
    let begun = world.now;
    let upids: Vec<String> = (200..206)
        .map(|newid| begin(&mut world, "pve1", Job::Clone(clone_job(newid))))
        .collect();
    for upid in upids {
        assert_eq!(run(&mut world, &upid).0, "OK");
    }
    let took = world.now.since(begun);
    assert!(
        took > Duration::from_millis(400) && took < Duration::from_millis(1200),
        "{took:?}"
    );
}

#[test]
fn a_full_storage_fails_the_copy_and_nothing_is_left() {
    let mut world = cluster();
    world
        .storages
        .insert("tiny".to_owned(), Storage::dir("tiny", false, 2 << 30));
    let upid = begin(&mut world, "pve1", full(502, "tiny"));
    let text = "clone failed: copy failed: command '/usr/bin/qemu-img convert -p -n -f qcow2 -O qcow2 \
                /var/lib/vz/images/9000/base-9000-disk-0.qcow2 zeroinit:/mnt/tiny/images/502/vm-502-disk-0.qcow2' \
                failed: exit code 1";
    assert_eq!(run(&mut world, &upid).0, text);
    assert!(!world.vms.contains_key(&502) && volumes(&world, "tiny", 502).is_empty());
}

#[test]
fn an_unmounted_or_disabled_storage_fails_the_task() {
    let mut world = cluster();
    world
        .storages
        .insert("nm".to_owned(), Storage::dir("nm", false, 1 << 40));
    world.storages.get_mut("nm").unwrap().health = Health::Unmounted;
    let upid = begin(&mut world, "pve1", full(502, "nm"));
    let text = "clone failed: unable to activate storage 'nm' - directory is expected to be a mount point but is not \
                mounted: '/mnt/nm'";
    assert_eq!(run(&mut world, &upid).0, text);
    cloned(&mut world, 200);
    world.storages.get_mut("local").unwrap().enabled = false;
    let upid = power(&mut world, 200, PowerKind::Start);
    assert_eq!(run(&mut world, &upid).0, "storage 'local' is disabled");
}

#[test]
fn a_task_on_a_dead_storage_hangs_deaf_to_signals_until_the_storage_is_back() {
    let mut world = cluster();
    world.storages.get_mut("local").unwrap().health = Health::Dead;
    let upid = begin(&mut world, "pve1", Job::Clone(clone_job(200)));
    assert_eq!(run(&mut world, &upid).0, "no end");
    let task = number(&world, &upid);
    interrupt(&mut world, task);
    pass(&mut world, 60_000);
    assert_eq!(end(&world, &upid), None);
    world.storages.get_mut("local").unwrap().health = Health::Fine;
    assert_eq!(run(&mut world, &upid).0, "clone failed: interrupted by signal");
    assert!(!world.vms.contains_key(&200));
}

#[test]
fn of_two_clones_into_one_id_the_loser_learns_it_at_the_end_of_its_task() {
    let mut world = cluster();
    let first = begin(&mut world, "pve1", Job::Clone(clone_job(200)));
    let second = begin(&mut world, "pve1", Job::Clone(clone_job(200)));
    let job = CloneJob {
        source: 9001,
        target: "pve2".to_owned(),
        ..clone_job(200)
    };
    let third = begin(&mut world, "pve2", Job::Clone(job));
    let mut ends = [first, second, third].map(|upid| run(&mut world, &upid).0);
    ends.sort();
    assert_eq!(
        ends,
        [
            "OK",
            "close (rename) atomic file '/etc/pve/nodes/pve2/qemu-server/200.conf' failed: File exists",
            "unable to create VM 200: config file already exists",
        ]
    );
}

#[test]
fn of_two_removals_one_finds_nothing() {
    let mut world = cluster();
    cloned(&mut world, 200);
    let (first, second) = (destroy(&mut world, 200), destroy(&mut world, 200));
    let mut ends = [first, second].map(|upid| run(&mut world, &upid).0);
    ends.sort();
    assert_eq!(
        ends,
        [
            "Configuration file 'nodes/pve1/qemu-server/200.conf' does not exist",
            "OK"
        ]
    );
}

#[test]
fn a_lock_file_in_other_hands_fails_a_task_after_ten_seconds() {
    let mut world = cluster();
    cloned(&mut world, 200);
    world.hold_lock(LockFile::Guest(200), seconds(11)).unwrap();
    let upid = destroy(&mut world, 200);
    assert_eq!(run(&mut world, &upid), (LOCK.to_owned(), 10));
    pass(&mut world, 1000);
    let upid = destroy(&mut world, 200);
    assert_eq!(run(&mut world, &upid).0, "OK");
}
