//! Ends connections of an address that has no route any more, by the `conntrack` program. Must not know why.
//!
//! The table refuses their packets as soon as the route is gone; without their entries, nothing of them is left for
//! whoever has the address next.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::command::{CommandError, run};

const LIMIT: Duration = Duration::from_secs(10);
/// What it says, also when there was nothing to delete and it therefore fails.
const DONE: &str = "flow entries have been deleted";

/// What it says when one ended by itself between its look and its deletion: it stops there, and others may be left.
const ENDED: &str = "such conntrack doesn't exist";
/// How often it is asked again for that.
const TRIES: u32 = 20;

/// Connections could not be ended.
#[derive(Debug, thiserror::Error)]
#[error("failed to end the connections of {address}")]
pub struct ConntrackError {
    /// Whose.
    pub address: Ipv4Addr,
    /// Why.
    #[source]
    pub source: CommandError,
}

/// Forgets all connections that this address opened, and all that were opened to it.
///
/// # Errors
/// When some may be left.
pub async fn forget(address: Ipv4Addr) -> Result<(), ConntrackError> {
    let text = address.to_string();
    // As the source of requests, and as the source of replies: the latter also finds what came by a public port.
    for direction in ["--orig-src", "--reply-src"] {
        let mut tries = 0;
        loop {
            tries += 1;
            match run("conntrack", &["-D", "-f", "ipv4", direction, &text], b"", LIMIT).await {
                Ok(_) => break,
                Err(CommandError::Refused { said, .. }) if said.contains(DONE) => break,
                Err(CommandError::Refused { said, .. }) if said.contains(ENDED) && tries < TRIES => {}
                Err(source) => return Err(ConntrackError { address, source }),
            }
        }
    }
    Ok(())
}
