//! The route table: which call is handled by what. What a call takes and asks for is in `schema`.

use super::call::Handler;
use super::{
    access, cluster, datacenter, firewall, firewall_more, index, ipset, nodes, pools, qemu, qemu_agent,
    qemu_clone, qemu_cloudinit, qemu_config, qemu_create, qemu_power, qemu_state, resources, roles, rules,
    storage, storage_config, storage_files, tasks, ticket, tokens, users,
};

/// A method, a path in which `{name}` stands for a segment, and what is done.
type Route = (&'static str, &'static str, Handler);

macro_rules! vm {
    ($rest:literal) => {
        concat!("/nodes/{node}/qemu/{vmid}", $rest)
    };
}

/// Every call that is simulated.
pub fn all() -> impl Iterator<Item = Route> {
    ROUTES.iter().copied()
}

const ROUTES: &[Route] = &[
    ("GET", "/version", nodes::version),
    // Access
    ("GET", "/access", index::access),
    ("GET", "/access/ticket", ticket::get),
    ("POST", "/access/ticket", ticket::create),
    ("GET", "/access/domains", access::domains),
    ("GET", "/access/groups", access::groups),
    ("PUT", "/access/acl", access::put_acl),
    ("GET", "/access/roles", roles::list),
    ("POST", "/access/roles", roles::create),
    ("GET", "/access/roles/{roleid}", roles::get),
    ("PUT", "/access/roles/{roleid}", roles::update),
    ("DELETE", "/access/roles/{roleid}", roles::delete),
    ("GET", "/access/users", users::list),
    ("POST", "/access/users", users::create),
    ("GET", "/access/users/{userid}", users::get),
    ("PUT", "/access/users/{userid}", users::update),
    ("DELETE", "/access/users/{userid}", users::delete),
    ("GET", "/access/users/{userid}/token", tokens::list),
    ("GET", "/access/users/{userid}/token/{tokenid}", tokens::get),
    ("POST", "/access/users/{userid}/token/{tokenid}", tokens::create),
    ("PUT", "/access/users/{userid}/token/{tokenid}", tokens::update),
    ("DELETE", "/access/users/{userid}/token/{tokenid}", tokens::delete),
    ("GET", "/access/permissions", access::permissions),
    ("GET", "/access/acl", access::acl),
    // Cluster
    ("GET", "/cluster/status", cluster::status),
    ("GET", "/cluster/nextid", cluster::nextid),
    ("GET", "/cluster/resources", resources::list),
    ("GET", "/cluster/tasks", cluster::tasks),
    ("GET", "/cluster/options", datacenter::options),
    ("PUT", "/cluster/options", datacenter::put_options),
    ("GET", "/cluster/ha/resources", firewall_more::none),
    ("GET", "/cluster/sdn/vnets", firewall_more::none),
    ("GET", "/cluster/firewall/ipset", firewall_more::none),
    ("GET", "/cluster/firewall/groups", firewall_more::none),
    ("GET", "/cluster/firewall/rules", firewall_more::none),
    ("GET", "/cluster/firewall/aliases", firewall_more::none),
    ("GET", "/cluster/firewall/macros", firewall_more::macros),
    ("GET", "/cluster/firewall/options", datacenter::firewall),
    ("PUT", "/cluster/firewall/options", datacenter::put_firewall),
    // Pools
    ("GET", "/pools", pools::list),
    ("GET", "/pools/{poolid}", pools::get_old),
    ("POST", "/pools", pools::create),
    ("PUT", "/pools", pools::update),
    ("DELETE", "/pools", pools::delete),
    ("DELETE", "/pools/{poolid}", pools::delete),
    // Nodes
    ("GET", "/nodes", nodes::list),
    ("GET", "/nodes/{node}/version", nodes::version),
    ("GET", "/nodes/{node}/status", nodes::status),
    ("GET", "/nodes/{node}/network", nodes::network),
    ("GET", "/nodes/{node}/storage", storage::list),
    ("GET", "/nodes/{node}/storage/{storage}/status", storage::status),
    ("GET", "/nodes/{node}/storage/{storage}/content", storage::content),
    (
        "POST",
        "/nodes/{node}/storage/{storage}/content",
        storage_files::allocate,
    ),
    (
        "DELETE",
        "/nodes/{node}/storage/{storage}/content/{volume}",
        storage_files::remove,
    ),
    (
        "POST",
        "/nodes/{node}/storage/{storage}/upload",
        storage_files::upload,
    ),
    ("GET", "/nodes/{node}/sdn/zones", nodes::zones),
    (
        "GET",
        "/nodes/{node}/firewall/options",
        firewall_more::node_options,
    ),
    // Storages
    ("GET", "/storage", storage_config::list),
    ("POST", "/storage", storage_config::create),
    ("GET", "/storage/{storage}", storage_config::get),
    ("PUT", "/storage/{storage}", storage_config::update),
    ("DELETE", "/storage/{storage}", storage_config::delete),
    // Tasks
    ("GET", "/nodes/{node}/tasks", tasks::list),
    ("GET", "/nodes/{node}/tasks/{upid}/status", tasks::status),
    ("GET", "/nodes/{node}/tasks/{upid}/log", tasks::log),
    ("DELETE", "/nodes/{node}/tasks/{upid}", tasks::stop),
    // Guests
    ("GET", "/nodes/{node}/qemu", qemu::list),
    ("POST", "/nodes/{node}/qemu", qemu_create::create),
    ("DELETE", vm!(""), qemu::delete),
    ("POST", vm!("/template"), qemu_state::template),
    ("GET", vm!("/snapshot"), qemu_state::snapshots),
    ("POST", vm!("/snapshot"), qemu_state::snapshot),
    ("GET", vm!("/migrate"), qemu_state::migration),
    ("POST", vm!("/migrate"), qemu_state::migrate),
    ("GET", vm!("/feature"), qemu_state::feature),
    ("PUT", vm!("/unlink"), qemu_state::unlink),
    ("GET", vm!("/cloudinit"), qemu_cloudinit::get),
    ("PUT", vm!("/cloudinit"), qemu_cloudinit::put),
    ("GET", vm!("/cloudinit/dump"), qemu_cloudinit::dump),
    ("POST", vm!("/agent/ping"), qemu_agent::ping),
    ("GET", vm!("/agent/get-osinfo"), qemu_agent::osinfo),
    ("GET", vm!("/agent/get-host-name"), qemu_agent::host_name),
    (
        "GET",
        vm!("/agent/network-get-interfaces"),
        qemu_agent::interfaces,
    ),
    ("POST", vm!("/agent/exec"), qemu_agent::exec),
    ("GET", vm!("/agent/exec-status"), qemu_agent::exec_status),
    ("POST", vm!("/clone"), qemu_clone::clone),
    ("GET", vm!("/config"), qemu_config::get),
    ("PUT", vm!("/config"), qemu_config::put),
    ("POST", vm!("/config"), qemu_config::post),
    ("GET", vm!("/pending"), qemu_config::pending),
    ("PUT", vm!("/resize"), qemu_config::resize),
    ("GET", vm!("/status/current"), qemu_power::current),
    ("POST", vm!("/status/start"), qemu_power::start),
    ("POST", vm!("/status/stop"), qemu_power::stop),
    ("POST", vm!("/status/shutdown"), qemu_power::shutdown),
    ("POST", vm!("/status/reboot"), qemu_power::reboot),
    ("POST", vm!("/status/reset"), qemu_state::reset),
    ("POST", vm!("/status/suspend"), qemu_state::suspend),
    ("POST", vm!("/status/resume"), qemu_state::resume),
    // Guests' firewalls
    ("GET", vm!("/firewall"), firewall::index),
    ("GET", vm!("/firewall/options"), firewall::options),
    ("PUT", vm!("/firewall/options"), firewall::put_options),
    ("GET", vm!("/firewall/rules"), rules::list),
    ("POST", vm!("/firewall/rules"), rules::create),
    ("GET", vm!("/firewall/rules/{pos}"), rules::get),
    ("PUT", vm!("/firewall/rules/{pos}"), rules::update),
    ("DELETE", vm!("/firewall/rules/{pos}"), rules::delete),
    ("GET", vm!("/firewall/log"), firewall_more::log),
    ("GET", vm!("/firewall/refs"), firewall_more::refs),
    ("GET", vm!("/firewall/aliases"), firewall_more::aliases),
    ("POST", vm!("/firewall/aliases"), firewall_more::create_alias),
    ("GET", vm!("/firewall/aliases/{name}"), firewall_more::get_alias),
    (
        "PUT",
        vm!("/firewall/aliases/{name}"),
        firewall_more::update_alias,
    ),
    (
        "DELETE",
        vm!("/firewall/aliases/{name}"),
        firewall_more::delete_alias,
    ),
    ("GET", vm!("/firewall/ipset"), ipset::list),
    ("POST", vm!("/firewall/ipset"), ipset::create),
    ("GET", vm!("/firewall/ipset/{name}"), ipset::addresses),
    ("POST", vm!("/firewall/ipset/{name}"), ipset::add),
    ("DELETE", vm!("/firewall/ipset/{name}"), ipset::delete),
    ("GET", vm!("/firewall/ipset/{name}/{cidr}"), ipset::address),
    ("PUT", vm!("/firewall/ipset/{name}/{cidr}"), ipset::change),
    ("DELETE", vm!("/firewall/ipset/{name}/{cidr}"), ipset::remove),
];
