//! The site's wildcard certificate: kept on disk ([`store`]), obtained from an ACME authority ([`issue`]), renewed in
//! time ([`keep`]). When to renew is the core's to decide.

pub mod issue;
pub mod keep;
pub mod store;

use tokio::sync::{mpsc, oneshot};

pub use keep::{Keeper, Status, at_hand};
pub use store::{Store, Stored};

/// What the issuer asks of whoever can publish DNS records: the hub's part of the agent.
#[derive(Debug)]
pub enum Ask {
    /// Publish this, and confirm it once the zone's own servers answer it.
    Publish(Challenge),
    /// This value is not needed any more. Nothing waits for it.
    Withdraw(Value),
}

/// A value of a TXT record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Name of the record, without a dot at its end.
    pub name: String,
    /// The value; others may stand beside it.
    pub value: String,
}

/// A value to be published.
#[derive(Debug)]
pub struct Challenge {
    /// What to publish.
    pub wanted: Value,
    confirmed: oneshot::Sender<()>,
}

impl Challenge {
    /// Says that the zone's own servers answer the value. A challenge that is dropped has failed.
    pub fn confirm(self) {
        // Who asked has given up if nobody listens.
        let _given_up = self.confirmed.send(());
    }
}

/// Asks for records to be published.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::Sender<Ask>);

/// The other end: what is asked of the hub's part.
pub type Asks = mpsc::Receiver<Ask>;

/// A publisher and who answers it.
#[must_use]
pub fn publisher() -> (Publisher, Asks) {
    let (sender, receiver) = mpsc::channel(8);
    (Publisher(sender), receiver)
}

impl Publisher {
    /// Has a value published; false if it failed or nobody publishes.
    async fn publish(&self, wanted: Value) -> bool {
        let (confirmed, confirmation) = oneshot::channel();
        let asked = self.0.send(Ask::Publish(Challenge { wanted, confirmed })).await;
        asked.is_ok() && confirmation.await.is_ok()
    }

    fn withdraw(&self, value: Value) {
        // A value that stays does no harm; it is overwritten or removed later.
        let _stays = self.0.try_send(Ask::Withdraw(value));
    }
}
