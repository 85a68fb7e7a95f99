//! Rate limits for lines: of one connection, and of all connections of one address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Limits;
use crate::sync::{Mutex, MutexGuard};

/// The settings whose limits can hold a client back.
pub const HOLD_BACK: [&str; 3] = [LOOK_UPS, CONNECTION_RATE, ADDRESS_RATE];

pub(super) const LOOK_UPS: &str = "look-ups-per-connection";

const CONNECTION_RATE: &str = "connection-rate";

const ADDRESS_RATE: &str = "address-rate";

/// A connection that was silent can send the lines of this time at once.
const BURST: Duration = Duration::from_secs(1);

/// Below this number of addresses none is removed.
const FEW_ADDRESSES: usize = 1024;

/// A rate limit as in GCRA: it stores when the lines so far are paid off.
#[derive(Debug)]
struct Debt {
    paid: Instant,
}

impl Debt {
    fn nothing() -> Self {
        Self {
            paid: Instant::now(),
        }
    }

    /// The number of lines that are allowed at `now`, or the time at which one is. A `rate` of 0
    /// means no limit.
    fn allowed(&self, rate: usize, now: Instant) -> Result<usize, Instant> {
        if rate == 0 {
            return Ok(usize::MAX);
        }
        let free = BURST.saturating_sub(self.paid.duration_since(now));
        let lines = free.as_nanos() * to_u128(rate) / 1_000_000_000;
        if lines == 0 {
            // The debt exceeds a burst minus one line here, so the difference is not negative.
            return Err((self.paid + cost(1, rate))
                .checked_sub(BURST)
                .unwrap_or(now));
        }
        Ok(usize::try_from(lines).unwrap_or(usize::MAX))
    }

    fn take(&mut self, lines: usize, rate: usize, now: Instant) {
        if rate > 0 {
            self.paid = self.paid.max(now) + cost(lines, rate);
        }
    }
}

/// The time that `lines` lines take at this rate, rounded up.
fn cost(lines: usize, rate: usize) -> Duration {
    let nanos = (to_u128(lines) * 1_000_000_000).div_ceil(to_u128(rate));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn to_u128(number: usize) -> u128 {
    number as u128
}

/// The rate limits of addresses.
#[derive(Debug, Default)]
pub(super) struct Addresses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    taken: BTreeMap<IpAddr, Arc<Mutex<Debt>>>,
    /// The number of addresses at which those without debt and connection are removed.
    clean_at: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Addresses {
    /// The rate limit of an address. It outlives connections, since a client could otherwise
    /// reconnect to clear its debt.
    fn of(&self, address: IpAddr, now: Instant) -> Arc<Mutex<Debt>> {
        let mut known = lock(&self.0);
        if known.taken.len() >= known.clean_at.max(FEW_ADDRESSES) {
            (known.taken).retain(|_, taken| Arc::strong_count(taken) > 1 || lock(taken).paid > now);
            known.clean_at = 2 * known.taken.len();
        }
        let taken = known.taken.entry(address);
        let taken = taken.or_insert_with(|| Arc::new(Mutex::new(Debt::nothing())));
        Arc::clone(taken)
    }
}

/// The rate limits of a connection.
#[derive(Debug)]
pub(super) struct Pace {
    own: Debt,
    address: IpAddr,
    /// The rate limit of the address, from when it is first needed.
    shared: Option<Arc<Mutex<Debt>>>,
}

/// The limit that is exceeded, and until when the client has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFast {
    /// The name of the setting.
    pub(super) limit: &'static str,
    pub(super) until: Instant,
}

impl Pace {
    /// The limits of a new connection from `address`.
    pub(super) fn new(address: IpAddr) -> Self {
        Self {
            own: Debt::nothing(),
            address,
            shared: None,
        }
    }

    /// The number of lines that are allowed now.
    pub(super) fn allowed(
        &mut self,
        limits: &Limits,
        addresses: &Addresses,
    ) -> Result<usize, TooFast> {
        let (own, address) = (limits.connection_rate, limits.address_rate);
        if own == 0 && address == 0 {
            return Ok(usize::MAX);
        }
        let now = Instant::now();
        let too_fast = |limit| move |until| TooFast { limit, until };
        let allowed = self.own.allowed(own, now);
        let allowed = allowed.map_err(too_fast(CONNECTION_RATE))?;
        if address == 0 {
            return Ok(allowed);
        }
        let shared = (self.shared).get_or_insert_with(|| addresses.of(self.address, now));
        let of_all = lock(shared).allowed(address, now);
        Ok(allowed.min(of_all.map_err(too_fast(ADDRESS_RATE))?))
    }

    /// Counts `lines` lines that were handled.
    pub(super) fn take(&mut self, lines: usize, limits: &Limits) {
        let (own, address) = (limits.connection_rate, limits.address_rate);
        if own == 0 && address == 0 {
            return;
        }
        let now = Instant::now();
        self.own.take(lines, own, now);
        if let Some(shared) = &self.shared {
            lock(shared).take(lines, address, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use tokio::time::{Instant, advance, sleep_until};

    use super::{Addresses, FEW_ADDRESSES, Pace};
    use crate::server::Limits;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn limits(connection_rate: usize, address_rate: usize) -> Limits {
        Limits {
            connection_rate,
            address_rate,
            ..Limits::default()
        }
    }

    /// Counts the lines within this time of a client that always has more to send.
    async fn taken(
        pace: &mut Pace,
        addresses: &Addresses,
        limits: &Limits,
        time: Duration,
    ) -> usize {
        let end = Instant::now() + time;
        let mut lines = 0;
        loop {
            match pace.allowed(limits, addresses) {
                Ok(allowed) => {
                    pace.take(allowed.min(512), limits);
                    lines += allowed.min(512);
                }
                Err(too_fast) if too_fast.until > end => return lines,
                Err(too_fast) => sleep_until(too_fast.until).await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_is_a_burst_of_a_second_and_then_the_rate() {
        let addresses = Addresses::default();
        for rate in [1, 3, 7, 1000, 1_000_000] {
            let (limits, mut pace) = (limits(rate, 0), Pace::new(HERE));
            let lines = taken(&mut pace, &addresses, &limits, Duration::from_secs(10)).await;
            // Each pause may be up to a millisecond too long.
            let least = 11 * rate - rate / 50 - 2;
            assert!(
                (least..=11 * rate).contains(&lines),
                "{lines} lines at {rate}"
            );
            advance(Duration::from_secs(10)).await;
            assert_eq!(pace.allowed(&limits, &addresses), Ok(rate));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_connections_of_an_address_share_its_rate_whenever_they_are_made() {
        let (addresses, limits) = (Addresses::default(), limits(0, 100));
        let mut lines = 0;
        for _ in 0..10 {
            let mut pace = Pace::new(HERE);
            lines += taken(&mut pace, &addresses, &limits, Duration::from_secs(1)).await;
        }
        assert!((1000..=1100).contains(&lines), "{lines} lines in 10 s");
        let mut other = Pace::new(Ipv4Addr::new(192, 0, 2, 1).into());
        assert_eq!(other.allowed(&limits, &addresses), Ok(100));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_owe_nothing_are_forgotten() {
        let (addresses, limits) = (Addresses::default(), limits(0, 100));
        let mut debtor = Pace::new(HERE);
        assert!(debtor.allowed(&limits, &addresses).is_ok());
        debtor.take(100_000, &limits);
        drop(debtor);
        let mut there = Vec::new();
        for number in 0..10_u32 {
            for host in 0..1000_u32 {
                let address = Ipv4Addr::from_bits(0x0a00_0000 + number * 1000 + host);
                let mut pace = Pace::new(address.into());
                assert!(pace.allowed(&limits, &addresses).is_ok());
                there.push(pace);
            }
            there.clear();
            advance(Duration::from_secs(1)).await;
        }
        let known = addresses.0.into_inner().expect("no panic");
        assert!(known.taken.len() <= 2 * FEW_ADDRESSES);
        assert!(known.taken.contains_key(&HERE));
    }
}
