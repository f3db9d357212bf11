//! The thin shell: looks at the model again and again and does what the plan says. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::board::Fact;
use super::machine::{self, MachineError};
use super::names::Names;
use super::network;
use super::plan::{Act, Seen, Standing, plan};
use super::tools::{ToolError, missing};
use super::wanted::{Guest, Home, Wanted, wanted};
use super::web::Web;
use crate::model::moment::Moment;
use crate::sim::Shared;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(40);
/// How long a guest that failed is left in peace.
const REST: Duration = Duration::from_secs(1);

/// Why there can be no guests.
#[derive(Debug, Error)]
pub enum GuestError {
    /// Something that they need is not there.
    #[error("guests need {}", .0.join(", "))]
    Missing(Vec<String>),
    /// There is nowhere to keep their disks and keys.
    #[error("guests need a folder (--dir) whose path has no comma, colon, backslash or blank")]
    Folder,
    /// Another simulator has this folder.
    #[error("the guests of {0} belong to another simulator that runs")]
    Taken(PathBuf),
    /// A file of the folder.
    #[error("failed to prepare {path}")]
    Prepare {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program said no.
    #[error("failed to make the network of the guests")]
    Network {
        /// Why.
        #[source]
        source: ToolError,
    },
}

/// Why one act failed.
#[derive(Debug, Error)]
enum ActError {
    #[error(transparent)]
    Tool(ToolError),
    #[error(transparent)]
    Machine(MachineError),
    #[error("failed to open its web server")]
    Web(#[source] std::io::Error),
    #[error("failed to remove its disk")]
    Forget(#[source] std::io::Error),
}

/// Keeps the guests of one simulator.
pub struct Keeper {
    names: Names,
    homes: PathBuf,
    boot: Duration,
    rules: Option<String>,
    bridges: BTreeSet<String>,
    guests: BTreeMap<u32, Living>,
    resting: BTreeMap<u32, (Instant, String)>,
    runtime: Handle,
    // Held as long as we live; the kernel gives it back however we end.
    _lock: File,
}

/// A guest that there is.
struct Living {
    guest: Guest,
    programs: Option<(Child, Web)>,
    host_keys: Vec<String>,
}

impl Keeper {
    /// Takes a folder, removes what an earlier run has left and makes the network.
    pub fn open(dir: Option<&Path>, boot: Duration) -> Result<Self, GuestError> {
        let missing = missing();
        if !missing.is_empty() {
            return Err(GuestError::Missing(missing));
        }
        let homes = dir.ok_or(GuestError::Folder)?.join("guests");
        let prepare = |source| GuestError::Prepare {
            path: homes.clone(),
            source,
        };
        fs::create_dir_all(&homes).map_err(prepare)?;
        let homes = homes.canonicalize().map_err(prepare)?;
        if homes
            .to_str()
            .is_none_or(|path| path.contains([',', ':', '\\', ' ', '\t', '\n']))
        {
            return Err(GuestError::Folder);
        }
        let lock = lock(&homes)?;
        let names = Names::of(&homes);
        let network = |source| GuestError::Network { source };
        sweep(&names).map_err(network)?;
        network::create_network(&names).map_err(network)?;
        Ok(Self {
            names,
            homes,
            boot,
            rules: None,
            bridges: BTreeSet::new(),
            guests: BTreeMap::new(),
            resting: BTreeMap::new(),
            runtime: Handle::current(),
            _lock: lock,
        })
    }

    /// The namespace that holds the bridges.
    pub fn network(&self) -> &str {
        self.names.network()
    }

    /// Follows the model until it is stopped; then takes everything away. To be run on a thread of its own.
    pub fn run(mut self, shared: &Arc<Shared>, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let (wanted, now) = {
                let world = shared.world();
                (wanted(&world), world.now)
            };
            self.round(&wanted, now);
            shared.guests.publish(self.facts());
            std::thread::sleep(LOOK);
        }
        shared.guests.publish(Vec::new());
        self.close();
    }

    /// Takes everything away.
    fn close(&mut self) {
        let vmids: Vec<u32> = self.guests.keys().copied().collect();
        for vmid in vmids {
            if let Err(error) = self.remove(vmid) {
                tracing::warn!(vmid, error = chain(&error), "failed to remove a guest");
            }
        }
        if let Err(error) = sweep(&self.names) {
            tracing::error!(
                error = chain(&error),
                "failed to remove the network of the guests"
            );
        }
    }

    /// Takes a guest's card, processes and namespace away, or what there is of them.
    fn remove(&mut self, vmid: u32) -> Result<(), ToolError> {
        let space = self.names.guest(vmid);
        network::unplug(&self.names, vmid);
        network::kill_all_in(&space);
        if let Some((mut child, web)) = self.guests.remove(&vmid).and_then(|living| living.programs) {
            machine::end(&mut child);
            web.end();
        }
        network::remove_namespace(&space)
    }

    /// One look and what follows from it.
    fn round(&mut self, wanted: &Wanted, now: Moment) {
        self.bury();
        self.resting.retain(|_, (since, _)| since.elapsed() < REST);
        for act in plan(wanted, &self.seen(), now, self.boot) {
            let (vmid, programs) = (act.vmid(), matches!(act, Act::Program(_)));
            let Err(error) = self.act(act) else { continue };
            let text = chain(&error);
            tracing::warn!(vmid, error = text, "a guest is not as it should be");
            if let Some(vmid) = vmid {
                self.resting.insert(vmid, (Instant::now(), text));
            }
            if programs {
                // Without its rules no guest gets a card.
                return;
            }
        }
    }

    fn act(&mut self, act: Act) -> Result<(), ActError> {
        match act {
            Act::Remove(vmid) => self.remove(vmid).map_err(ActError::Tool),
            Act::Forget(home) => {
                fs::remove_dir_all(machine::folder(&self.homes, &home)).map_err(ActError::Forget)
            }
            Act::Bridge(name) => {
                network::create_bridge(&self.names, &name).map_err(ActError::Tool)?;
                self.bridges.insert(name);
                Ok(())
            }
            Act::Program(text) => {
                network::program(&self.names, &text).map_err(ActError::Tool)?;
                self.rules = Some(text);
                Ok(())
            }
            Act::Create(guest) => self.create(guest),
            Act::Boot(vmid) => self.start(vmid),
        }
    }

    fn create(&mut self, guest: Guest) -> Result<(), ActError> {
        let vmid = guest.vmid;
        if let Err(source) = network::create_guest(&self.names, &guest) {
            // What there is of it goes again, so that the next try begins at the beginning.
            if let Err(error) = self.remove(vmid) {
                tracing::warn!(vmid, error = chain(&error), "failed to remove a guest");
            }
            return Err(ActError::Tool(source));
        }
        let living = Living {
            guest,
            programs: None,
            host_keys: Vec::new(),
        };
        self.guests.insert(vmid, living);
        Ok(())
    }

    fn start(&mut self, vmid: u32) -> Result<(), ActError> {
        // One that could not be made is tried again as a whole.
        let Some(living) = self.guests.get_mut(&vmid) else {
            return Ok(());
        };
        let guest = &living.guest;
        let web =
            Web::start(&self.runtime, &self.names.guest(vmid), vmid, &guest.name).map_err(ActError::Web)?;
        let child = machine::boot(&self.names, &self.homes, guest).map_err(ActError::Machine)?;
        living.host_keys = machine::host_keys(&self.homes, &guest.home);
        living.programs = Some((child, web));
        Ok(())
    }

    /// Notes guests whose first process has ended by itself: they boot again.
    fn bury(&mut self) {
        for (vmid, living) in &mut self.guests {
            let ended = |(child, _): &mut (Child, Web)| child.try_wait().ok().flatten();
            if let Some(status) = living.programs.as_mut().and_then(ended) {
                living.programs = None;
                let text = format!("its first process ended: {status}");
                tracing::warn!(vmid, text);
                self.resting.insert(*vmid, (Instant::now(), text));
            }
        }
    }

    fn seen(&self) -> Seen {
        let standing = |(vmid, living): (&u32, &Living)| {
            let standing = Standing {
                start: living.guest.start,
                booted: living.programs.is_some(),
            };
            (*vmid, standing)
        };
        let entries = fs::read_dir(&self.homes).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        Seen {
            guests: self.guests.iter().map(standing).collect(),
            homes: names.filter_map(|name| Home::parse(&name)).collect(),
            bridges: self.bridges.clone(),
            rules: self.rules.clone(),
            resting: self.resting.keys().copied().collect(),
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let fact = |living: &Living| {
            let guest = &living.guest;
            let card = guest.card.as_ref();
            Fact {
                vmid: guest.vmid,
                namespace: self.names.guest(guest.vmid),
                bridge: card.map(|card| card.bridge.clone()),
                mac: card.map(|card| card.mac.to_string()),
                address: card.and_then(|card| card.address).map(|own| own.ip),
                user: guest.user.clone(),
                booted: living.programs.is_some(),
                host_keys: living.host_keys.clone(),
            }
        };
        self.guests.values().map(fact).collect()
    }
}

/// Takes the folder's lock, or says whose it is not.
fn lock(homes: &Path) -> Result<File, GuestError> {
    let path = homes.join("lock");
    let prepare = |source| GuestError::Prepare {
        path: path.clone(),
        source,
    };
    let file = File::create(&path).map_err(prepare)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(GuestError::Taken(homes.to_owned())),
        Err(TryLockError::Error(source)) => Err(prepare(source)),
    }
}

/// Removes every namespace of ours with what is in it: an earlier run's, or our own at the end.
fn sweep(names: &Names) -> Result<(), ToolError> {
    let ours = network::ours(names);
    // The bridges at last; of the processes in their namespace none is ours.
    ours.iter()
        .filter(|name| names.owns_guest(name))
        .try_for_each(|name| network::remove_namespace(name))?;
    if ours.contains(names.network()) {
        network::remove_bridges(names)?;
    }
    Ok(())
}

/// An error with all that lies under it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text = format!("{text}: {error}");
        below = error.source();
    }
    text
}
