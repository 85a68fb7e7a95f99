//! The timers and deadlines of a server, in production and in a scenario.

use std::time::Duration;

/// The timers and deadlines of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A link with nothing else to send gets a heartbeat this often. A link closes after two of
    /// these intervals without a line from the neighbour.
    pub heartbeat: Duration,
    /// The interval between two comparisons of digests, less up to a half of it at random.
    pub anti_entropy: Duration,
    /// An attempt to connect that takes longer than this is given up.
    pub connect_deadline: Duration,
    /// A connection whose greeting takes longer than this is closed.
    pub hello_deadline: Duration,
    /// A client's connection whose TLS handshake takes longer than this is closed.
    pub handshake_deadline: Duration,
    /// How long a peer may leave unread what is written to it, before its connection is closed.
    pub write_deadline: Duration,
    /// The first pause before a neighbour is dialled again, less up to a half of it at random. The
    /// pause doubles each time.
    pub redial_least: Duration,
    /// The limit to which the pause before a neighbour is dialled again doubles.
    pub redial_most: Duration,
    /// How long a client's connection may be idle before it is closed.
    pub idle: Duration,
    /// A client that begins a line must end it within this time.
    pub half_line: Duration,
    /// The pause after a connection could not be accepted.
    pub accept_pause: Duration,
    /// How long a graceful stop waits for clients' connections, and then as long again for links.
    pub drain: Duration,
    /// How long after its start a server waits for synchronisation with all neighbours before it is
    /// ready without it.
    pub ready_grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(2),
            anti_entropy: Duration::from_secs(10),
            connect_deadline: Duration::from_secs(2),
            hello_deadline: Duration::from_secs(2),
            handshake_deadline: Duration::from_secs(2),
            write_deadline: Duration::from_secs(10),
            redial_least: Duration::from_millis(100),
            redial_most: Duration::from_secs(2),
            idle: Duration::from_mins(10),
            half_line: Duration::from_secs(30),
            accept_pause: Duration::from_millis(100),
            drain: Duration::from_secs(5),
            ready_grace: Duration::from_secs(10),
        }
    }
}
