//! Holds the layering: which crate must not see which package, asked of `cargo tree`.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Crate, and packages that must not be in its normal dependency tree.
const RULES: &[(&str, &[&str])] = &[
    ("domain", &["kube", "kube-core", "tokio", "reqwest", "rand"]),
    (
        "crds",
        &["tokio", "kube-client", "reqwest", "hyper", "rand", "fastrand"],
    ),
    (
        "operator-core",
        &[
            "tokio",
            "kube-client",
            "reqwest",
            "hyper",
            "kit",
            "dc-proxmox",
            "rand",
            "fastrand",
        ],
    ),
    (
        "agent-core",
        &[
            "tokio",
            "kube-client",
            "reqwest",
            "hyper",
            "kit",
            "operator-core",
            "rand",
            "fastrand",
        ],
    ),
    (
        "agent",
        &[
            "aws-lc-rs",
            "openssl",
            "native-tls",
            "operator-core",
            "dc-proxmox",
            "dc-cloudflare",
            "testkit",
        ],
    ),
    (
        "gateway-core",
        &["tokio", "kube-client", "reqwest", "hyper", "kit", "operator-core"],
    ),
    (
        "kit",
        &[
            "proxmox-api",
            "cloudflare",
            "crds",
            "operator-core",
            "dc-proxmox",
            "dc-cloudflare",
        ],
    ),
    ("dc-proxmox", &["kube", "kube-core", "crds"]),
    ("dc-cloudflare", &["kube", "kube-core", "crds", "kit"]),
    ("pve-sim", &["operator-core", "dc-proxmox", "kube"]),
    (
        "cf-sim",
        &["operator-core", "dc-cloudflare", "cloudflare", "kube"],
    ),
    ("testkit", &["operator-core", "dc-proxmox"]),
    (
        "operator",
        &["aws-lc-rs", "openssl", "native-tls", "pve-sim", "testkit"],
    ),
];

/// Checks every rule.
///
/// # Errors
/// The first crates that break theirs, or `cargo tree` itself failing.
pub fn run() -> Result<()> {
    let mut broken = Vec::new();
    for (package, banned) in RULES {
        let out = Command::new("cargo")
            .args([
                "tree", "--locked", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}",
            ])
            .output()
            .context("failed to run cargo tree")?;
        if !out.status.success() {
            bail!(
                "cargo tree -p {package} failed: {}",
                String::from_utf8_lossy(&out.stderr)
            );
        }
        let tree = String::from_utf8_lossy(&out.stdout);
        let seen = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
        broken.extend(
            banned
                .iter()
                .filter(|name| seen(name))
                .map(|name| format!("{package} must not see {name}")),
        );
    }
    if !broken.is_empty() {
        bail!("layering broken:\n  {}", broken.join("\n  "));
    }
    Ok(())
}
