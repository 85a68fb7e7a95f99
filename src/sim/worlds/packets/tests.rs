use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;

use super::connection::{BUFFER, ConnectionId, End, EndState, MSS};
use super::links::Links;
use super::sockets::SegmentSockets;
use super::tcp::Systems;
use crate::journal::EventId;
use crate::scenario::{Impairment, Limit, Scenario};
use crate::sim::limit::Progress;
use crate::sim::machines::Machines;
use crate::sim::net::Faults;
use crate::sim::worlds::Wire;

/// The machines of the servers A and B, 20 ms apart.
const A: usize = 0;
const B: usize = 1;
const PORT: u16 = 12_000;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The last moment before another one.
const fn before(moment: Duration) -> Duration {
    moment.saturating_sub(Duration::from_nanos(1))
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn systems() -> Systems {
    let text = r#"
        title = "a pair"
        herd = { name = "pair", servers = ["A", "B"], links = ["A-B"] }
        steps = [{ at = "1s", crash = "A" }]
    "#;
    let (scenario, _) = Scenario::parse("pair.toml", text, None).expect("it is valid");
    let machines = Machines::new(&scenario.herd, false);
    let sockets = Arc::new(SegmentSockets::new(&machines));
    let names = ["A", "B", "clients"].map(str::to_owned).to_vec();
    let faults = Faults::new(names, 0, &Arc::new(Progress::default()), sockets);
    Systems::new(3, Links::new(&scenario, &machines, faults))
}

/// An event to call a cut by.
fn event() -> EventId {
    EventId(std::num::NonZeroU64::MIN)
}

/// Lets everything arrive until a moment, each segment when it is due.
fn go_on(systems: &mut Systems, until: Duration) {
    while let Some(next) = systems.next_arrival().filter(|next| *next <= until) {
        systems.now = systems.now.max(next);
        systems.arrive();
    }
    systems.now = until;
}

fn pass(systems: &mut Systems, time: Duration) {
    let until = systems.now + time;
    go_on(systems, until);
}

/// A connection from A to B, with which 60 ms have passed.
fn connected(systems: &mut Systems) -> ConnectionId {
    connected_with(systems, |_, _| {})
}

/// The same, with what the dialling program does as soon as it has the connection.
fn connected_with(
    systems: &mut Systems,
    act: impl FnOnce(&mut Systems, ConnectionId),
) -> ConnectionId {
    let port = systems.listen(B, PORT).expect("the port is free");
    let id = systems.dial(A, B, PORT);
    go_on(systems, ms(40));
    act(systems, id);
    go_on(systems, ms(60));
    match systems.poll_accept(B, port, &context()) {
        Poll::Ready(Ok(accepted)) => assert_eq!(accepted, id),
        other => panic!("{other:?} is accepted"),
    }
    id
}

fn write(systems: &mut Systems, id: ConnectionId, end: End, bytes: &[u8]) -> usize {
    match systems.poll_write(id, end, &context(), bytes) {
        Poll::Ready(Ok(count)) => count,
        Poll::Ready(Err(error)) => panic!("{error}"),
        Poll::Pending => 0,
    }
}

/// Up to `most` bytes that the program of an end reads now; `None` if it would wait.
fn read(
    systems: &mut Systems,
    id: ConnectionId,
    end: End,
    most: usize,
) -> Option<io::Result<Vec<u8>>> {
    let mut space = vec![0; most];
    let mut buffer = ReadBuf::new(&mut space);
    match systems.poll_read(id, end, &context(), &mut buffer) {
        Poll::Ready(Ok(())) => Some(Ok(buffer.filled().to_vec())),
        Poll::Ready(Err(error)) => Some(Err(error)),
        Poll::Pending => None,
    }
}

fn said(read: Option<io::Result<Vec<u8>>>) -> String {
    match read {
        None => "nothing yet".to_owned(),
        Some(Ok(bytes)) if bytes.is_empty() => "the end".to_owned(),
        Some(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Some(Err(error)) => error.to_string(),
    }
}

#[test]
fn connecting_takes_a_handshake_of_three() {
    let mut systems = systems();
    let port = systems.listen(B, PORT).expect("the port is free");
    let id = systems.dial(A, B, PORT);
    go_on(&mut systems, before(ms(40)));
    assert!(systems.poll_dialled(id, &context()).is_pending());
    go_on(&mut systems, ms(40));
    assert!(systems.poll_dialled(id, &context()).is_ready());
    go_on(&mut systems, before(ms(60)));
    assert!(systems.poll_accept(B, port, &context()).is_pending());
    go_on(&mut systems, ms(60));
    assert!(systems.poll_accept(B, port, &context()).is_ready());
}

#[test]
fn where_nobody_listens_a_dialler_is_refused_after_a_round_trip() {
    let mut systems = systems();
    let id = systems.dial(A, B, PORT);
    go_on(&mut systems, ms(40));
    match systems.poll_dialled(id, &context()) {
        Poll::Ready(Err(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_segment_is_sent_again_and_what_is_behind_it_waits() {
    let mut systems = systems();
    let id = connected(&mut systems);
    systems.links.cut(event(), &[(A, B)]);
    write(&mut systems, id, 0, b"first ");
    // Sent again 240 ms after the first time, and 480 ms after that: the last is after the heal.
    go_on(&mut systems, ms(400));
    systems.links.heal(event(), &[(A, B)]);
    write(&mut systems, id, 0, b"second");
    go_on(&mut systems, before(ms(60 + 240 + 480 + 20)));
    assert_eq!(said(read(&mut systems, id, 1, 100)), "nothing yet");
    go_on(&mut systems, ms(60 + 240 + 480 + 20));
    assert_eq!(said(read(&mut systems, id, 1, 100)), "first second");
}

#[test]
fn only_the_direction_that_is_cut_loses_anything() {
    let mut systems = systems();
    let id = connected(&mut systems);
    systems.links.cut(event(), &[(A, B)]);
    write(&mut systems, id, 1, b"answer");
    go_on(&mut systems, ms(80));
    assert_eq!(said(read(&mut systems, id, 0, 100)), "answer");
}

/// Linux: a SYN is sent seven times in 63 s, and 64 s later `connect` fails (tcp(7), `tcp_syn_retries`).
#[test]
fn who_dials_into_the_dark_gives_up_after_two_minutes() {
    let mut systems = systems();
    systems.unplug(B);
    let id = systems.dial(A, B, PORT);
    go_on(&mut systems, before(ms(127_000)));
    assert!(systems.poll_dialled(id, &context()).is_pending());
    go_on(&mut systems, ms(127_000));
    match systems.poll_dialled(id, &context()) {
        Poll::Ready(Err(error)) => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
        other => panic!("{other:?}"),
    }
}

/// Linux: at the shortest time-out `tcp_retries2` = 15 is 924.6 s (ip-sysctl); the round trip of 40 ms makes that longer.
#[test]
fn who_is_not_acknowledged_gives_up_after_a_quarter_of_an_hour() {
    let mut systems = systems();
    let id = connected(&mut systems);
    systems.links.cut(event(), &[(A, B)]);
    write(&mut systems, id, 0, b"anybody?");
    // 240 ms, doubled nine times, and seven times two minutes.
    let patience = ms(240 * 511) + 7 * Duration::from_mins(2);
    go_on(&mut systems, before(ms(60) + patience));
    assert_eq!(said(read(&mut systems, id, 0, 100)), "nothing yet");
    go_on(&mut systems, ms(60) + patience);
    assert_eq!(said(read(&mut systems, id, 0, 100)), "timed out");
}

#[test]
fn a_receiver_with_little_room_says_so_in_its_handshake() {
    const ROOM: usize = 4 << 10;
    let mut systems = systems();
    let id = connected_with(&mut systems, |systems, id| systems.limit_buffer(id, ROOM));
    let text = vec![b'x'; 4 * BUFFER];
    let mut sent = 0;
    for _ in 0..100 {
        sent += write(&mut systems, id, 1, &text[sent..]);
        pass(&mut systems, ms(100));
    }
    assert_eq!(sent, ROOM + BUFFER, "the sender keeps the rest");
    let mut got = 0;
    while let Some(Ok(bytes)) = read(&mut systems, id, 0, 1000) {
        got += bytes.len();
        assert!(systems.connections[&id].ends[0].received.len() <= ROOM);
        pass(&mut systems, ms(100));
    }
    assert_eq!(got, sent);
}

#[test]
fn a_sender_waits_for_a_program_that_does_not_read() {
    let mut systems = systems();
    let id = connected(&mut systems);
    let mut sent = Vec::new();
    let text: Vec<u8> = (0..=u8::MAX).cycle().take(4 * BUFFER).collect();
    let mut send = |systems: &mut Systems| {
        for _ in 0..100 {
            let count = write(systems, id, 0, &text[sent.len()..]);
            sent.extend_from_slice(&text[sent.len()..][..count]);
            pass(systems, ms(100));
        }
        sent.len()
    };
    // What the receiver has room for, and what the sender keeps meanwhile.
    assert_eq!(send(&mut systems), 2 * BUFFER);
    let mut got = Vec::new();
    while let Some(Ok(bytes)) = read(&mut systems, id, 1, 1000) {
        got.extend_from_slice(&bytes);
        pass(&mut systems, ms(100));
    }
    assert_eq!(got.len(), 2 * BUFFER);
    assert_eq!(send(&mut systems), 4 * BUFFER);
    while let Some(Ok(bytes)) = read(&mut systems, id, 1, 1000) {
        got.extend_from_slice(&bytes);
        pass(&mut systems, ms(100));
    }
    assert!(got == text, "every byte in its order");
}

#[test]
fn what_was_written_before_a_close_arrives_before_the_end() {
    let mut systems = systems();
    let id = connected(&mut systems);
    write(&mut systems, id, 0, b"farewell");
    systems.close(id, 0);
    go_on(&mut systems, ms(80));
    assert_eq!(said(read(&mut systems, id, 1, 100)), "farewell");
    assert_eq!(said(read(&mut systems, id, 1, 100)), "the end");
    // Nothing stays behind when the other end is closed, too.
    systems.close(id, 1);
    go_on(&mut systems, ms(200));
    assert!(systems.connections.is_empty());
}

/// RFC 2525, 2.17: who closes and has not read everything sends a reset, so that the other end knows.
#[test]
fn a_close_before_everything_is_read_is_a_reset() {
    let mut systems = systems();
    let id = connected(&mut systems);
    write(&mut systems, id, 0, b"unread");
    go_on(&mut systems, ms(80));
    systems.close(id, 1);
    go_on(&mut systems, ms(100));
    assert_eq!(said(read(&mut systems, id, 0, 100)), "connection reset");
}

#[test]
fn a_machine_without_power_says_nothing_and_knows_nothing_when_it_is_back() {
    let mut systems = systems();
    let id = connected(&mut systems);
    write(&mut systems, id, 1, b"on its way");
    systems.unplug(B);
    write(&mut systems, id, 0, b"are you there?");
    go_on(&mut systems, ms(200));
    assert_eq!(said(read(&mut systems, id, 0, 100)), "nothing yet");
    systems.plug_in(B);
    // The first time after 240 ms, and a round trip until the answer.
    go_on(&mut systems, ms(60 + 240 + 40));
    assert_eq!(said(read(&mut systems, id, 0, 100)), "connection reset");
}

#[test]
fn a_refusal_that_is_lost_is_asked_for_again() {
    let mut systems = systems();
    let id = systems.dial(A, B, PORT);
    systems.links.cut(event(), &[(B, A)]);
    go_on(&mut systems, ms(500));
    assert!(systems.poll_dialled(id, &context()).is_pending());
    systems.links.heal(event(), &[(B, A)]);
    go_on(&mut systems, ms(2_000));
    match systems.poll_dialled(id, &context()) {
        Poll::Ready(Err(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
        other => panic!("{other:?}"),
    }
}

/// The network does this to what is sent one way from now on.
fn impair(systems: &mut Systems, way: Wire, impairment: Impairment) {
    let now = systems.now;
    systems.links.impair(event(), &[way], impairment, now);
}

/// The network loses everything that A sends until the moment `until`, when A has said this.
fn lose(systems: &mut Systems, id: ConnectionId, said: &[u8], until: Duration) {
    impair(systems, (A, B), Impairment::Lose(100));
    write(systems, id, 0, said);
    go_on(systems, until);
    impair(systems, (A, B), Impairment::Lose(0));
}

#[test]
fn a_segment_that_the_network_loses_is_sent_again_after_its_time_out() {
    let mut systems = systems();
    let id = connected(&mut systems);
    lose(&mut systems, id, b"hello", ms(70));
    go_on(&mut systems, before(ms(60 + 240 + 20)));
    assert_eq!(said(read(&mut systems, id, 1, 100)), "nothing yet");
    go_on(&mut systems, ms(60 + 240 + 20));
    assert_eq!(said(read(&mut systems, id, 1, 100)), "hello");
}

/// RFC 8985: the acknowledgement of what was sent later, and a quarter of a round trip.
#[test]
fn what_comes_behind_a_lost_segment_brings_it_sooner() {
    let mut systems = systems();
    let id = connected(&mut systems);
    lose(&mut systems, id, b"first ", ms(70));
    write(&mut systems, id, 0, b"second");
    go_on(&mut systems, before(ms(70 + 20 + 50)));
    assert_eq!(said(read(&mut systems, id, 1, 100)), "nothing yet");
    go_on(&mut systems, ms(70 + 20 + 50));
    assert_eq!(said(read(&mut systems, id, 1, 100)), "first second");
}

#[test]
fn a_lost_acknowledgement_holds_nothing_up() {
    let mut systems = systems();
    let id = connected(&mut systems);
    impair(&mut systems, (B, A), Impairment::Lose(100));
    write(&mut systems, id, 0, b"question");
    go_on(&mut systems, ms(85));
    impair(&mut systems, (B, A), Impairment::Lose(0));
    write(&mut systems, id, 1, b"answer");
    go_on(&mut systems, ms(105));
    assert_eq!(said(read(&mut systems, id, 0, 100)), "answer");
    // What was not acknowledged is before long, by the next acknowledgement.
    write(&mut systems, id, 0, b"another");
    go_on(&mut systems, ms(145));
    let connection = systems.connections.values().next().expect("it is open");
    assert_eq!(connection.ends[0].unacknowledged, 0);
}

#[test]
fn data_tell_what_a_lost_acknowledgement_was_to_tell_a_listener() {
    let mut systems = systems();
    let port = systems.listen(B, PORT).expect("the port is free");
    let id = systems.dial(A, B, PORT);
    go_on(&mut systems, before(ms(40)));
    impair(&mut systems, (A, B), Impairment::Lose(100));
    go_on(&mut systems, ms(50));
    impair(&mut systems, (A, B), Impairment::Lose(0));
    go_on(&mut systems, ms(100));
    assert!(systems.poll_accept(B, port, &context()).is_pending());
    write(&mut systems, id, 0, b"hello");
    go_on(&mut systems, ms(120));
    assert!(systems.poll_accept(B, port, &context()).is_ready());
    assert_eq!(said(read(&mut systems, id, 1, 100)), "hello");
}

/// A program that starts again while a handshake is under way is not told what its predecessor was to be told.
#[test]
fn a_handshake_ends_with_the_listener_that_it_began_with() {
    let mut systems = systems();
    let first = systems.listen(B, PORT).expect("the port is free");
    let id = systems.dial(A, B, PORT);
    go_on(&mut systems, ms(30));
    systems.close_port(B, first);
    let second = systems.listen(B, PORT).expect("the port is free again");
    go_on(&mut systems, ms(200));
    assert!(systems.poll_accept(B, second, &context()).is_pending());
    let state = systems.connections.get(&id).map(|it| it.ends[0].state);
    assert!(matches!(state, Some(EndState::Failed(_))), "{state:?}");
}

#[test]
fn a_late_segment_is_overtaken_and_comes_in_its_order() {
    let late = |behind: bool| {
        let mut systems = systems();
        let id = connected(&mut systems);
        impair(&mut systems, (A, B), Impairment::Reorder(100, ms(100)));
        write(&mut systems, id, 0, b"first");
        impair(&mut systems, (A, B), Impairment::Reorder(0, ms(0)));
        if behind {
            write(&mut systems, id, 0, b" second");
        }
        let mut at = ms(60);
        while read(&mut systems, id, 1, 5).is_none() {
            at += ms(1);
            go_on(&mut systems, at);
        }
        at
    };
    assert_eq!(late(false), ms(60 + 20 + 100));
    // Its copy, which is sent when what is behind it is acknowledged.
    assert_eq!(late(true), ms(60 + 20 + 50));
}

/// A segment has 54 bytes of headers.
#[test]
fn a_limited_direction_carries_one_segment_after_the_other() {
    let mut systems = systems();
    let id = connected(&mut systems);
    let limit = Limit {
        bandwidth: 1000,
        queue: 3000,
    };
    impair(&mut systems, (A, B), Impairment::Limit(limit));
    for _ in 0..2 {
        write(&mut systems, id, 0, &[b'x'; 946]);
    }
    for second in 1..=2 {
        go_on(&mut systems, before(ms(60 + 20 + second * 1000)));
        assert_eq!(said(read(&mut systems, id, 1, 2000)), "nothing yet");
        go_on(&mut systems, ms(60 + 20 + second * 1000));
        assert_eq!(said(read(&mut systems, id, 1, 2000)).len(), 946);
    }
    // The other direction has no limit.
    write(&mut systems, id, 1, &[b'y'; 946]);
    pass(&mut systems, ms(20));
    assert_eq!(said(read(&mut systems, id, 0, 2000)).len(), 946);
}

#[test]
fn what_finds_no_room_in_a_queue_is_lost_and_comes_later() {
    let mut systems = systems();
    let id = connected(&mut systems);
    let limit = Limit {
        bandwidth: 1000,
        queue: 1500,
    };
    impair(&mut systems, (A, B), Impairment::Limit(limit));
    write(&mut systems, id, 0, &[b'1'; 946]);
    write(&mut systems, id, 0, &[b'2'; 946]);
    go_on(&mut systems, ms(60 + 20 + 1000));
    assert_eq!(said(read(&mut systems, id, 1, 2000)), "1".repeat(946));
    assert_eq!(said(read(&mut systems, id, 1, 2000)), "nothing yet");
    // What the first brought with it tells the sender what is missing: a round trip.
    go_on(&mut systems, ms(60 + 20 + 1000 + 40));
    assert_eq!(said(read(&mut systems, id, 1, 2000)), "2".repeat(946));
}

#[test]
fn a_sender_begins_with_ten_segments() {
    let mut systems = systems();
    let id = connected(&mut systems);
    write(&mut systems, id, 0, &vec![b'x'; BUFFER]);
    go_on(&mut systems, ms(80));
    let first = said(read(&mut systems, id, 1, BUFFER)).len();
    assert_eq!(first, 10 * MSS);
    // Each acknowledgement lets twice as much go out as it acknowledges.
    go_on(&mut systems, ms(120));
    assert_eq!(said(read(&mut systems, id, 1, BUFFER)).len(), 2 * first);
}

#[test]
fn most_times_of_a_long_tail_are_short() {
    let mut systems = systems();
    let id = connected(&mut systems);
    let range = "10ms..1034ms tail".parse().expect("a time");
    impair(&mut systems, (A, B), Impairment::Delay(range));
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..4000 {
        let sent = systems.now;
        write(&mut systems, id, 0, b"x");
        let flight = systems.connections[&id].flights[0].back();
        times.push(
            flight
                .expect("it is on its way")
                .due
                .saturating_sub(sent + ms(20)),
        );
        pass(&mut systems, ms(1100));
        assert!(read(&mut systems, id, 1, 10).is_some());
    }
    let up_to = |most| times.iter().filter(|time| **time <= ms(most)).count();
    assert_eq!(up_to(1034), 4000);
    assert_eq!(times.iter().filter(|time| **time < ms(10)).count(), 0);
    // Half, three quarters, seven eighths: within five standard deviations.
    for (most, share) in [(11, 2000), (13, 3000), (17, 3500)] {
        assert!(
            up_to(most).abs_diff(share) < 160,
            "{} up to {most} ms",
            up_to(most)
        );
    }
    assert!(up_to(522) < 4000, "some are in the upper half");
}
