//! An application-server herd for clients' locations, and the deterministic simulator that breaks it.
//!
//! Servers take clients' locations over a line protocol (`IAMAT`), flood them to their neighbours, and
//! answer what is near a client (`WHATSAT`). The same server code runs on real sockets and, with the
//! feature `sim` (on by default), in a simulator where everything that can go wrong goes wrong
//! repeatably.
//!
//! A test suite for a herd, in a few lines:
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use proxy_herd::prelude::*;
//!
//! # || -> Result<(), Box<dyn std::error::Error>> {
//! let scenario = Scenario::builder("riley")
//!     .at("1s").crash("Juzang")
//!     .at("2s").client("kiwi").to("Riley").send("IAMAT kiwi +34.068930-118.445127 {now}")
//!     .build()?;
//! let trace = run(&scenario)?;
//! trace.assert_passed();
//! assert_eq!(trace.update("kiwi").hops("Campbell"), Some(3));
//! # Ok(()) }().unwrap();
//! # }
//! ```
//!
//! `docs/library.md` shows suites, a changed flood, and a new kind of fault.
//!
//! # The map
//!
//! - `prelude`: what a test suite uses, with `suite` behind it: many seeds, and the first failure shrunk
//! - [`herd`]: servers, links, shortest paths
//! - `scenario`: what happens to a herd and what is expected, as a file or built in Rust
//! - `sim`: a scenario in one process, with the shipped server or another
//! - `trace`: a run written down, the path of each update, the invariants; `report`: the same as text
//! - [`server`], [`node`], [`net`], [`places`]: the server, its decisions, its network, and who knows what is near
//! - [`protocol`], [`journal`]: the line languages, and what happened as values
//! - [`diag`], [`units`], [`timing`]: mistakes in files, durations, timers
//!
//! What else is public is for the command `herd` and its tests, and not in this documentation.
//! `docs/ARCHITECTURE.md` says how everything hangs together and what must stay true.

#[doc(hidden)]
pub mod cli;
mod core;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod diff;
mod files;
#[cfg(feature = "sim")]
mod lab;
#[cfg(all(feature = "sim", unix))]
#[doc(hidden)]
pub mod live;
#[doc(hidden)]
pub mod load;
#[cfg(feature = "sim")]
pub mod prelude;
#[cfg(feature = "sim")]
pub mod report;
#[cfg(feature = "sim")]
pub mod scenario;
pub mod server;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "sim")]
pub mod trace;
#[doc(hidden)]
pub mod version;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod view;

#[doc(hidden)]
pub use self::core::document;
#[cfg(feature = "sim")]
use self::core::seed;
pub use self::core::{diag, herd, journal, node, protocol, timing, units};
#[cfg(feature = "mutants")]
#[doc(hidden)]
pub use self::lab::mutants;
#[cfg(feature = "sim")]
use self::lab::parallel;
#[cfg(feature = "sim")]
pub use self::lab::suite;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub use self::lab::{blame, explore, model, power_cuts, shrink, survey, sweep};
use self::server::sync;
#[doc(hidden)]
pub use self::server::{admin, certs, log, settings};
pub use self::server::{disk, net, places};
