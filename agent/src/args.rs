//! The command line, parsed and checked whole before anything starts. Nothing below `main` reads the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use agent_core::brake::Limit;
use agent_core::nft::{Limits, LinkName};
use clap::{Parser, Subcommand};
use kit::args::{AdminArgs, TelemetryArgs};

use crate::caddy::Admin;
use crate::config::{Config, WebConfig};
use crate::probe::Outside;

/// Makes the machines behind this host reachable: ports, names, certificate.
#[derive(Debug, Parser)]
#[command(name = "decent-agent", version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve, until told to stop.
    Run(RunArgs),
    /// Make this host the one that serves a Gateway, with what `dcctl gateway token` has printed.
    Enrol(EnrolArgs),
    /// Check whether this host can serve; each finding comes with the line that mends it. Ends with 1 if one must be mended.
    Doctor(HostArgs),
    /// Write the systemd unit and the kernel settings.
    Install(InstallArgs),
}

/// How to serve.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The host.
    #[command(flatten)]
    pub host: HostArgs,
    /// Logs.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// The admin port.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// What the host is like. All of it has defaults that fit a host of its own.
#[derive(Debug, Clone, clap::Args)]
pub struct HostArgs {
    /// Folder of snapshot, certificate and account.
    #[arg(long, env = "DECENT_STATE", default_value = "/var/lib/decent-agent")]
    pub state: PathBuf,
    /// Link to the machines; without it, the one that has the gateway's address.
    #[arg(long, env = "DECENT_LAN")]
    pub lan: Option<LinkName>,
    /// This host gives machines their addresses by DHCP.
    #[arg(long, env = "DECENT_DHCP")]
    pub dhcp: bool,
    /// Connections that a machine may have opened at once, and as many that were opened to it.
    #[arg(long, env = "DECENT_CONNECTIONS", default_value_t = Limits::default().connections)]
    pub connections: u32,
    /// New SSH connections that one source may make in a minute, to all machines together.
    #[arg(long, env = "DECENT_SSH_PER_MINUTE", default_value_t = Limits::default().ssh_per_minute)]
    pub ssh_per_minute: u32,
    /// How many of them may come at once.
    #[arg(long, env = "DECENT_SSH_BURST", default_value_t = Limits::default().ssh_burst)]
    pub ssh_burst: u32,
    /// Where the web server asks for names, on loopback.
    #[arg(long, env = "DECENT_ZONE", default_value = "127.0.0.1:5380")]
    pub zone: SocketAddr,
    /// Caddy's program, which is asked for its version.
    #[arg(long, env = "DECENT_CADDY", default_value = "caddy")]
    pub caddy: String,
    /// Caddy's admin API: an address on loopback, or unix/ and a path.
    #[arg(long, env = "DECENT_CADDY_ADMIN", default_value = "127.0.0.1:2019")]
    pub caddy_admin: Admin,
    /// User that Caddy runs as, by number: the certificate's key is made readable to it.
    #[arg(long, env = "DECENT_CADDY_USER")]
    pub caddy_user: Option<u32>,
    /// Where plain requests come in; they are sent to https.
    #[arg(long, env = "DECENT_HTTP", value_delimiter = ',', default_value = ":80")]
    pub http: Vec<String>,
    /// Where requests come in.
    #[arg(long, env = "DECENT_HTTPS", value_delimiter = ',', default_value = ":443")]
    pub https: Vec<String>,
    /// Network namespace that probes come from; made and removed by the agent.
    #[arg(long, env = "DECENT_PROBE_NAMESPACE", default_value = "decent-probe")]
    pub probe_namespace: LinkName,
    /// Link to it; made and removed by the agent.
    #[arg(long, env = "DECENT_PROBE_LINK", default_value = "decent-probe")]
    pub probe_link: LinkName,
    /// The host's address on that link; the probe has the next one.
    #[arg(long, env = "DECENT_PROBE_ADDRESS", default_value = "198.18.255.253")]
    pub probe_address: Ipv4Addr,
}

/// What to enrol with.
#[derive(Debug, clap::Args)]
pub struct EnrolArgs {
    /// File with what `dcctl gateway token` has printed; - is the standard input.
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// Folder of the agent's state.
    #[arg(long, env = "DECENT_STATE", default_value = "/var/lib/decent-agent")]
    pub state: PathBuf,
}

/// What to write where.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// The host.
    #[command(flatten)]
    pub host: HostArgs,
    /// First and last forwarded port, as in the Gateway.
    #[arg(long, value_parser = ports, default_value = "20000-59999")]
    pub ports: (u16, u16),
    /// Folder that stands for / (to prepare an image).
    #[arg(long, default_value = "/")]
    pub root: PathBuf,
}

impl HostArgs {
    /// The data plane's configuration.
    #[must_use]
    pub fn config(self) -> Config {
        let Self {
            state,
            lan,
            dhcp,
            connections,
            ssh_per_minute,
            ssh_burst,
            zone,
            caddy,
            caddy_admin,
            caddy_user,
            http,
            https,
            probe_namespace,
            probe_link,
            probe_address,
        } = self;
        Config {
            state,
            lan,
            offers_dhcp: dhcp,
            limits: Limits {
                connections,
                ssh_per_minute,
                ssh_burst,
            },
            brake: Limit::default(),
            zone,
            web: WebConfig {
                program: caddy,
                admin: caddy_admin,
                http,
                https,
                user: caddy_user,
            },
            probe: Outside {
                namespace: probe_namespace,
                link: probe_link,
                host: probe_address,
                probe: Ipv4Addr::from(u32::from(probe_address).saturating_add(1)),
            },
        }
    }
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let range = text
        .split_once('-')
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    range
        .filter(|(first, last)| first < last)
        .ok_or_else(|| format!("{text:?} is no range such as 20000-59999"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
        let args = Args::parse_from(["decent-agent", "doctor", "--lan", "vmbr1"]);
        let Command::Doctor(host) = args.command else {
            unreachable!("another command");
        };
        let config = host.config();
        assert_eq!(config.lan.unwrap().as_str(), "vmbr1");
        assert_eq!(config.probe.probe, Ipv4Addr::new(198, 18, 255, 254));
    }

    #[test]
    fn ports_are_a_range() {
        assert_eq!(ports("20000-59999"), Ok((20_000, 59_999)));
        for bad in ["", "5", "9-5", "1-70000"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }
}
