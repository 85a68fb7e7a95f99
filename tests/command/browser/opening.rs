//! What a page shows first: failed expectations, where duplicates went, and numbers as in the
//! terminal.

use std::collections::BTreeSet;

use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Trace;
use proxy_herd::trace::propagation::Use;
use serde_json::{Value, json};

use super::Stage;
use super::runs::ran;

/// Two updates, of which the second fails its expectation.
const SECOND_BREAKS: &str = r#"
title = "Plum is well, kiwi is not"
herd = "riley"
steps = [
  { at = "1s", client = "plum", to = "Riley", send = "IAMAT plum +1+1 {now}", reply = "AT Riley *" },
  { at = "2s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +1+1 {now}", reply = "AT Riley *" },
]
expect = [
  { update = "plum#1", reaches = "all" },
  { update = "kiwi#1", reaches = "all", hops = { Campbell = 1 } },
]
"#;

/// A scenario with texts that are wider than a phone.
const LONG: &str = r#"
title = "Long"
herd = "riley"
steps = [{ at = "1s", client = "kiwi", to = "Riley", send = "IAMAT a-client-whose-name-is-longer-than-any-column-is-wide.example.org +34.0689300000000000-118.4451270000000000 {now}" }]
[[expect]]
update = "a-client-whose-name-is-longer-than-any-column-is-wide.example.org"
reaches = "all"
"#;

/// A scenario with so many messages that their number has a comma.
const BUSY: &str = r#"
title = "Busy"
herd = "riley"
steps = [{ at = "1s", workload = "load", clients = 10, rate = 100, lasts = "4s" }]
"#;

/// A herd in which most messages of a flood are duplicates.
const LARGE: &str = r#"
title = "Large"
herd = "random:4,30"
steps = [{ at = "1s", client = "kiwi", to = "S1", send = "IAMAT kiwi +1+1 {now}", reply = "AT S1 *" }]
expect = [{ update = "kiwi#1", reaches = "all" }]
"#;

fn run(scenario: &str) -> Trace {
    let (scenario, _) = Scenario::parse("made.toml", scenario, None).expect("a scenario");
    sim::run_once(&scenario).expect("it runs")
}

pub(crate) fn what_broke(stage: &Stage) {
    let trace = run(SECOND_BREAKS);
    assert_eq!(trace.verdict().failed, 1);
    for (width, height) in [(390, 800), (1400, 1000)] {
        stage.browser.resize(width, height);
        stage.show(&[&trace]);
        assert_eq!(stage.view("view.selected()"), json!({ "update": 1 }));
        let told = stage.view(
            "(() => { const told = document.querySelector('.broken-short'); \
             return [told.textContent, told.getBoundingClientRect().bottom < innerHeight]; })()",
        );
        let words = told[0].as_str().expect("words");
        assert!(words.contains("kiwi") && words.contains('2'), "{words}");
        assert_eq!(told[1], true, "{width}: it is seen at once");
    }
    stage.show(&[&ran("all-up")]);
    let told = stage.view("document.querySelectorAll('.broken-short').length");
    assert_eq!(told, json!(0), "nothing broke");
}

/// On a phone no record and no number extends past the screen.
pub(crate) fn on_a_phone(stage: &Stage) {
    stage.browser.resize(390, 800);
    stage.show(&[&run(LONG)]);
    // A browser's window can't be as narrow as a phone.
    stage.view("document.documentElement.style.zoom = innerWidth / 390");
    let out = "[...document.querySelectorAll('.scroll .table tr > *, .scroll .table svg')].filter((each) => \
               each.getBoundingClientRect().width > 0 && \
               each.getBoundingClientRect().right > each.closest('.scroll').getBoundingClientRect().right + 0.5)\
               .map((each) => each.textContent)";
    assert_eq!(stage.view(out), json!([]));
    let cells = stage.view("document.querySelectorAll('.scroll .table td').length");
    assert!(cells.as_u64() > Some(10), "{cells}");
    stage.browser.resize(1400, 1000);
}

/// On the map a duplicate has its own arrow beside the link, and the legend explains it.
pub(crate) fn in_vain(stage: &Stage) {
    let trace = ran("all-up");
    let sends = trace.updates.iter().flat_map(|update| &update.sends);
    let wasted = sends.filter(|send| send.result == Use::Duplicate);
    let ways: BTreeSet<(&str, &str)> = wasted.map(|send| (&*send.from, &*send.to)).collect();
    assert!(ways.len() > 2, "{ways:?}");
    stage.show(&[&trace]);
    let drawn = stage.view(
        "[...document.querySelectorAll('#herd .vain')].filter((each) => getComputedStyle(each).display !== 'none').map((each) => { \
         const [dashes, line] = [each.querySelector('.dashes'), each.parentNode.querySelector('line')]; \
         const middle = dashes.getPointAtLength(dashes.getTotalLength() / 2); \
         const [x1, y1, x2, y2] = ['x1', 'y1', 'x2', 'y2'].map((name) => line[name].baseVal.value); \
         const aside = Math.abs((x2 - x1) * (y1 - middle.y) - (x1 - middle.x) * (y2 - y1)) / Math.hypot(x2 - x1, y2 - y1); \
         return { aside, dashed: getComputedStyle(dashes).strokeDasharray !== 'none' }; })",
    );
    let drawn = drawn.as_array().expect("arrows");
    assert_eq!(drawn.len(), ways.len(), "an arrow for each way");
    for arrow in drawn {
        assert!(
            arrow["aside"].as_f64() > Some(5.0),
            "over the link: {arrow}"
        );
        assert_eq!(arrow["dashed"], true);
    }
    // Many duplicates are drawn fainter than useful messages.
    stage.show(&[&run(LARGE)]);
    let opacity =
        stage.view("Number(getComputedStyle(document.querySelector('#herd .vain.went')).opacity)");
    assert!(opacity.as_f64() < Some(0.6), "{opacity}");
    let legend = text(stage, "#herd .legend");
    assert!(
        legend.contains("news") && legend.contains("duplicate"),
        "{legend}"
    );
}

fn text(stage: &Stage, of: &str) -> String {
    let text = stage.view(&format!("document.querySelector('{of}').textContent"));
    let Value::String(text) = text else {
        panic!("{of}: {text}");
    };
    text
}

pub(crate) fn figures(stage: &Stage) {
    stage.show(&[&ran("all-up")]);
    let figures = text(stage, "#figures");
    assert!(
        figures.contains("0s / 0s") && !figures.contains("0ns"),
        "{figures}"
    );
    stage.show(&[&ran("places/places-bad-days")]);
    let figures = text(stage, "#figures");
    assert!(
        figures.contains("answers of Places: 2 × status 503, "),
        "{figures}"
    );
    assert!(
        figures.contains("status 200 (breaks off in the middle)"),
        "{figures}"
    );
    let trace = run(BUSY);
    let useful = trace.updates.iter().map(|update| update.count(Use::Useful));
    let useful = useful.sum::<usize>();
    assert!((1_000..1_000_000).contains(&useful), "{useful}");
    stage.show(&[&trace]);
    let figures = text(stage, "#figures");
    let grouped = format!("{},{:03} useful", useful / 1_000, useful % 1_000);
    assert!(figures.contains(&grouped), "{figures}");
}
