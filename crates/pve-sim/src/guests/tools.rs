//! The machine's own programs: whether all that guests need is there, and running one to its end within a bound.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;

/// Where programs are looked for; administrators' folders are often not in a user's own list.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// Every program with the package that has it, as Debian calls it.
const PROGRAMS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("sshd", "openssh-server"),
    ("ssh-keygen", "openssh-client"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("chroot", "coreutils"),
];
/// What a kernel shows that passes bridged packets by its IP hooks; rules need it to know connections.
const BRIDGE_HOOKS: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// Why a program did not do its work.
#[derive(Debug, Error)]
pub enum ToolError {
    /// It did not start, or could not be fed or read.
    #[error("failed to run {program}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It said no.
    #[error("{program} failed: {said}")]
    Failed {
        /// The program.
        program: String,
        /// What it said.
        said: String,
    },
    /// It took too long.
    #[error("{program} did not end within {} s", LIMIT.as_secs())]
    Slow {
        /// The program.
        program: String,
    },
}

/// What is missing for guests with namespaces; nothing, if they can be had.
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("the rights of root".to_owned());
    }
    let absent = PROGRAMS.iter().filter(|(program, _)| find(program).is_none());
    missing.extend(absent.map(|(program, package)| format!("the program {program} (package {package})")));
    if !Path::new(BRIDGE_HOOKS).exists() {
        missing.push("the kernel's br_netfilter (modprobe br_netfilter)".to_owned());
    }
    let systems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !systems.lines().any(|line| line.ends_with("\toverlay")) {
        missing.push("the kernel's overlay file system (modprobe overlay)".to_owned());
    }
    missing
}

/// Where a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    PATH.split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

/// A program with nothing of our own surroundings.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .current_dir("/");
    command
}

/// Runs a program to its end, with this on its standard input.
pub fn run(program: &str, arguments: &[&str], input: &str) -> Result<(), ToolError> {
    let failed = |source| ToolError::Run {
        program: program.to_owned(),
        source,
    };
    let mut command = command(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    // One that ends without reading says why on its standard error.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let Some(status) = wait(&mut child, LIMIT).map_err(failed)? else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(ToolError::Slow {
            program: program.to_owned(),
        });
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(4096).read_to_end(&mut said);
    }
    Err(ToolError::Failed {
        program: format!("{program} {}", arguments.join(" ")),
        said: String::from_utf8_lossy(&said).trim().to_owned(),
    })
}

/// Waits for a child's end; none if it takes longer.
pub fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() > limit {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}
