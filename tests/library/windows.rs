//! Expectations over time: of moments, of the time from one event to another, of ranges of numbers.

use std::path::Path;

use proxy_herd::scenario::Scenario;
use proxy_herd::sim;

/// Juzang is down from 2 s to 4 s, while Riley receives a second update of kiwi.
const JUZANG: &str = r#"
    title = "a test"
    herd = "riley"
    steps = [
      { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
      { at = "2s", crash = "Juzang" },
      { at = "3s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +35-118 {now}" },
      { at = "4s", restart = "Juzang" },
      { at = "6s", client = "lime", to = "Riley", send = "WHATSAT kiwi 10 5" },
    ]
    [[expect]]
"#;

/// The failed judgements of a run with this expectation: subject, expected and actual value. The scenario that is written
/// from what was read says the same.
fn failed(text: &str) -> Vec<[String; 3]> {
    let (scenario, _) = Scenario::parse("test.toml", text, None).expect("a right scenario");
    let written = scenario.to_toml();
    let (again, _) = Scenario::parse("test.toml", &written, None).expect("a right scenario");
    let what = |scenario: &Scenario| -> Vec<_> {
        let expects = scenario.expects.iter();
        expects.map(|expect| expect.what.clone()).collect()
    };
    assert_eq!(what(&again), what(&scenario), "{written}");
    let trace = sim::run_once(&scenario).expect("it runs");
    let failed = trace.judgements.into_iter().filter(|j| !j.passed);
    failed.map(|j| [j.about, j.expected, j.actual]).collect()
}

fn observed(cases: &[(&str, &[[&str; 3]])]) {
    for (expect, wanted) in cases {
        assert_eq!(failed(&format!("{JUZANG}{expect}")), *wanted, "{expect}");
    }
}

#[test]
fn a_link_is_looked_at_at_every_moment_of_a_window() {
    observed(&[
        (
            "link = \"Riley-Jaquez\"\nis = \"up\"\nalways = true\nfrom = \"1s\"",
            &[],
        ),
        (
            "link = \"Riley-Juzang\"\nis = \"up\"\nnever = true\nafter = \"CRASHES\"\nbefore = { log = \"STARTS AGAIN*\", by = \"Juzang\" }",
            &[],
        ),
        (
            "link = \"Riley-Juzang\"\nis = \"down\"\neventually = true",
            &[],
        ),
        (
            "link = \"Riley-Juzang\"\nis = \"synchronised\"\neventually = true\nafter = \"STARTS AGAIN*\"\nwithin = \"300ms\"",
            &[],
        ),
        // It takes 120 ms to come up, and 80 to be synchronised.
        (
            "link = \"Riley-Juzang\"\nis = \"synchronised\"\neventually = true\nafter = \"STARTS AGAIN*\"\nwithin = \"100ms\"",
            &[[
                "Riley-Juzang within 100ms after `STARTS AGAIN*`",
                "synchronised, at some moment",
                "down, at last",
            ]],
        ),
        (
            "link = \"Riley-Juzang\"\nis = \"up\"\nalways = true\nfrom = \"1s\"",
            &[["Riley-Juzang from 1s", "always up", "down, at 2s"]],
        ),
        (
            "link = \"Riley-Juzang\"\nis = \"down\"\nnever = true\nfrom = \"1s\"\nuntil = \"3s\"",
            &[["Riley-Juzang from 1s until 3s", "never down", "down, at 2s"]],
        ),
        (
            "link = \"Riley-Juzang\"\nis = \"up\"\nalways = true\nafter = \"FREEZES*\"",
            &[[
                "Riley-Juzang after `FREEZES*`",
                "always up",
                "`FREEZES*` is not in the log then",
            ]],
        ),
        // Nobody saw the second that was to follow.
        (
            "link = \"Riley-Jaquez\"\nis = \"up\"\nalways = true\nfrom = \"6s\"\nwithin = \"10s\"",
            &[[
                "Riley-Jaquez from 6s within 10s",
                "always up",
                "the run was over at 6.231s",
            ]],
        ),
    ]);
}

#[test]
fn a_server_is_looked_at_at_every_moment_of_a_window() {
    observed(&[
        (
            "server = [\"Riley\", \"Jaquez\"]\nholds = \"kiwi#1\"\nalways = true\nfrom = \"1040ms\"\nuntil = \"3s\"",
            &[],
        ),
        (
            "server = \"Jaquez\"\nholds = \"kiwi#1\"\nalways = true\nfrom = \"1030ms\"\nuntil = \"3s\"",
            &[[
                "Jaquez from 1.03s until 3s: its record of kiwi",
                "always kiwi#1",
                "none, at 1.03s",
            ]],
        ),
        (
            "server = \"Jaquez\"\nholds = \"kiwi#1\"\nalways = true\nfrom = \"2s\"",
            &[[
                "Jaquez from 2s: its record of kiwi",
                "always kiwi#1",
                "kiwi#2, at 3.035s",
            ]],
        ),
        // A server that does not run holds nothing.
        (
            "server = \"Juzang\"\nholds = \"kiwi#1\"\nalways = true\nfrom = \"1100ms\"",
            &[[
                "Juzang from 1.1s: its record of kiwi",
                "always kiwi#1",
                "the server does not run, at 2s",
            ]],
        ),
        (
            "server = \"all\"\nrecords = \"at most 1\"\nnever = true\nuntil = \"500ms\"",
            &[
                ["Riley until 500ms: records", "never at most 1", "0, at 0s"],
                ["Jaquez until 500ms: records", "never at most 1", "0, at 0s"],
                ["Juzang until 500ms: records", "never at most 1", "0, at 0s"],
                [
                    "Campbell until 500ms: records",
                    "never at most 1",
                    "0, at 0s",
                ],
                [
                    "Bernard until 500ms: records",
                    "never at most 1",
                    "0, at 0s",
                ],
            ],
        ),
        (
            "server = \"Juzang\"\nlacks = \"kiwi\"\neventually = true\nafter = \"STARTS AGAIN*\"",
            &[],
        ),
        (
            "server = \"Juzang\"\nholds = \"kiwi#2\"\neventually = true\nuntil = \"4s\"",
            &[[
                "Juzang until 4s: its record of kiwi",
                "kiwi#2, at some moment",
                "none, at last",
            ]],
        ),
        // While it is dead, nothing can be said of it.
        (
            "server = \"Juzang\"\nholds = \"kiwi#2\"\nnever = true\nfrom = \"2500ms\"\nuntil = \"3500ms\"",
            &[[
                "Juzang from 2.5s until 3.5s: its record of kiwi",
                "never kiwi#2",
                "the server does not run",
            ]],
        ),
        ("server = \"Riley\"\nlookups = 1\nfrom = \"6s\"", &[]),
        (
            "server = \"Riley\"\nlookups = \"1..2\"\nuntil = \"5s\"",
            &[["Riley until 5s: look-ups", "1..2", "0"]],
        ),
    ]);
}

#[test]
fn an_update_comes_after_one_event_and_before_another() {
    observed(&[
        (
            "update = \"kiwi#2\"\nreaches = \"Juzang\"\nafter = { log = \"link to Riley is up\", by = \"Juzang\" }\nfrom = \"4s\"",
            &[[
                "kiwi#2: arrival at Juzang",
                "from 4s after `link to Riley is up` by Juzang",
                "at 4.12s (Juzang)",
            ]],
        ),
        (
            "update = \"kiwi#2\"\nreaches = \"Juzang\"\nafter = \"STARTS AGAIN*\"\nwithin = \"120ms\"",
            &[],
        ),
        (
            "update = \"kiwi#2\"\nreaches = \"Juzang\"\nafter = \"STARTS AGAIN*\"\nwithin = \"10ms\"",
            &[[
                "kiwi#2: arrival at Juzang",
                "within 10ms after `STARTS AGAIN*`",
                "at 4.12s (Juzang)",
            ]],
        ),
        (
            "update = \"kiwi#1\"\nhops = { Campbell = \"2..3\" }\nbefore = \"CRASHES\"",
            &[],
        ),
        (
            "update = \"kiwi#1\"\nhops = { Campbell = \"at least 3\" }",
            &[["kiwi#1: hops to Campbell", "at least 3", "2"]],
        ),
        (
            "update = \"kiwi#2\"\nreaches = [\"Jaquez\", \"Juzang\"]\nbefore = { log = \"STARTS AGAIN*\", by = \"Juzang\" }",
            &[[
                "kiwi#2: arrival at Juzang",
                "before `STARTS AGAIN*` by Juzang",
                "at 4.12s (Juzang)",
            ]],
        ),
        // `within` counts from the sending here, and what `before` has ended may be long after the run.
        (
            "update = \"kiwi#1\"\nreaches = \"all\"\nwithin = \"100ms\"\nbefore = \"CRASHES\"",
            &[],
        ),
        (
            "log = \"link to Juzang is down*\"\nafter = \"CRASHES\"\nwithin = \"1m\"\nbefore = \"STARTS AGAIN*\"\ntimes = 3",
            &[],
        ),
        (
            "update = \"kiwi#1\"\nsends = \"at most 8\"\nduplicates = \"1..5\"\nuseful = \"at least 4\"",
            &[],
        ),
        (
            "update = \"kiwi#1\"\nsends = \"at most 7\"",
            &[["kiwi#1: sends", "at most 7", "8"]],
        ),
    ]);
}

#[test]
fn events_are_counted_between_two_events() {
    observed(&[
        (
            "log = \"link to Juzang is down*\"\nafter = \"CRASHES\"\nwithin = \"1s\"\ntimes = 3",
            &[],
        ),
        (
            "log = \"link to Juzang is down*\"\nafter = \"STARTS AGAIN*\"\ntimes = 0",
            &[],
        ),
        (
            "log = \"link to Juzang is down*\"\nafter = \"CRASHES\"\nbefore = \"STARTS AGAIN*\"\ntimes = \"at most 2\"",
            &[[
                "the log after `CRASHES` before `STARTS AGAIN*`: link to Juzang is down*",
                "at most 2 times",
                "3 times",
            ]],
        ),
        (
            "log = \"link to Juzang is up\"\nfrom = \"4s\"\nbefore = \"→  WHATSAT *\"\ntimes = \"at least 4\"",
            &[[
                "the log from 4s before `→  WHATSAT *`: link to Juzang is up",
                "at least 4 times",
                "3 times",
            ]],
        ),
    ]);
}

/// The messages about a file with this expectation.
fn problems(expect: &str) -> Vec<String> {
    let text = format!("{JUZANG}{expect}");
    let problems =
        Scenario::parse("test.toml", &text, Some(Path::new("."))).expect_err("a wrong one");
    let told = problems.sorted().into_iter();
    told.map(|problem| problem.message.clone()).collect()
}

#[test]
fn windows_that_mean_nothing_are_refused() {
    let cases: [(&str, &[&str]); 8] = [
        (
            "link = \"all\"\nis = \"up\"\nfrom = \"1s\"",
            &["`from` needs `always = true`, `never = true` or `eventually = true`"],
        ),
        (
            "link = \"all\"\nis = \"up\"\nalways = true\nnever = true",
            &["`always` and `never` are two expectations"],
        ),
        (
            "server = \"all\"\nrecords = 1\nat = \"1s\"\neventually = true",
            &["`at` is one moment, and `eventually` is about many"],
        ),
        (
            "server = \"Riley\"\nlookups = 1\nalways = true",
            &["`always` needs one of `holds`, `lacks` and `records`"],
        ),
        (
            "log = \"CRASHES\"\nwithin = \"1s\"",
            &["`within` needs `after` or `from`: the beginning from which it counts"],
        ),
        (
            "log = \"CRASHES\"\nafter = { log = \"CRASHS\", by = \"Rily\" }",
            &[
                "no event ever looks like this",
                "no server or client is called `Rily` here",
            ],
        ),
        (
            "log = \"CRASHES\"\nafter = { by = \"Riley\" }",
            &["missing field `log`"],
        ),
        (
            "log = \"CRASHES\"\ntimes = \"5..2\"",
            &["bad number `5..2`: a range is written with the smaller number first"],
        ),
    ];
    for (expect, wanted) in cases {
        assert_eq!(problems(expect), wanted, "{expect}");
    }
}
