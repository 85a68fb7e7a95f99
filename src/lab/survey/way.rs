//! Measured routes of updates, beside the best routes that the graph allows.

use serde::Serialize;

use crate::report::show::{count, delay};

/// How an update spread from one origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The origin.
    pub origin: String,
    /// The number of messages that carried the update.
    pub sends: u64,
    /// The maximum number of messages of a flood over the N servers in reach and the E links
    /// between them: 2E - N + 1.
    pub most_sends: u64,
    /// The number of these messages that were duplicates.
    pub duplicates: usize,
    /// The route to each server, in the herd's order.
    #[serde(skip)]
    pub ways: Vec<RouteFigures>,
}

/// The measured route of an update to one server, and the best possible one. `None` stands for an
/// update that did not arrive (measured) or cannot (possible).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RouteFigures {
    /// The number of links that the update crossed.
    pub hops: Option<u32>,
    /// The number of links on the shortest route.
    pub shortest: Option<u32>,
    /// Nanoseconds until the server stored the update.
    pub delay: Option<u64>,
    /// Nanoseconds on the fastest route.
    pub fastest: Option<u64>,
}

impl RouteFigures {
    /// Whether the update arrived exactly where it can, and as fast as possible. With `equal`
    /// latencies the shortest route is the fastest, so the hops must be the fewest possible, too.
    pub fn is_best(&self, equal: bool) -> bool {
        self.delay == self.fastest && (!equal || self.hops == self.shortest)
    }

    /// How the route deviates from the best one, in words; `None` if it does not.
    pub(super) fn exception(&self, origin: &str, server: &str, equal: bool) -> Option<String> {
        let words = match (self.hops, self.shortest) {
            _ if self.is_best(equal) => return None,
            (None, _) => format!("never reached, and {} away", hops(self.shortest)),
            (_, None) => format!("reached in {}, and out of reach", hops(self.hops)),
            _ => format!(
                "{} where {} is the shortest way, {} where {} is the fastest",
                hops(self.hops),
                hops(self.shortest),
                took(self.delay),
                took(self.fastest)
            ),
        };
        Some(format!("{origin} to {server}: {words}"))
    }
}

fn hops(number: Option<u32>) -> String {
    number.map_or("never".to_owned(), |hops| count(hops as usize, "hop"))
}

fn took(nanos: Option<u64>) -> String {
    nanos.map_or("never".to_owned(), delay)
}

impl Spread {
    /// The messages beyond the maximum of a flood, in words; `None` if there are none.
    pub(super) fn waste(&self) -> Option<String> {
        let Self {
            origin,
            sends,
            most_sends,
            ..
        } = self;
        (sends > most_sends)
            .then(|| format!("from {origin}: {sends} sends where {most_sends} is the most"))
    }

    /// The number of servers that stored the update, including the origin.
    pub fn reached(&self) -> usize {
        self.ways.iter().filter(|way| way.hops.is_some()).count()
    }

    /// The number of servers that the update can reach, including the origin.
    pub fn reachable(&self) -> usize {
        self.ways
            .iter()
            .filter(|way| way.shortest.is_some())
            .count()
    }
}
