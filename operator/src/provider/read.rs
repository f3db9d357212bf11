//! Reads of one VM: its configuration, power and firewall, and what a refusal to show them means. Decides nothing.

use std::collections::BTreeMap;

use crds::common::PowerState;
use dc_proxmox::{PowerStatus, Pve};
use domain::{
    ids::{NodeName, Vmid},
    pve::Class,
};
use operator_core::provider::{
    machine::isolate::IPFILTER,
    seen::{FirewallSeen, Guest, Rule},
};

/// The VM on this node, and whether it runs; None when it is not there or may not be read.
///
/// # Errors
/// No usable answer.
pub async fn read_guest(pve: &Pve, node: &str, vmid: Vmid) -> Result<Option<Guest>, dc_proxmox::Error> {
    let (Ok(name), Some(mut guest)) = (node_name(node), read_config(pve, node, vmid).await?) else {
        return Ok(None);
    };
    guest.power = match pve.vm_current(&name, vmid).await {
        Ok(current) => match current.status {
            PowerStatus::Running => Some(PowerState::Running),
            PowerStatus::Stopped => Some(PowerState::Stopped),
            PowerStatus::Unknown | PowerStatus::Other(_) => None,
        },
        Err(e) if is_elsewhere(&e) => None,
        Err(e) => return Err(e),
    };
    Ok(Some(guest))
}

/// The VM's configuration on this node, all that a proof needs; None when it is not there or may not be read.
///
/// # Errors
/// No usable answer.
pub async fn read_config(pve: &Pve, node: &str, vmid: Vmid) -> Result<Option<Guest>, dc_proxmox::Error> {
    let Ok(name) = node_name(node) else {
        return Ok(None);
    };
    match pve.vm_config(&name, vmid).await {
        Ok(config) => Ok(Some(Guest {
            node: node.to_owned(),
            vmid,
            config: config.values,
            digest: config.digest,
            power: None,
            firewall: None,
        })),
        Err(e) if is_elsewhere(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Not there, or not for us to know. A refused token is neither: it says nothing about the VM.
fn is_elsewhere(e: &dc_proxmox::Error) -> bool {
    match e.class() {
        Class::Gone => true,
        Class::Denied { .. } => e.answer().is_some_and(|answer| answer.status == 403),
        _ => false,
    }
}

/// The VM's firewall.
///
/// # Errors
/// No usable answer.
pub async fn read_firewall(pve: &Pve, guest: &Guest) -> Result<FirewallSeen, dc_proxmox::Error> {
    let Ok(node) = node_name(&guest.node) else {
        return Ok(FirewallSeen::default());
    };
    let (options, rules, sets) = tokio::try_join!(
        pve.firewall_options(&node, guest.vmid),
        pve.firewall_rules(&node, guest.vmid),
        pve.ipsets(&node, guest.vmid),
    )?;
    let ipfilter = if sets.iter().any(|name| name == IPFILTER) {
        let members = pve.ipset(&node, guest.vmid, IPFILTER).await?;
        Some(
            members
                .into_iter()
                .map(|m| if m.nomatch { format!("!{}", m.cidr) } else { m.cidr })
                .collect(),
        )
    } else {
        None
    };
    Ok(FirewallSeen {
        options: options.values,
        rules: rules.into_iter().map(rule).collect(),
        ipfilter,
    })
}

fn rule(rule: dc_proxmox::Rule) -> Rule {
    let narrowed: BTreeMap<String, String> = rule.other;
    Rule {
        direction: rule.kind,
        action: rule.action,
        source: rule.source,
        enabled: rule.enable,
        extra: rule.dest.is_some() || !narrowed.is_empty(),
    }
}

/// A node's name as the client takes it.
///
/// # Errors
/// A name that Proxmox would not have.
pub fn node_name(text: &str) -> Result<NodeName, domain::ids::IdError> {
    text.parse()
}
