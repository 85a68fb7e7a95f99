//! The names that a test suite uses.
//!
//! ```
//! use proxy_herd::prelude::*;
//!
//! let scenario = Scenario::builder("riley")
//!     .title("Juzang is dead when Riley hears from kiwi")
//!     .at("1s").crash("Juzang")
//!     .at("2s").client("kiwi").to("Riley").send("IAMAT kiwi +34.068930-118.445127 {now}")
//!     .build()?;
//! let trace = run(&scenario)?;
//! trace.assert_passed();
//! assert_eq!(trace.update("kiwi").hops("Campbell"), Some(3));
//! assert_eq!(trace.update("kiwi").hops("Juzang"), None);
//! sweep(&scenario, 0..20).assert_passed();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::assert_propagation_snapshot;
pub use crate::herd::Herd;
pub use crate::net::Net;
pub use crate::node::Flood;
pub use crate::scenario::Scenario;
pub use crate::server::Start;
pub use crate::sim::{Simulator, run};
pub use crate::suite::{sweep, sweep_with};
pub use crate::trace::Trace;

/// Compares how each update of a trace spread with a snapshot of the crate `insta`, which the caller has among its
/// own dependencies: which server had it from which, over how many links, and what its messages were good for. Times
/// are no part of it, so that a change of latencies alone changes no snapshot.
///
/// The snapshot is called as the test, or as the first argument says.
#[macro_export]
macro_rules! assert_propagation_snapshot {
    ($trace:expr $(,)?) => {
        ::insta::assert_snapshot!($crate::report::snapshot(&$trace))
    };
    ($name:expr, $trace:expr $(,)?) => {
        ::insta::assert_snapshot!($name, $crate::report::snapshot(&$trace))
    };
}
