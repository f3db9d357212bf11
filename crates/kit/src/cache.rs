//! One watch and one store for a kind, shared by all who need it. Objects that can't be decoded stay in the store as
//! such and stop nothing; `managedFields` are dropped, since nobody here reads them. Knows no kind.

use std::{fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt, future::BoxFuture, stream::BoxStream};
use kube::{
    Api, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

/// An object as the watch delivers it, decodable or not.
pub type Guarded<K> = DeserializeGuard<K>;

/// Objects that are read at once when a watch starts. Larger pages are no faster, and what they need for a moment
/// stays with the process.
const PAGE: u32 = 100;

/// What a kind must be to be cached.
pub trait Cached:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Cached for K {}

/// The objects of one kind, and who wants to hear of changes.
pub struct Cache<K: Cached> {
    store: Store<Guarded<K>>,
    subscribers: Vec<mpsc::UnboundedSender<Arc<Guarded<K>>>>,
    writer: Writer<Guarded<K>>,
    events: BoxStream<'static, watcher::Result<watcher::Event<Guarded<K>>>>,
}

impl<K: Cached> Cache<K> {
    /// Watches what this API shows.
    #[must_use]
    pub fn new(api: Api<Guarded<K>>) -> Self {
        Self::filtered(api, watcher::Config::default())
    }

    /// Watches what this API shows and the selectors let through.
    #[must_use]
    pub fn filtered(api: Api<Guarded<K>>, config: watcher::Config) -> Self {
        let (store, writer) = reflector::store();
        let events = watcher(api, config.page_size(PAGE))
            .default_backoff()
            .modify(|object: &mut Guarded<K>| object.managed_fields_mut().clear())
            .boxed();
        Self {
            store,
            subscribers: Vec::new(),
            writer,
            events,
        }
    }

    /// The objects.
    #[must_use]
    pub fn store(&self) -> Store<Guarded<K>> {
        self.store.clone()
    }

    /// Every object once, then each that changes or goes; the store is updated first.
    pub fn subscribe(&mut self) -> impl Stream<Item = Arc<Guarded<K>>> + Send + use<K> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        self.subscribers.push(sender);
        futures::stream::poll_fn(move |cx| receiver.poll_recv(cx))
    }

    /// Keeps the store current until dropped.
    pub async fn drive(mut self) {
        while let Some(event) = self.events.next().await {
            match event {
                Ok(event) => self.take(event),
                Err(error) => tracing::warn!(
                    kind = %K::kind(&()),
                    "{}: the watch failed and is tried again: {}", K::kind(&()), crate::chain(&error)
                ),
            }
        }
    }

    fn take(&mut self, event: watcher::Event<Guarded<K>>) {
        self.writer.apply_watcher_event(&event);
        match event {
            watcher::Event::Apply(object) | watcher::Event::Delete(object) => self.tell(&Arc::new(object)),
            watcher::Event::InitDone => self.store.state().iter().for_each(|object| self.tell(object)),
            watcher::Event::Init | watcher::Event::InitApply(_) => {}
        }
    }

    fn tell(&self, object: &Arc<Guarded<K>>) {
        for subscriber in &self.subscribers {
            // A subscriber that is gone wants nothing any more.
            drop(subscriber.send(Arc::clone(object)));
        }
    }
}

/// Waits until the store has been filled once; `drive` must run meanwhile.
#[must_use]
pub fn filled<K: Cached>(cache: &Cache<K>) -> BoxFuture<'static, ()> {
    let store = cache.store();
    Box::pin(async move {
        if store.wait_until_ready().await.is_err() {
            tracing::error!(kind = %K::kind(&()), "{}: the watch ended before it was filled", K::kind(&()));
        }
    })
}

/// The object behind a guard, if it can be decoded.
#[must_use]
pub fn decoded<K: Cached>(guard: &Guarded<K>) -> Option<&K> {
    guard.0.as_ref().ok()
}

/// The decodable object of this name.
#[must_use]
pub fn get<K: Cached>(store: &Store<Guarded<K>>, namespace: &str, name: &str) -> Option<Arc<Guarded<K>>> {
    let key = ObjectRef::new(name).within(namespace);
    store.get(&key).filter(|object| object.0.is_ok())
}

/// All decodable objects that pass.
pub fn all<K: Cached>(store: &Store<Guarded<K>>, mut pass: impl FnMut(&K) -> bool) -> Vec<Arc<Guarded<K>>> {
    store
        .state()
        .into_iter()
        .filter(|object| object.0.as_ref().is_ok_and(&mut pass))
        .collect()
}
