//! The words by which metrics call what became of lines, updates and connections.

use crate::journal::{Ignored, Why};
use crate::protocol::client::Refusal;

/// What may become of a client's line, by its kind.
pub(super) const LINES: [(&str, &str); 16] = [
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
    }
}

pub(super) const FULL: usize = 14;

pub(super) const FUTURE_TIME: usize = 15;

/// What may become of an update.
pub(super) const OUTCOMES: [&str; 5] = ["accepted", "known", "older", "expired", "tied"];

pub(super) const fn ignored(why: Ignored) -> usize {
    match why {
        Ignored::Known => 1,
        Ignored::Older => 2,
        Ignored::Expired => 3,
        Ignored::Tied => 4,
    }
}

/// Why connections end or are not taken.
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

pub(super) const fn reason(why: &Why) -> usize {
    match why {
        Why::Ended => 0,
        Why::Failed(_) => 1,
        Why::Silent => 2,
        Why::HalfLine => 3,
        Why::LineTooLong => 4,
        Why::Slow => 5,
        Why::Protocol(_) => 6,
        Why::Refused(_) => 7,
        Why::NoHello => 8,
        Why::Superseded => 9,
        Why::Stopping => 10,
        Why::Crowded => 11,
        Why::Full => 12,
        Why::NoHandshake => 13,
        Why::Left => 14,
        Why::Early => 15,
    }
}
