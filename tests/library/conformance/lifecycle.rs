//! Stories about the start and the end of a server.

use std::time::Duration;

use proxy_herd::journal::EventKind;
use tokio::io::{AsyncRead, AsyncWrite};

use super::herd::{Plan, hello_now};
use super::log::{accepted, closed, link_down, link_up, unconfirmed};
use super::places::Held;
use super::wire::Wire;
use super::world::World;

fn stopped(what: &EventKind<'_>) -> bool {
    matches!(what, EventKind::Stopped)
}

pub(crate) async fn a_stopped_server_ends_every_connection_and_can_be_started_again<W: World>(
    world: W,
) {
    let mut herd = Plan::new(&world, &["A-B", "C-A"]).up().await;
    herd.whole().await;
    let mut client = herd.client("A").await;
    client.say("IAMAT kiwi +1-1 5\n").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    let log = herd.log("A");
    herd.log("B").wait("kiwi", accepted("kiwi")).await;
    let ended = async {
        client.expect_end().await;
        drop(client);
    };
    let ((), ()) = join(ended, herd.stop("A")).await;
    log.wait("the end", stopped).await;
    log.wait_times(2, "the end of both links", link_down("stopping"))
        .await;
    assert!(
        stopped(log.all().last().expect("events")),
        "nothing comes behind the end"
    );
    let opened = log.count(|what| matches!(what, EventKind::Opened { .. }));
    assert_eq!(log.count(closed("")), opened);
    herd.log("B")
        .wait("the end of A", link_down("the other side left"))
        .await;

    herd.start("A").await;
    log.wait_times(2, "the link again", link_up("B")).await;
    log.wait_times(2, "being told", accepted("kiwi")).await;
}

pub(crate) async fn a_stopping_server_answers_what_it_took_and_tells_its_neighbours<W: World>(
    world: W,
) {
    let mut herd = Plan::new(&world, &["A-B"]).up().await;
    herd.whole().await;
    let mut client = herd.client("A").await;
    let line = |n| format!("IAMAT client-{n} +1-1 5\n");
    let lines: Vec<_> = (0..2_000).map(line).collect();
    let log = herd.log("A");
    let talk = async move {
        client.say(lines.concat()).await;
        // How many lines arrive before the stop depends on the network.
        String::from_utf8(client.rest().await).expect("text")
    };
    let stop = async {
        log.wait("the first lines", accepted("client-0")).await;
        herd.stop("A").await;
    };
    let (answers, ()) = join(talk, stop).await;
    let answered = answers.lines().count();
    assert_eq!(
        answered,
        log.count(|what| matches!(what, EventKind::Accepted { .. }))
    );
    let last = answers.lines().last().expect("an answer");
    assert!(
        last.ends_with(&format!("client-{} +1-1 5", answered - 1)),
        "{last}"
    );
    for n in 0..answered {
        herd.log("B")
            .wait("what was answered", accepted(&format!("client-{n}")))
            .await;
    }
}

pub(crate) async fn a_stopping_server_answers_the_questions_that_are_under_way<W: World>(world: W) {
    let places = Held::new();
    let mut herd = Plan::new(&world, &["A-B"])
        .places(places.clone())
        .up()
        .await;
    herd.whole().await;
    let mut client = herd.client("A").await;
    client
        .say("IAMAT kiwi +1-1 5\nWHATSAT kiwi 1 5\nWHATSAT kiwi 2 5\nIAMAT kiwi +2-2 6\n")
        .await;
    places.wait_for(2).await;
    let log = herd.log("A");
    log.wait_times(2, "the last line", accepted("kiwi")).await;
    let mut idle = herd.client("A").await;
    idle.say("nonsense\n").await;
    idle.expect("? nonsense").await;
    let talk = async {
        client.expect_at("A", "kiwi +1-1 5").await;
        // A client that waits for no answer is disconnected first.
        idle.expect_end().await;
        places.answer_all("{}");
        for _ in 0..2 {
            client.expect_at("A", "kiwi +1-1 5").await;
            client.expect_text("{}\n\n").await;
        }
        client.expect_at("A", "kiwi +2-2 6").await;
        client.expect_end().await;
        // The server waits until its clients are gone.
        drop((client, idle));
    };
    join(talk, herd.stop("A")).await;
}

pub(crate) async fn a_stopping_server_does_not_wait_for_the_dead<W: World>(world: W) {
    let mut plan = Plan::new(&world, &["A-B", "C-A"])
        .without("C")
        .timing(|timing| timing.drain = Duration::from_millis(500));
    let fake = plan.fake("B").await;
    let mut herd = plan.up().await;
    let _dead = fake.greet("A").await;
    let mut client = herd.client("A").await;
    herd.log("A").wait("the link", link_up("B")).await;
    let _stranger = herd.dial("A").await;
    client.say("IAMAT kiwi +1-1 5\nhalf a li").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    // More bytes wait for the dead neighbour than its buffers hold.
    super::links::fill(&herd, "A").await;
    let before = tokio::time::Instant::now();
    herd.stop("A").await;
    let took = before.elapsed();
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

/// Synchronises a neighbour without records, which was dialled, with a server without records.
async fn synchronise<S: AsyncRead + AsyncWrite + Unpin>(neighbour: &mut Wire<S>) {
    neighbour.expect_start("DIGEST - 0 ").await;
    neighbour.say("DONE -\nSYNCED 0\n").await;
    neighbour.expect("SYNCED 0").await;
}

pub(crate) async fn a_server_that_leaves_hears_its_neighbours_out_until_they_confirm<W: World>(
    world: W,
) {
    let mut plan = Plan::new(&world, &["A-B", "A-C"]);
    let fake = plan.fake("B").await;
    let older = plan.fake("C").await;
    let mut herd = plan.up().await;
    let mut neighbour = fake.greet_now("A").await;
    let mut old = older.greet("A").await;
    let log = herd.log("A");
    log.wait("the link", link_up("B")).await;
    log.wait("the link", link_up("C")).await;
    for wire in [&mut neighbour, &mut old] {
        synchronise(wire).await;
    }
    let mut client = herd.client("A").await;
    client.say("IAMAT kiwi +1-1 5\n").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    drop(client);
    let leaving = async {
        neighbour.expect_start("AT A ").await;
        neighbour.expect("BYE").await;
        old.expect_start("AT A ").await;
        // Version 1 has no BYE for this.
        old.expect_end().await;
        // A busy neighbour may have sent many lines already. They must not cause a reset, which
        // could lose updates.
        let much = "AT B +0.000000000 plum +1-1 5 1\n".repeat(50_000);
        neighbour.say(much.as_str()).await;
        neighbour.say("BYE\n").await;
        neighbour.expect_end().await;
        old.say(much.replace(" B ", " C ")).await;
        old.half_close().await;
    };
    let ((), ()) = join(leaving, herd.stop("A")).await;
    assert_eq!(log.count(unconfirmed), 0);
    assert_eq!(log.count(link_down("stopping")), 2);
}

pub(crate) async fn a_neighbour_that_does_not_confirm_is_named<W: World>(world: W) {
    let mut plan = Plan::new(&world, &["A-B"]);
    let fake = plan.fake("B").await;
    let mut herd = plan.up().await;
    let mut neighbour = fake.greet_now("A").await;
    let log = herd.log("A");
    log.wait("the link", link_up("B")).await;
    synchronise(&mut neighbour).await;
    let mut client = herd.client("A").await;
    client.say("IAMAT kiwi +1-1 5\n").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    drop(client);
    let leaving = async {
        neighbour.expect_start("AT A ").await;
        neighbour.expect("BYE").await;
        drop(neighbour);
    };
    let ((), ()) = join(leaving, herd.stop("A")).await;
    assert_eq!(log.count(unconfirmed), 1);
}

pub(crate) async fn a_server_that_leaves_is_answered_once_all_is_stored<W: World>(world: W) {
    let herd = Plan::new(&world, &["B-A"]).without("B").up().await;
    let mut neighbour = herd.dial("A").await;
    neighbour.say(hello_now("B", 0xfa)).await;
    neighbour.expect_start("HELLO 2 conf A ").await;
    neighbour
        .say("AT B +0.000000000 kiwi +1-1 5 1\nBYE\n")
        .await;
    neighbour.expect("BYE").await;
    let log = herd.log("A");
    assert_eq!(log.count(accepted("kiwi")), 1);
    neighbour.half_close().await;
    neighbour.expect_end().await;
    log.wait("the end", link_down("the other side left")).await;
}

/// The lines that a server sends to a client and to a neighbour, without skews.
async fn told<W: World>(world: &W) -> Vec<String> {
    let mut plan = Plan::new(world, &["A-B"]).seed(7);
    let fake = plan.fake("B").await;
    let mut herd = plan.up().await;
    let mut neighbour = fake.greet("A").await;
    herd.log("A").wait("the link", link_up("B")).await;
    let mut client = herd.client("A").await;
    let mut lines = Vec::new();
    for n in 0..20 {
        client
            .say(format!("IAMAT client-{n} +1-1 {n}\nnonsense\n"))
            .await;
        lines.push(client.line().await);
        lines.push(client.line().await);
    }
    neighbour.say("DIGEST - 2 0123456789abcdef\nLIST -\n").await;
    loop {
        let line = neighbour.line().await;
        // Heartbeats, queries and answers are left out, since their order depends on timing.
        if line.starts_with(b"AT ") {
            lines.push(line.clone());
        }
        if line.ends_with(b"client-19 +1-1 19 1") {
            break;
        }
    }
    herd.kill("A").await;
    let text = |line: Vec<u8>| {
        let line = String::from_utf8(line).expect("text");
        let is_skew = |word: &&str| word.len() > 15 && word.starts_with('+');
        line.split(' ')
            .filter(|word| !is_skew(word))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines: Vec<_> = lines.into_iter().map(text).collect();
    let boots: Vec<_> = (herd.log("A").all().iter())
        .filter_map(|what| match what {
            EventKind::Started { boot } => Some(boot.to_string()),
            _ => None,
        })
        .collect();
    lines.extend(boots);
    lines
}

pub(crate) async fn the_same_seed_and_the_same_lines_make_the_same_lines<W: World>(world: W) {
    let (one, two) = (told(&world).await, told(&world).await);
    assert_eq!(one, two);
}

/// Real clocks and sockets vary between runs, but the simulator repeats a run to the nanosecond.
#[cfg(feature = "sim")]
pub(crate) fn a_whole_story_told_twice_is_the_same_to_the_byte() {
    use std::cell::RefCell;
    use std::rc::Rc;

    let tell = || {
        let all = Rc::new(RefCell::new(String::new()));
        let into = Rc::clone(&all);
        super::world::in_the_simulator(async move |world| {
            let mut herd = Plan::new(&world, &["A-B", "B-C", "C-A"]).up().await;
            herd.whole().await;
            let mut client = herd.client("A").await;
            client.say("IAMAT kiwi +1-1 5\nWHATSAT kiwi 10 5\n").await;
            client.expect_at("A", "kiwi +1-1 5").await;
            herd.kill("C").await;
            herd.start("C").await;
            herd.log("C")
                .wait_times(2, "being told", accepted("kiwi"))
                .await;
            for name in ["A", "B", "C"] {
                let events = format!("{name}: {:#?}\n", herd.log(name).all());
                into.borrow_mut().push_str(&events);
            }
        });
        all.take()
    };
    assert_eq!(tell(), tell());
}

async fn join<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    futures_lite::future::zip(a, b).await
}
