use super::html::policy_hash;
use super::messages::Class;
use super::model::Run;
use super::{SCRIPT, STYLE, ShownRun, page};
use crate::journal::{Actor, ConnId, End, Event, EventId, EventKind, PeerRole};
use crate::scenario::Scenario;
use crate::sim;
use crate::trace::Trace;
use crate::trace::propagation::Use;

fn ran(name: &str) -> Trace {
    let (scenario, _) = Scenario::load(format!("scenarios/{name}.toml")).unwrap();
    sim::run_once(&scenario).unwrap()
}

fn run(trace: &Trace) -> Run {
    Run::of(trace, "a.toml", "herd run a.toml")
}

/// The page's sentences about the first update.
fn sentences(trace: &Trace) -> Vec<String> {
    let run = run(trace);
    let sentences = run.updates[0].sentences.iter();
    sentences.map(|at| run.texts[*at].clone()).collect()
}

fn shown(trace: Trace) -> ShownRun {
    ShownRun {
        trace,
        source: "a.toml".to_owned(),
        command: "herd run a.toml".to_owned(),
    }
}

/// A trace with exactly these events.
fn with_events(events: Vec<Event>) -> Trace {
    let mut trace = ran("juzang-goes-down");
    (trace.updates, trace.judgements) = (Vec::new(), Vec::new());
    trace.events = events;
    trace
}

#[test]
fn a_page_has_every_event_and_every_line_of_the_trace() {
    for name in [
        "all-up",
        "juzang-goes-down",
        "faults/partition",
        "places/places-bad-days",
        "peers/says-nonsense",
    ] {
        let trace = ran(name);
        let run = run(&trace);
        let lines = |wanted: fn(&EventKind<'_>) -> bool| {
            trace
                .events
                .iter()
                .filter(|event| wanted(&event.what))
                .count()
        };
        let said = lines(|what| matches!(what, EventKind::LineOut { .. }));
        let heard = lines(|what| matches!(what, EventKind::LineIn { .. }));
        let messages = &run.messages;
        let of_places = |class: usize| messages.classes[class] == Class::Places;
        let counted = |heard_only: bool| {
            let all = messages.class.iter().zip(&messages.heard);
            all.filter(|(class, heard)| !of_places(**class) && (**heard > 0 || !heard_only))
                .count()
        };
        assert_eq!(run.events.at.len(), trace.events.len(), "{name}");
        assert_eq!((counted(false), counted(true)), (said, heard), "{name}");
    }
}

#[test]
fn messages_are_of_the_use_that_the_trace_says() {
    let trace = ran("faults/partition");
    let messages = run(&trace).messages;
    for (index, update) in trace.updates.iter().enumerate() {
        let count = |class: Class| {
            let carried = messages.update.iter().zip(&messages.class);
            carried
                .filter(|(update, of)| {
                    **update == i64::try_from(index).unwrap() && messages.classes[**of] == class
                })
                .count()
        };
        assert_eq!(count(Class::Useful), update.count(Use::Useful));
        assert_eq!(count(Class::Duplicate), update.count(Use::Duplicate));
        assert_eq!(count(Class::Lost), update.count(Use::Lost));
        assert!(count(Class::Useful) > 0, "nothing was compared");
    }
}

/// What is said by hand is a line between servers, and no request and answer of a client.
#[test]
fn messages_of_a_peer_are_those_of_a_server() {
    let trace = ran("peers/older-protocol");
    let messages = run(&trace).messages;
    let class_of = |beginning: &str| {
        let sent = trace.events.iter().find(|event| match &event.what {
            EventKind::LineOut { line, .. } => line.0.starts_with(beginning.as_bytes()),
            _ => false,
        });
        let number = sent.expect("it is said").id.0.get();
        let at = messages.sent.iter().position(|sent| *sent == number);
        messages.classes[messages.class[at.expect("it is shown")]]
    };
    assert_eq!(class_of("AT Riley"), Class::Useful);
    assert_eq!(class_of("HELLO 1 riley Juzang"), Class::Sync);
    assert_eq!(class_of("PING"), Class::Heartbeat);
    assert_eq!(class_of("IAMAT kiwi"), Class::Request);
}

#[test]
fn sentences_say_why_campbell_took_three_hops_and_where_duplicates_were() {
    let down = sentences(&ran("juzang-goes-down"));
    assert_eq!(
        down[0],
        "Campbell has it after 3 hops (60ms): Riley → Jaquez → Bernard → Campbell, because Juzang was down."
    );
    assert!(down.contains(&"Juzang never has it: it was down.".to_owned()));
    let all_up = sentences(&ran("all-up"));
    assert_eq!(
        all_up.last().unwrap(),
        "8 messages between servers: 4 useful, 4 duplicates (Bernard ↔ Campbell, Bernard ↔ Juzang)."
    );
}

#[test]
fn the_herd_coming_up_ends_with_its_last_synchronisation() {
    let trace = ran("juzang-goes-down");
    let (event, words) = run(&trace).came_up;
    assert_eq!(words, "5 servers up, 6 links synchronised");
    let at = trace.events.iter().position(|it| it.id.0.get() == event);
    let (last, rest) = (&trace.events[at.unwrap()], &trace.events[at.unwrap() + 1..]);
    assert!(matches!(last.what, EventKind::Synchronised { .. }));
    let crash = rest
        .iter()
        .position(|it| it.what == EventKind::Crashed)
        .unwrap();
    let synchronised = |it: &Event| matches!(it.what, EventKind::Synchronised { .. });
    assert!(!rest[..crash].iter().any(synchronised));
}

#[test]
fn faults_have_a_beginning_and_an_end() {
    let down = run(&ran("juzang-goes-down")).faults;
    assert_eq!(down.len(), 1);
    assert_eq!((down[0].from, down[0].to), (1_000_000_000, None));
    assert_eq!(down[0].label, "Juzang is down: it crashed");
    let cut = run(&ran("faults/partition")).faults;
    assert_eq!(cut.len(), 1);
    assert_eq!(
        (cut[0].from, cut[0].to),
        (1_000_000_000, Some(3_000_000_000))
    );
    let slow = run(&ran("faults/slow")).faults;
    assert_eq!(slow.len(), 1);
    assert!(slow[0].pairs.len() == 1, "{slow:?}");
}

#[test]
fn the_same_trace_gives_the_same_page() {
    let trace = ran("faults/partition");
    let pages = [(); 2].map(|()| page(&[shown(trace.clone())]));
    assert!(pages[0] == pages[1]);
    let read = Trace::from_json_lines(&trace.to_json_lines()).unwrap();
    assert!(
        page(&[shown(read[0].clone())]) == pages[0],
        "a trace that was read gives another page"
    );
}

#[test]
fn a_page_allows_its_own_code_and_nothing_else() {
    let html = page(&[shown(ran("all-up"))]);
    for text in [SCRIPT, STYLE] {
        assert!(html.contains(&policy_hash(text)));
        assert!(html.contains(text));
        assert!(
            !text.contains("{{") && !text.contains("</s"),
            "it would end early"
        );
    }
    assert!(html.contains("default-src 'none'"));
    for word in ["http://", "https://", "<link", "@import", "url("] {
        let rest = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!rest.contains(word), "the page asks for something: {word}");
    }
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
    ] {
        assert!(
            !SCRIPT.contains(way),
            "text could become more than text: {way}"
        );
    }
}

#[test]
fn a_hostile_name_stays_text() {
    let hostile = "</script><script>alert(1)</script><!--<img/src=x>\"'&{{model}}";
    let mut trace = ran("all-up");
    trace.header.title = hostile.to_owned();
    trace.header.about = Some(hostile.to_owned());
    trace.updates[0].name = hostile.to_owned();
    trace.judgements[0].about = hostile.to_owned();
    let last = trace.events.len();
    trace.events.push(event(
        last + 1,
        Actor::Client(hostile.into()),
        EventKind::Stopped,
    ));
    let html = page(&[ShownRun {
        source: hostile.to_owned(),
        ..shown(trace)
    }]);
    let plain = page(&[shown(ran("all-up"))]);
    for tag in ["<script", "</script", "<img", "<!--", "</style"] {
        assert_eq!(
            html.matches(tag).count(),
            plain.matches(tag).count(),
            "{tag}"
        );
    }
    let model = html.split("id=\"model\">").nth(1).unwrap();
    let model = model.split("</script>").next().unwrap();
    let model: serde_json::Value = serde_json::from_str(model).unwrap();
    assert_eq!(model[0]["title"], hostile);
    assert_eq!(model[0]["updates"][0]["name"], hostile);
}

#[test]
fn a_trace_with_nothing_or_with_one_event_has_a_page() {
    for events in [
        Vec::new(),
        vec![event(1, Actor::Server("Riley".into()), EventKind::Stopped)],
    ] {
        let trace = with_events(events);
        let run = run(&trace);
        assert_eq!(run.events.at.len(), trace.events.len());
        assert!(run.messages.sent.is_empty());
        assert!(page(&[shown(trace)]).contains("id=\"model\""));
    }
}

#[test]
fn what_no_run_can_have_is_shown_as_well_as_it_can_be() {
    let line = |number, cause: Option<u64>| Event {
        cause: cause.and_then(|cause| Some(EventId(std::num::NonZeroU64::new(cause)?))),
        ..event(
            number,
            Actor::Server("Nobody".into()),
            EventKind::LineOut {
                conn: ConnId(9),
                line: b"AT x"[..].into(),
            },
        )
    };
    let opened = EventKind::Opened {
        conn: ConnId(9),
        end: End::Dialler,
        with: PeerRole::Server("Nowhere".into()),
    };
    // A server outside the herd, a cause that comes later, and time that runs backwards.
    let mut late = line(3, Some(2));
    late.at = 0;
    let trace = with_events(vec![
        line(1, Some(3)),
        event(2, Actor::Server("Nobody".into()), opened),
        late,
    ]);
    let run = run(&trace);
    assert_eq!(run.servers().count(), 6);
    assert_eq!(run.events.cause, [0, 0, 1]);
    assert_eq!(run.events.at, [1, 1, 0]);
    assert_eq!(run.messages.to, [-1, -1]);
}

fn event(number: usize, who: Actor, what: EventKind<'static>) -> Event {
    let id = u64::try_from(number)
        .ok()
        .and_then(std::num::NonZeroU64::new);
    Event {
        id: EventId(id.unwrap()),
        at: number as u64,
        who,
        cause: None,
        what,
    }
}
