//! What changes records. Each change proves first that the record is ours; a change whose answer was lost is settled by
//! looking, never by asking again.

use crate::act::Act;
use crate::cf::Cf;
use crate::class::Class;
use crate::endpoints::{At, CreateRecord, DeleteRecord, PutRecord};
use crate::error::Error;
use crate::name::{RecordId, ZoneId};
use crate::owner::Owner;
use crate::plan::{Plan, Update};
use crate::record::{Desired, Record};

impl Cf {
    /// Does what a plan says, in its order; ends at the first failure. What was done before that shows in the next plan.
    ///
    /// # Errors
    /// The first failure.
    pub async fn apply(&self, zone: &ZoneId, plan: &Plan, owner: &Owner) -> Result<(), Error> {
        let Plan {
            delete,
            update,
            create,
            conflicts: _,
            strays: _,
        } = plan;
        for record in delete {
            self.delete(zone, &record.id, owner).await?;
        }
        for Update { record, to } in update {
            self.update(zone, (&record.id, to), owner).await?;
        }
        for desired in create {
            self.create(zone, desired, owner).await?;
        }
        Ok(())
    }

    /// A new record with our comment. If it is there already, made by us, that is as good.
    ///
    /// # Errors
    /// [`Error::Theirs`] if somebody else has made the same; [`Class::Ambiguous`] if it may come yet.
    pub async fn create(&self, zone: &ZoneId, desired: &Desired, owner: &Owner) -> Result<Record, Error> {
        let body = desired.body(owner);
        let error = match self.call(Act::Create, &CreateRecord { zone, body }).await {
            Ok(reply) => return Ok(reply.result),
            Err(error) => error,
        };
        let identical = error
            .answer()
            .is_some_and(|answer| answer.has(81057) || answer.has(81058));
        if !identical && error.class() != Class::Ambiguous {
            return Err(error);
        }
        let there = self.named(zone, desired.name()).await?;
        let (ours, theirs): (Vec<_>, Vec<_>) = there
            .into_iter()
            .filter(|record| record.says(desired))
            .partition(|record| record.owner() == Some(*owner));
        match (ours.into_iter().next(), theirs.is_empty()) {
            (Some(record), _) => Ok(record),
            (None, false) => Err(Error::Theirs {
                act: Act::Create,
                name: desired.name().clone(),
            }),
            (None, true) => Err(error),
        }
    }

    /// A record of ours that says something else from now on.
    ///
    /// # Errors
    /// [`Error::NotOurs`] if it does not carry our comment now: nothing is sent then. [`Class::Ambiguous`] if the change
    /// may come yet.
    pub async fn update(
        &self,
        zone: &ZoneId,
        (id, to): (&RecordId, &Desired),
        owner: &Owner,
    ) -> Result<Record, Error> {
        let there = self.record(zone, id).await?;
        prove(Act::Update, &there, owner)?;
        if to.is(&there) {
            return Ok(there);
        }
        let put = PutRecord {
            at: At { zone, id },
            body: to.body(owner),
        };
        match self.call(Act::Update, &put).await {
            Ok(reply) => Ok(reply.result),
            Err(error) if error.class() == Class::Ambiguous => {
                let there = self.record(zone, id).await?;
                let done = to.is(&there) && there.owner() == Some(*owner);
                if done { Ok(there) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// A record of ours goes. If it is gone already, that is as good.
    ///
    /// # Errors
    /// [`Error::NotOurs`] if it does not carry our comment now: nothing is sent then. [`Class::Ambiguous`] if the change
    /// may come yet.
    pub async fn delete(&self, zone: &ZoneId, id: &RecordId, owner: &Owner) -> Result<(), Error> {
        let Some(there) = self.present(zone, id).await? else {
            return Ok(());
        };
        prove(Act::Delete, &there, owner)?;
        match self.call(Act::Delete, &DeleteRecord(At { zone, id })).await {
            Ok(_) => Ok(()),
            Err(error) if no_record(&error) => Ok(()),
            Err(error) if error.class() == Class::Ambiguous => match self.present(zone, id).await? {
                None => Ok(()),
                Some(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// A record, or the proof that it is not there.
    async fn present(&self, zone: &ZoneId, id: &RecordId) -> Result<Option<Record>, Error> {
        match self.record(zone, id).await {
            Ok(record) => Ok(Some(record)),
            Err(error) if no_record(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Cloudflare says that there is no such record; a zone that is gone proves nothing about a record.
fn no_record(error: &Error) -> bool {
    error.answer().is_some_and(|answer| answer.has(81044))
}

fn prove(act: Act, record: &Record, owner: &Owner) -> Result<(), Error> {
    if record.owner() == Some(*owner) {
        return Ok(());
    }
    Err(Error::NotOurs {
        act,
        id: record.id.clone(),
        name: crate::error::line(&record.name),
    })
}
