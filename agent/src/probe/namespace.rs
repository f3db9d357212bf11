//! The network namespace that probes come from: one link to the host, on the outside of its NAT. Owns what it makes and
//! removes it; must not touch another namespace or link.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use agent_core::nft::LinkName;

use crate::command::{CommandError, run};

const LIMIT: Duration = Duration::from_secs(10);
const PREFIX: u8 = 30;

/// Where probes come from.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Name of the namespace, ours alone.
    pub namespace: LinkName,
    /// Name of the host's end of the link, ours alone.
    pub link: LinkName,
    /// The host's address on the link.
    pub host: Ipv4Addr,
    /// The probe's own address, the other of the same /30.
    pub probe: Ipv4Addr,
}

/// The namespace could not be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to make the namespace that probes come from")]
pub struct NamespaceError(#[source] CommandError);

/// A namespace that there is.
#[derive(Debug, Clone)]
pub struct Namespace {
    outside: Outside,
}

impl Namespace {
    /// Makes it; one that an earlier run left goes first.
    ///
    /// # Errors
    /// When the host refuses.
    pub async fn make(outside: Outside) -> Result<Self, NamespaceError> {
        let Outside {
            namespace,
            link,
            host,
            probe,
        } = outside.clone();
        let made = Self { outside };
        made.remove().await;
        ip(&["netns", "add", namespace.as_str()], "").await?;
        let lines = format!(
            "link add name {link} type veth peer name eth0 netns {namespace}\n\
             addr add {host}/{PREFIX} dev {link}\n\
             link set {link} up\n"
        );
        ip(&["-batch", "-"], &lines).await?;
        let lines = format!(
            "addr add {probe}/{PREFIX} dev eth0\nlink set lo up\nlink set eth0 up\nroute add default via {host}\n"
        );
        ip(&["-n", namespace.as_str(), "-batch", "-"], &lines).await?;
        Ok(made)
    }

    /// The file that stands for it.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(self.outside.namespace.as_str())
    }

    /// Removes it with its link. What is not there is no error; what stays is removed at the next start.
    pub async fn remove(&self) {
        let Outside { namespace, link, .. } = &self.outside;
        for arguments in [
            ["link", "del", link.as_str()],
            ["netns", "del", namespace.as_str()],
        ] {
            if let Err(error) = ip(&arguments, "").await {
                tracing::debug!(error = %kit::chain(&error), "nothing to remove");
            }
        }
    }
}

async fn ip(arguments: &[&str], input: &str) -> Result<(), NamespaceError> {
    run("ip", arguments, input.as_bytes(), LIMIT)
        .await
        .map(drop)
        .map_err(NamespaceError)
}
