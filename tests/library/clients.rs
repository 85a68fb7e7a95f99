//! Clients whose connections live over several steps, who are slow, and who hang up.

use proxy_herd::journal::{Actor, CloseReason, ConnId, EventKind, PeerRole};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim::{Simulator, WorldKind};
use proxy_herd::trace::Trace;

const IAMAT: &str = "IAMAT kiwi +34.068930-118.445127 {now}";

/// A run of these steps, and of what follows them, in a world.
fn run_in(world: WorldKind, steps: &[&str], rest: &str) -> Trace {
    let steps: Vec<String> = steps
        .iter()
        .map(|step| format!("  {{ {step} }},\n"))
        .collect();
    let text = format!(
        "title = \"a test\"\nherd = \"riley\"\nsteps = [\n{}]\n{rest}",
        steps.concat()
    );
    let (scenario, _) =
        Scenario::parse("test.toml", &text, None).unwrap_or_else(|why| panic!("{why}"));
    let simulator = Simulator {
        world,
        ..Simulator::default()
    };
    simulator.run(&scenario).expect("it runs")
}

fn run(steps: &[&str], rest: &str) -> Trace {
    run_in(WorldKind::Packets, steps, rest)
}

/// What the expectations of answers came to: `passed` or not, and the actual value.
fn answers(trace: &Trace) -> Vec<(bool, &str)> {
    let replies = trace
        .judgements
        .iter()
        .filter(|judgement| judgement.about.contains(" answers "));
    replies
        .map(|judgement| (judgement.passed, judgement.actual.as_str()))
        .collect()
}

fn failed(trace: &Trace) -> Vec<&str> {
    let failed = trace
        .judgements
        .iter()
        .filter(|judgement| !judgement.passed);
    failed.map(|judgement| judgement.about.as_str()).collect()
}

/// The connections that clients opened.
fn opened(trace: &Trace) -> Vec<ConnId> {
    let by_clients = trace
        .events
        .iter()
        .filter(|event| matches!(event.who, Actor::Client(_)));
    let opened = by_clients.filter_map(|event| match event.what {
        EventKind::Opened { conn, .. } => Some(conn),
        _ => None,
    });
    opened.collect()
}

#[test]
fn lines_of_several_steps_on_one_connection_are_answered_in_their_order() {
    let first = format!(
        "at = \"1s\", client = \"kiwi\", connection = \"c\", to = \"Riley\", send = [\"{IAMAT}\", \"WHATSAT kiwi 10 1\"], \
         reply = [\"AT *\", {{ results = 1 }}]"
    );
    let behind = "after = \"20ms\", client = \"kiwi\", connection = \"c\", to = \"Riley\", times = 3, every = \"10ms\", \
         send = \"hello {i}\", reply = \"? hello {i}\"";
    let last = "at = \"3s\", client = \"kiwi\", connection = \"c\", to = \"Riley\", close = \"answered\", send = \"bye\"";
    let places = "[[places]]\nplaces = 1\ndelay = \"500ms\"";
    for world in WorldKind::ALL {
        let trace = run_in(world, &[&first, behind, last], places);
        assert_eq!(failed(&trace), [""; 0], "{world}");
        let [conn] = opened(&trace)[..] else {
            panic!("{world}: {:?}", opened(&trace));
        };
        let at_kiwi = trace
            .events
            .iter()
            .filter(|event| event.who.name() == "kiwi");
        let said = at_kiwi.map(|event| match &event.what {
            EventKind::LineOut { .. } => "out",
            EventKind::LineIn { .. } => "in",
            EventKind::Closed { conn: closed, .. } if *closed == conn => "closed",
            _ => "-",
        });
        let said: Vec<&str> = said.collect();
        // All is written before the look-up is answered.
        let wanted = [
            "-", "out", "out", "in", "out", "out", "out", "in", "in", "in", "in", "out", "in",
            "closed",
        ];
        assert_eq!(said, wanted, "{world}");
    }
}

#[test]
fn what_is_written_when_the_connection_is_over_has_no_answer_and_says_why() {
    let step = |after: &str, more: &str| {
        format!(
            "at = \"{after}\", client = \"kiwi\", connection = \"c\", to = \"Riley\", send = \"hello\"{more}"
        )
    };
    let [early, late, again] = [
        step("1s", ""),
        step("3s", ", maybe = true"),
        step("5s", ", reconnects = true"),
    ];
    let crash = [
        &early,
        "at = \"2s\", crash = \"Riley\"",
        &late,
        "at = \"4s\", restart = \"Riley\"",
        &again,
    ];
    let trace = run(&crash, "");
    let lost = "no answer: ended by the other side";
    assert_eq!(
        answers(&trace),
        [(true, "? hello"), (true, lost), (true, "? hello")]
    );
    // The reason is an event.
    let unanswered = trace
        .events
        .iter()
        .find(|event| matches!(event.what, EventKind::Unanswered { .. }));
    let cause = unanswered.and_then(|event| trace.event(event.cause?));
    let is_closed = |what: &EventKind<'_>| matches!(what, EventKind::Closed { why, .. } if *why == CloseReason::Ended);
    assert!(
        cause.is_some_and(|cause| is_closed(&cause.what)),
        "{cause:?}"
    );
    assert_eq!(opened(&trace).len(), 2);
}

#[test]
fn an_answer_that_comes_too_late_is_not_taken_for_one_to_a_later_line() {
    let trace = run(
        &[
            "at = \"1s\", client = \"kiwi\", connection = \"c\", to = \"Riley\"",
            "at = \"2s\", freeze = \"Riley\"",
            "at = \"3s\", client = \"kiwi\", connection = \"c\", to = \"Riley\", send = \"too late\", unheard = true",
            "at = \"7s\", client = \"kiwi\", connection = \"c\", to = \"Riley\", send = \"in time\", reply = \"? in time\"",
            "at = \"9s\", thaw = \"Riley\"",
        ],
        "",
    );
    let wanted = [
        (true, "no answer: silent for too long"),
        (true, "? in time"),
    ];
    assert_eq!(answers(&trace), wanted);
    assert_eq!(failed(&trace), [""; 0]);
}

/// The bytes of answers that Riley wrote to clients before a moment, in milliseconds, and in all.
fn written_before(trace: &Trace, moment: u64) -> (usize, usize) {
    let riley = trace
        .events
        .iter()
        .filter(|event| event.who.name() == "Riley");
    let mut clients = Vec::new();
    let (mut before, mut all) = (0, 0);
    for event in riley {
        match &event.what {
            EventKind::Opened {
                conn,
                with: PeerRole::Client,
                ..
            } => clients.push(*conn),
            EventKind::LineOut { conn, line } if clients.contains(conn) => {
                all += line.0.len();
                if event.at < moment * 1_000_000 {
                    before += line.0.len();
                }
            }
            _ => {}
        }
    }
    (before, all)
}

#[test]
fn a_server_whose_client_does_not_read_writes_no_more_than_fits_into_buffers() {
    let kiwi = format!(
        "at = \"1s\", client = \"kiwi\", to = \"Riley\", send = \"{IAMAT}\", reply = \"AT *\""
    );
    let ask = |more: &str| {
        let step = format!(
            "at = \"2s\", client = \"kiwi\", connection = \"c\", to = \"Riley\", times = 60, send = \"WHATSAT kiwi 10 20\", \
             reply = {{ results = 20 }}{more}"
        );
        let trace = run(&[&kiwi, &step], "[[places]]\nplaces = 20");
        assert_eq!(failed(&trace), [""; 0], "{more}");
        let (before, all) = written_before(&trace, 4900);
        assert!(all > 300_000, "{all} bytes are more than any buffer");
        before
    };
    let usual = ask("");
    assert!(usual > 300_000, "a client that reads has {usual} bytes");
    let (slow, slower) = (
        ask(", reads_after = \"3s\""),
        ask(", reads_after = \"3s\", receive_buffer = 2"),
    );
    // The two systems' buffers of 64 KiB, and what the server has in its own when its write waits.
    assert!((128 << 10..200 << 10).contains(&slow), "{slow}");
    assert!((66 << 10..138 << 10).contains(&slower), "{slower}");
    assert!(slow - slower > 50_000, "{slow} and {slower}");
}

#[test]
fn a_client_that_resets_its_connection_shows_its_server_an_error() {
    let trace = run(
        &[
            "at = \"1s\", client = \"kiwi\", connection = \"c\", to = \"Riley\", send = \"hello\"",
            "at = \"2s\", client = \"kiwi\", connection = \"c\", to = \"Riley\", close = \"reset\"",
        ],
        "",
    );
    assert_eq!(failed(&trace), [""; 0]);
    let [conn] = opened(&trace)[..] else {
        panic!("{:?}", opened(&trace));
    };
    let ends = trace.events.iter().filter_map(|event| match &event.what {
        EventKind::Closed { conn: closed, why } if *closed == conn => {
            Some(format!("{}: {why}", event.who.name()))
        }
        _ => None,
    });
    let ends: Vec<String> = ends.collect();
    assert_eq!(
        ends,
        ["kiwi: reset by the client", "Riley: connection reset"]
    );
}

#[test]
fn who_must_be_refused_or_unheard_and_is_not_fails_the_run() {
    let hello = "client = \"kiwi\", to = \"Riley\", send = \"hello\"";
    let judged = |fault: &str, how: &str, end: &str| {
        let step = format!("at = \"2s\", {hello}, {how} = true");
        let trace = run(&[fault, &step, end], "");
        answers(&trace)
            .into_iter()
            .map(|(passed, actual)| (passed, actual.to_owned()))
            .collect::<Vec<_>>()
    };
    let refuse = [
        "at = \"1s\", refuse = \"Riley\"",
        "at = \"9s\", accept = \"Riley\"",
    ];
    let freeze = [
        "at = \"1s\", freeze = \"Riley\"",
        "at = \"9s\", thaw = \"Riley\"",
    ];
    let sever = [
        "at = \"1s\", client = \"fig\", to = \"Riley\", send = \"x\"",
        "at = \"9s\", sever = \"Riley-Juzang\"",
    ];
    let refused = "no answer: connection refused".to_owned();
    let silent = "no answer: silent for too long".to_owned();
    assert_eq!(
        judged(refuse[0], "refused", refuse[1]),
        [(true, refused.clone())]
    );
    assert_eq!(judged(refuse[0], "unheard", refuse[1]), [(false, refused)]);
    assert_eq!(
        judged(freeze[0], "unheard", freeze[1]),
        [(true, silent.clone())]
    );
    assert_eq!(judged(freeze[0], "refused", freeze[1]), [(false, silent)]);
    let heard = |how| judged(sever[0], how, sever[1])[1].clone();
    assert_eq!(heard("refused"), (false, "? hello".to_owned()));
    assert_eq!(heard("unheard"), (false, "? hello".to_owned()));
}

#[test]
fn a_reply_of_another_kind_fails_with_what_came() {
    let hello = |reply: &str| {
        let step = format!(
            "at = \"1s\", client = \"kiwi\", to = \"Riley\", send = \"hello\", reply = {reply}"
        );
        let trace = run(&[&step], "");
        let (passed, actual) = answers(&trace)[0];
        (passed, actual.to_owned())
    };
    let came = "? hello".to_owned();
    assert_eq!(
        hello("{ any = [\"AT *\", \"? hello\"] }"),
        (true, came.clone())
    );
    assert_eq!(
        hello("{ any = [\"AT *\", \"? goodbye\"] }"),
        (false, came.clone())
    );
    assert_eq!(hello("{ not = \"AT *\" }"), (true, came.clone()));
    assert_eq!(hello("{ not = \"? *\" }"), (false, came.clone()));
    assert_eq!(hello("{ results = 0 }"), (false, came));
}

#[test]
fn a_workload_of_few_clients_with_kept_connections_opens_one_for_each() {
    let load = |more: &str| {
        let step = format!(
            "at = \"1s\", workload = \"load\", clients = 5, rate = 60, lasts = \"2s\", whatsat = 25, answered = 100{more}"
        );
        let trace = run(&[&step], "");
        assert_eq!(failed(&trace), [""; 0], "{more}");
        let answers = trace.events.iter().filter(|event| {
            matches!(
                (&event.who, &event.what),
                (Actor::Client(_), EventKind::LineIn { .. })
            )
        });
        assert_eq!(answers.count(), 120, "{more}");
        opened(&trace).len()
    };
    assert_eq!(load(""), 120);
    assert_eq!(load(", pipelined = 4"), 30);
    assert_eq!(load(", connections = \"kept\", pipelined = 4"), 5);
}

/// A client whose server comes back opens its connection anew.
#[test]
fn a_workload_with_kept_connections_goes_on_after_a_crash() {
    let trace = run(
        &[
            "at = \"1s\", workload = \"load\", clients = 5, rate = 50, lasts = \"4s\", answered = 60, connections = \"kept\"",
            "at = \"2s\", crash = \"all\"",
            "at = \"3s\", restart = \"all\"",
        ],
        "",
    );
    assert_eq!(failed(&trace), [""; 0]);
    assert_eq!(opened(&trace).len(), 10);
}
