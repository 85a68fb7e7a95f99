//! Everything that a server in production needs: the network, Places, the server itself, its log,
//! its monitoring, and its settings.

pub mod admin;
pub mod certs;
pub mod disk;
pub mod log;
pub mod net;
pub mod places;
pub mod settings;
mod shell;
pub(crate) mod sync;

pub use shell::*;
