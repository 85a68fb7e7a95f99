//! How clients use their connections, what they must be answered, and how workloads send.

use super::*;

const HELLO: &str = "client = \"kiwi\", to = \"Riley\", send = \"hello\"";

fn steps(steps: &[&str]) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|step| format!("{{ {step} }},\n"))
        .collect();
    format!("steps = [\n{}]", steps.concat())
}

fn client(step: &Step) -> &ClientStep {
    match &step.action {
        Action::Client(client) => client,
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_that_is_said_of_a_connection_reads_back() {
    let scenario = good(&steps(&[
        "at = \"1s\", client = \"kiwi\", to = \"Riley\", connection = \"c 1\", receive_buffer = 4",
        "at = \"2s\", client = \"kiwi\", to = \"Riley\", connection = \"c 1\", reconnects = true, reads_after = \"20ms\", \
         send = [\"he{wait:30ms}llo\", \"x\", \"y\", \"z\", \"any\"], \
         reply = [\"? *\", { any = [\"? {client}\", \"AT *\"] }, { not = \"AT *\" }, { results = 3 }, {}]",
        "at = \"3s\", client = \"kiwi\", to = \"Riley\", connection = \"c 1\", send = \"half\", unfinished = true, \
         close = \"reset\", no_reply = true",
        "at = \"4s\", client = \"kiwi\", to = \"Riley\", send = \"x\", close = \"written\", refused = true",
        "at = \"5s\", client = \"kiwi\", to = \"Riley\", send = \"x\", close = \"answered\", unheard = true",
        "at = \"6s\", workload = \"load\", clients = 100000, rate = 10, lasts = \"1s\", connections = \"kept\", \
         pipelined = 5, skewed = true",
    ]));
    let (first, second) = (client(&scenario.steps[0]), client(&scenario.steps[1]));
    assert_eq!(first.connection.receive_buffer, Some(4));
    assert_eq!((first.lines.len(), first.connection.close), (0, None));
    assert!(second.connection.reconnects && !first.connection.reconnects);
    assert_eq!(second.connection.reads_after, Duration::from_millis(20));
    assert_eq!(
        second.lines[0].send.waits().sum::<Duration>(),
        Duration::from_millis(30)
    );
    assert_eq!(second.lines[3].reply, Some(Reply::Results(3)));
    assert_eq!(second.lines[4].reply, None);
    assert!(client(&scenario.steps[2]).connection.unfinished);
    let closes = [2, 3, 4].map(|at| client(&scenario.steps[at]).connection.close);
    assert_eq!(
        closes,
        [Close::Reset, Close::Written, Close::Answered].map(Some)
    );
    assert_eq!(client(&scenario.steps[3]).fails, Some(Failure::Refused));
    assert_eq!(client(&scenario.steps[4]).fails, Some(Failure::Unheard));
    for written in [scenario.clone(), scenario.expanded()] {
        let (again, _) = parse(&written.to_toml()).unwrap();
        let actions = |scenario: &Scenario| -> Vec<Action> {
            let steps = scenario.expanded().steps.into_iter();
            steps.map(|step| step.action).collect()
        };
        assert_eq!(actions(&again), actions(&scenario));
    }
    let expanded = scenario.expanded();
    let named = &client(&expanded.steps[1]).lines[1];
    assert_eq!(
        named.reply.as_ref().unwrap().show(1, None),
        "one of: ? kiwi; AT *"
    );
}

#[test]
fn mistakes_in_the_use_of_a_connection_have_a_place() {
    let to_riley = "client = \"kiwi\", connection = \"c\", to = \"Riley\"";
    let one = |more: &str| steps(&[&format!("at = \"1s\", {HELLO}, {more}")]);
    let cases: [(String, &[&str]); 12] = [
        (
            one("close = \"rest\""),
            &["4:69 `rest` is no way to close a connection"],
        ),
        (
            one("close = \"reset\""),
            &["4:69 who resets a connection reads no answer to these lines"],
        ),
        (
            one("reconnects = true"),
            &[
                "4:74 a connection of the step's own is opened anyway: `reconnects` needs a `connection`",
            ],
        ),
        (
            one("connection = \" \""),
            &["4:74 a connection needs a name"],
        ),
        (
            one("receive_buffer = 1"),
            &["4:78 a receive buffer has 2 to 64 kilobytes, not 1"],
        ),
        (
            one("refused = true, reply = \"x\""),
            &["4:71 `refused` excludes `reply`"],
        ),
        (
            one("refused = true, unheard = true"),
            &["4:71 `refused` excludes `unheard`"],
        ),
        (
            steps(&[&format!("at = \"1s\", {to_riley}, no_reply = true")]),
            &["4:74 `no_reply` needs `send`: there is no line"],
        ),
        (
            steps(&["at = \"1s\", client = \"kiwi\", to = \"Riley\""]),
            &["4:1 a client's step needs `send`: the lines that it sends"],
        ),
        (
            steps(&[
                &format!("at = \"1s\", {to_riley}"),
                "at = \"2s\", client = \"kiwi\", connection = \"c\", to = \"Juzang\"",
            ]),
            &[
                "5:1 the connection `c` of `kiwi` is open to Riley: another server needs another `connection`",
            ],
        ),
        (
            steps(&[
                &format!("at = \"1s\", {to_riley}, send = \"x\", unfinished = true, maybe = true"),
                &format!("at = \"2s\", {to_riley}, send = \"y\""),
            ]),
            &[
                "5:1 the last line on the connection `c` of `kiwi` has no end, so no other can follow",
            ],
        ),
        (
            one("connection = \"c\", times = 2, unfinished = true"),
            &["4:103 a line without its end is the last on its connection"],
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(problems_of(&text), wanted, "{text}");
    }
}

#[test]
fn a_name_is_free_again_after_its_connection_was_closed() {
    let to = |server: &str, more: &str| {
        format!("client = \"kiwi\", connection = \"c\", to = \"{server}\"{more}")
    };
    let text = steps(&[
        &format!("at = \"1s\", {}", to("Riley", "")),
        &format!("at = \"2s\", {}", to("Riley", ", close = \"answered\"")),
        &format!("at = \"3s\", {}", to("Juzang", "")),
    ]);
    assert_eq!(good(&text).steps.len(), 3);
}

#[test]
fn mistakes_in_replies_have_a_place() {
    let one = |reply: &str| steps(&[&format!("at = \"1s\", {HELLO}, reply = {reply}")]);
    let cases: [(&str, &[&str]); 6] = [
        ("{ any = [] }", &["4:77 no answer can be one of none"]),
        (
            "{ any = [\"{sent\"] }",
            &["4:78 `{sent` is never closed: write `{{` for a brace"],
        ),
        (
            "{ not = \"x\", results = 2 }",
            &["4:69 a reply has one of `any`, `not` and `results`"],
        ),
        ("{ results = 21 }", &["4:81 an answer has up to 20 results"]),
        ("{ non = \"x\" }", &["4:71 unknown field `non`"]),
        (
            "[{ not = \"{sent}\" }]",
            &["4:70 `{sent}` is the time in the line that was sent, but the line has none"],
        ),
    ];
    for (reply, wanted) in cases {
        assert_eq!(problems_of(&one(reply)), wanted, "{reply}");
    }
}

#[test]
fn who_waits_needs_time() {
    for wait in [
        "send = \"a{wait:5ms}b\"",
        "send = \"ab\", reads_after = \"5ms\"",
    ] {
        let text = format!(
            "deliver = [\"step\"]\nsteps = [{{ at = \"1s\", client = \"kiwi\", to = \"Riley\", {wait} }}]"
        );
        let wanted = "4:10 `deliver` takes the place of time, and this is a client that waits";
        assert_eq!(problems_of(&text), [wanted]);
    }
}

#[test]
fn the_first_of_skewed_clients_send_most_lines() {
    let lines_of = |more: &str| {
        let load = format!(
            "at = \"1s\", workload = \"load\", clients = 1000, rate = 1000, lasts = \"2s\"{more}"
        );
        let scenario = good(&steps(&[&load])).expanded();
        let mut lines = vec![0; 1001];
        for step in &scenario.steps {
            if let Action::Client(client) = &step.action {
                let number = client.client.rsplit('-').next().unwrap();
                lines[number.parse::<usize>().unwrap()] += client.lines.len();
            }
        }
        lines
    };
    let (alike, skewed) = (lines_of(""), lines_of(", skewed = true"));
    assert!(*alike.iter().max().unwrap() < 15);
    // The first one's share is the first part of 1 + 1/2 + … + 1/1000, which is 7.49.
    assert!((220..320).contains(&skewed[1]), "{}", skewed[1]);
    assert!((100..170).contains(&skewed[2]), "{}", skewed[2]);
    let of_the_last: usize = skewed[501..].iter().sum();
    assert!((130..250).contains(&of_the_last), "{of_the_last}");
    assert_eq!(lines_of(", pipelined = 7").iter().sum::<usize>(), 2000);
}
