//! Watching a server: what its events add up to ([`Metrics`]), whether it is ready ([`ready`]), and a small HTTP server
//! that says both ([`serve`]).
//!
//! Nothing here decides anything, and nothing that a server does waits for it.

mod http;
mod metrics;
mod ready;
mod text;

pub use http::{Admin, PATHS, serve};
pub use metrics::{Metrics, Watched};
pub use ready::{LinkSeen, ready};
pub use text::{FAMILIES, Family, LIMITS, markdown};
