//! The client: what a controller asks of Cloudflare. Reads are here; what changes records is in [`crate::write`].

use std::sync::Arc;

use cloudflare::framework::endpoint::spec::EndpointSpec;
use domain::ids::Uid;

use crate::access::{Access, AccessError};
use crate::act::Act;
use crate::budget::Budget;
use crate::endpoints::{At, FindZone, GetRecord, GetZone, ListRecords, Verify, Which, ZoneFact};
use crate::error::{Answer, ApiError, Error, line};
use crate::name::{Name, RecordId, ZoneId};
use crate::owner::Owner;
use crate::pages;
use crate::record::Record;
use crate::transport::{Reply, Transport, pause};

/// The most name servers of a zone that are kept.
const SERVERS: usize = 16;

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its id.
    pub id: ZoneId,
    /// Its name.
    pub name: Name,
    /// `active`, `pending`, …: only an active zone is served.
    pub status: String,
    /// The names of the servers that Cloudflare gave it.
    pub name_servers: Vec<Name>,
}

/// A client of one token. Clones share everything; clients of one Cloudflare user share their [`Budget`].
#[derive(Debug, Clone)]
pub struct Cf {
    transport: Arc<Transport>,
    budget: Budget,
    page: u32,
}

impl Cf {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// If the CA bundle holds no certificate or the HTTP client cannot be built.
    pub fn new(access: &Access, budget: Budget) -> Result<Self, AccessError> {
        Ok(Self {
            transport: Arc::new(Transport::new(access)?),
            budget,
            page: access.page.clamp(1, 5_000),
        })
    }

    pub(crate) fn page(&self) -> u32 {
        self.page
    }

    /// One call: its turn in the budget, the exchange, and what the answer says about the budget.
    pub(crate) async fn call<E: EndpointSpec>(
        &self,
        act: Act,
        endpoint: &E,
    ) -> Result<Reply<E::JsonResponse>, Error> {
        let entered = self.budget.enter().await;
        entered.map_err(|wait| Error::Budget { act, wait })?;
        let ended = self.transport.call(act, endpoint).await;
        let span = match &ended {
            Ok(reply) => reply.pause,
            Err(error) => pause(error),
        };
        if let Some(span) = span {
            self.budget.block(span);
        }
        ended
    }

    /// Whether the token holds. What it may do in a zone shows only in that zone's calls.
    ///
    /// # Errors
    /// [`crate::Class::Denied`] if it does not hold; any other class if that is unknown.
    pub async fn verify(&self) -> Result<(), Error> {
        let reply = self.call(Act::Verify, &Verify).await?;
        let status = reply.result.status;
        if status == "active" {
            return Ok(());
        }
        // As a token that does not hold is refused elsewhere.
        let error = ApiError {
            code: 9109,
            message: line(&format!("This API token is {status}")),
            chain: Vec::new(),
        };
        Err(Error::Answer {
            act: Act::Verify,
            answer: Box::new(Answer {
                status: 403,
                errors: vec![error],
                retry_after: None,
                ray: None,
            }),
        })
    }

    /// A zone.
    ///
    /// # Errors
    /// [`crate::Class::Denied`] also if it is not there: Cloudflare does not tell the two apart.
    pub async fn zone(&self, id: &ZoneId) -> Result<Zone, Error> {
        let reply = self.call(Act::ReadZone, &GetZone(id)).await?;
        zone(&reply.result)
    }

    /// The zone of exactly this name, if the token can see it.
    ///
    /// # Errors
    /// If the zones cannot be listed.
    pub async fn zone_named(&self, name: &Name) -> Result<Option<Zone>, Error> {
        let reply = self.call(Act::ReadZone, &FindZone(name)).await?;
        let mut found = reply.result.0.into_iter();
        let found = found.find(|fact| fact.name.parse().as_ref() == Ok(name));
        found.as_ref().map(zone).transpose()
    }

    /// All records that carry exactly this owner's comment, wherever they stand.
    ///
    /// # Errors
    /// If they cannot be listed, or change each time.
    pub async fn mine(&self, zone: &ZoneId, owner: &Owner) -> Result<Vec<Record>, Error> {
        let which = Which::CommentStarts(owner.comment());
        let mut records = pages::all(self, zone, &which).await?;
        records.retain(|record| record.owner() == Some(*owner));
        Ok(records)
    }

    /// All records that carry a comment of some gateway of a hub.
    ///
    /// # Errors
    /// If they cannot be listed, or change each time.
    pub async fn of_hub(&self, zone: &ZoneId, hub: &Uid) -> Result<Vec<(Owner, Record)>, Error> {
        let which = Which::CommentStarts(Owner::hub_prefix(hub));
        let records = pages::all(self, zone, &which).await?;
        let owned = records
            .into_iter()
            .filter_map(|record| Some((record.owner().filter(|owner| owner.hub == *hub)?, record)));
        Ok(owned.collect())
    }

    /// All records that stand at a name, whoever made them.
    ///
    /// # Errors
    /// If they cannot be listed, or change each time.
    pub async fn named(&self, zone: &ZoneId, name: &Name) -> Result<Vec<Record>, Error> {
        let which = Which::Named(name.clone());
        let mut records = pages::all(self, zone, &which).await?;
        records.retain(|record| record.at(name));
        Ok(records)
    }

    /// How many records the zone has, for a comparison with what its plan allows.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn count(&self, zone: &ZoneId) -> Result<u64, Error> {
        let list = ListRecords {
            zone,
            which: Which::All,
            page: 1,
            size: 1,
        };
        let reply = self.call(Act::List, &list).await?;
        Ok(reply.total.unwrap_or(reply.result.rows))
    }

    /// One record.
    ///
    /// # Errors
    /// [`crate::Class::NotFound`] if it is not there.
    pub async fn record(&self, zone: &ZoneId, id: &RecordId) -> Result<Record, Error> {
        let reply = self.call(Act::Read, &GetRecord(At { zone, id })).await?;
        Ok(reply.result)
    }
}

fn zone(fact: &ZoneFact) -> Result<Zone, Error> {
    let odd = |text: &str| Error::Unreadable {
        act: Act::ReadZone,
        sent: false,
        ray: None,
        source: serde::de::Error::custom(format!("{:?} is no name or id of a zone", line(text))),
    };
    let servers = fact.name_servers.iter().take(SERVERS);
    Ok(Zone {
        id: fact.id.parse().map_err(|_| odd(&fact.id))?,
        name: fact.name.parse().map_err(|_| odd(&fact.name))?,
        status: line(&fact.status),
        name_servers: servers.filter_map(|server| server.parse().ok()).collect(),
    })
}
