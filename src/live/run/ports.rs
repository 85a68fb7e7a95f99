//! Ports for servers that may be started again and again.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process;

/// The lowest port that is tried.
const LOWEST: u16 = 10_000;

/// Where systems begin to take ports for connections, if this one does not say it.
const USUAL: u16 = 32_768;

/// Ports that the system takes for no connection: a server that is down keeps its port. Each is held by a listener, so
/// that no other harness takes it, until its server is started.
pub(super) fn lasting_ports(count: usize) -> io::Result<Vec<TcpListener>> {
    let highest = begin_of_ephemeral().unwrap_or(USUAL).max(LOWEST + 1000);
    let span = u32::from(highest - LOWEST);
    // Two harnesses at a time begin in different places.
    let begin = process::id().wrapping_mul(257) % span;
    let all = (0..span).map(|step| (begin + step) % span);
    let all = all.filter_map(|offset| LOWEST.checked_add(u16::try_from(offset).ok()?));
    let bind = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
    let free: Vec<TcpListener> = all.filter_map(bind).take(count).collect();
    if free.len() < count {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    Ok(free)
}

/// The first port that the system takes for connections, if it says that.
fn begin_of_ephemeral() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(held: &[TcpListener]) -> Vec<u16> {
        let at = held.iter().map(|held| held.local_addr().unwrap());
        at.map(|at| at.port()).collect()
    }

    #[test]
    fn ports_are_different_held_and_taken_for_no_connection() {
        let held = lasting_ports(20).unwrap();
        let others = lasting_ports(20).unwrap();
        let (mut one, other) = (ports(&held), ports(&others));
        assert!(one.iter().all(|port| !other.contains(port)));
        let first = begin_of_ephemeral().unwrap_or(USUAL);
        assert!(one.iter().all(|port| *port < first));
        one.sort_unstable();
        one.dedup();
        assert_eq!(one.len(), 20);
    }
}
