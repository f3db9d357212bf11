//! The closed list of reasons that conditions and waits carry, and who can act on each. Both families use it; a reason
//! that is not here cannot be shown.

use std::fmt;

use crds::common::Actor;

/// Declares the list: name, who can act, meaning.
macro_rules! reasons {
    ($($name:ident, $actor:ident, $says:literal;)+) => {
        /// Why an object is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $says] $name,)+
        }

        impl Reason {
            /// All of them with their meanings, for the generated reference.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $says),)+];

            /// As written in conditions.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The reason of this name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().map(|(reason, _)| *reason).find(|reason| reason.as_str() == name)
            }

            /// Who can act on it.
            #[must_use]
            pub const fn actor(self) -> Actor {
                match self {
                    $(Self::$name => Actor::$actor,)+
                }
            }
        }
    };
}

reasons! {
    Ready, Nobody, "Everything is as asked.";
    Reconciling, Nobody, "Being brought to the wished state.";
    AwaitingProvider, Provider, "The provider has not yet accepted or rejected.";
    Accepted, Nobody, "Accepted by the provider.";
    AutoAccepted, Nobody, "Accepted by the provider's standing rules.";
    SelfRental, Nobody, "The tenant is the provider itself.";
    RejectedByProvider, Tenant, "The provider said no.";
    OfferingNotFound, Tenant, "No such Offering, or none that this tenant may see.";
    OutOfStock, Provider, "The Offering is out of stock.";
    HoursOutOfRange, Tenant, "The duration is outside of what the Offering allows.";
    AccountMissing, Market, "No Account owns this namespace.";
    AccountLimit, Tenant, "The account has as many contracts as it may.";
    NamespaceTaken, Market, "The namespace belongs to somebody else.";
    ProviderPaused, Provider, "The provider takes no new contracts.";
    PaymentRequired, Tenant, "It costs something and the method pays nothing.";
    PaymentNotAllowed, Tenant, "The market does not allow this method of payment.";
    Paid, Nobody, "Paid.";
    Free, Nobody, "Costs nothing.";
    PriceInvalid, Provider, "The Offering's price cannot be used.";
    InvalidKey, Tenant, "An SSH key cannot be used.";
    WaitingForMachine, Nobody, "The provider's half has not been looked at yet.";
    ContractGone, Market, "The Contract of a machine is gone though nothing ended it.";
    MachineLost, Market, "The provider's half has vanished without a teardown.";
    Scheduled, Nobody, "Node, storage and Slot are fixed.";
    WaitingForCapacity, Provider, "Nothing free fits; it waits in order of arrival.";
    NoCapacity, Provider, "Nothing free fits.";
    NoPool, Provider, "The Offering names no usable Pool.";
    PoolNotReady, Provider, "The Pool is not Ready.";
    GatewayMissing, Provider, "The Pool's Gateway does not exist or cannot be used.";
    TemplateMissing, Provider, "The template is missing on a node, or unusable.";
    StorageMissing, Provider, "A storage that the Pool names is missing on a node, or off.";
    Draft, Provider, "The Offering is a draft.";
    Discontinued, Provider, "The Offering has been discontinued.";
    Claiming, Nobody, "A Slot is being claimed.";
    CloneQueued, Nobody, "Waits for other clones on the node.";
    Cloning, Nobody, "The template is being cloned.";
    Configuring, Nobody, "The VM is being configured.";
    Isolating, Nobody, "The VM's firewall is being set.";
    Growing, Nobody, "The disk is being grown.";
    Starting, Nobody, "The VM is being started.";
    Stopping, Nobody, "The VM is being stopped.";
    Running, Nobody, "The VM runs.";
    Stopped, Tenant, "The VM is stopped as asked.";
    StoppedByItself, Tenant, "The VM keeps stopping by itself.";
    Provisioned, Nobody, "The VM is made as asked.";
    WaitingForReach, Nobody, "The VM runs; SSH through the gateway has not answered yet.";
    Reachable, Nobody, "SSH answers through the gateway.";
    Unreachable, Tenant, "SSH does not answer through the gateway.";
    Cancelled, Nobody, "Cancelled by the tenant.";
    Expired, Nobody, "The paid time, or the time to wait, is over.";
    Deleted, Nobody, "Deleted.";
    ProvisioningFailed, Provider, "It could not be provided in time.";
    RemovingRoute, Nobody, "The route is being removed.";
    Destroying, Nobody, "The VM is being destroyed.";
    Destroyed, Nobody, "The VM is proven absent.";
    Abandoned, Provider, "Absence could not be proven.";
    Resting, Nobody, "Given back; rests before it is used again.";
    Quarantined, Provider, "Something not provably ours is there.";
    SlotLost, Nobody, "Somebody else took the VMID; another Slot is claimed.";
    OwnershipMismatch, Provider, "The VM no longer carries our stamp.";
    VmMissing, Provider, "The VM is gone without our doing.";
    VmUnknown, Provider, "The VM cannot be seen.";
    Locked, Nobody, "Proxmox holds a lock on the VM.";
    TaskFailed, Provider, "A task of Proxmox failed.";
    ProxmoxUnreachable, Market, "Proxmox does not answer.";
    TokenRejected, Provider, "Proxmox refuses the token.";
    MissingPrivilege, Provider, "The token lacks a privilege.";
    ExcessPrivilege, Provider, "The token may do more than it should.";
    CertificateMismatch, Provider, "Proxmox shows another certificate than the one trusted.";
    ClusterMismatch, Provider, "Another cluster answers than the one that holds the Pool's machines.";
    SecretUnreadable, Provider, "The token's Secret cannot be used.";
    TrustUnreadable, Provider, "The CA bundle or fingerprint cannot be used.";
    EndpointRefused, Provider, "The address is one that a hub never calls.";
    NoQuorum, Provider, "The Proxmox cluster has no quorum.";
    NodeOffline, Provider, "The node is offline.";
    FirewallOff, Provider, "The datacenter firewall is off.";
    VmidOverlap, Provider, "The VMID range overlaps another Pool's.";
    InvalidSpec, Tenant, "The object cannot be used as it is.";
    ProviderError, Provider, "Proxmox refused with an error of its own.";
    ClockSkewed, Market, "The local clock disagrees with the API server's.";
    Terminating, Nobody, "Being deleted.";
    InUse, Provider, "Still used; deletion waits.";
    Bug, Market, "Something that cannot happen did; see the logs.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
