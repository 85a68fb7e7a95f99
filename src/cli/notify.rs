//! Telling the service manager how this process is, as systemd's `sd_notify` does: a datagram to the socket that the
//! environment names. Without one nobody is told.

#[cfg(unix)]
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Who is told.
pub(super) struct Manager {
    #[cfg(unix)]
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// A process that does not say that it gets on within this time is killed.
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that the environment names.
    pub(super) fn of_this_process() -> Self {
        Self {
            #[cfg(unix)]
            socket: socket(),
            watchdog: watchdog(),
        }
    }

    /// How often it must be told that this process gets on.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    pub(super) fn reloading(&self) {
        #[cfg(unix)]
        {
            use rustix::time::{ClockId, clock_gettime};
            // By this systemd tells this reload from one before.
            let now = clock_gettime(ClockId::Monotonic);
            let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1000;
            self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
        }
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping");
    }

    pub(super) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// A manager that does not listen is its own fault.
    fn tell(&self, text: &str) {
        #[cfg(unix)]
        if let Some((socket, manager)) = &self.socket {
            let _ = socket.send_to_addr(text.as_bytes(), manager);
        }
        #[cfg(not(unix))]
        let _ = text;
    }
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
    // A manager that is stuck must not stop a server.
    socket.set_nonblocking(true).ok()?;
    Some((socket, manager))
}

fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let micros = number("WATCHDOG_USEC").filter(|&micros| micros > 0 && is_meant)?;
    Some(Duration::from_micros(micros))
}
