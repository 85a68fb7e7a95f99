//! How often each limit was reached.

use super::metrics::Metrics;
use super::outcomes::{FULL, FUTURE_TIME};
use crate::journal::CloseReason;
use crate::server::HOLD_BACK;

/// A limit that `herd_limits_hit_total` counts.
pub(super) struct Limit {
    /// The name of the setting that sets the limit, for most limits.
    pub(super) name: &'static str,
    /// How often the limit was reached. The number is the count of look-ups that failed because too
    /// many were in flight.
    pub(super) hits: fn(&Metrics, u64) -> u64,
}

/// The names of all limits, as the metric shows them.
pub fn limits() -> impl Iterator<Item = &'static str> {
    LIMITS.iter().map(|limit| limit.name)
}

const fn limit(name: &'static str, hits: fn(&Metrics, u64) -> u64) -> Limit {
    Limit { name, hits }
}

const FAILED: CloseReason = CloseReason::Failed(std::borrow::Cow::Borrowed(""));

pub(super) static LIMITS: &[Limit] = &[
    limit("client-line", |all, _| {
        all.with_clients.closed(&CloseReason::LineTooLong)
    }),
    limit("half-line", |all, _| {
        all.with_clients.closed(&CloseReason::HalfLine)
    }),
    limit("idle", |all, _| {
        all.with_clients.closed(&CloseReason::Silent)
    }),
    limit("write-deadline", |all, _| {
        all.with_clients.closed(&CloseReason::Slow) + all.with_servers.closed(&CloseReason::Slow)
    }),
    limit("client-connections", |all, _| {
        all.with_clients.not_accepted(&CloseReason::Full)
    }),
    limit("clients-per-address", |all, _| {
        all.with_clients.not_accepted(&CloseReason::Crowded)
    }),
    limit(HOLD_BACK[0], |all, _| all.held_back[0].get()),
    limit(HOLD_BACK[1], |all, _| all.held_back[1].get()),
    limit(HOLD_BACK[2], |all, _| all.held_back[2].get()),
    limit("peer-connections", |all, _| {
        all.with_servers.not_accepted(&CloseReason::Full)
    }),
    limit("peers-per-address", |all, _| {
        all.with_servers.not_accepted(&CloseReason::Crowded)
    }),
    limit("hello-deadline", |all, _| {
        all.with_servers.closed(&CloseReason::NoHello)
    }),
    limit("handshake-deadline", |all, _| {
        all.with_clients.closed(&CloseReason::NoHandshake)
    }),
    limit("clients", |all, _| all.client_lines[FULL].get()),
    limit("future-limit", |all, _| all.client_lines[FUTURE_TIME].get()),
    limit("places-in-flight", |_, busy| busy),
    limit("open-files", |all, _| {
        all.with_clients.not_accepted(&FAILED) + all.with_servers.not_accepted(&FAILED)
    }),
];
