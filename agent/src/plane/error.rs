//! Why the data plane could not start or do something.

use domain::slot::SlotIndex;

use crate::caddy::CaddyError;
use crate::conntrack::ConntrackError;
use crate::host::HostError;
use crate::nft::NftError;
use crate::probe::namespace::NamespaceError;
use crate::probe::thread::ThreadError;
use crate::snapshot::SnapshotError;
use crate::zone::ZoneError;

/// Why the data plane could not start or do something; named by the act.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The snapshot could not be looked for.
    #[error("failed to load the snapshot")]
    Load(#[source] SnapshotError),
    /// That work was given up.
    #[error("the load of the snapshot was given up")]
    GivenUp(#[source] tokio::task::JoinError),
    /// The zone cannot be served.
    #[error("failed to serve the zone")]
    Zone(#[source] ZoneError),
    /// The probes have no place.
    #[error("failed to make a place for probes")]
    Namespace(#[source] NamespaceError),
    /// The probes have no thread.
    #[error("failed to start probing")]
    Prober(#[source] ThreadError),
    /// The web server has no client.
    #[error("failed to prepare for the web server")]
    Caddy(#[source] CaddyError),
    /// The host's network is not as it should be.
    #[error("failed to find the link to the machines")]
    Host(#[source] HostError),
    /// The table could not be read.
    #[error("failed to look at the table")]
    Look(#[source] NftError),
    /// The table could not be taken over.
    #[error("failed to take over the table")]
    TakeOver(#[source] NftError),
    /// A change was not done.
    #[error("failed to change routes")]
    Change(#[source] NftError),
    /// No site was told yet.
    #[error("no site is known yet")]
    NoSite,
    /// The Gateway's new fields would move routes that there are.
    #[error("the Gateway's network or ports changed while slot {0} has a route")]
    Moved(SlotIndex),
    /// Routes are removed, but connections may be left.
    #[error("failed to end the connections of removed routes")]
    Connections(#[source] ConntrackError),
    /// Routes are changed, but not on disk.
    #[error("failed to save the snapshot")]
    Save(#[source] SnapshotError),
}
