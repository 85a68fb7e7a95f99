//! What a file needs that stands for itself: a herd within it, lines that need no answer, and what it is about.

use super::*;

#[test]
fn a_herd_can_be_written_in_the_scenario() {
    let text = "title = \"t\"\nherd = { name = \"pair\", servers = [\"A\", { name = \"B\", port = 99 }],\n\
        links = [{ between = \"A-B\", latency = \"7ms\" }] }\nsteps = [{ at = \"1s\", crash = \"A\" }]";
    let (scenario, warnings) = parse(text).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(scenario.link_latency[0].to_string(), "7ms");
    assert_eq!(scenario.herd.servers()[1].client.port, 99);
    let wrong = |herd: &str| {
        let text =
            format!("title = \"t\"\nsteps = [{{ at = \"1s\", crash = \"A\" }}]\nherd = {herd}");
        told(&parse(&text).unwrap_err())
    };
    assert_eq!(
        wrong("{ servers = [\"A\"] }"),
        ["3:8 a herd needs a `name`"]
    );
    assert_eq!(
        wrong("{ name = \"pair\", servers = [\"A\", \"B\"], links = [\"A-C\"] }"),
        ["3:59 unknown server `C`"]
    );
    assert_eq!(
        wrong("7"),
        ["3:8 expected a string or a table, found the integer `7`"]
    );
}

#[test]
fn a_line_that_needs_no_answer_can_t_be_one_that_may_have_none() {
    let step = |fields: &str| {
        format!(
            "steps = [{{ at = \"1s\", client = \"a\", to = \"Riley\", send = \"x\", {fields} }}]"
        )
    };
    let scenario = good(&step("maybe = true"));
    assert!(matches!(&scenario.steps[0].action, Action::Client(client) if client.maybe));
    assert_eq!(
        problems_of(&step("no_reply = true, maybe = true")),
        ["3:88 `no_reply` allows no answer, so `maybe` has no meaning"]
    );
    assert_eq!(
        problems_of("steps = [{ at = \"1s\", crash = \"Riley\", maybe = true }]"),
        ["3:48 `maybe` goes with `client`, `peer` and `random`, and this step has `crash`"]
    );
}

#[test]
fn who_says_what_a_run_is_about_need_expect_nothing_else() {
    let steps = "steps = [{ at = \"1s\", client = \"kiwi\", to = \"Riley\", send = \"IAMAT kiwi +1+1 {now}\" }]";
    let scenario = good(&format!("{steps}\n[[expect]]\ninvariant = \"agreement\""));
    assert_eq!(
        scenario.expects[0].what,
        Expected::from(InvariantExpectation(vec![Invariant::Agreement]))
    );
    let (_, warnings) = parse(&format!("{HEAD}{steps}")).unwrap();
    assert!(!warnings.is_empty());
    let off = format!("without = \"agreement\"\n{steps}\n[[expect]]\ninvariant = \"agreement\"");
    assert_eq!(
        problems_of(&off),
        ["5:1 `agreement` is expected here, and switched off by `without`"]
    );
    assert_eq!(
        problems_of(&format!("{steps}\n[[expect]]\ninvariant = \"agreements\"")),
        ["5:13 unknown invariant `agreements`"]
    );
}

#[test]
fn what_is_kept_can_be_expected_of_single_clients() {
    let load =
        "steps = [{ at = \"1s\", workload = \"load\", clients = 3, rate = 9, lasts = \"1s\" }]";
    let kept =
        |client: &str| format!("{load}\n[[expect]]\nclient = \"{client}\"\nno_lost_updates = true");
    let scenario = good(&kept("load-2"));
    let clients = ClientSet::Clients(vec!["load-2".into()]);
    assert_eq!(scenario.expects[0].what, Expected::NoLostUpdates(clients));
    assert_eq!(
        problems_of(&kept("load-4")),
        ["5:10 there is no client `load-4`"]
    );
    let whole = good(&format!(
        "{load}\n[[expect]]\nworkload = \"load\"\nno_lost_updates = true"
    ));
    let Expected::NoLostUpdates(ClientSet::Clients(plain)) = &whole.plain().expects[0].what else {
        panic!("{:?}", whole.plain().expects);
    };
    assert!((1..=3).contains(&plain.len()) && plain.iter().all(|name| name.starts_with("load-")));
}

#[test]
fn a_body_can_be_written_in_hexadecimal() {
    let places = |fields: &str| format!("steps = [{KIWI}]\n[[places]]\nmaybe = true\n{fields}");
    let scenario = good(&places("hex = \"7bFF\""));
    assert_eq!(scenario.places[0].body, PlacesBody::Given(vec![0x7b, 0xff]));
    assert_eq!(
        problems_of(&places("hex = \"7b7\"")),
        ["6:7 bytes are pairs of hexadecimal digits, as in \"7b7d\""]
    );
    assert_eq!(
        problems_of(&places("hex = \"7b\"\nplaces = 1")),
        ["4:1 an answer has one of `body`, `hex`, `file` and `places`"]
    );
}

/// What is healed twice was cut twice.
#[test]
fn a_heal_of_what_was_cut_twice_mends_both_cuts_when_it_is_read_again() {
    let scenario = good(
        "steps = [{ at = \"1s\", partition_oneway = \"Riley-Juzang\" }, { at = \"2s\", partition_oneway = \"Riley-Juzang\" },\n\
         { at = \"3s\", heal = \"all\" }]",
    );
    let (again, _) = parse(&scenario.to_toml()).unwrap();
    assert_eq!(again.steps[2].action, scenario.steps[2].action);
}

/// To name Places would bring one into being.
#[test]
fn who_is_cut_off_from_everybody_is_so_when_it_is_read_again_and_nobody_asks_places() {
    let scenario =
        good("steps = [{ at = \"1s\", partition = \"Riley\" }, { at = \"2s\", heal = \"all\" }]");
    let (again, _) = parse(&scenario.to_toml()).unwrap();
    assert!(!again.asks_places, "{}", scenario.to_toml());
    assert_eq!(again.to_toml(), scenario.to_toml());
}

#[test]
fn in_plain_steps_a_workload_s_lines_need_no_answer() {
    let scenario = good(
        "steps = [{ at = \"1s\", workload = \"load\", clients = 3, rate = 9, lasts = \"1s\" }]",
    );
    let (again, _) = parse(&scenario.plain().to_toml()).unwrap();
    assert_eq!(again.steps.len(), 9);
    let maybe = |step: &Step| matches!(&step.action, Action::Client(client) if client.maybe);
    assert!(
        again.steps.iter().all(maybe),
        "{}",
        scenario.plain().to_toml()
    );
}
