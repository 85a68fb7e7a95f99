//! Herds of real processes, started by a command that somebody gives.

mod card;
mod commands;
mod peers;
mod processes;
mod scenarios;
mod stubs;
