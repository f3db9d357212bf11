//! Runs nft. Owns how a transaction reaches the kernel and how the table is read back; must not decide what is in it.
//!
//! A small transaction goes to a program that stays ([`session`]): the kernel takes it in a third of a millisecond,
//! while starting nft takes two, and ending it after a removal waits for the kernel's grace period, some 14 more. A
//! large one, and any while there is no such program, goes to an `nft -f -` of its own.

mod session;

use std::time::Duration;

use agent_core::nft::{
    ListingError, Reading, Seen, TABLE, Transaction, is_missing, readings, sources, table,
};
use tokio::sync::Mutex;

use crate::command::{CommandError, run};
use session::{Session, SessionError};

/// How long nft may take; ten thousand ports take a quarter of a second.
const LIMIT: Duration = Duration::from_secs(10);
/// Text that the session is given at most.
const SMALL: usize = 32 * 1024;

/// Why nft did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// The program itself.
    #[error("failed to run nft")]
    Command(#[source] CommandError),
    /// The session.
    #[error("failed to change the table")]
    Session(#[source] SessionError),
    /// Its answer.
    #[error("failed to read the table")]
    Listing(#[source] ListingError),
}

impl NftError {
    /// Whether it failed because something is not there: the table, or an element to be removed.
    #[must_use]
    pub fn missing(&self) -> bool {
        match self {
            Self::Command(error) => error.said().is_some_and(is_missing),
            Self::Session(SessionError::Refused(said)) => is_missing(said),
            Self::Session(_) | Self::Listing(_) => false,
        }
    }
}

/// nft in this network namespace.
#[derive(Debug, Default)]
pub struct Nft {
    session: Mutex<Option<Session>>,
}

impl Nft {
    /// Does a transaction whole, or not at all.
    ///
    /// # Errors
    /// When nft refuses it; or when it took too long, and what became of it is unknown.
    pub async fn commit(&self, transaction: &Transaction) -> Result<(), NftError> {
        let text = transaction.text();
        if text.is_empty() {
            return Ok(());
        }
        if transaction.replaces() || text.len() > SMALL {
            return self.alone(&["-f", "-"], text.as_bytes()).await.map(drop);
        }
        match self.tell(&text).await {
            Err(SessionError::Start(error)) => {
                tracing::debug!(%error, "no nft that stays; starting one for this");
                self.alone(&["-f", "-"], text.as_bytes()).await.map(drop)
            }
            told => told.map_err(NftError::Session),
        }
    }

    /// Whether the table is there. Cheap: it may be asked every second.
    ///
    /// # Errors
    /// When that cannot be learnt.
    pub async fn present(&self) -> Result<bool, NftError> {
        let question = format!("list set ip {TABLE} public\n");
        let answer = match self.tell(&question).await {
            Err(SessionError::Start(_)) => self
                .alone(&["list", "set", "ip", TABLE, "public"], b"")
                .await
                .map(drop),
            told => told.map_err(NftError::Session),
        };
        match answer {
            Ok(()) => Ok(true),
            Err(error) if error.missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The table as it is; none if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn look(&self) -> Result<Option<Seen>, NftError> {
        match self.alone(&["-j", "list", "table", "ip", TABLE], b"").await {
            Ok(json) => table(&json).map(Some).map_err(NftError::Listing),
            Err(error) if error.missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What its counters say.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn read(&self) -> Result<Reading, NftError> {
        let sent = self
            .alone(&["-j", "list", "set", "ip", TABLE, "sent"], b"")
            .await?;
        let received = self
            .alone(&["-j", "list", "set", "ip", TABLE, "received"], b"")
            .await?;
        let counters = self
            .alone(&["-j", "list", "counters", "table", "ip", TABLE], b"")
            .await?;
        readings([&*sent, &*received, &*counters]).map_err(NftError::Listing)
    }

    /// Sources whose SSH connections were limited within the last ten minutes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn limited(&self) -> Result<Vec<std::net::Ipv4Addr>, NftError> {
        let json = self
            .alone(&["-j", "list", "set", "ip", TABLE, "limited"], b"")
            .await?;
        sources(&json).map_err(NftError::Listing)
    }

    /// Whether the kernel would take this, without doing it.
    ///
    /// # Errors
    /// Why it would not.
    pub async fn check(&self, transaction: &Transaction) -> Result<(), NftError> {
        self.alone(&["-c", "-f", "-"], transaction.text().as_bytes())
            .await
            .map(drop)
    }

    async fn tell(&self, text: &str) -> Result<(), SessionError> {
        let mut held = self.session.lock().await;
        let mut session = match held.take() {
            Some(session) if !session.worn() => session,
            _ => Session::start()?,
        };
        let told = tokio::time::timeout(LIMIT, session.tell(text)).await;
        let told = told.unwrap_or(Err(SessionError::Slow(LIMIT)));
        // One that did not answer as it should is not asked again.
        if matches!(told, Ok(()) | Err(SessionError::Refused(_))) {
            *held = Some(session);
        }
        told
    }

    async fn alone(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, NftError> {
        run("nft", arguments, input, LIMIT)
            .await
            .map_err(NftError::Command)
    }
}
