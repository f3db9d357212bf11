//! The command line, parsed and checked whole before anything starts. Nothing below `main` reads the environment.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use kit::args::{AdminArgs, KubeArgs, LeaderArgs, TelemetryArgs, duration};
use operator_core::provider::pool::endpoint::Network;

/// Reconciles what is rented at decent-cloud.org with Proxmox: Accounts, Offerings, Contracts; Pools, Machines, Slots.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Families of controllers to run.
    #[arg(
        long,
        env = "DECENT_CONTROLLERS",
        value_enum,
        value_delimiter = ',',
        default_value = "market,provider"
    )]
    pub controllers: Vec<Family>,
    /// Serve the providers of this one namespace, beside their Proxmox (Provider spec.operator Own); without it, all
    /// that leave it to the hub.
    #[arg(long, env = "DECENT_NAMESPACE")]
    pub namespace: Option<String>,
    /// Networks of the hub's own cluster, such as its services': Proxmox is never called there.
    #[arg(long, env = "DECENT_REFUSE_NETWORKS", value_delimiter = ',')]
    pub refuse_networks: Vec<Network>,
    /// The API server.
    #[command(flatten)]
    pub kube: KubeArgs,
    /// The election.
    #[command(flatten)]
    pub leader: LeaderArgs,
    /// Logs.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// The admin port.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Intervals and bounds.
    #[command(flatten)]
    pub bounds: BoundArgs,
    /// Switches for tests.
    #[cfg(feature = "dev-flags")]
    #[command(flatten)]
    pub dev: DevArgs,
}

/// A family of controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Family {
    /// Account, Provider, Offering, Contract.
    Market,
    /// Pool, Machine, Slot.
    Provider,
}

/// Intervals and bounds; each a duration such as `90s` or `1h`.
#[derive(Clone, Debug, clap::Args)]
pub struct BoundArgs {
    /// A Contract that is not accepted by then expires.
    #[arg(long, value_parser = duration, default_value = "60m")]
    pub request_limit: Duration,
    /// A machine that is not reached by then is refunded.
    #[arg(long, value_parser = duration, default_value = "60m")]
    pub provisioning_limit: Duration,
    /// How often a Pool's rights and templates are checked.
    #[arg(long, value_parser = duration, default_value = "60s")]
    pub preflight_interval: Duration,
    /// How often a Pool's machines are looked at, all at once.
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub tick_interval: Duration,
    /// Time between two looks that prove absence together.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub absence_interval: Duration,
    /// An id that is taken by something unseen is given up as lost after this.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub hidden_limit: Duration,
    /// A machine that is being made is placed again once its node has been offline for this long.
    #[arg(long, value_parser = duration, default_value = "60s")]
    pub node_lost_after: Duration,
    /// A destruction waits this long for its route at most.
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub route_wait: Duration,
    /// A guest has this long to shut down before it is stopped.
    #[arg(long, value_parser = duration, default_value = "60s")]
    pub shutdown_wait: Duration,
    /// A task of Proxmox that starts, stops or grows a machine and runs longer is ended and tried again.
    #[arg(long, value_parser = duration, default_value = "10m")]
    pub task_limit: Duration,
    /// A Slot rests this long before its index is used again.
    #[arg(long, value_parser = duration, default_value = "24h")]
    pub slot_rest: Duration,
    /// A teardown that can't be proven finished is given up after this.
    #[arg(long, value_parser = duration, default_value = "168h")]
    pub abandon_after: Duration,
}

/// Switches that make no sense in production.
#[cfg(feature = "dev-flags")]
#[derive(Clone, Debug, clap::Args)]
pub struct DevArgs {
    /// Take payment.method Test.
    #[arg(long)]
    pub allow_test_payment: bool,
    /// Length of a contract's hour.
    #[arg(long, value_parser = duration, default_value = "1h")]
    pub contract_hour: Duration,
    /// Call Proxmox on loopback addresses.
    #[arg(long)]
    pub allow_loopback_endpoints: bool,
}

#[cfg(all(test, not(feature = "dev-flags")))]
mod release_tests {
    //! What a released operator refuses to be told.

    use clap::{Parser, error::ErrorKind};

    use super::Args;

    #[test]
    fn p94_a_release_takes_no_switches_of_development() {
        for switch in [
            "--allow-test-payment",
            "--contract-hour=1s",
            "--allow-loopback-endpoints",
        ] {
            let refused = Args::try_parse_from(["operator", "--controllers", "market", switch]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::UnknownArgument, "{switch}: {refused}");
        }
    }
}
