//! Proxy herd.

pub mod diag;
pub mod document;
pub mod herd;
pub mod journal;
pub mod net;
pub mod node;
pub mod places;
pub mod protocol;
pub mod server;
pub mod units;
