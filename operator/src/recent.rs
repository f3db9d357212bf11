//! Read your own writes: an object that we wrote counts until the watch brings it back, so that a pass in between
//! writes nothing twice. For seconds only: after that the cache is the truth again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kit::clock::Clock;
use kube::ResourceExt;

/// A watch that is slower than this is broken anyway.
const COUNTS_FOR: Duration = Duration::from_secs(5);

type Key = (String, String);

/// What was written lately, by namespace and name.
pub struct Recent<K> {
    clock: Arc<dyn Clock>,
    written: Mutex<HashMap<Key, (Duration, Arc<K>)>>,
}

impl<K: ResourceExt> Recent<K> {
    /// Nothing yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            written: Mutex::default(),
        }
    }

    /// Remembers what the API server returned.
    pub fn wrote(&self, object: Arc<K>) {
        let now = self.clock.monotonic();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.retain(|_, (at, _)| now.saturating_sub(*at) < COUNTS_FOR);
        written.insert(key(&*object), (now, object));
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key);
    }

    /// What was written under this name, if it is newer than what the cache has.
    #[must_use]
    pub fn newer_than(&self, cached: Option<&K>, namespace: &str, name: &str) -> Option<Arc<K>> {
        let now = self.clock.monotonic();
        let key = (namespace.to_owned(), name.to_owned());
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, object) = written.get(&key)?;
        let fresh = now.saturating_sub(*at) < COUNTS_FOR;
        if fresh && cached.is_none_or(|cached| version(cached) < version(&**object)) {
            return Some(Arc::clone(object));
        }
        written.remove(&key);
        None
    }
}

fn key<K: ResourceExt>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Versions of one kind grow with each write.
fn version<K: ResourceExt>(object: &K) -> u64 {
    object
        .resource_version()
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
    use kit::clock::TestClock;

    use super::*;

    fn object(version: &str) -> ConfigMap {
        let metadata = ObjectMeta {
            namespace: Some("n".into()),
            name: Some("a".into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        ConfigMap {
            metadata,
            ..ConfigMap::default()
        }
    }

    #[test]
    fn a_write_counts_until_the_watch_brings_it_back() {
        let clock = Arc::new(TestClock::at(Timestamp::UNIX_EPOCH));
        let recent = Recent::new(clock.clone());
        assert!(recent.newer_than(None, "n", "a").is_none());
        recent.wrote(Arc::new(object("9")));
        assert!(recent.newer_than(None, "n", "a").is_some());
        assert!(recent.newer_than(Some(&object("8")), "n", "a").is_some());
        assert!(recent.newer_than(Some(&object("10")), "n", "a").is_none());
        assert!(
            recent.newer_than(Some(&object("8")), "n", "a").is_none(),
            "forgotten once it came back"
        );
    }

    #[test]
    fn a_write_counts_for_seconds_only() {
        let clock = Arc::new(TestClock::at(Timestamp::UNIX_EPOCH));
        let recent = Recent::new(clock.clone());
        recent.wrote(Arc::new(object("9")));
        clock.advance(COUNTS_FOR);
        assert!(recent.newer_than(None, "n", "a").is_none());
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let recent = Recent::new(Arc::new(TestClock::at(Timestamp::UNIX_EPOCH)));
        recent.wrote(Arc::new(object("9")));
        recent.forget("n", "a");
        assert!(recent.newer_than(None, "n", "a").is_none());
    }
}
