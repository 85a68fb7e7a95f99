//! What is made of many runs: every order, many seeds, every failure set, and a failure made as small as it can be.

pub mod explore;
pub mod model;
#[cfg(feature = "mutants")]
pub mod mutants;
pub(crate) mod parallel;
pub mod shrink;
pub mod suite;
pub mod survey;
pub mod sweep;
