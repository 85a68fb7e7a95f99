//! Each invariant is shown violated: by real runs in which a server makes a mistake, and by correct
//! traces that a test altered.

use std::num::NonZeroU64;

mod by_hand;
mod durable;
mod forgotten;
mod kept;
mod left;
mod links;
mod rounds;
mod stop;
mod told;

use super::{Invariant, Patience, Run, Violation};
use crate::journal::{Actor, CloseReason, Event, EventId, EventKind, Source, Text};
use crate::node::mistakes::Mistake;
use crate::protocol::escape;
use crate::scenario::Scenario;
use crate::sim::Simulator;
use crate::trace::Trace;

/// Two updates of one client, the older one second and elsewhere; a query; and an invalid line.
const KIWI: &str = r#"
    title = "a test"
    herd = "riley"
    steps = [
      { at = "1s", client = "kiwi", to = "Riley", send = ["IAMAT kiwi +34-118 {now}", "hello"] },
      { at = "2s", client = "kiwi", to = "Juzang", send = "IAMAT kiwi +35-118 {now-1h}" },
      { at = "3s", client = "plum", to = "Campbell", send = "WHATSAT kiwi 10 5" },
    ]
"#;

fn run(scenario: &str) -> Trace {
    run_with(&Simulator::default(), scenario)
}

fn run_with(simulator: &Simulator, scenario: &str) -> Trace {
    let (scenario, _) = Scenario::parse("test.toml", scenario, None).expect("a right scenario");
    simulator.run_once(&scenario).expect("it runs")
}

/// The run in which `server` makes a mistake, and the invariants that it violates.
fn mistaken(mistake: Mistake, server: &str, scenario: &str) -> (Trace, Vec<Invariant>) {
    let simulator = Simulator::default().with_mistake(mistake.made_by(server));
    let trace = run_with(&simulator, scenario);
    let broken = trace
        .judgements
        .iter()
        .filter(|judgement| !judgement.passed)
        .filter_map(|judgement| judgement.invariant)
        .collect();
    (trace, broken)
}

fn violations(invariant: Invariant, trace: &Trace) -> Vec<Violation> {
    invariant.violations(&Run {
        header: &trace.header,
        herd: &trace.herd,
        events: &trace.events,
        until_quiet: true,
        patience: Some(Patience {
            heartbeat: 2_000_000_000,
            hello: 2_000_000_000,
            resend: Some(200_000_000),
        }),
        rules: None,
        census: &[],
    })
}

/// A violation's words, and each of its events as `Riley hears IAMAT kiwi …`.
fn told(trace: &Trace, violation: &Violation) -> (String, Vec<String>) {
    let events = violation.events.iter().map(|&id| tell(trace, id));
    (violation.what.clone(), events.collect())
}

fn tell(trace: &Trace, id: EventId) -> String {
    let event = find(trace, id);
    let what = match &event.what {
        EventKind::LineIn { line, .. } => format!("hears {}", escape(&line.0)),
        EventKind::LineOut { line, .. } => format!("says {}", escape(&line.0)),
        EventKind::Accepted { record, hops, .. } => {
            format!("accepts {} with hops {hops}", escape(&record.text()))
        }
        EventKind::LinkUp { peer, .. } => format!("is linked with {peer}"),
        EventKind::Closed { .. } => "closes".to_owned(),
        other => format!("{other:?}"),
    };
    format!("{} {what}", event.who.name())
}

fn find(trace: &Trace, id: EventId) -> &Event {
    let event = trace.events.iter().find(|event| event.id == id);
    event.expect("a violation names events of its trace")
}

/// The index of the first event for which `is_it` is true.
fn position(trace: &Trace, is_it: impl Fn(&Event) -> bool) -> usize {
    let found = trace.events.iter().position(is_it);
    found.expect("there is one")
}

fn is_at(event: &Event, server: &str) -> bool {
    matches!(&event.who, Actor::Server(name) if **name == *server)
}

fn accepts(event: &Event, server: &str) -> bool {
    is_at(event, server) && matches!(event.what, EventKind::Accepted { .. })
}

fn answers(event: &Event, server: &str, beginning: &[u8]) -> bool {
    is_at(event, server)
        && matches!(&event.what, EventKind::LineOut { line, .. } if line.0.starts_with(beginning))
}

/// Replaces text in the line of an event.
fn rewrite(event: &mut Event, from: &str, to: &str) {
    let (EventKind::LineIn { line, .. } | EventKind::LineOut { line, .. }) = &mut event.what else {
        panic!("no line: {event:?}");
    };
    let text = std::str::from_utf8(&line.0).expect("UTF-8");
    assert!(text.contains(from), "{text}");
    *line = Text(text.replace(from, to).into_bytes().into());
}

/// `trace` with a copy of the event at `of` inserted at `at`. Later events keep their causes.
fn repeated(mut trace: Trace, of: usize, at: usize) -> Trace {
    let copy = trace.events[of].clone();
    trace.events.insert(at, copy);
    let number = |number: u64| EventId(NonZeroU64::new(number).expect("not zero"));
    let moved = |id: EventId| number(id.0.get() + u64::from(id.0.get() > at as u64));
    for (index, event) in trace.events.iter_mut().enumerate() {
        event.id = number(index as u64 + 1);
        event.cause = event.cause.map(moved);
    }
    trace
}

fn only(invariant: Invariant, trace: &Trace) -> (String, Vec<String>) {
    let found = violations(invariant, trace);
    let [one] = found.as_slice() else {
        panic!("one violation of {invariant}, not {found:?}");
    };
    assert_eq!(one.invariant, invariant);
    told(trace, one)
}

#[test]
fn a_run_without_a_mistake_breaks_nothing() {
    let trace = run(KIWI);
    for invariant in Invariant::ALL {
        assert_eq!(violations(invariant, &trace), []);
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for invariant in Invariant::ALL {
        assert_eq!(invariant.to_string().parse(), Ok(invariant));
        let json = serde_json::to_string(&invariant).expect("JSON");
        assert_eq!(json, format!("\"{invariant}\""));
    }
    assert!("Agreement".parse::<Invariant>().is_err());
}

#[test]
fn a_second_answer_is_caught() {
    let (trace, broken) = mistaken(Mistake::AnswersTwice, "Juzang", KIWI);
    assert_eq!(broken, [Invariant::AnsweredOnceInOrder]);
    let (what, events) = only(Invariant::AnsweredOnceInOrder, &trace);
    assert!(
        what.starts_with(
            "Juzang sends an answer without a request: AT Juzang +3600.005000000 kiwi"
        ),
        "{what}"
    );
    assert_eq!(events.len(), 1);
    // If another line follows on the same connection, the second answer is not taken for its
    // answer.
    let (trace, _) = mistaken(Mistake::AnswersTwice, "Riley", KIWI);
    let found = violations(Invariant::AnsweredOnceInOrder, &trace);
    let (what, events) = told(&trace, &found[0]);
    assert!(
        what.starts_with("Riley sends an answer without a request"),
        "{what}"
    );
    assert_eq!(events.len(), 1);
}

#[test]
fn an_iamat_that_is_answered_before_it_is_stored_is_caught() {
    let (trace, broken) = mistaken(Mistake::AnswersFirst, "Riley", KIWI);
    // The update was not accepted before the answer either, which violates the second invariant.
    let wanted = [
        Invariant::AnsweredOnceInOrder,
        Invariant::AnswersAsOfTheirLine,
    ];
    assert_eq!(broken, wanted);
    let (what, events) = only(Invariant::AnsweredOnceInOrder, &trace);
    assert!(
        what.starts_with("Riley answers `IAMAT kiwi +34-118 ")
            && what.ends_with(" and has not stored it"),
        "{what}"
    );
    assert!(events[1].starts_with("Riley says AT Riley"), "{events:?}");
}

#[test]
fn a_line_that_is_never_answered_is_caught() {
    let (trace, broken) = mistaken(Mistake::RefusesInSilence, "Riley", KIWI);
    assert_eq!(broken, [Invariant::AnsweredOnceInOrder]);
    let (what, events) = only(Invariant::AnsweredOnceInOrder, &trace);
    assert_eq!(
        what,
        "Riley closes the connection and leaves `hello` unanswered"
    );
    assert_eq!(events, ["Riley hears hello", "Riley closes"]);
}

#[test]
fn answers_in_another_order_or_to_another_line_are_caught() {
    let mut trace = run(KIWI);
    let (first, second) = (
        position(&trace, |event| answers(event, "Riley", b"AT Riley")),
        position(&trace, |event| answers(event, "Riley", b"? hello")),
    );
    let late = trace.events[first].what.clone();
    let early = std::mem::replace(&mut trace.events[second].what, late);
    trace.events[first].what = early;
    let found = violations(Invariant::AnsweredOnceInOrder, &trace);
    let (what, events) = told(&trace, &found[0]);
    assert!(
        what.starts_with("Riley answers `IAMAT kiwi +34-118 ") && what.ends_with("`? hello`"),
        "{what}"
    );
    assert_eq!(events[1], "Riley says ? hello");

    // The location, the skew, the server, the id and the verb are each checked.
    for (from, to) in [
        ("+34-118", "+34-119"),
        ("+0.005000000", "0.005000000"),
        ("AT Riley", "AT Jaquez"),
        ("kiwi", "plum"),
        ("AT Riley", "? AT Riley"),
    ] {
        let mut trace = run(KIWI);
        rewrite(&mut trace.events[first], from, to);
        let found = violations(Invariant::AnsweredOnceInOrder, &trace);
        // The client receives another answer than the altered one, which is the second violation.
        assert_eq!(found.len(), 2, "{from} to {to}: {found:?}");
    }
}

#[test]
fn an_answer_to_a_whatsat_is_what_the_server_holds() {
    for (from, to) in [("AT Riley", "AT Jaquez"), ("kiwi", "plum"), ("AT ", "? ")] {
        let mut trace = run(KIWI);
        let answer = position(&trace, |event| answers(event, "Campbell", b"AT Riley +"));
        let answer = answer.max(position(&trace, |event| {
            is_at(event, "Campbell")
                && matches!(&event.what, EventKind::LineOut { line, .. } if line.0.contains(&b'{'))
        }));
        rewrite(&mut trace.events[answer], from, to);
        let found = violations(Invariant::AnswersAsOfTheirLine, &trace);
        let (_, events) = told(&trace, &found[0]);
        assert!(events[0].starts_with("Campbell accepts "), "{events:?}");
        assert_eq!(events[1], "Campbell hears WHATSAT kiwi 10 5");
        // Another server's record of the client would be an answer that fits, too.
        let found = violations(Invariant::AnsweredOnceInOrder, &trace);
        let answers = found
            .iter()
            .filter(|found| found.what.starts_with("Campbell"));
        assert_eq!(answers.count(), usize::from(to != "AT Jaquez"), "{found:?}");
    }
}

#[test]
fn what_a_client_hears_is_what_its_server_wrote() {
    let mut trace = run(KIWI);
    let heard = position(
        &trace,
        |event| matches!((&event.who, &event.what), (Actor::Client(_), EventKind::LineIn { line, .. }) if *line.0 == *b"? hello"),
    );
    rewrite(&mut trace.events[heard], "hello", "hallo");
    let (what, events) = only(Invariant::AnsweredOnceInOrder, &trace);
    assert_eq!(what, "kiwi hears what no server wrote so: ? hallo");
    assert_eq!(events, ["Riley says ? hello", "kiwi hears ? hallo"]);
}

#[test]
fn only_a_connection_that_was_cut_excuses_silence() {
    let silent = |why: CloseReason| {
        let mut trace = run(KIWI);
        let answer = position(&trace, |event| answers(event, "Riley", b"? hello"));
        let answered = trace.events.remove(answer);
        let heard = answered.cause;
        let EventKind::LineOut { conn: its, .. } = answered.what else {
            panic!("{answered:?}");
        };
        let closed = position(&trace, |event| {
            let is_its = matches!(event.what, EventKind::Closed { conn, .. } if conn == its);
            is_at(event, "Riley") && is_its
        });
        if let EventKind::Closed { why: told, .. } = &mut trace.events[closed].what {
            *told = why;
        }
        // The client received nothing then.
        trace.events.retain(|event| {
            !matches!((&event.who, &event.what), (Actor::Client(_), EventKind::LineIn { line, .. }) if *line.0 == *b"? hello")
        });
        assert!(heard.is_some());
        violations(Invariant::AnsweredOnceInOrder, &trace).len()
    };
    assert_eq!(silent(CloseReason::Ended), 1);
    assert_eq!(silent(CloseReason::Failed("connection reset".into())), 0);
}

#[test]
fn a_server_that_goes_back_in_time_is_caught() {
    let (trace, broken) = mistaken(Mistake::TakesOlder, "Juzang", KIWI);
    assert!(broken.contains(&Invariant::NeverBackInTime), "{broken:?}");
    let found = violations(Invariant::NeverBackInTime, &trace);
    let (what, events) = told(&trace, &found[0]);
    assert!(
        what.starts_with("Juzang goes back from Riley +0.005000000 kiwi +34-118 "),
        "{what}"
    );
    assert!(
        events[0].starts_with("Juzang accepts Riley +0.005000000 kiwi +34-118"),
        "{events:?}"
    );
    assert!(
        events[1].starts_with("Juzang accepts Juzang +3600.005000000 kiwi +35-118"),
        "{events:?}"
    );
}

#[test]
fn the_order_of_records_with_the_same_time_is_not_taken_from_the_servers() {
    // With the same time, a smaller location, a smaller spelling of the time or a greater skew must
    // not replace the record, whatever the server decides.
    for second in [
        "IAMAT kiwi +33-118 5.5",
        "IAMAT kiwi +34-118 05.50",
        "IAMAT kiwi +34-118 5.50",
    ] {
        let scenario = format!(
            r#"
            title = "a test"
            herd = "riley"
            steps = [
              {{ at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 5.50" }},
              {{ at = "2s", client = "kiwi", to = "Juzang", send = "{second}" }},
            ]"#
        );
        let (trace, broken) = mistaken(Mistake::TakesOlder, "Juzang", &scenario);
        assert!(broken.contains(&Invariant::NeverBackInTime), "{second}");
        let found = violations(Invariant::NeverBackInTime, &trace);
        assert!(
            found[0].what.starts_with("Juzang goes back from Riley "),
            "{found:?}"
        );
        assert_eq!(violations(Invariant::NeverBackInTime, &run(&scenario)), []);
    }
}

#[test]
fn a_newer_record_that_is_turned_away_is_caught() {
    // As binary floating-point numbers, both times are equal.
    let scenario = r#"
        title = "a test"
        herd = "riley"
        steps = [
          { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +35-118 1621464827.959498502" },
          { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 1621464827.959498503" },
        ]"#;
    let (trace, broken) = mistaken(Mistake::ComparesFloats, "Riley", scenario);
    // The update that was answered was not stored, either.
    let wanted = [Invariant::AnsweredOnceInOrder, Invariant::NeverBackInTime];
    assert_eq!(broken, wanted);
    let (what, events) = only(Invariant::NeverBackInTime, &trace);
    assert!(
        what.starts_with("Riley has Riley ") && what.contains(" and turns away Riley "),
        "{what}"
    );
    assert_eq!(events.len(), 2);
    // A server that ignores updates by its own clock holds nothing that is newer.
    let (trace, _) = mistaken(
        Mistake::AsksItsClock,
        "Riley",
        &KIWI.replace("{now}", "{now+1h}"),
    );
    let found = violations(Invariant::NeverBackInTime, &trace);
    let (what, events) = told(&trace, &found[0]);
    assert!(
        what.starts_with("Riley has nothing of the client and turns away Riley -3599"),
        "{what}"
    );
    assert_eq!(events.len(), 1);
}

#[test]
fn a_server_that_starts_again_may_know_less() {
    let scenario = KIWI.replace(
        "{ at = \"2s\"",
        "{ at = \"1500ms\", crash = \"all\" }, { at = \"1600ms\", restart = \"all\" }, { at = \"5s\"",
    );
    let scenario = scenario.replace("at = \"3s\"", "at = \"8s\"");
    let trace = run(&scenario);
    assert_eq!(trace.verdict().failed, 0, "{:?}", trace.judgements);
    let older = (trace.events.iter())
        .filter(|event| accepts(event, "Juzang"))
        .count();
    assert_eq!(older, 2, "it took the older one in");
}

#[test]
fn hops_that_nobody_counted_are_caught() {
    let (trace, broken) = mistaken(Mistake::CountsHopsTwice, "Jaquez", KIWI);
    assert_eq!(broken, [Invariant::NothingInvented]);
    let (what, events) = only(Invariant::NothingInvented, &trace);
    assert!(
        what.starts_with("Jaquez holds Riley +0.005000000 kiwi")
            && what.ends_with("with hops 1 and sends it to Bernard with hops 3"),
        "{what}"
    );
    assert!(events[0].starts_with("Jaquez accepts"), "{events:?}");
    assert!(events[1].ends_with(" 3"), "{events:?}");
}

#[test]
fn an_update_that_was_altered_is_caught_at_each_step() {
    let altered = |at: &str, change: &dyn Fn(&mut Event)| {
        let mut trace = run(KIWI);
        let event = position(&trace, |event| match at {
            "accepts" => accepts(event, "Bernard"),
            "origin" => accepts(event, "Riley"),
            "says" => answers(event, "Jaquez", b"AT "),
            other => panic!("{other}"),
        });
        change(&mut trace.events[event]);
        let found = violations(Invariant::NothingInvented, &trace);
        assert!(!found.is_empty(), "{at}");
        told(&trace, &found[0]).0
    };
    let place = |event: &mut Event| match &mut event.what {
        EventKind::Accepted { record, .. } => record.location = Text(b"+0+0"[..].into()),
        _ => rewrite(event, "+34-118", "+0+0"),
    };
    let what = altered("origin", &place);
    assert!(what.ends_with(", which no client sent"), "{what}");
    let what = altered("accepts", &place);
    assert!(
        what.contains(", but Jaquez sent `AT Riley")
            || what.contains(", but Juzang sent `AT Riley"),
        "{what}"
    );
    let what = altered("says", &place);
    assert!(
        what.starts_with("Jaquez holds Riley") && what.contains("+0+0"),
        "{what}"
    );
    let what = altered("accepts", &|event| {
        if let EventKind::Accepted { from, .. } = &mut event.what {
            *from = Source::Server("Campbell".into());
        }
    });
    assert!(what.ends_with(", which Campbell did not tell it"), "{what}");
    let what = altered("accepts", &|event| event.cause = None);
    assert!(what.ends_with(", which nobody sent to it"), "{what}");
    let what = altered("origin", &|event| {
        if let EventKind::Accepted { record, .. } = &mut event.what {
            record.origin = Text(b"Juzang"[..].into());
        }
    });
    assert!(
        what.ends_with("as if another server had heard it"),
        "{what}"
    );
}

#[test]
fn news_that_goes_back_to_whom_it_came_from_is_caught() {
    let (trace, broken) = mistaken(Mistake::TellsBack, "Jaquez", KIWI);
    assert_eq!(broken, [Invariant::SendsBounded]);
    let (what, events) = only(Invariant::SendsBounded, &trace);
    assert!(
        what.starts_with("Jaquez sends Riley +0.005000000 kiwi")
            && what.ends_with("back to Riley, where it came from"),
        "{what}"
    );
    assert!(
        events[0].starts_with("Jaquez accepts") && events[1].starts_with("Jaquez says AT"),
        "{events:?}"
    );
}

#[test]
fn news_that_is_told_twice_over_one_link_is_caught() {
    let trace = run(KIWI);
    let sent = position(&trace, |event| answers(event, "Jaquez", b"AT "));
    let trace = repeated(trace, sent, sent + 1);
    let (what, events) = only(Invariant::SendsBounded, &trace);
    assert!(
        what.ends_with("to Bernard again over the same link"),
        "{what}"
    );
    assert_eq!((events.len(), &events[0]), (2, &events[1]));
}

#[test]
fn what_is_told_to_synchronise_is_no_flood() {
    let text = std::fs::read_to_string("scenarios/juzang-comes-back.toml").expect("it is shipped");
    let trace = run(&text);
    assert_eq!(violations(Invariant::SendsBounded, &trace), []);
    // Campbell sends Juzang again what Juzang had sent it before the crash. Without Juzang's
    // request this would be a violation.
    let sent = position(&trace, |event| {
        let cause = event.cause.and_then(|cause| trace.event(cause));
        let cause = cause.map(|cause| &cause.what);
        answers(event, "Campbell", b"HAVE Juzang ")
            && matches!(cause, Some(EventKind::LineIn { line, .. }) if line.0.starts_with(b"DIGEST"))
    });
    let mut unasked = trace.clone();
    unasked.events[sent].cause = None;
    let (what, _) = only(Invariant::SendsBounded, &unasked);
    assert!(
        what.ends_with("back to Juzang, where it came from"),
        "{what}"
    );
}

#[test]
fn servers_that_hold_different_records_are_caught() {
    let (trace, broken) = mistaken(Mistake::IgnoresNeighbours, "Campbell", KIWI);
    assert_eq!(broken, [Invariant::Agreement]);
    let judged = (trace.judgements.iter()).find(|judgement| !judgement.passed);
    let judged = judged.expect("it is broken");
    assert_eq!(
        judged.about,
        "agreement: at the end, servers that can reach each other hold the same records"
    );
    let expected = "Riley and Campbell differ; Jaquez and Campbell differ; \
                    Juzang and Campbell differ; Campbell and Bernard differ";
    assert_eq!(judged.actual, expected);
    for &event in &judged.events {
        let what = tell(&trace, event);
        assert!(what.contains("accepts Riley +0.005000000 kiwi"), "{what}");
    }
    assert_eq!(judged.events.len(), 4);
}

#[test]
fn a_link_that_is_never_synchronised_is_caught() {
    let (trace, broken) = mistaken(Mistake::NeverSynced, "Bernard", KIWI);
    assert_eq!(broken, [Invariant::NothingWaits]);
    let found = violations(Invariant::NothingWaits, &trace);
    let (what, events) = told(&trace, &found[0]);
    assert_eq!(what, "Bernard is not synchronised with Jaquez");
    assert_eq!(events, ["Bernard is linked with Jaquez"]);
    // Bernard's three links, each from both ends.
    assert_eq!(found.len(), 6);
}

#[test]
fn a_link_that_is_down_is_caught() {
    let mut trace = run(KIWI);
    trace.events.retain(|event| {
        !(is_at(event, "Riley")
            && matches!(
                event.what,
                EventKind::LinkUp { .. } | EventKind::Synchronised { .. }
            ))
    });
    let found = violations(Invariant::NothingWaits, &trace);
    let whats: Vec<&str> = found.iter().map(|found| found.what.as_str()).collect();
    assert_eq!(
        whats,
        [
            "Riley never had a link with Jaquez",
            "Riley never had a link with Juzang"
        ]
    );
}

#[test]
fn a_client_that_waits_at_the_end_is_caught() {
    let trace = run(&KIWI.replace("steps", "end = \"3013ms\"\nsteps"));
    let found = violations(Invariant::NothingWaits, &trace);
    let [one] = found.as_slice() else {
        panic!("{found:?}");
    };
    let (what, events) = told(&trace, one);
    assert_eq!(
        what,
        "plum still waits for an answer to `WHATSAT kiwi 10 5`"
    );
    assert_eq!(events, ["plum says WHATSAT kiwi 10 5"]);
}

#[test]
fn an_invariant_that_is_switched_off_is_not_judged_and_said_to_be() {
    let without = KIWI.replace("steps", "without = [\"agreement\"]\nsteps");
    let (trace, broken) = mistaken(Mistake::IgnoresNeighbours, "Campbell", &without);
    assert_eq!(broken, []);
    let lines = crate::report::judgements(&trace);
    assert!(lines.contains(&"off     invariants: agreement".to_owned()));
    let held = "passed  invariants: answered-once-in-order, answers-as-of-their-line, skew-is-right, \
                never-back-in-time, nothing-invented, sends-bounded, links-fail-for-a-reason, \
                graceful-stop-loses-nothing, durable, nothing-waits, reconciliation-bounded, limits-hold, \
                deadlines-hold, nothing-is-left, answers-of-their-kind, told-as-sent, read-your-writes, monotonic-reads, convergent-reads";
    assert!(lines.contains(&held.to_owned()), "{lines:?}");
    let read = Trace::from_json_lines(&trace.to_json_lines()).expect("readable");
    assert_eq!(read[0].header, trace.header);
    assert_eq!(read[0].judgements, trace.judgements);
}

#[test]
fn no_more_violations_are_told_than_can_be_read() {
    let (trace, _) = mistaken(Mistake::NeverSynced, "Bernard", KIWI);
    let broken = (trace.judgements.iter())
        .find(|judgement| judgement.invariant == Some(Invariant::NothingWaits))
        .expect("it is judged");
    assert!(broken.actual.ends_with("; and 1 more"), "{broken:?}");
    assert_eq!(broken.events.len(), 5);
}
