//! Tests that call the library in their own process.
//!
//! They are one program, because each further program takes seconds to link.

#[cfg(feature = "sim")]
mod cases;
#[cfg(feature = "sim")]
mod clients;
mod conformance;
#[cfg(feature = "sim")]
mod docs;
#[cfg(feature = "sim")]
mod drawn;
#[cfg(feature = "sim")]
mod examples;
#[cfg(feature = "sim")]
mod faked_places;
#[path = "../fuzz_targets/mod.rs"]
pub mod fuzz_targets;
mod fuzzed;
#[cfg(feature = "sim")]
mod intervals;
#[cfg(feature = "sim")]
mod judging;
#[cfg(feature = "sim")]
mod notes;
mod panics;
#[cfg(feature = "sim")]
mod peers;
mod places;
mod places_tls;
#[cfg(feature = "sim")]
mod reacting;
#[cfg(feature = "sim")]
mod recipes;
#[cfg(feature = "sim")]
mod scenarios;
#[cfg(feature = "sim")]
mod shipped;
mod tidy;
#[cfg(feature = "sim")]
mod under_way;
#[cfg(feature = "sim")]
mod windows;
#[cfg(feature = "sim")]
mod worlds;
#[cfg(feature = "sim")]
mod written;
