//! Stories about servers that are not neighbours, or not the expected ones.

use std::time::Duration;

use super::herd::{Plan, hello, hello_now};
use super::log::{accepted, closed, connect_failed, link_down, link_up, namesakes};
use super::world::World;

/// A herd whose running server is dialled by `B`, which the story plays.
fn dialled<W: World>(world: &W) -> Plan<W> {
    Plan::new(world, &["B-A"]).without("B")
}

pub(crate) async fn a_stranger_is_told_why_it_may_not_have_a_link<W: World>(world: W) {
    let herd = dialled(&world).up().await;
    let log = herd.log("A");
    let cases: [(&[u8], &str); 9] = [
        (
            b"HELLO 1 other B 0123456789abcdef",
            "this is herd conf, not other",
        ),
        (b"HELLO 1 conf X 0123456789abcdef", "X is no neighbour of A"),
        (b"HELLO 1 conf A 0123456789abcdef", "A is no neighbour of A"),
        (
            b"HELLO 0 conf B 0123456789abcdef",
            "version 0 is not spoken here, 2 is",
        ),
        (b"HELLO 1 conf B", "this is no HELLO as it must be"),
        (b"AT B +1.0 kiwi +1-1 5 1", "HELLO must come first"),
        (b"GET / HTTP/1.1\r\nHost: A\r\n\r", "HELLO must come first"),
        (b"", "HELLO must come first"),
        (b"\xff\0", "HELLO must come first"),
    ];
    for (count, (line, reason)) in (1..).zip(cases) {
        let mut stranger = herd.dial("A").await;
        stranger.say([line, b"\n"].concat()).await;
        stranger.expect(format!("BYE {reason}")).await;
        stranger.expect_end().await;
        drop(stranger);
        log.wait_times(count, reason, closed("refused")).await;
    }
    let _neighbour = herd.dial_as("B", "A").await;
    log.wait("the link", link_up("B")).await;
}

pub(crate) async fn a_stranger_that_says_much_is_told_all_the_same<W: World>(world: W) {
    let herd = dialled(&world).up().await;
    let mut stranger = herd.dial("A").await;
    let much = "nonsense\n".repeat(50_000);
    stranger.say(format!("{}{much}", hello("X"))).await;
    stranger.expect("BYE X is no neighbour of A").await;
    stranger.expect_end().await;
}

pub(crate) async fn a_stranger_that_says_nothing_is_closed<W: World>(world: W) {
    let herd = dialled(&world)
        .timing(|timing| timing.hello_deadline = Duration::from_millis(200))
        .limits(|limits| limits.peer_connections = 1)
        .up()
        .await;
    let mut stranger = herd.dial("A").await;
    stranger.expect_gone().await;
    let log = herd.log("A");
    log.wait("no greeting", closed("no HELLO")).await;
    // The stranger had the only slot.
    let _neighbour = herd.dial_as("B", "A").await;
    log.wait("the link", link_up("B")).await;
}

pub(crate) async fn a_neighbour_that_was_to_be_dialled_may_not_dial<W: World>(world: W) {
    let herd = Plan::new(&world, &["A-B"]).without("B").up().await;
    let mut neighbour = herd.dial("A").await;
    neighbour.say(hello("B")).await;
    neighbour
        .expect("BYE A dials B, not the other way round")
        .await;
    neighbour.expect_end().await;
    drop(neighbour);
    let log = herd.log("A");
    log.wait("refusing", closed("refused")).await;
    log.wait("dialling", connect_failed).await;
    assert_eq!(log.count(link_up("B")), 0);
}

pub(crate) async fn a_server_that_answers_in_the_place_of_another_is_refused<W: World>(world: W) {
    let mut plan = Plan::new(&world, &["A-B", "A-C"]).without("C");
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let log = herd.log("A");
    let mut other = fake.accept().await;
    other.expect_start("HELLO 2 conf A ").await;
    other.say(hello("C")).await;
    other.expect("BYE B was dialled, not C").await;
    other.expect_end().await;
    drop(other);
    let mut refusing = fake.accept().await;
    refusing.expect_start("HELLO 2 conf A ").await;
    refusing.say("BYE not \u{202e}today\n").await;
    refusing.expect_gone().await;
    drop(refusing);
    // Text from a stranger can't forge log lines.
    let reason = "refused: not \\xe2\\x80\\xaetoday";
    log.wait("being refused", closed(reason)).await;
    fake.greet("A").await;
    log.wait("the link", link_up("B")).await;
}

pub(crate) async fn a_server_of_another_version_is_refused_in_clear_words_and_the_others_go_on<
    W: World,
>(
    world: W,
) {
    let mut plan = Plan::new(&world, &["A-B", "A-C"]);
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let log = herd.log("A");
    log.wait("the link", link_up("C")).await;
    let mut upgraded = fake.accept().await;
    upgraded.expect_start("HELLO 2 conf A ").await;
    upgraded
        .say("HELLO 3 conf B 0123456789abcdef 0 and more\n")
        .await;
    let reason = "version 3 is not spoken here, 2 is";
    upgraded.expect(format!("BYE {reason}")).await;
    upgraded.expect_end().await;
    drop(upgraded);
    log.wait(reason, closed(&format!("refused: {reason}")))
        .await;
    let mut client = herd.client("A").await;
    client.say("IAMAT kiwi +1-1 5\n").await;
    client.expect_at("A", "kiwi +1-1 5").await;
    herd.log("C").wait("the update", accepted("kiwi")).await;
    // The neighbour is dialled again, and runs its old version by then.
    let _downgraded = fake.greet("A").await;
    log.wait("the link", link_up("B")).await;
    assert_eq!(log.count(link_down("")), 0);
}

pub(crate) async fn two_servers_of_one_name_do_not_take_the_link_from_each_other<W: World>(
    world: W,
) {
    let herd = dialled(&world).up().await;
    let log = herd.log("A");
    let mut first = herd.dial("A").await;
    first.say(hello_now("B", 1)).await;
    first.expect_start("HELLO 2 conf A ").await;
    // A run counts once it has said something after its greeting.
    first.say("PING 5.000000000\n").await;
    first.expect_start("PONG 5.000000000 ").await;
    let mut second = herd.dial("A").await;
    second.say(hello_now("B", 2)).await;
    second.expect_start("HELLO 2 conf A ").await;
    second.say("PING 6.000000000\n").await;
    second.expect_start("PONG 6.000000000 ").await;
    first.expect_gone().await;
    let mut again = herd.dial("A").await;
    again.say(hello_now("B", 1)).await;
    again
        .expect("BYE two servers are called B: boot 0000000000000002 has the link, this is boot 0000000000000001")
        .await;
    log.wait("naming both", namesakes).await;
    assert_eq!(log.count(link_up("B")), 2);
    // The second server still has the link.
    second.say("PING 7.000000000\n").await;
    second.expect_start("PONG 7.000000000 ").await;
}

pub(crate) async fn a_server_that_has_just_started_is_dialled_at_once<W: World>(world: W) {
    let hour = Duration::from_hours(1);
    let mut plan = Plan::new(&world, &["A-B"])
        .timing(|timing| (timing.redial_least, timing.redial_most) = (hour, hour));
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let log = herd.log("A");
    let dying = fake.accept().await;
    drop(dying);
    log.wait("dialling in vain", closed("")).await;
    // The next attempt is half an hour away or more.
    let mut knocking = herd.dial("A").await;
    knocking.say("DIAL 2 conf B 00000000000000fa 0\n").await;
    knocking.expect("BYE").await;
    let _neighbour = fake.greet_now("A").await;
    log.wait("the link", link_up("B")).await;
}

pub(crate) async fn who_refuses_somebody_asks_the_neighbour_whether_it_was_that_one<W: World>(
    world: W,
) {
    let mut plan = Plan::new(&world, &["B-A"]);
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let log = herd.log("A");
    let mut asked = fake.accept().await;
    asked.expect_start("DIAL 2 conf A ").await;
    asked.say("BYE\n").await;
    asked.expect_gone().await;
    log.wait("its request", closed("the other side left")).await;
    for refused in 1..=2 {
        let mut stranger = herd.dial("A").await;
        stranger.say("who are you?\n").await;
        stranger.expect("BYE HELLO must come first").await;
        let mut asked = fake.accept().await;
        asked.expect_start("DIAL 2 conf A ").await;
        asked.say("BYE A is no neighbour of B\n").await;
        asked.expect_gone().await;
        let why = closed("refused: A is no neighbour of B");
        log.wait_times(refused, "being refused", why).await;
    }
}

pub(crate) async fn a_neighbour_that_speaks_only_the_version_before_is_greeted_so<W: World>(
    world: W,
) {
    let mut plan = Plan::new(&world, &["A-B"]);
    let fake = plan.fake("B").await;
    let herd = plan.up().await;
    let log = herd.log("A");
    for _ in 0..2 {
        let mut older = fake.accept().await;
        older.expect_start("HELLO 2 conf A ").await;
        older.say("BYE version 2 is not spoken here, 1 is\n").await;
        older.expect_gone().await;
        drop(older);
        let mut older = fake.accept().await;
        older.expect_start("HELLO 1 conf A ").await;
        older.say(hello("B")).await;
        older.expect_start("DIGEST - 0 ").await;
        // After its next start it could have been upgraded.
        drop(older);
    }
    log.wait_times(2, "the link", link_up("B")).await;
}

pub(crate) async fn a_servers_line_from_a_client_changes_nothing<W: World>(world: W) {
    let herd = dialled(&world).up().await;
    let mut client = herd.client("A").await;
    for line in [
        "AT B +1.000000000 kiwi +1-1 5 1",
        "AT A +1.000000000 kiwi +1-1 5",
        "HELLO 1 conf B 0123456789abcdef",
        "PING",
        "BYE",
        "SYNCED 0",
        "WHATSAT kiwi 10 5",
    ] {
        client.say(format!("{line}\n")).await;
        client.expect(format!("? {line}")).await;
    }
    assert_eq!(herd.log("A").count(link_up("B")), 0);
}
