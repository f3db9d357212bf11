//! A guest's folder (disk, host keys, what cloud-init would write) and its sshd.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use thiserror::Error;

use super::names::Names;
use super::tools::{self, ToolError, command, find, run};
use super::wanted::{Guest, Home};

/// What the guest's first process does.
const BOOT: &str = include_str!("boot.sh");
/// The kinds of a guest's host keys.
const KEY_KINDS: &[&str] = &["ed25519", "ecdsa"];
/// How long the end of a killed guest may take.
const END: Duration = Duration::from_secs(2);
/// The name of root, in every password file.
const ROOT: &str = "root";

/// Why a machine could not be made or started.
#[derive(Debug, Error)]
pub enum MachineError {
    /// A file of its folder.
    #[error("failed to write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its host keys.
    #[error("failed to make the host keys")]
    Keys {
        /// Why.
        #[source]
        source: ToolError,
    },
    /// Its first process.
    #[error("failed to start its first process")]
    Start {
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The folder of a machine.
pub fn folder(homes: &Path, home: &Home) -> PathBuf {
    homes.join(home.name())
}

/// The public halves of a machine's host keys, as lines `TYPE KEY`.
pub fn host_keys(homes: &Path, home: &Home) -> Vec<String> {
    let read =
        |kind: &&str| fs::read_to_string(key_file(&folder(homes, home), kind).with_extension("pub")).ok();
    let short = |line: String| {
        line.split(' ')
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned()
    };
    KEY_KINDS.iter().filter_map(read).map(short).collect()
}

/// Starts a guest's programs: everything that cloud-init reads is written anew, host keys stay.
pub fn boot(names: &Names, homes: &Path, guest: &Guest) -> Result<Child, MachineError> {
    let folder = folder(homes, &guest.home);
    write_files(&folder, guest)?;
    let log = folder.join("boot.log");
    let out = File::create(&log).map_err(|source| MachineError::Write {
        path: log.clone(),
        source,
    })?;
    let started = |source| MachineError::Start { source };
    let err = out.try_clone().map_err(started)?;
    let sshd = find("sshd").unwrap_or_else(|| PathBuf::from("sshd"));
    let mut ip = command("ip");
    // Mounts of the machine are seen to go away (else they would keep other guests' namespaces alive), never made.
    ip.args(["netns", "exec", &names.guest(guest.vmid), "unshare", "--mount", "--propagation", "slave"])
        .args(["--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL", "/bin/sh", "-c", BOOT, "boot.sh"])
        .arg(&folder)
        .args([&guest.name, &guest.user])
        .arg(sshd)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        // A terminal's signals are for the simulator, which ends its guests itself.
        .process_group(0);
    ip.spawn().map_err(started)
}

/// Waits until what waits for a guest's first process has ended, or kills it.
pub fn end(child: &mut Child) {
    if !matches!(tools::wait(child, END), Ok(Some(_))) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn key_file(folder: &Path, kind: &str) -> PathBuf {
    folder.join("etc/ssh").join(format!("ssh_host_{kind}_key"))
}

fn write_files(folder: &Path, guest: &Guest) -> Result<(), MachineError> {
    let etc = folder.join("etc");
    let ssh = etc.join("ssh");
    let wrap = |path: &Path| {
        let path = path.to_owned();
        move |source| MachineError::Write { path, source }
    };
    fs::create_dir_all(&ssh).map_err(wrap(&ssh))?;
    for kind in KEY_KINDS {
        let key = key_file(folder, kind);
        if !key.with_extension("pub").exists() {
            let _ = fs::remove_file(&key);
            let path = key.to_string_lossy();
            run(
                "ssh-keygen",
                &["-q", "-t", kind, "-N", "", "-C", &guest.name, "-f", &path],
                "",
            )
            .map_err(|source| MachineError::Keys { source })?;
        }
    }
    let keys: String = guest
        .keys
        .iter()
        .fold(String::new(), |text, key| text + key + "\n");
    let files = [
        ("ssh/sshd_config", sshd_config(&guest.user), 0o644),
        ("ssh/authorized_keys", keys, 0o644),
        ("passwd", passwd(&guest.user), 0o644),
        ("group", group(&guest.user), 0o644),
        ("shadow", shadow(&guest.user), 0o600),
        ("hostname", format!("{}\n", guest.name), 0o644),
        (
            "hosts",
            format!("127.0.0.1 localhost\n127.0.1.1 {}\n", guest.name),
            0o644,
        ),
    ];
    for (name, text, mode) in files {
        let path = etc.join(name);
        let written = fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)));
        written.map_err(wrap(&path))?;
    }
    Ok(())
}

/// Only this user, only with these keys.
fn sshd_config(user: &str) -> String {
    let mut text = String::new();
    for kind in KEY_KINDS {
        let _ = writeln!(text, "HostKey /etc/ssh/ssh_host_{kind}_key");
    }
    let _ = write!(
        text,
        "Port 22\nListenAddress 0.0.0.0\nAuthorizedKeysFile /etc/ssh/authorized_keys\nAllowUsers {user}\n\
         PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
         StrictModes no\nUseDNS no\nPrintMotd no\nPidFile none\nSubsystem sftp internal-sftp\n"
    );
    text
}

fn passwd(user: &str) -> String {
    let mut text = "root:x:0:0:root:/root:/bin/sh\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n\
                    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        .to_owned();
    if user != ROOT {
        let _ = writeln!(text, "{user}:x:1000:1000::/home/{user}:/bin/sh");
    }
    text
}

fn group(user: &str) -> String {
    let mut text = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n".to_owned();
    if user != ROOT {
        let _ = writeln!(text, "{user}:x:1000:");
    }
    text
}

/// No password opens any account.
fn shadow(user: &str) -> String {
    let mut text = "root:*:19000::::::\nsshd:*:19000::::::\nnobody:*:19000::::::\n".to_owned();
    if user != ROOT {
        let _ = writeln!(text, "{user}:*:19000::::::");
    }
    text
}
