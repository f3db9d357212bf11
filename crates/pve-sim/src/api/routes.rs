//! The route table: every call with its permissions, parameters and handler.

use super::call::Perm::{self, Any, NewVm};
use super::call::{Handler, Route};
use super::spec::Kind::{Bool, Choice, Int, Text, VmId};
use super::spec::{Param, opt, req};
use super::tables::{
    ADDRESS, CHANGE, CLONE, CLUSTER_FW_OPTIONS, DEVICES, DIGEST, DRIVES, FW_OPTIONS, NUMBERS, RULE,
    RULE_CHANGE, START, STOP, TASK_LIST, TEXTS,
};
use super::{
    access, cluster, datacenter, firewall, ipset, nodes, pools, qemu, qemu_clone, qemu_config, qemu_power,
    resources, rules, storage, tasks,
};
use crate::model::privileges;

const AUDIT: &[Perm] = &[Any("/vms/{vmid}", &["VM.Audit"])];
const CONFIG: &[Perm] = &[Any("/vms/{vmid}", privileges::CONFIG)];
const DISK: &[Perm] = &[Any("/vms/{vmid}", &["VM.Config.Disk"])];
const NETWORK: &[Perm] = &[Any("/vms/{vmid}", &["VM.Config.Network"])];
const POWER: &[Perm] = &[Any("/vms/{vmid}", &["VM.PowerMgmt"])];
const REMOVE: &[Perm] = &[Any("/vms/{vmid}", &["VM.Allocate"])];
const COPY: &[Perm] = &[Any("/vms/{vmid}", &["VM.Clone"]), NewVm("newid")];
const POOL: &[Perm] = &[Any("/pool/{poolid}", &["Pool.Allocate"])];
const POOL_AUDIT: &[Perm] = &[Any("/pool/{poolid}", &["Pool.Audit"])];
const SYSTEM: &[Perm] = &[Any("/", &["Sys.Audit"])];
const MODIFY: &[Perm] = &[Any("/", &["Sys.Modify"])];
const NODE: &[Perm] = &[Any("/nodes/{node}", &["Sys.Audit"])];
const STORE: &[Perm] = &[Any(
    "/storage/{storage}",
    &["Datastore.Audit", "Datastore.AllocateSpace"],
)];
const ANYBODY: &[Perm] = &[];

/// A table of parameters.
type Table = &'static [Param];
const NOTHING: &[Table] = &[];
const SETTINGS: &[Table] = &[CHANGE, NUMBERS, TEXTS, DEVICES, DRIVES];
const PERMISSIONS: &[Param] = &[opt("path", Text), opt("userid", Text)];
const RESOURCES: &[Param] = &[opt("type", Choice(&["vm", "storage", "node", "sdn"]))];
const POOLS: &[Param] = &[
    opt("poolid", Text),
    opt("type", Choice(&["qemu", "lxc", "storage"])),
];
const NEW_POOL: &[Param] = &[req("poolid", Text), opt("comment", Text)];
const ONE_POOL: &[Param] = &[req("poolid", Text)];
const READ: &[Param] = &[opt("current", Bool), opt("snapshot", Text)];
const REBOOT: &[Param] = &[opt("timeout", Int(0, i64::MAX))];

const fn route(
    method: &'static str,
    path: &'static str,
    perms: &'static [Perm],
    params: &'static [Table],
    run: Handler,
) -> Route {
    Route {
        method,
        path,
        perms,
        params,
        run,
    }
}

macro_rules! vm {
    ($rest:literal) => {
        concat!("/nodes/{node}/qemu/{vmid}", $rest)
    };
}

/// Every call: method, path, what it asks for, what it takes, what it does.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route("GET",    "/version",                                      ANYBODY,    NOTHING,                 nodes::version),
    // Access
    route("GET",    "/access/permissions",                           ANYBODY,    &[PERMISSIONS],          access::permissions),
    route("GET",    "/access/acl",                                   ANYBODY,    NOTHING,                 access::acl),
    // Cluster
    route("GET",    "/cluster/status",                               SYSTEM,     NOTHING,                 cluster::status),
    route("GET",    "/cluster/nextid",                               ANYBODY,    &[&[opt("vmid", VmId)]], cluster::nextid),
    route("GET",    "/cluster/resources",                            ANYBODY,    &[RESOURCES],            resources::list),
    route("GET",    "/cluster/tasks",                                ANYBODY,    NOTHING,                 cluster::tasks),
    route("GET",    "/cluster/options",                              ANYBODY,    NOTHING,                 datacenter::options),
    route("GET",    "/cluster/firewall/options",                     SYSTEM,     NOTHING,                 datacenter::firewall),
    route("PUT",    "/cluster/firewall/options",                     MODIFY,     &[CLUSTER_FW_OPTIONS],   datacenter::put_firewall),
    // Pools
    route("GET",    "/pools",                                        ANYBODY,    &[POOLS],                pools::list),
    route("GET",    "/pools/{poolid}",                               POOL_AUDIT, &[&[opt("type", Text)]], pools::get_old),
    route("POST",   "/pools",                                        POOL,       &[NEW_POOL],             pools::create),
    route("PUT",    "/pools",                                        POOL,       &[pools::PUT],           pools::update),
    route("DELETE", "/pools",                                        POOL,       &[ONE_POOL],             pools::delete),
    route("DELETE", "/pools/{poolid}",                               POOL,       NOTHING,                 pools::delete),
    // Nodes
    route("GET",    "/nodes",                                        ANYBODY,    NOTHING,                 nodes::list),
    route("GET",    "/nodes/{node}/version",                         ANYBODY,    NOTHING,                 nodes::version),
    route("GET",    "/nodes/{node}/status",                          NODE,       NOTHING,                 nodes::status),
    route("GET",    "/nodes/{node}/network",                         ANYBODY,    &[&[opt("type", Text)]], nodes::network),
    route("GET",    "/nodes/{node}/storage",                         ANYBODY,    &[storage::LIST],        storage::list),
    route("GET",    "/nodes/{node}/storage/{storage}/status",        STORE,      NOTHING,                 storage::status),
    route("GET",    "/nodes/{node}/storage/{storage}/content",       STORE,      &[storage::CONTENT],     storage::content),
    // Tasks
    route("GET",    "/nodes/{node}/tasks",                           ANYBODY,    &[TASK_LIST],            tasks::list),
    route("GET",    "/nodes/{node}/tasks/{upid}/status",             ANYBODY,    NOTHING,                 tasks::status),
    route("GET",    "/nodes/{node}/tasks/{upid}/log",                ANYBODY,    &[tasks::LOG],           tasks::log),
    route("DELETE", "/nodes/{node}/tasks/{upid}",                    ANYBODY,    NOTHING,                 tasks::stop),
    // Guests
    route("GET",    "/nodes/{node}/qemu",                            ANYBODY,    &[&[opt("full", Bool)]], qemu::list),
    route("DELETE", vm!(""),                                         REMOVE,     &[qemu::DELETE],         qemu::delete),
    route("POST",   vm!("/clone"),                                   COPY,       &[CLONE],                qemu_clone::clone),
    route("GET",    vm!("/config"),                                  AUDIT,      &[READ],                 qemu_config::get),
    route("PUT",    vm!("/config"),                                  CONFIG,     SETTINGS,                qemu_config::put),
    route("POST",   vm!("/config"),                                  CONFIG,     SETTINGS,                qemu_config::post),
    route("GET",    vm!("/pending"),                                 AUDIT,      NOTHING,                 qemu_config::pending),
    route("PUT",    vm!("/resize"),                                  DISK,       &[qemu_config::RESIZE],  qemu_config::resize),
    route("GET",    vm!("/status/current"),                          AUDIT,      NOTHING,                 qemu_power::current),
    route("POST",   vm!("/status/start"),                            POWER,      &[START],                qemu_power::start),
    route("POST",   vm!("/status/stop"),                             POWER,      &[STOP],                 qemu_power::stop),
    route("POST",   vm!("/status/shutdown"),                         POWER,      &[STOP],                 qemu_power::shutdown),
    route("POST",   vm!("/status/reboot"),                           POWER,      &[REBOOT],               qemu_power::reboot),
    // Guests' firewalls
    route("GET",    vm!("/firewall"),                                ANYBODY,    NOTHING,                 firewall::index),
    route("GET",    vm!("/firewall/options"),                        AUDIT,      NOTHING,                 firewall::options),
    route("PUT",    vm!("/firewall/options"),                        NETWORK,    &[FW_OPTIONS],           firewall::put_options),
    route("GET",    vm!("/firewall/rules"),                          AUDIT,      NOTHING,                 rules::list),
    route("POST",   vm!("/firewall/rules"),                          NETWORK,    &[RULE],                 rules::create),
    route("GET",    vm!("/firewall/rules/{pos}"),                    AUDIT,      NOTHING,                 rules::get),
    route("PUT",    vm!("/firewall/rules/{pos}"),                    NETWORK,    &[RULE, RULE_CHANGE],    rules::update),
    route("DELETE", vm!("/firewall/rules/{pos}"),                    NETWORK,    &[&[DIGEST]],            rules::delete),
    route("GET",    vm!("/firewall/ipset"),                          AUDIT,      NOTHING,                 ipset::list),
    route("POST",   vm!("/firewall/ipset"),                          NETWORK,    &[ipset::CREATE],        ipset::create),
    route("GET",    vm!("/firewall/ipset/{name}"),                   AUDIT,      NOTHING,                 ipset::addresses),
    route("POST",   vm!("/firewall/ipset/{name}"),                   NETWORK,    &[ADDRESS],              ipset::add),
    route("DELETE", vm!("/firewall/ipset/{name}"),                   NETWORK,    &[&[opt("force", Bool)]], ipset::delete),
    route("GET",    vm!("/firewall/ipset/{name}/{cidr}"),            AUDIT,      NOTHING,                 ipset::address),
    route("PUT",    vm!("/firewall/ipset/{name}/{cidr}"),            NETWORK,    &[ipset::CHANGE],        ipset::change),
    route("DELETE", vm!("/firewall/ipset/{name}/{cidr}"),            NETWORK,    &[&[DIGEST]],            ipset::remove),
];
