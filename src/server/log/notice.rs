//! Where a log goes, and what an operator should know of that.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// Where a thread writes to.
pub trait Outlet: Write {
    /// Begins anew what was moved away, if there is such a thing.
    fn reopen(&mut self) {}
}

impl Outlet for io::Stderr {}

/// What an operator should know of an outlet; its name comes before it.
#[derive(Debug)]
pub enum Notice {
    /// Nothing can be written from here on. That is reported once, until something could be.
    Failing(io::Error),
    /// Something was written again; this number of lines was lost meanwhile.
    Works(u64),
    /// A file grows on that should have been rotated.
    NotRotated(io::Error),
    /// A file that was moved away was begun anew.
    Reopened,
    /// It could not be, and the old one is still written.
    NotReopened(io::Error),
    /// A file that was removed was begun anew.
    Removed,
    /// It could not be: all lines are lost.
    Lost(io::Error),
}

impl Notice {
    /// Whether something is wrong from here on.
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

/// Tells an operator. It is called by the thread that writes, and must not wait for that.
pub type Tell = Arc<dyn Fn(&Notice) + Send + Sync>;
