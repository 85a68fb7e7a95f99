//! Watching a server: what its events add up to ([`Metrics`]), whether it is ready ([`ready`]), and a small HTTP server
//! that says both ([`serve`]), with who asks it ([`get`]).
//!
//! Nothing here decides anything, and nothing that a server does waits for it. Whoever shows the [`Token`] can have a client
//! forgotten ([`post`]).

mod client;
mod counts;
mod families;
mod forget;
mod http;
mod limits;
mod metrics;
mod outcomes;
mod process;
mod ready;
mod status;
mod text;
mod timed;
mod token;

pub use client::{AskError, Reply, get, post};
pub use families::{FAMILIES, Family, markdown};
pub use http::{Admin, MOST, PATHS, serve};
pub use limits::limits;
pub use metrics::{Metrics, Watched};
pub use ready::{LinkSeen, ready};
pub use status::{LinkReport, Status};
pub use timed::Timed;
pub use token::{Token, TokenError, TokenSlot};
