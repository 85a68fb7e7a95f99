use serde_json::Value;

use super::*;
use crate::diag::Problem;
use crate::scenario::CountRange;
use crate::trace::state::LinkState;

mod clients;
mod drawn;
mod layout;
mod limits;
mod mistakes;
mod observed;
mod peers;
mod plain;

const HEAD: &str = "title = \"t\"\nherd = \"riley\"\n";

const KIWI: &str = "{ at = \"2s\", client = \"kiwi\", to = \"Riley\", send = \"IAMAT kiwi +1+1 {now}\", reply = \"*\" }";

fn parse(text: &str) -> Result<(Scenario, Problems), Problems> {
    Scenario::parse("dir/test.toml", text, None)
}

/// The scenario of a text without mistakes, after [`HEAD`].
fn good(rest: &str) -> Scenario {
    match parse(&format!("{HEAD}{rest}")) {
        Ok((scenario, warnings)) => {
            assert!(warnings.is_empty(), "{warnings}");
            scenario
        }
        Err(problems) => panic!("{problems}"),
    }
}

fn update_of(expect: &Expect) -> (&UpdateRef, &[Check]) {
    match &expect.what {
        Expected::Update(UpdateExpectation { update, checks, .. }) => (update, checks),
        other => panic!("{other:?}"),
    }
}

/// The problems of a text after [`HEAD`], whose lines are then 3 and following, as
/// `line:column message`.
fn problems_of(rest: &str) -> Vec<String> {
    told(&parse(&format!("{HEAD}{rest}")).unwrap_err())
}

fn told(problems: &Problems) -> Vec<String> {
    let tell = |problem: &Problem| {
        let (line, column) = problem.line_column().unwrap();
        format!("{line}:{column} {}", problem.message)
    };
    problems.sorted().into_iter().map(tell).collect()
}

fn names(scenario: &Scenario, targets: &[Target]) -> Vec<String> {
    let parties = targets.iter().filter_map(Target::party);
    parties
        .map(|party| party.name(&scenario.herd).to_string())
        .collect()
}

fn crash() -> FaultKind {
    FaultKind::of("crash").unwrap()
}

const JUZANG_GOES_DOWN: &str = r#"
title = "Juzang goes down"
about = "Juzang is dead when Riley hears from kiwi."
herd  = "riley"
seed  = 131
link_latency = "20ms"

steps = [
  { at = "1s", crash = "Juzang" },
  { at = "2s", client = "kiwi.cs.ucla.edu", to = "Riley",
    send  = "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 {now}",
    reply = "AT Riley +* kiwi.cs.ucla.edu +34.068930-118.445127 {sent}" },
]

[[expect]]
update  = "kiwi.cs.ucla.edu"
hops    = { Jaquez = 1, Bernard = 2, Campbell = 3 }
misses  = ["Juzang"]
path    = { Bernard = "Riley-Jaquez-Bernard" }
within  = "100ms"
"#;

#[test]
fn a_whole_scenario_is_read() {
    let (scenario, warnings) = parse(JUZANG_GOES_DOWN).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(scenario.name, "test");
    assert_eq!(
        (scenario.seed.first(), scenario.epoch_ns),
        (131, 1_621_464_827_000_000_000)
    );
    assert_eq!(scenario.link_latency.len(), 6);
    let [riley, jaquez, juzang, campbell, bernard] =
        ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard"].map(|n| scenario.herd.id(n).unwrap());
    assert_eq!(
        scenario.steps[0].action,
        Action::Begin(Fault {
            kind: crash(),
            targets: vec![Target::Party(Party::Server(juzang))],
            values: Values::default(),
        })
    );
    let Action::Client(client) = &scenario.steps[1].action else {
        panic!("{:?}", scenario.steps[1]);
    };
    assert_eq!(
        (client.times, client.no_reply, client.lines.len()),
        (1, false, 1)
    );
    let limit = Duration::from_millis(100);
    let within = |server| Check::Within {
        server: Some(server),
        limit,
    };
    let wanted = [
        Check::Misses(juzang),
        Check::Hops(jaquez, CountRange::exactly(1)),
        Check::Hops(bernard, CountRange::exactly(2)),
        Check::Hops(campbell, CountRange::exactly(3)),
        Check::Path(bernard, vec![riley, jaquez, bernard]),
        within(jaquez),
        within(bernard),
        within(campbell),
    ];
    assert_eq!(update_of(&scenario.expects[0]).1, wanted);
    assert_eq!(scenario.with_seed(7).seed, 7.into());
}

#[test]
fn json_says_the_same() {
    let text = r#"{ "title": "t", "herd": "hill", "steps": [
        { "at": "1s", "crash": ["Smith", "Hill"] }, { "after": "1s", "restart": "all" } ] }"#;
    let (scenario, _) = Scenario::parse("a.json", text, None).unwrap();
    let Action::End(kind, up) = &scenario.steps[1].action else {
        panic!("{:?}", scenario.steps[1]);
    };
    assert_eq!(*kind, crash());
    assert_eq!(names(&scenario, up), ["Hill", "Smith"]);
    assert_eq!(scenario.steps[1].at, Duration::from_secs(2));
}

#[test]
fn settings_have_defaults_and_the_nearest_latency_holds() {
    let folder = tempfile::tempdir().unwrap();
    let herd = "name = \"x\"\nservers = [\"A\", \"B\", \"C\"]\nlinks = [\n\
        { between = \"A-B\", latency = \"1ms\" }, { between = \"B-C\", latency = \"2ms\" }, \"A-C\"]";
    std::fs::write(folder.path().join("x.toml"), herd).unwrap();
    let text = "title = \"t\"\nherd = \"x.toml\"\nlink_latency = \"3ms\"\n\
        latency = { \"B-A\" = \"4ms..6ms\" }\nepoch = \"12.5\"\nend = \"9s\"\n\
        steps = [{ at = \"1s\", crash = \"A\" }]\nserver = { heartbeat = \"1s\" }";
    let (scenario, _) = Scenario::parse("s.toml", text, Some(folder.path())).unwrap();
    let latencies: Vec<_> = scenario
        .link_latency
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(latencies, ["4ms..6ms", "2ms", "3ms"]);
    assert_eq!(scenario.client_latency.to_string(), "5ms");
    assert_eq!(scenario.epoch_ns, 12_500_000_000);
    assert_eq!(scenario.end, Some(Duration::from_secs(9)));
    let wanted = Timing {
        heartbeat: Duration::from_secs(1),
        ..Timing::default()
    };
    assert_eq!(scenario.timing, wanted);
}

#[test]
fn an_order_names_deliveries_and_steps() {
    let order = |deliver: &str| {
        let scenario = good(&format!("deliver = {deliver}\nsteps = [{KIWI}]"));
        let (again, _) = parse(&scenario.to_toml()).unwrap();
        let order = scenario.deliver.unwrap().choices;
        assert_eq!(again.deliver.unwrap().choices, order);
        let order = order.into_iter();
        order
            .map(|choice| choice.text(&scenario.herd))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        order(r#"["step", "Riley>Jaquez", "Jaquez > Bernard"]"#),
        ["step", "Riley>Jaquez", "Jaquez>Bernard"]
    );
    assert_eq!(order(r#""step""#), ["step"]);
    assert_eq!(order("[]"), [""; 0]);
    assert_eq!(good(&format!("steps = [{KIWI}]")).deliver, None);
}

#[test]
fn steps_are_sorted_by_time_and_keep_their_order_within_one() {
    let scenario = good(
        "steps = [{ at = \"3s\", restart = \"Riley\" }, { at = \"1s\", crash = \"Riley\" }, \
         { after = \"2s\", crash = \"Jaquez\" }, { at = \"4s\", crash = \"all\" }]",
    );
    let times: Vec<_> = scenario
        .steps
        .iter()
        .map(|step| step.at.as_secs())
        .collect();
    assert_eq!(times, [1, 3, 3, 4]);
    assert!(matches!(
        scenario.steps[1].action,
        Action::End(kind, _) if kind == crash()
    ));
    let rest = scenario.steps[3].action.targets();
    assert_eq!(
        names(&scenario, rest),
        ["Riley", "Juzang", "Campbell", "Bernard"]
    );
}

#[test]
fn updates_are_numbered_in_order_of_sending() {
    let scenario = good(
        "steps = [{ at = \"1s\", client = \"a\", to = [\"Juzang\", \"Riley\"], times = 2, every = \"5ms\",\n\
         send = [\"IAMAT a +1+1 {now}\", \"WHO a 1 1\", \"IAMAT b{i} +1+1 {now}\"] },\n\
         { at = \"1002ms\", client = \"a\", to = \"Bernard\", send = \"IAMAT a +1+1 {now}\" }]\n\
         [[expect]]\nupdate = \"a#3\"\nignored = true\n[[expect]]\nupdate = \"b1#2\"\nsends = 8",
    );
    let updates = scenario.updates();
    let tell = |update: &PlannedUpdate| {
        let id = String::from_utf8_lossy(&update.client_id).into_owned();
        let to = &scenario.herd.server(update.to).name;
        format!("{id}#{} {to} {}", update.nth, update.at.as_millis())
    };
    let told: Vec<_> = updates.iter().map(tell).collect();
    let wanted = [
        "a#1 Juzang 1000",
        "b1#1 Juzang 1000",
        "a#2 Riley 1000",
        "b1#2 Riley 1000",
        "a#3 Bernard 1002",
        "a#4 Juzang 1005",
        "b2#1 Juzang 1005",
        "a#5 Riley 1005",
        "b2#2 Riley 1005",
    ];
    assert_eq!(told, wanted);
    let (update, checks) = update_of(&scenario.expects[0]);
    assert_eq!((update.nth, checks), (3, &[Check::Ignored][..]));
    assert_eq!(update_of(&scenario.expects[1]).0.client_id, b"b1");
}

#[test]
fn the_schema_knows_what_is_required() {
    let schema = schema();
    let either = serde_json::json!([
        { "required": ["title", "herd", "steps"] },
        { "required": ["case"] },
    ]);
    assert_eq!(schema["anyOf"], either);
    assert_eq!(schema["$defs"]["Expect"]["required"], Value::Null);
    assert_eq!(schema["$defs"]["Step"]["required"], Value::Null);
    assert!(!schema.to_string().contains("null"), "{schema:#}");
    assert!(schema.to_string().contains("{now+1.5s}"), "{schema:#}");
}

mod robustness {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is cut out or put in, the file is refused politely or read, and its
        /// problems can be shown.
        #[test]
        fn no_change_of_the_file_panics(
            at: prop::sample::Index, length in 0..12_usize, put in "[\\PC\n\"{}=,-]{0,4}",
        ) {
            let chars: Vec<char> = JUZANG_GOES_DOWN.chars().collect();
            let at = at.index(chars.len());
            let rest = chars.iter().skip(at + length);
            let text: String = chars[..at].iter().chain(&put.chars().collect::<Vec<_>>()).chain(rest).collect();
            for name in ["a.toml", "a.json"] {
                if let Err(problems) = Scenario::parse(name, &text, None) {
                    prop_assert!(problems.has_errors() && !problems.render(true).is_empty());
                }
            }
        }
    }
}
