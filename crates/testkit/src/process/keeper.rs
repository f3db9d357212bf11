//! Binds children to our life. Owns the one thread that starts them.
//!
//! The kernel's "tell me when my parent dies" is about the parent's *thread*; so all children are started by a thread
//! that lives as long as the process does.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};

type Job = (Command, Sender<io::Result<Child>>);

static KEEPER: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
    let (jobs, queue) = channel();
    std::thread::spawn(move || keep(&queue));
    Mutex::new(jobs)
});

fn keep(queue: &Receiver<Job>) {
    while let Ok((mut command, answer)) = queue.recv() {
        answer.send(command.spawn()).ok();
    }
}

/// A command for `program` that the kernel kills when we die; to be started with [`spawn`].
///
/// The check of the parent covers the moment before the kernel has been told.
#[must_use]
pub fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args([
        "--pdeathsig",
        "KILL",
        "--",
        "sh",
        "-c",
        r#"[ "$PPID" = "$0" ] && exec "$@""#,
    ]);
    command.arg(std::process::id().to_string()).arg(program);
    command
}

/// Starts a command from the keeper's thread.
///
/// # Errors
/// When the command can't be started.
pub fn spawn(command: Command) -> io::Result<Child> {
    let (answer, child) = channel();
    let gone = "the thread that starts children has ended";
    let keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    keeper
        .send((command, answer))
        .map_err(|_| io::Error::other(gone))?;
    child.recv().map_err(|_| io::Error::other(gone))?
}
