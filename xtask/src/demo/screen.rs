//! What people see while the demo runs. Owns stdout, stderr and the one moving line; must not know what it says.
//!
//! With `--json`, stdout carries the JSON alone and everything else goes to stderr.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// The terminal, or wherever the output goes.
pub struct Screen {
    json: bool,
    /// Moves only where somebody watches.
    wait: Option<ProgressBar>,
}

impl Screen {
    /// For people, or with the result as JSON.
    pub fn new(json: bool) -> Self {
        let watched = std::io::stderr().is_terminal() && (json || std::io::stdout().is_terminal());
        let wait = watched.then(ProgressBar::new_spinner);
        if let Some(wait) = &wait {
            let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}");
            wait.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        }
        Self { json, wait }
    }

    /// Shows what is being waited for, until the next line of the kind [`Self::done`] or [`Self::clear`].
    pub fn waiting(&self, what: &str) {
        if let Some(wait) = &self.wait {
            // Also brings it back after `clear`.
            wait.reset();
            wait.enable_steady_tick(Duration::from_millis(100));
            wait.set_message(what.to_owned());
        }
    }

    /// A step is done.
    pub fn done(&self, what: &str, says: &str) {
        self.clear();
        self.line(&format!("✓ {what:<24} {says}"));
    }

    /// Something went wrong.
    pub fn wrong(&self, says: &str) {
        self.clear();
        self.line(&format!("✗ {says}"));
    }

    /// One line, above the moving one.
    pub fn line(&self, text: &str) {
        match &self.wait {
            Some(wait) => wait.suspend(|| self.write(text)),
            None => self.write(text),
        }
    }

    /// Takes the moving line away.
    pub fn clear(&self) {
        if let Some(wait) = &self.wait {
            wait.disable_steady_tick();
            wait.finish_and_clear();
        }
    }

    /// The result, if it was asked for.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn json(&self, value: &Value) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        writeln!(std::io::stdout(), "{value}").context("failed to write the JSON")
    }

    /// A closed pipe is no reason to leave processes behind, so failures are let go.
    fn write(&self, text: &str) {
        if self.json {
            writeln!(std::io::stderr(), "{text}").ok();
        } else {
            writeln!(std::io::stdout(), "{text}").ok();
        }
    }
}
