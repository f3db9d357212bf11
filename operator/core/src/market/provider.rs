//! Provider: the sum of its Pools. Must not look at Proxmox: the provider family says how each Pool is.

use crds::{Pool, Provider, ProviderStatus, provider::PoolCount};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    condition::{READY, Stated, find, holds, merged},
    reason::Reason,
};

/// The status of a Provider with these Pools in its namespace.
#[must_use]
pub fn status(provider: &Provider, pools: &[&Pool], now: Timestamp) -> ProviderStatus {
    let ready = pools.iter().filter(|pool| is_ready(pool)).count();
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let prior = provider.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let generation = provider.metadata.generation;
    ProviderStatus {
        observed_generation: generation,
        pools: Some(PoolCount {
            total: count(pools.len()),
            ready: count(ready),
        }),
        conditions: merged(prior, vec![stated(provider, pools, ready)], generation, now),
    }
}

fn stated(provider: &Provider, pools: &[&Pool], ready: usize) -> Stated {
    if provider.spec.paused {
        let says = "Takes no new contracts, as asked by spec.paused; machines that run are not touched.";
        return Stated::new(READY, false, Reason::ProviderPaused, says);
    }
    if pools.is_empty() {
        let says = "There is no Pool in this namespace. Create one to hold machines.";
        return Stated::new(READY, false, Reason::NoPool, says);
    }
    if ready == 0 {
        return Stated::new(READY, false, Reason::PoolNotReady, trouble(pools));
    }
    let message = if ready == pools.len() {
        "All Pools are ready.".to_owned()
    } else {
        trouble(pools)
    };
    Stated::new(READY, true, Reason::Ready, message)
}

/// Whether the provider family found the Pool usable.
#[must_use]
pub fn is_ready(pool: &Pool) -> bool {
    pool.status.as_ref().is_some_and(|s| holds(&s.conditions, READY))
}

/// What keeps Pools from being ready, in the order of their names.
pub(super) fn trouble(pools: &[&Pool]) -> String {
    let mut said: Vec<String> = pools
        .iter()
        .filter(|pool| !is_ready(pool))
        .map(|pool| say(pool))
        .collect();
    said.sort();
    said.join(" ")
}

fn say(pool: &Pool) -> String {
    let ready = pool.status.as_ref().and_then(|s| find(&s.conditions, READY));
    let why = ready.map_or("has not been looked at yet.", |c| c.message.as_str());
    format!("Pool {}: {why}", pool.name_any())
}

#[cfg(test)]
mod tests {
    use crds::PoolStatus;
    use rstest::rstest;

    use super::*;
    use crate::market::samples::{condition, instant, pool, provider};

    fn with_ready(status: &str) -> Pool {
        let mut pool = pool();
        let conditions = vec![condition(
            "Ready",
            status,
            "FirewallOff",
            "The datacenter firewall is off.",
        )];
        pool.status = Some(PoolStatus {
            conditions,
            ..PoolStatus::default()
        });
        pool
    }

    #[rstest]
    #[case::none(&[], false, ("False", "NoPool"))]
    #[case::unready(&["False"], false, ("False", "PoolNotReady"))]
    #[case::unknown(&["Unknown"], false, ("False", "PoolNotReady"))]
    #[case::one_of_two(&["True", "False"], false, ("True", "Ready"))]
    #[case::paused(&["True"], true, ("False", "ProviderPaused"))]
    fn ready_when_a_pool_is(#[case] pools: &[&str], #[case] paused: bool, #[case] want: (&str, &str)) {
        let mut provider = provider();
        provider.spec.paused = paused;
        let pools: Vec<Pool> = pools.iter().map(|status| with_ready(status)).collect();
        let refs: Vec<&Pool> = pools.iter().collect();
        let status = status(&provider, &refs, instant(0));
        let ready = &status.conditions[0];
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), want);
        assert_eq!(usize::try_from(status.pools.unwrap().total), Ok(pools.len()));
    }

    #[test]
    fn the_pools_own_words_are_shown() {
        let (sick, new) = (with_ready("False"), pool());
        let status = status(&provider(), &[&sick, &new], instant(0));
        let want = "Pool rack1: The datacenter firewall is off. Pool rack1: has not been looked at yet.";
        assert_eq!(status.conditions[0].message, want);
    }
}
