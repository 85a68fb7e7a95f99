//! The pages that `herd survey`, `herd sweep` and `herd explore` write beside their reports.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::Stage;
use super::stories::{assert_quiet, assert_usable_by_all};

/// A scenario with few orders of messages. Some orders fail, because one update overwrites the
/// other before it arrives.
const CROSSING: &str = r#"
title = "Two updates <b>cross</b> in a ring"
herd = { name = "ring", servers = ["A", "B", "C"], links = ["A-B", "B-C", "A-C"] }
steps = [
  { at = "1s", client = "kiwi", to = "A", send = "IAMAT kiwi +1+1 {now}", reply = "AT A *" },
  { at = "1s", client = "kiwi", to = "C", send = "IAMAT kiwi +2+2 {now}", reply = "AT C *" },
]
expect = [{ update = "kiwi#1", reaches = "all" }]
"#;

/// A scenario that fails in every run, and is shrunk quickly.
const FAILING: &str = r#"
title = "Two bad seconds"
herd = "riley"
tick = "10ms"
client_latency = "10ms"
steps = [
  { at = "500ms", workload = "load", clients = 4, rate = 10, lasts = "3s" },
  { at = "500ms", random = { crash = "500ms", sever = "500ms" }, lasts = "1500ms", holds = "100ms..500ms" },
]
expect = [{ log = "→  never <img src=x onerror=alert(1)> said" }]
"#;

pub(crate) fn reports(stage: &Stage) {
    let cells = "document.querySelectorAll('.heat td').length";
    let page = written(stage, None, &["survey", "--model"]);
    seen(stage, &page, "a survey");
    // A survey of Riley's five servers has 42 failure sets of up to one server and one link.
    assert_eq!(stage.view(cells), json!(42 * 5));

    let page = written(stage, Some(CROSSING), &["explore"]);
    seen(stage, &page, "an exploration");
    follow_a_point(stage);

    let found = stage.folder.path().join("found");
    let found = found.to_str().expect("UTF-8");
    let sweep = [
        "sweep",
        "--seeds",
        "0..3",
        "--keep-going",
        "--shrink",
        found,
    ];
    let page = written(stage, Some(FAILING), &sweep);
    seen(stage, &page, "a sweep");
    let there =
        stage.view("decodeURI(document.querySelector('details a').href.replace('file://', ''))");
    let small =
        fs::read_to_string(there.as_str().expect("a path")).expect("the link leads to a file");
    let shown = stage.view("document.querySelector('details pre').textContent");
    assert_eq!(shown, json!(small), "the file is as the page shows it");
}

/// Runs a command, with a scenario if there is one, and returns the page of its report.
fn written(stage: &Stage, scenario: Option<&str>, command: &[&str]) -> std::path::PathBuf {
    let page = stage.folder.path().join("report.html");
    let mut herd = Command::new(env!("CARGO_BIN_EXE_herd"));
    herd.args(command).arg("--html").arg(&page);
    if let Some(scenario) = scenario {
        let file = stage.folder.path().join("scenario.toml");
        fs::write(&file, scenario).expect("it is written");
        herd.arg(file);
    }
    let ran = herd.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(page.exists(), "{command:?}: {said}");
    page
}

/// Checks that a page opens without warnings, is accessible in both themes, and fits on a phone.
fn seen(stage: &Stage, page: &std::path::Path, what: &str) {
    stage.browser.open(page);
    fs::remove_file(page).expect("it was there: the next report writes its own");
    assert_quiet(stage, what);
    assert_eq!(stage.view("document.scripts.length"), json!(0), "{what}");
    assert_eq!(
        stage.view("document.querySelectorAll('main, h1').length"),
        json!(2),
        "{what}"
    );
    // Folded parts are checked, too.
    stage.view("document.querySelectorAll('details').forEach((each) => { each.open = true; })");
    assert_usable_by_all(stage, what);
    let wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    stage.browser.resize(390, 800);
    let narrow = stage.view("document.documentElement.clientWidth").as_u64();
    assert!(
        narrow <= Some(500),
        "{narrow:?}: no browser's window is narrower than 500"
    );
    assert_eq!(stage.view(wide), json!(0), "{what}: wider than a phone");
    // A cell that extends past the screen could make its row high for no visible reason.
    let out = "[...document.querySelectorAll('.wide tbody > tr > *')].filter((each) => \
               each.getBoundingClientRect().right > innerWidth).map((each) => each.textContent)";
    assert_eq!(stage.view(out), json!([]), "{what}: off a phone's side");
    stage.browser.resize(1400, 1000);
}

/// A link in the tree of orders leads to a point, and opens it.
fn follow_a_point(stage: &Stage) {
    let closed = "document.querySelectorAll('details').forEach((each) => { each.open = false; })";
    stage.view(closed);
    let to = stage.view(
        "(() => { const link = [...document.querySelectorAll('.tree a')].find((each) => each.hash.includes('-p')); \
         link.click(); return link.hash; })()",
    );
    let to = to.as_str().expect("a reference");
    let seen = stage.view(&format!("document.querySelector('{to}').checkVisibility()"));
    assert_eq!(seen, json!(true), "{to} is in sight");
}
