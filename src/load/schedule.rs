//! When each request of a connection is due.

use std::time::Duration;

/// The schedule of one connection, with times since the beginning of the load.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// The times at a fixed rate, or `None` in a closed loop, where the next request is due as soon
    /// as there is room.
    pace: Option<Pace>,
    /// The number of requests that were taken so far.
    taken: u64,
    /// The number of requests at which the schedule ends.
    count: Option<u64>,
    /// The time at which the schedule ends.
    until: Option<Duration>,
}

/// The request `number` of a connection is due at `(number * connections + connection) / rate`
/// seconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    rate: u64,
    connections: u64,
    connection: u64,
}

/// When the next request is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is due since this time.
    Since(Duration),
    /// It will be due at this time.
    At(Duration),
    /// There is none.
    Never,
}

impl Schedule {
    /// The schedule of connection `connection` of `connections`, in a load of `rate` requests per
    /// second (or a closed loop). The load ends after `count` requests, or at the time `until`.
    pub(super) fn new(
        connection: usize,
        connections: usize,
        rate: Option<u64>,
        count: Option<u64>,
        until: Option<Duration>,
    ) -> Self {
        let (connection, connections) = (connection as u64, connections as u64);
        Self {
            pace: rate.map(|rate| Pace {
                rate,
                connections,
                connection,
            }),
            taken: 0,
            count: count.map(|all| all / connections + u64::from(connection < all % connections)),
            until,
        }
    }

    /// When the next request is due, seen at the time `now`.
    pub(super) fn due(&self, now: Duration) -> Due {
        if self.count.is_some_and(|count| self.taken >= count) {
            return Due::Never;
        }
        let at = self.pace.map_or(now, |pace| pace.at(self.taken));
        if self.until.is_some_and(|until| at >= until) {
            return Due::Never;
        }
        if at <= now {
            Due::Since(at)
        } else {
            Due::At(at)
        }
    }

    /// Takes the next request, because it was sent or is lost.
    pub(super) fn take(&mut self) {
        self.taken += 1;
    }

    /// Takes all requests that were due at the time `then`, and returns their number. In a closed
    /// loop it is zero, since a request is not due before it is sent.
    pub(super) fn take_before(&mut self, then: Duration) -> u64 {
        let from = self.taken;
        while self.pace.is_some() && matches!(self.due(then), Due::Since(_)) {
            self.take();
        }
        self.taken - from
    }

    /// Ends the schedule, and returns the number of requests left of a count.
    pub(super) fn end(&mut self) -> u64 {
        let count = self.count.unwrap_or(self.taken);
        self.count = Some(self.taken);
        count - self.taken
    }
}

impl Pace {
    fn at(self, number: u64) -> Duration {
        let position =
            u128::from(number) * u128::from(self.connections) + u128::from(self.connection);
        let nanos = position * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_rate_is_shared_by_all_connections_in_turn() {
        let mut second = Schedule::new(1, 4, Some(1000), None, Some(MS(6)));
        assert_eq!(second.due(MS(0)), Due::At(MS(1)));
        assert_eq!(second.due(MS(1)), Due::Since(MS(1)));
        second.take();
        assert_eq!(second.due(MS(3)), Due::At(MS(5)));
        second.take();
        assert_eq!(second.due(MS(99)), Due::Never);
    }

    #[test]
    fn what_could_not_be_asked_stays_due_since_it_was() {
        let mut only = Schedule::new(0, 1, Some(1000), None, Some(MS(100)));
        assert_eq!(only.due(MS(50)), Due::Since(MS(0)));
        only.take();
        assert_eq!(only.due(MS(50)), Due::Since(MS(1)));
        assert_eq!(only.take_before(MS(9)), 9);
        assert_eq!(only.due(MS(50)), Due::Since(MS(10)));
    }

    #[test]
    fn in_a_closed_loop_the_next_is_due_at_once() {
        let mut only = Schedule::new(0, 1, None, None, Some(MS(10)));
        assert_eq!(only.due(MS(9)), Due::Since(MS(9)));
        assert_eq!(only.take_before(MS(9)), 0);
        assert_eq!(only.due(MS(10)), Due::Never);
    }

    #[test]
    fn a_count_is_shared_exactly() {
        let counts = (0..3).map(|connection| {
            let mut part = Schedule::new(connection, 3, None, Some(11), None);
            part.take();
            1 + part.end()
        });
        assert_eq!(counts.collect::<Vec<_>>(), [4, 4, 3]);
        let mut part = Schedule::new(0, 1, None, Some(1), None);
        part.take();
        assert_eq!(part.due(MS(0)), Due::Never);
    }
}
