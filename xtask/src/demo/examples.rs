//! The manifests under `examples/`, with the simulator's address, authority and token in the place of the documented
//! placeholders. Nothing else is changed, so that what the demo shows is what is committed.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use testkit::{assets, manifests};

use super::site::Sim;

/// What each of the three people applies.
pub struct Examples {
    /// The market operator's Accounts.
    pub market: Vec<DynamicObject>,
    /// The provider's objects.
    pub provider: Vec<DynamicObject>,
    /// The tenant's Contracts.
    pub tenant: Vec<DynamicObject>,
}

/// Reads all, filled in for this simulator.
///
/// # Errors
/// When a manifest can't be read or isn't what the demo expects.
pub fn read(sim: &Sim) -> Result<Examples> {
    let mut provider = manifests::read(&folder("provider"))?;
    let mut filled = 0;
    for object in &mut provider {
        filled +=
            usize::from(fill(object, sim).with_context(|| format!("failed to fill in {}", named(object)))?);
    }
    ensure!(
        filled == 2,
        "examples/provider must hold one Pool and one Secret for it, not {filled} of them"
    );
    let tenant = manifests::read(&folder("tenant"))?;
    ensure!(!tenant.is_empty(), "examples/tenant holds no Contract");
    Ok(Examples {
        market: manifests::read(&folder("market"))?,
        provider,
        tenant,
    })
}

fn folder(name: &str) -> PathBuf {
    assets::tree().join("examples").join(name)
}

/// Kind and name, for people.
pub fn named(object: &DynamicObject) -> String {
    let kind = object
        .types
        .as_ref()
        .map_or("object", |types| types.kind.as_str());
    format!("{} {}", kind, object.name_any())
}

/// Puts the simulator in where the object speaks of Proxmox; says whether it does.
fn fill(object: &mut DynamicObject, sim: &Sim) -> Result<bool> {
    match object.types.as_ref().map(|types| types.kind.as_str()) {
        Some("Pool") => {
            let proxmox = object
                .data
                .pointer_mut("/spec/proxmox")
                .and_then(Value::as_object_mut);
            let proxmox = proxmox.context("it has no spec.proxmox")?;
            proxmox.insert("endpoints".into(), json!([sim.url]));
            proxmox.insert("caBundle".into(), json!(sim.ca_pem));
        }
        Some("Secret") => {
            let token = object
                .data
                .pointer_mut("/stringData/token")
                .context("it has no stringData.token")?;
            *token = json!(sim.token);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sim() -> Sim {
        Sim {
            url: "https://127.0.0.1:1".into(),
            control_url: "http://127.0.0.1:2".into(),
            ca_pem: "-----BEGIN CERTIFICATE-----".into(),
            token: "a@pve!b=c".into(),
        }
    }

    #[test]
    fn committed_examples_need_only_address_authority_and_token() {
        let examples = read(&sim()).expect("the committed examples");
        let pool = examples
            .provider
            .iter()
            .find(|o| named(o) == "Pool rack1")
            .expect("a Pool");
        assert_eq!(
            pool.data["spec"]["proxmox"]["endpoints"],
            json!(["https://127.0.0.1:1"])
        );
        assert_eq!(
            pool.data["spec"]["proxmox"]["caBundle"],
            json!("-----BEGIN CERTIFICATE-----")
        );
        let secret = examples
            .provider
            .iter()
            .find(|o| named(o) == "Secret proxmox")
            .expect("a Secret");
        assert_eq!(secret.data["stringData"]["token"], json!("a@pve!b=c"));
    }

    #[test]
    fn a_pool_without_proxmox_is_named_as_unusable() {
        let mut pool =
            manifests::parse("{kind: Pool, apiVersion: v1, metadata: {name: x}, spec: {}}").expect("parses");
        assert!(fill(&mut pool[0], &sim()).is_err());
    }
}
