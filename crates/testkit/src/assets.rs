//! Where the programs of the test bed are. Owns the question to `tools/build.sh`; builds nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Root of the source tree.
#[must_use]
pub fn tree() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Paths of the programs that make a control plane.
#[derive(Clone, Debug)]
pub struct Assets {
    /// The store.
    pub etcd: PathBuf,
    /// The API server.
    pub api_server: PathBuf,
    /// Garbage collection, namespace deletion, service accounts.
    pub controller_manager: PathBuf,
    /// The command line client.
    pub kubectl: PathBuf,
}

impl Assets {
    /// Asks the build script for the paths.
    ///
    /// # Errors
    /// When a part has not been built yet; the text says how to build it.
    pub fn find() -> Result<Self> {
        Self::parse(&listing()?)
    }

    fn parse(listing: &str) -> Result<Self> {
        Ok(Self {
            etcd: take(listing, "etcd")?,
            api_server: take(listing, "kube-apiserver")?,
            controller_manager: take(listing, "kube-controller-manager")?,
            kubectl: take(listing, "kubectl")?,
        })
    }
}

/// One program of the cache, for instance `caddy` or `pebble`.
///
/// # Errors
/// When it has not been built yet; the text says how to build it.
pub fn program(part: &str) -> Result<PathBuf> {
    take(&listing()?, part)
}

fn listing() -> Result<String> {
    let script = tree().join("tools/build.sh");
    let output = Command::new(&script)
        .arg("--where")
        .output()
        .with_context(|| format!("failed to run {}", script.display()))?;
    ensure!(
        output.status.success(),
        "{} --where: {}",
        script.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn take(listing: &str, part: &str) -> Result<PathBuf> {
    let mut parts = listing.lines().filter_map(|line| line.split_once(' '));
    match parts
        .find(|(name, _)| *name == part)
        .map(|(_, path)| PathBuf::from(path))
    {
        Some(path) if path.is_file() => Ok(path),
        Some(path) => bail!("{part} is not built yet ({}): run ./justw tools", path.display()),
        None => bail!("tools/build.sh --where does not list {part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_says_how_to_build_it() {
        let error = Assets::parse("etcd /nonexistent/etcd\n")
            .expect_err("nothing there")
            .to_string();
        assert!(
            error.contains("etcd is not built yet") && error.contains("./justw tools"),
            "{error}"
        );
    }
}
