//! Tools that run a herd many times: all delivery orders (`explore`), many seeds (`sweep`), all
//! failure sets (`survey`), and a failing run shrunk (`shrink`) or followed to where it was decided (`blame`).

pub mod blame;
pub mod explore;
pub mod model;
#[cfg(feature = "mutants")]
pub mod mutants;
pub(crate) mod parallel;
pub mod power_cuts;
pub mod shrink;
pub mod suite;
pub mod survey;
pub mod sweep;
