//! Properties of the page, as stories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proxy_herd::journal::{Event, EventKind};
use proxy_herd::trace::Trace;
use proxy_herd::trace::state::State;
use proxy_herd::view::{self, ShownRun};
use serde_json::{Value, json};

use super::Stage;
use super::opening::{figures, in_vain, on_a_phone, what_broke};
use super::reports::reports;
use super::runs::{beginning, made_up, ran, renamed};

/// The name of a story, and the story.
type Story = (&'static str, fn(&Stage));

/// All stories.
pub(crate) const ALL: &[Story] = &[
    (
        "a page opens in silence and asks nobody for anything",
        silence,
    ),
    (
        "a page tells the command that runs it again, if there is one",
        again,
    ),
    (
        "every line of the trace is a message of the picture",
        messages,
    ),
    (
        "a click lights what caused a message and what it caused",
        lights,
    ),
    ("stepping shows what each server holds", memories),
    ("from the start, the herd coming up is one step", coming_up),
    ("whatever a client is called, it is text", hostile),
    (
        "no event, one event, fifty servers, a minute: all are drawn",
        extremes,
    ),
    (
        "a broken run opens with what broke, and with the update that it is about",
        what_broke,
    ),
    (
        "the map shows where messages went in vain, beside the links",
        in_vain,
    ),
    ("figures are written as they are in a terminal", figures),
    ("on a phone nothing is off the side", on_a_phone),
    ("everything is reached and used by the keyboard", keyboard),
    ("axe finds no serious violation", axe),
    (
        "the pages of a survey, an exploration and a sweep are read by all",
        reports,
    ),
];

fn silence(stage: &Stage) {
    for name in ["juzang-goes-down", "faults/partition"] {
        stage.show(&[&ran(name)]);
        assert_quiet(stage, name);
        let policy = stage
            .view("document.querySelector('meta[http-equiv=Content-Security-Policy]').content");
        assert!(
            policy
                .as_str()
                .is_some_and(|policy| policy.contains("default-src 'none'"))
        );
    }
}

/// Without a command to run the scenario again, the page shows none.
fn again(stage: &Stage) {
    let command = "document.querySelector('.command')?.textContent ?? null";
    let mut run = ShownRun {
        trace: ran("all-up"),
        source: "all-up.jsonl".to_owned(),
        command: "herd run --seed 7 all-up.toml".to_owned(),
    };
    stage.show_page(&view::page(std::slice::from_ref(&run)));
    let told = stage.view(command);
    assert!(
        told.as_str()
            .is_some_and(|told| told.contains(&run.command)),
        "{told}"
    );
    run.command.clear();
    stage.show_page(&view::page(&[run]));
    assert_eq!(stage.view(command), Value::Null);
    assert_quiet(stage, "without a command");
}

/// Checks that the console has no warning, that only the page was requested, and that no dialog is
/// open.
pub(crate) fn assert_quiet(stage: &Stage, what: &str) {
    assert_eq!(stage.browser.complaints(), Vec::<String>::new(), "{what}");
    let requests =
        stage.view("performance.getEntriesByType('resource').map((entry) => entry.name)");
    assert_eq!(requests, json!([]), "{what}");
    assert!(!stage.browser.has_alert(), "{what}");
}

fn number(event: &Event) -> u64 {
    event.id.0.get()
}

fn messages(stage: &Stage) {
    for name in ["all-up", "faults/power-off"] {
        let trace = ran(name);
        stage.show(&[&trace]);
        let lines = trace
            .events
            .iter()
            .filter(|event| matches!(event.what, EventKind::LineOut { .. }));
        let lines: BTreeSet<u64> = lines.map(number).collect();
        let heard = trace
            .events
            .iter()
            .filter(|event| matches!(event.what, EventKind::LineIn { .. }));
        let heard: BTreeMap<u64, u64> = heard
            .filter_map(|event| Some((event.cause?.0.get(), number(event))))
            .collect();
        let shown = stage.view("view.messages()");
        let shown: Vec<&Value> = shown.as_array().expect("messages").iter().collect();
        let of_lines = shown.iter().filter(|message| message["class"] != "places");
        let sent: Vec<u64> = of_lines
            .clone()
            .map(|message| message["sent"].as_u64().expect("a number"))
            .collect();
        assert_eq!(
            sent.iter().copied().collect::<BTreeSet<_>>(),
            lines,
            "{name}"
        );
        assert_eq!(sent.len(), lines.len(), "{name}: each once");
        for message in of_lines {
            let sent = message["sent"].as_u64().expect("a number");
            let arrival = heard.get(&sent).copied().unwrap_or(0);
            assert_eq!(message["heard"], json!(arrival), "{name}: {message}");
        }
        // With every kind of message shown and the whole run in view, all messages are drawn.
        stage.view("view.options({ fold: true, sync: true, heartbeats: true }), view.fit()");
        assert_eq!(
            stage.view("view.drawn().messages"),
            json!(shown.len()),
            "{name}"
        );
    }
}

/// The event itself, all its causes, and all events that it caused, directly or through others.
fn related(trace: &Trace, event: u64) -> BTreeSet<u64> {
    let cause = |event: u64| {
        let found = trace.events.iter().find(|other| number(other) == event);
        found
            .and_then(|event| event.cause)
            .map(|cause| cause.0.get())
    };
    let ancestors = |event: u64| std::iter::successors(Some(event), |event| cause(*event));
    let mut all: BTreeSet<u64> = ancestors(event).collect();
    let effects = trace.events.iter().map(number);
    all.extend(effects.filter(|other| ancestors(*other).any(|earlier| earlier == event)));
    all
}

fn lights(stage: &Stage) {
    for name in ["juzang-goes-down", "all-up"] {
        let trace = ran(name);
        stage.show(&[&trace]);
        let count = stage
            .view("view.messages().length")
            .as_u64()
            .expect("a number");
        let messages = stage.view("view.messages()");
        for message in 0..count {
            stage.view(&format!("view.selectMessage({message})"));
            let lit: BTreeSet<u64> =
                serde_json::from_value(stage.view("view.lit()")).expect("numbers");
            let sent = messages[usize::try_from(message).expect("few")]["sent"].as_u64();
            let wanted = related(&trace, sent.expect("a number"));
            assert_eq!(lit, wanted, "{name}: message {message}");
        }
        click_on_an_update(stage, &messages);
    }
}

/// A click on a message selects it.
fn click_on_an_update(stage: &Stage, messages: &Value) {
    let all = messages.as_array().expect("messages");
    let first = all
        .iter()
        .position(|message| message["class"] == "useful")
        .expect("an update");
    // The layout changes with the selection, so positions are taken after it is cleared.
    stage.view("view.select(null), view.fit()");
    stage.view("document.querySelector('#diagram canvas').scrollIntoView({ block: 'center', behavior: 'instant' })");
    let place = stage.view(&format!(
        "(() => {{ const box = document.querySelector('#diagram canvas').getBoundingClientRect(); \
         const p = view.place({first}); view.select(null); \
         return [box.x + (2 * p.x1 + p.x2) / 3, box.y + (2 * p.y1 + p.y2) / 3]; }})()"
    ));
    let pixel = |at: usize| {
        format!("{:.0}", place[at].as_f64().expect("pixels"))
            .parse()
            .expect("whole")
    };
    stage.browser.click(pixel(0), pixel(1));
    assert_eq!(stage.view("view.selected()"), json!({ "message": first }));
}

fn coming_up(stage: &Stage) {
    let trace = ran("juzang-goes-down");
    stage.show(&[&trace]);
    stage.view("view.moveToEvent(0)");
    stage.view("view.step(1)");
    let told = stage.view("document.getElementById('at-hand').textContent");
    let told = told.as_str().unwrap_or_default();
    assert!(
        told.ends_with("5 servers up, 6 links synchronised"),
        "{told}"
    );
    stage.view("view.step(1)");
    let crash = trace.events.iter().find(|it| it.what == EventKind::Crashed);
    let crash = number(crash.expect("Juzang goes down"));
    assert_eq!(stage.view("view.now().event"), json!(crash));
    stage.view("view.step(-1)");
    stage.view("view.step(-1)");
    assert!(stage.view("view.now().event").as_u64() < Some(crash));
}

fn memories(stage: &Stage) {
    for name in ["juzang-comes-back", "late-update"] {
        let trace = ran(name);
        stage.show(&[&trace]);
        let servers: Vec<&str> = trace.herd.server_names().collect();
        for last in (1..=trace.events.len())
            .step_by(9)
            .chain([trace.events.len()])
        {
            let mut state = State::default();
            trace.events[..last]
                .iter()
                .for_each(|event| state.learn(event));
            stage.view(&format!("view.moveToEvent({last})"));
            let shown = stage.view(&format!(
                "{}.map((name) => view.memory(name))",
                json!(servers)
            ));
            for (at, server) in servers.iter().enumerate() {
                let held = state.server(server).map(|server| {
                    let held = server.held.iter();
                    let held = held.map(|(client, by)| {
                        (String::from_utf8_lossy(client).into_owned(), number(by))
                    });
                    held.collect::<BTreeMap<String, u64>>()
                });
                let shown: Option<BTreeMap<String, Value>> =
                    serde_json::from_value(shown[at].clone()).expect("records");
                let shown = shown.map(|shown| {
                    let shown = shown.into_iter();
                    shown
                        .map(|(client, record)| {
                            (client, record["event"].as_u64().expect("an event"))
                        })
                        .collect()
                });
                assert_eq!(shown, held, "{name}: {server} after event {last}");
            }
        }
    }
}

fn hostile(stage: &Stage) {
    let plain = ran("juzang-goes-down");
    stage.show(&[&plain]);
    let elements = |stage: &Stage| {
        // By now a page that draws everything at first would have done so.
        stage.view("view.moveToEvent(140)");
        stage
            .browser
            .wait_for("requestAnimationFrame(() => requestAnimationFrame(() => arguments[0](0)))");
        let tags =
            stage.view("[...document.querySelectorAll('*')].map((each) => each.tagName).sort()");
        serde_json::from_value::<Vec<String>>(tags).expect("names")
    };
    let wanted = elements(stage);
    let long = "x".repeat(4_000);
    for name in [
        "<script>alert(1)</script>",
        "</script><script>alert(1)</script>",
        "<img/src=x/onerror=alert(1)>",
        "'\"><svg/onload=alert(1)>&lt;b&gt;",
        "<!--",
        "\u{202e}ediw\u{2028}\u{0000}\u{0007}\u{fffe}\u{feff}",
        &long,
    ] {
        let json = serde_json::to_string(name).expect("a string");
        let json = json.trim_matches('"');
        let trace = renamed(
            "juzang-goes-down",
            &[("kiwi.cs.ucla.edu", json), ("Juzang goes down", json)],
        );
        stage.show(&[&trace]);
        assert_quiet(stage, name);
        assert_eq!(
            elements(stage),
            wanted,
            "{name}: other elements than with a plain name"
        );
        let title = stage
            .view("document.title")
            .as_str()
            .expect("a title")
            .to_owned();
        assert!(
            name.len() > 1_000 || title.contains(&name[..3]) || name.starts_with('\u{202e}'),
            "{title}"
        );
    }
}

fn extremes(stage: &Stage) {
    let plain = ran("juzang-goes-down");
    let runs = [
        ("no event", beginning(&plain, 0)),
        ("one event", beginning(&plain, 1)),
        ("fifty servers", made_up(50, 40, 1_000_000)),
        (
            "a minute with an event a second",
            made_up(1, 60, 1_000_000_000),
        ),
    ];
    for (what, trace) in runs {
        stage.show(&[&trace]);
        assert_quiet(stage, what);
        let told = stage.view("view.traces()[0]");
        assert_eq!(told["events"], json!(trace.events.len()), "{what}");
        assert_eq!(
            told["servers"].as_array().map(Vec::len),
            Some(trace.herd.servers().len()),
            "{what}"
        );
        for words in [
            "view.step(1)",
            "view.stepFault(1)",
            "view.stepUpdate(1)",
            "view.fit()",
            "view.zoom(0.5)",
            "view.pan(40)",
        ] {
            stage.view(words);
        }
        stage.view("view.fit(), view.options({ sync: true, heartbeats: true })");
        let messages = stage.view("view.messages().length");
        assert_eq!(stage.view("view.drawn().messages"), messages, "{what}");
        assert_quiet(stage, what);
    }
    // Two runs are shown beside each other.
    stage.show(&[&ran("all-up"), &plain]);
    assert_quiet(stage, "two runs");
    assert_eq!(stage.view("view.traces().length"), json!(2));
}

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const RIGHT: &str = "\u{e014}";
const ESCAPE: &str = "\u{e00c}";

fn keyboard(stage: &Stage) {
    stage.show(&[&ran("juzang-goes-down")]);
    let event = |stage: &Stage| stage.view("view.now().event").as_u64().expect("a number");
    stage.view("view.moveTo(0)");
    let before = event(stage);
    stage.browser.keys(&[RIGHT, RIGHT]);
    assert!(event(stage) > before, "the arrow goes to the next event");
    stage.browser.keys(&["f"]);
    let fault = ran("juzang-goes-down");
    let fault = fault
        .events
        .iter()
        .find(|event| matches!(event.what, EventKind::Crashed))
        .map(number);
    assert_eq!(Some(event(stage)), fault, "f goes to the next fault");
    tabs(stage);
    // In the diagram, arrow keys move between messages, and Enter selects one.
    stage.view("document.querySelector('#diagram canvas').focus(), view.select(null)");
    stage.browser.keys(&[RIGHT, ENTER]);
    assert!(
        stage.view("view.selected()")["message"].is_u64(),
        "Enter selects a message"
    );
    stage.browser.keys(&[ESCAPE]);
    assert_eq!(stage.view("view.selected()"), Value::Null);
}

/// Tab reaches every usable element, leaves it again, and shows the focus.
fn tabs(stage: &Stage) {
    stage.view("(document.activeElement.blur(), window.reached = new Set(), 0)");
    for _ in 0..150 {
        stage.browser.keys(&[TAB]);
        let at = stage.view(
            "(() => { const at = document.activeElement; if (at === document.body) return null; \
             const again = window.reached.has(at); window.reached.add(at); \
             const disc = at.matches('.node') && getComputedStyle(at.querySelector('circle')); \
             const seen = getComputedStyle(at).outlineStyle !== 'none' || disc.strokeWidth === '4px'; \
             return { what: at.outerHTML.slice(0, 120), again, seen }; })()",
        );
        if at.is_null() || at["again"] == true {
            break;
        }
        assert_eq!(at["seen"], true, "where one is can be seen: {at}");
    }
    let usable = "[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter((each) => \
        each.tabIndex >= 0 && !each.disabled && each.checkVisibility())";
    let missed = stage.view(&format!(
        "{usable}.filter((each) => !window.reached.has(each)).map((each) => each.outerHTML.slice(0, 120))"
    ));
    assert_eq!(missed, json!([]), "not reached by Tab");
    assert!(stage.view(&format!("{usable}.length")).as_u64() > Some(8));
}

/// The place where `.ci/run` installs axe-core.
const AXE: &str = "target/axe/node_modules/axe-core/axe.min.js";

fn axe(stage: &Stage) {
    for name in ["juzang-goes-down", "all-up"] {
        stage.show(&[&ran(name)]);
        assert_usable_by_all(stage, name);
    }
}

/// In both themes axe finds no barrier in the open page.
pub(crate) fn assert_usable_by_all(stage: &Stage, what: &str) {
    let Ok(axe) = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE)) else {
        super::skipped(
            "no axe-core, which looks for what keeps people out: `npm install --prefix target/axe axe-core`",
        );
        return;
    };
    for theme in ["light", "dark"] {
        stage.view(&format!(
            "document.documentElement.dataset.theme = '{theme}'"
        ));
        let body = format!(
            "const done = arguments[0]; {axe}; axe.run(document).then((found) => done(found.violations.filter((each) => \
             ['serious', 'critical'].includes(each.impact)).map((each) => each.id + ': ' + each.help + ' ' + \
             each.nodes.map((node) => node.target.join(' ')).join(', '))), (error) => done(['axe failed: ' + error]));"
        );
        let violations = stage.browser.wait_for(&body);
        assert_eq!(violations, json!([]), "{what}, {theme}");
    }
}
