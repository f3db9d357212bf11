//! Where the control plane's programs are. Owns the question to `tools/build.sh`; builds nothing.

use std::collections::BTreeMap;
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
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    fn parse(listing: &str) -> Result<Self> {
        let mut parts: BTreeMap<&str, PathBuf> = listing
            .lines()
            .filter_map(|l| l.split_once(' '))
            .map(|(k, v)| (k, PathBuf::from(v)))
            .collect();
        let mut take = |part: &str| match parts.remove(part) {
            Some(path) if path.is_file() => Ok(path),
            Some(path) => bail!("{part} is not built yet ({}): run ./justw tools", path.display()),
            None => bail!("tools/build.sh --where does not list {part}"),
        };
        Ok(Self {
            etcd: take("etcd")?,
            api_server: take("kube-apiserver")?,
            controller_manager: take("kube-controller-manager")?,
            kubectl: take("kubectl")?,
        })
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
