//! What lists of the cluster say, with everything optional that Proxmox leaves out now and then.
//!
//! A row without its identity is dropped. A list never proves that something is absent.

use std::collections::BTreeMap;

use domain::ids::Vmid;

use crate::tolerant::Row;

/// Whether a guest runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PowerStatus {
    /// It runs.
    Running,
    /// It does not run.
    Stopped,
    /// Proxmox does not know (for some seconds after creation, or its node is away).
    #[default]
    Unknown,
    /// A word of a newer Proxmox.
    Other(String),
}

impl PowerStatus {
    pub(crate) fn read(text: Option<&str>) -> Self {
        match text {
            Some("running") => Self::Running,
            Some("stopped") => Self::Stopped,
            None | Some("unknown" | "") => Self::Unknown,
            Some(other) => Self::Other(other.to_owned()),
        }
    }
}

/// A QEMU guest as the cluster's list shows it; values may be some seconds old.
#[derive(Debug, Clone, PartialEq)]
pub struct VmRow {
    /// Its number.
    pub vmid: Vmid,
    /// Where it is.
    pub node: String,
    /// Its name, if the list has one yet.
    pub name: Option<String>,
    /// Whether it runs; still "running" for guests of a dead node.
    pub status: PowerStatus,
    /// The configuration's lock.
    pub lock: Option<String>,
    /// The Proxmox pool, if we may read it.
    pub pool: Option<String>,
    /// Whether it is a template.
    pub template: bool,
    /// Tags, sorted, joined by `;`.
    pub tags: Option<String>,
    /// CPUs.
    pub maxcpu: Option<f64>,
    /// Memory in bytes.
    pub maxmem: Option<u64>,
    /// Size of the boot disk in bytes.
    pub maxdisk: Option<u64>,
}

/// A node as the cluster's list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRow {
    /// Its name.
    pub node: String,
    /// Whether the cluster sees it.
    pub online: bool,
    /// CPU threads.
    pub maxcpu: Option<f64>,
    /// Memory in bytes.
    pub maxmem: Option<u64>,
    /// Memory in use in bytes.
    pub mem: Option<u64>,
    /// Share of the CPU in use.
    pub cpu: Option<f64>,
}

/// A storage on one node as the cluster's list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageRow {
    /// Its id.
    pub storage: String,
    /// The node.
    pub node: String,
    /// Whether it is available there.
    pub available: bool,
    /// Whether all nodes see the same content.
    pub shared: bool,
    /// What kind of storage.
    pub plugin: Option<String>,
    /// Size in bytes.
    pub maxdisk: Option<u64>,
    /// Bytes in use.
    pub disk: Option<u64>,
}

/// One read of the cluster's resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// QEMU guests and templates that we may see.
    pub vms: Vec<VmRow>,
    /// Nodes.
    pub nodes: Vec<NodeRow>,
    /// Storages that we may see, once a node.
    pub storages: Vec<StorageRow>,
}

impl Resources {
    pub(crate) fn read(rows: Vec<Row>) -> Self {
        let mut all = Self::default();
        for row in rows {
            match row.text("type").as_deref() {
                Some("qemu") => all.vms.extend(vm(&row)),
                Some("node") => all.nodes.extend(node(&row)),
                Some("storage") => all.storages.extend(storage(&row)),
                _ => {}
            }
        }
        all
    }

    /// Where the list shows a guest. Nothing is no proof of absence.
    #[must_use]
    pub fn vm(&self, vmid: Vmid) -> Option<&VmRow> {
        self.vms.iter().find(|row| row.vmid == vmid)
    }
}

fn id(row: &Row) -> Option<Vmid> {
    i64::try_from(row.whole("vmid")?).ok()?.try_into().ok()
}

fn vm(row: &Row) -> Option<VmRow> {
    Some(VmRow {
        vmid: id(row)?,
        node: row.text("node")?,
        name: row.text("name"),
        status: PowerStatus::read(row.text("status").as_deref()),
        lock: row.text("lock"),
        pool: row.text("pool"),
        template: row.flag("template"),
        tags: row.text("tags"),
        maxcpu: row.number("maxcpu"),
        maxmem: row.whole("maxmem"),
        maxdisk: row.whole("maxdisk"),
    })
}

fn node(row: &Row) -> Option<NodeRow> {
    Some(NodeRow {
        node: row.text("node")?,
        online: row.text("status").as_deref() == Some("online"),
        maxcpu: row.number("maxcpu"),
        maxmem: row.whole("maxmem"),
        mem: row.whole("mem"),
        cpu: row.number("cpu"),
    })
}

fn storage(row: &Row) -> Option<StorageRow> {
    Some(StorageRow {
        storage: row.text("storage")?,
        node: row.text("node")?,
        available: row.text("status").as_deref() == Some("available"),
        shared: row.flag("shared"),
        plugin: row.text("plugintype"),
        maxdisk: row.whole("maxdisk"),
        disk: row.whole("disk"),
    })
}

/// Whether the cluster can decide, and who is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The cluster's name; a single node has none.
    pub name: Option<String>,
    /// Whether a majority of the nodes agrees; always so for a single node.
    pub quorate: bool,
    /// Every node and whether it is online.
    pub nodes: BTreeMap<String, bool>,
    /// The address of a single node.
    pub address: Option<String>,
}

impl ClusterStatus {
    pub(crate) fn read(rows: &[Row]) -> Self {
        let of = |kind: &'static str| {
            rows.iter()
                .filter(move |row| row.text("type").as_deref() == Some(kind))
        };
        let nodes: BTreeMap<String, bool> = of("node")
            .filter_map(|row| Some((row.text("name")?, row.flag("online"))))
            .collect();
        let cluster = of("cluster").next();
        let alone = cluster.is_none() && nodes.len() == 1;
        Self {
            address: of("node").next().filter(|_| alone).and_then(|row| row.text("ip")),
            name: cluster.and_then(|row| row.text("name")),
            quorate: cluster.map_or(nodes.len() == 1, |row| row.flag("quorate")),
            nodes,
        }
    }
}

/// A guest in a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub vmid: Vmid,
    /// Where it is.
    pub node: String,
}

/// A Proxmox pool with its guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    /// Its id.
    pub poolid: String,
    /// What people wrote.
    pub comment: Option<String>,
    /// Its QEMU guests.
    pub members: Vec<Member>,
}

/// A pool as it is sent.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct RawPool {
    poolid: String,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    members: Vec<Row>,
}

impl From<RawPool> for PoolView {
    fn from(raw: RawPool) -> Self {
        let RawPool {
            poolid,
            comment,
            members,
        } = raw;
        let qemu = |row: &Row| row.text("type").as_deref() == Some("qemu");
        let member = |row: &Row| {
            Some(Member {
                vmid: id(row)?,
                node: row.text("node")?,
            })
        };
        Self {
            poolid,
            comment,
            members: members
                .iter()
                .filter(|row| qemu(row))
                .filter_map(member)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_rows_do_not_fail_the_list() {
        let text = r#"[
            {"type":"qemu","vmid":103,"node":"pve1","status":"unknown","lock":"backup","id":"qemu/103"},
            {"type":"qemu","vmid":"104","node":"pve1","status":"prelaunch","maxmem":1.5e3,"maxdisk":"7","template":1},
            {"type":"qemu","node":"pve1"},
            {"type":"lxc","vmid":105,"node":"pve1"},
            {"type":"node","node":"pve1","status":"online","maxcpu":4,"cpu":0.25,"maxmem":8},
            {"type":"storage","storage":"local","node":"pve1","status":"available","shared":0,"maxdisk":9,"disk":1},
            {"type":"sdn","sdn":"x"}, {"type":"quantum"}, {}
        ]"#;
        let all = Resources::read(serde_json::from_str(text).unwrap());
        assert_eq!((all.vms.len(), all.nodes.len(), all.storages.len()), (2, 1, 1));
        let vm = all.vm(104_u32.try_into().unwrap()).unwrap();
        assert_eq!(
            (&vm.status, vm.maxdisk, vm.template),
            (&PowerStatus::Other("prelaunch".into()), Some(7), true)
        );
        assert_eq!(all.vms[0].status, PowerStatus::Unknown);
        assert!(all.nodes[0].online && all.storages[0].available && !all.storages[0].shared);
    }

    #[test]
    fn quorum_is_read_and_never_assumed_in_a_cluster() {
        let read = |text: &str| ClusterStatus::read(&serde_json::from_str::<Vec<Row>>(text).unwrap());
        assert!(read(r#"[{"type":"node","name":"pve1","online":1}]"#).quorate);
        let two = r#"{"type":"node","name":"pve1","online":1},{"type":"node","name":"pve2","online":0}"#;
        let lost = read(&format!(r#"[{{"type":"cluster","name":"c","quorate":0}},{two}]"#));
        assert!(!lost.quorate && !lost.nodes["pve2"] && lost.nodes["pve1"]);
        assert!(!read(&format!("[{two}]")).quorate && !read("[]").quorate);
        assert!(!read(r#"[{"type":"cluster","name":"c"}]"#).quorate);
    }
}
