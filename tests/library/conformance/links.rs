//! Stories about links between servers.

use std::future::pending;
use std::time::Duration;

use futures_lite::future::or;
use proxy_herd::journal::EventKind;
use proxy_herd::protocol::peer::LINE_LIMIT;

use super::herd::{Plan, Running, Stream, hello};
use super::log::{accepted, closed, connect_failed, line_in, link_down, link_up, synchronised};
use super::wire::Wire;
use super::world::World;

/// A client sends its location to a server.
async fn tell<W: World>(herd: &Running<W>, server: &str, told: &str) {
    let mut client = herd.client(server).await;
    client.say(format!("IAMAT {told}\n")).await;
    client.expect_at(server, told).await;
}

/// Checks that a server has received this update, and that its answer names the client's origin.
async fn find<W: World>(herd: &Running<W>, server: &str, origin: &str, told: &str) {
    let (id, _) = told.split_once(' ').expect("fields");
    herd.log(server).wait(told, accepted(id)).await;
    let mut client = herd.client(server).await;
    client.say(format!("WHATSAT {id} 10 5\n")).await;
    client.expect_at(origin, told).await;
}

/// The next update that a neighbour receives, without heartbeats and anti-entropy rounds.
async fn next_update<W: World>(wire: &mut Wire<Stream<W>>) -> String {
    loop {
        let line = String::from_utf8(wire.line().await).expect("text");
        if line.starts_with("AT ") {
            return line;
        }
    }
}

pub(crate) async fn an_update_is_known_at_every_server<W: World>(world: W) {
    let plan = Plan::new(&world, &["A-B", "A-C", "B-C", "D-C"]);
    let herd = plan.up().await;
    herd.whole().await;
    tell(
        &herd,
        "A",
        "kiwi +34.068930-118.445127 1621464827.959498503",
    )
    .await;
    for server in ["A", "B", "C", "D"] {
        find(
            &herd,
            server,
            "A",
            "kiwi +34.068930-118.445127 1621464827.959498503",
        )
        .await;
    }
    tell(&herd, "D", "apple +1-1 5").await;
    find(&herd, "B", "D", "apple +1-1 5").await;
}

pub(crate) async fn a_neighbour_that_is_not_up_is_dialled_until_it_is<W: World>(world: W) {
    let mut herd = Plan::new(&world, &["A-B"]).without("B").up().await;
    tell(&herd, "A", "kiwi +1-1 5").await;
    herd.log("A")
        .wait_times(3, "a refusal", connect_failed)
        .await;
    herd.start("B").await;
    find(&herd, "B", "A", "kiwi +1-1 5").await;
}

pub(crate) async fn a_killed_server_is_told_what_it_missed_and_tells_what_it_learns<W: World>(
    world: W,
) {
    let mut herd = Plan::new(&world, &["A-B", "B-C"]).up().await;
    herd.whole().await;
    tell(&herd, "A", "kiwi +1-1 5").await;
    find(&herd, "C", "A", "kiwi +1-1 5").await;
    herd.kill("B").await;
    herd.log("A").wait("the end of B", link_down("")).await;
    herd.log("C").wait("the end of B", link_down("")).await;
    tell(&herd, "A", "apple +1-1 6").await;
    tell(&herd, "C", "plum +1-1 7").await;
    tell(&herd, "C", "kiwi +2-2 8").await;
    herd.start("B").await;
    find(&herd, "C", "A", "apple +1-1 6").await;
    find(&herd, "A", "C", "plum +1-1 7").await;
    let log = herd.log("A");
    let newer = |what: &EventKind<'_>| {
        accepted("kiwi")(what)
            && matches!(what, EventKind::Accepted { record, .. } if *record.time.0 == *b"8")
    };
    log.wait("the newer place", newer).await;
    find(&herd, "B", "C", "kiwi +2-2 8").await;
    tell(&herd, "B", "pear +1-1 9").await;
    find(&herd, "A", "B", "pear +1-1 9").await;
    find(&herd, "C", "B", "pear +1-1 9").await;
}

pub(crate) async fn a_silent_neighbour_is_closed_and_dialled_again<W: World>(world: W) {
    let mut plan =
        Plan::new(&world, &["A-B"]).timing(|timing| timing.heartbeat = Duration::from_millis(100));
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let mut silent = fake.greet("A").await;
    silent.expect("DIGEST - 0 0000000000000000").await;
    // The server's own heartbeats don't keep the link up.
    silent.expect("PING").await;
    silent.expect_gone().await;
    herd.log("A").wait("silence", link_down("silent")).await;
    fake.greet("A").await;
    herd.log("A").wait_times(2, "the link", link_up("B")).await;
}

pub(crate) async fn an_idle_link_stays_up<W: World>(world: W) {
    let herd = Plan::new(&world, &["A-B"])
        .timing(|timing| timing.heartbeat = Duration::from_millis(300))
        .up()
        .await;
    for name in ["A", "B"] {
        herd.log(name)
            .wait_times(4, "a sign of life", line_in("PING"))
            .await;
    }
    for name in ["A", "B"] {
        assert_eq!(herd.log(name).count(link_down("")), 0);
    }
}

pub(crate) async fn a_neighbour_that_does_not_greet_is_closed_and_dialled_again<W: World>(
    world: W,
) {
    let mut plan = Plan::new(&world, &["A-B"])
        .timing(|timing| timing.hello_deadline = Duration::from_millis(200));
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let mut silent = fake.accept().await;
    silent.expect_start("HELLO 2 conf A ").await;
    // Half a greeting does not count.
    silent.say("HELLO 1 conf ").await;
    silent.expect_gone().await;
    herd.log("A").wait("no greeting", closed("no HELLO")).await;
    fake.greet("A").await;
    herd.log("A").wait("the link", link_up("B")).await;
}

pub(crate) async fn a_newer_connection_of_a_neighbour_takes_the_link<W: World>(world: W) {
    let mut plan = Plan::new(&world, &["B-A"]);
    plan.fake("B").await;
    let herd = plan.up().await;
    let mut older = herd.dial_as("B", "A").await;
    herd.log("A").wait("the link", link_up("B")).await;
    let mut newer = herd.dial_as("B", "A").await;
    older.expect_gone().await;
    herd.log("A")
        .wait("superseding", closed("superseded"))
        .await;
    tell(&herd, "A", "kiwi +1-1 5").await;
    assert!(
        next_update::<W>(&mut newer)
            .await
            .ends_with(" kiwi +1-1 5 1")
    );
    newer.say("AT B +1.000000000 apple +1-1 5 1\n").await;
    find(&herd, "A", "B", "apple +1-1 5").await;
}

pub(crate) async fn a_superseded_connection_can_not_fill_the_memory<W: World>(world: W) {
    let mut plan = Plan::new(&world, &["B-A"]).timing(|timing| {
        // Neither silence nor a full buffer may end the older connection before the newer one does.
        timing.heartbeat = Duration::from_mins(1);
        timing.write_deadline = Duration::from_mins(1);
    });
    plan.fake("B").await;
    let herd = plan.up().await;
    let mut older = herd.dial_as("B", "A").await;
    herd.log("A").wait("the link", link_up("B")).await;
    // The server is stuck in a write to the older connection when the newer one opens.
    fill(&herd, "A").await;
    let _newer = herd.dial_as("B", "A").await;
    herd.log("A").wait_times(2, "the link", link_up("B")).await;
    let pings = b"PING\n".repeat(10_000);
    let mut written = 0;
    let flood = async {
        older.flood(&pings, &mut written).await;
        pending::<()>().await;
    };
    let log = herd.log("A");
    or(log.wait("superseding", closed("superseded")), flood).await;
    assert!(written < 32 << 20, "{written} bytes were taken");
}

/// Sends a server more updates than all buffers of a connection hold. Each is answered in time.
pub(crate) async fn fill<W: World>(herd: &Running<W>, server: &str) {
    let mut client = herd.client(server).await;
    let long = "k".repeat(4000);
    for round in 0..250 {
        let told = |n: usize| format!("{round}-{n}-{long} +1-1 5");
        let lines: Vec<_> = (0..16).map(|n| format!("IAMAT {}\n", told(n))).collect();
        client.say(lines.concat()).await;
        for n in 0..16 {
            client.expect_at(server, &told(n)).await;
        }
    }
}

pub(crate) async fn a_line_that_has_no_place_closes_the_link_and_nothing_else<W: World>(world: W) {
    let mut plan = Plan::new(&world, &["A-B", "A-C"]);
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let log = herd.log("A");
    let long = "x".repeat(70_000);
    let lines = [
        "AT C +1.000000000 kiwi +1-1 NaN 1",
        "AT C NaN kiwi +1-1 5 1",
        "AT C +1.000000000 kiwi +1-1 5 0",
        "AT C +1.000000000 kiwi +1-1 5 99999999999999999999",
        "AT C +1.000000000 kiwi +91-1 5 1",
        "IAMAT kiwi +1-1 5",
        "",
        "\0\u{ff}garbage",
        "DONE -",
        "DIGEST -1 0 0000000000000000",
        "DIGEST 01234567890123456 0 0000000000000000",
        "SYNCED -1",
        "HELLO 1 conf B 0123456789abcdef",
        &long,
    ];
    for (count, line) in (1..).zip(lines) {
        let mut bad = fake.greet("A").await;
        let _ = bad.try_say(b"DONE -\nSYNCED 0\n").await;
        let good = format!("AT B +1.000000000 good-{count} +1-1 5 1\n");
        let _ = bad.try_say(format!("{good}{line}\n").as_bytes()).await;
        bad.expect_gone().await;
        log.wait_times(count, line, link_down("protocol error"))
            .await;
        // Updates that arrived before the bad line stay.
        log.wait("the good line", accepted(&format!("good-{count}")))
            .await;
    }
    assert_eq!(log.count(accepted("kiwi")), 0);
    log.wait("the other link", synchronised("C")).await;
    tell(&herd, "C", "plum +1-1 5").await;
    find(&herd, "A", "C", "plum +1-1 5").await;
}

pub(crate) async fn an_update_too_long_to_be_passed_on_is_refused<W: World>(world: W) {
    let mut plan = Plan::new(&world, &["A-B", "A-C"]);
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let mut neighbour = fake.greet("A").await;
    herd.log("A")
        .wait("the other link", synchronised("C"))
        .await;
    // With one more digit of hops the line would exceed the limit for C.
    let (before, behind) = ("AT B +1.000000000 ", " +1-1 5 9");
    let id = "k".repeat(LINE_LIMIT - before.len() - behind.len());
    neighbour.say(format!("{before}{id}{behind}\n")).await;
    neighbour.expect_gone().await;
    herd.log("A")
        .wait("refusing", link_down("protocol error"))
        .await;
    tell(&herd, "A", "plum +1-1 5").await;
    find(&herd, "C", "A", "plum +1-1 5").await;
    assert_eq!(herd.log("A").count(link_up("C")), 1);
}

pub(crate) async fn a_neighbour_that_stopped_reading_delays_nobody<W: World>(world: W) {
    let mut plan = Plan::new(&world, &["A-B", "A-C"])
        .timing(|timing| timing.write_deadline = Duration::from_millis(500));
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let log = herd.log("A");
    log.wait("the other link", synchronised("C")).await;
    let mut stopped = fake.greet("A").await;
    let mut kept = Vec::new();
    log.wait("the link", link_up("B")).await;
    // The neighbour still sends heartbeats, so silence does not end the link.
    let pings = async {
        while stopped.try_say(b"PING\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        pending::<()>().await;
    };
    let meanwhile = async {
        fill(&herd, "A").await;
        tell(&herd, "A", "kiwi +1-1 5").await;
        find(&herd, "C", "A", "kiwi +1-1 5").await;
        log.wait("cutting B off", link_down("reads too slowly"))
            .await;
    };
    or(meanwhile, pings).await;
    assert_eq!(log.count(link_up("C")), 1);
    // The neighbour was dialled again, possibly more than once before it greeted.
    let again = async { log.wait_times(2, "the link", link_up("B")).await };
    let greet = async {
        loop {
            let mut wire = fake.accept().await;
            let _ = wire.try_say(hello("B").as_bytes()).await;
            kept.push(wire);
        }
    };
    or(again, greet).await;
}

/// On one machine's real sockets a connect is always answered: a full backlog depends on the
/// system, and an unroutable address on its network.
#[cfg(feature = "sim")]
pub(crate) async fn an_address_that_never_answers_is_given_up_and_dialled_again(
    world: super::world::Simulated,
) {
    turmoil::hold("A", "B");
    let herd = Plan::new(&world, &["A-B"]).up().await;
    let log = herd.log("A");
    let given_up = |what: &EventKind<'_>| {
        connect_failed(what)
            && matches!(what, EventKind::ConnectFailed { why, .. } if why.to_string().starts_with("silent"))
    };
    log.wait_times(2, "giving up", given_up).await;
    tell(&herd, "A", "kiwi +1-1 5").await;
    turmoil::release("A", "B");
    find(&herd, "B", "A", "kiwi +1-1 5").await;
}

/// Real sockets can't hold messages back.
#[cfg(feature = "sim")]
pub(crate) async fn a_network_that_holds_its_breath_costs_a_link_but_no_update(
    world: super::world::Simulated,
) {
    let herd = Plan::new(&world, &["A-B"]).up().await;
    herd.whole().await;
    turmoil::hold("A", "B");
    tell(&herd, "A", "kiwi +1-1 5").await;
    tell(&herd, "B", "plum +1-1 5").await;
    herd.log("A").wait("silence", link_down("silent")).await;
    herd.log("B").wait("silence", link_down("silent")).await;
    turmoil::release("A", "B");
    find(&herd, "B", "A", "kiwi +1-1 5").await;
    find(&herd, "A", "B", "plum +1-1 5").await;
}
