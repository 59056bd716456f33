//! Wall and monotonic time, handed in and never taken.
//!
//! The only module that may ask the system what time it is (`clippy.toml`). Order in the records comes from the
//! sequence number; a time is only ever a note beside it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A wall-clock time, RFC 3339 in UTC with milliseconds, as it stands in a record.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Stamp(pub String);

/// Milliseconds since this process started; never runs backwards.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// Tells the time. A test hands in one that it moves itself.
pub trait Clock: Send + Sync {
    /// What the calendar says.
    fn wall(&self) -> Stamp;
    /// How long this process has been running.
    fn since_start(&self) -> Millis;
    /// Lets time pass.
    fn sleep(&self, span: Duration);
}

/// The machine's own clock.
pub struct System {
    started: Instant,
}

impl System {
    /// Starts counting now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is where time comes from")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::disallowed_methods, reason = "this module is where time comes from")]
impl Clock for System {
    fn wall(&self) -> Stamp {
        Stamp(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }

    fn since_start(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// A clock that stands still until told to move: records made under it are the same every time.
#[derive(Default)]
pub struct Frozen {
    millis: std::sync::atomic::AtomicU64,
}

impl Clock for Frozen {
    fn wall(&self) -> Stamp {
        Stamp(format!("2026-01-01T00:00:00.{:03}Z", self.since_start().0 % 1000))
    }

    fn since_start(&self) -> Millis {
        Millis(self.millis.load(std::sync::atomic::Ordering::Relaxed))
    }

    fn sleep(&self, span: Duration) {
        let more = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.millis.fetch_add(more, std::sync::atomic::Ordering::Relaxed);
    }
}
