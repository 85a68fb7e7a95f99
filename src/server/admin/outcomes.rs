//! The labels of metrics for the outcomes of lines, updates and connections.

use crate::journal::{CloseReason, Ignored};
use crate::protocol::client::Refusal;

/// The kinds of clients' lines, each with a possible outcome. A count's index is the position here.
pub(super) const LINES: [(&str, &str); 17] = [
    ("iamat", "accepted"),
    ("iamat", "known"),
    ("iamat", "older"),
    ("iamat", "expired"),
    ("whatsat", "looked_up"),
    ("other", "empty"),
    ("other", "unknown_command"),
    ("other", "field_count"),
    ("iamat", "bad_location"),
    ("iamat", "bad_time"),
    ("whatsat", "bad_radius"),
    ("whatsat", "bad_bound"),
    ("whatsat", "unknown_client"),
    ("other", "too_long"),
    ("iamat", "full"),
    ("iamat", "future_time"),
    ("iamat", "not_saved"),
];

pub(super) const LOOKED_UP: usize = 4;

pub(super) const fn refused(why: Refusal) -> usize {
    match why {
        Refusal::Empty => 5,
        Refusal::UnknownCommand => 6,
        Refusal::FieldCount => 7,
        Refusal::BadLocation => 8,
        Refusal::BadTime => 9,
        Refusal::BadRadius => 10,
        Refusal::BadBound => 11,
        Refusal::UnknownClient => 12,
        Refusal::TooLong => 13,
        Refusal::Full => FULL,
        Refusal::FutureTime => FUTURE_TIME,
        Refusal::NotSaved => 16,
    }
}

pub(super) const FULL: usize = 14;

pub(super) const FUTURE_TIME: usize = 15;

/// The outcomes of an update from a neighbour. A count's index is the position here.
pub(super) const OUTCOMES: [&str; 5] = ["accepted", "known", "older", "expired", "tied"];

pub(super) const fn ignored(why: Ignored) -> usize {
    match why {
        Ignored::Known => 1,
        Ignored::Older => 2,
        Ignored::Expired => 3,
        Ignored::Tied => 4,
    }
}

/// The reasons why a connection was closed or refused. A count's index is the position here.
pub(super) const REASONS: [&str; 16] = [
    "ended",
    "failed",
    "silent",
    "half_line",
    "line_too_long",
    "slow",
    "protocol",
    "refused",
    "no_hello",
    "superseded",
    "stopping",
    "crowded",
    "full",
    "no_handshake",
    "left",
    "early",
];

pub(super) const fn reason(why: &CloseReason) -> usize {
    match why {
        CloseReason::Ended => 0,
        CloseReason::Failed(_) => 1,
        CloseReason::Silent => 2,
        CloseReason::HalfLine => 3,
        CloseReason::LineTooLong => 4,
        CloseReason::Slow => 5,
        CloseReason::Protocol(_) => 6,
        CloseReason::Refused(_) => 7,
        CloseReason::NoHello => 8,
        CloseReason::Superseded => 9,
        CloseReason::Stopping => 10,
        CloseReason::Crowded => 11,
        CloseReason::Full => 12,
        CloseReason::NoHandshake => 13,
        CloseReason::Left => 14,
        CloseReason::Early => 15,
    }
}
