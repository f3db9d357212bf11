//! What went wrong in a demo, in three lines: what failed, why, what to do.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::screen::Screen;

/// The acts of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Start etcd, API server and controller manager.
    ControlPlane,
    /// Start the simulator.
    Proxmox,
    /// Start the operator.
    Operator,
    /// Read `examples/`.
    Examples,
    /// The accounts become ready.
    Accounts,
    /// Pool and Offerings become ready.
    Provider,
    /// The machine is made.
    Contracts,
    /// Compare with the simulator's truth.
    Proof,
}

impl Act {
    const fn what(self) -> &'static str {
        match self {
            Self::ControlPlane => "the control plane did not start",
            Self::Proxmox => "the Proxmox simulator did not start",
            Self::Operator => "the operator did not start",
            Self::Examples => "the examples cannot be used",
            Self::Accounts => "the accounts did not become ready",
            Self::Provider => "the provider's Pool and Offerings did not become ready",
            Self::Contracts => "the machine was not made",
            Self::Proof => "the machine cannot be compared with what was asked",
        }
    }

    const fn fix(self) -> &'static str {
        match self {
            Self::ControlPlane => "see the log named above; ./justw tools builds a part that is missing",
            Self::Proxmox | Self::Operator => "see its log; after a change of the code, ./justw check",
            Self::Examples => "mend the manifest that is named, under examples/",
            Self::Accounts | Self::Provider | Self::Contracts => {
                "see the log; ./justw demo --keep leaves everything up for kubectl"
            }
            Self::Proof => "see the logs; ./justw demo --keep leaves everything up for kubectl",
        }
    }

    const fn log(self) -> &'static str {
        match self {
            Self::ControlPlane => "kube-apiserver.log",
            Self::Proxmox | Self::Proof => "pve-sim.log",
            Self::Operator | Self::Examples | Self::Accounts | Self::Provider | Self::Contracts => {
                "operator.log"
            }
        }
    }
}

/// An act that failed.
pub struct Failure {
    act: Act,
    why: anyhow::Error,
    log: PathBuf,
}

impl Failure {
    /// In a demo that lives in `dir`.
    pub fn new(act: Act, why: anyhow::Error, dir: &Path) -> Self {
        Self {
            act,
            why,
            log: dir.join(act.log()),
        }
    }

    /// Says it, and gives the exit code.
    pub fn tell(&self, screen: &Screen) -> ExitCode {
        screen.wrong(self.act.what());
        screen.line(&format!(
            "  why:         {}",
            format!("{:#}", self.why).replace('\n', "\n    ")
        ));
        screen.line(&format!("  what to do:  {}", self.act.fix()));
        screen.line(&format!("  log:         {}", self.log.display()));
        ExitCode::FAILURE
    }

    /// As `--json` has it.
    pub fn json(&self) -> Value {
        json(&format!("{}: {:#}", self.act.what(), self.why))
    }
}

/// The result of a demo that came to nothing, as `--json` has it.
pub fn json(error: &str) -> Value {
    json!({ "contracts": [], "api_writes_per_contract": null, "ok": false, "error": error })
}
