//! Which build of the program this is. `build.rs` finds out, from the sources alone.

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The first twelve digits of the commit, with `-dirty` behind them if the sources were changed since; `unknown` where nobody
/// told.
pub const COMMIT: &str = env!("HERD_BUILD_COMMIT");

/// The commit's day in UTC, or `unknown`.
pub const DATE: &str = env!("HERD_BUILD_DATE");

/// All three, as `herd --version` prints them.
pub const BUILD: &str = env!("HERD_BUILD");
