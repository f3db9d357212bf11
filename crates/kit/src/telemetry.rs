//! Logs: one subscriber, its format and a level that can change at run time.
//! Must not read the environment and must not log anything itself.

use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// For people.
    Plain,
}

/// The log could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not in the form "info,kit=debug".
    #[error("failed to parse the log filter {filter:?}")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a subscriber already.
    #[error("failed to install the log")]
    Install(#[source] tracing_subscriber::util::TryInitError),
    /// The subscriber is gone.
    #[error("failed to change the log level")]
    Reload(#[source] reload::Error),
}

/// Changes the log's filter at run time.
#[derive(Debug, Clone)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Uses another filter from now on.
    ///
    /// # Errors
    /// When the filter does not parse or the log is gone.
    pub fn set(&self, filter: &str) -> Result<(), Error> {
        let filter = parse(filter)?;
        self.0.reload(filter).map_err(Error::Reload)
    }
}

/// Installs the process's log on stderr.
///
/// # Errors
/// When the filter does not parse or there is a log already.
pub fn init(format: Format, filter: &str) -> Result<LogLevel, Error> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Json => registry
            .with(
                lines
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false),
            )
            .try_init(),
        Format::Plain => registry.with(lines.with_ansi(false)).try_init(),
    }
    .map_err(Error::Install)?;
    Ok(LogLevel(handle))
}

/// The client library logs each refused call as an error of its own; a failure
/// is logged once, by us, so that target is off unless the filter names it.
fn parse(filter: &str) -> Result<EnvFilter, Error> {
    let quiet = if filter.contains("kube_client") {
        filter.to_owned()
    } else {
        format!("{filter},kube_client::client::builder=off")
    };
    EnvFilter::try_new(quiet).map_err(|source| Error::Filter {
        filter: filter.to_owned(),
        source,
    })
}

/// For tests of the admin port: a level handle without a global subscriber.
#[cfg(test)]
pub(crate) fn detached() -> (reload::Layer<EnvFilter, Registry>, LogLevel) {
    let (layer, handle) = reload::Layer::new(EnvFilter::new("info"));
    (layer, LogLevel(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_refused_by_its_own_text() {
        let error = parse("kit=loud").unwrap_err();
        assert_eq!(error.to_string(), "failed to parse the log filter \"kit=loud\"");
    }

    #[test]
    fn the_clients_own_errors_are_off_unless_asked_for() {
        let text = parse("info").unwrap().to_string();
        assert!(text.contains("kube_client::client::builder=off"), "{text}");
        let text = parse("info,kube_client=debug").unwrap().to_string();
        assert!(!text.contains("off"), "{text}");
    }

    #[test]
    fn the_level_changes_at_run_time() {
        let (_layer, level) = detached();
        level.set("debug").unwrap();
        assert!(level.set("kit=loud").is_err());
    }
}
