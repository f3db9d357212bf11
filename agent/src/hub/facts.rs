//! What the doctor is told about the hub: whether it answers, how its clock stands to ours, until when our token is good.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_core::doctor::HubFacts;
use agent_core::identity::{Claims, Identity};
use jiff::SignedDuration;
use kit::clock::SystemClock;
use kit::server_clock::{Agreement, Limits, ServerClock};
use tokio::time::timeout;

use super::client::{Proof, connect};
use super::store::Store;

/// How long the hub is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of the hub; nothing if this host has not enrolled.
pub async fn facts(state: &Path) -> Option<HubFacts> {
    let store = Store::new(state);
    let (identity, token) = match store.load() {
        Ok(kept) => kept?,
        Err(error) => {
            let text = kit::chain(&error);
            return Some(HubFacts {
                ahead: Err(text.clone()),
                token_until: Err(text),
            });
        }
    };
    let claims = Claims::read(&token).map_err(|error| error.to_string());
    Some(HubFacts {
        ahead: ahead(&identity, &store).await,
        token_until: claims.map(|claims| claims.expires),
    })
}

async fn ahead(identity: &Identity, store: &Store) -> Result<SignedDuration, String> {
    let clock = Arc::new(ServerClock::new(Arc::new(SystemClock::new()), Limits::default()));
    let client = connect(identity, &Proof::File(store.token_file()), Arc::clone(&clock));
    let client = client.map_err(|error| kit::chain(&error))?;
    let answer = timeout(PATIENCE, client.apiserver_version()).await;
    match answer {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(kit::chain(&error)),
        Err(_) => return Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
    match clock.agreement() {
        Agreement::Agreed | Agreement::Unseen => Ok(SignedDuration::ZERO),
        Agreement::Skewed { by } | Agreement::Jumped { by } => Ok(by),
    }
}
