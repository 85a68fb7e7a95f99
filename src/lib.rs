//! An application-server herd for clients' locations, and the deterministic simulator that breaks it.
//!
//! Servers take clients' locations over a line protocol (`IAMAT`), flood them to their neighbours, and
//! answer what is near a client (`WHATSAT`). The same server code runs on real sockets and, with the
//! feature `sim` (on by default), in a simulator where everything that can go wrong goes wrong
//! repeatably.
//!
//! Snapshot-test how an update spreads, in three lines:
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use proxy_herd::{report, scenario::Scenario, sim};
//!
//! # let mut settings = insta::Settings::clone_current();
//! # settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
//! # settings.set_prepend_module_to_snapshot(false);
//! # settings.bind(|| -> Result<(), Box<dyn std::error::Error>> {
//! let (scenario, _warnings) = Scenario::load("scenarios/juzang-goes-down.toml")?;
//! let trace = sim::run(&scenario)?;
//! insta::assert_snapshot!("juzang-goes-down", report::snapshot(&trace));
//! # Ok(()) }).unwrap();
//! # }
//! ```
//!
//! # The map
//!
//! Pure, without a network, a clock, a thread or anything that waits:
//!
//! - [`units`], [`timing`], [`diag`], [`document`]: durations, and those that a server waits; mistakes in files, each in its place; TOML and JSON as one
//! - [`herd`]: who there is, who is linked with whom, and what is shortest
//! - [`protocol`]: the two line languages, exactly
//! - [`journal`]: what happened, as values
//! - [`node`]: one server's decisions
//! - `model`: Nodes on a plain queue of events, for sizes that no simulated network reaches
//! - `seed`: generators, one for each purpose
//! - `scenario`: files that say what happens to a herd and what is expected
//! - `trace`: a run, written down, the way of each update in it, and what must hold of every run
//! - `report`: traces made readable
//! - `diff`: what changed from one trace to another
//! - `view`: traces as a page that a browser shows
//!
//! Waiting, and deciding nothing:
//!
//! - [`net`]: the network, real or simulated
//! - [`places`]: who knows what is near a place
//! - [`server`]: one Node on a network
//! - [`load`]: requests for a herd, and how it takes them
//! - [`log`]: what a server in production says about itself
//! - [`admin`]: what a server in production can be asked: metrics, readiness, records
//! - [`settings`]: what it can be told, each declared once
//! - `sim`: a scenario in turmoil
//! - `explore`: a scenario in every order in which its messages could arrive
//! - `mutants`: servers that are wrong on purpose, and what finds them (with the feature `mutants`)
//! - `survey`: a herd with things missing, held against its graph
//! - `sweep`: many seeds on all cores, and one report
//! - `shrink`: a run that fails, shrunk
//! - [`version`]: which build this is
//! - [`certs`]: certificates for trying out TLS
//! - [`cli`]: the `herd` command
//!
//! `docs/ARCHITECTURE.md` says how they hang together and what must stay true.

pub mod admin;
pub mod certs;
pub mod cli;
pub mod diag;
#[cfg(feature = "sim")]
pub mod diff;
pub mod document;
#[cfg(feature = "sim")]
pub mod explore;
mod files;
pub mod herd;
pub mod journal;
pub mod load;
pub mod log;
#[cfg(feature = "sim")]
pub mod model;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod net;
pub mod node;
#[cfg(feature = "sim")]
mod parallel;
pub mod places;
#[cfg(feature = "sim")]
pub mod prelude;
pub mod protocol;
#[cfg(feature = "sim")]
pub mod report;
#[cfg(feature = "sim")]
pub mod scenario;
#[cfg(feature = "sim")]
mod seed;
pub mod server;
pub mod settings;
#[cfg(feature = "sim")]
pub mod shrink;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "sim")]
pub mod suite;
#[cfg(feature = "sim")]
pub mod survey;
#[cfg(feature = "sim")]
pub mod sweep;
pub mod timing;
#[cfg(feature = "sim")]
pub mod trace;
pub mod units;
pub mod version;
#[cfg(feature = "sim")]
pub mod view;
