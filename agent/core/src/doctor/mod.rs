//! Whether a host can serve as a gateway: facts in, findings out, each with the line that mends it. Must not look at
//! the host itself.

mod judge;

use std::fmt;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

pub use judge::judge;

use crate::certificate::Held;
use crate::nft::LinkName;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Programs that the agent runs.
    Programs,
    /// The kernel takes the agent's table.
    Nftables,
    /// Packets are forwarded.
    Forwarding,
    /// Nobody else's rules drop what is forwarded.
    ForeignRules,
    /// Source addresses are checked on the machines' link.
    ReversePath,
    /// Machines cannot reach the host by IPv6.
    Ipv6,
    /// The link to the machines has the gateway's address.
    Lan,
    /// The public addresses are the host's.
    PublicAddress,
    /// No program listens where ports are forwarded.
    Ports,
    /// The host's own connections keep off the forwarded ports.
    LocalPorts,
    /// Room for connections.
    Conntrack,
    /// The web server.
    Caddy,
    /// The wall clock.
    Clock,
    /// The certificate.
    Certificate,
    /// The hub answers.
    Hub,
    /// The agent's token.
    Token,
}

impl Check {
    /// The check's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Programs => "programs",
            Self::Nftables => "nftables",
            Self::Forwarding => "forwarding",
            Self::ForeignRules => "foreign rules",
            Self::ReversePath => "rp_filter",
            Self::Ipv6 => "ipv6",
            Self::Lan => "lan",
            Self::PublicAddress => "public address",
            Self::Ports => "ports",
            Self::LocalPorts => "local ports",
            Self::Conntrack => "conntrack",
            Self::Caddy => "caddy",
            Self::Clock => "clock",
            Self::Certificate => "certificate",
            Self::Hub => "hub",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but somebody should look.
    Warn,
    /// It cannot work so.
    Fail,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// How bad it is.
    pub verdict: Verdict,
    /// What is so, as one sentence without its full stop.
    pub says: String,
    /// The line that mends it.
    pub mend: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Ok => "✓",
            Verdict::Warn => "!",
            Verdict::Fail => "✗",
        };
        write!(f, "{mark} {:<15} {}", self.check.name(), self.says)?;
        match &self.mend {
            Some(mend) => write!(f, "\n    → {mend}"),
            None => Ok(()),
        }
    }
}

/// A fact, or why it could not be learnt.
pub type Fact<T> = Result<T, String>;

/// What the site asks of the host; without it (never enrolled, no snapshot) what depends on it is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Public addresses.
    pub public: Vec<Ipv4Addr>,
    /// The host's address in the machines' network.
    pub gateway: Ipv4Addr,
    /// Forwarded ports, first and last.
    pub ports: (u16, u16),
    /// How many slots there are.
    pub capacity: u32,
    /// The name that the certificate should be for; none if the site asks for no certificate.
    pub wildcard: Option<String>,
}

/// A port that somebody listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// "tcp" or "udp".
    pub protocol: &'static str,
    /// The port.
    pub port: u16,
}

/// What only the hub's part of the agent knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFacts {
    /// How far our wall clock is ahead of the hub's; an error says why the hub does not answer.
    pub ahead: Fact<SignedDuration>,
    /// Until when our token is valid.
    pub token_until: Fact<Timestamp>,
}

/// All that was learnt of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The wall clock.
    pub now: Timestamp,
    /// What the site asks for.
    pub asked: Option<Asked>,
    /// Programs that are needed and absent, each with the package that has it.
    pub absent_programs: Vec<(&'static str, &'static str)>,
    /// Whether the kernel would take our table.
    pub nftables: Fact<()>,
    /// Whether IPv4 is forwarded.
    pub forwarding: Fact<bool>,
    /// Others' chains that drop forwarded packets unless told otherwise, as `family table chain`.
    pub dropping: Fact<Vec<String>>,
    /// The link to the machines.
    pub lan: Fact<LinkName>,
    /// `rp_filter` as it holds on that link.
    pub reverse_path: Fact<u8>,
    /// Whether IPv6 is off on that link.
    pub ipv6_off: Fact<bool>,
    /// The host's addresses.
    pub addresses: Fact<Vec<Ipv4Addr>>,
    /// Who listens.
    pub listeners: Fact<Vec<Listener>>,
    /// Ports that the host's own connections take, first and last.
    pub local_ports: Fact<(u16, u16)>,
    /// Ranges that they keep off.
    pub reserved_ports: Fact<Vec<(u16, u16)>>,
    /// How many connections the kernel can follow.
    pub conntrack_max: Fact<u64>,
    /// The web server's version.
    pub caddy: Fact<String>,
    /// Others' sites in the running web server.
    pub foreign_sites: Fact<Vec<String>>,
    /// Whether the kernel says that the clock is synchronised.
    pub clock_synchronised: Fact<bool>,
    /// The certificate at hand; none if there is no file.
    pub certificate: Fact<Option<Held>>,
    /// The hub's side; none if the host is not enrolled.
    pub hub: Option<HubFacts>,
}
