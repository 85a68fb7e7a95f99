//! The ways of updates, beside the ways that there are.

use serde::Serialize;

use crate::report::show::{count, delay};

/// How an update spread from one origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The origin.
    pub origin: String,
    /// Messages that carried it.
    pub sends: u64,
    /// The most that a flood costs among those who can be reached: 2E - N + 1.
    pub most_sends: u64,
    /// The number of these messages that were duplicates.
    pub duplicates: usize,
    /// By server.
    #[serde(skip)]
    pub ways: Vec<RouteFigures>,
}

/// The way of an update to one server, and the best that there is. Nothing where it did or could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RouteFigures {
    /// The links that it came over.
    pub hops: Option<u32>,
    /// The fewest links that there are.
    pub shortest: Option<u32>,
    /// Nanoseconds that it took.
    pub delay: Option<u64>,
    /// The shortest time that the links allow, in nanoseconds.
    pub fastest: Option<u64>,
}

impl RouteFigures {
    /// Whether it came as soon as it could, if it could; over as few links as there are, too, where
    /// `equal` says that these are as fast as any.
    pub fn is_best(&self, equal: bool) -> bool {
        self.delay == self.fastest && (!equal || self.hops == self.shortest)
    }

    /// In what it is not the best that there is.
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
    /// In what it took more messages than a flood does.
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

    /// How many servers it reached.
    pub fn reached(&self) -> usize {
        self.ways.iter().filter(|way| way.hops.is_some()).count()
    }

    /// How many it could reach.
    pub fn reachable(&self) -> usize {
        self.ways
            .iter()
            .filter(|way| way.shortest.is_some())
            .count()
    }
}
