//! Explorations of the real server, compared with an independent model of a flood.

mod flood;

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::*;
use crate::node::mistakes::Mistake;
use crate::scenario::Held;
use flood::Flood;

fn parsed(text: &str) -> Scenario {
    let (scenario, warnings) = Scenario::parse("test.toml", text, None).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    scenario
}

/// Three servers in a ring.
fn ring(steps: &str) -> Scenario {
    parsed(&format!(
        "title = \"a test\"\nherd = {{ name = \"ring\", servers = [\"A\", \"B\", \"C\"], links = [\"A-B\", \"B-C\", \"A-C\"] }}\n\
         steps = [\n{steps}]\n"
    ))
}

const AT_A: &str = "{ at = \"1s\", client = \"kiwi\", to = \"A\", send = \"IAMAT kiwi +1+1 {now}\", reply = \"AT A *\" },\n";
const AT_C: &str = "{ at = \"1s\", client = \"kiwi\", to = \"C\", send = \"IAMAT kiwi +2+2 {now}\", reply = \"AT C *\" },\n";
const CRASH: &str = "{ at = \"1s\", crash = \"B\" },\n";
const RESTART: &str = "{ at = \"1s\", restart = \"B\" },\n";

fn reduced() -> Options {
    Options {
        reduce: true,
        depth: None,
        preemptions: None,
        budget: 50_000,
        threads: NonZeroUsize::MIN,
        any_time: false,
        held: Held::Updates,
        origin: None,
        keep: 0,
        simulator: Simulator::default(),
    }
}

fn all() -> Options {
    Options::default()
}

fn explored(scenario: &Scenario, options: &Options) -> Exploration {
    let explored = explore(scenario, options).unwrap();
    assert!(explored.complete, "{:?}", explored.counts);
    explored
}

/// The outcome of each order, and how many orders there were.
fn histories(scenario: &Scenario, options: &Options) -> (BTreeSet<String>, usize) {
    let prepared =
        prepare::prepare(scenario, (options.any_time, options.held), options.origin).unwrap();
    let bounds = Bounds {
        reduce: options.reduce,
        depth: None,
        deviations: None,
        budget: usize::MAX,
    };
    let mut found = BTreeSet::new();
    let seen = |_: &[Choice], outcome: Outcome| {
        found.insert(outcome.histories);
    };
    let go_on = |_: &Counts| ControlFlow::Continue(());
    let herd = HerdByHand {
        scenario: &prepared.scenario,
        simulator: &options.simulator,
    };
    let counts = search::search(&herd, bounds, NonZeroUsize::MIN, seen, go_on).unwrap();
    (found, counts.orders)
}

/// Checks the flood from one server of the Riley herd: the numbers of orders and outcomes are the
/// model's, and the hops are those that the graph allows.
fn a_bare_flood_is_as_calculated(origin: &str, orders: usize) {
    let (scenario, _) = Scenario::load("scenarios/one-update.toml").unwrap();
    let herd = Arc::clone(&scenario.herd);
    let from = herd.id(origin).unwrap();
    let options = Options {
        origin: Some(from),
        ..all()
    };
    let explored = explored(&scenario, &options);
    assert_eq!(explored.counts.orders, orders);
    let flood = Flood::new(&herd);
    assert_eq!(flood.orders(from), orders);
    assert_eq!(explored.outcomes, flood.outcomes(from));
    let update = &explored.updates[0];
    for (id, server) in herd.ids().zip(&update.servers) {
        assert_eq!(server.hops, flood.hops(from, id), "{}", server.server);
        assert_eq!(server.missed, 0);
    }
    let exactly = |value| Range {
        least: value,
        most: value,
    };
    assert_eq!((update.sends, update.useful), (exactly(8), exactly(4)));
    // The step, and eight deliveries.
    assert_eq!(explored.choices, exactly(9));
    assert!(
        explored.judged.iter().all(|judged| judged.held == orders),
        "{:?}",
        explored.judged
    );
    assert!(!explored.is_broken());
}

#[test]
fn a_bare_flood_from_riley_has_1248_orders() {
    a_bare_flood_is_as_calculated("Riley", 1_248);
}

#[test]
fn a_bare_flood_from_campbell_has_1424_orders() {
    a_bare_flood_is_as_calculated("Campbell", 1_424);
}

/// Only two origins are explored above. `herd explore scenarios/one-update.toml --origin all`
/// explores the others, which takes longer.
#[test]
fn the_model_of_a_flood_has_the_known_orders_from_everywhere() {
    let (herd, _) = crate::herd::Herd::load("riley", None).unwrap();
    let flood = Flood::new(&herd);
    let orders: Vec<usize> = herd.ids().map(|id| flood.orders(id)).collect();
    assert_eq!(orders, [1_248, 1_248, 2_616, 1_424, 2_616]);
}

#[test]
fn what_comes_when_all_is_quiet_adds_no_orders() {
    let later = "{ at = \"20s\", client = \"plum\", to = \"C\", send = \"WHATSAT kiwi 10 5\", reply = \"AT A * kiwi *\" },\n\
                 { at = \"30s\", crash = \"B\" },\n";
    let bare = explored(&ring(AT_A), &all());
    let more = explored(&ring(&format!("{AT_A}{later}")), &all());
    assert_eq!(more.counts.orders, bare.counts.orders);
    assert_eq!(more.choices.most, bare.choices.most + 2);
    assert!(!more.is_broken(), "{:?}", more.broken);
}

#[test]
fn steps_of_one_time_are_done_at_every_moment_and_others_if_any_time_will_do() {
    let bare = explored(&ring(AT_A), &all());
    let crash = explored(&ring(&format!("{AT_A}{CRASH}")), &all());
    assert!(crash.counts.orders > bare.counts.orders);
    let later = ring(&format!("{AT_A}{}", CRASH.replace("1s", "9s")));
    let any_time = Options {
        any_time: true,
        ..all()
    };
    assert_eq!(explored(&later, &all()).counts.orders, bare.counts.orders);
    assert_eq!(explored(&later, &any_time).counts, crash.counts);
    // Some crashes come too late to matter, and some so early that B never receives kiwi.
    let b = &crash.updates[0].servers[1];
    assert!(b.missed > 0 && b.hops == BTreeSet::from([1, 2]), "{b:?}");
}

#[test]
fn leaving_out_what_commutes_leaves_out_no_outcome() {
    for steps in [
        AT_A.to_owned(),
        format!("{AT_A}{AT_C}"),
        format!("{AT_A}{CRASH}"),
        format!("{AT_A}{CRASH}{RESTART}"),
        format!("{AT_A}{{ at = \"1s\", sever = \"A-C\" }},\n"),
        format!("{AT_A}{{ at = \"1s\", freeze = \"B\" }},\n{{ at = \"1s\", thaw = \"B\" }},\n"),
    ] {
        let scenario = ring(&steps);
        let (full, orders) = histories(&scenario, &all());
        let (reduced, fewer) = histories(&scenario, &reduced());
        assert_eq!(full, reduced, "{steps}");
        assert!(
            fewer < orders && fewer >= full.len(),
            "{fewer} of {orders}: {steps}"
        );
        println!(
            "{orders} orders, {fewer} reduced, {} outcomes: {steps}",
            full.len()
        );
    }
}

#[test]
fn the_whole_exploration_does_not_depend_on_threads() {
    let scenario = ring(&format!("{AT_A}{AT_C}"));
    let by = |threads| {
        let options = Options {
            budget: 150,
            threads: NonZeroUsize::new(threads).unwrap(),
            ..all()
        };
        serde_json::to_string(&explore(&scenario, &options).unwrap()).unwrap()
    };
    let one = by(1);
    assert!(
        one.contains("\"complete\":false") && one.contains("\"orders\":150"),
        "{one}"
    );
    assert_eq!(one, by(3));
}

/// A server that accepts an older update from its client does so only in orders in which a newer
/// one arrived before.
#[test]
fn a_mistake_that_shows_in_some_orders_only_is_found_and_can_be_replayed() {
    let older = AT_C.replace("{now}", "{now-1s}");
    let scenario = ring(&format!("{AT_A}{older}"));
    let mistaken = Simulator::default().with_mistake(Mistake::TakesOlder.made_by("C"));
    let options = Options {
        simulator: mistaken.clone(),
        ..reduced()
    };
    let found = explored(&scenario, &options);
    assert!(found.is_broken());
    let kind = &found.broken[0].kind;
    assert_eq!(kind.broken, "never-back-in-time");
    let broken: usize = found.broken.iter().map(|order| order.orders).sum();
    assert!(broken < found.counts.orders, "{broken}");
    // The correct server passes in every order.
    assert!(!explored(&scenario, &reduced()).is_broken());

    for order in &found.broken {
        let replay = parsed(&order.scenario.to_toml());
        let trace = mistaken.run(&replay).unwrap();
        assert_eq!(Fingerprint::of(&trace).as_ref(), Some(&order.kind));
        let broken = trace
            .judgements
            .iter()
            .filter(|judgement| !judgement.passed);
        let broken: Vec<&str> = broken.map(|judgement| &*judgement.about).collect();
        let wanted: Vec<&str> = order
            .judgements
            .iter()
            .map(|judgement| &*judgement.about)
            .collect();
        assert_eq!(broken, wanted);
        let trace = sim::run(&replay).unwrap();
        assert_eq!(trace.verdict().failed, 0, "{:?}", trace.judgements);
    }
}

/// B comes back while a client of C sends: B synchronises with A and with C in any order.
const COMES_BACK: &str = "{ at = \"1s\", crash = \"B\" },
    { at = \"2s\", client = \"kiwi\", to = \"A\", send = \"IAMAT kiwi +1+1 {now}\", reply = \"AT A *\" },
    { at = \"3s\", restart = \"B\" },
    { at = \"3s\", client = \"kiwi\", to = \"C\", send = \"IAMAT kiwi +2+2 {now+1s}\", reply = \"AT C *\" },\n";

#[test]
fn what_synchronises_links_is_varied_where_it_is_held() {
    let scenario = ring(COMES_BACK);
    let [updates, whole] = [Held::Updates, Held::Synchronisation].map(|held| {
        let options = Options { held, ..all() };
        let found = explored(&scenario, &options);
        assert!(!found.is_broken());
        // Leaving out what commutes leaves out no outcome.
        let fewer = Options { held, ..reduced() };
        assert_eq!(
            histories(&scenario, &options).0,
            histories(&scenario, &fewer).0
        );
        (found.counts.orders, found.outcomes)
    });
    assert_eq!((updates, whole), ((2, 1), (26, 2)));
}

#[test]
fn an_order_of_what_synchronises_links_can_be_replayed() {
    let mistaken = Simulator::default().with_mistake(Mistake::IgnoresNeighbours.made_by("A"));
    let options = Options {
        simulator: mistaken.clone(),
        held: Held::Synchronisation,
        ..all()
    };
    let found = explored(&ring(COMES_BACK), &options);
    assert!(found.is_broken());
    for order in &found.broken {
        let text = order.scenario.to_toml();
        assert!(text.contains("held = \"synchronisation\""), "{text}");
        let trace = mistaken.run(&parsed(&text)).unwrap();
        assert_eq!(Fingerprint::of(&trace).as_ref(), Some(&order.kind));
    }
}

#[test]
fn an_order_that_can_not_be_followed_breaks_the_run() {
    let about = "everything happens in the order of `deliver`";
    let judged = |deliver: &str| {
        let steps = ring(AT_A);
        let text = steps
            .to_toml()
            .replacen("seed", &format!("deliver = {deliver}\nseed"), 1);
        let trace = sim::run(&parsed(&text)).unwrap();
        let judgement = trace
            .judgements
            .iter()
            .find(|judgement| judgement.about == about);
        let judgement = judgement.unwrap();
        (judgement.passed, judgement.actual.clone())
    };
    let followed = |actual: &str| (true, actual.to_owned());
    assert_eq!(
        judged(r#"["step", "A>C", "C>B", "A>B"]"#),
        followed("all 4")
    );
    assert_eq!(judged("[]"), followed("all 0"));
    let missed = |actual: &str| (false, actual.to_owned());
    assert_eq!(
        judged(r#"["step", "A>C", "B>C"]"#),
        missed("2 of 3; number 3, B>C, can't happen then: what can is A>B, C>B")
    );
    assert_eq!(
        judged(r#"["step", "A>B", "A>C", "B>C", "C>B", "C>B"]"#),
        missed("5 of 6; number 6, C>B, can't happen then: nothing is left to happen")
    );
}

#[test]
fn what_is_nothing_without_time_can_not_be_explored() {
    let scenario = ring(&format!("{AT_A}{{ at = \"2s\", partition = \"A-B\" }},\n"));
    let Err(ExploreError::Unfit(problems)) = explore(&scenario, &all()) else {
        panic!("it was explored");
    };
    let told: Vec<_> = problems
        .sorted()
        .into_iter()
        .map(|problem| &*problem.message)
        .collect();
    assert_eq!(
        told,
        [
            "this is a cut, which is but a late delivery, and where orders are explored there is no time"
        ]
    );
}

#[test]
fn expectations_that_depend_on_the_order_are_left_out_and_told() {
    let expect = "[[expect]]\nupdate = \"kiwi\"\nreaches = \"all\"\nhops = { B = 1 }\nwithin = \"1s\"\n\
                  [[expect]]\nserver = \"B\"\nat = \"2s\"\nrecords = 1\n";
    let text = format!("{}{expect}", ring(AT_A).to_toml());
    let found = explored(&parsed(&text), &all());
    assert_eq!(found.not_judged, ["at", "hops", "within"]);
    assert!(!found.is_broken(), "{:?}", found.broken);
    let about: Vec<&str> = found.judged.iter().map(|judged| &*judged.about).collect();
    assert!(about.contains(&"kiwi: reaches B"), "{about:?}");
}
