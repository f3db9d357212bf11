//! Which daemon of which node does a call, and what is said when it cannot be reached. Does nothing itself.

use std::time::Duration;

use super::reply::Fault;
use crate::model::world::World;

/// How long the proxy looks for a node that does not answer.
const NO_ROUTE: Duration = Duration::from_secs(3);

/// Calls below a node that every node answers for all of them: the files are the cluster's.
const ANYWHERE: &[&str] = &[
    "/nodes/{node}/qemu/{vmid}/firewall",
    "/nodes/{node}/qemu/{vmid}/firewall/rules",
    "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
    "/nodes/{node}/qemu/{vmid}/firewall/refs",
];
/// The same, with everything below.
const ANYWHERE_BELOW: &[&str] = &[
    "/nodes/{node}/qemu/{vmid}/firewall/ipset",
    "/nodes/{node}/qemu/{vmid}/firewall/aliases",
];
/// What is read by the daemon that runs as root, from the schema.
const READ_AS_ROOT: &[&str] = &[
    "/access/users",
    "/cluster/status",
    "/nodes/{node}/qemu",
    "/nodes/{node}/qemu/{vmid}/feature",
    "/nodes/{node}/qemu/{vmid}/migrate",
    "/nodes/{node}/qemu/{vmid}/snapshot",
    "/nodes/{node}/qemu/{vmid}/status/current",
    "/nodes/{node}/storage",
    "/nodes/{node}/storage/{storage}/content",
    "/nodes/{node}/storage/{storage}/status",
    "/nodes/{node}/tasks/{upid}/log",
    "/nodes/{node}/tasks/{upid}/status",
];

/// Whether a call goes to the node of its path.
fn is_forwarded(template: &str) -> bool {
    let below = |top: &&str| template.starts_with(*top);
    template.contains("{node}") && !ANYWHERE.contains(&template) && !ANYWHERE_BELOW.iter().any(below)
}

/// Whether a call is done by pvedaemon, of which a node has three workers, and not by pveproxy itself.
pub fn needs_root(method: &str, template: &str) -> bool {
    method != "GET" || template.contains("/agent/") || READ_AS_ROOT.contains(&template)
}

/// The node whose daemon does a call, if it is there.
pub fn node_of<'a>(world: &'a World, template: &str, node: Option<&'a str>) -> Option<&'a str> {
    let named = node.filter(|_| is_forwarded(template));
    named.or_else(|| world.entry().map(|entry| entry.name.as_str()))
}

/// Refuses a call whose daemon cannot be reached.
pub fn check(world: &World, (method, template): (&str, &str), node: Option<&str>) -> Result<(), Fault> {
    let entry = world.entry().map(|entry| entry.name.as_str());
    let Some(name) = node_of(world, template, node) else {
        return Err(Fault::bare(595, "No route to host").held(NO_ROUTE));
    };
    let Some(node) = world.nodes.get(name) else {
        let why = format!("hostname lookup '{name}' failed - failed to get address info for: {name}:");
        return Err(Fault::died(format!("{why} Name or service not known")));
    };
    if !node.online {
        return Err(Fault::bare(595, "No route to host").held(NO_ROUTE));
    }
    let proxy = node.services.proxy || entry == Some(name);
    if !proxy || (needs_root(method, template) && !node.services.daemon) {
        return Err(Fault::bare(595, "Connection refused"));
    }
    Ok(())
}
