//! What servers still have at a quiet end: by mistakes that leak, and by counts that a test alters.

use super::*;
use crate::trace::invariants::{Census, OwnCensus};

/// A client asks twice, on a connection each.
const ASKED: &str = r#"
    title = "a test"
    herd = "riley"
    steps = [
      { at = "1s", client = "kiwi", to = "Riley", send = ["IAMAT kiwi +34-118 {now}", "WHATSAT kiwi 10 5"] },
      { at = "2s", client = "plum", to = "Riley", send = "WHATSAT kiwi 10 5" },
    ]
"#;

#[test]
fn a_task_that_goes_on_after_its_connection_is_caught() {
    let (trace, broken) = mistaken(Mistake::KeepsTasks, "Riley", ASKED);
    assert_eq!(broken, [Invariant::NothingIsLeft]);
    let judgement = trace.judgements.iter().find(|it| !it.passed);
    let judgement = judgement.expect("one failed");
    assert_eq!(
        judgement.actual,
        "Riley has 7 tasks, which should be 5; Riley has 4 streams, which should be 2"
    );
    assert_eq!(judgement.events.len(), 1);
}

#[test]
fn a_look_up_that_is_never_over_is_caught() {
    let (trace, broken) = mistaken(Mistake::KeepsLookUps, "Riley", ASKED);
    assert_eq!(broken, [Invariant::NothingIsLeft]);
    let judgement = trace.judgements.iter().find(|it| !it.passed);
    let judgement = judgement.expect("one failed");
    assert_eq!(judgement.actual, "Riley still has look-ups: 2");
}

/// What is wrong in a run at whose end Riley has this.
fn wrong(trace: &Trace, until_quiet: bool, census: &Census) -> Vec<String> {
    let violations = Invariant::NothingIsLeft.violations(&Run {
        header: &trace.header,
        herd: &trace.herd,
        events: &trace.events,
        until_quiet,
        patience: None,
        rules: None,
        census: std::slice::from_ref(census),
    });
    violations
        .into_iter()
        .map(|violation| violation.what)
        .collect()
}

/// As many as Riley should have: a task for itself, for each listener and each of two neighbours,
/// and, as it dials both, two streams and no task for these.
fn quiet() -> Census {
    Census {
        server: "Riley".into(),
        tasks: 5,
        streams: 2,
        to_places: 0,
        own: OwnCensus {
            lasting_tasks: 5,
            ..OwnCensus::default()
        },
    }
}

type Edit = fn(&mut Census);

#[test]
fn each_count_is_compared() {
    let trace = run(ASKED);
    assert_eq!(wrong(&trace, true, &quiet()), [""; 0]);
    let edits: [(Edit, &str); 6] = [
        (
            |census| census.tasks = 6,
            "Riley has 6 tasks, which should be 5",
        ),
        (
            |census| census.streams = 3,
            "Riley has 3 streams, which should be 2",
        ),
        (
            |census| census.own.look_ups = 1,
            "Riley still has look-ups: 1",
        ),
        (
            |census| census.own.waiting = 1,
            "Riley still has lines and records for its links: 1",
        ),
        (
            |census| census.own.queries = 1,
            "Riley still has queries to its neighbours: 1",
        ),
        (
            |census| census.own.permits = 1,
            "Riley still has permits of busy connections: 1",
        ),
    ];
    for (edit, what) in edits {
        let mut census = quiet();
        edit(&mut census);
        assert_eq!(wrong(&trace, true, &census), [what]);
        assert_eq!(wrong(&trace, false, &census), [""; 0]);
    }
    // Connections to Places have tasks, and so have requests.
    let mut census = quiet();
    (census.tasks, census.to_places, census.own.tasks_of_places) = (7, 1, 1);
    assert_eq!(wrong(&trace, true, &census), [""; 0]);
}

#[test]
fn what_waits_for_a_link_that_can_carry_nothing_may_wait() {
    let mut trace = run(ASKED);
    let mut census = quiet();
    (census.own.waiting, census.own.queries) = (1, 1);
    assert_eq!(wrong(&trace, true, &census).len(), 2);
    let dies = trace.events.last().expect("some").clone();
    trace.events.push(Event {
        id: EventId(NonZeroU64::new(trace.events.len() as u64 + 1).expect("not zero")),
        who: Actor::Server("Juzang".into()),
        cause: None,
        what: EventKind::PoweredOff,
        ..dies
    });
    assert_eq!(wrong(&trace, true, &census), [""; 0]);
}
