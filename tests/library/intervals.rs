//! From when to when something is wrong: for scenarios drawn at random, what the simulator does, what the trace says, what a
//! page draws and what the report says in words are held against a count of the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use proxy_herd::journal::{Actor, Event, EventKind};
use proxy_herd::report::faults::{Fault, FaultKind};
use proxy_herd::scenario::{self, Action, Clocked, Party, Route, Scenario};
use proxy_herd::sim;
use proxy_herd::trace::Trace;
use proxy_herd::view::model::Run;

const HERD: &str = r#"
name = "square"
servers = ["A", "B", "C", "D"]
links = ["A-B", "B-C", "C-D", "D-A"]
"#;

const HEADER: &str = r#"
title = "Whatever goes wrong"
herd = "square.toml"
client_latency = "5ms"
link_latency = "20ms"
end = "8s"
tick = "5ms"
without = ["nothing-waits"]
server = { heartbeat = "200ms" }
"#;

/// What a step can say, for one or two servers.
const WORDS: &[&str] = &[
    "partition = \"{link}\"",
    "partition = \"{link}\"",
    "partition_oneway = \"{link}\"",
    "partition = \"{server}\"",
    "partition = [\"A\", \"clients\"], from = [\"{other}\", \"C\"]",
    "heal = \"{link}\"",
    "heal = \"{link}\"",
    "heal = \"{server}\"",
    "heal = \"all\"",
    "slow = \"{link}\", latency = \"60ms\"",
    "slow = \"{server}\", latency = \"100ms\"",
    "slow = \"{link}\", latency = \"700ms\"",
    "slow = \"{server}\", latency = \"60ms..500ms\"",
    "slow = \"{link}\", latency = \"20ms\"",
    "slow = \"all\", latency = \"20ms\"",
    "slow = \"clients\", latency = \"50ms\"",
    "slow = \"clients\", latency = \"5ms\"",
    "sever = \"{link}\"",
    "crash = \"{server}\"",
    "restart = \"{server}\"",
    "power_off = \"{server}\"",
    "power_on = \"{server}\"",
    "freeze = \"{server}\"",
    "thaw = \"{server}\"",
    "refuse = \"{server}\"",
    "accept = \"{server}\"",
    "skew = \"{server}\", by = \"-3s\"",
    "skew = \"{server}\", by = \"0s\"",
];

/// A scenario of those of the steps that are right where they stand.
fn scenario(herd: &Path, drawn: &[(usize, usize)]) -> Scenario {
    let mut right = None;
    let mut steps = String::new();
    let mut at = 1000;
    for &(word, place) in drawn {
        let links = ["A-B", "B-C", "C-D", "D-A", "B-A", "C-B", "D-C", "A-D"];
        let servers = ["A", "B", "C", "D"];
        let step = (WORDS[word % WORDS.len()])
            .replace("{link}", links[place % links.len()])
            .replace("{server}", servers[place % servers.len()])
            .replace("{other}", ["B", "D"][place % 2]);
        let mut tried = steps.clone();
        let _ = writeln!(tried, "  {{ at = \"{at}ms\", {step} }},");
        let text = format!("{HEADER}\nsteps = [\n{tried}]\n");
        if let Ok((scenario, _)) = Scenario::parse("drawn.toml", &text, Some(herd)) {
            right = Some(scenario);
            steps = tried;
            at += 250;
        }
    }
    right.unwrap_or_else(|| panic!("the first step can always be done: {drawn:?}"))
}

/// Everything that is wrong at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wrong {
    cut: BTreeSet<(String, String)>,
    slow: BTreeSet<(String, String)>,
    down: BTreeSet<String>,
    frozen: BTreeSet<String>,
    refusing: BTreeSet<String>,
    skewed: BTreeSet<String>,
}

/// By a count of the steps: what is wrong behind each, from its moment on.
fn counted(scenario: &Scenario) -> Vec<(Duration, Wrong)> {
    let herd = &scenario.herd;
    let name = |party: Party| party.name(herd).to_string();
    let both = |(a, b): (Party, Party)| (name(a), name(b));
    let usual: BTreeMap<Route, _> = scenario.usual_latencies().collect();
    let mut cuts: BTreeMap<(String, String), i32> = BTreeMap::new();
    let mut now = Wrong::default();
    let mut all = Vec::new();
    for step in &scenario.steps {
        match &step.action {
            Action::Break(fault, parties) => {
                for &party in parties {
                    let set = match fault {
                        scenario::Fault::Crash | scenario::Fault::PowerOff => {
                            now.frozen.remove(&name(party));
                            now.refusing.remove(&name(party));
                            &mut now.down
                        }
                        scenario::Fault::Freeze => &mut now.frozen,
                        scenario::Fault::Refuse => &mut now.refusing,
                    };
                    set.insert(name(party));
                }
            }
            Action::Mend(fault, parties) => {
                let set = match fault {
                    scenario::Fault::Crash | scenario::Fault::PowerOff => &mut now.down,
                    scenario::Fault::Freeze => &mut now.frozen,
                    scenario::Fault::Refuse => &mut now.refusing,
                };
                set.retain(|server| !parties.iter().any(|&party| name(party) == *server));
            }
            Action::Cut(ways) => ways
                .iter()
                .for_each(|&way| *cuts.entry(both(way)).or_default() += 1),
            Action::Heal(ways) => ways
                .iter()
                .for_each(|&way| *cuts.entry(both(way)).or_default() -= 1),
            Action::Slow(routes, latency) => {
                for route in routes {
                    let pairs: Vec<(String, String)> = match route {
                        Route::Link(at) => {
                            let link = &herd.links()[*at];
                            vec![both((Party::Server(link.a), Party::Server(link.b)))]
                        }
                        // No picture draws those.
                        Route::Clients | Route::Places => Vec::new(),
                    };
                    for pair in pairs {
                        if usual[route] == *latency {
                            now.slow.remove(&pair);
                        } else {
                            now.slow.insert(pair);
                        }
                    }
                }
            }
            Action::Skew(owners, skewed) => {
                for owner in owners {
                    if let Clocked::Server(id) = owner {
                        let server = name(Party::Server(*id));
                        if skewed.by == 0 && skewed.drift == 0 {
                            now.skewed.remove(&server);
                        } else {
                            now.skewed.insert(server);
                        }
                    }
                }
            }
            _ => {}
        }
        // Nobody looks anything up, so Places is not there.
        let there = |(a, b): &(String, String)| a != "places" && b != "places";
        let open = cuts.iter().filter(|(way, count)| **count > 0 && there(way));
        now.cut = open.map(|(way, _)| way.clone()).collect();
        all.push((step.at, now.clone()));
    }
    all
}

/// What a page draws at a moment.
fn drawn(run: &Run, at: u64) -> Wrong {
    let mut wrong = Wrong::default();
    let lane = |at: usize| run.lanes[at].name.clone();
    let in_force = |fault: &&Fault| fault.from <= at && fault.to.is_none_or(|to| at < to);
    for fault in run.faults.iter().filter(in_force) {
        let servers = fault.lanes.iter().map(|&server| lane(server));
        let pairs = fault.pairs.iter().map(|&(a, b)| (lane(a), lane(b)));
        match fault.kind {
            FaultKind::Down => wrong.down.extend(servers),
            FaultKind::Frozen => wrong.frozen.extend(servers),
            FaultKind::Refusing => wrong.refusing.extend(servers),
            FaultKind::Skewed => wrong.skewed.extend(servers),
            FaultKind::Cut => wrong.cut.extend(pairs),
            FaultKind::Slow => wrong.slow.extend(pairs),
            FaultKind::Severed => panic!("it takes no time: {fault:?}"),
        }
    }
    wrong
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("some seconds")
}

fn server(who: &Actor) -> Option<&str> {
    match who {
        Actor::Server(name) => Some(name),
        _ => None,
    }
}

/// Nobody hears what is cut, or does anything while down or frozen, and what is slow takes its time.
fn does_what_it_says(trace: &Trace, from: u64, to: u64, wrong: &Wrong) {
    let within = |event: &&Event| event.at > from + trace.header.tick && event.at < to;
    for event in trace.events.iter().filter(within) {
        let Some(me) = server(&event.who) else {
            continue;
        };
        let acts = !event.what.is_by_harness();
        assert!(!(acts && wrong.frozen.contains(me)), "frozen: {event:?}");
        assert!(!(acts && wrong.down.contains(me)), "down: {event:?}");
        let sent = event.cause.and_then(|cause| trace.event(cause));
        let Some(sent) = sent.filter(|_| matches!(event.what, EventKind::LineIn { .. })) else {
            continue;
        };
        let Some(peer) = server(&sent.who) else {
            continue;
        };
        let way = (peer.to_owned(), me.to_owned());
        assert!(!wrong.cut.contains(&way), "cut: {event:?}");
        let slow = [way.clone(), (way.1, way.0)];
        if sent.at > from + trace.header.tick && slow.iter().any(|way| wrong.slow.contains(way)) {
            // What is sent within a tick is under way since the tick's beginning.
            let took = event.at - sent.at + trace.header.tick;
            assert!(took >= 60_000_000, "slow: {event:?}");
        }
    }
}

/// What is wrong at the end, as the report has it.
fn in_words(wrong: &Wrong) -> Vec<String> {
    let mut words = Vec::new();
    for (a, b) in &wrong.cut {
        match wrong.cut.contains(&(b.clone(), a.clone())) {
            true if a < b => words.push(format!("{a} ↔ {b} is cut")),
            true => {}
            false => words.push(format!("{a} → {b} is cut")),
        }
    }
    words.extend(
        wrong
            .frozen
            .iter()
            .map(|server| format!("{server} stands still")),
    );
    words.extend(
        wrong
            .refusing
            .iter()
            .map(|server| format!("{server} refuses")),
    );
    words
}

fn agree(scenario: &Scenario) {
    let counted = counted(scenario);
    let trace = sim::run_once(scenario).expect("it runs");
    let run = &Run::of(&trace, "drawn.toml", "");
    let ends = counted.iter().skip(1).map(|(at, _)| *at);
    for ((from, wrong), to) in counted.iter().zip(ends.chain(scenario.end)) {
        let mut wrong = wrong.clone();
        let (from, to) = (nanos(*from), nanos(to));
        does_what_it_says(&trace, from, to, &wrong);
        // Pictures show servers.
        wrong.cut.retain(|(a, b)| a != "clients" && b != "clients");
        assert_eq!(drawn(run, from + (to - from) / 2), wrong, "at {from} ns");
    }
    let (_, last) = counted.last().expect("some steps");
    let ended =
        (trace.judgements.iter()).find(|judgement| judgement.about.starts_with("the run ends"));
    let said = &ended.expect("it is judged").actual;
    let said = said.split_once("not mended: ").map_or("", |(_, said)| said);
    assert_eq!(said, in_words(last).join(", "));
    // Whatever goes wrong in the network, no server does.
    let mut invariants = trace.judgements.iter().filter(|it| it.invariant.is_some());
    assert_eq!(invariants.find(|it| !it.passed), None);
    // Whoever reads the trace again sees the same.
    let read = Trace::from_json_lines(&trace.to_json_lines()).expect("a trace");
    assert_eq!(Run::of(&read[0], "drawn.toml", "").faults, run.faults);
}

#[test]
fn simulator_trace_page_and_text_agree_on_what_is_wrong_when() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("square.toml"), HERD).expect("written");
    let steps = prop::collection::vec((0..WORDS.len(), 0..8_usize), 6..24);
    // A scenario begins with a step that can be done.
    let drawn = steps.prop_map(|mut steps| {
        steps.insert(0, (0, 0));
        steps
    });
    let config = Config {
        cases: 32,
        failure_persistence: None,
        ..Config::default()
    };
    let told = TestRunner::new(config).run(&drawn, |drawn| {
        agree(&scenario(folder.path(), &drawn));
        Ok(())
    });
    if let Err(TestError::Fail(why, drawn)) = told {
        panic!("{why}\n{}", scenario(folder.path(), &drawn).source.text);
    }
}
