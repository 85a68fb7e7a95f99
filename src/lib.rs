//! Proxy herd.

pub mod journal;
pub mod node;
pub mod protocol;
