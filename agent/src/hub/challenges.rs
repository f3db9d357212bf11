//! Records that the certificate's authority has to find: asked for by the issuer, published by the gateway controller,
//! confirmed through the Gateway's status.

use crate::certificate::{Ask, Challenge};

/// Values that the Gateway's status takes.
const MOST: usize = 4;

/// What was asked for and is not yet withdrawn.
#[derive(Debug, Default)]
pub struct Challenges {
    waiting: Vec<Challenge>,
    wanted: Vec<String>,
}

impl Challenges {
    /// Takes what the issuer asks.
    pub fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Publish(challenge) => {
                let value = challenge.wanted.value.clone();
                if !self.wanted.contains(&value) {
                    self.wanted.push(value);
                    // The oldest were left by orders that nobody waits for.
                    let over = self.wanted.len().saturating_sub(MOST);
                    self.wanted.drain(..over);
                }
                self.waiting.push(challenge);
            }
            Ask::Withdraw(value) => self.wanted.retain(|other| *other != value.value),
        }
    }

    /// The values for the Gateway's status.
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// Confirms what all servers of the zone answer with.
    pub fn published(&mut self, values: &[String]) {
        let (done, rest) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|challenge| values.contains(&challenge.wanted.value));
        self.waiting = rest;
        let done: Vec<Challenge> = done;
        done.into_iter().for_each(Challenge::confirm);
    }
}
