//! Every shipped scenario passes, and its updates spread as in its snapshot.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use proxy_herd::journal::{Actor, EventKind};
use proxy_herd::report;
use proxy_herd::scenario::{
    Action, Check, CountRange, Expected, Failure, LinkCheck, Moments, Pattern, Quantifier, Reply,
    Scenario, ServerCheck, StateCheck, UpdateRef, Window,
};
use proxy_herd::sim::{self, Simulator, WorldKind};
use proxy_herd::trace::state::LinkState;
use proxy_herd::trace::{Judgement, Trace};

use crate::shipped::scenarios;

fn stem(file: &Path) -> String {
    let path = Scenario::file_of(file);
    let stem = path
        .file_stem()
        .expect("a file has a name")
        .to_string_lossy();
    match file.to_string_lossy().split_once('#') {
        Some((_, case)) => format!("{stem}-{case}"),
        None => stem.into_owned(),
    }
}

#[test]
fn every_scenario_holds_and_spreads_as_its_snapshot_says() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for file in scenarios() {
            let (scenario, warnings) = Scenario::load(&file).expect("a shipped scenario is right");
            assert!(warnings.is_empty(), "{warnings}");
            let trace = sim::run(&scenario).expect("the simulation runs");
            insta::assert_snapshot!(stem(&file), report::snapshot(&trace));
            nothing_beats_what_was_possible(&trace);
            let verdict = trace.verdict();
            assert_eq!(
                verdict.failed,
                0,
                "{}",
                report::text(&trace, report::Detail::Story)
            );
        }
    });
}

/// Checks that no update arrived earlier, or over fewer links, than the network at that time
/// allowed.
fn nothing_beats_what_was_possible(trace: &Trace) {
    let arrivals = trace.updates.iter().flat_map(|update| {
        let arrivals = update.arrivals.iter().enumerate();
        arrivals.map(move |(at, arrival)| (update, at, arrival))
    });
    for (update, at, arrival) in arrivals {
        let forgot = at > 0 && arrival.server == update.arrivals[0].server;
        let (scenario, name) = (&trace.header.scenario, &update.name);
        match (arrival.shortest, arrival.fastest) {
            (Some(shortest), Some(fastest)) => assert!(
                shortest <= arrival.hops && fastest <= arrival.delay,
                "{scenario}: {name}: {arrival:?}"
            ),
            _ => assert!(forgot, "{scenario}: {name}: {arrival:?}"),
        }
    }
}

/// With these seeds a cut begins after a message reached a frozen server, and a server has
/// forwarded an update that its next run does not have.
#[test]
fn nothing_beats_what_was_possible_while_much_is_wrong() {
    let (mut scenario, _) = Scenario::load("scenarios/stories/chaos.toml").expect("right");
    for seed in [0, 2, 7] {
        scenario.seed = seed.into();
        nothing_beats_what_was_possible(&sim::run_once(&scenario).expect("it runs"));
    }
}

#[test]
fn every_scenario_has_a_snapshot_and_every_snapshot_a_scenario() {
    let scenarios: BTreeSet<String> = scenarios().iter().map(|file| stem(file)).collect();
    let entries = Path::new("snapshots")
        .read_dir()
        .expect("the folder is there");
    let snapshots: BTreeSet<String> = entries
        .map(|entry| stem(&entry.expect("readable").path()))
        .collect();
    let orphans: Vec<&String> = snapshots.difference(&scenarios).collect();
    assert_eq!(orphans, Vec::<&String>::new());
    // While snapshots are accepted, the test that writes them may still run.
    let accepting = std::env::var_os("INSTA_UPDATE").is_some_and(|how| how == "always");
    let missing: Vec<&String> = scenarios.difference(&snapshots).collect();
    assert!(accepting || missing.is_empty(), "{missing:?}");
}

/// A snapshot contains no times, so other latencies give the same snapshot.
#[test]
fn a_snapshot_survives_a_change_of_latency() {
    let text = std::fs::read_to_string("scenarios/juzang-goes-down.toml").expect("it is there");
    let spread = |latency: &str| {
        let text = text.replace("\"20ms\"", latency);
        let (scenario, _) = Scenario::parse("juzang-goes-down.toml", &text, None).expect("right");
        report::snapshot(&sim::run(&scenario).expect("runs"))
    };
    assert_eq!(spread("\"20ms\""), spread("\"150ms\""));
}

/// Numbers that are drawn from a seed are the same on every machine. Otherwise this fails on some.
#[test]
fn latencies_drawn_from_a_seed_are_the_same_everywhere() {
    let (scenario, _) = Scenario::load("scenarios/jittery-links.toml").expect("right");
    let delays = |world| {
        let simulator = Simulator {
            world,
            ..Simulator::default()
        };
        let trace = simulator.run(&scenario).expect("runs");
        let delays = trace.updates[0].arrivals.iter();
        let delays = delays.map(|arrival| format!("{} {}", arrival.server, arrival.delay));
        delays.collect::<Vec<_>>().join(", ")
    };
    insta::assert_snapshot!(delays(WorldKind::Turmoil), @"Riley 0, Jaquez 22000000, Juzang 88000000, Bernard 90000000, Campbell 124000000");
    insta::assert_snapshot!(delays(WorldKind::Packets), @"Riley 0, Juzang 23946000, Jaquez 33502000, Campbell 38919000, Bernard 99236000");
}

/// The scenario without one of its faults, and without the step that ends it.
fn without_fault(scenario: &Scenario, at: usize) -> Scenario {
    let mut less = scenario.clone();
    let Action::Begin(fault) = less.steps.remove(at).action else {
        return less;
    };
    let family = fault.kind.family();
    for target in &fault.targets {
        let _ = less.steps[at..]
            .iter_mut()
            .find_map(|step| match &mut step.action {
                Action::End(kind, targets) if *kind == family => take(targets, target),
                _ => None,
            });
    }
    less.steps.retain(|step| match &step.action {
        Action::End(_, targets) => !targets.is_empty(),
        _ => true,
    });
    less
}

/// Removes `wanted` from a list once, if it is there.
fn take<T: PartialEq>(list: &mut Vec<T>, wanted: &T) -> Option<T> {
    let at = list.iter().position(|one| one == wanted)?;
    Some(list.remove(at))
}

/// The expectations in the scenario file, without the invariants, and without the check that each
/// fault has an effect.
fn authors_own(trace: &Trace) -> impl Iterator<Item = &Judgement> {
    let placed = trace.judgements.iter().filter(|j| j.place.is_some());
    placed.filter(|j| !j.about.ends_with(" has an effect") && !j.about.ends_with(" have an effect"))
}

/// A scenario should fail without its fault. Otherwise it says nothing about that fault.
#[test]
fn each_fault_changes_the_outcome_of_a_scenario_made_for_it() {
    let mut idle = Vec::new();
    for file in scenarios() {
        let (scenario, _) = Scenario::load(&file).expect("right");
        let usual = scenario.usual();
        for (at, step) in scenario.steps.iter().enumerate() {
            // The run of a random step judges by itself whether each kind of fault was chosen.
            // That nobody misses a duplicate is what its scenario is about: TCP drops it.
            let is_fault = match &step.action {
                Action::Begin(fault) => !fault.is_none(&usual) && fault.kind.name != "duplicate",
                _ => false,
            };
            if !is_fault {
                continue;
            }
            let trace = sim::run_once(&without_fault(&scenario, at)).expect("runs");
            if authors_own(&trace).all(|judgement| judgement.passed) {
                let (line, _) = scenario.source.line_column(step.span.start);
                idle.push(format!("{}:{line}", file.display()));
            }
        }
    }
    assert_eq!(idle, [""; 0], "nobody misses these faults");
}

/// Negates every expectation. A check that passes in both forms checks nothing.
fn contradict(scenario: &mut Scenario) {
    for step in &mut scenario.steps {
        if let Action::Workload(workload) = &mut step.action {
            workload.answered = Some(101);
        }
        let (client, is_client) = match &mut step.action {
            Action::Client(client) => (client, true),
            Action::Peer(peer) => (peer, false),
            _ => continue,
        };
        let is_open = client.lines.iter().all(|l| l.reply.is_none());
        // After a line of a peer nothing is awaited, so nothing is checked.
        client.no_reply = !client.no_reply && is_open && is_client;
        // What need not be answered would pass either way.
        client.maybe = false;
        client.fails = client.fails.map(|failure| match failure {
            Failure::Refused => Failure::Unheard,
            Failure::Unheard => Failure::Refused,
        });
        let never = Reply::from(Pattern::plain("never").expect("a pattern"));
        for reply in client.lines.iter_mut().filter_map(|l| l.reply.as_mut()) {
            reply.clone_from(&never);
        }
    }
    for table in &mut scenario.places {
        table.expect = Some(table.expect.map_or(u64::MAX, |expect| expect + 1));
    }
    for expect in &mut scenario.expects {
        match &mut expect.what {
            Expected::Update(update) => {
                if update.window != Window::default() {
                    update.window = IN_THE_FIRST_MOMENT;
                }
                update.checks.iter_mut().for_each(contradict_update);
            }
            Expected::Server(servers) => {
                if let Moments::In(quantifier, _) = &mut servers.moments {
                    contradict_quantifier(quantifier);
                } else {
                    servers.checks.iter_mut().for_each(contradict_server);
                }
            }
            Expected::Link(links) => links.checks.iter_mut().for_each(contradict_link),
            // They have no opposite; `tests/library/drawn.rs` and the tests of invariants break them.
            Expected::NoLostUpdates(_) | Expected::Invariants(_) => {}
            Expected::Log(log) => {
                let never = CountRange::exactly(0);
                log.times = Some(log.times.map_or(never, other));
            }
        }
    }
}

/// No update comes to a server so early.
const IN_THE_FIRST_MOMENT: Window = Window {
    from: Duration::ZERO,
    after: None,
    until: Some(Duration::ZERO),
    before: None,
    within: None,
};

/// What is so at some moment or at all is not so at none.
fn contradict_quantifier(quantifier: &mut Quantifier) {
    *quantifier = match quantifier {
        Quantifier::Always | Quantifier::Eventually => Quantifier::Never,
        Quantifier::Never => Quantifier::Eventually,
    };
}

/// Numbers that are none of these.
fn other(numbers: CountRange) -> CountRange {
    match numbers.most {
        u64::MAX => CountRange::exactly(numbers.least - 1),
        most => CountRange::exactly(most + 1),
    }
}

fn contradict_update(check: &mut Check) {
    match check {
        Check::Reaches(server) => *check = Check::Misses(*server),
        Check::Misses(server) => *check = Check::Reaches(*server),
        Check::Hops(_, hops) => *hops = other(*hops),
        Check::Path(_, path) => path.push(path[0]),
        Check::Within { limit, .. } => *limit = Duration::ZERO,
        // Its window is contradicted beside the checks.
        Check::Arrives(_) => {}
        Check::Sends(count) | Check::Useful(count) | Check::Duplicates(count) => {
            *count = other(*count);
        }
        // An update that a server accepts costs a message, or reaches a server.
        Check::Ignored | Check::Refused | Check::Unheard => {
            *check = Check::Within {
                server: None,
                limit: Duration::MAX,
            }
        }
    }
}

fn contradict_server(check: &mut ServerCheck) {
    match check {
        ServerCheck::State(check) => contradict_state(check),
        ServerCheck::LookUps(count) | ServerCheck::Requests(count) => *count = other(*count),
    }
}

fn contradict_state(check: &mut StateCheck) {
    match check {
        StateCheck::Holds(update) => *check = StateCheck::Lacks(update.client_id.clone()),
        StateCheck::Lacks(client_id) => {
            let client_id = client_id.clone();
            let text = String::new();
            *check = StateCheck::Holds(UpdateRef {
                client_id,
                nth: 1,
                text,
            });
        }
        StateCheck::Records(count) => *count = other(*count),
    }
}

fn contradict_link(check: &mut LinkCheck) {
    match check {
        LinkCheck::Is {
            moments: Moments::In(quantifier, _),
            ..
        } => contradict_quantifier(quantifier),
        LinkCheck::Is { state, .. } => {
            *state = match state {
                LinkState::Down => LinkState::Up,
                LinkState::Up | LinkState::Synchronised => LinkState::Down,
            }
        }
        LinkCheck::SynchronisesWithin { limit, .. } => *limit = Duration::ZERO,
        LinkCheck::Brings { records, .. } => *records = other(*records),
    }
}

#[test]
fn every_expectation_of_every_scenario_can_be_broken() {
    for file in scenarios() {
        let (mut scenario, _) = Scenario::load(&file).expect("right");
        contradict(&mut scenario);
        let trace = sim::run_once(&scenario).expect("runs");
        for judgement in authors_own(&trace) {
            // The origin has an update at once.
            let at_its_origin = judgement.actual.starts_with("0s (");
            // Expectations without an opposite fail in `tests/library/drawn.rs`.
            let ends = |end| judgement.about.ends_with(end);
            let unopposed =
                ends(" is lost") || ends(" one to its line") || ends(" chosen at random");
            assert!(
                !judgement.passed || at_its_origin || unopposed,
                "{}: {judgement:?}",
                file.display()
            );
        }
    }
}

/// tokio drops a server's tasks in an order that depends on the process's history.
#[test]
fn a_crash_closes_connections_in_the_order_in_which_they_were_opened() {
    let text = r#"
        title = "seven at once"
        herd = "riley"
        client_latency = "20ms"
        steps = [
          { at = "1s", client = "kiwi", clients = 7, to = "Riley", send = "IAMAT {client} +1+1 {now}", no_reply = true },
          { at = "1030ms", freeze = "Riley" },
          { at = "2s", crash = "Riley" },
        ]"#;
    let (scenario, _) = Scenario::parse("test.toml", text, None).expect("right");
    let trace = sim::run(&scenario).expect("runs");
    let closed = trace
        .events
        .iter()
        .filter_map(|event| match (&event.who, &event.what) {
            (Actor::Client(name), EventKind::Closed { .. }) => Some(&**name),
            _ => None,
        });
    let closed: Vec<&str> = closed.collect();
    let each = [
        "kiwi-1", "kiwi-2", "kiwi-3", "kiwi-4", "kiwi-5", "kiwi-6", "kiwi-7",
    ];
    assert_eq!(closed, each);
}
