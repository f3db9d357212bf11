//! Child processes for tests and demo: started, awaited until ready, and never left behind.
//!
//! A child bound to us dies with us, also when we are killed with -9 ([`keeper`]). A kept one (demo) is found again
//! and ended by its record ([`record`]): pid and start time, never a name. Must not know what it starts.

mod keeper;
mod ready;
mod record;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

pub use keeper::{bound, spawn};
pub use ready::Ready;
pub(crate) use ready::still_running;
pub use record::{Record, end_marked, running, stop_all};

/// How long a process may take to end by itself before it is killed.
pub const GRACE: Duration = Duration::from_secs(5);

/// Whether a child ends with us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Dies with us, whatever ends us.
    #[default]
    Bound,
    /// Runs on; [`stop_all`] ends it by its record.
    Kept,
}

/// What to start and when it counts as ready.
#[derive(Clone, Debug)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: PathBuf,
    lifetime: Lifetime,
    ready: Ready,
    deadline: Duration,
}

impl Launch {
    /// A process called `name`; its log `<name>.log` and its record go to `dir`.
    #[must_use]
    pub fn new(name: &str, program: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: dir.into(),
            lifetime: Lifetime::Bound,
            ready: Ready::Started,
            deadline: Duration::from_secs(30),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable on top of our own environment.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Says whether the process ends with us (the default).
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Says when the process counts as ready, and by when it must be.
    #[must_use]
    pub fn ready(mut self, ready: Ready, deadline: Duration) -> Self {
        self.ready = ready;
        self.deadline = deadline;
        self
    }

    fn command(&self, log: &Path) -> Result<Command> {
        let log = File::create(log).with_context(|| format!("failed to create {}", log.display()))?;
        let mut command = match self.lifetime {
            Lifetime::Bound => bound(&self.program),
            Lifetime::Kept => Command::new(&self.program),
        };
        command
            .args(&self.args)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null());
        command
            .stdout(log.try_clone().context("failed to share the log file")?)
            .stderr(log);
        // A group of its own: Ctrl-C in a terminal reaches us only, and we end our children in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(command)
    }
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    record: Record,
    child: Child,
    lifetime: Lifetime,
}

impl Process {
    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// When it can't be started, ends early or is not ready in time; the text ends with the log's last lines.
    pub async fn start(launch: Launch) -> Result<Self> {
        fs::create_dir_all(&launch.dir)
            .with_context(|| format!("failed to create {}", launch.dir.display()))?;
        launch.ready.forget()?;
        let log = launch.dir.join(format!("{}.log", launch.name));
        let mut child =
            spawn(launch.command(&log)?).with_context(|| format!("failed to start {}", launch.name))?;
        let Ok(record) = Record::of(&launch.name, child.id(), &log) else {
            let status = child.wait().context("failed to reap a child")?;
            return Err(anyhow!(
                "{} ended at once with {status}\n{}",
                launch.name,
                log_tail(&log)
            ));
        };
        record.save(&launch.dir)?;
        let mut process = Self {
            record,
            child,
            lifetime: launch.lifetime,
        };
        match launch.ready.wait(&mut process, launch.deadline).await {
            Ok(()) => Ok(process),
            Err(error) => {
                process.kill()?;
                Err(anyhow!(
                    "{} did not become ready: {error:#}\n{}",
                    launch.name,
                    log_tail(&log)
                ))
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log file (stdout and stderr).
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.record.log
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("failed to look after a child")
    }

    /// Ends it: SIGTERM, and SIGKILL after `grace`.
    ///
    /// # Errors
    /// When a signal can't be sent.
    pub async fn stop(&mut self, grace: Duration) -> Result<ExitStatus> {
        self.record.stop(grace).await?;
        self.child.wait().context("failed to reap a child")
    }

    /// Kills it with -9 and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill().context("failed to kill a child")?;
        self.child.wait().context("failed to reap a child")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Bound {
            self.kill().ok();
        }
    }
}

/// Name and last lines of a log, for an error text.
#[must_use]
pub fn log_tail(log: &Path) -> String {
    let text = fs::read(log)
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
    format!("last lines of {}:\n  {}", log.display(), last.join("\n  "))
}
