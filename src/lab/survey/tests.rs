//! Compares the model with the simulator, event for event, and surveys herds with and without a
//! mistaken server.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::simulated::Simulation;
use super::*;
use crate::herd::{Herd, ServerId, Shape};
use crate::journal::{Actor, Event, EventId, EventKind, Ignored, Source};
use crate::model::{Hearing, Latency, Model, Reaction, Without};
use crate::node::mistakes::Mistake;
use crate::protocol::peer::PeerLine;
use crate::scenario::Scenario;
use crate::sim::{self, Simulator, WorldKind};
use crate::trace::Trace;

const LATENCY: std::time::Duration = std::time::Duration::from_millis(20);

/// A scenario with one update from each server in turn, each after the one before has spread.
fn scenario(reference: &str, herd: &Herd) -> Scenario {
    let mut text = format!(
        "title = \"One from each\"\nherd = \"{reference}\"\ntick = \"10ms\"\nlink_latency = \"20ms\"\nclient_latency = \"10ms\"\nsteps = [\n"
    );
    for (number, name) in herd.server_names().enumerate() {
        let at = 1000 + 500 * number;
        let _ = writeln!(
            text,
            "{{ at = \"{at}ms\", client = \"c{number}\", to = \"{name}\", send = \"IAMAT c{number} +34-118 {{now}}\" }},"
        );
    }
    text.push(']');
    let (scenario, _) = Scenario::parse("each.toml", &text, None).unwrap_or_else(|problems| {
        panic!("{}", problems.render(false));
    });
    scenario
}

/// All receipts of the update of client `c<number>`, with times since its origin received it.
fn told(trace: &Trace, number: usize) -> Vec<Hearing> {
    let client = format!("c{number}");
    let event = |id: EventId| &trace.events[usize::try_from(id.0.get()).unwrap() - 1];
    let mut all: Vec<Hearing> = (trace.events.iter())
        .filter_map(|one| told_by(&trace.herd, one, &client, event))
        .collect();
    let began = all[0].at;
    for told in &mut all {
        told.at -= began;
    }
    all
}

fn told_by<'a>(
    herd: &Herd,
    one: &'a Event,
    client: &str,
    event: impl Fn(EventId) -> &'a Event,
) -> Option<Hearing> {
    let (record, from, made) = match &one.what {
        EventKind::Accepted { record, from, .. } => (record, from, Reaction::Accepted),
        EventKind::Ignored { record, why, from } => {
            let known = *why == Ignored::Known;
            (
                record,
                from,
                if known {
                    Reaction::Known
                } else {
                    Reaction::Older
                },
            )
        }
        _ => return None,
    };
    if &*record.client.0 != client.as_bytes() {
        return None;
    }
    let Actor::Server(server) = &one.who else {
        return None;
    };
    let heard = event(one.cause?);
    let hops = match &heard.what {
        EventKind::LineIn { line, .. } => match PeerLine::parse(&line.0) {
            Ok(PeerLine::At(update)) => update.hops,
            _ => 0,
        },
        _ => return None,
    };
    Some(Hearing {
        at: one.at,
        server: herd.id(server)?,
        from: match from {
            Source::Client => None,
            Source::Server(name) => herd.id(name),
        },
        hops,
        made,
    })
}

/// The receipts of each server, in their order there.
fn by_server(told: &[Hearing]) -> BTreeMap<ServerId, Vec<Hearing>> {
    let mut all: BTreeMap<ServerId, Vec<Hearing>> = BTreeMap::new();
    for one in told {
        all.entry(one.server).or_default().push(*one);
    }
    all
}

fn assert_same(reference: &str) {
    let (herd, _) = Herd::load(reference, None).unwrap();
    // Of what arrives at one moment, the model takes first what turmoil does.
    let turmoil = Simulator {
        world: WorldKind::Turmoil,
        ..Simulator::default()
    };
    let trace = turmoil.run_once(&scenario(reference, &herd)).unwrap();
    assert_eq!(trace.verdict().failed, 0, "{reference}");
    let latency = vec![LATENCY; herd.links().len()];
    let mut model = Model::new(&herd, &latency, &Without::default()).unwrap();
    for (number, origin) in herd.ids().enumerate() {
        let flood = model.flood(origin).unwrap();
        let mut modelled = flood.told.clone();
        let began = modelled[0].at;
        for told in &mut modelled {
            told.at -= began;
        }
        let simulated = told(&trace, number);
        assert!(simulated.len() >= herd.servers().len());
        assert_eq!(
            by_server(&modelled),
            by_server(&simulated),
            "{reference}, {number}"
        );
        assert_eq!(flood.sends, trace.updates[number].sends.len() as u64);
    }
}

#[test]
fn the_model_does_what_the_simulator_does_event_for_event() {
    for name in Herd::builtin_names() {
        assert_same(name);
    }
    for shape in [
        "line:5",
        "ring:6",
        "star:6",
        "mesh:5",
        "grid:3x3",
        "random:3,8",
        "small-world:4,0.3,9",
    ] {
        assert!(shape.parse::<Shape>().is_ok());
        assert_same(shape);
    }
}

/// Surveys a herd on one thread.
fn surveyed(herd: &str, dead: usize, cut: usize, engine: Engine) -> Survey {
    surveyed_with(Simulator::default(), herd, dead, cut, engine)
}

fn surveyed_with(
    simulator: Simulator,
    herd: &str,
    dead: usize,
    cut: usize,
    engine: Engine,
) -> Survey {
    let (herd, _) = Herd::load(herd, None).unwrap();
    let options = Options {
        dead,
        cut,
        engine,
        simulator,
        ..Options::default()
    };
    survey(&herd, &options).unwrap()
}

#[test]
fn on_the_real_server_every_small_set_of_failures_reaches_whom_it_can_by_the_shortest_ways() {
    for (herd, dead, cut) in [("riley", 1, 1), ("goloman", 1, 1), ("ring:4", 4, 1)] {
        let simulated = surveyed(herd, dead, cut, Engine::Simulator);
        assert_eq!(simulated.exceptions, [], "{herd}");
        assert!(simulated.held() && !simulated.is_partial());
        let modelled = surveyed(herd, dead, cut, Engine::Model);
        assert_eq!(modelled.sets, simulated.sets, "{herd}");
    }
}

#[test]
fn the_model_has_no_exception_in_any_set_of_failures_of_any_built_in_herd() {
    for name in Herd::builtin_names() {
        let survey = surveyed(name, 5, 6, Engine::Model);
        assert_eq!((survey.sets.len(), survey.all), (2048, 2048));
        assert_eq!(survey.exceptions, [], "{name}");
        // In 64 of the 2048 sets no server runs. In the others every live server sends an update.
        assert_eq!(survey.spreads().count(), 5 * 16 * 64);
        assert!(survey.held());
    }
}

#[test]
fn what_cuts_a_herd_and_what_would_help_is_found() {
    let survey = surveyed("goloman", 1, 1, Engine::Model);
    let cutting = survey
        .sets
        .iter()
        .filter(|set| set.cuts_the_herd && set.size() == 1);
    let cutting: Vec<String> = cutting.map(FailureSet::words).collect();
    // Holiday is Welsh's only neighbour.
    assert_eq!(cutting, ["Holiday-Welsh cut", "Holiday dead"]);
    let extra = survey.extra.unwrap();
    assert_eq!(extra.len(), 10 - 6);
    assert!(extra[0].link.contains("Welsh"), "{}", extra[0].link);
    assert!(extra[0].saves > 0 && extra[0].hops_after < extra[0].hops_before);
}

#[test]
fn a_survey_is_the_same_on_any_number_of_threads() {
    let (herd, _) = Herd::load("riley", None).unwrap();
    let on = |threads| {
        let options = Options {
            threads,
            ..Options::default()
        };
        survey(&herd, &options).unwrap().to_json()
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn a_survey_that_is_stopped_says_so_and_does_not_hold() {
    let (herd, _) = Herd::load("riley", None).unwrap();
    let stop = AtomicBool::new(false);
    let progress = |done| stop.store(done == 5, Ordering::Relaxed);
    let is_stopped = || stop.load(Ordering::Relaxed);
    let options = Options {
        engine: Engine::Model,
        stop: Some(&is_stopped),
        progress: Some(&progress),
        ..Options::default()
    };
    let survey = survey(&herd, &options).unwrap();
    assert_eq!((survey.sets.len(), survey.all), (5, 42));
    assert!(survey.is_partial() && !survey.held());
    let text = survey.to_text();
    assert!(
        text.ends_with("PARTIAL: 5 of 42 failure sets surveyed; in these, 0 exceptions found\n"),
        "{text}"
    );
}

#[test]
fn a_survey_of_nothing_does_not_hold() {
    let survey = surveyed("line:1", 1, 0, Engine::Model);
    assert!(survey.held());
    let lifeless = Survey {
        sets: survey.sets[1..].to_vec(),
        all: 1,
        ..survey
    };
    assert!(!lifeless.held());
    assert!(
        lifeless
            .to_text()
            .contains("no update was sent, so nothing was seen")
    );
}

#[test]
fn more_sets_than_can_be_surveyed_are_refused() {
    let (herd, _) = Herd::load("mesh:40", None).unwrap();
    let options = Options {
        dead: 40,
        cut: 780,
        ..Options::default()
    };
    let error = survey(&herd, &options).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("Countless failure sets of 40 servers are too many")
    );
}

/// The deviations that a survey of the Riley herd finds while Jaquez makes this mistake.
fn found(mistake: Mistake, engine: Engine) -> Vec<String> {
    let mistaken = Simulator::default().with_mistake(mistake.made_by("Jaquez"));
    let survey = surveyed_with(mistaken, "riley", 1, 0, engine);
    assert!(!survey.held());
    let words = survey
        .exceptions
        .iter()
        .map(|one| format!("{}: {}", one.set, one.what));
    words.collect()
}

#[test]
fn a_server_that_ignores_its_neighbours_is_found() {
    for engine in [Engine::Model, Engine::Simulator] {
        let found = found(Mistake::IgnoresNeighbours, engine);
        let first = "nothing missing: Riley to Jaquez: never reached, and 1 hop away";
        assert!(found.iter().any(|one| one == first), "{found:?}");
    }
}

#[test]
fn a_server_that_tells_back_is_found_by_its_sends() {
    for engine in [Engine::Model, Engine::Simulator] {
        let found = found(Mistake::TellsBack, engine);
        let wasteful = |one: &String| one.contains("sends where 8 is the most");
        assert!(found.iter().any(wasteful), "{found:?}");
    }
}

#[test]
fn a_server_that_counts_hops_twice_is_found_where_it_is_on_the_way() {
    let found = found(Mistake::CountsHopsTwice, Engine::Simulator);
    let wrong = "nothing missing: Riley to Bernard: 3 hops where 2 hops is the shortest way, 40ms where 40ms is the fastest";
    assert!(found.iter().any(|one| one == wrong), "{found:?}");
}

#[test]
fn the_scenario_of_a_failure_set_is_one_that_can_be_run_again() {
    let (herd, _) = Herd::load("riley", None).unwrap();
    let simulation = Simulation {
        herd: Arc::new(herd.clone()),
        latency: LATENCY,
        origins: herd.ids().collect(),
        simulator: Simulator::default(),
    };
    let set = Without {
        dead: vec![herd.id("Juzang").unwrap()],
        cut: vec![0],
    };
    let (scenario, warnings) =
        Scenario::parse("again.toml", &simulation.scenario(&set).to_toml(), None).unwrap();
    assert_eq!(warnings.render(false), "");
    assert_eq!(scenario.title, "Juzang dead, Riley-Jaquez cut");
    assert_eq!(sim::run(&scenario).unwrap().updates.len(), 4);
}

/// Measures hops from every server that runs, with equal latencies.
fn measured(herd: &Herd, without: Without, engine: Engine) -> Hops {
    measured_with(Simulator::default(), herd, without, engine)
}

fn measured_with(simulator: Simulator, herd: &Herd, without: Without, engine: Engine) -> Hops {
    let origins = herd.ids().filter(|id| without.is_alive(*id)).collect();
    let measure = Measure {
        herd,
        without,
        latency: Latency::equal(LATENCY),
        origins,
        engine,
        simulator,
    };
    hops(&measure, |_| {})
}

#[test]
fn hops_of_a_herd_with_things_missing_stand_beside_the_shortest_ways() {
    let (herd, _) = Herd::load("riley", None).unwrap();
    let without = Without {
        dead: vec![herd.id("Juzang").unwrap()],
        cut: vec![0],
    };
    for engine in [Engine::Simulator, Engine::Model] {
        let hops = measured(&herd, without.clone(), engine);
        let text = hops.to_text();
        for line in [
            "without Juzang, Riley-Jaquez",
            "Riley         0=       -       -         -        -",
            "Jaquez         -      0=       -        2=       1=",
        ] {
            assert!(text.lines().any(|one| one == line), "{text}");
        }
        // Three servers are still connected, so there are six ordered pairs.
        assert!(text.ends_with("from 4 origins, every server in reach is reached and hops are the shortest possible in 6 of 6\n"), "{text}");
        assert_eq!(hops.to_csv().lines().count(), 1 + 4 * 5);
        assert!(hops.held());
    }
}

#[test]
fn hops_that_are_not_the_shortest_are_shown_and_break() {
    let (herd, _) = Herd::load("riley", None).unwrap();
    let mistake = Mistake::CountsHopsTwice.made_by("Jaquez");
    let mistaken = Simulator::default().with_mistake(mistake);
    let hops = measured_with(mistaken, &herd, Without::default(), Engine::Simulator);
    assert!(!hops.held());
    let text = hops.to_text();
    assert!(text.contains("3>2"), "{text}");
    assert!(
        text.contains("FAILED  Riley to Bernard: 3 hops where 2 hops is the shortest way"),
        "{text}"
    );
}

#[test]
fn in_a_large_herd_every_update_takes_the_best_way_and_costs_what_the_formula_says() {
    let herd = "random:6,500".parse::<Shape>().unwrap().herd(0).unwrap();
    let origins: Vec<ServerId> = herd.ids().step_by(100).collect();
    for range in ["20ms", "1ms..50ms"] {
        let latency = Latency {
            range: range.parse().unwrap(),
            seed: 1,
        };
        let hops = hops(
            &Measure {
                herd: &herd,
                without: Without::default(),
                latency,
                origins: origins.clone(),
                engine: Engine::Model,
                simulator: Simulator::default(),
            },
            |_| {},
        );
        assert_eq!((hops.best(), hops.ways()), (2495, 2495), "{range}");
        assert!(hops.held());
        let most = 2 * 1500 - 500 + 1;
        assert!(hops.floods.iter().all(|flood| flood.most_sends == most));
        // Servers forward without waiting, so all messages that can cross do, and the cost is the
        // maximum.
        assert!(hops.floods.iter().all(|flood| flood.sends == most));
        assert!(hops.memory.unwrap().records > 500 * 60);
    }
}
