//! Notifies the service manager of this process's state, in the protocol of systemd's `sd_notify`:
//! a datagram to the socket that the environment names. Without such a socket nothing is sent.

use std::io;
#[cfg(unix)]
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use crate::server::Handle;
use crate::units::format_duration;

/// The maximum pause between two watchdog notifications.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The shortest accepted watchdog time. A busy machine may not schedule a thread often enough for a
/// shorter one.
const SHORTEST_WATCHDOG: Duration = Duration::from_millis(50);

/// The service manager to notify.
pub(super) struct Manager {
    #[cfg(unix)]
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// The manager kills the process after this time without a notification.
    watchdog: Option<Duration>,
}

impl Manager {
    /// The manager that the environment names. Fails if its watchdog time is too short.
    pub(super) fn of_this_process() -> Result<Self, Failure> {
        let watchdog = watchdog();
        if let Some(watchdog) = watchdog
            && watchdog < SHORTEST_WATCHDOG
        {
            return Err(Failure::Input(format!(
                "the service manager would kill this process when it is silent for {}, which a busy machine brings about \
                 (`WATCHDOG_USEC` is {})\nhelp: give it {} or more, with systemd by `WatchdogSec=`",
                format_duration(watchdog),
                watchdog.as_micros(),
                format_duration(SHORTEST_WATCHDOG)
            )));
        }
        Ok(Self {
            #[cfg(unix)]
            socket: socket(),
            watchdog,
        })
    }

    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    pub(super) fn reloading(&self) {
        #[cfg(unix)]
        {
            use rustix::time::{ClockId, clock_gettime};
            // By this time systemd distinguishes this reload from earlier ones.
            let now = clock_gettime(ClockId::Monotonic);
            let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1000;
            self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
        }
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping");
    }

    fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// Sends a notification. Errors are ignored: the server does not depend on its manager.
    fn tell(&self, text: &str) {
        #[cfg(unix)]
        if let Some((socket, manager)) = &self.socket {
            let _ = socket.send_to_addr(text.as_bytes(), manager);
        }
        #[cfg(not(unix))]
        let _ = text;
    }
}

/// Feeds the watchdog as long as the server makes progress: its listeners wake up, and its
/// decisions are not stuck. A server that is stopping is always fed, since stopping has its own
/// deadline.
///
/// Feeding needs its own thread. The timers of a flooded server are late although it is not stuck.
pub(super) fn keep_alive(manager: &Arc<Manager>, server: Handle) -> io::Result<()> {
    let Some(watchdog) = manager.watchdog else {
        return Ok(());
    };
    let manager = Arc::clone(manager);
    let pause = (watchdog / 4).min(LONGEST_PAUSE);
    // Listeners count twice as often as they are checked, so that each has counted since the last
    // check.
    server.pulse_every(pause / 2);
    let feed = move || {
        manager.alive();
        let mut told = server.pulse();
        loop {
            std::thread::park_timeout(pause);
            let pulse = server.pulse();
            let gets_on = pulse.iter().zip(&told).all(|(now, then)| now > then);
            if gets_on || server.is_stopping() {
                manager.alive();
                told = pulse;
            }
        }
    };
    std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(feed)?;
    Ok(())
}

#[cfg(unix)]
fn socket() -> Option<(UnixDatagram, SocketAddr)> {
    use std::os::unix::ffi::OsStrExt as _;
    let name = std::env::var_os("NOTIFY_SOCKET")?;
    let manager = match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt as _;
            SocketAddr::from_abstract_name(name).ok()?
        }
        [b'/', ..] => SocketAddr::from_pathname(&name).ok()?,
        _ => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    // A stuck manager must not block the server.
    socket.set_nonblocking(true).ok()?;
    Some((socket, manager))
}

fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let micros = number("WATCHDOG_USEC").filter(|&micros| micros > 0 && is_meant)?;
    Some(Duration::from_micros(micros))
}
