//! How long a browser takes for the page of a run with 100,000 events: to open it, and to redraw it
//! while it is panned.
//!
//! Run it by `cargo bench --bench view`, with Chromium and its driver on the path. It measures in
//! the page, by the page's clock.

#[path = "../tests/command/browser/driver.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod driver;
#[path = "../tests/command/browser/runs.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod runs;

use driver::Browser;
use proxy_herd::view::{self, ShownRun};
use serde_json::{Value, json};

/// The median and the longest of some times, in milliseconds.
fn times(values: &Value) -> String {
    let values = values.as_array().cloned().unwrap_or_default();
    let mut values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
    values.sort_by(f64::total_cmp);
    let last = values.last().copied().unwrap_or_default();
    let middle = values.get(values.len() / 2).copied().unwrap_or_default();
    format!("median {middle:.1} ms, longest {last:.1} ms")
}

/// Pans the diagram for 30 frames, and returns the time between each two.
const PAN: &str = "
    const [done] = arguments;
    const view = window.herdView;
    const frames = [];
    let last = null;
    const next = (now) => {
        if (last !== null) frames.push(now - last);
        last = now;
        if (frames.length === 30) return done(frames);
        view.pan(frames.length < 15 ? 15 : -15);
        requestAnimationFrame(next);
    };
    requestAnimationFrame(next);";

fn main() {
    // Each update is 15 events.
    let trace = runs::made_up(5, 6_667, 1_000_000);
    let events = trace.events.len();
    let shown = ShownRun {
        trace,
        source: "made-up.toml".to_owned(),
        command: "herd run made-up.toml".to_owned(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("page.html");
    let page = view::page(&[shown]);
    std::fs::write(&file, &page).expect("the page is written");
    println!("{events} events, a page of {} kB", page.len() / 1_000);
    let browser = Browser::start(1400, 1000).expect("Chromium and chromedriver are there");
    browser.open(&file);
    browser.wait_for(
        "const done = arguments[0]; const look = () => window.herdView?.ready ? done(true) : setTimeout(look, 20); look();",
    );
    let loaded = "return performance.getEntriesByType('navigation')[0].loadEventEnd;";
    let loaded = browser.ask(loaded, &json!([])).as_f64().unwrap_or(f64::NAN);
    let drawn = browser.ask("return window.herdView.opened;", &json!([]));
    println!(
        "open: {loaded:.0} ms until it is loaded, of which the page's own code took {drawn} ms"
    );
    for (what, prepare) in [
        ("the whole run in sight", "window.herdView.fit();"),
        (
            "a tenth of it in sight",
            "window.herdView.fit(); window.herdView.zoom(0.1);",
        ),
        (
            "a thousandth of it in sight",
            "window.herdView.fit(); window.herdView.zoom(0.001);",
        ),
    ] {
        browser.ask(prepare, &json!([]));
        let frames = browser.wait_for(PAN);
        let draws = "return Array.from({ length: 10 }, () => window.herdView.frame());";
        let draws = browser.ask(draws, &json!([]));
        println!(
            "pan, {what}: frames {}; drawing one {}",
            times(&frames),
            times(&draws)
        );
    }
    assert!(browser.complaints().is_empty(), "the page complains");
}
