//! Steps in which a file speaks to a server as another server would.

use super::*;

fn steps(steps: &[&str]) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|step| format!("{{ at = \"1s\", {step} }},\n"))
        .collect();
    format!("steps = [\n{}]", steps.concat())
}

fn peer(step: &Step) -> &ClientStep {
    match &step.action {
        Action::Peer(peer) => peer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_that_is_said_of_a_peer_reads_back() {
    let scenario = good(&steps(&[
        "peer = \"evil\", to = \"Riley\", connection = \"c\", receive_buffer = 4, reads_after = \"2s\"",
        "peer = \"evil\", to = \"Riley\", connection = \"c\", send = [\"HELLO {client}\", \"x{fill:5}\", \"{now}\"], \
         reply = [\"BYE *\", {}, { any = [\"A {sent}\", \"B\"] }]",
        "peer = \"evil\", to = \"Riley\", connection = \"c\", send = \"AT {i}\", times = 20, every = \"1ms\", maybe = true",
        "peer = \"other\", to = \"Riley\", send = \"x\", unfinished = true, close = \"reset\"",
        "peer = \"other\", to = [\"Riley\", \"Juzang\"], send = \"x\", no_reply = true",
        "peer = \"other\", to = \"Riley\", send = \"x\", refused = true",
    ]));
    let expanded = scenario.expanded();
    let lines = &peer(&expanded.steps[1]).lines;
    let sent = lines[0].send.render(1, 0).bytes;
    assert_eq!(String::from_utf8(sent).unwrap(), "HELLO evil");
    assert_eq!(lines[1].send.render(1, 0).bytes, b"xxxxxx");
    assert_eq!((lines[1].reply.clone(), lines.len()), (None, 3));
    for written in [scenario.clone(), scenario.expanded()] {
        let (again, _) = parse(&written.to_toml()).unwrap();
        let actions = |scenario: &Scenario| -> Vec<Action> {
            let steps = scenario.expanded().steps.into_iter();
            steps.map(|step| step.action).collect()
        };
        assert_eq!(actions(&again), actions(&scenario));
    }
    assert_eq!(scenario.updates(), [], "a peer's lines are no IAMATs");
}

#[test]
fn mistakes_in_a_peer_s_step_have_a_place() {
    const EVIL: &str = "peer = \"evil\", to = \"Riley\", send = \"HELLO\"";
    let with = |more: &str| steps(&[&format!("{EVIL}, {more}")]);
    let cases: [(String, &[&str]); 12] = [
        (
            steps(&["peer = \"evil\", client = \"kiwi\", to = \"Riley\", send = \"x\""]),
            &["4:21 a step does one thing, and `peer` is a second one"],
        ),
        (
            steps(&["peer = \"evil\", to = \"Nobody\", send = \"x\""]),
            &["4:34 unknown server `Nobody`"],
        ),
        (
            steps(&["peer = \"evil\", send = \"x\""]),
            &["4:1 a peer's step needs `to`: the server that it talks to"],
        ),
        (
            steps(&["peer = \"evil\", to = \"Riley\""]),
            &["4:1 a peer's step needs `send`: the lines that it sends"],
        ),
        (
            steps(&["peer = \"Riley\", to = \"Riley\", send = \"x\""]),
            &["4:21 a peer can't be called `Riley`, as a server is"],
        ),
        (
            steps(&[EVIL, "client = \"evil\", to = \"Riley\", send = \"x\""]),
            &["4:1 a peer can't be called `evil`, as a client is"],
        ),
        (
            with("clients = 5"),
            &["4:69 `clients` goes with `client` and `workload`, and this step has `peer`"],
        ),
        (
            with("unheard = true"),
            &["4:69 `unheard` goes with `client`, and this step has `peer`"],
        ),
        (
            with("reply = { not = \"x\" }"),
            &["4:75 `not` says nothing of a line that a peer awaits"],
        ),
        (
            with("reply = [{ results = 3 }]"),
            &["4:80 `results` says nothing of a line that a peer awaits"],
        ),
        (
            with("reply = \"x\", close = \"reset\""),
            &["4:80 who resets a connection reads no answer to these lines"],
        ),
        (
            steps(&["peer = \"evil\", to = \"Riley\", send = \"{fill:0}\""]),
            &[
                "4:50 bad placeholder `{fill:0}`: it stands for 1 to 1000000 letters, as in `{fill:5000}`",
            ],
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(problems_of(&text), wanted, "{text}");
    }
}

#[test]
fn a_peer_needs_time_and_can_t_be_in_a_run_by_hand() {
    let text = format!(
        "deliver = [\"step\"]\n{}",
        steps(&["peer = \"evil\", to = \"Riley\", send = \"x\""])
    );
    let problems = problems_of(&text).concat();
    assert!(
        problems.contains("a peer that speaks by hand"),
        "{problems}"
    );
}
