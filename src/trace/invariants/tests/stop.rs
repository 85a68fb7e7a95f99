//! Servers that stop gracefully, by handmade events: no simulated server does so.

use crate::diag;
use crate::herd::Herd;
use crate::journal::{ConnId, RecordText};

use super::*;

/// Handmade events of a herd of three servers in a row, a millisecond apart.
pub(super) struct Told {
    pub(super) trace: Trace,
}

impl Told {
    pub(super) fn new() -> Self {
        let mut trace = run(KIWI);
        let file = "name = \"row\"\nservers = [\"A\", \"B\", \"C\"]\nlinks = [\"A-B\", \"B-C\"]";
        let herd = Herd::parse(&diag::Source::new("row.toml", file)).expect("right");
        trace.herd = herd.0.into();
        trace.events.clear();
        let mut told = Self { trace };
        for server in ["A", "B", "C"] {
            told.tell(server, None, EventKind::Started { boot: "1".into() });
        }
        for (a, b, conn) in [("A", "B", 1), ("B", "C", 2)] {
            for (server, peer) in [(a, b), (b, a)] {
                let (peer, conn) = (peer.into(), ConnId(conn));
                told.tell(server, None, EventKind::LinkUp { peer, conn });
            }
        }
        told
    }

    pub(super) fn tell(
        &mut self,
        who: &str,
        cause: Option<EventId>,
        what: EventKind<'static>,
    ) -> EventId {
        let number = self.trace.events.len() as u64 + 1;
        let id = EventId(NonZeroU64::new(number).expect("not zero"));
        let who = match who {
            "network" => Actor::Network,
            server => Actor::Server(server.into()),
        };
        let at = number * 1_000_000;
        self.trace.events.push(Event {
            id,
            at,
            who,
            cause,
            what,
        });
        id
    }

    /// A server receives a client's line, accepts the update, and answers if `is_answered`.
    fn says(&mut self, server: &str, time: &'static str, is_answered: bool) {
        let (conn, line) = (ConnId(9), Text(b"IAMAT kiwi +1+1 1"[..].into()));
        let heard = self.tell(server, None, EventKind::LineIn { conn, line });
        self.accepts(server, Some(heard), time, Source::Client);
        if is_answered {
            let line = Text(b"AT A +0.000000000 kiwi +1+1 1"[..].into());
            self.tell(server, Some(heard), EventKind::LineOut { conn, line });
        }
    }

    fn accepts(&mut self, server: &str, cause: Option<EventId>, time: &'static str, from: Source) {
        let record = record(time);
        let hops = u32::from(from != Source::Client);
        self.tell(server, cause, EventKind::Accepted { record, hops, from });
    }

    /// A server says `BYE` to its neighbour and stops.
    fn leaves(&mut self, server: &str, peer: &str, conn: u64) {
        self.tell(server, None, bye(conn));
        self.down(server, peer, CloseReason::Stopping);
        self.down(peer, server, CloseReason::Left);
        self.tell(server, None, EventKind::Stopped);
    }

    fn down(&mut self, server: &str, peer: &str, why: CloseReason) {
        let peer = peer.into();
        self.tell(server, None, EventKind::LinkDown { peer, why });
    }

    fn lost(&self) -> Vec<String> {
        let found = violations(Invariant::GracefulStopLosesNothing, &self.trace);
        found.into_iter().map(|found| found.what).collect()
    }
}

fn bye(conn: u64) -> EventKind<'static> {
    let (conn, line) = (ConnId(conn), Text(b"BYE"[..].into()));
    EventKind::LineOut { conn, line }
}

fn record(time: &'static str) -> RecordText<'static> {
    let text = |text: &'static str| text.as_bytes().into();
    RecordText {
        client: text("kiwi"),
        location: text("+1+1"),
        time: text(time),
        origin: text("A"),
        skew: text("+0.000000000"),
    }
}

const LOST: &str =
    "A stops with A +0.000000000 kiwi +1+1 5, which it answered and no other server holds";

#[test]
fn what_was_answered_and_told_to_nobody_is_lost_with_who_stops() {
    let mut told = Told::new();
    told.says("A", "5", true);
    told.leaves("A", "B", 1);
    assert_eq!(told.lost(), [LOST]);
    let found = violations(Invariant::GracefulStopLosesNothing, &told.trace);
    let stopped = *found[0].events.last().expect("events");
    assert_eq!(find(&told.trace, stopped).what, EventKind::Stopped);
    // An older update of the client is not the one that was answered.
    told.accepts("C", None, "4", Source::Server("B".into()));
    assert_eq!(told.lost(), [LOST]);
    // The update may still have been in flight.
    told.accepts("B", None, "5", Source::Server("A".into()));
    assert_eq!(told.lost(), [""; 0]);
}

#[test]
fn what_was_told_may_stop_with_who_told_it() {
    let mut told = Told::new();
    told.says("A", "5", true);
    told.accepts("B", None, "5", Source::Server("A".into()));
    told.leaves("A", "B", 1);
    assert_eq!(told.lost(), [""; 0]);
    // An update without an answer was promised to nobody.
    let mut told = Told::new();
    told.says("A", "5", false);
    told.leaves("A", "B", 1);
    assert_eq!(told.lost(), [""; 0]);
    // The neighbour that sent an update holds it.
    let mut told = Told::new();
    told.accepts("A", None, "5", Source::Server("B".into()));
    told.leaves("A", "B", 1);
    assert_eq!(told.lost(), [""; 0]);
}

#[test]
fn who_can_tell_nobody_loses_it() {
    let cut = |ways: &[(&str, &str)]| EventKind::Cut {
        ways: (ways.iter())
            .map(|(a, b)| ((*a).into(), (*b).into()))
            .collect(),
    };
    let lost = |before: &[(&str, EventKind<'static>)]| {
        let mut told = Told::new();
        told.says("A", "5", true);
        for (who, what) in before {
            told.tell(who, None, what.clone());
        }
        told.tell("A", None, bye(1));
        told.down("A", "B", CloseReason::Slow);
        told.tell("A", None, EventKind::Stopped);
        told.lost().len()
    };
    assert_eq!(lost(&[]), 1);
    assert_eq!(lost(&[("network", cut(&[("A", "B")]))]), 0);
    assert_eq!(lost(&[("network", cut(&[("B", "A")]))]), 0);
    assert_eq!(lost(&[("network", cut(&[("C", "B")]))]), 1);
    assert_eq!(lost(&[("B", EventKind::Frozen)]), 0);
    assert_eq!(lost(&[("C", EventKind::Frozen)]), 1);
    assert_eq!(lost(&[("B", EventKind::PoweredOff)]), 0);
    assert_eq!(lost(&[("B", EventKind::Stopped)]), 0);
    let down = EventKind::LinkDown {
        peer: "A".into(),
        why: CloseReason::Ended,
    };
    assert_eq!(lost(&[("B", down)]), 0, "the link was not up at its end");
}

#[test]
fn who_never_says_that_it_leaves_loses_it_all_the_same() {
    let mut told = Told::new();
    told.says("A", "5", true);
    told.tell("A", None, EventKind::Stopped);
    assert_eq!(told.lost(), [LOST]);
}

#[test]
fn what_is_forgotten_before_is_not_lost_either() {
    // A holds a record that B has forgotten, and in place of which B holds a new one.
    let mut told = Told::new();
    told.says("A", "9", true);
    told.accepts("B", None, "9", Source::Server("A".into()));
    told.tell("B", None, EventKind::forgotten(record("6"), None));
    told.accepts("B", None, "5", Source::Client);
    told.leaves("A", "B", 1);
    assert_eq!(told.lost(), [""; 0]);
}

#[test]
fn what_is_forgotten_meanwhile_is_not_lost() {
    let mut told = Told::new();
    told.says("A", "5", true);
    told.leaves("A", "B", 1);
    told.tell("C", None, EventKind::forgotten(record("6"), None));
    assert_eq!(told.lost(), [""; 0]);
}
