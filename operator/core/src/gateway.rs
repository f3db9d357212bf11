//! The slot arithmetic of a Gateway: the one place where its spec becomes a plan. Both families ask it.

use crds::Gateway;
use domain::slot::{GatewayFacts, GatewayPlan};
use kube::ResourceExt;

/// A Gateway's spec that cannot be used; the text goes on after "it cannot be used: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// The arithmetic of a Gateway whose first VMID is this.
///
/// # Errors
/// What is wrong with its spec.
pub fn plan(gateway: &Gateway, vmid_base: i32) -> Result<GatewayPlan, Unusable> {
    let unusable = |what: &str| Unusable(what.to_owned());
    let spec = &gateway.spec;
    let port = |port: i32| u16::try_from(port).map_err(|_| unusable("its ports are none"));
    let facts = GatewayFacts {
        network: spec.network.cidr.as_str(),
        gateway: spec
            .network
            .gateway
            .as_str()
            .parse()
            .map_err(|_| unusable("its address is none"))?,
        first_port: port(spec.ports.first)?,
        last_port: port(spec.ports.last)?,
        gateway_uid: gateway
            .uid()
            .and_then(|uid| uid.parse().ok())
            .ok_or_else(|| unusable("it has no UID"))?,
        vmid_base: u32::try_from(vmid_base).map_err(|_| unusable("the Pool's vmidBase is negative"))?,
    };
    GatewayPlan::new(&facts).map_err(|error| Unusable(error.to_string()))
}
