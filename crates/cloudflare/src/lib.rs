//! Cloudflare DNS client: transport, rate budget, ownership comments, planner, authoritative lookups.
//!
//! Built on the endpoint traits of the `cloudflare` crate with a transport of our own. Knows how the API answers, what a
//! failure means, and which records are ours; must not know Kubernetes or decide when to act.
//!
//! A caller lists ([`Cf::mine`], [`Cf::named`]), plans ([`plan`]), and applies ([`Cf::apply`]); then it asks the zone's
//! own servers ([`published`]) until all show what was written.

mod access;
mod act;
mod bucket;
mod budget;
mod cf;
mod class;
mod endpoints;
mod error;
mod lookup;
mod name;
mod owner;
mod pages;
mod plan;
mod record;
mod transport;
mod write;

pub use access::{Access, AccessError, Endpoint, Token, Trust};
pub use act::Act;
pub use bucket::{Bucket, Pace};
pub use budget::{Budget, SystemTimer, Timer};
pub use cf::{Cf, Zone};
pub use class::Class;
pub use error::{Answer, ApiError, Error, TransportKind};
pub use lookup::{LookupError, Seen, View, published, servers_of};
pub use name::{Name, NameError, RecordId, ZoneId};
pub use owner::{Owner, Scope};
pub use plan::{Conflict, OutsideScope, Plan, Update, Why, plan};
pub use record::{Desired, Kind, Record, TextError};
