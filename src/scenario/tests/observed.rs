//! Expectations of servers, links and the log; and updates that nobody expects anything of.

use super::*;

#[test]
fn every_kind_of_expectation_is_read() {
    let scenario = good(&format!(
        "end = \"9s\"\nsteps = [{KIWI}, {KIWI}]\n\
         [[expect]]\nserver = [\"Riley\", \"Juzang\"]\nat = \"3s\"\nholds = \"kiwi#2\"\n\
         [[expect]]\nserver = \"Riley\"\nlacks = \"kiwi\"\nrecords = 0\nlookups = 1\n\
         [[expect]]\nlink = \"Riley-Juzang\"\nat = \"3s\"\nis = \"up\"\nsince = \"1s\"\nsynchronises_within = \"1s\"\nbrings = 2\n\
         [[expect]]\nlog = \"link to * is {{up}}\"\nby = \"Riley\"\nfrom = \"1s\"\nuntil = \"2s\"\ntimes = 0"
    ));
    let [riley, juzang] = ["Riley", "Juzang"].map(|name| scenario.herd.id(name).unwrap());
    let three = Some(Duration::from_secs(3));
    let one = Duration::from_secs(1);
    let kiwi = |nth| UpdateRef {
        client_id: b"kiwi".to_vec(),
        nth,
        text: format!("kiwi#{nth}"),
    };
    let index = (scenario.herd.links().iter()).position(|link| link.other(riley) == Some(juzang));
    let wanted: [Expected; 4] = [
        ServerExpectation {
            servers: vec![riley, juzang],
            moments: Moments::At(three),
            window: Window::default(),
            checks: vec![ServerCheck::State(StateCheck::Holds(kiwi(2)))],
        }
        .into(),
        ServerExpectation {
            servers: vec![riley],
            moments: Moments::At(None),
            window: Window::default(),
            checks: vec![
                ServerCheck::State(StateCheck::Lacks(b"kiwi".to_vec())),
                ServerCheck::State(StateCheck::Records(CountRange::exactly(0))),
                ServerCheck::LookUps(CountRange::exactly(1)),
            ],
        }
        .into(),
        LinkExpectation {
            links: vec![index.unwrap()],
            checks: vec![
                LinkCheck::Is {
                    moments: Moments::At(three),
                    state: LinkState::Up,
                },
                LinkCheck::SynchronisesWithin {
                    since: one,
                    limit: one,
                },
                LinkCheck::Brings {
                    since: one,
                    records: CountRange::exactly(2),
                },
            ],
        }
        .into(),
        LogExpectation {
            event: EventText {
                pattern: Pattern::plain("link to * is {up}").unwrap(),
                by: Some("Riley".to_owned()),
            },
            window: Window {
                from: one,
                until: Some(Duration::from_secs(2)),
                ..Window::default()
            },
            times: Some(CountRange::exactly(0)),
        }
        .into(),
    ];
    let read: Vec<_> = scenario.expects.into_iter().map(|e| e.what).collect();
    assert_eq!(read, wanted);
}

#[test]
fn an_expectation_is_about_one_thing_and_its_fields_fit() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "update = \"kiwi\"\nsends = 8\nlink = \"Riley-Juzang\"",
            &["7:8 an expectation is about one thing, and `link` is a second one"],
        ),
        (
            "update = \"kiwi\"\nsends = 8\nis = \"up\"\ntimes = 1",
            &[
                "7:6 `is` goes with `link`, and this expectation is about `update`",
                "8:9 `times` goes with `log`, and this expectation is about `update`",
            ],
        ),
        (
            "log = \"stops\"\nat = \"1s\"\nhops = { Riley = 1 }",
            &[
                "6:6 `at` goes with `server` and `link`, and this expectation is about `log`",
                "7:10 `hops` goes with `update`, and this expectation is about `log`",
            ],
        ),
        ("server = \"all\"", &["4:1 nothing is expected here"]),
    ];
    for (expect, wanted) in cases {
        let text = format!("steps = [{KIWI}]\n[[expect]]\n{expect}");
        assert_eq!(problems_of(&text), wanted, "{expect}");
    }
}

#[test]
fn mistakes_in_expectations_of_servers_and_links_have_a_place() {
    let cases: [(&str, &[&str]); 7] = [
        (
            "server = \"Rily\"\nholds = [\"kiwi\", \"plum\"]\nlacks = \"fig\"",
            &[
                "6:10 unknown server `Rily`",
                "7:18 no IAMAT for `plum` is sent in this scenario",
                "8:9 no IAMAT for `fig` is sent in this scenario",
            ],
        ),
        (
            "server = \"Riley\"\nholds = []\nat = \"2h\"",
            &[
                "7:9 no client is named here",
                "8:6 2h is later than a run may last, 1h",
                "8:6 `at` is 1h, but the run ends at 9s",
            ],
        ),
        (
            "server = \"Riley\"\nat = \"1s\"\nlookups = 0",
            &["7:6 `lookups` and `requests` count over the whole run, so `at` has no meaning"],
        ),
        (
            "server = \"Riley\"\nat = \"10s\"\nrecords = 1",
            &["7:6 `at` is 10s, but the run ends at 9s"],
        ),
        (
            "link = [\"Riley-Bernard\", \"Riley-Juzan\"]\nis = \"up\"",
            &[
                "6:9 there is no link between `Riley` and `Bernard`",
                "6:33 unknown server `Juzan`",
            ],
        ),
        (
            "link = []\nis = \"sideways\"",
            &[
                "6:8 no link is named here",
                "7:6 unknown `sideways`: one of `down`, `up`, `synchronised`",
            ],
        ),
        (
            "link = \"all\"\nat = \"1s\"\nbrings = 1\n[[expect]]\nlink = \"all\"\nsince = \"1s\"\nis = \"up\"",
            &[
                "7:6 `at` needs `is`: how the link is then",
                "11:9 `since` needs `synchronises_within` or `brings`",
            ],
        ),
    ];
    for (expect, wanted) in cases {
        let text = format!("end = \"9s\"\nsteps = [{KIWI}]\n[[expect]]\n{expect}");
        assert_eq!(problems_of(&text), wanted, "{expect}");
    }
}

#[test]
fn mistakes_in_expectations_of_the_log_have_a_place() {
    let cases: [(&str, &[&str]); 3] = [
        (
            "log = 'a\\b'",
            &["5:7 a backslash must stand before `*` or `\\`: write `\\\\` for a backslash"],
        ),
        (
            "log = \"*\"\nby = \"Rilye\"",
            &["6:6 no server or client is called `Rilye` here"],
        ),
        (
            "log = \"*\"\nby = \"kiwi\"\nfrom = \"2s\"\nuntil = \"1s\"\ntimes = -1",
            &[
                "8:9 `until` is 1s, before `from`, 2s",
                "9:9 expected a number such as 3, or \"2..5\", \"at least 2\" or \"at most 5\", found the integer `-1`",
            ],
        ),
    ];
    for (expect, wanted) in cases {
        let text = format!("steps = [{KIWI}]\n[[expect]]\n{expect}");
        assert_eq!(problems_of(&text), wanted, "{expect}");
    }
}

/// The warnings of a scenario with these steps and expectations.
fn warnings(steps: &str, expects: &str) -> Vec<String> {
    let text = format!("{HEAD}steps = [{steps}]\n{expects}");
    told(&parse(&text).unwrap().1)
}

#[test]
fn an_update_of_which_nothing_is_expected_is_warned_of() {
    let step = "{ at = \"1s\", client = \"a\", to = \"Riley\", times = 3, send = [\"hello\", \"IAMAT a +1+1 {now}\"] }";
    let warned = ["3:10 nothing is expected of the update that this step sends"];
    assert_eq!(warnings(step, ""), warned);
    let other =
        "[[expect]]\nlink = \"all\"\nis = \"up\"\n[[expect]]\nserver = \"all\"\nlacks = \"a\"";
    assert_eq!(warnings(step, other), warned);
    // Each step by itself: what is said of one says nothing of another.
    let named = "[[expect]]\nupdate = \"kiwi\"\nmisses = \"Juzang\"";
    assert_eq!(warnings(&format!("{step}, {KIWI}"), named), warned);
    let (_, problems) = parse(&format!("{HEAD}steps = [{step}]")).unwrap();
    let text = problems.to_string();
    assert!(text.starts_with("warning: "), "{text}");
    assert!(text.contains("`update = \"a#1\"`"), "{text}");
}

#[test]
fn any_word_about_an_update_of_the_step_is_enough() {
    let step = "{ at = \"1s\", client = \"a\", to = \"Riley\", times = 3, send = [\"hello\", \"IAMAT a +1+1 {now}\"] }";
    let update = "[[expect]]\nupdate = \"a#2\"\nmisses = \"Juzang\"";
    assert!(warnings(step, update).is_empty());
    let holds = "[[expect]]\nserver = \"all\"\nholds = \"a#3\"";
    assert!(warnings(step, holds).is_empty());
    let replied = step.replace("times = 3", "reply = [\"? hello\", \"AT *\"]");
    assert!(warnings(&replied, "").is_empty(), "{replied}");
    let silent = step.replace("times = 3", "no_reply = true");
    assert!(warnings(&silent, "").is_empty());
}

#[test]
fn a_question_to_which_any_answer_will_do_is_warned_of() {
    let step = "{ at = \"1s\", client = \"a\", to = \"Riley\", send = \"WHATSAT a 10 5\" }";
    let warned = ["3:10 any answer to this WHATSAT will do, even that the client is unknown"];
    assert_eq!(warnings(step, ""), warned);
    let up = "[[expect]]\nlink = \"all\"\nis = \"up\"";
    assert_eq!(warnings(step, up), warned);
    for said in ["reply = \"*\"", "no_reply = true", "maybe = true"] {
        let step = step.replace(" }", &format!(", {said} }}"));
        assert!(warnings(&step, "").is_empty(), "{said}");
    }
    for other in [
        "[[expect]]\nserver = \"Riley\"\nlookups = 1",
        "[[expect]]\nlog = \"asks Places *\"",
        "[[expect]]\ninvariant = \"answered-once-in-order\"",
        // A table to which no request comes makes the run fail.
        "[[places]]\nplaces = 1",
    ] {
        assert!(warnings(step, other).is_empty(), "{other}");
    }
}
