use super::*;
use crate::journal::PeerRole;
use crate::live::relay::Pair;
use crate::live::run::journals::Journals;

const EPOCH: u64 = 1_000_000;

fn number(id: u64) -> EventId {
    EventId(NonZeroU64::new(id).unwrap())
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn event(id: u64, at: u64, who: &Actor, what: EventKind<'static>) -> Event {
    Event {
        id: number(id),
        at,
        who: who.clone(),
        cause: None,
        what,
    }
}

fn opened(conn: u64, end: End) -> EventKind<'static> {
    let (conn, with) = (ConnId(conn), PeerRole::Client);
    EventKind::Opened { conn, end, with }
}

fn sent(conn: u64) -> EventKind<'static> {
    let (conn, line) = (ConnId(conn), b"x".as_slice().into());
    EventKind::LineOut { conn, line }.into_owned()
}

fn heard(conn: u64) -> EventKind<'static> {
    let (conn, line) = (ConnId(conn), b"x".as_slice().into());
    EventKind::LineIn { conn, line }.into_owned()
}

/// A client with connection 7 of the harness, from port 1 through a relay that goes on from port 2.
fn fetched(lines: Vec<JournalLine>) -> Fetched {
    let journals = Journals::default();
    journals.begin("A".into());
    let mut fetched = std::mem::take(&mut *journals.inner());
    let dialled = (address(1), address(3));
    fetched.dialled.insert(dialled, ConnId(7));
    // The same port with another connection, through another relay.
    fetched.dialled.insert((address(1), address(4)), ConnId(6));
    fetched.pairs.push(Pair {
        dialled,
        onward: (address(2), address(9)),
    });
    fetched.pairs.push(Pair {
        dialled: (address(1), address(4)),
        onward: (address(2), address(8)),
    });
    fetched.processes[0].lines = lines;
    fetched
}

fn pace(speed: u32) -> Pace {
    Pace {
        epoch_ns: EPOCH.into(),
        speed,
    }
}

#[test]
fn a_line_through_a_relay_is_caused_by_its_sending() {
    let (client, server) = (Actor::Client("kiwi".into()), Actor::Server("A".into()));
    let harness = vec![
        event(1, 0, &client, opened(7, End::Dialler)),
        event(2, 10, &client, sent(7)),
        event(3, 40, &client, heard(7)),
    ];
    let lines = vec![
        JournalLine::Connection {
            conn: ConnId(1),
            end: End::Acceptor,
            local: address(9),
            remote: address(2),
        },
        // The first line may be recorded before the opening is.
        JournalLine::Event(event(1, EPOCH + 10, &server, heard(1))),
        JournalLine::Event(event(2, EPOCH + 11, &server, opened(1, End::Acceptor))),
        JournalLine::Event(Event {
            cause: Some(number(1)),
            ..event(3, EPOCH + 15, &server, sent(1))
        }),
    ];
    let Merged { events, ids } = merge(harness, fetched(lines), pace(2));
    let told: Vec<(u64, u64, Option<u64>)> = events
        .iter()
        .map(|event| {
            let cause = event.cause.map(|cause| cause.0.get());
            (event.id.0.get(), event.at, cause)
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, 0, None),
            (2, 10, None),
            (3, 20, Some(2)),
            (4, 22, None),
            (5, 30, Some(3)),
            (6, 40, Some(5)),
        ]
    );
    assert!(events.iter().all(|event| match event.what {
        EventKind::LineIn { conn, .. } | EventKind::LineOut { conn, .. } => conn == ConnId(7),
        _ => true,
    }));
    assert_eq!(ids[&number(3)], number(6));
}

#[test]
fn what_a_process_did_before_the_signal_came_is_before_its_end() {
    let server = Actor::Server("A".into());
    let harness = vec![
        event(1, 100, &server, EventKind::Crashed),
        event(2, 300, &server, EventKind::Restarted),
    ];
    let starts = |boot: &'static str| EventKind::Started { boot: boot.into() };
    let lines = vec![
        // It came up before the run began.
        JournalLine::Event(event(1, EPOCH - 500, &server, starts("one"))),
        JournalLine::Event(event(2, EPOCH + 120, &server, EventKind::Stopping)),
    ];
    let Merged { events, .. } = merge(harness, fetched(lines), pace(1));
    let told: Vec<(u64, &EventKind<'_>)> =
        events.iter().map(|event| (event.at, &event.what)).collect();
    assert_eq!(
        told,
        [
            (0, &starts("one")),
            (120, &EventKind::Stopping),
            (120, &EventKind::Crashed),
            (300, &EventKind::Restarted),
        ]
    );
}
