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
use proxy_herd::scenario::{self, Action, Clocked, Party, Route, Scenario, Target};
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

/// From one step to the next.
const EACH: Duration = Duration::from_millis(250);

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

/// By a count of the steps: what is wrong behind each, and at each moment at which there could have been one.
fn counted(scenario: &Scenario) -> Vec<(Duration, Wrong)> {
    let mut count = Count::new(scenario);
    let mut all = Vec::new();
    for step in &scenario.steps {
        count.step(step);
        all.push((step.at, count.at(step.at)));
    }
    let last = scenario.steps.last().map_or(Duration::ZERO, |step| step.at);
    let end = scenario.end.expect("it has one");
    let later = (1..).map(|nth| last + EACH * nth);
    all.extend(
        later
            .take_while(|at| *at < end)
            .map(|at| (at, count.at(at))),
    );
    all
}

/// What is wrong, as the steps so far have it.
struct Count<'a> {
    scenario: &'a Scenario,
    cuts: BTreeMap<(String, String), i32>,
    /// When whom a pause freezes.
    pauses: Vec<(String, Duration, Duration)>,
    now: Wrong,
}

impl<'a> Count<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            cuts: BTreeMap::new(),
            pauses: Vec::new(),
            now: Wrong::default(),
        }
    }

    fn name(&self, party: Party) -> String {
        party.name(&self.scenario.herd).to_string()
    }

    /// Whom a step names: servers alone, or two of them.
    fn named(&self, targets: &[Target]) -> (Vec<String>, Vec<(String, String)>) {
        let (mut alone, mut pairs) = (Vec::new(), Vec::new());
        for target in targets {
            match target {
                Target::Party(party) => alone.push(self.name(*party)),
                Target::Clock(Clocked::Server(id)) => alone.push(self.name(Party::Server(*id))),
                Target::Direction((a, b)) | Target::Pair(a, b) => {
                    pairs.push((self.name(*a), self.name(*b)));
                }
                Target::Route(Route::Link(at)) => {
                    let link = &self.scenario.herd.links()[*at];
                    let [a, b] = [link.a, link.b].map(|id| self.name(Party::Server(id)));
                    pairs.push((a, b));
                }
                // No picture draws those.
                Target::Route(_) | Target::Clock(Clocked::Client(_)) => {}
            }
        }
        (alone, pairs)
    }

    fn step(&mut self, step: &scenario::Step) {
        let (alone, pairs) = self.named(step.action.targets());
        let usual = self.scenario.usual();
        match &step.action {
            Action::Begin(fault) => match fault.kind.name {
                "crash" | "power_off" => {
                    self.now.frozen.retain(|server| !alone.contains(server));
                    self.now.refusing.retain(|server| !alone.contains(server));
                    self.pauses.retain(|(server, ..)| !alone.contains(server));
                    self.now.down.extend(alone);
                }
                "freeze" => self.now.frozen.extend(alone),
                "refuse" => self.now.refusing.extend(alone),
                "pause_gc" => {
                    let pause = fault.values.duration("pause");
                    let each = pause + fault.values.duration("gap");
                    for nth in 0..fault.values.count("pauses") {
                        let from = step.at + each * nth;
                        let all = alone.iter().cloned();
                        self.pauses
                            .extend(all.map(|server| (server, from, from + pause)));
                    }
                }
                "partition" | "partition_oneway" => {
                    for way in pairs {
                        *self.cuts.entry(way).or_default() += 1;
                    }
                }
                "slow" if fault.is_none(&usual) => {
                    self.now.slow.retain(|pair| !pairs.contains(pair));
                }
                "slow" => {
                    for target in &fault.targets {
                        let (_, pairs) = self.named(std::slice::from_ref(target));
                        if fault.clears(target, &usual) {
                            self.now.slow.retain(|pair| !pairs.contains(pair));
                        } else {
                            self.now.slow.extend(pairs);
                        }
                    }
                }
                "skew" if fault.values.difference("by") == 0 => {
                    self.now.skewed.retain(|server| !alone.contains(server));
                }
                "skew" | "clock_jump" => self.now.skewed.extend(alone),
                "sever" => {}
                other => panic!("nobody counts {other}"),
            },
            Action::End(kind, _) => match kind.end_word() {
                Some("restart" | "power_on") => {
                    self.now.down.retain(|server| !alone.contains(server));
                }
                Some("thaw") => self.now.frozen.retain(|server| !alone.contains(server)),
                Some("accept") => self.now.refusing.retain(|server| !alone.contains(server)),
                Some("heal") => {
                    for way in pairs {
                        *self.cuts.entry(way).or_default() -= 1;
                    }
                }
                other => panic!("nobody counts {other:?}"),
            },
            _ => {}
        }
    }

    fn at(&self, at: Duration) -> Wrong {
        let mut now = self.now.clone();
        // Nobody looks anything up, so Places is not there.
        let there = |(a, b): &(String, String)| a != "places" && b != "places";
        let open = (self.cuts.iter()).filter(|(way, count)| **count > 0 && there(way));
        now.cut = open.map(|(way, _)| way.clone()).collect();
        let pauses = self.pauses.iter();
        let frozen = pauses.filter(|(_, from, to)| *from <= at && at < *to);
        now.frozen.extend(frozen.map(|(server, ..)| server.clone()));
        now
    }
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
            .map(|server| format!("{server} is frozen")),
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
