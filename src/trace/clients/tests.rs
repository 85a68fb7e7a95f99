//! Each rule is shown violated by events that a test writes by hand, and kept by those of a true
//! herd in which answers overtake one another, servers start anew and records are lost.

use std::num::NonZeroU64;

use super::exchanges::Exchanges;
use super::staleness;
use super::{
    Accusation, answers_of_their_kind, convergent_reads, monotonic_reads, read_your_writes,
    told_as_sent,
};
use crate::journal::{
    Actor, CloseReason, ConnId, End, Event, EventId, EventKind, PeerRole, RecordText,
};
use crate::scenario::Scenario;
use crate::sim;
use crate::trace::{Trace, WorkloadShape};

mod mistaken;

/// Events a millisecond apart.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    conns: u64,
}

/// A connection of a client.
#[derive(Clone, Copy)]
struct Conn(&'static str, ConnId);

fn server(name: &str) -> Actor {
    Actor::Server(name.into())
}

impl Log {
    /// Two servers that run.
    fn new() -> Self {
        let mut log = Self::default();
        log.starts("Riley");
        log.starts("Juzang");
        log
    }

    fn add(&mut self, who: Actor, what: EventKind<'static>) -> EventId {
        let number = self.events.len() as u64 + 1;
        let id = EventId(NonZeroU64::new(number).expect("not zero"));
        let at = number * 1_000_000;
        let cause = None;
        self.events.push(Event {
            id,
            at,
            who,
            cause,
            what,
        });
        id
    }

    fn starts(&mut self, name: &str) {
        let boot = "1".into();
        self.add(server(name), EventKind::Started { boot });
    }

    fn opens(&mut self, client: &'static str, to: &str) -> Conn {
        self.conns += 1;
        let conn = ConnId(self.conns);
        let what = EventKind::Opened {
            conn,
            end: End::Dialler,
            with: PeerRole::Server(to.into()),
        };
        self.add(Actor::Client(client.into()), what);
        Conn(client, conn)
    }

    fn sends(&mut self, Conn(client, conn): Conn, line: &str) -> EventId {
        let line = line.as_bytes().to_vec();
        let line = RecordBytes(line).into();
        self.add(
            Actor::Client(client.into()),
            EventKind::LineOut { conn, line },
        )
    }

    fn hears(&mut self, Conn(client, conn): Conn, line: &str) {
        let line = RecordBytes(line.as_bytes().to_vec()).into();
        self.add(
            Actor::Client(client.into()),
            EventKind::LineIn { conn, line },
        );
    }

    fn gives_up(&mut self, Conn(client, _): Conn, sent: EventId) {
        let what = EventKind::Unanswered {
            to: "Riley".into(),
            line: b"x"[..].into(),
        };
        self.add(Actor::Client(client.into()), what);
        self.events.last_mut().expect("one").cause = Some(sent);
    }

    /// A client sends a line on a connection of its own and is answered.
    fn asks(&mut self, client: &'static str, to: &str, line: &str, answer: &str) {
        let conn = self.opens(client, to);
        self.sends(conn, line);
        self.hears(conn, answer);
        let why = CloseReason::Ended;
        self.add(
            Actor::Client(client.into()),
            EventKind::Closed { conn: conn.1, why },
        );
    }

    /// What each rule finds, in the order of the rules.
    fn found(&self) -> [Vec<String>; 5] {
        let found = [
            answers_of_their_kind(&self.events),
            told_as_sent(&self.events),
            read_your_writes(&self.events),
            monotonic_reads(&self.events),
            convergent_reads(&self.events, true),
        ];
        found.map(|found| {
            found
                .into_iter()
                .map(|Accusation { what, .. }| what)
                .collect()
        })
    }

    #[track_caller]
    fn is_right(&self) {
        assert_eq!(self.found(), <[Vec<String>; 5]>::default());
    }
}

/// Where answers wait for a disk that fails, an update is refused that others may hear of.
#[test]
fn what_was_refused_may_be_told_where_answers_wait_for_a_disk() {
    let log = |answers_wait| {
        let mut log = Log::new();
        log.add(
            server("Riley"),
            EventKind::Loaded {
                records: 0,
                bytes: 0,
                damaged: 0,
                answers_wait,
            },
        );
        let refused = "? IAMAT kiwi +34-118 5";
        log.asks("kiwi", "Riley", "IAMAT kiwi +34-118 5", refused);
        log.asks("plum", "Juzang", ASK, &with_body(FIVE));
        log
    };
    log(true).is_right();
    let [_, told_as_sent, ..] = log(false).found();
    assert!(told_as_sent[0].ends_with("which no client sent to that server"));
}

/// Bytes that an event owns.
struct RecordBytes(Vec<u8>);

impl From<RecordBytes> for crate::journal::Text<'static> {
    fn from(RecordBytes(bytes): RecordBytes) -> Self {
        Self(bytes.into())
    }
}

const FIVE: &str = "AT Riley +1.000000000 kiwi +34-118 5";
const SIX: &str = "AT Riley +1.000000000 kiwi +34-118 6";
const ASK: &str = "WHATSAT kiwi 10 5";

fn with_body(line: &str) -> String {
    format!("{line}\n{{}}")
}

/// Kiwi has told Riley twice where it is.
fn told_twice() -> Log {
    let mut log = Log::new();
    log.asks("kiwi", "Riley", "IAMAT kiwi +34-118 5", FIVE);
    log.asks("kiwi", "Riley", "IAMAT kiwi +34-118 6", SIX);
    log
}

#[test]
fn a_true_herd_is_not_accused() {
    let mut log = told_twice();
    log.asks("plum", "Riley", ASK, &with_body(SIX));
    log.asks("plum", "Riley", "hello", "? hello");
    log.asks(
        "plum",
        "Riley",
        "WHATSAT nobody 10 5",
        "? WHATSAT nobody 10 5",
    );
    log.asks("plum", "Juzang", ASK, &with_body(SIX));
    log.is_right();
}

#[test]
fn an_answer_of_another_kind_is_found() {
    for (line, answer) in [
        (
            "IAMAT kiwi +34-118 5",
            "AT Riley +1.000000000 kiwi +34-118 5.0",
        ),
        (
            "IAMAT kiwi +34-118 5",
            "AT Juzang +1.000000000 kiwi +34-118 5",
        ),
        ("IAMAT kiwi +34-118 5", "AT Riley +1.0 kiwi +34-118 5"),
        ("IAMAT kiwi +34-118 5", "? IAMAT kiwi +34-118 6"),
        (
            "IAMAT kiwi +34-118 5",
            "AT Riley +1.000000000 kiwi +34-118 5\n{}",
        ),
        (
            "IAMAT kiwi +34-118 five",
            "AT Riley +1.000000000 kiwi +34-118 five",
        ),
        (ASK, FIVE),
        (ASK, "AT Riley +1.000000000 plum +34-118 5\n{}"),
        (ASK, "AT Riley +1.000000000 kiwi +34-118 5\n{"),
        (ASK, "? WHATSAT kiwi 10"),
        ("hello", "? hallo"),
        ("hello", ""),
    ] {
        let mut log = Log::new();
        log.asks("kiwi", "Riley", line, answer);
        let found = answers_of_their_kind(&log.events);
        assert_eq!(found.len(), 1, "{line}: {answer}");
        assert_eq!(found[0].events.len(), 2);
    }
}

#[test]
fn what_no_client_sent_is_found() {
    for told in [
        "AT Riley +1.000000000 kiwi +34-118 7",
        "AT Riley +1.000000000 kiwi +34-119 6",
        "AT Juzang +1.000000000 kiwi +34-118 6",
        "AT Riley +1.000000001 kiwi +34-118 6",
    ] {
        let mut log = told_twice();
        log.asks("plum", "Juzang", ASK, &with_body(told));
        let [_, invented, ..] = log.found();
        assert_eq!(invented.len(), 1, "{told}");
        assert!(
            invented[0].starts_with("Juzang tells plum `AT "),
            "{invented:?}"
        );
    }
}

/// What a scenario has a neighbour say by hand counts as said, with its own skew, and nothing else does.
#[test]
fn what_a_neighbour_said_by_hand_may_be_told() {
    for (told, is_said) in [
        ("AT Jaquez +1.000000000 kiwi +34-118 6", true),
        ("AT Jaquez +1.000000000 kiwi +34-118 7", false),
        ("AT Jaquez +2.000000000 kiwi +34-118 6", false),
        ("AT Riley +1.000000000 kiwi +34-118 6", false),
    ] {
        let mut log = Log::new();
        let line = b"AT  Jaquez\t+1.000000000 kiwi +34-118 6 3";
        let (conn, line) = (ConnId(77), RecordBytes(line.to_vec()).into());
        log.add(
            Actor::Peer("evil".into()),
            EventKind::LineOut { conn, line },
        );
        log.asks("plum", "Juzang", ASK, &with_body(told));
        let [_, invented, ..] = log.found();
        assert_eq!(invented.is_empty(), is_said, "{told}: {invented:?}");
    }
}

/// A record of a later generation is newer than any before it, whatever its time.
#[test]
fn a_neighbour_may_say_by_hand_that_a_client_was_forgotten() {
    for (generation, is_right) in [("", false), (" 1", true)] {
        let mut log = told_twice();
        let line = format!("AT Riley +1.000000000 kiwi +34-118 1 3{generation}");
        let (conn, line) = (ConnId(77), RecordBytes(line.into_bytes()).into());
        log.add(
            Actor::Peer("evil".into()),
            EventKind::LineOut { conn, line },
        );
        let older = with_body("AT Riley +1.000000000 kiwi +34-118 1");
        log.asks("plum", "Riley", ASK, &older);
        let [_, invented, older, ..] = log.found();
        assert_eq!(invented, [""; 0]);
        assert_eq!(older.is_empty(), is_right, "{generation}: {older:?}");
    }
}

#[test]
fn what_was_refused_is_told_to_nobody() {
    let mut log = Log::new();
    let line = "IAMAT kiwi +34-118 5";
    log.asks("kiwi", "Riley", line, "? IAMAT kiwi +34-118 5");
    log.asks("plum", "Riley", ASK, &with_body(FIVE));
    let [_, invented, ..] = log.found();
    assert_eq!(invented.len(), 1);
}

#[test]
fn any_skew_will_do_until_the_update_is_answered_and_no_longer() {
    let other = "AT Riley +2.000000000 kiwi +34-118 5";
    let mut log = Log::new();
    let conn = log.opens("kiwi", "Riley");
    let sent = log.sends(conn, "IAMAT kiwi +34-118 5");
    log.asks("plum", "Riley", ASK, &with_body(other));
    log.is_right();
    let mut unanswered = Log {
        events: log.events.clone(),
        ..log
    };
    log.hears(conn, FIVE);
    let [_, invented, ..] = log.found();
    assert_eq!(
        invented,
        [format!(
            "Riley tells plum `{other}`, with a skew that no client was answered"
        )]
    );
    unanswered.gives_up(conn, sent);
    unanswered.hears(conn, FIVE);
    unanswered.is_right();
}

#[test]
fn a_server_that_forgets_what_it_answered_is_found() {
    for answer in [with_body(FIVE), ASK.replace("WHAT", "? WHAT")] {
        let mut log = told_twice();
        log.asks("plum", "Riley", ASK, &answer);
        let [_, _, writes, reads, _] = log.found();
        assert_eq!(writes.len(), 1, "{answer}");
        assert!(
            writes[0].ends_with(&format!("after it told kiwi `{SIX}`")),
            "{writes:?}"
        );
        assert_eq!(reads.len(), 0);
    }
}

#[test]
fn a_server_that_tells_less_than_before_is_found() {
    let mut log = told_twice();
    log.asks("plum", "Juzang", ASK, &with_body(SIX));
    log.asks("fig", "Juzang", ASK, &with_body(FIVE));
    log.asks("fig", "Juzang", ASK, "? WHATSAT kiwi 10 5");
    let [_, _, writes, reads, _] = log.found();
    assert_eq!(writes.len(), 0);
    assert_eq!(reads.len(), 2);
    assert_eq!(
        reads[0],
        format!("Juzang tells fig `{FIVE}` after it told plum `{SIX}`")
    );
}

#[test]
fn lines_of_one_connection_are_decided_in_their_order() {
    let mut log = Log::new();
    log.asks("kiwi", "Riley", "IAMAT kiwi +34-118 5", FIVE);
    let conn = log.opens("kiwi", "Riley");
    log.sends(conn, "IAMAT kiwi +34-118 6");
    log.sends(conn, ASK);
    log.hears(conn, SIX);
    log.hears(conn, &with_body(FIVE));
    let [_, _, writes, ..] = log.found();
    assert_eq!(writes.len(), 1);
}

#[test]
fn a_question_that_was_on_its_way_may_be_answered_by_what_was_known_then() {
    let mut log = Log::new();
    log.asks("kiwi", "Riley", "IAMAT kiwi +34-118 5", FIVE);
    let slow = log.opens("plum", "Riley");
    log.sends(slow, ASK);
    log.asks("kiwi", "Riley", "IAMAT kiwi +34-118 6", SIX);
    log.asks("fig", "Riley", ASK, &with_body(SIX));
    log.hears(slow, &with_body(FIVE));
    log.is_right();
}

#[test]
fn a_new_run_holds_nothing_and_its_connections_are_its_own() {
    let mut log = told_twice();
    let old = log.opens("plum", "Riley");
    log.sends(old, ASK);
    log.add(server("Riley"), EventKind::Crashed);
    log.starts("Riley");
    log.asks("kiwi", "Riley", "IAMAT kiwi +34-118 5", FIVE);
    log.asks("fig", "Riley", ASK, &with_body(FIVE));
    // Written by the run before, and late.
    log.hears(old, &with_body(SIX));
    log.asks("fig", "Riley", ASK, &with_body(FIVE));
    log.is_right();
}

#[test]
fn nothing_is_claimed_of_the_order_of_records_that_were_lost() {
    let record = || {
        let text = |text: &'static str| text.as_bytes().into();
        RecordText {
            client: text("kiwi"),
            location: text("+34-118"),
            time: text("6"),
            origin: text("Riley"),
            skew: text("+1.000000000"),
        }
    };
    let forgotten = EventKind::forgotten(record(), None);
    for what in [forgotten, EventKind::Expired { record: record() }] {
        let mut log = told_twice();
        log.add(server("Riley"), what);
        log.asks("plum", "Riley", ASK, "? WHATSAT kiwi 10 5");
        log.asks("kiwi", "Riley", "IAMAT kiwi +34-118 5", FIVE);
        log.asks("plum", "Riley", ASK, &with_body(FIVE));
        log.is_right();
    }
}

#[test]
fn servers_that_tell_different_things_at_rest_are_found() {
    let mut log = told_twice();
    log.asks("plum", "Riley", ASK, &with_body(SIX));
    log.asks("plum", "Juzang", ASK, &with_body(FIVE));
    let [.., apart] = log.found();
    assert_eq!(
        apart,
        [format!(
            "at rest Riley tells `{SIX}`, and Juzang tells `{FIVE}`"
        )]
    );
    assert_eq!(convergent_reads(&log.events, false), []);
    // Something was on its way when Riley was asked, or a fault keeps them apart.
    let line = b"AT Riley +1.000000000 kiwi +34-118 6 1"[..].into();
    let conn = ConnId(99);
    let on_its_way = EventKind::LineIn { conn, line };
    let lasting = EventKind::Affected {
        count: 1,
        of: "messages".into(),
        lasts: true,
    };
    for (who, what) in [(server("Juzang"), on_its_way), (Actor::Network, lasting)] {
        let mut log = Log {
            events: log.events.clone(),
            conns: log.conns,
        };
        log.add(who, what);
        log.is_right();
    }
    let ping = EventKind::LineIn {
        conn,
        line: b"PING 5"[..].into(),
    };
    log.add(server("Juzang"), ping);
    let [.., apart] = log.found();
    assert_eq!(apart.len(), 1);
}

#[test]
fn a_client_that_gave_up_is_out_of_step() {
    let mut log = Log::new();
    let conn = log.opens("kiwi", "Riley");
    let sent = log.sends(conn, "hello");
    log.gives_up(conn, sent);
    log.hears(conn, "? hel");
    let exchanges = Exchanges::of(&log.events);
    assert_eq!(exchanges.answered().count(), 0);
    log.is_right();
}

fn trace_of(events: Vec<Event>) -> Trace {
    let text = "title = \"a test\"\nherd = \"riley\"\nsteps = [{ at = \"1s\", sever = \"Riley\" }]";
    let (scenario, _) = Scenario::parse("test.toml", text, None).expect("a right scenario");
    let mut trace = sim::run_once(&scenario).expect("it runs");
    trace.events = events;
    trace.header.workloads.push(WorkloadShape {
        name: "load".to_owned(),
        clients: 2,
    });
    trace
}

#[test]
fn an_answer_is_behind_since_a_newer_one_was_told_elsewhere() {
    let mut log = told_twice();
    let told_at = log
        .events
        .iter()
        .rev()
        .find_map(|event| matches!(event.what, EventKind::LineIn { .. }).then_some(event.at));
    let mut asked_at = Vec::new();
    for (told, is_stale) in [(SIX, false), (FIVE, true), (FIVE, true), (FIVE, true)] {
        let conn = log.opens("load-1", "Juzang");
        log.sends(conn, ASK);
        if is_stale {
            asked_at.push(log.events.last().expect("one").at - told_at.expect("one"));
        }
        log.hears(conn, &with_body(told));
    }
    log.asks("plum", "Juzang", ASK, &with_body(FIVE));
    let found = staleness::staleness(&trace_of(log.events));
    let [found] = found.as_slice() else {
        panic!("one workload: {found:?}");
    };
    assert_eq!((found.reads, found.stale), (4, 3));
    let percentiles = [found.p50, found.p90, found.p99, found.longest];
    assert_eq!(
        percentiles,
        [asked_at[1], asked_at[2], asked_at[2], asked_at[2]]
    );
    let fresh = staleness::staleness(&trace_of(told_twice().events));
    assert_eq!(fresh, []);
}

#[test]
fn stale_answers_are_told_by_report_and_trace_and_are_read_over() {
    let mut log = told_twice();
    let conn = log.opens("load-2", "Juzang");
    log.sends(conn, ASK);
    log.hears(conn, &with_body(FIVE));
    let mut trace = trace_of(log.events);
    trace.judgements.clear();
    trace.updates.clear();
    let text = crate::report::ways(&trace).join("\n");
    let wanted = "1 of 1 WHATSAT answer stale: behind by 3ms (50 %)";
    assert!(text.contains(wanted), "{text}");
    let json = trace.to_json_lines();
    assert!(
        json.contains("{\"trace\":\"staleness\",\"workload\":\"load\",\"reads\":1,\"stale\":1,"),
        "{json}"
    );
    let read = Trace::from_json_lines(&json).expect("a trace");
    assert_eq!(read[0].events, trace.events);
    assert_eq!(read[0].to_json_lines(), json);
}
