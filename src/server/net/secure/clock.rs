//! The clock by which certificates are checked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use crate::net::Net;
use crate::protocol::time::Timestamp;

/// The clock of a [`Net`], by which certificates are checked.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of the machine on `net`.
    pub fn of<N: Net>(net: &N) -> Self {
        let net = net.clone();
        Self::from_fn(move || net.now())
    }

    pub(super) fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> UnixTime {
        let seconds = (self.0)().as_nanos() / 1_000_000_000;
        UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap_or_default()))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now())
    }
}
