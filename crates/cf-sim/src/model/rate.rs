//! How many calls a user and an address may make. A user who exceeds the limit is blocked for a while, whatever he asks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::moment::Moment;
use super::refusal::Refusal;

/// The most users and addresses that are counted.
const MOST: usize = 10_000;

/// The limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls of a user in a window.
    pub calls: u32,
    /// The window.
    pub window: Duration,
    /// How long a user is blocked at least; zero: for the rest of the window.
    pub block: Duration,
    /// Calls of an address in a second.
    pub per_second: u32,
    /// Whether a refusal says how long to wait.
    pub retry_after: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 1_200,
            window: Duration::from_mins(5),
            block: Duration::from_mins(5),
            per_second: 200,
            retry_after: true,
        }
    }
}

/// What one user or address has used.
#[derive(Debug, Clone, Copy)]
struct Used {
    begin: Moment,
    calls: u32,
    blocked: Option<Moment>,
}

/// All counters.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    /// The limits.
    pub limits: Limits,
    users: BTreeMap<String, Used>,
    addresses: BTreeMap<IpAddr, Used>,
}

/// What a user has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// All calls of a window.
    pub limit: u32,
    /// Calls that are left in it.
    pub calls: u32,
    /// How long it lasts.
    pub window: Duration,
}

impl Rates {
    /// Counters at zero.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Counts a call of an address.
    pub fn address(&mut self, from: IpAddr, now: Moment) -> Result<(), Refusal> {
        bound(&mut self.addresses);
        let used = self.addresses.entry(from).or_insert_with(|| Used::new(now));
        let second = Duration::from_secs(1);
        used.renew(second, now);
        used.calls = used.calls.saturating_add(1);
        if used.calls > self.limits.per_second {
            return Err(Refusal::too_fast(self.limits.retry_after.then_some(second)));
        }
        Ok(())
    }

    /// Counts a call of a user.
    pub fn user(&mut self, user: &str, now: Moment) -> Result<Left, Refusal> {
        bound(&mut self.users);
        let limits = &self.limits;
        let count = self
            .users
            .entry(user.to_owned())
            .or_insert_with(|| Used::new(now));
        count.renew(limits.window, now);
        if count.blocked.is_none() && count.calls >= limits.calls {
            let end = count.begin.plus(limits.window);
            let blocked = now.plus(limits.block);
            count.blocked = Some(if limits.block.is_zero() { end } else { blocked });
        }
        if let Some(end) = count.blocked {
            let wait = limits.retry_after.then(|| end.since(now));
            return Err(Refusal::too_many((limits.calls, limits.window), wait));
        }
        count.calls += 1;
        Ok(Left {
            limit: limits.calls,
            calls: limits.calls - count.calls,
            window: count.begin.plus(limits.window).since(now),
        })
    }

    /// Forgets what was used.
    pub fn forget(&mut self) {
        self.users.clear();
        self.addresses.clear();
    }
}

/// Keeps a map from growing for ever.
fn bound<K: Ord + Clone>(map: &mut BTreeMap<K, Used>) {
    if map.len() >= MOST {
        map.clear();
    }
}

impl Used {
    fn new(now: Moment) -> Self {
        Self {
            begin: now,
            calls: 0,
            blocked: None,
        }
    }

    /// Begins a new window where the old one, or its block, is over.
    fn renew(&mut self, window: Duration, now: Moment) {
        let over = match self.blocked {
            Some(end) => now >= end,
            None => now.since(self.begin) >= window,
        };
        if over {
            *self = Self::new(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::from_micros(secs * 1_000_000)
    }

    #[test]
    fn a_user_who_exceeds_the_limit_is_blocked_and_then_free() {
        let mut rates = Rates::new(Limits::default());
        for call in 0..1_200 {
            let left = rates.user("a", at(call / 10)).unwrap();
            assert_eq!(u64::from(left.calls), 1_199 - call);
        }
        let refused = rates.user("a", at(130)).unwrap_err();
        assert_eq!((refused.status, refused.code), (429, 971));
        assert_eq!(refused.retry_after, Some(Duration::from_mins(5)));
        assert!(rates.user("b", at(130)).is_ok(), "others are not");
        let later = rates.user("a", at(429)).unwrap_err();
        assert_eq!(
            later.retry_after,
            Some(Duration::from_secs(1)),
            "it is not prolonged"
        );
        assert_eq!(rates.user("a", at(430)).unwrap().calls, 1_199);
    }

    #[test]
    fn a_block_may_end_with_its_window() {
        let block = Duration::ZERO;
        let limits = Limits {
            calls: 2,
            block,
            retry_after: false,
            ..Limits::default()
        };
        let mut rates = Rates::new(limits);
        for _ in 0..2 {
            rates.user("a", at(100)).unwrap();
        }
        assert_eq!(rates.user("a", at(399)).unwrap_err().retry_after, None);
        assert!(rates.user("a", at(400)).is_ok());
    }

    #[test]
    fn an_address_has_its_own_limit() {
        let mut rates = Rates::new(Limits::default());
        let from = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..200 {
            rates.address(from, at(1)).unwrap();
        }
        assert_eq!(rates.address(from, at(1)).unwrap_err().code, 10429);
        assert!(rates.address(from, at(2)).is_ok());
    }
}
