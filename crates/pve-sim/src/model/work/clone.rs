//! qmclone: the target appears locked and empty, then configured, then whole, and joins its pool at the very end.
//! Its images are there before its configuration names them: what is killed in between leaves them behind.

use serde::{Deserialize, Serialize};

use super::super::config::{VmConfig, format_size, is_disk_key, size_of};
use super::super::locks::{Holder, LockFile};
use super::super::pace::Span;
use super::super::refusal::{Outcome, Refusal};
use super::super::storage::{Volume, drive_volid, own_name, split_volid};
use super::super::values;
use super::super::vm::Vm;
use super::super::world::World;
use super::{Next, Step, log};

/// What to clone into what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloneJob {
    /// The source.
    pub source: u32,
    /// The new id.
    pub newid: u32,
    /// The new name.
    pub name: Option<String>,
    /// The new description; none: the source's.
    pub description: Option<String>,
    /// The pool that the clone joins.
    pub pool: Option<String>,
    /// The storage for full copies.
    pub storage: Option<String>,
    /// The node on which the clone ends up.
    pub target: String,
    /// Whether disks are copied.
    pub full: bool,
    /// How many KiB are copied in a second at most.
    #[serde(default)]
    pub bwlimit: Option<u64>,
}

impl CloneJob {
    /// How long it takes.
    pub fn span(&self, world: &World) -> Span {
        if self.full {
            world.durations.full_clone
        } else {
            world.durations.clone
        }
    }

    /// One step. A linked clone holds the lock of its storage for a fifth of its time, a full one only to begin.
    pub fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        let tenth = self.span(world).at(step.pace) / 10;
        let (before, copying) = if self.full { (1, 6) } else { (5, 2) };
        match step.stage {
            0 => self.reserve(world, step).map(|()| Next::After(tenth * 2)),
            1 => self.configure(world, step).map(|()| Next::After(tenth * before)),
            2 => self.allocate(world, step).map(|()| Next::After(tenth * copying)),
            _ => self.finish(world, step).map(|()| Next::Done),
        }
    }

    fn reserve(&self, world: &mut World, step: &Step) -> Outcome<()> {
        world.check_writable_by(&self.file(step), step.task)?;
        world.lock_shared(self.source, step.task)?;
        let here = |vm: &Vm| vm.node == step.node;
        if world.vms.get(&self.newid).is_some_and(here) {
            return Err(Refusal::taken(self.newid));
        }
        log(
            world,
            step.task,
            format!("creating a clone of VM {} with ID {}", self.source, self.newid),
        );
        if world.vms.contains_key(&self.newid) {
            let path = format!("/etc/pve/{}", self.file(step));
            return Err(Refusal::died(format!(
                "close (rename) atomic file '{path}' failed: File exists"
            )));
        }
        world.vm(&step.node, self.source)?;
        world.lock_alone(self.newid, step.task)?;
        let config = VmConfig::of([("description", " qmclone temporary file"), ("lock", "clone")]);
        world
            .vms
            .insert(self.newid, Vm::new(self.newid, &step.node, config));
        match world.firewalls.get(&self.source).cloned() {
            Some(file) => drop(world.firewalls.insert(self.newid, file)),
            None => drop(world.firewalls.remove(&self.newid)),
        }
        Ok(())
    }

    fn configure(&self, world: &mut World, step: &Step) -> Outcome<()> {
        let source = world.vm(&step.node, self.source)?.config.clone();
        world.vm(&step.node, self.newid)?;
        check_sources(world, step, &source)?;
        for (key, value) in source.iter().filter(|(_, value)| is_cloudinit(value)) {
            announce(world, step, &format!("create full clone of drive {key}"), value);
            place(world, step, self.place_of_cloudinit(value))?;
        }
        let mut config = VmConfig::default();
        for (key, value) in source.iter() {
            match key {
                "template" | "lock" | "parent" | "snaptime" => {}
                "smbios1" => config.set(key, format!("uuid={}", world.dice.uuid())),
                "vmgenid" => config.set(key, world.dice.uuid()),
                _ if key.starts_with("net") => config.set(key, values::with_new_mac(value, &mut world.dice)),
                _ if key.starts_with("unused") => {}
                _ if is_disk_key(key) && !is_cdrom(value) => {}
                _ if is_cloudinit(value) => self.copy_cloudinit(world, step, (key, value), &mut config),
                _ => config.set(key, value),
            }
        }
        let fallback = || format!("Copy-of-VM-{}", source.get("name").unwrap_or("no-name"));
        config.set("name", self.name.clone().unwrap_or_else(fallback));
        if let Some(description) = &self.description {
            match values::trim_newlines(description) {
                "" => drop(config.remove("description")),
                text => config.set("description", text),
            }
        }
        config.set("lock", "clone");
        world.vm_mut(&step.node, self.newid)?.config = config;
        Ok(())
    }

    fn copy_cloudinit(
        &self,
        world: &mut World,
        step: &Step,
        (key, value): (&str, &str),
        config: &mut VmConfig,
    ) {
        let storage = self.place_of_cloudinit(value);
        let name = format!("{0}/vm-{0}-cloudinit.qcow2", self.newid);
        log(
            world,
            step.task,
            format!("allocated target volume '{storage}:{name}'"),
        );
        config.set(key, format!("{storage}:{name},media=cdrom,size=4M"));
        let volume = Volume {
            size: 4 << 20,
            vmid: self.newid,
            created: world.now,
            base: None,
        };
        if let Some(storage) = world.storages.get_mut(storage) {
            storage.add(&step.node, &name, volume);
        }
    }

    fn place_of_cloudinit<'a>(&'a self, value: &'a str) -> &'a str {
        let (storage, _) = drive_volid(value).and_then(split_volid).unwrap_or_default();
        self.storage.as_deref().unwrap_or(storage)
    }

    /// Makes the images, one after the other; one that had to wait goes on with the next.
    fn allocate(&self, world: &mut World, step: &Step) -> Outcome<()> {
        let source = world.vm(&step.node, self.source)?.config.clone();
        let how = if self.full { "full" } else { "linked" };
        let done = world.tasks.get(step.task).map_or(0, |task| task.made.len());
        for (key, drive) in source.disks().skip(done) {
            announce(world, step, &format!("create {how} clone of drive {key}"), drive);
            let file = place(world, step, self.way(drive).1)?;
            let holder = Holder::Task(step.task);
            world.locks.take(file.clone(), holder, false)?;
            let new = self.make_disk(world, step, drive)?;
            if let Some(task) = world.tasks.get_mut(step.task) {
                task.made.push((key.to_owned(), new));
            }
            if self.full {
                world.locks.give_back(&file, holder);
                self.mirror(world, step, key);
            }
        }
        Ok(())
    }

    /// What is said of copying a disk that a running guest writes to.
    fn mirror(&self, world: &mut World, step: &Step, key: &str) {
        let Some(source) = world.vms.get(&self.source).filter(|vm| vm.running()) else {
            return;
        };
        let bytes = source.config.get(key).and_then(size_of).unwrap_or(0);
        let agent = source.config.get("agent").unwrap_or_default();
        let (before, after) = if agent.contains('1') {
            (
                "issuing guest agent 'guest-fsfreeze-freeze' command",
                "issuing guest agent 'guest-fsfreeze-thaw' command",
            )
        } else {
            ("suspend vm", "resume vm")
        };
        let size = format_size(bytes);
        for line in [
            &format!("drive mirror is starting for drive-{key}"),
            &format!("mirror-{key}: transferred 0.0 B of {size} (0.00%) in 0s"),
            &format!("mirror-{key}: transferred {size} of {size} (100.00%) in 1s, ready"),
            "all 'mirror' jobs are ready",
            before,
            &format!("mirror-{key}: Cancelling block job"),
            &format!("mirror-{key}: Done."),
            after,
        ] {
            log(world, step.task, line);
        }
    }

    fn finish(&self, world: &mut World, step: &Step) -> Outcome<()> {
        let made = world
            .tasks
            .get(step.task)
            .map_or_else(Vec::new, |task| task.made.clone());
        let mut config = world.vm(&step.node, self.newid)?.config.clone();
        for (key, drive) in made {
            self.check_space(world, step, &drive)?;
            config.set(&key, drive);
        }
        config.remove("lock");
        world.check_writable_by(&self.file(step), step.task)?;
        let vm = world.vm_mut(&step.node, self.newid)?;
        vm.config = config;
        vm.node.clone_from(&self.target);
        if let Some(pool) = &self.pool {
            world.pools.join(pool, self.newid);
        }
        Ok(())
    }

    /// From which storage to which a drive goes.
    fn way<'a>(&'a self, drive: &'a str) -> (&'a str, &'a str) {
        let (origin, _) = drive_volid(drive).and_then(split_volid).unwrap_or_default();
        let to = self.storage.as_deref().filter(|_| self.full);
        (origin, to.unwrap_or(origin))
    }

    /// Fails as a copy does that has filled its storage.
    fn check_space(&self, world: &World, step: &Step, drive: &str) -> Outcome<()> {
        let (to, _) = drive_volid(drive).and_then(split_volid).unwrap_or_default();
        let storage = world.storage(to)?;
        storage.check_alive()?;
        if !self.full || storage.used(&step.node) <= storage.total {
            return Ok(());
        }
        Err(Refusal::died(self.copy_failed(&storage.path(), "exit code 1")))
    }

    fn make_disk(&self, world: &mut World, step: &Step, drive: &str) -> Outcome<String> {
        let (_, name) = drive_volid(drive).and_then(split_volid).unwrap_or_default();
        let (_, to) = self.way(drive);
        let size = size_of(drive).unwrap_or(0);
        let base = (!self.full).then(|| own_name(name).to_owned());
        let now = world.now;
        let Some(storage) = world.storages.get_mut(to) else {
            return Err(Refusal::died(format!("storage '{to}' does not exist")));
        };
        let new = storage.next_disk(&step.node, self.newid);
        let volume = Volume {
            size,
            vmid: self.newid,
            created: now,
            base: base.clone(),
        };
        storage.add(&step.node, &new, volume);
        let line = match &base {
            None => format!("allocated target volume '{to}:{new}'"),
            Some(base) => {
                let file = new.rsplit('/').next().unwrap_or_default();
                format!(
                    "clone {base}: images, {file}, {} to {file} (base=../{base})",
                    self.newid
                )
            }
        };
        log(world, step.task, line);
        let path = base.map_or_else(|| new.clone(), |base| format!("{base}/{new}"));
        let rest = drive.split(',').skip(1).filter(|part| !part.starts_with("size="));
        let (first, last) = (format!("{to}:{path}"), format!("size={}", format_size(size)));
        let parts = [first.as_str()].into_iter().chain(rest).chain([last.as_str()]);
        Ok(parts.collect::<Vec<_>>().join(","))
    }

    /// Removes what this clone has made; without quorum its configuration stays, locked.
    pub fn clean_up(&self, world: &mut World, step: &Step) {
        if !world.has_flock(self.newid, step.task) {
            return;
        }
        let Some(vm) = world.vms.get(&self.newid).cloned() else {
            return;
        };
        let made = world
            .tasks
            .get(step.task)
            .map_or_else(Vec::new, |task| task.made.clone());
        for (_, drive) in made {
            if let Some((storage, name)) = drive_volid(&drive).and_then(split_volid)
                && let Some(storage) = world.storages.get_mut(storage)
            {
                storage.remove(&vm.node, own_name(name));
            }
        }
        world.erase_volumes(&vm, false);
        if world.quorate() {
            world.erase(self.newid);
        }
    }

    /// The exit status after a signal.
    pub fn interrupted(&self) -> String {
        if !self.full {
            return "clone failed: interrupted by signal".to_owned();
        }
        format!(
            "clone failed: {}",
            self.copy_failed("/var/lib/vz", "interrupted by signal")
        )
    }

    fn copy_failed(&self, path: &str, why: &str) -> String {
        let limit = self.bwlimit.filter(|limit| *limit > 0);
        let limit = limit.map(|limit| format!("-r {limit}K ")).unwrap_or_default();
        format!(
            "copy failed: command '/usr/bin/qemu-img convert -p -n {limit}-f qcow2 -O qcow2 \
             /var/lib/vz/images/{0}/base-{0}-disk-0.qcow2 zeroinit:{path}/images/{1}/vm-{1}-disk-0.qcow2' failed: {why}",
            self.source, self.newid
        )
    }

    fn file(&self, step: &Step) -> String {
        format!("nodes/{}/qemu-server/{}.conf", step.node, self.newid)
    }
}

/// The images that are copied are looked at before anything is made.
fn check_sources(world: &World, step: &Step, source: &VmConfig) -> Outcome<()> {
    for (_, drive) in source.disks() {
        let volid = drive_volid(drive).unwrap_or_default();
        let (storage, name) = split_volid(volid).unwrap_or_default();
        let storage = world.storage(storage)?;
        storage.activate(&step.node)?;
        if storage.volume(&step.node, own_name(name)).is_none() {
            return Err(Refusal::died(format!("volume '{volid}' does not exist")));
        }
    }
    Ok(())
}

/// The lock file of the storage that a new volume goes to, once it can be used and nobody else holds it.
fn place(world: &World, step: &Step, storage: &str) -> Outcome<LockFile> {
    world.storage(storage)?.activate(&step.node)?;
    let file = world.storage_lock(storage, &step.node);
    if !world.locks.holds(&file, Holder::Task(step.task)) {
        world.locks.check(file.clone())?;
    }
    Ok(file)
}

/// Says which drive comes next, once, however often its storage is waited for.
fn announce(world: &mut World, step: &Step, what: &str, drive: &str) {
    let line = format!("{what} ({})", drive_volid(drive).unwrap_or_default());
    let said = world
        .tasks
        .get(step.task)
        .is_some_and(|task| task.log.contains(&line));
    if !said {
        log(world, step.task, line);
    }
}

fn is_cdrom(drive: &str) -> bool {
    drive.contains("media=cdrom")
}

fn is_cloudinit(drive: &str) -> bool {
    is_cdrom(drive) && drive.contains("-cloudinit")
}
