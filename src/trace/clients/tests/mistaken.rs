//! Servers that make mistakes, and true servers whose answers a test altered on their way to clients.

use super::*;
use crate::node::mistakes::Mistake;
use crate::sim::Simulator;
use crate::trace::invariants::Invariant;

/// Two updates of one client, the older one second and elsewhere; then everybody asks, twice.
const KIWI: &str = r#"
    title = "a test"
    herd = "riley"
    steps = [
      { at = "1s", client = "kiwi", to = "Riley", send = ["IAMAT kiwi +34-118 {now}", "hello"] },
      { at = "2s", client = "kiwi", to = "Juzang", send = "IAMAT kiwi +35-118 {now-1h}" },
      { at = "3s", client = "plum", to = "all", send = ["WHATSAT kiwi 10 5", "WHATSAT kiwi 10 5"] },
    ]
"#;

fn run(mistake: Option<(Mistake, &str)>) -> Trace {
    let (scenario, _) = Scenario::parse("test.toml", KIWI, None).expect("a right scenario");
    let simulator = Simulator::default();
    let simulator = match mistake {
        Some((mistake, server)) => simulator.with_mistake(mistake.made_by(server)),
        None => simulator,
    };
    simulator.run_once(&scenario).expect("it runs")
}

/// The rules that a run violates.
fn broken(trace: &Trace) -> Vec<Invariant> {
    let broken = trace
        .judgements
        .iter()
        .filter(|judgement| !judgement.passed);
    let broken = broken.filter_map(|judgement| judgement.invariant);
    broken
        .filter(|invariant| *invariant >= Invariant::AnswersOfTheirKind)
        .collect()
}

#[test]
fn mistakes_that_clients_see_are_found() {
    assert_eq!(broken(&run(None)), []);
    for (mistake, by, wanted) in [
        (
            Mistake::AnswersTwice,
            "Riley",
            vec![Invariant::AnswersOfTheirKind],
        ),
        (
            Mistake::IgnoresNeighbours,
            "Juzang",
            vec![Invariant::ConvergentReads],
        ),
        (
            Mistake::TakesOlder,
            "Juzang",
            vec![Invariant::ConvergentReads],
        ),
    ] {
        let trace = run(Some((mistake, by)));
        assert_eq!(broken(&trace), wanted, "{mistake:?}");
    }
}

/// What the rules find in a true run in which the answers to clients are replaced.
fn altered(alter: impl Fn(&str, usize, &str) -> Option<String>) -> [Vec<String>; 5] {
    let mut events = run(None).events;
    let mut heard = 0;
    for event in &mut events {
        if let (Actor::Client(client), EventKind::LineIn { line, .. }) =
            (&event.who, &mut event.what)
        {
            let text = String::from_utf8(line.0.to_vec()).expect("UTF-8");
            if let Some(text) = alter(client, heard, &text) {
                *line = RecordBytes(text.into_bytes()).into();
            }
            heard += 1;
        }
    }
    let conns = 0;
    Log { events, conns }.found()
}

#[test]
fn an_answer_that_is_altered_on_its_way_is_found() {
    let found = altered(|client, _, text| {
        (client == "plum").then(|| text.replacen("+34-118", "+34-117", 1))
    });
    assert_eq!(found.each_ref().map(Vec::len), [0, 10, 2, 0, 0]);
    // The second answer of each server, or the first of one.
    let found = altered(|client, heard, text| {
        let is_second = client == "plum" && heard == 12;
        is_second.then(|| text.replacen(" 16", " 15", 1))
    });
    assert_eq!(found.each_ref().map(Vec::len)[3..], [1, 1]);
}
