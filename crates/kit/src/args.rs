//! Command-line groups that every process flattens into its own. Parsed once,
//! destructured completely, passed by value. Only modules of
//! this name know environment variables.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use jiff::SignedDuration;

use crate::{leader, telemetry::Format};

/// How to reach the API server.
#[derive(Debug, Clone, clap::Args)]
pub struct KubeArgs {
    /// Kubeconfig file; without it the pod's service account is used.
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Deadline of one call to the API server.
    #[arg(long, env = "DECENT_KUBE_TIMEOUT", value_parser = duration, default_value = "10s")]
    pub kube_timeout: Duration,
}

/// Leader election among replicas.
#[derive(Debug, Clone, clap::Args)]
pub struct LeaderArgs {
    /// Namespace of the Lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "decent-system")]
    pub lease_namespace: String,
    /// Name of the Lease; each process has its default.
    #[arg(long, env = "DECENT_LEASE_NAME")]
    pub lease_name: Option<String>,
    /// For how long the others wait after the leader's last renewal (whole seconds).
    #[arg(long, env = "DECENT_LEASE_DURATION", value_parser = duration, default_value = "15s")]
    pub lease_duration: Duration,
    /// How often the leader renews.
    #[arg(long, env = "DECENT_LEASE_RENEW", value_parser = duration, default_value = "4s")]
    pub lease_renew: Duration,
    /// Identity of this replica: no two running processes may share it, and a
    /// restarted one should keep it, so that it leads again at once. Drawn at random if absent.
    #[arg(long, env = "POD_NAME")]
    pub replica: Option<String>,
}

impl LeaderArgs {
    /// The election's configuration.
    #[must_use]
    pub fn config(self, default_name: &str) -> leader::Config {
        let Self {
            lease_namespace,
            lease_name,
            lease_duration,
            lease_renew,
            replica,
        } = self;
        leader::Config {
            namespace: lease_namespace,
            name: lease_name.unwrap_or_else(|| default_name.to_owned()),
            identity: replica.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            renew: lease_renew,
            duration: lease_duration,
        }
    }
}

/// What the process says about itself.
#[derive(Debug, Clone, clap::Args)]
pub struct TelemetryArgs {
    /// Log filter, for instance "info" or "info,kit=debug".
    #[arg(long, env = "DECENT_LOG", default_value = "info")]
    pub log: String,
    /// Form of the log lines.
    #[arg(long, env = "DECENT_LOG_FORMAT", value_enum, default_value = "json")]
    pub log_format: Format,
}

/// The admin port.
#[derive(Debug, Clone, clap::Args)]
pub struct AdminArgs {
    /// Address of /livez, /readyz, /metrics and PUT /log-level.
    #[arg(long, env = "DECENT_ADMIN_ADDRESS", default_value = "127.0.0.1:8086")]
    pub admin_address: SocketAddr,
    /// How long a shutdown may take; keep it below the pod's grace period.
    #[arg(long, env = "DECENT_DRAIN", value_parser = duration, default_value = "20s")]
    pub drain: Duration,
}

/// Parses a positive duration such as "10s", "1m 30s" or "250ms".
///
/// # Errors
/// When the text is no duration, or not more than zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    let signed: SignedDuration = text
        .parse()
        .map_err(|_| format!("{text:?} is not a duration such as \"10s\", \"1m 30s\" or \"250ms\""))?;
    Duration::try_from(signed)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("{text:?} is not more than zero"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct All {
        #[command(flatten)]
        kube: KubeArgs,
        #[command(flatten)]
        leader: LeaderArgs,
        #[command(flatten)]
        telemetry: TelemetryArgs,
        #[command(flatten)]
        admin: AdminArgs,
    }

    #[test]
    fn groups_parse_together_and_values_are_taken() {
        let all = All::parse_from([
            "x",
            "--kube-timeout=3s",
            "--log-format=plain",
            "--log=debug",
            "--admin-address=127.0.0.1:0",
            "--lease-duration=6s",
            "--replica=r",
        ]);
        assert_eq!(all.kube.kube_timeout, Duration::from_secs(3));
        assert_eq!(
            (all.telemetry.log_format, all.telemetry.log.as_str()),
            (Format::Plain, "debug")
        );
        assert_eq!(all.admin.admin_address.port(), 0);
        let named = all.leader.clone().config("operator");
        assert_eq!((named.name.as_str(), named.identity.as_str()), ("operator", "r"));
        assert_eq!(named.duration, Duration::from_secs(6));
        let unnamed = LeaderArgs {
            replica: None,
            ..all.leader
        };
        assert_ne!(unnamed.clone().config("x").identity, unnamed.config("x").identity);
    }

    #[test]
    fn durations_are_positive_and_readable() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("PT1H"), Ok(Duration::from_hours(1)));
        for bad in ["", "5", "ten", "0s", "-3s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
