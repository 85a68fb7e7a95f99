//! The intervals of faults. For random scenarios, the simulator's effects, the trace, the page and
//! the report must agree with a simple count of the steps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use proxy_herd::journal::{Actor, Event, EventKind};
use proxy_herd::report::faults::{Fault, FaultClass};
use proxy_herd::scenario::{
    Action, ClockError, ClockOwner, Condition, DiskFault, FaultKind, Operation, Party, Route,
    Scenario, Step,
};
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
server = { heartbeat = "200ms", durability = "background" }
"#;

/// Steps for one or two servers, in addition to the examples of each kind of fault.
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
    "lose = \"{link}\", percent = 20",
    "lose = \"{way}\", percent = 40",
    "lose = \"{link}\", percent = 0",
    "lose = \"{way}\", percent = 0",
    "duplicate = [\"{way}\", \"clients>{server}\"], percent = 40",
    "duplicate = \"{server}\", percent = 0",
    "reorder = \"{way}\", percent = 40, late = \"100ms\"",
    "delay = \"{way}\", extra = \"10ms..300ms\"",
    "delay = \"{link}\", extra = \"0s\"",
    "limit = \"{way}\", bandwidth = 1, queue = 2",
    "limit = \"{link}\", bandwidth = 0",
    "sever = \"{link}\"",
    "crash = \"{server}\"",
    "stop = \"{server}\"",
    "leave = \"{server}\"",
    "join = \"{server}\"",
    "unlink = \"{link}\"",
    "relink = \"{link}\"",
    "start = \"{server}\"",
    "restart = \"{server}\"",
    "power_off = \"{server}\"",
    "power_on = \"{server}\"",
    "freeze = \"{server}\"",
    "thaw = \"{server}\"",
    "refuse = \"{server}\"",
    "accept = \"{server}\"",
    "skew = \"{server}\", by = \"-3s\"",
    "skew = \"{server}\", by = \"0s\"",
    "pause_gc = \"{server}\", pauses = 1, pause = \"500ms\", gap = \"250ms\"",
    "pause_gc = \"{server}\", pauses = 2, pause = \"250ms\", gap = \"250ms\"",
    "disk_works = \"{server}\"",
];

/// The example of a kind, with placeholders for one or two servers.
fn example(kind: FaultKind) -> String {
    let code = kind.example.split('`').nth(1).expect("an example is code");
    let code = code.replace("Riley-Juzang", "{link}");
    let code = code.replace("Riley>Juzang", "{way}");
    code.replace("Juzang", "{server}")
        .replace("Riley", "{server}")
}

fn words() -> Vec<String> {
    let plain = WORDS.iter().map(|&word| word.to_owned());
    plain.chain(FaultKind::all().map(example)).collect()
}

/// A scenario of the drawn steps, without those that are invalid at their position.
fn scenario(herd: &Path, drawn: &[(usize, usize)]) -> Scenario {
    let words = words();
    let mut right = None;
    let mut steps = String::new();
    let mut at = 1000;
    for &(word, place) in drawn {
        let links = ["A-B", "B-C", "C-D", "D-A", "B-A", "C-B", "D-C", "A-D"];
        let servers = ["A", "B", "C", "D"];
        let step = words[word % words.len()]
            .replace("{link}", links[place % links.len()])
            .replace("{way}", &links[place % links.len()].replace('-', ">"))
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

/// All conditions that are in force at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wrong {
    cut: BTreeSet<(String, String)>,
    slow: BTreeSet<(String, String)>,
    /// In no herd file.
    unlinked: BTreeSet<(String, String)>,
    /// What happens to packets, by direction.
    impaired: BTreeSet<(String, String, String)>,
    down: BTreeSet<String>,
    /// Told to stop, and not started again.
    stopped: BTreeSet<String>,
    frozen: BTreeSet<String>,
    refusing: BTreeSet<String>,
    skewed: BTreeSet<String>,
    /// With a disk at fault.
    disks: BTreeSet<String>,
    /// With a disk that stalls.
    stalled: BTreeSet<String>,
}

impl Wrong {
    /// Who is in this condition.
    fn in_condition(&mut self, condition: Condition) -> &mut BTreeSet<String> {
        match condition {
            Condition::Dead | Condition::Unpowered => &mut self.down,
            Condition::Stopped | Condition::Left => &mut self.stopped,
            Condition::Frozen => &mut self.frozen,
            Condition::Refusing => &mut self.refusing,
        }
    }
}

/// The conditions in force after each step and each later operation, from a simple count of the
/// operations.
fn counted(scenario: &Scenario) -> Vec<(Duration, Wrong)> {
    let mut todo = operations(scenario);
    let mut count = Count::new(scenario);
    let end = scenario.end.expect("it has one");
    let steps = scenario.steps.iter().map(|step| step.at);
    // Some operations of a step happen later, and change the conditions then.
    let later = todo.iter().map(|due| due.at).filter(|at| *at < end);
    let moments: BTreeSet<Duration> = steps.chain(later).collect();
    (moments.into_iter())
        .map(|at| {
            while let Some(due) = todo.pop_front_if(|due| due.at <= at) {
                count.operation(&due);
            }
            (at, count.now())
        })
        .collect()
}

/// An operation of a step, at once or later.
struct Due {
    at: Duration,
    operation: Operation,
    /// If a step has several operations: the step's time, and the party that it affects.
    part_of: Option<(Duration, Party)>,
}

fn operations(scenario: &Scenario) -> VecDeque<Due> {
    let mut all = Vec::new();
    for step in &scenario.steps {
        let at = step.at;
        match &step.action {
            Action::Begin(fault) => {
                for fault in fault.each() {
                    let party = fault.targets[0]
                        .party()
                        .filter(|_| fault.announced().is_some());
                    all.extend(
                        fault
                            .operations()
                            .into_iter()
                            .map(|(after, operation)| Due {
                                at: at + after,
                                operation,
                                part_of: party.map(|party| (at, party)),
                            }),
                    );
                }
            }
            Action::End(kind, targets) => {
                let ends = kind.operations_to_end(targets).into_iter();
                all.extend(ends.map(|operation| Due {
                    at,
                    operation,
                    part_of: None,
                }));
            }
            _ => {}
        }
    }
    all.sort_by_key(|due| due.at);
    all.into()
}

/// A count of the operations so far.
struct Count<'a> {
    scenario: &'a Scenario,
    cuts: BTreeMap<(String, String), i32>,
    /// When each party was last killed.
    killed: BTreeMap<Party, Duration>,
    /// A direction has one impairment of each kind: what it does, by the kind and the direction.
    impaired: BTreeMap<(&'static str, String, String), String>,
    wrong: Wrong,
}

impl<'a> Count<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            cuts: BTreeMap::new(),
            killed: BTreeMap::new(),
            impaired: BTreeMap::new(),
            wrong: Wrong::default(),
        }
    }

    fn name(&self, party: Party) -> String {
        party.name(&self.scenario.herd).to_string()
    }

    fn both(&self, (a, b): (Party, Party)) -> (String, String) {
        (self.name(a), self.name(b))
    }

    /// The two ends of a link, in both orders.
    fn ends(&self, link: usize) -> [(String, String); 2] {
        let link = &self.scenario.herd.links()[link];
        let (a, b) = self.both((Party::Server(link.a), Party::Server(link.b)));
        [(a.clone(), b.clone()), (b, a)]
    }

    fn operation(&mut self, due: &Due) {
        // A kill cancels the later operations of faults on its target.
        if let Some((begun, party)) = due.part_of
            && (self.killed.get(&party)).is_some_and(|killed| *killed >= begun)
        {
            return;
        }
        match &due.operation {
            Operation::Set(condition, party) => {
                let name = self.name(*party);
                let kills = !matches!(condition, Condition::Frozen | Condition::Refusing);
                if kills {
                    self.killed.insert(*party, due.at);
                    self.wrong.frozen.remove(&name);
                    self.wrong.refusing.remove(&name);
                }
                self.wrong.in_condition(*condition).insert(name);
            }
            Operation::Clear(condition, party) => {
                let name = self.name(*party);
                self.wrong.in_condition(*condition).remove(&name);
            }
            Operation::Cut(ways) => {
                for way in ways {
                    *self.cuts.entry(self.both(*way)).or_default() += 1;
                }
            }
            Operation::Heal(ways) => {
                for way in ways {
                    *self.cuts.entry(self.both(*way)).or_default() -= 1;
                }
            }
            Operation::Delay(routes, latency) => {
                let usual = self.scenario.usual();
                for route in routes {
                    // Pictures show only links.
                    let Route::Link(at) = route else {
                        continue;
                    };
                    let link = &self.scenario.herd.links()[*at];
                    let pair = self.both((Party::Server(link.a), Party::Server(link.b)));
                    if usual[route] == *latency {
                        self.wrong.slow.remove(&pair);
                    } else {
                        self.wrong.slow.insert(pair);
                    }
                }
            }
            Operation::Unlink(at) => self.wrong.unlinked.extend(self.ends(*at)),
            Operation::Relink(at) => {
                let ends = self.ends(*at);
                self.wrong.unlinked.retain(|pair| !ends.contains(pair));
            }
            Operation::Impair(ways, impairment) => {
                let kind = impairment.name();
                for way in ways {
                    let (a, b) = self.both(*way);
                    let way = (kind, a, b);
                    if impairment.is_none() {
                        self.impaired.remove(&way);
                    } else {
                        self.impaired.insert(way, impairment.to_string());
                    }
                }
            }
            other => self.of_one_server(other),
        }
    }

    /// What happens to a server's disk or clock.
    fn of_one_server(&mut self, operation: &Operation) {
        match operation {
            Operation::BreakDisk(id, fault) if !fault.is_moment() => {
                let name = self.name(Party::Server(*id));
                if *fault == DiskFault::Stalls {
                    self.wrong.stalled.insert(name.clone());
                }
                self.wrong.disks.insert(name);
            }
            Operation::RepairDisk(id) => {
                let name = self.name(Party::Server(*id));
                self.wrong.disks.remove(&name);
                self.wrong.stalled.remove(&name);
            }
            Operation::SetClock(ClockOwner::Server(id), skewed)
                if *skewed == ClockError::default() =>
            {
                let name = self.name(Party::Server(*id));
                self.wrong.skewed.remove(&name);
            }
            Operation::SetClock(ClockOwner::Server(id), _)
            | Operation::Jump(ClockOwner::Server(id), _) => {
                let name = self.name(Party::Server(*id));
                self.wrong.skewed.insert(name);
            }
            _ => {}
        }
    }

    fn now(&self) -> Wrong {
        let mut now = self.wrong.clone();
        // No client sends WHATSAT, so Places is not among the lanes.
        let there = |(a, b): &(String, String)| a != "places" && b != "places";
        let impaired = self.impaired.iter();
        let impaired = impaired.map(|((_, a, b), how)| (how.clone(), a.clone(), b.clone()));
        now.impaired = (impaired.filter(|(_, a, b)| there(&(a.clone(), b.clone())))).collect();
        let open = (self.cuts.iter()).filter(|(way, count)| **count > 0 && there(way));
        now.cut = open.map(|(way, _)| way.clone()).collect();
        now
    }
}

/// The conditions that a page draws at a moment.
fn drawn(run: &Run, at: u64) -> Wrong {
    let mut wrong = Wrong::default();
    let lane = |at: usize| run.lanes[at].name.clone();
    let in_force = |fault: &&Fault| fault.from <= at && fault.to.is_none_or(|to| at < to);
    for fault in run.faults.iter().filter(in_force) {
        let servers = fault.lanes.iter().map(|&server| lane(server));
        let pairs = fault.pairs.iter().map(|&(a, b)| (lane(a), lane(b)));
        match fault.kind {
            FaultClass::Down if fault.label.ends_with("stopped") => wrong.stopped.extend(servers),
            FaultClass::Down => wrong.down.extend(servers),
            FaultClass::Frozen => wrong.frozen.extend(servers),
            FaultClass::Refusing => wrong.refusing.extend(servers),
            FaultClass::Skewed => wrong.skewed.extend(servers),
            FaultClass::Disk => {
                let servers: Vec<String> = servers.collect();
                if fault.label.ends_with("stalls") {
                    wrong.stalled.extend(servers.iter().cloned());
                }
                wrong.disks.extend(servers);
            }
            FaultClass::Cut if fault.label.starts_with("unlinked") => wrong.unlinked.extend(pairs),
            FaultClass::Cut => wrong.cut.extend(pairs),
            FaultClass::Slow => wrong.slow.extend(pairs),
            FaultClass::Impaired => {
                let how = fault.label.split(": ").next().unwrap_or_default();
                wrong
                    .impaired
                    .extend(pairs.map(|(a, b)| (how.to_owned(), a, b)));
            }
            FaultClass::Severed => panic!("it takes no time: {fault:?}"),
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

/// Checks that nothing arrives over a cut, that servers do nothing while down or frozen, and that
/// slow links are slow.
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
            // A message is in flight since the beginning of the tick in which it was sent.
            let took = event.at - sent.at + trace.header.tick;
            assert!(took >= 60_000_000, "slow: {event:?}");
        }
    }
}

/// The conditions at the end, in the words of the report.
fn in_words(wrong: &Wrong) -> Vec<String> {
    let mut words = Vec::new();
    for (a, b) in &wrong.cut {
        match wrong.cut.contains(&(b.clone(), a.clone())) {
            true if a < b => words.push(format!("{a} ↔ {b} is cut")),
            true => {}
            false => words.push(format!("{a} → {b} is cut")),
        }
    }
    let unlinked = wrong.unlinked.iter().filter(|(a, b)| a < b);
    words.extend(unlinked.map(|(a, b)| format!("{a} ↔ {b} is no link")));
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

/// Whether a server has ended by itself and not started since.
fn has_stopped(trace: &Trace, name: &str, at: u64) -> bool {
    let events = trace.events.iter().rev();
    let mut own = events.filter(|event| event.at <= at && server(&event.who) == Some(name));
    let last = own.find(|event| {
        matches!(
            event.what,
            EventKind::Stopped | EventKind::Started { .. } | EventKind::Crashed
        )
    });
    last.is_some_and(|event| matches!(event.what, EventKind::Stopped))
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
        // Pictures show servers, but not clients.
        wrong.cut.retain(|(a, b)| a != "clients" && b != "clients");
        (wrong.impaired).retain(|(_, a, b)| a != "clients" && b != "clients");
        // A server that is told to stop is down when it has ended, which takes its time.
        let at = from + (to - from) / 2;
        wrong
            .stopped
            .retain(|server| has_stopped(&trace, server, at));
        let mut drawn = drawn(run, at);
        // A server ends and starts when its disk has answered.
        for stopped in [&mut drawn.stopped, &mut wrong.stopped] {
            stopped.retain(|server| !wrong.stalled.contains(server));
        }
        assert_eq!(drawn, wrong, "from {from} ns on:\n{}", scenario.source.text);
    }
    let (_, last) = counted.last().expect("some steps");
    let ended =
        (trace.judgements.iter()).find(|judgement| judgement.about.starts_with("the run ends"));
    let said = &ended.expect("it is judged").actual;
    let said = said
        .split_once("still in force: ")
        .map_or("", |(_, said)| said);
    assert_eq!(said, in_words(last).join(", "));
    // No server violates an invariant, whatever fails in the network.
    let mut invariants = trace.judgements.iter().filter(|it| it.invariant.is_some());
    assert_eq!(invariants.find(|it| !it.passed), None);
    // A trace that is read again gives the same faults.
    let read = Trace::from_json_lines(&trace.to_json_lines()).expect("a trace");
    assert_eq!(Run::of(&read[0], "drawn.toml", "").faults, run.faults);
}

#[test]
fn simulator_trace_page_and_text_agree_on_what_is_wrong_when() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("square.toml"), HERD).expect("written");
    let steps = prop::collection::vec((0..words().len(), 0..8_usize), 6..24);
    // Each scenario begins with a valid step.
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

/// Two overlapping faults of every pair of kinds, on the same server or its link.
#[test]
fn every_pair_of_kinds_is_told_alike_by_all() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("square.toml"), HERD).expect("written");
    let all = words();
    let word = |said: &str| {
        let says = |word: &String| word.split(" =").next() == Some(said);
        all.iter()
            .position(says)
            .unwrap_or_else(|| panic!("nobody says {said}"))
    };
    let (mut pairs, mut both) = (0, 0);
    for one in FaultKind::all() {
        for other in FaultKind::all() {
            let said = [
                Some(one.name),
                Some(other.name),
                one.end_word(),
                other.end_word(),
            ];
            let said = said.into_iter().flatten().map(|said| (word(said), 0));
            let scenario = scenario(folder.path(), &said.collect::<Vec<_>>());
            let begun = |step: &&Step| matches!(step.action, Action::Begin(_));
            both += usize::from(scenario.steps.iter().filter(begun).count() == 2);
            agree(&scenario);
            pairs += 1;
        }
    }
    // Some pairs exclude each other: a dead server, for example, can't be frozen.
    assert!(both * 4 > pairs * 3, "{both} of {pairs} can overlap");
}
