//! Monitoring of a server: counted events ([`Metrics`]), readiness ([`ready`]), a small HTTP server
//! that reports both ([`serve`]), and its client ([`get`]).
//!
//! Nothing here makes decisions for the server, and the server waits for nothing here. An operator
//! with the [`Token`] can make the herd forget a client ([`post`]).

mod answer;
mod client;
mod counts;
mod disk;
mod families;
mod forget;
mod http;
mod journal;
mod limits;
mod metrics;
mod outcomes;
mod process;
mod ready;
mod state;
mod status;
mod text;
mod timed;
mod token;

pub use client::{AskError, Reply, get, post};
pub use families::{FAMILIES, Family, markdown};
pub use http::{MOST, PATHS, serve};
pub use journal::{JOURNAL, JournalLine, Keeping, KeptEvents};
pub use limits::limits;
pub use metrics::{Metrics, Watched};
pub use ready::{LinkSeen, ready};
pub use state::Admin;
pub use status::{DiskReport, LinkReport, Status};
pub use timed::Timed;
pub use token::{Token, TokenError, TokenSlot};
