//! Destinations of a log, and the reports about them to an operator.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// The destination of a log: standard error or a file.
pub trait Outlet: Write {
    /// Reopens a file by its name, since another program moved it away. Other destinations do
    /// nothing.
    fn reopen(&mut self) {}
}

impl Outlet for io::Stderr {}

/// A report about an outlet to an operator. Its text follows the outlet's name.
#[derive(Debug)]
pub enum Notice {
    /// Writing fails from here on. The outlet reports this once, until a write succeeds.
    Failing(io::Error),
    /// Writing succeeds again, after this number of lines was lost.
    Works(u64),
    /// A file reached its size and can't be rotated, so it grows on.
    NotRotated(io::Error),
    /// A file that another program moved away was reopened by its name.
    Reopened,
    /// A file can't be reopened by its name, so lines go on into the moved one.
    NotReopened(io::Error),
    /// A file that somebody removed was created again.
    Removed,
    /// A file that somebody removed can't be created again, so all lines are lost.
    Lost(io::Error),
}

impl Notice {
    /// Whether this reports a failure, rather than a recovery.
    pub fn is_bad(&self) -> bool {
        !matches!(self, Self::Works(_) | Self::Reopened | Self::Removed)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing(error) => write!(
                f,
                "can't be written, its lines are dropped and counted until it can: {error}"
            ),
            Self::Works(lost) => write!(f, "is written again; {lost} lines were lost"),
            Self::NotRotated(error) => write!(f, "can't be rotated and grows on: {error}"),
            Self::Reopened => f.write_str("is opened anew"),
            Self::NotReopened(error) => {
                write!(f, "can't be opened anew, the old one goes on: {error}")
            }
            Self::Removed => f.write_str("was removed, and is begun anew"),
            Self::Lost(error) => write!(
                f,
                "was removed and can't be begun anew, so its lines are lost: {error}"
            ),
        }
    }
}

/// Reports a notice to an operator. The thread that writes the log calls it, so it must not wait
/// for that thread.
pub type Tell = Arc<dyn Fn(&Notice) + Send + Sync>;
