//! The page of `herd view` in a real browser, compared with the trace: drawing, selection and
//! navigation. The pages of reports are tested, too.
//!
//! One browser shows all pages in turn. Without Chromium and its driver the test is skipped, which
//! CI does not allow.

mod driver;
mod opening;
mod reports;
mod runs;
mod stories;

use std::panic::{AssertUnwindSafe, catch_unwind};

use driver::Browser;
use proxy_herd::trace::Trace;
use proxy_herd::view::{self, ShownRun};
use runs::ran;

/// A browser, and a folder for its pages.
struct Stage {
    browser: Browser,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Opens the page of these runs, and waits until it is drawn.
    fn show(&self, traces: &[&Trace]) {
        self.show_page(&page(traces));
    }

    fn show_page(&self, page: &str) {
        let file = self.folder.path().join("page.html");
        std::fs::write(&file, page).expect("the page is written");
        self.browser.open(&file);
        let ready = self.browser.wait_for(
            "const done = arguments[0]; const look = () => window.herdView?.ready ? requestAnimationFrame(() => done(true)) : \
             setTimeout(look, 20); look();",
        );
        assert_eq!(ready, true, "the page is drawn");
    }

    /// The value of an expression in the page. Its `view` is the page's interface for tests.
    fn view(&self, expression: &str) -> serde_json::Value {
        let body = format!("const view = window.herdView; return {expression};");
        self.browser.ask(&body, &serde_json::json!([]))
    }
}

fn page(traces: &[&Trace]) -> String {
    let runs: Vec<ShownRun> = (traces.iter())
        .map(|trace| ShownRun {
            trace: Trace::clone(trace),
            source: format!("{}.toml", trace.header.scenario),
            command: format!("herd run {}.toml", trace.header.scenario),
        })
        .collect();
    view::page(&runs)
}

/// Skips the test, except in CI, where this fails.
fn skipped(why: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!in_ci, "in CI nothing is skipped: {why}");
    crate::skipped::skipped(why);
}

#[test]
fn a_browser_shows_what_happened() {
    let browser = match Browser::start(1400, 1000) {
        Ok(browser) => browser,
        Err(why) => {
            skipped(&format!(
                "no browser to show pages ({why}); Debian has chromium and chromium-driver"
            ));
            return;
        }
    };
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage { browser, folder };
    let mut failed = Vec::new();
    for (name, story) in stories::ALL {
        if catch_unwind(AssertUnwindSafe(|| story(&stage))).is_err() {
            failed.push(*name);
        }
    }
    assert!(
        failed.is_empty(),
        "in the browser, these do not hold: {failed:#?}"
    );
}

#[test]
fn the_page_of_a_typical_scenario_is_under_a_megabyte() {
    for name in [
        "juzang-goes-down",
        "burst",
        "places/places-bad-days",
        "stories/cascade",
    ] {
        let size = page(&[&ran(name)]).len();
        assert!(size < 1_000_000, "{name}: {size} bytes");
    }
}
