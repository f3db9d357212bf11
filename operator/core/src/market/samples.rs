//! Objects for the tests of this family: each test states only what matters.

use crds::{
    Account, AccountSpec, Contract, ContractSpec, Gateway, GatewaySpec, Offering, OfferingSpec, Pool,
    PoolSpec, Provider, ProviderSpec, Slot, SlotSpec,
    account::{AccountKey, AccountProvider, AccountStatus},
    common::{LocalRef, NamespacedRef, Resources},
    gateway::{Network, PortRange},
    offering::{Hours, Price, Visibility},
    slot::{MachineRef, Route, SlotStatus},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};

pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKKynPjyBA8arsrxy59ZcV4zHyymJhe+uFPeWCJPAfz0";
pub const UID: &str = "0b8f4b5e-9b1e-4c5a-8d57-2f0c6a1e3f4d";
pub const MACHINE_UID: &str = "11111111-9b1e-4c5a-8d57-2f0c6a1e3f4d";
pub const NS: &str = "provider-acme";

pub fn at(second: i64) -> Time {
    Time(instant(second))
}

pub fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Condition {
    Condition {
        type_: kind.into(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        observed_generation: None,
        last_transition_time: at(0),
    }
}

pub fn meta(namespace: Option<&str>, name: &str, uid: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: namespace.map(str::to_owned),
        name: Some(name.into()),
        uid: Some(uid.into()),
        generation: Some(1),
        creation_timestamp: Some(at(0)),
        ..ObjectMeta::default()
    }
}

pub fn account(name: &str) -> Account {
    let key = AccountKey {
        key: "ab".repeat(32).into(),
        ..AccountKey::default()
    };
    let mut account = Account::new(
        name,
        AccountSpec {
            namespace: format!("tenant-{name}").into(),
            public_keys: vec![key],
            ..AccountSpec::default()
        },
    );
    account.metadata = meta(None, name, "acc00000-0000-0000-0000-000000000000");
    let ready = condition("Ready", "True", "Ready", "");
    account.status = Some(AccountStatus {
        conditions: vec![ready],
        ..AccountStatus::default()
    });
    account
}

pub fn offering_account(name: &str) -> Account {
    let mut account = account(name);
    account.spec.provider = Some(AccountProvider {
        namespace: format!("provider-{name}").into(),
    });
    account
}

pub fn contract() -> Contract {
    let mut contract = Contract::new(
        "web",
        ContractSpec {
            offering_ref: NamespacedRef {
                namespace: NS.into(),
                name: "small".into(),
            },
            ssh_keys: vec![KEY.into()],
            duration_hours: 720,
            ..ContractSpec::default()
        },
    );
    contract.metadata = meta(Some("tenant-alice"), "web", UID);
    contract
}

pub fn offering() -> Offering {
    let mut offering = Offering::new(
        "small",
        OfferingSpec {
            visibility: Visibility::Public,
            price: Price {
                monthly: "0".into(),
                currency: "USD".into(),
                setup_fee: None,
            },
            resources: Resources {
                cpu: 2,
                memory: "4Gi".into(),
                disk: "40Gi".into(),
            },
            template: LocalRef {
                name: "debian-13".into(),
            },
            pools: vec!["rack1".into()],
            hours: Hours { min: 1, max: 8760 },
            user: "root".into(),
            ..OfferingSpec::default()
        },
    );
    offering.metadata = meta(Some(NS), "small", "0ff00000-0000-0000-0000-000000000000");
    offering
}

pub fn provider() -> Provider {
    let mut provider = Provider::new("provider", ProviderSpec::default());
    provider.metadata = meta(Some(NS), "provider", "90000000-0000-0000-0000-000000000000");
    provider
}

pub fn gateway() -> Gateway {
    let mut gateway = Gateway::new(
        "ams1",
        GatewaySpec {
            dc_id: "ams1".into(),
            prefix: "gw".into(),
            domain: "example.org".into(),
            public_ips: vec!["192.0.2.10".into()],
            ports: PortRange::default(),
            network: Network {
                cidr: "10.64.0.0/16".into(),
                gateway: "10.64.0.1".into(),
                nameservers: vec!["10.64.0.1".into()],
            },
            ..GatewaySpec::default()
        },
    );
    gateway.metadata = meta(Some(NS), "ams1", "6a000000-0000-0000-0000-000000000000");
    gateway
}

pub fn pool() -> Pool {
    let spec = serde_json::json!({
        "proxmox": {"endpoints": ["https://pve1:8006"], "tokenSecretRef": {"name": "t"}, "pool": "decent"},
        "nodes": [{"name": "pve1"}, {"name": "pve2"}],
        "storage": "local-lvm",
        "templates": [{"name": "debian-13", "vmids": [{"node": "pve1", "vmid": 9000}]}],
        "bridge": "vmbr1", "vmidBase": 10000, "gatewayRef": {"name": "ams1"},
    });
    let spec: PoolSpec = serde_json::from_value(spec).unwrap();
    let mut pool = Pool::new("rack1", spec);
    pool.metadata = meta(Some(NS), "rack1", "90010000-0000-0000-0000-000000000000");
    pool
}

pub fn slot(index: i32, route: Option<Route>) -> Slot {
    let mut slot = Slot::new(
        &format!("ams1-{index}"),
        SlotSpec {
            gateway: "ams1".into(),
            index,
            pool: "rack1".into(),
            vmid: 10_000 + index,
            node: "pve1".into(),
            machine_ref: MachineRef {
                name: "m-0b8f4b5e9b1e4c5a8d57".into(),
                uid: MACHINE_UID.into(),
            },
            contract_uid: UID.into(),
            ..SlotSpec::default()
        },
    );
    slot.metadata = meta(
        Some(NS),
        &format!("ams1-{index}"),
        "51070000-0000-0000-0000-000000000000",
    );
    slot.status = Some(SlotStatus {
        route,
        ..SlotStatus::default()
    });
    slot
}
