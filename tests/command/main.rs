//! Tests of the command `herd` as its user sees it: processes of the real binary, with their files,
//! sockets and signals.
//!
//! They are one program, because each further program takes seconds to link.

#[cfg(feature = "sim")]
mod browser;
mod built;
mod certs;
#[cfg(feature = "sim")]
mod cli;
#[cfg(unix)]
mod deploy;
#[cfg(feature = "sim")]
mod exports;
#[cfg(all(target_os = "linux", feature = "sim"))]
mod faults_for_real;
#[cfg(all(feature = "sim", unix))]
mod found;
#[cfg(all(feature = "sim", unix))]
mod live;
mod load;
mod ran;
mod skipped;
#[cfg(feature = "sim")]
mod sweep;
