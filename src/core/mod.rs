//! What everything else stands on: pure, without a network, a clock, a thread or anything that waits.

pub mod diag;
pub mod document;
pub mod herd;
pub mod journal;
pub mod node;
pub mod protocol;
#[cfg(feature = "sim")]
pub(crate) mod seed;
pub mod timing;
pub mod units;
