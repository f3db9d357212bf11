//! Time as the model sees it: a number handed in by the caller. Reads no clock.

use std::time::Duration;

use jiff::Timestamp;

/// A point in time in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(u64);

impl Moment {
    /// A moment from microseconds since the epoch.
    pub fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Whole seconds since the epoch.
    pub fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// This moment moved forward.
    pub fn plus(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Time passed since `earlier`, zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// As the API writes times.
    pub fn text(self) -> String {
        let micros = i64::try_from(self.0).unwrap_or(i64::MAX);
        let at = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
        format!("{at:.6}")
    }

    /// As HTTP writes times (RFC 1123).
    pub fn http(self) -> String {
        let seconds = i64::try_from(self.secs()).unwrap_or(i64::MAX);
        let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_api_writes_them() {
        let at = Moment::from_micros(1_795_000_000_000_001);
        assert_eq!(at.text(), "2026-11-18T11:06:40.000001Z");
        assert_eq!(at.http(), "Wed, 18 Nov 2026 11:06:40 GMT");
    }
}
