//! Herds of real processes, started by a command that somebody gives.

mod processes;
