//! Herds of real processes: how somebody's servers are started, and what is judged of them from
//! outside.

pub mod attach;
pub mod check;
pub mod command;
pub mod guard;
pub mod process;
