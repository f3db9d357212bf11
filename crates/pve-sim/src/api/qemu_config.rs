//! A guest's configuration: read, change at once or in a worker, what waits for a restart, growing a disk.

use serde_json::{Value, json};

use crate::model::change::{self, Change, is_known_key};
use crate::model::config::{VmConfig, is_disk_key, shown_value};
use crate::model::privileges::{Needs, needed_for};
use crate::model::refusal::Refusal;
use crate::model::values::{are_ssh_keys, parse_net};
use crate::model::work::{self, ConfigJob, Job, ResizeJob};

use super::call::Call;
use super::params::Raw;
use super::reply::{Answer, Fault, Reply, sync};
use super::spec::Kind::{Bool, Form, Short};
use super::spec::{Param, opt, req};

/// What resize takes.
pub const RESIZE: &[Param] = &[
    req("disk", Form(check_disk)),
    req("size", Form(check_size)),
    opt("digest", Short(40)),
    opt("skiplock", Bool),
];

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
    if params.flag("skiplock") {
        return Err(Fault::param("skiplock", "Only root may use this option."));
    }
    let mut change = Change {
        digest: params.filled("digest").map(str::to_owned),
        ..Change::default()
    };
    for (key, value) in params.iter().filter(|(key, _)| !CONTROL.contains(key)) {
        if let Raw::One(value) = value {
            change.set.insert(key.to_owned(), value.clone());
        }
    }
    let listed = params.text("delete").unwrap_or_default().split([',', ';', ' ']);
    change.delete = listed.filter(|key| !key.is_empty()).map(str::to_owned).collect();
    if change.set.is_empty() && change.delete.is_empty() && params.filled("revert").is_none() {
        return Err(Fault::died("no options specified"));
    }
    if change.set.get("sshkeys").is_some_and(|keys| !are_ssh_keys(keys)) {
        return Err(Fault::died("SSH public key validation error"));
    }
    check_deletes(&change)?;
    check_privileges(call, &change)?;
    let vm = call.vm()?;
    if let Some(lock) = vm.config.lock() {
        return Err(sync(Refusal::locked(lock)));
    }
    call.world.check_flock(vm.vmid).map_err(sync)?;
    Ok(change)
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

fn check_privileges(call: &Call<'_>, change: &Change) -> Result<(), Fault> {
    let none = VmConfig::default();
    let config = call.vm().map_or(&none, |vm| &vm.config);
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
            Needs::Root => return Err(Fault::died(format!("only root can set '{key}' config"))),
        }
        check_places(call, key, value)?;
    }
    Ok(())
}

/// The rights on what a value names: a bridge, a storage.
fn check_places(call: &Call<'_>, key: &str, value: &str) -> Result<(), Fault> {
    if key.starts_with("net") {
        if let Some(bridge) = parse_net(value).ok().as_ref().and_then(|net| net.bridge()) {
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
    if call.params.flag("skiplock") {
        return Err(Fault::param("skiplock", "Only root may use this option."));
    }
    let text = |name: &str| call.params.text(name).unwrap_or_default().to_owned();
    let digest = call.params.filled("digest").map(str::to_owned);
    let job = ResizeJob {
        vmid: call.vmid(),
        disk: text("disk"),
        size: text("size"),
        digest,
    };
    let (node, vmid) = (call.node(), call.vmid());
    Answer::of(work::spawn(
        call.world,
        &node,
        ("resize", vmid),
        call.who,
        Job::Resize(job),
    ))
}

fn disk_names() -> Vec<String> {
    let counts = [
        ("ide", 4),
        ("scsi", 31),
        ("virtio", 16),
        ("sata", 6),
        ("efidisk", 1),
        ("tpmstate", 1),
    ];
    counts
        .into_iter()
        .flat_map(|(name, count)| (0..count).map(move |index| format!("{name}{index}")))
        .collect()
}

fn check_disk(value: &str) -> Result<(), String> {
    let names = disk_names();
    if names.iter().any(|name| name == value) {
        return Ok(());
    }
    Err(format!(
        "value '{value}' does not have a value in the enumeration '{}'",
        names.join(", ")
    ))
}

fn check_size(value: &str) -> Result<(), String> {
    let size = value.strip_prefix('+').unwrap_or(value);
    let digits = size.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(size);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if number(whole) && number(part) {
        Ok(())
    } else {
        Err("value does not match the regex pattern".to_owned())
    }
}
