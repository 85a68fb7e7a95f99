use super::*;

#[test]
fn mistakes_in_settings_have_a_place() {
    let cases: [(&str, &[&str]); 10] = [
        ("", &["1:1 a scenario needs `steps`"]),
        (
            "live = \" \"\nsteps = [{ at = \"1s\", crash = \"all\" }]",
            &[
                "3:8 `live` says why the scenario ends otherwise on real processes; leave it out if it does not",
            ],
        ),
        ("steps = []", &["3:9 a scenario needs at least one step"]),
        (
            "tick = \"1.5ms\"\nsteps = [{ at = \"1s\", crash = \"all\" }]",
            &["3:8 the tick is 1.5ms, but must be whole milliseconds, 1ms to 1s"],
        ),
        (
            "tick = \"10ms\"\nsteps = [{ at = \"1.005s\", crash = \"all\" }]",
            &[
                "3:8 `client_latency` is 5ms by default, no multiple of the tick of 10ms",
                "4:17 `at` is 1.005s, which is no multiple of the tick of 10ms",
            ],
        ),
        (
            "epoch = \"1e9\"\nlink_latency = \"15ns..2ms\"\nsteps = [{ at = \"1s\", crash = \"all\" }]",
            &[
                "3:9 `1e9` is no time in POSIX seconds",
                "4:16 this latency is 15ns..2ms, which is finer than a microsecond",
            ],
        ),
        (
            "latency = { \"Riley-Bernard\" = \"1ms\", \"Rily-Juzang\" = \"1ms\" }\nsteps = [{ at = \"1s\", crash = \"all\" }]",
            &[
                "3:13 there is no link between `Riley` and `Bernard`",
                "3:39 unknown server `Rily`",
            ],
        ),
        (
            "end = \"1s\"\nsteps = [{ at = \"1s\", crash = \"all\" }]",
            &["4:17 this happens at 1s, but the run ends at 1s"],
        ),
        (
            "steps = [{ at = \"1s\", crash = \"all\" }]\n[server]\nanti_entropy = \"0s\"\nredial_least = \"5s\"",
            &[
                "5:16 a timer can't be zero",
                "6:16 `redial_least` is 5s, longer than `redial_most`, 2s",
            ],
        ),
        (
            "places_latency = \"0ms\"\nsteps = [\n\
             { at = \"1s\", accept = \"places\" },\n\
             { at = \"2s\", freeze = [\"places\", \"places\"] },\n\
             { at = \"3s\", partition = \"places\", from = \"places\" }]",
            &[
                "3:18 a message takes some time: a latency can't be 0s",
                "6:34 `places` is named twice",
                "7:43 somebody is on both sides",
            ],
        ),
    ];
    for (rest, wanted) in cases {
        assert_eq!(problems_of(rest), wanted, "{rest}");
    }
}

#[test]
fn mistakes_in_what_places_answers_have_a_place() {
    let cases: [(&str, &[&str]); 6] = [
        ("near = \"34-118\"", &["5:8 `34-118` is no place"]),
        (
            "status = 99\nplaces = 21",
            &[
                "5:10 99 is no HTTP status of an answer, 200 to 599",
                "6:10 the API returns up to 20 places at a time",
            ],
        ),
        (
            "body = \"\"\nplaces = 1",
            &["4:1 an answer has one of `body`, `hex`, `file` and `places`"],
        ),
        (
            "times = 0\nexpect = 1\nmaybe = true",
            &[
                "5:9 a table that answers 0 times has no effect",
                "6:10 `expect` gives the number of requests, so `maybe` has no meaning",
            ],
        ),
        (
            "delay = \"1.5ms\"",
            &["5:9 this delay is 1.5ms, which is no multiple of the tick of 1ms"],
        ),
        (
            "fault = \"hagn\"\nfaul = \"cut\"",
            &[
                "5:9 unknown `hagn`: one of `hang`, `close`, `cut`",
                "6:1 unknown field `faul`",
            ],
        ),
    ];
    for (rest, wanted) in cases {
        let steps = "steps = [{ at = \"1s\", crash = \"all\" }]\n[[places]]\n";
        assert_eq!(problems_of(&format!("{steps}{rest}")), wanted, "{rest}");
    }
}

#[test]
fn mistakes_in_steps_have_a_place() {
    let cases: [(&str, &[&str]); 5] = [
        (
            "{ at = \"1s\", crash = \"Jzang\" }",
            &["3:31 unknown server `Jzang`"],
        ),
        (
            "{ at = \"1sec\", crash = \"Juzang\" }",
            &["3:17 bad duration `1sec`: `sec` is no unit of time: use ns, us, ms, s, m or h"],
        ),
        (
            "{ at = \"1s\", crsh = \"Juzang\" }",
            &["3:23 unknown field `crsh`"],
        ),
        (
            "{ at = \"1s\" crash = \"Juzang\" }",
            &["3:21 missing comma between key-value pairs, expected `,`"],
        ),
        (
            "{ at = 1, crash = 2 }",
            &[
                "3:17 expected a duration such as \"20ms\", found the integer `1`",
                "3:28 expected a string or a list of strings, found the integer `2`",
            ],
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
fn what_ends_by_itself_is_not_ended_by_another_kind_s_step() {
    let steps = "steps = [{ at = \"1s\", pause_gc = \"Juzang\", pauses = 1, pause = \"1s\", gap = \"1s\" }, \
        { at = \"1500ms\", thaw = \"Juzang\" }]";
    let problems = parse(&format!("{HEAD}{steps}")).unwrap_err().to_string();
    assert!(
        problems.contains("its `pause_gc` ends by itself"),
        "{problems}"
    );
}

#[test]
fn a_field_of_before_is_refused_and_its_new_name_suggested() {
    let steps = "steps = [{ at = \"1s\", crash = \"Juzang\" }]\n";
    for (text, old, new) in [
        (
            "[[expect]]\nclient = \"kiwi\"\nkept = true",
            "kept",
            "no_lost_updates",
        ),
        (
            "[[expect]]\nserver = \"Riley\"\nasks = 1",
            "asks",
            "requests",
        ),
        ("[server]\naudit = \"5s\"", "audit", "anti_entropy"),
    ] {
        let problems = parse(&format!("{HEAD}{steps}{text}"))
            .unwrap_err()
            .to_string();
        assert!(
            problems.contains(&format!("unknown field `{old}`")),
            "{problems}"
        );
        assert!(
            problems.contains(&format!("it is called `{new}` now")),
            "{problems}"
        );
    }
}

#[test]
fn steps_that_do_the_wrong_thing_have_a_place() {
    let cases: [(&str, &[&str]); 7] = [
        (
            "{ at = \"1s\", crash = \"Riley\", restart = \"Juzang\" }",
            &["3:50 a step does one thing, and `restart` is a second one"],
        ),
        (
            "{ crash = \"Riley\" }, { at = \"1s\", after = \"1s\", crash = \"Juzang\" }",
            &[
                "3:10 a step needs a time: `at` or `after`",
                "3:52 a step has either `at` or `after`",
            ],
        ),
        (
            "{ at = \"1s\" }, { at = \"1s\", to = \"Riley\" }",
            &[
                "3:10 a step needs something that happens: `client`, `crash`, `partition` and so on",
                "3:25 a step with `to` needs a `client` who does it",
            ],
        ),
        (
            "{ at = \"1s\", crash = \"Riley\", times = 2 }",
            &["3:48 `times` goes with `client` and `peer`, and this step has `crash`"],
        ),
        (
            "{ at = \"2s\", crash = \"Riley\" }, { at = \"1s\", restart = \"Riley\" }, { at = \"3s\", crash = [\"Juzang\", \"Riley\"] }",
            &[
                "3:65 `Riley` can't `restart`: there was no `crash`",
                "3:108 `Riley` is down already",
            ],
        ),
        (
            "{ at = \"1s\", crash = [\"Riley\", \"Riley\"] }",
            &["3:41 `Riley` is named twice"],
        ),
        (
            "{ at = \"1s\", crash = [] }",
            &["3:31 no server is named here"],
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
fn mistakes_in_what_a_client_does_have_a_place() {
    let cases: [(&str, &[&str]); 5] = [
        (
            "{ at = \"1s\", client = \"a\" }",
            &[
                "3:10 a client's step needs `to`: the server that it talks to",
                "3:10 a client's step needs `send`: the lines that it sends",
            ],
        ),
        (
            "{ at = \"1s\", client = \"a b\", to = \"Riley\", send = \"{nwo}\", no_reply = true, reply = \"*\" }",
            &[
                "3:32 `a b` is no name for a client",
                "3:60 unknown placeholder `{nwo}`: use `{now}`, `{now+1.5s}`, `{now-10s}`, `{i}`, `{client}`, `{hex:00ff}`, `{fill:5000}` or `{wait:30ms}`, or `{{` for a brace",
                "3:80 `no_reply` excludes `reply`",
            ],
        ),
        (
            "{ at = \"1s\", client = \"a\", to = \"Riley\", send = [\"x\", \"y\"], reply = \"{sent}\" }",
            &[
                "3:78 2 sent, but 1 answered: give a reply for each line",
                "3:78 `{sent}` is the time in the line that was sent, but the line has none",
            ],
        ),
        (
            "{ at = \"1s\", client = \"a\", to = \"Riley\", send = \"x\", times = 0, every = \"2h\" }",
            &[
                "3:71 `times` is 0, but must be 1 to 10000",
                "3:82 `every` is 2h, longer than a run may last, 1h",
            ],
        ),
        (
            "{ at = \"1s\", client = \"a\", to = \"Riley\", send = [], every = \"1ms\" }",
            &[
                "3:58 there is nothing to send",
                "3:70 `every` needs `times`: how often it is repeated, or `clients`: how many take turns",
            ],
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
fn mistakes_in_expectations_have_a_place() {
    let cases: [(&str, &[&str]); 11] = [
        ("update = \"kiwi\"", &["4:1 nothing is expected here"]),
        (
            "sends = 8",
            &[
                "4:1 an expectation needs to be about something: `update`, `server`, `link`, `log`, `workload`, `client` or `invariant`",
            ],
        ),
        (
            "update = \"kwi\"\nsends = 8",
            &["5:10 no IAMAT for `kwi` is sent in this scenario"],
        ),
        (
            "update = \"kiwi#2\"\nsends = 8",
            &["5:10 `kiwi` has no update number 2"],
        ),
        (
            "update = \"kiwi\"\nreaches = [\"Riley\", \"Rilye\"]",
            &["6:21 unknown server `Rilye`"],
        ),
        (
            "update = \"kiwi\"\nhops = { Riley = -1, Bob = 2 }",
            &[
                "6:18 expected a number such as 3, or \"2..5\", \"at least 2\" or \"at most 5\", found the integer `-1`",
                "6:22 unknown server `Bob`",
            ],
        ),
        (
            "update = \"kiwi\"\nmisses = [\"Juzang\"]\nhops = { Juzang = 1 }",
            &["6:11 `Juzang` can't both get and miss the update"],
        ),
        (
            "update = \"kiwi\"\npath = { Bernard = \"Riley-Jaquez\", Juzang = \"Riley-Juzan\", Riley = [] }",
            &[
                "6:20 a path to `Bernard` must end there",
                "6:52 unknown server `Juzan`",
                "6:68 a path needs at least one server",
            ],
        ),
        (
            "update = \"kiwi\"\nreaches = \"all\"\nignored = true",
            &["7:11 an update that is ignored comes to no server"],
        ),
        (
            "update = \"kiwi\"\nreaches = \"all\"\nunheard = true",
            &["7:11 an update that is unheard comes to no server"],
        ),
        (
            "update = \"kiwi\"\nrefused = true\nunheard = true",
            &["7:11 an update that is unheard is nothing else"],
        ),
    ];
    for (expect, wanted) in cases {
        let text = format!("steps = [{KIWI}]\n[[expect]]\n{expect}");
        assert_eq!(problems_of(&text), wanted, "{expect}");
    }
}

#[test]
fn several_updates_of_one_client_must_be_told_apart() {
    let text = format!("{HEAD}steps = [{KIWI}, {KIWI}]\n[[expect]]\nupdate = \"kiwi\"\nsends = 8");
    let problems = parse(&text).unwrap_err();
    assert_eq!(told(&problems), ["5:10 `kiwi` has 2 updates: say which"]);
    let help = "`kiwi#1` (to Riley at 2s), `kiwi#2` (to Riley at 2s)";
    assert!(problems.to_string().contains(help), "{problems}");
}

#[test]
fn an_unknown_herd_is_told_where_it_is_named() {
    let text = "title = \"t\"\nherd = \"rily\"\nsteps = [{ at = \"1s\", crash = \"X\" }]";
    let problems = parse(text).unwrap_err();
    assert_eq!(told(&problems), ["2:8 unknown herd `rily`"]);
    assert!(
        problems.to_string().contains("did you mean `riley`?"),
        "{problems}"
    );
    let missing = parse(&text.replace("rily", "./no.toml")).unwrap_err();
    assert_eq!(told(&missing), ["2:8 can't read `./no.toml`: no such file"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "titel = \"é\"\r\nherd = \"riley\"\r\nsteps = [\r\n\
        \x20 { at = \"1s\", crash = \"Jusang\" }, # ü\r\n\
        \x20 { at = \"é\", crsh = \"Juzang\" },\r\n\
        \x20 { after = \"1s\", client = \"é\", to = \"Riley\", send = \"é {x}\" },\r\n]\r\n\
        [[expect]]\r\nupdate = \"kiwi\"\r\nhops = { Rilly = 1 }\r\n";
    let wanted = [
        "1:1 unknown field `titel`",
        "4:24 unknown server `Jusang`",
        "5:10 bad duration `é`: a duration is a number without a sign and a unit, such as `20ms` or `1.5s`",
        "5:15 unknown field `crsh`",
        "6:54 unknown placeholder `{x}`: use `{now}`, `{now+1.5s}`, `{now-10s}`, `{i}`, \
         `{client}`, `{hex:00ff}`, `{fill:5000}` or `{wait:30ms}`, or `{{` for a brace",
        "10:10 unknown server `Rilly`",
    ];
    assert_eq!(told(&parse(text).unwrap_err()), wanted);
}

#[test]
fn a_problem_reads_like_a_compiler_s() {
    let text = format!("{HEAD}steps = [\n  {{ at = \"1s\", crsh = \"Juzang\" }},\n]\n");
    let wanted = "\
error: unknown field `crsh`
 --> dir/test.toml:4:16
  |
4 |   { at = \"1s\", crsh = \"Juzang\" },
  |                ^^^^
  |
  = help: did you mean `crash`?";
    assert_eq!(parse(&text).unwrap_err().to_string(), wanted);
}

#[test]
fn unknown_invariants_have_a_place_and_a_suggestion() {
    let rest =
        format!("without = [\"agrement\", \"agreement\", \"agreement\", \"x\"]\nsteps = [{KIWI}]");
    let problems = parse(&format!("{HEAD}{rest}")).unwrap_err();
    assert_eq!(
        told(&problems),
        [
            "3:12 unknown invariant `agrement`",
            "3:37 invariant `agreement` is named twice",
            "3:50 unknown invariant `x`",
        ]
    );
    let text = problems.to_string();
    assert!(text.contains("did you mean `agreement`?"), "{text}");
    assert!(
        text.contains("the invariants are `answered-once-in-order`, "),
        "{text}"
    );
    let scenario = good(&format!("without = \"nothing-waits\"\nsteps = [{KIWI}]"));
    assert_eq!(scenario.without, [Invariant::NothingWaits]);
}

#[test]
fn mistakes_in_an_order_have_a_place() {
    let head = "deliver = [\"step\", \"Riley>Jaquez\", ";
    let with = |rest: &str, steps: &str| format!("{head}{rest}]\nsteps = [{steps}]");
    let cut = "{ at = \"3s\", partition = \"Riley-Juzang\" }";
    let often = KIWI
        .replace(" }", ", times = 2, every = \"1s\" }")
        .replacen("2s", "1s", 1);
    let cases = [
        (
            with("\"Jaquez\"", KIWI),
            "3:36 `Jaquez` is nothing that can happen next",
        ),
        (with("\"Jaquez>Rily\"", KIWI), "3:44 unknown server `Rily`"),
        (
            with("\"Riley>Bernard\"", KIWI),
            "3:36 there is no link between `Riley` and `Bernard`",
        ),
        (with("\"step\"", KIWI), "3:36 there is one step only"),
        (
            with("", &format!("{KIWI}, {cut}")),
            &*format!(
                "4:{} `deliver` takes the place of time, and this is a cut, which is but a late delivery",
                12 + KIWI.len()
            ),
        ),
        (
            with("", &often),
            "4:10 `deliver` takes the place of time, and this is repetitions some time apart",
        ),
        (
            format!("end = \"5s\"\n{}", with("", KIWI)),
            "3:7 a run with `deliver` ends when everything has happened",
        ),
    ];
    for (rest, wanted) in cases {
        assert_eq!(problems_of(&rest), [wanted], "{rest}");
    }
}

#[test]
fn a_fault_between_servers_without_a_link_is_a_mistake_at_its_place() {
    let no_link = "there is no link between `Riley` and `Bernard`";
    for (fault, wanted) in [
        ("partition = \"Riley-Bernard\"", format!("3:35 {no_link}")),
        (
            "partition_oneway = \"Riley-Bernard\"",
            format!("3:42 {no_link}"),
        ),
        ("sever = \"Riley-Bernard\"", format!("3:31 {no_link}")),
        (
            "partition = \"Riley\", from = \"Bernard\"",
            format!("3:35 {no_link}"),
        ),
        (
            "partition = \"Riley\", from = [\"Bernard\", \"Campbell\"]",
            "3:35 there is no link between the two sides".to_owned(),
        ),
    ] {
        let rest = format!("steps = [{{ at = \"1s\", {fault} }}]");
        assert_eq!(problems_of(&rest), [wanted], "{fault}");
    }
    // Everybody is on no side of anything.
    for fault in ["partition", "partition_oneway", "sever", "slow"] {
        let latency = if fault == "slow" {
            ", latency = \"1s\""
        } else {
            ""
        };
        let rest = format!("steps = [{{ at = \"1s\", {fault} = \"all\"{latency} }}]");
        assert!(parse(&format!("{HEAD}{rest}")).is_err(), "{fault}");
    }
    // Where one pair of many has a link, the fault has something to do.
    let some = "steps = [{ at = \"1s\", partition = \"Riley\", from = [\"Bernard\", \"Juzang\"] }]";
    assert!(parse(&format!("{HEAD}{some}")).is_ok());
}
