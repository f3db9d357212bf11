//! When a child counts as ready. Owns the probes; the deadline comes from the caller.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Process;
use crate::wait::until;

/// The sign by which a child says that it is ready.
#[derive(Clone, Debug)]
pub enum Ready {
    /// It has been started; the caller probes by its own means.
    Started,
    /// This file exists and is not empty.
    File(PathBuf),
    /// A Unix socket takes a connection.
    Socket(PathBuf),
    /// A GET of this `http://` address answers 2xx.
    Http(String),
}

impl Ready {
    /// Removes a sign that an earlier process left.
    pub(super) fn forget(&self) -> Result<()> {
        let (Self::File(path) | Self::Socket(path)) = self else {
            return Ok(());
        };
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("failed to remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn wait(&self, process: &mut Process, deadline: Duration) -> Result<()> {
        crate::kubeconfig::install_tls();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .build()?;
        until("ready", deadline, || {
            let alive = still_running(process);
            let http = &http;
            async move {
                alive?;
                Ok(self.seen(http).await.then_some(()))
            }
        })
        .await
    }

    async fn seen(&self, http: &reqwest::Client) -> bool {
        match self {
            Self::Started => true,
            Self::File(path) => fs::metadata(path).is_ok_and(|file| file.len() > 0),
            Self::Socket(path) => UnixStream::connect(path).is_ok(),
            Self::Http(url) => http
                .get(url)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success()),
        }
    }
}

/// Fails once the process has ended.
pub(crate) fn still_running(process: &mut Process) -> Result<()> {
    match process.exited()? {
        Some(status) => bail!("it ended with {status}"),
        None => Ok(()),
    }
}
