//! Changes of what is programmed, one at a time: table, names, connections, snapshot. What to change is the core's to
//! say.

use std::collections::BTreeSet;
use std::sync::Arc;

use agent_core::nft::{Elements, Ground, Takeover, Transaction, fixed, takeover, unknown_slots};
use agent_core::routes::{Changes, Heard, Removal, Route, Routes, merge};
use agent_core::site::Site;

use super::{DataPlane, Done, PlaneError, Shared, Table};
use crate::probe::watch::Order;
use crate::{conntrack, host};

impl DataPlane {
    /// Serves a site: takes over the table that is there, or makes it. Done again, it follows changes of the Gateway.
    ///
    /// # Errors
    /// When the table cannot be had; or when the Gateway's changes would move routes that there are: then all stays.
    pub async fn serve(&self, site: Site) -> Result<(), PlaneError> {
        let shared = &self.0;
        let mut table = shared.table.lock().await;
        if let Some(route) = table.routes.iter().find(|route| moves(&site, route)) {
            return Err(PlaneError::Moved(route.index));
        }
        let first = table.site.is_none();
        let unchanged = table.site.as_deref() == Some(&site);
        if unchanged && table.fixed.is_some() {
            return Ok(());
        }
        shared.lay(&mut table, Arc::new(site), first).await?;
        drop(table);
        shared.dirty.notify_one();
        Ok(())
    }

    /// Does what follows from something heard of Slots, as far as the brake allows.
    ///
    /// # Errors
    /// When the table was not changed: then nothing was. Or when removed routes have connections left or are still in
    /// the snapshot: hearing the same again tries that again, and [`Self::is_gone`] says when it is done.
    pub async fn hear(&self, heard: Heard<'_>) -> Result<Done, PlaneError> {
        let shared = &self.0;
        let mut table = shared.table.lock().await;
        if table.site.is_none() {
            return Err(PlaneError::NoSite);
        }
        let merged = merge(&table.routes, heard);
        let wanted = merged.changes.remove.len();
        let changes = shared.admit(&mut table, merged.changes);
        let held = wanted - changes.remove.len();
        if !changes.is_empty() {
            shared.change(&mut table, &changes).await?;
        }
        let clearing = !table.clearing.is_empty();
        drop(table);
        if let Heard::All(_) = heard {
            shared.note(|health| (health.missing, health.held) = (merged.missing.clone(), held));
        } else if held > 0 {
            shared.note(|health| health.held = health.held.max(held));
        }
        if clearing {
            shared.clear().await?;
        } else if !changes.is_empty() {
            shared.dirty.notify_one();
        }
        Ok(Done {
            changes,
            missing: merged.missing,
            held,
        })
    }
}

/// Whether a route would be another one at this site.
fn moves(site: &Site, route: &Route) -> bool {
    Route::new(site, route.index, route.uid, route.contract).as_ref() != Ok(route)
}

impl Shared {
    /// Makes the table right for a site. At first, slots that it forwards and nobody knows are kept.
    async fn lay(&self, table: &mut Table, site: Arc<Site>, first: bool) -> Result<(), PlaneError> {
        let addresses = host::addresses().await.map_err(PlaneError::Host)?;
        let host = self
            .config
            .host(&addresses, site.facts().gateway)
            .map_err(PlaneError::Host)?;
        let fixed = fixed(&Ground::new(&site, &host));
        let seen = self.nft.look().await.map_err(PlaneError::Look)?;
        let mut routes = table.routes.clone();
        if first && let Some(seen) = &seen {
            let unknown = unknown_slots(&site, &routes, seen);
            keep_unknown(&site, &mut routes, unknown);
        }
        let step = takeover(&fixed, Elements::wanted(&routes), seen.as_ref());
        self.take(step).await?;
        (table.routes, table.fixed, table.site) = (routes, Some(fixed), Some(Arc::clone(&site)));
        table.pending = None;
        self.names.put(&table.routes);
        if let Some(public) = site.facts().public.first() {
            self.order(Order::Through(*public));
        }
        if first {
            table
                .routes
                .iter()
                .for_each(|route| self.order(Order::Watch(route.clone())));
        }
        self.site.send_replace(Some(site));
        self.note(|health| health.table = None);
        Ok(())
    }

    async fn take(&self, step: Takeover) -> Result<(), PlaneError> {
        let transaction = match step {
            Takeover::Nothing => return Ok(()),
            Takeover::Change(transaction) => {
                tracing::warn!(
                    "the table differed in {} elements; they are put right",
                    transaction.len()
                );
                transaction
            }
            Takeover::Replace(transaction) => {
                tracing::info!("the table is made anew with {} elements", transaction.len());
                transaction
            }
        };
        self.nft.commit(&transaction).await.map_err(PlaneError::TakeOver)
    }

    /// Looks at the whole table and puts right what differs. Also follows the host's own networks.
    pub(super) async fn mend(&self) -> Result<(), PlaneError> {
        let mut table = self.table.lock().await;
        match (table.site.clone(), table.pending.clone()) {
            (Some(site), _) => self.lay(&mut table, site, false).await,
            (None, Some(site)) => self.lay(&mut table, site, true).await,
            (None, None) => Ok(()),
        }
    }

    /// Whether the snapshot's site could not be served yet.
    pub(super) async fn unsettled(&self) -> bool {
        let table = self.table.lock().await;
        table.site.is_none() && table.pending.is_some()
    }

    /// Whether a table that should be there is not.
    pub(super) async fn lost(&self) -> Result<bool, PlaneError> {
        let programmed = self.table.lock().await.fixed.is_some();
        Ok(programmed && !self.nft.present().await.map_err(PlaneError::Look)?)
    }

    /// As much of some changes as the brake allows. What succeeds a route that stays, stays out.
    fn admit(&self, table: &mut Table, mut changes: Changes) -> Changes {
        let wanted = changes.remove.len();
        if wanted == 0 {
            return changes;
        }
        let admitted = table
            .brake
            .admit(self.clock.monotonic(), wanted, table.routes.len());
        let held: BTreeSet<_> = changes
            .remove
            .split_off(admitted)
            .into_iter()
            .map(|Removal { route, .. }| route.index)
            .collect();
        if !held.is_empty() {
            tracing::error!(
                "{} removals of routes wait for a person: too many at once",
                held.len()
            );
        }
        changes.add.retain(|route| !held.contains(&route.index));
        changes
    }

    /// Programs changes: table, then names and probes. If the table was not as expected, it is looked at whole.
    async fn change(&self, table: &mut Table, changes: &Changes) -> Result<(), PlaneError> {
        let mut after = table.routes.clone();
        after.apply(changes);
        if let Err(error) = self.nft.commit(&Transaction::of(changes)).await {
            tracing::warn!(error = %kit::chain(&error), "a change was not done; looking at the whole table");
            let fixed = table.fixed.as_ref().ok_or(PlaneError::NoSite)?;
            let seen = self.nft.look().await.map_err(PlaneError::Look)?;
            let step = takeover(fixed, Elements::wanted(&after), seen.as_ref());
            self.take(step).await?;
        }
        table.routes = after;
        self.names.apply(changes);
        for Removal { route, cause } in &changes.remove {
            let index = route.index;
            tracing::info!(slot = %route.uid, "slot {index}: its route is removed ({cause:?})");
            self.order(Order::Forget(index, route.uid));
            table.clearing.push(route.clone());
        }
        for route in &changes.add {
            let index = route.index;
            tracing::info!(slot = %route.uid, "slot {index}: its route is programmed");
            self.order(Order::Watch(route.clone()));
        }
        Ok(())
    }

    /// Ends the connections of removed routes, then saves: once that is done they are gone.
    pub(super) async fn clear(&self) -> Result<(), PlaneError> {
        let clearing = self.table.lock().await.clearing.clone();
        for route in &clearing {
            conntrack::forget(route.address)
                .await
                .map_err(PlaneError::Connections)?;
        }
        self.save().await?;
        self.table
            .lock()
            .await
            .clearing
            .retain(|route| !clearing.contains(route));
        Ok(())
    }

    /// Writes the newest state to disk.
    pub(super) async fn save(&self) -> Result<(), PlaneError> {
        let _alone = self.saving.lock().await;
        let (site, routes): (Arc<Site>, Routes) = {
            let table = self.table.lock().await;
            let Some(site) = table.site.clone() else {
                return Ok(());
            };
            (site, table.routes.clone())
        };
        let saved = self.store.save(&site, &routes).await;
        let error = saved.as_ref().err().map(|error| kit::chain(error));
        self.note(|health| health.snapshot = error);
        saved.map_err(PlaneError::Save)
    }
}

fn keep_unknown(site: &Site, routes: &mut Routes, unknown: Vec<domain::slot::SlotIndex>) {
    if unknown.is_empty() {
        return;
    }
    tracing::warn!(
        "{} slots are forwarded of which nothing is known; they stay until the hub speaks",
        unknown.len()
    );
    for index in unknown {
        // The index came from this very site.
        if let Err(error) = routes.keep(site, index) {
            tracing::warn!(%error, "slot {index} is not kept");
        }
    }
}
