//! The CPU time of another process on this machine.

use std::fs;
use std::io;
use std::time::Duration;

/// The unit of times in `/proc` (`USER_HZ`), on every supported architecture.
const TICKS_PER_SECOND: u64 = 100;

/// The CPU time of process `pid` so far, system calls included.
///
/// # Errors
///
/// When the process does not exist, or the system has no `/proc`.
pub fn used(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "unknown form");
    parse(&stat).ok_or_else(unknown)
}

/// Parses user and system time. The second field is the process's name in brackets. It may contain
/// anything, even blanks and brackets, so parsing starts after the last bracket.
fn parse(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(Duration::from_millis(
        (user + system) * (1000 / TICKS_PER_SECOND),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 9 0 0 0 150 25 0 0 20 0 1 0 5 0 0";
        assert_eq!(parse(stat), Some(Duration::from_millis(1750)));
        assert_eq!(parse("7 (a) S 1"), None);
        assert_eq!(parse(""), None);
    }
}
