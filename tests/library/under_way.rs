//! Messages in flight when a network fails: none arrives before its latency has passed, none is
//! held up without cause, and each fault's impact counts exactly the messages that it held up.

use std::path::Path;

use proxy_herd::journal::{Actor, EventKind, Source};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim::{Simulator, WorldKind};
use proxy_herd::trace::Trace;

/// Runs these steps with two servers on a slow link, without heartbeats.
fn run(steps: &str) -> Trace {
    let folder = tempfile::tempdir().expect("a folder");
    let herd = "name = \"two\"\nservers = [\"A\", \"B\"]\nlinks = [\"A-B\"]";
    std::fs::write(folder.path().join("two.toml"), herd).expect("written");
    let text = format!(
        "title = \"t\"\nherd = \"two.toml\"\nlink_latency = \"200ms\"\nsteps = [\n{steps}\n]\n\
         [server]\nheartbeat = \"1m\"\nanti_entropy = \"10m\"\nhello_deadline = \"10s\"\nconnect_deadline = \"10s\""
    );
    run_text(&text, folder.path())
}

fn run_text(text: &str, folder: &Path) -> Trace {
    let scenario = Scenario::parse("t.toml", text, Some(folder));
    let (scenario, _) = scenario.unwrap_or_else(|problems| panic!("{problems}"));
    let turmoil = Simulator {
        world: WorldKind::Turmoil,
        ..Simulator::default()
    };
    turmoil.run(&scenario).expect("it runs")
}

/// A step in which a client sends its location to `server` at this time, in milliseconds.
fn tells(client: &str, at: u64, server: &str) -> String {
    format!(
        "{{ at = \"{at}ms\", client = \"{client}\", to = \"{server}\", send = \"IAMAT {client} +1+1 {{now}}\", reply = \"AT *\" }},"
    )
}

/// When `server` received a client's update from its neighbour, in milliseconds.
fn heard(trace: &Trace, client: &str, server: &str) -> u64 {
    let found = trace.events.iter().find(|event| {
        let by_server = matches!(&event.who, Actor::Server(name) if **name == *server);
        by_server
            && matches!(&event.what, EventKind::Accepted { record, from: Source::Server(_), .. }
                if *record.client.0 == *client.as_bytes())
    });
    found.expect("it heard").at / 1_000_000
}

/// The impact of each fault, in the order in which they ended.
fn touched(trace: &Trace) -> Vec<u64> {
    let counts = trace.events.iter().filter_map(|event| match event.what {
        EventKind::Affected { count, .. } => Some(count),
        _ => None,
    });
    counts.collect()
}

#[test]
fn nothing_arrives_sooner_than_the_link_can_carry_it() {
    // The update is sent at 3.010 s, and is due at 3.210 s.
    let kiwi = tells("kiwi", 3000, "A");
    for (cut, from, until, arrives, count) in [
        // The cut is healed before the message is due, so nothing was held up.
        ("partition = \"A-B\"", 3100, 3150, 3210, 0),
        // The cut is there before the message is sent.
        ("partition = \"A-B\"", 2990, 3015, 3210, 0),
        // The cut is there when the message is due.
        ("partition = \"A-B\"", 3100, 3300, 3300, 1),
        ("partition_oneway = \"A-B\"", 3100, 3300, 3300, 1),
        // The cut is in the other direction, so it holds nothing up.
        ("partition_oneway = \"B-A\"", 3100, 3150, 3210, 0),
        ("partition_oneway = \"B-A\"", 3205, 3208, 3210, 0),
        ("partition_oneway = \"B-A\"", 2990, 3011, 3210, 0),
    ] {
        let steps = format!(
            "{{ at = \"{from}ms\", {cut} }}, {kiwi} {{ at = \"{until}ms\", heal = \"all\" }},"
        );
        let trace = run(&steps);
        let arrived = heard(&trace, "kiwi", "B");
        assert_eq!(
            (arrived, touched(&trace)),
            (arrives, vec![count]),
            "{steps}"
        );
    }
}

#[test]
fn a_later_message_on_a_quicker_link_moves_no_earlier_one() {
    let steps = |cut: &str| {
        format!(
            "{cut} {{ at = \"3s\", slow = \"A-B\", latency = \"800ms\" }}, {} \
             {{ at = \"3150ms\", slow = \"A-B\", latency = \"10ms\" }}, {}",
            tells("kiwi", 3100, "A"),
            tells("plum", 3160, "A"),
        )
    };
    let free = run(&steps(""));
    let cut = run(&steps("{ at = \"2900ms\", partition_oneway = \"B-A\" },"));
    for client in ["kiwi", "plum"] {
        assert_eq!(heard(&cut, client, "B"), heard(&free, client, "B"));
        // TCP keeps the order, so the later message also arrives then.
        assert_eq!(heard(&free, client, "B"), 3910);
    }
}

#[test]
fn a_run_goes_on_while_something_is_under_way_on_a_link_that_was_slow() {
    let steps = format!(
        "{{ at = \"3s\", slow = \"A-B\", latency = \"2s\" }}, {} {{ at = \"3200ms\", slow = \"A-B\", latency = \"200ms\" }},",
        tells("kiwi", 3100, "A")
    );
    let trace = run(&steps);
    assert_eq!(heard(&trace, "kiwi", "B"), 5110);
    assert_eq!(trace.verdict().failed, 0);
}

#[test]
fn a_cut_counts_what_it_holds_up_and_no_other_does() {
    // The second cut is healed at once, but the first still blocks that direction.
    let steps = format!(
        "{{ at = \"3s\", partition = \"A-B\" }}, {{ at = \"3200ms\", partition = \"A\", from = [\"B\", \"clients\"] }}, \
         {{ at = \"3201ms\", heal = \"A\", from = [\"B\", \"clients\"] }}, {} {{ at = \"4500ms\", heal = \"A-B\" }},",
        tells("kiwi", 4000, "A")
    );
    let trace = run(&steps);
    assert_eq!(touched(&trace)[0], 0);
    assert!(touched(&trace)[1] > 0);
    // If a cut is healed in pieces, each piece ends when it is healed.
    let pieces = format!(
        "{{ at = \"3s\", partition = \"A\", from = [\"B\", \"clients\"] }}, {{ at = \"3s\", heal = \"A-B\" }}, {} \
         {{ at = \"5s\", heal = \"A\", from = \"clients\" }},",
        tells("kiwi", 4000, "B")
    );
    assert_eq!(touched(&run(&pieces)), [0]);
}

#[test]
fn a_connection_that_can_not_come_to_be_is_held_up() {
    // The client's SYN arrives, but the answer to it would not.
    let steps = format!(
        "{{ at = \"3s\", partition_oneway = \"A-clients\" }}, {} {{ at = \"5s\", heal = \"all\" }},",
        tells("kiwi", 3100, "A")
    );
    let text = steps.replace("\"A-clients\"", "\"clients\", from = \"A\"");
    let trace = run(&text);
    assert_eq!(touched(&trace), [1]);
    let told = |what: &EventKind<'_>| {
        matches!(
            what,
            EventKind::Accepted {
                from: Source::Client,
                ..
            }
        )
    };
    let told = trace.events.iter().find(|event| told(&event.what));
    assert!(told.expect("it was told").at >= 5_000_000_000);
    assert_eq!(trace.verdict().failed, 0);
}

#[test]
fn refused_is_who_was_refused() {
    let client = |at: u64, more: &str| {
        format!("{{ at = \"{at}ms\", client = \"x\", to = \"A\", send = \"hello\", {more} }},")
    };
    for (from, until, more, count) in [
        // The SYN is in flight when the port closes.
        (3002, 4000, "no_reply = true", 1),
        // The SYN is in flight while the port is closed, and arrives after it was opened again.
        (3000, 3001, "reply = \"? hello\"", 0),
    ] {
        let steps = format!(
            "{{ at = \"{from}ms\", refuse = \"A\" }}, {} {{ at = \"{until}ms\", accept = \"A\" }},",
            client(3000, more)
        );
        let trace = run(&steps);
        let replies = trace
            .judgements
            .iter()
            .filter(|j| j.about.starts_with("A answers"));
        assert!(replies.clone().count() == 1 && replies.clone().all(|j| j.passed));
        assert_eq!(touched(&trace), [count], "{steps}");
    }
}

#[test]
fn a_connection_is_reset_once() {
    let steps = "{ at = \"3s\", freeze = \"B\" }, { at = \"3100ms\", sever = \"A-B\" }, \
                 { at = \"3101ms\", sever = \"A-B\" }, { at = \"4s\", thaw = \"B\" },";
    assert_eq!(touched(&run(steps))[..2], [1, 0]);
}

#[test]
fn a_link_is_slow_until_it_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "title = \"t\"\nherd = \"riley\"\nsteps = [\n\
         {{ at = \"3s\", slow = \"Riley\", latency = \"50ms\" }}, {{ at = \"3s\", slow = \"Riley-Jaquez\", latency = \"20ms\" }}, \
         {{ at = \"3s\", slow = \"Riley-Juzang\", latency = \"20ms\" }}, {}\n]",
        tells("kiwi", 4000, "Riley")
    );
    assert_eq!(touched(&run_text(&text, folder.path())), [0]);
}
