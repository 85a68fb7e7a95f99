//! The base of everything else: pure code, without a network, a clock, a thread or waiting.

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
