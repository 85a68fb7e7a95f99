//! Herds of real processes: how somebody's servers are started, a scenario in which they play, and
//! what is judged of them from outside.

pub mod attach;
pub mod check;
pub mod command;
pub mod compare;
pub mod guard;
pub mod process;
mod relay;
pub mod run;
