//! A guest's configuration: read, change at once or in a worker, what waits for a restart, growing a disk.

use serde_json::{Value, json};

use crate::model::change::{self, Change, is_known_key};
use crate::model::config::{VmConfig, is_disk_key, shown_value};
use crate::model::privileges::{Needs, needed_for};
use crate::model::refusal::Refusal;
use crate::model::storage::split_volid;
use crate::model::values::{are_ssh_keys, parse_net};
use crate::model::work::{self, ConfigJob, Job, ResizeJob};

use super::call::Call;
use super::params::Raw;
use super::reply::{Answer, Fault, Reply, sync};
use super::schema::split_list;
use super::tags;

/// Parameters that are no configuration keys.
const CONTROL: &[&str] = &[
    "digest",
    "delete",
    "revert",
    "force",
    "skiplock",
    "background_delay",
];

/// GET /nodes/{node}/qemu/{vmid}/config
pub fn get(call: &mut Call<'_>) -> Reply {
    let vm = call.vm()?;
    let config = if call.params.flag("current") {
        vm.config.clone()
    } else {
        vm.future()
    };
    let mut shown = config.shown();
    shown.insert("digest".to_owned(), Value::from(vm.digest()));
    Answer::of(shown)
}

/// GET /nodes/{node}/qemu/{vmid}/pending
pub fn pending(call: &mut Call<'_>) -> Reply {
    let vm = call.vm()?;
    let mut list = vec![json!({"key": "digest", "value": vm.digest()})];
    for (key, value) in vm.config.iter() {
        let mut entry = json!({"key": key, "value": shown_value(key, value)});
        match vm.pending.get(key) {
            Some(Some(value)) => entry["pending"] = shown_value(key, value),
            Some(None) => entry["delete"] = Value::from(1),
            None => {}
        }
        list.push(entry);
    }
    let new = vm.pending.iter().filter(|(key, _)| vm.config.get(key).is_none());
    let new = new.filter_map(|(key, value)| Some((key, value.as_ref()?)));
    list.extend(new.map(|(key, value)| json!({"key": key, "pending": shown_value(key, value)})));
    Answer::of(list)
}

/// PUT /nodes/{node}/qemu/{vmid}/config
pub fn put(call: &mut Call<'_>) -> Reply {
    let change = prepare(call)?;
    let (node, vmid) = (call.node(), call.vmid());
    change::apply(call.world, &node, vmid, &change).map_err(sync)?;
    Answer::null()
}

/// POST /nodes/{node}/qemu/{vmid}/config
pub fn post(call: &mut Call<'_>) -> Reply {
    let change = prepare(call)?;
    let (node, vmid) = (call.node(), call.vmid());
    if change
        .digest
        .as_ref()
        .is_some_and(|digest| call.vm().is_ok_and(|vm| *digest != vm.digest()))
    {
        return Err(sync(Refusal::stale()));
    }
    let job = Job::Config(ConfigJob { vmid, change });
    let upid = work::spawn(call.world, &node, ("qmconfig", vmid), call.who, job);
    if call.params.text("background_delay").is_some() {
        Answer::null()
    } else {
        Answer::of(upid)
    }
}

/// The change that a request asks for, after every check but those of the write itself.
fn prepare(call: &Call<'_>) -> Result<Change, Fault> {
    let params = call.params;
    call.only_root("skiplock")?;
    let mut change = Change {
        digest: params.filled("digest").map(str::to_owned),
        ..Change::default()
    };
    for (key, value) in params.iter().filter(|(key, _)| !CONTROL.contains(key)) {
        if let Raw::One(value) = value {
            change.set.insert(key.to_owned(), value.clone());
        }
    }
    let listed = split_list(params.text("delete").unwrap_or_default());
    change.delete = listed.map(str::to_owned).collect();
    if change.set.is_empty() && change.delete.is_empty() && params.filled("revert").is_none() {
        return Err(Fault::died("no options specified"));
    }
    check_values(call, &change)?;
    check_deletes(&change)?;
    let none = VmConfig::default();
    check_privileges(call, call.vm().map_or(&none, |vm| &vm.config), &change)?;
    let vm = call.vm()?;
    if let Some(lock) = vm.config.lock() {
        return Err(sync(Refusal::locked(lock)));
    }
    call.world.check_flock(vm.vmid).map_err(sync)?;
    Ok(change)
}

/// Checks that no form can express.
pub fn check_values(call: &Call<'_>, change: &Change) -> Result<(), Fault> {
    if change.set.get("sshkeys").is_some_and(|keys| !are_ssh_keys(keys)) {
        return Err(Fault::died("SSH public key validation error"));
    }
    if let Some(script) = change.set.get("hookscript") {
        let (storage, name) = split_volid(script).unwrap_or_default();
        let storage = call.world.storages.get(storage);
        let there =
            storage.is_some_and(|storage| storage.files(call.segment("node")).any(|(file, _)| file == name));
        // No call can make a file one that may be executed.
        let wrong = if there {
            "is not executable"
        } else {
            "does not exist"
        };
        return Err(Fault::param("hookscript", format!("script '{script}' {wrong}\n")));
    }
    Ok(())
}

fn check_deletes(change: &Change) -> Result<(), Fault> {
    for key in &change.delete {
        if change.set.contains_key(key) {
            let text = format!("you can't use '-{key}' and -delete {key}' at the same time");
            return Err(Fault::param("delete", text));
        }
        if !is_known_key(key) {
            return Err(Fault::param("delete", format!("unknown option '{key}'")));
        }
    }
    Ok(())
}

/// The rights on what a change touches of a configuration.
pub fn check_privileges(call: &Call<'_>, config: &VmConfig, change: &Change) -> Result<(), Fault> {
    let sets = change
        .set
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let deletes = change
        .delete
        .iter()
        .map(|key| (key.as_str(), config.get(key).unwrap_or_default()));
    for (key, value) in deletes.chain(sets) {
        let cdrom = value.contains("media=cdrom") || value.contains("cloudinit") || value.starts_with("none");
        match needed_for(key, cdrom) {
            Needs::OneOf(privileges) => call.need_vm(privileges)?,
            Needs::SysModify => call.need("/", &["Sys.Modify"])?,
            Needs::Root if call.is_root() => {}
            Needs::Root => return Err(Fault::died(format!("only root can set '{key}' config"))),
        }
        check_places(call, key, value)?;
    }
    if change.set.contains_key("tags") || change.delete.iter().any(|key| key == "tags") {
        let new = change.set.get("tags").map_or("", String::as_str);
        tags::check(call, config.get("tags").unwrap_or_default(), new)?;
    }
    Ok(())
}

/// The rights on what a value names: a bridge, a storage.
fn check_places(call: &Call<'_>, key: &str, value: &str) -> Result<(), Fault> {
    if key.starts_with("net") {
        if let Some(bridge) = parse_net(value).as_ref().and_then(|net| net.bridge()) {
            call.need(&format!("/sdn/zones/localnetwork/{bridge}"), &["SDN.Use"])?;
        }
    } else if is_disk_key(key)
        && let Some((storage, size)) = value.split(',').next().and_then(|volid| volid.split_once(':'))
        && size.parse::<f64>().is_ok()
    {
        call.world.storage(storage).map_err(sync)?;
        call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    Ok(())
}

/// PUT /nodes/{node}/qemu/{vmid}/resize
pub fn resize(call: &mut Call<'_>) -> Reply {
    call.only_root("skiplock")?;
    let text = |name: &str| call.params.text(name).unwrap_or_default().to_owned();
    let digest = call.params.filled("digest").map(str::to_owned);
    let job = ResizeJob {
        vmid: call.vmid(),
        disk: text("disk"),
        size: text("size"),
        digest,
    };
    let (node, vmid) = (call.node(), call.vmid());
    let job = Job::Resize(job);
    let upid = work::spawn(call.world, &node, ("resize", vmid), call.who, job);
    if call.world.version.resizes_in_tasks() {
        return Answer::of(upid);
    }
    finish_now(call, &upid)
}

/// The end of a task as the answer of the call itself, as it was before there was a task.
fn finish_now(call: &mut Call<'_>, upid: &str) -> Reply {
    for _ in 0..2 {
        if let Some(number) = call.world.tasks.number(upid) {
            work::run_step(call.world, number);
        }
    }
    let end = call.world.tasks.find(upid).and_then(|task| task.end.as_ref());
    match end.filter(|end| end.status != "OK") {
        Some(end) => Err(Fault::died(end.status.clone())),
        None => Answer::null(),
    }
}
