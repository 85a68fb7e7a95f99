//! A survey: how updates spread while servers are dead and links are cut, from every origin to
//! every server, compared with what the herd's graph allows.

mod all;
mod graph;
mod hops;
mod links;
mod seen;
mod sets;
mod show;
mod simulated;
mod way;

pub use all::{Exception, FailureSet, Options, Survey, SurveyError, survey};
pub(crate) use graph::link_name;
pub use hops::{Hops, Measure, hops};
pub use links::ExtraLink;
pub use seen::Engine;
pub use sets::number_of_sets;
pub(crate) use show::Cutting;
pub use way::{RouteFigures, Spread};

#[cfg(test)]
mod tests;
