//! What the hub says of the Gateway and its Slots, as a stream. What cannot be read is told and changes nothing.

use std::sync::Arc;

use crds::{Gateway, Slot};
use futures::StreamExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

type Guarded<K> = DeserializeGuard<K>;

/// Something the hub said.
#[derive(Debug)]
pub enum News {
    /// The Gateway is so.
    Gateway(Box<Gateway>),
    /// These are all Slots, as far as they can be read.
    Slots(Vec<Slot>),
    /// A Slot is so.
    Slot(Box<Slot>),
    /// A Slot of this name is not there any more. No route goes for that.
    Gone(String),
}

/// Watches until shutdown; errors are told and tried again.
pub async fn watch(
    client: Client,
    (namespace, gateway): (String, String),
    news: mpsc::Sender<News>,
    shutdown: CancellationToken,
) {
    let own = Config::default().fields(&format!("metadata.name={gateway}"));
    let gateways = watcher(
        Api::<Guarded<Gateway>>::namespaced(client.clone(), &namespace),
        own,
    )
    .default_backoff();
    let of = Config::default().fields(&format!("spec.gateway={gateway}"));
    let slots = watcher(Api::<Guarded<Slot>>::namespaced(client, &namespace), of).default_backoff();
    tokio::pin!(gateways, slots);
    let mut list: Vec<Slot> = Vec::new();
    loop {
        let said = tokio::select! {
            () = shutdown.cancelled() => return,
            Some(event) = gateways.next() => of_gateway(event),
            Some(event) = slots.next() => of_slot(event, &mut list),
            else => return,
        };
        if let Some(said) = said
            && news.send(said).await.is_err()
        {
            return;
        }
    }
}

type Seen<K> = Result<Event<Guarded<K>>, kube::runtime::watcher::Error>;

fn of_gateway(event: Seen<Gateway>) -> Option<News> {
    match told(event)? {
        Event::Apply(object) | Event::InitApply(object) => {
            readable(object).map(|one| News::Gateway(Box::new(one)))
        }
        // A Gateway that is gone keeps serving: only written ends count.
        Event::Delete(_) | Event::Init | Event::InitDone => None,
    }
}

fn of_slot(event: Seen<Slot>, list: &mut Vec<Slot>) -> Option<News> {
    match told(event)? {
        Event::Init => {
            list.clear();
            None
        }
        Event::InitApply(object) => {
            list.extend(readable(object));
            None
        }
        Event::InitDone => Some(News::Slots(std::mem::take(list))),
        Event::Apply(object) => readable(object).map(|one| News::Slot(Box::new(one))),
        Event::Delete(object) => Some(News::Gone(object.name_any())),
    }
}

fn told<K: Clone + std::fmt::Debug + Send + 'static>(event: Seen<K>) -> Option<Event<Guarded<K>>> {
    event
        .inspect_err(|error| tracing::debug!("the watch failed and is tried again: {}", kit::chain(error)))
        .ok()
}

fn readable<K>(object: Guarded<K>) -> Option<K>
where
    K: kube::Resource<DynamicType = ()> + Clone,
{
    match kit::guarded::decoded(&Arc::new(object)) {
        Ok(object) => Some(object.clone()),
        Err(error) => {
            tracing::error!("{}; nothing changes because of it", kit::chain(&error));
            None
        }
    }
}
