//! Objects that tests of several modules use.

use crds::{
    Gateway, GatewaySpec, GatewayStatus,
    gateway::{AgentStatus, Enrolment, Network},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

pub fn uid(n: u8) -> String {
    format!("00000000-0000-0000-0000-0000000000{n:02}")
}

/// A Gateway of this name, UID and age.
pub fn gateway(name: &str, n: u8, made: i64) -> Gateway {
    Gateway {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("provider-acme".to_owned()),
            uid: Some(uid(n)),
            generation: Some(1),
            creation_timestamp: Some(Time(Timestamp::from_second(made).unwrap())),
            ..ObjectMeta::default()
        },
        spec: GatewaySpec {
            dc_id: "ams1".into(),
            prefix: "gw".into(),
            domain: "example.org".into(),
            public_ips: vec!["192.0.2.10".into()],
            network: Network {
                cidr: "10.64.0.0/16".into(),
                gateway: "10.64.0.1".into(),
                nameservers: vec!["192.0.2.53".into()],
            },
            ..GatewaySpec::default()
        },
        status: None,
    }
}

/// One whose host enrolled with identity 8.
pub fn enrolled(name: &str) -> Gateway {
    let enrolment = Enrolment {
        host: uid(7).as_str().into(),
        identity: uid(8).as_str().into(),
    };
    let agent = AgentStatus {
        enrolment: Some(enrolment),
        ..AgentStatus::default()
    };
    Gateway {
        status: Some(GatewayStatus {
            agent: Some(agent),
            ..GatewayStatus::default()
        }),
        ..gateway(name, 1, 10)
    }
}
