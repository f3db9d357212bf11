//! Waits until the kinds a process needs are served. Asks discovery, which
//! every authenticated user may read (a provider's kubeconfig may not list
//! CRDs) and which shows a kind only once it can be used. Must never end the
//! process: start order must not matter.

use std::{collections::BTreeSet, time::Duration};

use kube::Client;
use tokio::time::Instant;

use crate::{
    call::{Act, Error, Fault, within},
    ready::Gate,
};

const TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_POLL: Duration = Duration::from_millis(100);
const LAST_POLL: Duration = Duration::from_secs(2);
const SAY_EVERY: Duration = Duration::from_secs(30);

/// Kinds of one group and version.
#[derive(Debug, Clone)]
pub struct Needed {
    /// For instance `decent-cloud.org/v1alpha1`.
    pub group_version: &'static str,
    /// Plural names, for instance `machines`.
    pub plurals: Vec<&'static str>,
}

/// Waits until all needed kinds are served, then opens the gate. What is
/// missing is logged at once, on change, and every half minute.
pub async fn wait(client: &Client, needed: &Needed, gate: &Gate) {
    let mut pause = FIRST_POLL;
    let mut said: Option<(String, Instant)> = None;
    loop {
        let missing = match missing(client, needed).await {
            Ok(missing) if missing.is_empty() => break,
            Ok(missing) => missing.into_iter().collect::<Vec<_>>().join(", "),
            Err(error) => crate::chain(&error),
        };
        let known = said.as_ref();
        if known.is_none_or(|(text, at)| *text != missing || at.elapsed() >= SAY_EVERY) {
            let group = needed.group_version;
            tracing::warn!(
                reason = "WaitingForCRD",
                group,
                missing,
                "waiting for {group}: {missing}"
            );
            said = Some((missing, Instant::now()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_POLL);
    }
    tracing::info!(group = needed.group_version, "all kinds are served");
    gate.set();
}

async fn missing(client: &Client, needed: &Needed) -> Result<BTreeSet<&'static str>, Error> {
    let group = needed.group_version;
    let call = client.list_api_group_resources(group);
    let served = match within(TIMEOUT, Act::List, ("APIResourceList", group), call).await {
        Ok(list) => list.resources.into_iter().map(|resource| resource.name).collect(),
        Err(error) if error.fault() == Fault::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let lacks = |plural: &&str| !served.iter().any(|name| name == plural);
    Ok(needed.plurals.iter().copied().filter(lacks).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        ready::Ready,
        scripted::{refusal, server},
    };

    fn served(plurals: &[&str]) -> Value {
        let resource = |name: &&str| {
            json!({
                "name": name, "singularName": "", "namespaced": true, "kind": "K", "verbs": [],
            })
        };
        let resources: Vec<_> = plurals.iter().map(resource).collect();
        json!({"groupVersion": "decent-cloud.org/v1alpha1", "resources": resources})
    }

    #[tokio::test(start_paused = true)]
    async fn waits_through_absence_and_errors_then_opens_the_gate() {
        let (client, mut server) = server();
        let ready = Ready::new();
        let gate = ready.gate("crds");
        let needed = Needed {
            group_version: "decent-cloud.org/v1alpha1",
            plurals: vec!["machines", "slots"],
        };
        let script = async {
            let line = "GET /apis/decent-cloud.org/v1alpha1";
            server.expect(line, 404, refusal(404, "NotFound")).await;
            server.expect(line, 503, refusal(503, "ServiceUnavailable")).await;
            server
                .expect(line, 200, served(&["machines", "machines/status"]))
                .await;
            assert_eq!(ready.missing(), ["crds"]);
            server.expect(line, 200, served(&["slots", "machines"])).await;
        };
        tokio::join!(wait(&client, &needed, &gate), script);
        assert!(ready.missing().is_empty());
    }
}
