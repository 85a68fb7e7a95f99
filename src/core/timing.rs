//! How long a server waits for what, in production and in a scenario.

use std::time::Duration;

/// How long a server waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A link that has nothing else to say says so this often; after two of them without a word
    /// from the neighbour it is closed.
    pub heartbeat: Duration,
    /// Digests are compared this often, less up to a half.
    pub anti_entropy: Duration,
    /// A connection that is not made by then is given up.
    pub connect_deadline: Duration,
    /// A greeting that did not come by then ends the connection.
    pub hello_deadline: Duration,
    /// A client's handshake, where clients are spoken to by TLS, that is not over by then ends the connection.
    pub handshake_deadline: Duration,
    /// How long a peer may leave unread what is written to it before it is cut off.
    pub write_deadline: Duration,
    /// The pause before a neighbour is dialled again, less up to a half; doubled each time,
    pub redial_least: Duration,
    /// but never longer than this.
    pub redial_most: Duration,
    /// How long nothing may happen on a client's connection before it is closed.
    pub idle: Duration,
    /// A client that begins a line must end it within this time.
    pub half_line: Duration,
    /// The pause when a connection can't be accepted.
    pub accept_pause: Duration,
    /// How long clients' connections have to finish when stopping, and then links as long again.
    pub drain: Duration,
    /// How long after the start a server waits to hear from all neighbours before it calls itself ready.
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

/// A timer of the links between servers, which a scenario can set, too.
pub struct LinkTimer {
    /// What a scenario's file calls it.
    pub name: &'static str,
    /// What it is, in a sentence or two.
    pub about: &'static str,
    /// The timer.
    pub get: fn(&Timing) -> Duration,
    /// Sets it.
    pub set: fn(&mut Timing, Duration),
}

/// The timers of links.
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
