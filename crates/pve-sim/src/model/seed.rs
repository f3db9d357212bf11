//! The cluster that a fresh simulator starts with: nodes, one pool, a template per node, a service token.

use serde_json::Value;

use super::access::{AclEntry, Token, User};
use super::config::VmConfig;
use super::moment::Moment;
use super::node::Node;
use super::storage::{Storage, Volume};
use super::vm::Vm;
use super::world::World;

/// The service user.
pub const USER: &str = "decent@pve";
/// Its token's name.
pub const TOKEN: &str = "op";
/// The password of root@pam.
pub const ROOT_PASSWORD: &str = "testbed";
/// The pool that it owns.
pub const POOL: &str = "decent";
/// The id of the first node's template.
pub const FIRST_TEMPLATE: u32 = 9000;

/// The size of the cluster.
#[derive(Debug, Clone)]
pub struct Size {
    /// How many nodes.
    pub nodes: u32,
    /// Processors of each.
    pub cores: u64,
    /// Bytes of memory of each.
    pub memory: u64,
    /// Bytes of storage of each.
    pub disk: u64,
    /// Whether there is a shared storage besides.
    pub shared_storage: bool,
}

/// The roles of the service token: path, role, privileges. Thirteen privileges on five kinds of path.
pub const ROLES: &[(&str, &[&str])] = &[
    (
        "DecentPool",
        &[
            "VM.Allocate",
            "VM.Audit",
            "VM.Config.CPU",
            "VM.Config.Memory",
            "VM.Config.Disk",
            "VM.Config.Network",
            "VM.Config.Options",
            "VM.PowerMgmt",
        ],
    ),
    ("DecentTemplate", &["VM.Clone", "VM.Audit"]),
    ("DecentStorage", &["Datastore.AllocateSpace"]),
    ("DecentNetwork", &["SDN.Use"]),
    ("DecentSystem", &["Sys.Audit"]),
];

/// Fills an empty cluster.
pub fn fill(world: &mut World, size: &Size) {
    world
        .storages
        .insert("local".to_owned(), Storage::dir("local", false, size.disk));
    if size.shared_storage {
        world
            .storages
            .insert("shared".to_owned(), Storage::dir("shared", true, size.disk));
    }
    for number in 1..=size.nodes {
        add_node(world, number, size);
        let name = format!("pve{number}");
        add_template(world, &name, FIRST_TEMPLATE + number - 1);
    }
    let _ = world.pools.create(POOL, Some("managed by decent".to_owned()));
    world
        .datacenter
        .firewall
        .insert("enable".to_owned(), Value::from(1));
    add_accounts(world, size);
    world.publish();
}

fn add_node(world: &mut World, number: u32, size: &Size) {
    let name = format!("pve{number}");
    let node = Node {
        name: name.clone(),
        number,
        cores: size.cores,
        memory: size.memory,
        disk: size.disk,
        bridges: vec!["vmbr0".to_owned(), "vmbr1".to_owned()],
        online: true,
        died: None,
        services: super::node::Services::default(),
        boot: Moment::from_micros(world.now.millis().saturating_sub(7_200_000).saturating_mul(1000)),
        next_pid: 1000 + world.dice.between(0, 1000),
        published: std::collections::BTreeMap::new(),
    };
    world.nodes.insert(name, node);
}

fn add_template(world: &mut World, node: &str, vmid: u32) {
    let config = VmConfig::of([
        ("agent", "enabled=1"),
        ("boot", "order=scsi0"),
        ("cores", "1"),
        ("cpu", "x86-64-v2-AES"),
        (
            "ide2",
            &format!("local:{vmid}/vm-{vmid}-cloudinit.qcow2,media=cdrom"),
        ),
        ("memory", "512"),
        (
            "meta",
            &format!("creation-qemu=11.1.3,ctime={}", world.now.secs()),
        ),
        ("name", "debian-13"),
        ("net0", &format!("virtio={},bridge=vmbr0", world.dice.mac())),
        ("ostype", "l26"),
        ("scsi0", &format!("local:{vmid}/base-{vmid}-disk-0.qcow2,size=2G")),
        ("scsihw", "virtio-scsi-pci"),
        ("serial0", "socket"),
        ("smbios1", &format!("uuid={}", world.dice.uuid())),
        ("template", "1"),
        ("vga", "serial0"),
        ("vmgenid", &world.dice.uuid()),
    ]);
    let created = world.now;
    if let Some(local) = world.storages.get_mut("local") {
        let volume = |size| Volume {
            size,
            vmid,
            created,
            base: None,
        };
        local.add(node, &format!("{vmid}/base-{vmid}-disk-0.qcow2"), volume(2 << 30));
        local.add(
            node,
            &format!("{vmid}/vm-{vmid}-cloudinit.qcow2"),
            volume(4 << 20),
        );
    }
    world.vms.insert(vmid, Vm::new(vmid, node, config));
}

fn add_accounts(world: &mut World, size: &Size) {
    for (role, privileges) in ROLES {
        world.access.roles.insert(
            (*role).to_owned(),
            privileges.iter().map(|name| (*name).to_owned()).collect(),
        );
    }
    let secret = world.dice.uuid();
    let token = |secret, privsep| Token {
        secret,
        privsep,
        expire: 0,
        comment: None,
    };
    let mut user = User {
        enable: true,
        comment: Some("service".to_owned()),
        ..User::default()
    };
    user.tokens.insert(TOKEN.to_owned(), token(secret, true));
    world.access.users.insert(USER.to_owned(), user);
    let secret = world.dice.uuid();
    if let Some(root) = world.access.users.get_mut("root@pam") {
        root.tokens.insert("t1".to_owned(), token(secret, false));
        root.password = Some(ROOT_PASSWORD.to_owned());
    }
    world.access.key = world.dice.uuid();
    let mut grants = vec![
        (format!("/pool/{POOL}"), "DecentPool"),
        ("/storage/local".to_owned(), "DecentStorage"),
        ("/sdn/zones/localnetwork/vmbr0".to_owned(), "DecentNetwork"),
        ("/sdn/zones/localnetwork/vmbr1".to_owned(), "DecentNetwork"),
        ("/".to_owned(), "DecentSystem"),
    ];
    grants
        .extend((0..size.nodes).map(|index| (format!("/vms/{}", FIRST_TEMPLATE + index), "DecentTemplate")));
    if size.shared_storage {
        grants.push(("/storage/shared".to_owned(), "DecentStorage"));
    }
    for (path, role) in grants {
        for who in [USER.to_owned(), format!("{USER}!{TOKEN}")] {
            world.access.grant(AclEntry {
                path: path.clone(),
                who,
                role: role.to_owned(),
                propagate: true,
            });
        }
    }
}
