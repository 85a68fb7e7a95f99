//! Stories about clients: lines, limits and deadlines.

use std::future::pending;
use std::time::Duration;

use futures_lite::future::{or, zip};
use proxy_herd::journal::EventKind;
use proxy_herd::places::NO_RESULTS;

use super::herd::{Plan, Running};
use super::log::{accepted, closed, held_back, line_in};
use super::places::Held;
use super::world::{Real, World};

const LIMIT: usize = 4096;

/// A herd with one running server, whose neighbour never starts.
fn alone<W: World>(world: &W) -> Plan<W> {
    Plan::new(world, &["B-A"]).without("B")
}

/// Checks that another client is served normally.
async fn serves_others<W: World>(herd: &Running<W>, name: &str) {
    let mut other = herd.client(name).await;
    other.say("IAMAT other +1-1 1600000000\n").await;
    other.expect_at(name, "other +1-1 1600000000").await;
}

pub(crate) async fn a_line_may_come_in_many_segments<W: World>(world: W) {
    let herd = alone(&world).up().await;
    let mut client = herd.client("A").await;
    for byte in "IAMAT kiwi +34.068930-118.445127 1621464827.959498503\nnext".as_bytes() {
        client.say([*byte]).await;
    }
    let told = "kiwi +34.068930-118.445127 1621464827.959498503";
    client.expect_at("A", told).await;
    client.say(" one\n").await;
    client.expect("? next one").await;
}

pub(crate) async fn many_lines_in_one_segment_are_answered_in_order<W: World>(world: W) {
    let herd = alone(&world).up().await;
    let mut client = herd.client("A").await;
    let line = |n: usize| format!("IAMAT client-{n} +1-1 {n}\nnonsense {n}\n");
    client.say((0..500).map(line).collect::<String>()).await;
    for n in 0..500 {
        client.expect_at("A", &format!("client-{n} +1-1 {n}")).await;
        client.expect(format!("? nonsense {n}")).await;
    }
}

pub(crate) async fn a_last_line_without_its_end_is_answered_and_the_connection_closes<W: World>(
    world: W,
) {
    let herd = alone(&world).up().await;
    let mut client = herd.client("A").await;
    client.say("IAMAT kiwi +1-1 5\nIAMAT kiwi +1-1 6").await;
    client.half_close().await;
    client.expect_at("A", "kiwi +1-1 5").await;
    client.expect_at("A", "kiwi +1-1 6").await;
    client.expect_end().await;
    herd.log("A")
        .wait("an orderly end", closed("ended by"))
        .await;
}

pub(crate) async fn an_empty_connection_hurts_nobody<W: World>(world: W) {
    let herd = alone(&world).up().await;
    let mut one = herd.client("A").await;
    one.half_close().await;
    one.expect_end().await;
    drop(herd.client("A").await);
    herd.log("A")
        .wait_times(2, "the end of both", closed(""))
        .await;
    serves_others(&herd, "A").await;
}

/// This needs real sockets, since in turmoil a connection does not exist before it is accepted.
pub(crate) async fn connections_that_are_gone_before_they_are_accepted_delay_nobody(world: Real) {
    let herd = alone(&world)
        .limits(|limits| limits.client_connections = 1)
        // A pause after each failed accept would exceed the test's time limit.
        .timing(|timing| timing.accept_pause = Duration::from_secs(1))
        .up()
        .await;
    let mut first = herd.client("A").await;
    first.say("one\n").await;
    first.expect("? one").await;
    for _ in 0..20 {
        let gone = herd.client("A").await.into_stream();
        gone.set_zero_linger().expect("a socket");
    }
    drop(first);
    serves_others(&herd, "A").await;
}

pub(crate) async fn a_carriage_return_is_white_space<W: World>(world: W) {
    let herd = alone(&world).up().await;
    let mut client = herd.client("A").await;
    client.say("IAMAT kiwi +1-1 5\r\nnonsense\r\n\r\n").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    client.expect("? nonsense\r").await;
    client.expect("? \r").await;
}

pub(crate) async fn a_refused_line_comes_back_byte_for_byte<W: World>(world: W) {
    let herd = alone(&world).up().await;
    let mut client = herd.client("A").await;
    client.say(b"\xff\xfe \0 IAMAT\n\n  \t\n".as_slice()).await;
    client.expect(b"? \xff\xfe \0 IAMAT").await;
    client.expect("? ").await;
    client.expect("?   \t").await;
    client
        .say(b"IAMAT \xff\x80 +1-1 5\nIAMAT \xff\x80 +1-1 nan\n")
        .await;
    let answer = client.line().await;
    assert!(answer.ends_with(b" \xff\x80 +1-1 5"));
    client.expect(b"? IAMAT \xff\x80 +1-1 nan").await;
}

pub(crate) async fn a_line_of_exactly_the_limit_is_a_line<W: World>(world: W) {
    let herd = alone(&world).up().await;
    let mut client = herd.client("A").await;
    let nonsense = "x".repeat(LIMIT);
    let told = format!("{} +1-1 5", "k".repeat(LIMIT - "IAMAT  +1-1 5".len()));
    client
        .say(format!("{nonsense}\nIAMAT {told}\nnext\n"))
        .await;
    client.expect(format!("? {nonsense}")).await;
    client.expect_at("A", &told).await;
    client.expect("? next").await;
    client.say(&nonsense).await;
    client.half_close().await;
    client.expect(format!("? {nonsense}")).await;
    client.expect_end().await;
}

pub(crate) async fn a_line_past_the_limit_is_answered_even_though_more_follows<W: World>(world: W) {
    let herd = alone(&world).up().await;
    for more in ["", "y\n", "\nnext\n", &"z".repeat(300_000)] {
        let mut client = herd.client("A").await;
        let nonsense = "x".repeat(LIMIT);
        client.say(format!("first\n{nonsense}y{more}")).await;
        client.expect("? first").await;
        client.expect(format!("? {nonsense}")).await;
        client.expect_end().await;
    }
    herd.log("A")
        .wait_times(4, "closing", closed("line too long"))
        .await;
    serves_others(&herd, "A").await;
}

pub(crate) async fn a_question_among_updates_keeps_its_place<W: World>(world: W) {
    let herd = alone(&world).up().await;
    let mut client = herd.client("A").await;
    let lines = "IAMAT kiwi +1-1 5\nWHATSAT kiwi 10 5\nIAMAT kiwi +2-2 6\nWHATSAT nobody 1 1\n\
                 WHATSAT kiwi 50 20\nWHATSAT kiwi 51 20\nnonsense";
    client.say(lines).await;
    client.half_close().await;
    client.expect_at("A", "kiwi +1-1 5").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    client.expect_text(&format!("{NO_RESULTS}\n\n")).await;
    client.expect_at("A", "kiwi +2-2 6").await;
    client.expect("? WHATSAT nobody 1 1").await;
    client.expect_at("A", "kiwi +2-2 6").await;
    client.expect_text(&format!("{NO_RESULTS}\n\n")).await;
    client.expect("? WHATSAT kiwi 51 20").await;
    client.expect("? nonsense").await;
    client.expect_end().await;
}

pub(crate) async fn a_line_behind_a_question_is_decided_when_it_comes_and_answered_in_its_turn<
    W: World,
>(
    world: W,
) {
    let places = Held::new();
    let herd = Plan::new(&world, &["A-B"])
        .places(places.clone())
        .up()
        .await;
    herd.whole().await;
    let mut client = herd.client("A").await;
    let log = herd.log("B");
    client.say("IAMAT kiwi +1-1 5\n").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    log.wait("kiwi", accepted("kiwi")).await;
    client.say("WHATSAT kiwi 1 5\nIAMAT kiwi +2-2 6\n").await;
    places.wait_for(1).await;
    // Lines that arrive while a look-up is in flight are handled like those that arrived with it.
    client
        .say("IAMAT plum +3-3 7\nWHATSAT kiwi 2 5\nnonsense\n")
        .await;
    log.wait_times(2, "the place behind the question", accepted("kiwi"))
        .await;
    log.wait("the place behind it", accepted("plum")).await;
    places.wait_for(2).await;
    // The second look-up is answered first, but no answer is written before the first one's.
    places.answer("2000", "{\"second\": 0}");
    places.answer("1000", "{\"first\": 0}");
    client.expect_at("A", "kiwi +1-1 5").await;
    client.expect_text("{\"first\": 0}\n\n").await;
    client.expect_at("A", "kiwi +2-2 6").await;
    client.expect_at("A", "plum +3-3 7").await;
    client.expect_at("A", "kiwi +2-2 6").await;
    client.expect_text("{\"second\": 0}\n\n").await;
    client.expect("? nonsense").await;
}

pub(crate) async fn questions_are_asked_side_by_side_up_to_the_limit<W: World>(world: W) {
    const MOST: usize = 3;
    let places = Held::new();
    let herd = alone(&world)
        .places(places.clone())
        .limits(|limits| limits.look_ups_per_connection = MOST)
        .up()
        .await;
    let mut client = herd.client("A").await;
    client.say("IAMAT kiwi +1-1 5\n").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    let question = |n: usize| format!("WHATSAT kiwi {n} 5\n");
    client.say((1..=10).map(question).collect::<String>()).await;
    client.half_close().await;
    let log = herd.log("A");
    let other = places.clone();
    let answer = async move {
        for n in 1..=10 {
            let under_way = (n + MOST - 1).min(10);
            other.wait_for(under_way).await;
            assert_eq!(log.count(line_in("WHATSAT")), under_way);
            // Of the look-ups in flight the last is answered first.
            if n <= 10 - MOST {
                let last = format!("{}000", n + MOST - 1);
                other.answer(&last, "{}");
            }
        }
        other.answer_all("{}");
    };
    let read = async {
        for _ in 1..=10 {
            client.expect_at("A", "kiwi +1-1 5").await;
            client.expect_text("{}\n\n").await;
        }
        client.expect_end().await;
    };
    zip(answer, read).await;
    assert_eq!(places.most_at_a_time(), MOST);
}

pub(crate) async fn whoever_floods_behind_a_question_is_not_heard_further<W: World>(world: W) {
    let places = Held::new();
    let herd = alone(&world).places(places.clone()).up().await;
    let mut client = herd.client("A").await;
    client.say("IAMAT kiwi +1-1 5\nWHATSAT kiwi 1 5\n").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    places.wait_for(1).await;
    let log = herd.log("A");
    let mut written = 0;
    let line = format!("{}\n", "x".repeat(4000));
    let flood = async {
        client.flood(line.as_bytes(), &mut written).await;
        pending::<()>().await;
    };
    let meanwhile = async {
        // Lines beyond the limit on waiting bytes are not read, however long this takes.
        log.wait_times(60, "some of the flood", line_in("x")).await;
        for _ in 0..20 {
            serves_others(&herd, "A").await;
        }
        assert!(log.count(line_in("x")) < 100);
        places.answer_all("{}");
        log.wait_times(100, "the rest", line_in("x")).await;
    };
    or(meanwhile, flood).await;
}

/// This needs the simulator, since on real sockets the order of arrival is random.
#[cfg(feature = "sim")]
pub(crate) async fn thousands_of_short_lines_let_others_have_a_turn<W: World>(world: W) {
    const LINES: usize = 16 * 1024;
    let herd = alone(&world).up().await;
    let (mut flood, mut other) = (herd.client("A").await, herd.client("A").await);
    // Both clients' bytes arrive at the same time, those of the flood first.
    flood.say("\n".repeat(LINES)).await;
    other.say("IAMAT kiwi +1-1 5\n").await;
    other.expect_at("A", "kiwi +1-1 5").await;
    flood.expect_text(&"? \n".repeat(LINES)).await;
    let all = herd.log("A").all();
    let lines: Vec<_> = all.iter().filter(|what| line_in("")(what)).collect();
    assert_eq!(lines.len(), LINES + 1);
    let before = lines.iter().position(|what| line_in("IAMAT")(what));
    let before = before.expect("it was heard");
    // A turn ends after 1,280 lines of one read.
    assert!((1..=1280).contains(&before), "behind {before} others");
}

pub(crate) async fn whoever_says_more_than_its_rate_waits_and_others_do_not<W: World>(world: W) {
    let herd = alone(&world)
        .limits(|limits| limits.connection_rate = 20)
        .up()
        .await;
    let mut client = herd.client("A").await;
    client.say("x\n".repeat(25)).await;
    let log = herd.log("A");
    log.wait("being held back", held_back("connection-rate"))
        .await;
    let all = log.all();
    let before = all
        .iter()
        .take_while(|what| !held_back("connection-rate")(what));
    assert_eq!(before.filter(|what| line_in("x")(what)).count(), 20);
    serves_others(&herd, "A").await;
    client.expect_text(&"? x\n".repeat(25)).await;
    assert_eq!(log.count(held_back("connection-rate")), 1);
}

pub(crate) async fn connections_of_an_address_share_its_rate<W: World>(world: W) {
    let mut herd = alone(&world)
        .limits(|limits| limits.address_rate = 100)
        .up()
        .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(herd.client("A").await);
    }
    // Each client sends no more than a single one may.
    for client in &mut clients {
        client.say("x\n".repeat(100)).await;
    }
    let log = herd.log("A");
    log.wait("being held back", held_back("address-rate")).await;
    for mut client in clients {
        client.expect_text(&"? x\n".repeat(100)).await;
    }
    // A stopping server does not hold back the lines that it has read.
    let mut client = herd.client("A").await;
    client.say("y\n".repeat(1000)).await;
    log.wait("the beginning", line_in("y")).await;
    let read = async {
        client.expect_text(&"? y\n".repeat(1000)).await;
        client.expect_end().await;
        drop(client);
    };
    zip(read, herd.stop("A")).await;
}

pub(crate) async fn half_a_line_is_cut_off_and_others_are_served_meanwhile<W: World>(world: W) {
    let herd = alone(&world)
        .timing(|timing| timing.half_line = Duration::from_millis(200))
        .up()
        .await;
    let mut client = herd.client("A").await;
    client.say("nonsense\nIAMAT kiwi +1-1 5").await;
    client.expect("? nonsense").await;
    serves_others(&herd, "A").await;
    client.expect_end().await;
    drop(client);
    let log = herd.log("A");
    log.wait("being cut off", closed("half a line")).await;
    assert_eq!(log.count(accepted("kiwi")), 0);
}

pub(crate) async fn half_a_line_that_grows_byte_by_byte_is_cut_off_too<W: World>(world: W) {
    let herd = alone(&world)
        .timing(|timing| {
            timing.half_line = Duration::from_millis(200);
            // After the deadline the server reads and drops bytes for this long.
            timing.hello_deadline = Duration::from_millis(200);
        })
        .up()
        .await;
    let mut client = herd.client("A").await;
    let grow = async {
        // Whole lines in between never count as half a line.
        for _ in 0..10 {
            client.say("x\n").await;
            client.expect("? x").await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        while client.try_say(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        pending::<()>().await;
    };
    let log = herd.log("A");
    or(log.wait("being cut off", closed("half a line")), grow).await;
}

pub(crate) async fn a_client_that_says_nothing_is_cut_off<W: World>(world: W) {
    let herd = alone(&world)
        .timing(|timing| timing.idle = Duration::from_millis(200))
        .up()
        .await;
    let mut client = herd.client("A").await;
    client.say("nonsense\n").await;
    client.expect("? nonsense").await;
    client.expect_end().await;
    herd.log("A").wait("being cut off", closed("silent")).await;
}

pub(crate) async fn a_slow_reader_is_cut_off_and_others_are_served_meanwhile<W: World>(world: W) {
    let herd = alone(&world)
        .timing(|timing| timing.write_deadline = Duration::from_millis(300))
        .up()
        .await;
    let log = herd.log("A");
    let mut slow = herd.client("A").await;
    let lines = format!("{}\n", "x".repeat(4000)).repeat(16);
    let mut written = 0;
    let flood = async {
        slow.flood(lines.as_bytes(), &mut written).await;
        pending::<()>().await;
    };
    let meanwhile = async {
        while log.count(closed("reads too slowly")) == 0 {
            serves_others(&herd, "A").await;
        }
    };
    or(meanwhile, flood).await;
    // The system's buffers hold the written bytes, and the server only a few lines.
    assert!(written < 64 << 20, "{written} bytes were taken");
    slow.expect_gone().await;
}

pub(crate) async fn a_client_past_the_most_waits_for_a_place<W: World>(world: W) {
    let herd = alone(&world)
        .limits(|limits| limits.client_connections = 1)
        .up()
        .await;
    let mut first = herd.client("A").await;
    first.say("one\n").await;
    first.expect("? one").await;
    // In turmoil a connection is opened when it is accepted, on real sockets before.
    let second = async {
        let mut second = herd.client("A").await;
        second.say("three\n").await;
        second.expect("? three").await;
    };
    let first = async {
        first.say("two\n").await;
        first.expect("? two").await;
        drop(first);
        pending::<()>().await;
    };
    or(second, first).await;
    let log = herd.log("A");
    let opened = |what: &EventKind<'_>| matches!(what, EventKind::Opened { .. });
    assert_eq!(log.count(opened), 2);
    let order: Vec<_> = (log.all().iter())
        .filter(|what| line_in("three")(what) || closed("")(what))
        .map(|what| matches!(what, EventKind::Closed { .. }))
        .collect();
    assert!(order.starts_with(&[true, false]), "{order:?}");
}
