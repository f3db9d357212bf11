//! Guests that can be reached: each started one is a network namespace on a bridge, with a real sshd.
//!
//! The model decides which guests run; [`wanted`] reads that as facts, [`plan`] says what is to be done, [`filter`] and
//! [`rule`] turn firewall files into nftables, all purely. [`keeper`] is the shell: it looks at the model again and
//! again and acts. The model never learns of any of this. Nothing here acts outside the namespaces that it made.

mod board;
mod filter;
#[cfg(test)]
mod filter_tests;
mod keeper;
mod machine;
mod names;
mod network;
mod plan;
mod rule;
mod tools;
mod wanted;
mod web;

use std::time::Duration;

pub use board::Board;
pub use keeper::{GuestError, Keeper};

/// What started guests are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Guests {
    /// Rows in a table.
    #[default]
    None,
    /// Network namespaces with an sshd and a web server.
    Netns {
        /// How long after its start a guest's programs run.
        boot: Duration,
    },
}
