//! Writes the systemd unit and the kernel settings. Refuses what it cannot do whole; must not change anything else.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_core::nft::LinkName;

use crate::command::{CommandError, run};
use crate::files::{self, Access};

const UNIT: &str = "etc/systemd/system/decent-agent.service";
const SETTINGS: &str = "etc/sysctl.d/90-decent-agent.conf";
/// The first line of what is ours.
const HEADER: &str = "# Written by `decent-agent install`: changes are lost.";
const LIMIT: Duration = Duration::from_mins(1);
const MAX_FILE: u64 = 1024 * 1024;
/// Folders that a service with its own view of the system does not see.
const HIDDEN: &[&str] = &["/home", "/root", "/tmp", "/var/tmp", "/run/user"];
/// Connections that the kernel follows: enough for the largest site.
const CONNTRACK: u32 = 262_144;

/// What to install.
#[derive(Debug, Clone)]
pub struct Install {
    /// The folder that stands for `/`.
    pub root: PathBuf,
    /// This program, where it stays.
    pub program: PathBuf,
    /// The link to the machines, if known.
    pub lan: Option<LinkName>,
    /// Forwarded ports, first and last.
    pub ports: (u16, u16),
}

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Only root may.
    #[error("only root can install: run this with sudo")]
    Root,
    /// There is no systemd.
    #[error("this host does not run systemd: start `decent-agent run` by whatever runs services here")]
    Systemd,
    /// The program is where a service would not see it.
    #[error("{0} is not seen by a service: put the program into /usr/local/bin first")]
    Hidden(PathBuf),
    /// Somebody else's file is there.
    #[error("{0} was not written by this program: move it away first")]
    Foreign(PathBuf),
    /// A file cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("failed to write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The settings do not hold yet.
    #[error("failed to apply what was written")]
    Apply(#[source] CommandError),
}

/// Writes unit and settings, and applies them where the root is this host's. Gives the files.
///
/// # Errors
/// Why it was not done; nothing is written unless all can be.
pub async fn install(wanted: &Install) -> Result<Vec<PathBuf>, InstallError> {
    let here = wanted.root == Path::new("/");
    if here && !rustix::process::geteuid().is_root() {
        return Err(InstallError::Root);
    }
    if here && !Path::new("/run/systemd/system").is_dir() {
        return Err(InstallError::Systemd);
    }
    if HIDDEN.iter().any(|folder| wanted.program.starts_with(folder)) {
        return Err(InstallError::Hidden(wanted.program.clone()));
    }
    let files = [
        (wanted.root.join(UNIT), unit(wanted)),
        (wanted.root.join(SETTINGS), settings(wanted)),
    ];
    for (path, _) in &files {
        ours(path)?;
    }
    for (path, text) in &files {
        let access = Access {
            mode: 0o644,
            owner: None,
        };
        files::replace(path, text.as_bytes(), access).map_err(|source| InstallError::Write {
            path: path.clone(),
            source,
        })?;
    }
    if here {
        let settings = format!("/{SETTINGS}");
        run("sysctl", &["-q", "-p", &settings], b"", LIMIT)
            .await
            .map_err(InstallError::Apply)?;
        run("systemctl", &["daemon-reload"], b"", LIMIT)
            .await
            .map_err(InstallError::Apply)?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// Whether a file is absent or of our making.
fn ours(path: &Path) -> Result<(), InstallError> {
    let found = files::read(path, MAX_FILE).map_err(|source| InstallError::Read {
        path: path.to_owned(),
        source,
    })?;
    match found {
        Some(bytes) if !bytes.starts_with(HEADER.as_bytes()) => Err(InstallError::Foreign(path.to_owned())),
        _ => Ok(()),
    }
}

/// The unit: root, but with three capabilities and its own view of the system.
///
/// Network administration is the table, conntrack and links; system administration is the namespace that probes come
/// from; ownership is the key that the web server reads.
fn unit(wanted: &Install) -> String {
    let mut run = format!("{} run", wanted.program.display());
    if let Some(lan) = &wanted.lan {
        let _ = write!(run, " --lan {lan}");
    }
    format!(
        "{HEADER}
# Settings, as DECENT_… variables, go into /etc/default/decent-agent.
[Unit]
Description=Decent Cloud gateway agent
After=network-online.target nftables.service caddy-api.service
Wants=network-online.target

[Service]
EnvironmentFile=-/etc/default/decent-agent
ExecStart={run}
Restart=always
RestartSec=1
TimeoutStopSec=30
StateDirectory=decent-agent
StateDirectoryMode=0711
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_ADMIN CAP_CHOWN
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=/run
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=net mnt
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service @mount
SystemCallErrorNumber=EPERM
UMask=0022

[Install]
WantedBy=multi-user.target
"
    )
}

fn settings(wanted: &Install) -> String {
    let (first, last) = wanted.ports;
    let mut text = format!(
        "{HEADER}
net.ipv4.ip_forward = 1
# The host's own connections keep off the machines' ports.
net.ipv4.ip_local_reserved_ports = {first}-{last}
net.ipv4.ip_local_port_range = 10000 65535
# Not there until the first connection is followed.
-net.netfilter.nf_conntrack_max = {CONNTRACK}
"
    );
    if let Some(lan) = &wanted.lan {
        // In these names, a slash stands for a dot within a link's name.
        let lan = lan.as_str().replace('.', "/");
        let _ = write!(
            text,
            "# Not there until the link is. Machines cannot reach this host by IPv6, where the agent's table does not hold.
-net.ipv4.conf.{lan}.rp_filter = 1
-net.ipv4.conf.{lan}.send_redirects = 0
-net.ipv6.conf.{lan}.disable_ipv6 = 1
"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn wanted(root: &Path) -> Install {
        Install {
            root: root.to_owned(),
            program: "/usr/local/bin/decent-agent".into(),
            lan: Some("vmbr0.20".parse().unwrap()),
            ports: (20_000, 59_999),
        }
    }

    #[tokio::test]
    async fn unit_and_settings_are_written_and_written_again() {
        let root = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let files = install(&wanted(root.path())).await.unwrap();
            assert_eq!(files.len(), 2);
        }
        let unit = fs::read_to_string(root.path().join(UNIT)).unwrap();
        assert!(
            unit.contains("ExecStart=/usr/local/bin/decent-agent run --lan vmbr0.20\n"),
            "{unit}"
        );
        let settings = fs::read_to_string(root.path().join(SETTINGS)).unwrap();
        assert!(
            settings.contains("ip_local_reserved_ports = 20000-59999"),
            "{settings}"
        );
        assert!(
            settings.contains("-net.ipv6.conf.vmbr0/20.disable_ipv6 = 1"),
            "{settings}"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_done_whole_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let hidden = Install {
            program: "/root/decent-agent".into(),
            ..wanted(root.path())
        };
        assert!(matches!(install(&hidden).await, Err(InstallError::Hidden(_))));
        let settings = root.path().join(SETTINGS);
        fs::create_dir_all(settings.parent().unwrap()).unwrap();
        fs::write(&settings, "net.ipv4.ip_forward = 0\n").unwrap();
        assert!(matches!(
            install(&wanted(root.path())).await,
            Err(InstallError::Foreign(_))
        ));
        assert!(!root.path().join(UNIT).exists(), "half was written");
    }

    #[tokio::test]
    #[ignore = "needs systemd-analyze"]
    async fn systemd_takes_the_unit() {
        let root = tempfile::tempdir().unwrap();
        // The check wants a program that is there.
        let wanted = Install {
            program: "/bin/true".into(),
            ..wanted(root.path())
        };
        let files = install(&wanted).await.unwrap();
        let unit = files[0].to_str().unwrap();
        run("systemd-analyze", &["verify", "--man=no", unit], b"", LIMIT)
            .await
            .unwrap();
        run(
            "systemd-analyze",
            &["security", "--offline=yes", "--threshold=40", unit],
            b"",
            LIMIT,
        )
        .await
        .unwrap();
    }
}
