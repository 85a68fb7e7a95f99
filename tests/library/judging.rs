//! Every kind of expectation can fail, and reports the actual value.

use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Judgement;
use proxy_herd::trace::invariants::Invariant;

const KIWI: &str = r#"
    title = "a test"
    herd = "riley"
    steps = [
      { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}", REPLY },
      { at = "2s", client = "kiwi", to = "Campbell", send = "IAMAT kiwi +35-118 {now-1h}" },
    ]
    END
    [[expect]]
    update = "kiwi#1"
    EXPECT
"#;

/// Runs the scenario above with its gaps filled in, and returns the failed judgements.
fn broken(reply: &str, end: &str, expect: &str) -> Vec<Judgement> {
    let text = KIWI
        .replace(", REPLY", reply)
        .replace("END", end)
        .replace("EXPECT", expect);
    let (scenario, _) = Scenario::parse("test.toml", &text, None).expect("a right scenario");
    let trace = sim::run_once(&scenario).expect("it runs");
    trace
        .judgements
        .into_iter()
        .filter(|judgement| !judgement.passed)
        .collect()
}

/// An expectation of some runs fails none, and the report says whether it was so.
#[test]
fn what_need_not_be_so_in_each_run_fails_none() {
    for (hops, seen) in [(2, true), (3, false)] {
        let expect = format!("hops = {{ Campbell = {hops} }}\nsometimes = true");
        let text = KIWI
            .replace(", REPLY", "")
            .replace("END", "")
            .replace("EXPECT", &expect);
        let (scenario, _) = Scenario::parse("test.toml", &text, None).expect("a right scenario");
        let (again, _) = Scenario::parse("test.toml", &scenario.to_toml(), None).expect("right");
        assert_eq!(again.expects[0].sometimes, scenario.expects[0].sometimes);
        let trace = sim::run_once(&scenario).expect("it runs");
        assert_eq!(trace.verdict().failed, 0);
        let told: Vec<bool> = (trace.header.sometimes.iter().map(|it| it.seen)).collect();
        assert_eq!(told, [seen]);
    }
}

#[test]
fn what_is_true_holds() {
    let everything = r#"
        reaches = "all"
        hops = { Riley = 0, Jaquez = 1, Campbell = 2 }
        path = { Campbell = ["Riley", "Juzang", "Campbell"] }
        within = "40ms"
        sends = 8
        useful = 4
        duplicates = 4
        [[expect]]
        update = "kiwi#2"
        ignored = true"#;
    let reply = r#", reply = "AT Riley +* kiwi +34-118 {sent}""#;
    assert_eq!(broken(reply, "", everything), []);
}

#[test]
fn what_is_not_true_is_broken_with_both_values() {
    for (expect, about, expected, actual) in [
        (
            r#"misses = "Campbell""#,
            "kiwi#1: reaches Campbell",
            "no",
            "yes",
        ),
        (
            "hops = { Campbell = 3 }",
            "kiwi#1: hops to Campbell",
            "3",
            "2",
        ),
        (
            r#"path = { Campbell = "Riley-Jaquez-Bernard-Campbell" }"#,
            "kiwi#1: path to Campbell",
            "Riley → Jaquez → Bernard → Campbell",
            "Riley → Juzang → Campbell",
        ),
        (
            r#"within = "39ms""#,
            "kiwi#1: delay to every other server that it reaches",
            "up to 39ms",
            "40ms (Campbell)",
        ),
        ("sends = 7", "kiwi#1: sends", "7", "8"),
        ("useful = 5", "kiwi#1: useful sends", "5", "4"),
        ("duplicates = 5", "kiwi#1: duplicate sends", "5", "4"),
        (
            "ignored = true",
            "kiwi#1: is answered and changes nothing",
            "ignored",
            "accepted",
        ),
    ] {
        let found = broken("", "", expect);
        let [one] = found.as_slice() else {
            panic!("{expect}: {found:?}");
        };
        assert_eq!(
            (one.about.as_str(), one.expected.as_str()),
            (about, expected)
        );
        assert_eq!(one.actual, actual);
        assert_eq!(one.place.as_deref(), Some("9:5"), "{expect}");
    }
}

#[test]
fn an_update_that_is_ignored_reaches_nobody() {
    let found = broken(
        "",
        "",
        "reaches = \"all\"\n[[expect]]\nupdate = \"kiwi#2\"\nreaches = \"Campbell\"\nhops = { Bernard = 1 }",
    );
    let abouts: Vec<(&str, &str)> = (found.iter())
        .map(|judgement| (judgement.about.as_str(), judgement.actual.as_str()))
        .collect();
    assert_eq!(
        abouts,
        [
            ("kiwi#2: reaches Campbell", "no"),
            ("kiwi#2: hops to Bernard", "never reached")
        ]
    );
}

#[test]
fn another_answer_than_expected_is_broken() {
    let found = broken(r#", reply = "AT Jaquez *""#, "", "sends = 8");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].expected, "AT Jaquez *");
    assert!(
        found[0]
            .actual
            .starts_with("AT Riley +0.005000000 kiwi +34-118 ")
    );
    let found = broken(", no_reply = true", "", "sends = 8");
    assert_eq!((found.len(), found[0].expected.as_str()), (1, "no answer"));
}

#[test]
fn a_line_that_nobody_answers_is_broken_even_when_nothing_was_said_of_it() {
    let text = r#"
        title = "nobody there"
        herd = "riley"
        steps = [
          { at = "1s", crash = "Riley" },
          { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
        ]
        [[expect]]
        update = "kiwi"
        misses = "Campbell"
    "#;
    let (scenario, _) = Scenario::parse("test.toml", text, None).expect("right");
    let trace = sim::run(&scenario).expect("it runs");
    let broken: Vec<&Judgement> = trace.judgements.iter().filter(|j| !j.passed).collect();
    let actual: Vec<(&str, &str)> = (broken.iter())
        .map(|judgement| (judgement.expected.as_str(), judgement.actual.as_str()))
        .collect();
    // The update did not reach Campbell, as expected. That its client got no answer fails the run.
    assert_eq!(actual, [("any answer", "no answer")]);
}

#[test]
fn a_run_that_ends_too_early_is_broken() {
    // The second step's client has no answer when the run ends.
    let found = broken("", "end = \"2003ms\"", "sends = 8");
    let abouts: Vec<&str> = found
        .iter()
        .map(|judgement| judgement.actual.as_str())
        .collect();
    assert_eq!(
        abouts,
        [
            "no answer before the run ended",
            "a client still waits for an answer"
        ]
    );
}

#[test]
fn what_reaches_nobody_else_is_not_within_any_time() {
    let text = r#"
        title = "alone"
        herd = "riley"
        steps = [
          { at = "1s", crash = ["Jaquez", "Juzang"] },
          { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
        ]
        [[expect]]
        update = "kiwi"
        within = "1s"
    "#;
    let (scenario, _) = Scenario::parse("test.toml", text, None).expect("right");
    let trace = sim::run(&scenario).expect("it runs");
    let broken: Vec<&Judgement> = trace.judgements.iter().filter(|j| !j.passed).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].actual, "never reached");
}

/// Juzang is down while Riley and Campbell receive updates, then restarts.
const JUZANG: &str = r#"
    title = "a test"
    herd = "riley"
    steps = [
      { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
      { at = "2s", crash = "Juzang" },
      { at = "3s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +35-118 {now}" },
      { at = "3s", client = "plum", to = "Campbell", send = "IAMAT plum +36-118 {now}" },
      { at = "4s", restart = "Juzang" },
      { at = "6s", client = "lime", to = "Riley", send = "WHATSAT kiwi 10 5" },
    ]
    [[expect]]
"#;

/// Runs a scenario, and returns each failed judgement: its subject, the expected and the actual
/// value.
fn broken_in(text: &str) -> Vec<[String; 3]> {
    let herds = Some(std::path::Path::new("tests"));
    let (scenario, _) = Scenario::parse("test.toml", text, herds).expect("a right scenario");
    let trace = sim::run_once(&scenario).expect("it runs");
    let broken = trace.judgements.into_iter().filter(|j| !j.passed);
    broken.map(|j| [j.about, j.expected, j.actual]).collect()
}

/// Checks each expectation in the run above.
fn observed(cases: &[(&str, &[[&str; 3]])]) {
    for (expect, wanted) in cases {
        assert_eq!(broken_in(&format!("{JUZANG}{expect}")), *wanted, "{expect}");
    }
}

#[test]
fn what_a_server_holds_is_looked_at_when_asked_for() {
    observed(&[
        // Riley receives the update at 1.015 s, Juzang at 1.035 s. An event at the moment itself
        // counts.
        (
            "server = \"Juzang\"\nat = \"1035ms\"\nholds = \"kiwi#1\"",
            &[],
        ),
        (
            "server = \"Juzang\"\nat = \"1034ms\"\nholds = \"kiwi#1\"",
            &[["Juzang at 1.034s: its record of kiwi", "kiwi#1", "none"]],
        ),
        (
            "server = [\"Riley\", \"Juzang\"]\nholds = [\"kiwi#2\", \"plum\"]",
            &[],
        ),
        (
            "server = [\"Riley\", \"Juzang\"]\nholds = [\"kiwi#1\", \"plum\"]",
            &[
                ["Riley at the end: its record of kiwi", "kiwi#1", "kiwi#2"],
                ["Juzang at the end: its record of kiwi", "kiwi#1", "kiwi#2"],
            ],
        ),
        // Juzang restarts without records.
        (
            "server = \"Juzang\"\nat = \"4020ms\"\nlacks = [\"kiwi\", \"plum\"]",
            &[],
        ),
        (
            "server = \"Juzang\"\nlacks = [\"kiwi\", \"plum\"]",
            &[
                ["Juzang at the end: its record of kiwi", "none", "kiwi#2"],
                ["Juzang at the end: its record of plum", "none", "plum"],
            ],
        ),
        ("server = \"all\"\nrecords = 2", &[]),
        (
            "server = \"Bernard\"\nat = \"2s\"\nrecords = 2",
            &[["Bernard at 2s: records", "2", "1"]],
        ),
    ]);
}

#[test]
fn of_a_server_that_does_not_run_and_of_a_run_that_is_over_nothing_holds() {
    let down = "the server does not run";
    let over = "the run was over at 6.231s";
    observed(&[
        (
            "server = \"Juzang\"\nat = \"3s\"\nlacks = \"kiwi\"\nrecords = 0\nholds = \"kiwi#1\"",
            &[
                ["Juzang at 3s: its record of kiwi", "kiwi#1", down],
                ["Juzang at 3s: its record of kiwi", "none", down],
                ["Juzang at 3s: records", "0", down],
            ],
        ),
        (
            "server = \"Juzang\"\nat = \"7s\"\nrecords = 2",
            &[["Juzang at 7s: records", "2", over]],
        ),
        (
            "link = \"Riley-Juzang\"\nat = \"7s\"\nis = \"up\"",
            &[["Riley-Juzang at 7s", "up", over]],
        ),
        (
            "link = \"Riley-Juzang\"\nsince = \"7s\"\nbrings = 0",
            &[["Riley-Juzang since 7s: records brought", "0", over]],
        ),
        (
            "log = \"stops\"\nfrom = \"7s\"\ntimes = 0",
            &[["the log from 7s: stops", "never", over]],
        ),
        (
            "log = \"stops\"\nuntil = \"7s\"\ntimes = 0",
            &[["the log until 7s: stops", "never", over]],
        ),
    ]);
}

#[test]
fn an_update_that_was_never_heard_is_held_by_nobody() {
    let text = r#"
        title = "nobody there"
        herd = "riley"
        steps = [
          { at = "1s", crash = "Riley" },
          { at = "2s", client = "kiwi", to = "Riley", no_reply = true, send = "IAMAT kiwi +34-118 {now}" },
        ]
        [[expect]]
        server = "Juzang"
        holds = "kiwi"
    "#;
    let about = "Juzang at the end: its record of kiwi";
    let wanted = [[about, "kiwi", "none: kiwi was never heard"]];
    assert_eq!(broken_in(text), wanted);
}

#[test]
fn look_ups_are_counted_over_the_whole_run() {
    observed(&[
        ("server = \"Riley\"\nlookups = 1", &[]),
        (
            "server = [\"Riley\", \"Juzang\"]\nlookups = 2",
            &[
                ["Riley: look-ups", "2", "1"],
                ["Juzang: look-ups", "2", "0"],
            ],
        ),
    ]);
}

#[test]
fn a_link_is_as_its_worse_end_says() {
    observed(&[
        ("link = \"all\"\nis = \"synchronised\"", &[]),
        ("link = \"Juzang-Riley\"\nis = \"up\"", &[]),
        ("link = \"Riley-Juzang\"\nat = \"3s\"\nis = \"down\"", &[]),
        (
            "link = [\"Riley-Juzang\", \"Riley-Jaquez\"]\nat = \"3s\"\nis = \"up\"",
            &[["Riley-Juzang at 3s", "up", "down"]],
        ),
        // Juzang has seen the link come up, but Riley has not.
        (
            "link = \"Riley-Juzang\"\nat = \"4180ms\"\nis = \"down\"",
            &[],
        ),
        ("link = \"Riley-Juzang\"\nat = \"4200ms\"\nis = \"up\"", &[]),
        (
            "link = \"Riley-Juzang\"\nat = \"4200ms\"\nis = \"synchronised\"",
            &[["Riley-Juzang at 4.2s", "synchronised", "up"]],
        ),
        (
            "link = \"Riley-Juzang\"\nis = \"down\"",
            &[["Riley-Juzang at the end", "down", "synchronised"]],
        ),
    ]);
}

#[test]
fn a_link_synchronises_in_so_long_and_brings_so_much() {
    observed(&[
        (
            "link = \"Riley-Juzang\"\nsince = \"4s\"\nsynchronises_within = \"80ms\"\nbrings = 0",
            &[],
        ),
        // The first of Juzang's links to come up transfers everything.
        (
            "link = \"Juzang-Campbell\"\nsince = \"4s\"\nbrings = 2\nsynchronises_within = \"79ms\"",
            &[[
                "Juzang-Campbell since 4s: synchronised after",
                "up to 79ms",
                "80ms",
            ]],
        ),
        (
            "link = \"Juzang-Campbell\"\nbrings = 2",
            &[["Juzang-Campbell since 0s: records brought", "2", "0"]],
        ),
        (
            "link = \"Riley-Jaquez\"\nsince = \"4s\"\nsynchronises_within = \"1m\"",
            &[[
                "Riley-Jaquez since 4s: synchronised after",
                "up to 1m",
                "it never comes up",
            ]],
        ),
    ]);
    let early = JUZANG.replace(
        "herd =",
        "without = \"agreement\"\nend = \"4200ms\"\nherd =",
    );
    let early = early.replace("{ at = \"6s\"", "{ at = \"4100ms\"");
    let expect = "link = \"Riley-Juzang\"\nsince = \"4s\"\nbrings = 0";
    let about = "Riley-Juzang since 4s: records brought";
    assert_eq!(
        broken_in(&format!("{early}{expect}")),
        [[about, "0", "it comes up, and is not synchronised"]]
    );
}

#[test]
fn what_happens_is_counted_by_its_words() {
    observed(&[
        ("log = \"link to Juzang is down*\"", &[]),
        ("log = \"link to Juzang is down*\"\ntimes = 3", &[]),
        (
            "log = \"link to Juzang is down*\"\nby = \"Riley\"\ntimes = 1",
            &[],
        ),
        (
            "log = \"CRASHES\"\nby = \"Juzang\"\nfrom = \"2s\"\nuntil = \"2s\"",
            &[],
        ),
        ("log = \"→  WHATSAT *\"\nby = \"lime\"", &[]),
        (
            "log = \"link to Riley is down*\"\nby = \"Jaquez\"\ntimes = 0",
            &[],
        ),
        (
            "log = \"link to Juzang is down*\"\nby = \"Riley\"\ntimes = 0",
            &[["the log of Riley: link to Juzang is down*", "never", "once"]],
        ),
        (
            "log = \"link to Juzang is down*\"\ntimes = 2\nuntil = \"5s\"",
            &[[
                "the log until 5s: link to Juzang is down*",
                "2 times",
                "3 times",
            ]],
        ),
        (
            "log = \"link to Juzang is down*\"\nfrom = \"3s\"",
            &[[
                "the log from 3s: link to Juzang is down*",
                "at least once",
                "never",
            ]],
        ),
        (
            "log = \"link to Juzang is up\"\nfrom = \"5s\"",
            &[[
                "the log from 5s: link to Juzang is up",
                "at least once",
                "never",
            ]],
        ),
    ]);
}

/// Runs these steps in a herd in which Lonely has no link.
fn apart(steps: &str) -> Vec<[String; 3]> {
    broken_in(&format!(
        "title = \"apart\"\nherd = \"herds/apart.toml\"\nsteps = [\n{steps}\n]"
    ))
}

/// It is not enough that a fault happened. Its impact counts, on others.
#[test]
fn a_fault_that_touches_nobody_breaks_the_run() {
    let both = "{ at = \"1s\", crash = [\"North\", \"South\"] },";
    for (steps, about) in [
        ("{ at = \"1s\", crash = \"Lonely\" }", "`crash` of Lonely"),
        (
            "{ at = \"1s\", crash = \"Lonely\" }, { at = \"2s\", restart = \"Lonely\" }",
            "`crash` of Lonely",
        ),
        (
            "{ at = \"1s\", power_off = \"Lonely\" }",
            "`power_off` of Lonely",
        ),
        (
            "{ at = \"1s\", freeze = \"Lonely\" }, { at = \"9s\", thaw = \"Lonely\" }",
            "`freeze` of Lonely",
        ),
        ("{ at = \"1s\", refuse = \"South\" }", "`refuse` of South"),
        ("{ at = \"1s\", partition = \"Lonely\" }", "`partition`"),
        (
            "{ at = \"1s\", partition_oneway = \"Lonely\", from = \"clients\" }",
            "`partition_oneway`",
        ),
        (
            &format!("{both} {{ at = \"2s\", sever = \"North-South\" }}"),
            "`sever`",
        ),
        (
            &format!("{both} {{ at = \"2s\", slow = \"North-South\", latency = \"1s\" }}"),
            "`slow`",
        ),
        (
            "{ at = \"1s\", skew = \"Lonely\", by = \"+1h\" }",
            "`skew` of Lonely",
        ),
        (
            "{ at = \"1s\", skew = \"kiwi\", by = \"+1h\" },
             { at = \"2s\", client = \"kiwi\", to = \"Lonely\", send = \"hello\" }",
            "`skew` of kiwi",
        ),
        // An answer that contains no time does not show the clock.
        (
            "{ at = \"1s\", skew = \"Lonely\", by = \"+1h\" },
             { at = \"2s\", client = \"kiwi\", to = \"Lonely\", send = \"hello\" }",
            "`skew` of Lonely",
        ),
    ] {
        let about = format!("{about} has an effect");
        let wanted = [[about.as_str(), "an effect", "none"]];
        assert_eq!(apart(steps), wanted, "{steps}");
    }
}

/// The same faults pass when they affect a client or a neighbour.
#[test]
fn the_same_faults_hold_where_somebody_is_touched() {
    let talk =
        "{ at = \"3s\", client = \"kiwi\", to = \"Lonely\", send = \"IAMAT kiwi +1+1 {now}\" }";
    let dead = talk.replace(" }", ", no_reply = true }");
    for (fault, talk) in [
        ("crash = \"Lonely\"", dead.as_str()),
        ("power_off = \"Lonely\"", &dead),
        ("freeze = \"Lonely\"", &dead),
        ("refuse = \"Lonely\"", &dead),
        ("partition = \"Lonely\"", &dead),
        ("partition_oneway = \"Lonely\", from = \"clients\"", &dead),
        ("sever = \"North-South\"", talk),
        ("slow = \"North-South\", latency = \"30ms\"", talk),
        ("skew = \"Lonely\", by = \"+1h\"", talk),
        ("skew = \"kiwi\", by = \"+1h\"", talk),
    ] {
        let steps = format!("{{ at = \"1s\", {fault} }}, {talk}");
        assert_eq!(apart(&steps), [[""; 3]; 0], "{steps}");
    }
}

/// A crash has no effect in a herd either, if all neighbours were dead before.
#[test]
fn a_crash_of_the_last_one_left_touches_nobody() {
    let text = r#"
        title = "the last one"
        herd = "riley"
        steps = [
          { at = "1s", crash = ["Riley", "Jaquez", "Campbell", "Bernard"] },
          { at = "4s", crash = "Juzang" },
        ]
    "#;
    let about = "`crash` of Juzang has an effect";
    assert_eq!(broken_in(text), [[about, "an effect", "none"]]);
}

#[test]
fn requests_to_places_are_counted_for_the_server_that_asks() {
    let text = r#"
        title = "asked twice"
        herd = "riley"
        steps = [
          { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
          { at = "2s", client = "plum", to = ["Riley", "Riley"], send = "WHATSAT kiwi 10 5" },
          { at = "2s", client = "lime", to = "Juzang", send = "WHATSAT kiwi 10 5" },
        ]
        [[places]]
        status = 503
        times = 1
        [[places]]
        [[expect]]
        server = "Juzang"
        lookups = 1
    "#;
    let text = text.replace("[\"Riley\", \"Riley\"]", "\"Riley\", times = 2");
    assert_eq!(
        broken_in(&format!(
            "{text}requests = 1\n[[expect]]\nserver = \"Riley\"\nlookups = 2\nrequests = 2"
        )),
        [[""; 3]; 0]
    );
    assert_eq!(
        broken_in(&format!("{text}requests = 2")),
        [["Juzang: requests to Places", "2", "1"]]
    );
}

/// An invariant that an expectation names must have been exercised.
#[test]
fn an_invariant_that_nothing_could_break_does_not_hold() {
    let quiet = "end = \"1s\"\nsteps = [{ at = \"500ms\", partition = \"Riley-Juzang\" }]";
    let asked = "steps = [{ at = \"1s\", client = \"a\", to = \"Riley\", send = \"hello\", reply = \"? hello\" }]";
    let told =
        "steps = [{ at = \"1s\", client = \"a\", to = \"Riley\", send = \"IAMAT a +1+1 {now}\" }]";
    let idle = |rest: &str| {
        let all: Vec<String> = (Invariant::ALL.iter())
            .map(|invariant| format!("\"{invariant}\""))
            .collect();
        let rest = format!("{rest}\n[[expect]]\ninvariant = [{}]", all.join(", "));
        let broken = judged(&rest)
            .into_iter()
            .filter(|judgement| !judgement.passed);
        let broken = broken.filter_map(|judgement| Some((judgement.invariant?, judgement.actual)));
        broken.collect::<Vec<_>>()
    };
    let skewless = (
        Invariant::SkewIsRight,
        "no server heard an IAMAT".to_owned(),
    );
    let untold = [
        (
            Invariant::NeverBackInTime,
            "no server took in an update".to_owned(),
        ),
        (
            Invariant::NothingInvented,
            "no server took in an update".to_owned(),
        ),
        (
            Invariant::SendsBounded,
            "no server sent an update to another".to_owned(),
        ),
    ];
    // No step stops a server, and none has a disk.
    let unstopped = [
        (
            Invariant::GracefulStopLosesNothing,
            "no server stopped gracefully".to_owned(),
        ),
        (
            Invariant::Durable,
            "no server answered when a record was on its disk".to_owned(),
        ),
    ];
    let unheard = (
        Invariant::AnswersAsOfTheirLine,
        "no server heard an IAMAT or a WHATSAT".to_owned(),
    );
    let unqueried = [
        Invariant::ToldAsSent,
        Invariant::ReadYourWrites,
        Invariant::MonotonicReads,
        Invariant::ConvergentReads,
    ];
    let unqueried = unqueried.map(|it| (it, "no client sent a WHATSAT".to_owned()));
    let mut all = unstopped.to_vec();
    all.extend(unqueried.clone());
    assert_eq!(idle(told), all);
    let mut all = vec![unheard.clone(), skewless.clone()];
    all.extend(untold.clone());
    all.extend(unstopped.clone());
    all.extend(unqueried.clone());
    assert_eq!(idle(asked), all);
    let unasked = (
        Invariant::AnsweredOnceInOrder,
        "no client sent a line".to_owned(),
    );
    let why = "no client sent a line, and no link had to be up at the end".to_owned();
    let mut all = vec![unasked, unheard, skewless];
    all.extend(untold);
    all.extend(unstopped);
    all.push((Invariant::NothingWaits, why));
    let uncounted = "nothing was counted at a quiet end".to_owned();
    let unsent = "no client sent a line".to_owned();
    all.push((Invariant::LimitsHold, unsent.clone()));
    all.push((Invariant::NothingIsLeft, uncounted));
    all.push((Invariant::AnswersOfTheirKind, unsent));
    all.extend(unqueried);
    assert_eq!(idle(quiet), all);
}

#[test]
fn nothing_is_kept_of_a_client_that_was_never_answered() {
    let text = r#"
        title = "one of two"
        herd = "riley"
        steps = [
          { at = "1s", crash = "Riley" },
          { at = "2s", client = "kiwi", to = "Riley", no_reply = true, send = "IAMAT kiwi +34-118 {now}" },
          { at = "2s", client = "plum", to = "Juzang", send = "IAMAT plum +34-118 {now}" },
        ]
        [[expect]]
        client = ["kiwi", "plum"]
        no_lost_updates = true
    "#;
    let [[about, _, actual]] = broken_in(text).try_into().expect("one");
    assert_eq!(about, "kiwi, plum: no answered update is lost");
    assert_eq!(actual, "no update was answered of kiwi");
}

/// The judgements of a scenario with the herd `riley`.
fn judged(rest: &str) -> Vec<Judgement> {
    let text = format!("title = \"a test\"\nherd = \"riley\"\n{rest}");
    let (scenario, _) = Scenario::parse("test.toml", &text, None).expect("a right scenario");
    sim::run_once(&scenario).expect("it runs").judgements
}

#[test]
fn a_client_that_has_its_answer_waits_for_none_when_the_run_ends_before_it_closes() {
    // The answer arrives at 1015 ms, and the end of the connection 5 ms later or more.
    let judgements = judged(
        r#"
        end = "1020ms"
        without = "agreement"
        steps = [{ at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}", reply = "AT Riley *" }]
        [[expect]]
        update = "kiwi"
        misses = "Campbell"
        hops = { Riley = 0 }"#,
    );
    assert!(
        judgements.iter().all(|judgement| judgement.passed),
        "{judgements:#?}"
    );
}

#[test]
fn a_client_whose_answer_may_still_come_at_the_end_waits() {
    let judgements = judged(
        r#"
        end = "1017ms"
        without = ["agreement", "nothing-waits"]
        steps = [
          { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
          { at = "1s", client = "plum", to = "Campbell", send = "nonsense", no_reply = true },
        ]
        [[expect]]
        update = "kiwi"
        hops = { Riley = 0 }"#,
    );
    let broken: Vec<(&str, &str)> = (judgements.iter())
        .filter(|judgement| !judgement.passed)
        .map(|judgement| (judgement.about.as_str(), judgement.actual.as_str()))
        .collect();
    assert_eq!(
        broken,
        [
            ("Riley answers kiwi", "no answer before the run ended"),
            ("Campbell answers plum", "no answer before the run ended"),
            (
                "the run ends with every step done and every client answered",
                "2 clients still wait for an answer"
            ),
        ]
    );
}

#[test]
fn what_is_not_mended_at_the_end_is_told() {
    let judgements = judged(
        r#"
        steps = [
          { at = "1s", partition = "Riley-Juzang" },
          { at = "1s", partition_oneway = "Bernard-Campbell" },
          { at = "2s", freeze = "Jaquez" },
          { at = "3s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}", reply = "AT Riley *" },
        ]"#,
    );
    let ending = "the run ends with every step done and every client answered";
    let ending = judgements
        .iter()
        .find(|judgement| judgement.about == ending);
    let ending = ending.expect("it is judged");
    assert!(ending.passed);
    assert_eq!(
        ending.actual,
        "all done; still in force: Bernard → Campbell is cut, Juzang ↔ Riley is cut, Jaquez is frozen"
    );
}

#[test]
fn servers_that_refuse_connections_must_agree_over_links_that_are_up() {
    let refusing = |end: &str| {
        let judgements = judged(&format!(
            r#"
            {end}
            steps = [
              {{ at = "500ms", refuse = "all" }},
              {{ at = "600ms", client = "plum", to = "all", send = "hello", no_reply = true }},
              {{ at = "700ms", accept = "Riley" }},
              {{ at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {{now}}", reply = "AT Riley *" }},
            ]"#
        ));
        let broken = judgements.into_iter().filter(|judgement| !judgement.passed);
        let invariants = broken.filter_map(|judgement| judgement.invariant);
        invariants.collect::<Vec<_>>()
    };
    assert_eq!(refusing(""), []);
    assert_eq!(refusing("end = \"1035ms\""), [Invariant::Agreement]);
}

/// A fault of several operations may still be in force at the end, like any other fault. Its impact
/// counts, and its later operations are not missed steps.
#[test]
fn a_run_may_end_within_a_fault_of_several_operations() {
    let text = "title = \"t\"\nherd = \"riley\"\nend = \"1400ms\"\nwithout = [\"nothing-waits\"]\n\
        steps = [{ at = \"1s\", pause_gc = \"Juzang\", pauses = 5, pause = \"300ms\", gap = \"50ms\" },\n\
        { at = \"1100ms\", client = \"kiwi\", to = \"Juzang\", send = \"hello\", reply = \"? hello\" }]";
    let (scenario, _) = Scenario::parse("t.toml", text, None).expect("right");
    let trace = sim::run(&scenario).expect("it runs");
    trace.assert_passed();
    let affected: Vec<String> = (trace.events.iter())
        .filter(|event| {
            matches!(
                event.what,
                proxy_herd::journal::EventKind::Affected { lasts: true, .. }
            )
        })
        .map(|event| event.what.to_string())
        .collect();
    assert_eq!(affected.len(), 1, "{affected:?}");
    assert!(affected[0].contains(" wake-up"), "{affected:?}");
}

/// A server that refuses connections keeps its links, so it delays no update that comes over them.
#[test]
fn refusing_connections_is_a_reason_only_where_a_link_is_down() {
    let late = |steps: &str| {
        let text = format!(
            "title = \"t\"\nherd = \"riley\"\nend = \"6s\"\nwithout = [\"nothing-waits\", \"agreement\"]\nsteps = [{steps}\n\
             {{ at = \"2s\", client = \"kiwi\", to = \"Riley\", send = \"IAMAT kiwi +1+1 {{now}}\" }}]"
        );
        let (scenario, _) = Scenario::parse("t.toml", &text, None).expect("right");
        let trace = sim::run(&scenario).expect("it runs");
        proxy_herd::report::text(&trace, proxy_herd::report::Detail::Story)
    };
    let slow = "{ at = \"1s\", slow = \"Juzang-Campbell\", latency = \"500ms\" },";
    let refuses = "{ at = \"1s\", refuse = \"Juzang\" },";
    let told = late(&format!("{slow} {refuses}"));
    assert!(told.contains("the path was slow"), "{told}");
    assert!(!told.contains("Juzang refused connections"), "{told}");
    let severed = "{ at = \"1500ms\", sever = \"Riley\", from = \"Juzang\" },";
    let told = late(&format!("{refuses} {severed}"));
    assert!(told.contains("Juzang refused connections"), "{told}");
}
