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

/// A timer of the links between servers that a scenario can also set.
pub struct LinkTimer {
    /// The timer's name in a scenario file.
    pub name: &'static str,
    /// The timer's description, in a sentence or two.
    pub about: &'static str,
    /// Reads the timer.
    pub get: fn(&Timing) -> Duration,
    /// Sets the timer.
    pub set: fn(&mut Timing, Duration),
}

/// The timers of links that a scenario can also set.
pub const LINK_TIMERS: [LinkTimer; 6] = [
    LinkTimer {
        name: "heartbeat",
        about: "How often a server sends a heartbeat on a quiet link, `\"2s\"` by default. A link that is silent for twice as long is dialled again.",
        get: |timing| timing.heartbeat,
        set: |timing, duration| timing.heartbeat = duration,
    },
    LinkTimer {
        name: "anti_entropy",
        about: "How often two linked servers compare what they know, `\"10s\"` by default.",
        get: |timing| timing.anti_entropy,
        set: |timing, duration| timing.anti_entropy = duration,
    },
    LinkTimer {
        name: "connect_deadline",
        about: "How long a server waits for a connection that it dials, `\"2s\"` by default.",
        get: |timing| timing.connect_deadline,
        set: |timing, duration| timing.connect_deadline = duration,
    },
    LinkTimer {
        name: "hello_deadline",
        about: "How long either end of a new link waits for the other's greeting, `\"2s\"` by default.",
        get: |timing| timing.hello_deadline,
        set: |timing, duration| timing.hello_deadline = duration,
    },
    LinkTimer {
        name: "redial_least",
        about: "How long a server waits before it dials again for the first time, `\"100ms\"` by default. The wait doubles each time.",
        get: |timing| timing.redial_least,
        set: |timing, duration| timing.redial_least = duration,
    },
    LinkTimer {
        name: "redial_most",
        about: "The longest wait before a server dials again, `\"2s\"` by default.",
        get: |timing| timing.redial_most,
        set: |timing, duration| timing.redial_most = duration,
    },
];
