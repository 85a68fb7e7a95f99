//! Both worlds agree: the same verdict, the same updates by the same paths, the same answers, the same stores.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proxy_herd::journal::{Actor, CloseReason, Event, EventKind, PeerRole};
use proxy_herd::scenario::{Action, Scenario, Step};
use proxy_herd::sim::{self, SimError, Simulator, WorldKind};
use proxy_herd::trace::Trace;
use proxy_herd::trace::state::State;

use crate::shipped::scenarios;

/// Scenarios of which only the verdict of each expectation is the same in both worlds, each with the reason.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "scenarios/burst.toml",
        "twenty lines are two segments, and what the first has is forwarded before the second is there",
    ),
    (
        "scenarios/clients/one-connection.toml",
        "a server that starts empty is filled by the neighbour whose link is up first",
    ),
    (
        "scenarios/clients/room-for-clients.toml",
        "an update arrives by two paths at one moment, and only one of them can be first",
    ),
    (
        "scenarios/stories/stop-before-synchronised.toml",
        "a link that is cut comes up again at another moment",
    ),
    (
        "scenarios/stories/stop-with-much-to-say.toml",
        "what waits for a frozen server is forwarded in segments",
    ),
    (
        "scenarios/stories/waiting-records-expire.toml",
        "what waits for a frozen server is forwarded in segments",
    ),
    (
        "scenarios/future-times.toml",
        "an update arrives by two paths at one moment, and only one of them can be first",
    ),
    (
        "scenarios/jittery-links.toml",
        "latencies are drawn for each segment, and in turmoil for each tick",
    ),
    (
        "scenarios/stories/as-many-records.toml",
        "two links come up again at nearly one moment, and either can bring a record first",
    ),
    (
        "scenarios/stories/both-sides-go-on.toml",
        "two links come up again at nearly one moment, and either can bring a record first",
    ),
    (
        "scenarios/stories/long-partition.toml",
        "after the heal each link brings what it lost when it sends it again",
    ),
    (
        "scenarios/stories/rolling-restart.toml",
        "a server that starts empty is filled by the neighbour whose link is up first",
    ),
];

fn try_run(scenario: &Scenario, world: WorldKind) -> Result<Trace, SimError> {
    let simulator = Simulator {
        world,
        ..Simulator::default()
    };
    simulator.run(scenario)
}

fn run(scenario: &Scenario, world: WorldKind) -> Trace {
    try_run(scenario, world).expect("it runs")
}

/// Without times of the run: a client reads its clock when its connection is open, which takes a round trip in a world
/// of segments and half of one in turmoil.
fn timeless(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || "+-.".contains(c);
    let mut timeless = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, number) = rest.split_at(start);
        let end = number.find(|c| !is_part(c)).unwrap_or(number.len());
        let (number, behind) = number.split_at(end);
        timeless.push_str(before);
        let decimals = number
            .rsplit_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
        timeless.push_str(if decimals == 9 { "TIME" } else { number });
        rest = behind;
    }
    timeless + rest
}

/// The verdicts of all expectations.
fn verdicts(trace: &Trace) -> BTreeSet<String> {
    let verdicts = trace.judgements.iter().map(|judgement| {
        let passed = if judgement.passed { "passed" } else { "failed" };
        format!("{passed}: {}", timeless(&judgement.about))
    });
    verdicts.collect()
}

/// What came of the updates: their paths, the answers to clients, what servers hold in the end.
fn outcomes(trace: &Trace) -> BTreeSet<String> {
    let mut outcomes = BTreeSet::new();
    for update in &trace.updates {
        for arrival in &update.arrivals {
            let path = update.path(&arrival.server).join(" → ");
            outcomes.insert(format!("{} by {path}, {} hops", update.name, arrival.hops));
        }
    }
    for event in &trace.events {
        if let (Actor::Client(name), EventKind::LineIn { line, .. }) = (&event.who, &event.what) {
            outcomes.insert(format!(
                "{name} is answered {}",
                timeless(&line.to_string())
            ));
        }
    }
    for (server, state) in State::at(&trace.events, u64::MAX).servers() {
        for (client, event) in &state.held {
            if let EventKind::Accepted { record, .. } = &event.what {
                let client = String::from_utf8_lossy(client);
                outcomes.insert(format!("{server} holds {} of {client}", record.location));
            }
        }
    }
    outcomes
}

/// Whether clients or faults are drawn at random: they meet at other moments in another world.
fn is_drawn(scenario: &Scenario) -> bool {
    let is_drawn = |step: &Step| matches!(step.action, Action::Workload(_) | Action::Random(_));
    scenario.steps.iter().any(is_drawn)
}

#[test]
fn every_shipped_scenario_ends_the_same_in_both_worlds() {
    let mut different: Vec<String> = Vec::new();
    let (mut compared, mut lacking) = (0, BTreeSet::new());
    for file in scenarios() {
        let (scenario, _) = Scenario::load(&file).expect("it is valid");
        let turmoil = match try_run(&scenario, WorldKind::Turmoil) {
            // What happens to packets, happens where there are any.
            Err(SimError::Lacks { what, .. }) => {
                lacking.insert(what);
                continue;
            }
            other => other.expect("it runs"),
        };
        let packets = run(&scenario, WorldKind::Packets);
        let mut note = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            for (world, only) in [("turmoil", one - other), ("packets", other - one)] {
                let file = file.display();
                different.extend(
                    only.iter()
                        .map(|only| format!("{file}, only in {world}: {only}")),
                );
            }
        };
        note(&verdicts(&turmoil), &verdicts(&packets));
        let is_listed = DIFFERENT
            .iter()
            .any(|(listed, _)| file == Path::new(listed));
        let is_same = outcomes(&turmoil) == outcomes(&packets);
        if !is_listed && !is_drawn(&scenario) {
            note(&outcomes(&turmoil), &outcomes(&packets));
            compared += 1;
        }
        // A reason that is none any more goes.
        if is_listed && is_same {
            different.push(format!("{}: the worlds do not differ", file.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(compared > 30, "{compared}");
    let of_packets = [
        "`delay`",
        "`duplicate`",
        "`limit`",
        "`lose`",
        "`reorder`",
        "client that resets its connection",
        "receive buffer of a client",
    ];
    assert!(lacking.iter().eq(of_packets), "{lacking:?}");
}

#[test]
fn a_server_that_starts_in_the_moment_of_its_crash_has_its_ports() {
    let text = r#"
        title = "at once"
        herd = "riley"
        steps = [
          { at = "1s", crash = "Riley" },
          { at = "1s", restart = "Riley" },
          { at = "3s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1+1 {now}", reply = "AT Riley *" },
        ]
        [[expect]]
        link = "all"
        is = "synchronised"
        [[expect]]
        update = "kiwi"
        reaches = "all"
    "#;
    let (scenario, _) = Scenario::parse("at-once.toml", text, None).expect("it is valid");
    for world in WorldKind::ALL {
        let trace = run(&scenario, world);
        trace.assert_passed();
    }
}

/// The system of a machine still sends what a program wrote that has ended. A greeting that a cut held up so arrives when
/// the next run of its server has the link.
#[test]
fn a_greeting_from_a_former_life_does_not_keep_the_next_one_out() {
    let text = r#"
        title = "a former life"
        herd = { name = "pair", servers = ["Juzang", "Riley"], links = ["Riley-Juzang"] }
        steps = [
          { at = "50ms", partition_oneway = "Riley-Juzang" },
          { at = "300ms", heal = "Riley-Juzang" },
          { at = "400ms", crash = "Riley" },
          { at = "440ms", restart = "Riley" },
          { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1+1 {now}", reply = "AT Riley *" },
        ]
        [[expect]]
        link = "all"
        is = "synchronised"
        [[expect]]
        invariant = ["links-fail-for-a-reason", "nothing-waits"]
    "#;
    let (scenario, _) = Scenario::parse("former-life.toml", text, None).expect("it is valid");
    let trace = run(&scenario, WorldKind::Packets);
    let superseded = |event: &&Event| matches!(&event.what, EventKind::LinkDown { why, .. } if *why == CloseReason::Superseded);
    assert_eq!(trace.events.iter().filter(superseded).count(), 1);
    trace.assert_passed();
}

/// What happens at one moment comes in another order with another seed, and what comes of it is the same.
#[test]
fn the_seed_shuffles_tasks_and_every_shipped_scenario_still_passes() {
    let order = |trace: &Trace| {
        let sentences = trace
            .events
            .iter()
            .map(|event| format!("{:?} {:?}", event.who, event.what));
        sentences.collect::<Vec<_>>()
    };
    let (mut other, mut shuffled) = (0, 0);
    for file in scenarios() {
        let (mut scenario, _) = Scenario::load(&file).expect("it is valid");
        let usual = run(&scenario, WorldKind::Packets);
        scenario.shuffle = true;
        let trace = run(&scenario, WorldKind::Packets);
        assert!(trace.header.shuffle && !usual.header.shuffle);
        trace.assert_passed();
        shuffled += 1;
        other += usize::from(order(&trace) != order(&usual));
    }
    assert!(other * 2 > shuffled, "{other} of {shuffled}");
}

/// A system reports the sockets of a process that goes on in no order that anybody could rely on.
#[test]
fn what_a_thawed_server_hears_first_follows_from_the_seed() {
    let (mut scenario, _) =
        Scenario::load(Path::new("scenarios/faults/freeze.toml")).expect("valid");
    for world in WorldKind::ALL {
        let mut hops = BTreeSet::new();
        for seed in 0..20 {
            scenario.seed = seed.into();
            let trace = run(&scenario, world);
            hops.extend(
                trace.updates[0]
                    .arrivals
                    .iter()
                    .find_map(|arrival| (*arrival.server == *"Juzang").then_some(arrival.hops)),
            );
        }
        // From Riley, from Bernard, from Campbell.
        assert_eq!(hops, [1, 3, 4].into(), "{world}");
    }
}

/// A file that says no tick may say times as fine as a network's in one building; turmoil has none.
#[test]
fn time_is_as_fine_as_the_file_says() {
    let text = r#"
title = "In one building"
herd = "riley"
link_latency = "150us"
client_latency = "50us..60us"
steps = [
  { at = "1000.25ms", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34.068930-118.445127 {now}" },
]

[[expect]]
update = "kiwi"
hops   = { Campbell = 2 }
within = "300us"
"#;
    let (scenario, _) = Scenario::parse("fine.toml", text, None).expect("it is valid");
    let trace = run(&scenario, WorldKind::Packets);
    assert_eq!(trace.verdict().failed, 0, "{:?}", trace.judgements);
    let sent = trace.events.iter().find(|event| event.at >= 1_000_000_000);
    // The client is connected after a round trip.
    let connected = sent.map(|event| event.at).unwrap_or_default();
    assert!(
        (1_000_350_000..=1_000_370_000).contains(&connected),
        "{connected}"
    );
    let campbell = trace.updates[0].arrivals.iter();
    let delay = campbell
        .filter(|arrival| *arrival.server == *"Campbell")
        .map(|a| a.delay);
    assert_eq!(delay.collect::<Vec<_>>(), [300_000]);
    let refused = try_run(&scenario, WorldKind::Turmoil).expect_err("time has steps there");
    assert_eq!(
        refused.to_string(),
        "the world `turmoil` has no time between two ticks of 1ms, as in 150us; run the scenario in `packets`"
    );
}

/// A build that nobody gave the simulator is refused by name, and one that somebody did is what the server is from then
/// on.
#[test]
fn a_server_goes_on_as_the_build_that_a_step_names() {
    let scenario = |build: &str| {
        let text = format!(
            "title = \"t\"\nherd = \"riley\"\nsteps = [\n\
             {{ at = \"2s\", upgrade = \"Riley\", build = \"{build}\" }},\n\
             {{ at = \"5s\", client = \"kiwi\", to = \"Riley\", send = \"hello\" }},\n]"
        );
        Scenario::parse("t.toml", &text, None).expect("right").0
    };
    let error = sim::run_once(&scenario("next")).expect_err("there is none");
    let words = error.to_string();
    assert!(
        words.contains("no build `next`") && words.contains("`current`, `v1`"),
        "{words}"
    );
    let started = Arc::new(Mutex::new(Vec::new()));
    let starts = Arc::clone(&started);
    let simulator = Simulator::default().with_build("next", move |net, start| {
        let name = start.config.node.name.to_string();
        starts.lock().expect("no panic").push(name);
        start.serve(net)
    });
    let trace = simulator.run_once(&scenario("next")).expect("it runs");
    assert_eq!(trace.verdict().failed, 0);
    assert_eq!(*started.lock().expect("no panic"), ["Riley"]);
}

/// A server that has nobody to part from ends at once, and its ports are free when it starts again.
#[test]
fn a_server_without_links_starts_again_at_once() {
    let text = "title = \"t\"\nherd = \"riley\"\nwithout = [\"nothing-waits\"]\nsteps = [\n\
                { at = \"1s\", partition = [\"Riley\"], from = [\"Jaquez\", \"Juzang\"] },\n\
                { at = \"20s\", upgrade = \"Riley\" },\n\
                { at = \"21s\", client = \"kiwi\", to = \"Riley\", send = \"hello\", reply = \"? hello\" },\n]";
    let (scenario, _) = Scenario::parse("t.toml", text, None).expect("right");
    for world in WorldKind::ALL {
        let simulator = Simulator {
            world,
            ..Simulator::default()
        };
        let trace = simulator.run_once(&scenario).expect("it runs");
        assert_eq!(trace.verdict().failed, 0, "{world}");
    }
}

/// A link that nobody had yet was taken away: that counts as no effect, and all else is as it must be.
fn only_effects_are_missed(trace: &Trace) {
    let failed = verdicts(trace)
        .into_iter()
        .filter(|verdict| verdict.starts_with("failed"));
    let others: Vec<String> = failed
        .filter(|verdict| !verdict.contains("has an effect"))
        .collect();
    assert_eq!(others, [""; 0]);
}

/// Two neighbours leave while their greetings are under way, and come back in the other order, so that each gets the id
/// of the other. The connections of before end as what they are, and none as one of the other neighbour.
#[test]
fn a_connection_that_was_dialled_for_a_neighbour_that_left_is_not_one_of_who_has_its_id() {
    let text = r#"
        title = "changed places"
        herd = "riley"
        link_latency = "200ms"
        steps = [
          { at = "500ms", unlink = ["Riley-Jaquez", "Riley-Juzang"] },
          { at = "550ms", relink = "Riley-Juzang" },
          { at = "560ms", relink = "Riley-Jaquez" },
          { at = "3s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1+1 {now}", reply = "AT Riley *" },
        ]
        [[expect]]
        link = "all"
        is = "synchronised"
    "#;
    let (scenario, _) = Scenario::parse("places.toml", text, None).expect("it is valid");
    for world in WorldKind::ALL {
        let trace = run(&scenario, world);
        only_effects_are_missed(&trace);
        let riley: Vec<&EventKind> = (trace.events.iter())
            .filter(|event| matches!(&event.who, Actor::Server(who) if **who == *"Riley"))
            .map(|event| &event.what)
            .collect();
        let mut refused = Vec::new();
        for what in &riley {
            if let EventKind::Closed {
                conn,
                why: CloseReason::Refused(why),
            } = what
            {
                let name = riley.iter().find_map(|what| match what {
                    EventKind::Opened {
                        conn: its,
                        with: PeerRole::Server(name),
                        ..
                    } if its == conn => Some(name),
                    _ => None,
                });
                refused.push((name.map(ToString::to_string), why.to_string()));
            }
        }
        refused.sort();
        let gone = |name: &str| {
            (
                Some(name.to_owned()),
                format!("no link with {name} any more"),
            )
        };
        assert_eq!(refused, [gone("Jaquez"), gone("Juzang")], "{world}");
    }
}

/// A server that asks its neighbour to dial it has a connection, which ends with the link between them.
#[test]
fn a_request_to_a_neighbour_that_leaves_is_closed() {
    let text = r#"
        title = "no more questions"
        herd = "riley"
        link_latency = "200ms"
        steps = [
          { at = "500ms", unlink = "Riley-Jaquez" },
          { at = "3s", relink = "Riley-Jaquez" },
          { at = "5s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1+1 {now}", reply = "AT Riley *" },
        ]
    "#;
    let (scenario, _) = Scenario::parse("request.toml", text, None).expect("it is valid");
    let trace = run(&scenario, WorldKind::Packets);
    only_effects_are_missed(&trace);
    let asked = trace.events.iter().find_map(|event| match &event.what {
        EventKind::LineOut { conn, line } if line.0.starts_with(b"DIAL 2 riley Jaquez") => {
            Some(*conn)
        }
        _ => None,
    });
    let asked = asked.expect("Jaquez asks Riley");
    let closed = trace.events.iter().filter(|event| {
        matches!(&event.who, Actor::Server(who) if **who == *"Jaquez")
            && matches!(&event.what, EventKind::Closed { conn, .. } if *conn == asked)
    });
    assert_eq!(closed.count(), 1);
}
