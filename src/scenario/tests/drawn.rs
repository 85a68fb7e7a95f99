//! Steps that stand for many: what they come to, how steps are written, and mistakes.

use super::*;
use crate::herd::ServerId;

/// The steps without their places.
fn bare(steps: &[Step]) -> Vec<(Duration, &Action)> {
    steps.iter().map(|step| (step.at, &step.action)).collect()
}

/// The steps written as a file and read again.
fn again(scenario: &Scenario, steps: &[Step]) -> Scenario {
    let written: Vec<String> = (steps.iter())
        .map(|step| format!("  {},\n", step.to_toml(&scenario.herd)))
        .collect();
    good(&format!("steps = [\n{}]", written.concat()))
}

#[test]
fn many_clients_take_turns_under_their_own_names() {
    let scenario = good(
        "steps = [{ at = \"1s\", client = \"kiwi\", clients = 3, to = [\"Riley\", \"Juzang\"], times = 2, every = \"10ms\",\n\
         send = \"IAMAT {client} +1+1 {now}\", reply = \"AT * {client} *\" }]\n\
         [[expect]]\nupdate = \"kiwi-2#4\"\nsends = 8",
    );
    let steps = scenario.expanded().steps;
    let told: Vec<_> = (steps.iter())
        .map(|step| {
            let Action::Client(client) = &step.action else {
                panic!("{step:?}");
            };
            let line = &client.lines[0];
            let reply = line.reply.as_ref().unwrap().show(1, None);
            format!(
                "{:?} {} +{:?}: {} {reply}",
                step.at,
                client.client,
                client.every,
                line.send.text()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "1s kiwi-1 +30ms: IAMAT kiwi-1 +1+1 {now} AT * kiwi-1 *",
            "1.01s kiwi-2 +30ms: IAMAT kiwi-2 +1+1 {now} AT * kiwi-2 *",
            "1.02s kiwi-3 +30ms: IAMAT kiwi-3 +1+1 {now} AT * kiwi-3 *",
        ]
    );
    assert_eq!(scenario.updates().len(), 12);
    let twice = scenario.expanded().expanded().steps;
    assert_eq!(bare(&twice), bare(&steps));
}

const LOAD: &str = "steps = [{ at = \"1s\", workload = \"load\", clients = 5, to = [\"Riley\", \"Juzang\"], \
    rate = 100, lasts = \"1500ms\", whatsat = 30 }]";

/// The lines of a workload: when, by which client, to which server, what.
fn lines(scenario: &Scenario) -> Vec<(Duration, String, ServerId, String)> {
    let steps = scenario.expanded().steps.into_iter();
    let lines = steps.filter_map(|step| match step.action {
        Action::Client(client) => Some((
            step.at,
            client.client.to_string(),
            client.to[0],
            client.lines[0].send.text().to_owned(),
        )),
        _ => None,
    });
    lines.collect()
}

#[test]
fn a_workload_says_a_line_in_each_part_of_its_time() {
    let scenario = good(LOAD);
    let said = lines(&scenario);
    assert_eq!(said.len(), 150);
    for (index, (at, client, to, line)) in (0..).zip(&said) {
        let from = Duration::from_millis(1_000 + index * 10);
        assert!(
            (from..from + Duration::from_millis(10)).contains(at),
            "{index}: {at:?}"
        );
        assert!(["load-1", "load-2", "load-3", "load-4", "load-5"].contains(&client.as_str()));
        assert!(["Riley", "Juzang"].contains(&&*scenario.herd.server(*to).name));
        // Only a client that has sent its position is queried.
        if let Some(rest) = line.strip_prefix("WHATSAT ") {
            let about = rest.split(' ').next().unwrap();
            let earlier = said[..usize::try_from(index).unwrap()].iter();
            let said_before = format!("IAMAT {about} ");
            assert!(
                { earlier }.any(|(.., line)| line.starts_with(&said_before)),
                "{line}"
            );
        } else {
            assert!(line.starts_with(&format!("IAMAT {client} ")), "{line}");
        }
    }
    let questions = said
        .iter()
        .filter(|line| line.3.starts_with("WHATSAT"))
        .count();
    assert!((20..70).contains(&questions), "{questions}");
    let (first, last) = (&said[0], &said[149]);
    assert_ne!(first.0.subsec_millis() % 10, last.0.subsec_millis() % 10);
}

#[test]
fn the_seed_and_the_name_decide_what_is_drawn_and_nothing_else() {
    let scenario = good(LOAD);
    let said = lines(&scenario);
    assert_eq!(lines(&scenario.clone().with_seed(0)), said);
    assert_ne!(lines(&scenario.with_seed(1)), said);
    let crash = "steps = [{ at = \"500ms\", crash = \"Bernard\" }, ";
    assert_eq!(lines(&good(&LOAD.replace("steps = [", crash))), said);
    let renamed = lines(&good(&LOAD.replace("\"load\"", "\"other\"")));
    let times = |lines: &[(Duration, String, ServerId, String)]| {
        let times: Vec<Duration> = lines.iter().map(|line| line.0).collect();
        times
    };
    assert_ne!(times(&renamed), times(&said));
}

#[test]
fn more_lines_than_ticks_share_them() {
    let scenario = good(&LOAD.replace("rate = 100", "rate = 3000"));
    assert_eq!(lines(&scenario).len(), 4_500);
}

const RANDOM: &str = "{ at = \"2s\", random = { crash = \"300ms\", power_off = \"300ms\", freeze = \"200ms\", \
    refuse = \"200ms\", partition = \"200ms\", partition_oneway = \"200ms\", sever = \"200ms\", \
    slow = \"200ms\", skew = \"200ms\" }, lasts = \"3s\", holds = \"50ms..600ms\" }";

#[test]
fn what_is_chosen_is_right_by_the_rules_of_written_steps() {
    // Every fault that can be in force beforehand, cleared only when the random step is over.
    let before = "{ at = \"1s\", crash = \"Riley\" }, { at = \"1s\", freeze = \"Jaquez\" }, \
        { at = \"1s\", refuse = \"Juzang\" }, { at = \"1s\", partition_oneway = \"Bernard-Juzang\" }, \
        { at = \"1s\", slow = \"Bernard-Campbell\", latency = \"90ms\" }, \
        { at = \"1s\", skew = \"Bernard\", by = \"+1h\" }";
    let after = "{ at = \"6s\", restart = \"Riley\" }, { at = \"6s\", thaw = \"Jaquez\" }, \
        { at = \"6s\", accept = \"Juzang\" }, { at = \"6s\", heal = \"Bernard-Juzang\" }";
    for rest in [RANDOM.to_owned(), format!("{before}, {RANDOM}, {after}")] {
        let scenario = good(&format!("steps = [{rest}]"));
        let mut sums = [0; 9];
        for seed in 0..100 {
            let mut steps = scenario.clone().with_seed(seed).expanded().steps;
            let drawn = steps
                .iter()
                .position(|step| matches!(step.action, Action::Drawn(_)));
            let Action::Drawn(Drawn::Random(_, counts)) = steps.remove(drawn.unwrap()).action
            else {
                panic!("no random step");
            };
            for (sum, count) in sums.iter_mut().zip(&counts) {
                *sum += count;
            }
            let last = Duration::from_secs(5);
            assert!(
                steps
                    .iter()
                    .all(|step| step.at <= last || step.at.as_secs() == 6)
            );
            // No mistake in what is written, and it says the same.
            let written = again(&scenario, &steps);
            assert_eq!(bare(&written.steps), bare(&steps), "{seed}");
        }
        assert!(sums.iter().all(|sum| *sum > 100), "{sums:?}");
    }
}

#[test]
fn in_the_end_all_that_was_chosen_is_mended() {
    let scenario = good(&format!("steps = [{RANDOM}]"));
    for seed in 0..100 {
        let scenario = scenario.clone().with_seed(seed).expanded();
        let (mut broken, usual) = (broken::Broken::default(), scenario.usual());
        for step in &scenario.steps {
            broken.learn(step, &usual);
        }
        assert!(broken.is_whole(), "{seed}");
    }
}

#[test]
fn one_kind_more_changes_nothing_of_what_the_others_draw() {
    let first = |faults: &str| {
        let random = format!("random = {{ {faults} }}, lasts = \"3s\", holds = \"50ms\"");
        let scenario = good(&format!("steps = [{{ at = \"2s\", {random} }}]"));
        let crashes = scenario.expanded().steps.into_iter();
        let crashes = crashes.filter(
            |step| matches!(&step.action, Action::Begin(fault) if fault.kind.name == "crash"),
        );
        crashes.map(|step| step.at).collect::<Vec<_>>()
    };
    assert_eq!(
        first("crash = \"200ms\""),
        first("crash = \"200ms\", skew = \"10ms\"")
    );
}

/// A step of every kind, in every shape.
const EVERYTHING: &str = r#"steps = [
  { at = "100ms", crash = ["Riley", "Juzang"] },
  { at = "101ms", restart = "all" },
  { at = "102ms", power_off = "Riley" },
  { at = "103ms", power_on = "Riley" },
  { at = "104ms", freeze = "Riley" },
  { at = "105ms", thaw = "Riley" },
  { at = "106ms", refuse = "Riley" },
  { at = "107ms", accept = "Riley" },
  { at = "108ms", partition = "Riley-Juzang" },
  { at = "109ms", heal = "Riley-Juzang" },
  { at = "110ms", partition = ["Riley", "Jaquez"], from = ["Juzang", "clients"] },
  { at = "111ms", heal = ["Riley", "Jaquez"], from = ["Juzang", "clients"] },
  { at = "112ms", partition = "clients" },
  { at = "113ms", heal = "clients" },
  { at = "114ms", partition_oneway = "Riley-Juzang" },
  { at = "115ms", heal = "all" },
  { at = "116ms", partition_oneway = ["Riley", "Jaquez"], from = ["Juzang", "clients"] },
  { at = "117ms", heal = "all" },
  { at = "118ms", sever = "Riley-Juzang" },
  { at = "119ms", sever = ["Riley", "Jaquez"], from = ["Juzang", "clients"] },
  { at = "120ms", slow = ["Riley", "Juzang-Bernard"], latency = "10ms..30ms" },
  { at = "121ms", skew = ["Riley", "a-2", "alle"], by = "-1.5s", drift = "+100us" },
  { at = "122ms", skew = "Riley", drift = "-1ms" },
  { at = "123ms", skew = "Riley", by = "0s" },
  { at = "124ms", client = "alle", to = "all", send = "all" },
  { at = "125ms", client = "k\"\\i", clients = 2, to = "Riley", times = 3, every = "10ms",
    send = ["IAMAT {client} +1+1 {now+{i}ms}", 'tab	\ " {{}} {hex:00ff} é'], reply = ["*", "? *"] },
  { at = "126ms", client = "a", clients = 2, to = "Riley", send = "x", no_reply = true, every = "5ms" },
  { at = "127ms", workload = "load", clients = 20, rate = 50, lasts = "2s", whatsat = 25, answered = 90 },
  { at = "3s", random = { crash = "2s", skew = "5s" }, lasts = "10s", holds = "100ms..800ms", of = ["Riley", "Jaquez"] },
]"#;

#[test]
fn what_is_written_reads_back_the_same() {
    let scenario = good(EVERYTHING);
    for step in &scenario.steps {
        assert!(!step.to_toml(&scenario.herd).contains('\n'), "{step:?}");
    }
    let written = again(&scenario, &scenario.steps);
    assert_eq!(bare(&written.steps), bare(&scenario.steps));
    let mut plain = scenario.expanded().steps;
    plain.retain(|step| !matches!(step.action, Action::Drawn(_)));
    assert_eq!(bare(&again(&scenario, &plain).steps), bare(&plain));
}

#[test]
fn mistakes_in_clients_and_workloads_have_a_place() {
    let cases: [(&str, &[&str]); 7] = [
        (
            "{ at = \"1s\", client = \"a\", clients = 0, to = \"Riley\", send = \"x\" }",
            &["3:47 `clients` is 0, but must be 1 to 10000"],
        ),
        (
            "{ at = \"1s\", client = \"a\", clients = 101, times = 100, to = \"Riley\", send = \"x\" }",
            &["3:47 101 `clients` 100 `times` each is more than 10000 connections"],
        ),
        (
            "{ at = \"1s\", crash = \"Riley\", clients = 2, rate = 3, lasts = \"1s\" }",
            &[
                "3:50 `clients` goes with `client` and `workload`, and this step has `crash`",
                "3:60 `rate` goes with `workload`, and this step has `crash`",
                "3:71 `lasts` goes with `workload` and `random`, and this step has `crash`",
            ],
        ),
        (
            "{ at = \"1s\", workload = \"load\" }",
            &[
                "3:10 a workload needs `clients`: how many there are",
                "3:10 a workload needs `rate`: how many lines a second",
                "3:10 a workload needs `lasts`: how long it goes on",
            ],
        ),
        (
            "{ at = \"1s\", workload = \"a b\", clients = 100001, rate = 1, lasts = \"0s\", whatsat = 101, answered = 0, send = \"x\" }",
            &[
                "3:34 `a b` is no name for a client",
                "3:51 `clients` is 100001, but must be 1 to 100000",
                "3:77 nothing can happen in no time",
                "3:93 `whatsat` is a percentage, 0 to 100",
                "3:109 `answered` is a percentage, 1 to 100",
                "3:119 `send` goes with `client` and `peer`, and this step has `workload`",
            ],
        ),
        (
            "{ at = \"1s\", workload = \"a\", clients = 1, rate = 5001, lasts = \"2s\" }, { at = \"1s\", workload = \"b\", clients = 1, rate = 1, lasts = \"999ms\" }",
            &[
                "3:59 5001 lines a second for 2s are 10002 lines, but there must be 1 to 10000",
                "3:130 1 lines a second for 999ms are 0 lines, but there must be 1 to 10000",
            ],
        ),
        (
            "{ at = \"1s\", workload = \"a\", clients = 1, rate = 5, lasts = \"2s\" }, { at = \"4s\", workload = \"a\", clients = 1, rate = 5, lasts = \"2s\" }",
            &["3:78 there are two workloads `a`"],
        ),
    ];
    for (steps, wanted) in cases {
        assert_eq!(
            problems_of(&format!("steps = [{steps}]")),
            wanted,
            "{steps}"
        );
    }
}

#[test]
fn mistakes_in_faults_at_random_have_a_place() {
    let cases: [(&str, &[&str]); 5] = [
        (
            "{ at = \"1s\", random = {} }",
            &[
                "3:10 a random step needs `lasts`: how long it goes on",
                "3:10 a random step needs `holds`: how long each fault holds",
                "3:32 no fault is named here",
            ],
        ),
        (
            "{ at = \"1s\", random = { crash = \"0s\", freze = \"1s\" }, lasts = \"1s\", holds = \"1.5ms\", rate = 1 }",
            &[
                "3:42 there can be no fault every 0s",
                "3:48 unknown field `freze`",
                "3:86 `holds` is 1.5ms, which is no multiple of the tick of 1ms",
                "3:102 `rate` goes with `workload`, and this step has `random`",
            ],
        ),
        (
            "{ at = \"1s\", random = { slow = \"1s\" }, lasts = \"1s\", holds = \"0s\", of = [\"Riley\", \"Bernard\"] }",
            &[
                "3:71 a fault holds for at least a tick",
                "3:82 `slow` happens to links, and there is none between these servers",
            ],
        ),
        (
            "{ at = \"1s\", random = { crash = \"1s\" }, lasts = \"2s\", holds = \"1s\", of = [\"Riley\", \"Jaquez\"] }, \
             { at = \"1s\", crash = \"Juzang\" }, { at = \"3s\", freeze = \"Riley\" }, { at = \"3001ms\", thaw = \"Riley\" }",
            &["3:139 `Riley` has faults at random until 3s"],
        ),
        (
            "{ at = \"1s\", random = { crash = \"1s\" }, lasts = \"2s\", holds = \"1s\" }, \
             { at = \"2s\", random = { skew = \"1s\" }, lasts = \"2s\", holds = \"1s\", of = \"Juzang\" }, \
             { at = \"4500ms\", sever = \"Riley-Juzang\" }",
            &["3:80 `Juzang` has faults at random until 3s"],
        ),
    ];
    for (steps, wanted) in cases {
        assert_eq!(
            problems_of(&format!("steps = [{steps}]")),
            wanted,
            "{steps}"
        );
    }
    let late = format!("end = \"4s\"\nsteps = [{RANDOM}]");
    assert_eq!(
        problems_of(&late),
        ["4:17 this happens at 5s, but the run ends at 4s"]
    );
}

#[test]
fn mistakes_in_what_is_expected_of_workloads_have_a_place() {
    let cases: [(&str, &[&str]); 4] = [
        ("workload = \"load\"", &["4:1 nothing is expected here"]),
        (
            "workload = \"laod\"\nno_lost_updates = true",
            &["5:12 there is no workload `laod`"],
        ),
        (
            "workload = \"load\"\nno_lost_updates = true\nsends = 8",
            &["7:9 `sends` goes with `update`, and this expectation is about `workload`"],
        ),
        (
            "update = \"load-1\"\nno_lost_updates = true",
            &[
                "4:1 nothing is expected here",
                "5:10 no IAMAT for `load-1` is sent in this scenario",
                "6:19 `no_lost_updates` goes with `workload` and `client`, and this expectation is about `update`",
            ],
        ),
    ];
    for (expect, wanted) in cases {
        let text = format!("{LOAD}\n[[expect]]\n{expect}");
        assert_eq!(problems_of(&text), wanted, "{expect}");
    }
    let scenario = good(&format!(
        "{LOAD}\n[[expect]]\nworkload = \"load\"\nno_lost_updates = true"
    ));
    let wanted = Expected::NoLostUpdates(ClientSet::Workload("load".into()));
    assert_eq!(scenario.expects[0].what, wanted);
}

/// Whatever the seed draws before a moment stays, wherever the moment falls between lines and faults.
#[test]
fn what_is_drawn_before_a_moment_does_not_depend_on_the_seed_after_it() {
    let load = LOAD.trim_start_matches("steps = [").trim_end_matches(']');
    let scenario = good(&format!("steps = [{load}, {RANDOM}]"));
    let is_plain = |step: &Step| !matches!(step.action, Action::Drawn(_));
    for moment in (1_000..5_000).step_by(7).map(Duration::from_millis) {
        let recipe = Recipe::from(u64::from(moment.subsec_millis()));
        let before = |recipe: Recipe| {
            let mut steps = scenario.clone().with_seed(recipe).expanded().steps;
            steps.retain(|step| step.at < moment && is_plain(step));
            steps
                .into_iter()
                .map(|step| (step.at, step.action))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            before(recipe.then(moment, 99)),
            before(recipe.clone()),
            "{moment:?}"
        );
    }
}
