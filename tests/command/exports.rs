//! Runs as pictures and in the formats of other tools. Each export is read back here, independently
//! of the code that wrote it.

use std::collections::{BTreeMap, BTreeSet};

use proxy_herd::journal::{Actor, Event, EventKind};
use proxy_herd::report::{Detail, StoryFilter, show};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Trace;
use proxy_herd::view::{self, Window};
use serde_json::Value;

use crate::ran::herd;

const JUZANG: &str = "scenarios/juzang-goes-down.toml";
/// A scenario that cuts the herd in two, so some messages are held up, and some are duplicates.
const HALVES: &str = "scenarios/faults/partition.toml";

fn ran(file: &str) -> Trace {
    let (scenario, _) = Scenario::load(file).expect("it is shipped");
    sim::run_once(&scenario).expect("it runs")
}

fn picture(trace: &Trace, detail: Detail, window: Window) -> String {
    view::svg(trace, detail, window).svg
}

/// A trace whose names contain markup, quotes and control characters.
fn hostile() -> Trace {
    let name = "</script><script>alert(1)</script>\"'&<b>\u{202e}]]>";
    let text = ran(JUZANG).to_json_lines();
    let quoted = serde_json::to_string(name).expect("a string");
    let quoted = quoted.trim_matches('"');
    let text = text.replace(
        "{\"client\":\"kiwi.cs.ucla.edu\"}",
        &format!("{{\"client\":\"{quoted}\"}}"),
    );
    let text = text.replace("Juzang goes down", quoted);
    let traces = Trace::from_json_lines(&text).expect("still a trace");
    traces.into_iter().next().expect("one")
}

fn number(event: &Event) -> usize {
    usize::try_from(event.id.0.get()).expect("it counts events")
}

/// For each event, by its number, the numbers of all events that happened before it: earlier events
/// of the same participant, causes, and the events before those.
fn happened_before(trace: &Trace) -> Vec<BTreeSet<usize>> {
    let mut before: Vec<BTreeSet<usize>> = vec![BTreeSet::new()];
    let mut latest: BTreeMap<&Actor, usize> = BTreeMap::new();
    for event in &trace.events {
        let cause = event.cause.and_then(|cause| trace.event(cause)).map(number);
        let mut all = BTreeSet::new();
        for parent in cause.into_iter().chain(latest.get(&event.who).copied()) {
            all.extend(before[parent].iter().copied());
            all.insert(parent);
        }
        before.push(all);
        latest.insert(&event.who, number(event));
    }
    before
}

#[test]
fn the_readmes_picture_is_what_the_command_draws() {
    let drawn = herd(&["view", "--svg", JUZANG]);
    assert_eq!(drawn.status.code(), Some(0));
    let kept = std::fs::read("docs/juzang-goes-down.svg").expect("it is kept");
    assert!(
        kept == drawn.stdout,
        "the picture is another now: look at it, then keep it by\n  herd view --svg -o docs/juzang-goes-down.svg {JUZANG}"
    );
}

#[test]
fn every_message_of_the_story_is_one_arrow() {
    let count = |file: &str, detail: Detail, class: &str| {
        let svg = picture(&ran(file), detail, Window::ALL);
        let legend = svg.rfind("<g transform=\"translate(20 ").expect("a legend");
        svg[..legend]
            .matches(&format!("<line class=\"way {class}"))
            .count()
    };
    assert_eq!(count(JUZANG, Detail::Story, "useful"), 3);
    assert_eq!(count(JUZANG, Detail::Story, ""), 3 + 2);
    let trace = ran(HALVES);
    let sends: usize = trace.updates.iter().map(|update| update.sends.len()).sum();
    let useful = trace.updates.iter().flat_map(|update| &update.sends);
    let useful = useful
        .filter(|send| send.result == proxy_herd::trace::propagation::Use::Useful)
        .count();
    assert!(sends > useful && useful > 0);
    assert_eq!(count(HALVES, Detail::Story, "useful"), useful);
    assert_eq!(count(HALVES, Detail::Story, "duplicate"), sends - useful);
    let lines = ran(JUZANG).events;
    let lines = lines
        .iter()
        .filter(|event| matches!(event.what, EventKind::LineOut { .. }))
        .count();
    let all = picture(&ran(JUZANG), Detail::Everything, Window::ALL);
    let legend = all.rfind("<g transform=\"translate(20 ").expect("a legend");
    // Lines that would overlap are drawn as one, with their number.
    let many = all[..legend].split("<text class=\"many\"").skip(1);
    let many = many.filter_map(|rest| rest.split(['×', '<']).nth(1)?.parse::<usize>().ok());
    let arrows = all[..legend].matches("<line class=\"way ").count();
    assert_eq!(arrows + many.map(|many| many - 1).sum::<usize>(), lines);
}

#[test]
fn messages_drawn_as_one_arrow_are_told_a_line_each() {
    let burst = ran("scenarios/burst.toml");
    let svg = picture(&burst, Detail::Story, Window::ALL);
    assert!(!svg.contains("\\x1f"), "a break between them is no text");
    let arrow = svg
        .split("<title>")
        .find(|rest| rest.starts_with("kiwi.cs"));
    let told = arrow.and_then(|rest| rest.split("</title>").next());
    let told: Vec<&str> = told.expect("kiwi's lines").lines().collect();
    let (more, lines) = told.split_last().expect("lines");
    assert!(lines.len() > 1 && more.starts_with("… and "), "{told:#?}");
    for line in lines {
        assert!(line.starts_with("kiwi.cs.ucla.edu → Riley "), "{line}");
    }
}

#[test]
fn a_window_shows_its_part_alone() {
    let part = |from, until| picture(&ran(JUZANG), Detail::Story, Window { from, until });
    let first = part(0, 1_500_000_000);
    assert!(first.contains("CRASHES") && !first.contains("IAMAT"));
    let rest = part(1_500_000_000, u64::MAX);
    assert!(!rest.contains("CRASHES") && rest.contains("IAMAT"));
    assert!(rest.contains(">down<"), "what began before is still so");
}

#[test]
fn what_a_client_is_called_is_text_in_every_format() {
    let trace = hostile();
    let svg = picture(&trace, Detail::Everything, Window::ALL);
    assert!(!svg.contains("<script") && !svg.contains("<b>") && !svg.contains('\u{202e}'));
    assert!(svg.contains("&lt;script&gt;"));
    let plain = picture(&ran(JUZANG), Detail::Everything, Window::ALL);
    assert_eq!(
        svg.matches('<').count(),
        plain.matches('<').count(),
        "no element more"
    );
    assert_eq!(
        svg.matches('"').count(),
        plain.matches('"').count(),
        "no attribute more"
    );
    parsed_log(&view::shiviz(&trace, Detail::Everything));
    let _: Value = serde_json::from_str(&view::perfetto(&trace, Detail::Everything)).expect("JSON");
}

#[test]
fn runs_of_no_event_and_of_one_are_drawn() {
    let mut trace = ran(JUZANG);
    (trace.updates, trace.judgements) = (Vec::new(), Vec::new());
    for events in [1, 0] {
        trace.events.truncate(events);
        let svg = picture(&trace, Detail::Everything, Window::ALL);
        assert!(svg.ends_with("</svg>\n") && svg.contains(">Riley</text>"));
        assert_eq!(
            parsed_log(&view::shiviz(&trace, Detail::Everything)).len(),
            events
        );
        let json: Value =
            serde_json::from_str(&view::perfetto(&trace, Detail::Everything)).expect("JSON");
        assert_eq!(with_phase(&json, "X").count(), events);
    }
}

/// Parses a log for `ShiViz` as its first line says: the host, the clock, and the text of each
/// event.
fn parsed_log(log: &str) -> Vec<(String, BTreeMap<String, u64>, String)> {
    let mut lines = log.lines();
    let parser = r"(?<host>\S+) (?<clock>\{.*\})\n(?<at>\S+) (?<event>.*)";
    assert_eq!((lines.next(), lines.next()), (Some(parser), Some("")));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len() % 2, 0, "two lines an event");
    let entries = lines.chunks(2).map(|entry| {
        let (host, clock) = entry[0].split_once(' ').expect("a host");
        assert!(!host.contains(char::is_whitespace) && !host.is_empty());
        assert!(clock.starts_with('{') && clock.ends_with('}'));
        let (_, event) = entry[1].split_once(' ').expect("a time");
        (
            host.to_owned(),
            serde_json::from_str(clock).expect("a clock"),
            event.to_owned(),
        )
    });
    entries.collect()
}

/// Whether the first clock is before the second.
fn is_before(a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>) -> bool {
    a != b
        && a.iter()
            .all(|(host, count)| b.get(host).is_some_and(|other| other >= count))
}

#[test]
fn vector_clocks_say_what_happened_before_what() {
    for (file, detail) in [
        (JUZANG, Detail::Everything),
        (JUZANG, Detail::Story),
        (HALVES, Detail::Story),
    ] {
        let trace = ran(file);
        let told = StoryFilter::new(&trace, detail);
        let shown: Vec<&Event> = trace
            .events
            .iter()
            .filter(|event| told.is_told(event))
            .collect();
        let log = parsed_log(&view::shiviz(&trace, detail));
        assert_eq!(log.len(), shown.len());
        let before = happened_before(&trace);
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (host, clock, _) in &log {
            let count = counts.entry(host).or_default();
            *count += 1;
            assert_eq!(clock[host], *count, "a host counts its own events");
        }
        for (event, (_, clock, what)) in shown.iter().zip(&log) {
            for (other, (_, earlier, _)) in shown.iter().zip(&log) {
                let is = before[number(event)].contains(&number(other));
                assert_eq!(
                    is_before(earlier, clock),
                    is,
                    "{} before {what}",
                    number(other)
                );
            }
        }
    }
}

fn with_phase<'a>(json: &'a Value, phase: &'a str) -> impl Iterator<Item = &'a Value> {
    let rows = json["traceEvents"].as_array().expect("events");
    rows.iter().filter(move |row| row["ph"] == phase)
}

fn time(row: &Value) -> f64 {
    row["ts"].as_f64().expect("a time")
}

#[test]
fn a_flow_for_perfetto_goes_from_slice_to_slice_and_forward_in_time() {
    for (file, detail) in [(JUZANG, Detail::Everything), (HALVES, Detail::Story)] {
        let trace = ran(file);
        let json: Value = serde_json::from_str(&view::perfetto(&trace, detail)).expect("JSON");
        let place = |row: &Value| {
            (
                row["pid"].to_string(),
                row["tid"].to_string(),
                row["ts"].to_string(),
            )
        };
        let slices: BTreeSet<_> = with_phase(&json, "X").map(place).collect();
        let begins: BTreeMap<u64, &Value> = with_phase(&json, "s")
            .map(|row| (row["id"].as_u64().expect("an id"), row))
            .collect();
        let ends: BTreeMap<u64, &Value> = with_phase(&json, "f")
            .map(|row| (row["id"].as_u64().expect("an id"), row))
            .collect();
        assert!(begins.len() > 2);
        assert_eq!(
            begins.keys().collect::<Vec<_>>(),
            ends.keys().collect::<Vec<_>>()
        );
        for (id, begin) in &begins {
            assert!(time(begin) < time(ends[id]), "flow {id}");
            assert!(slices.contains(&place(begin)) && slices.contains(&place(ends[id])));
        }
        let mut free: BTreeMap<String, f64> = BTreeMap::new();
        for slice in with_phase(&json, "X") {
            let track = free.entry(slice["pid"].to_string()).or_default();
            assert!(
                time(slice) >= *track,
                "slices of a track are one behind the other"
            );
            *track = time(slice) + slice["dur"].as_f64().expect("a duration") - 0.000_5;
        }
    }
}

#[test]
fn a_crash_is_a_span_for_perfetto_until_the_run_ends() {
    let trace = ran(JUZANG);
    let json: Value = serde_json::from_str(&view::perfetto(&trace, Detail::Story)).expect("JSON");
    let named = |phase| {
        let mut rows = with_phase(&json, phase);
        let row = rows.find(|row| row["name"] == "Juzang is down: it crashed")?;
        // The id is local to a process, since Perfetto would otherwise show the row apart from
        // Juzang's events.
        assert!(
            row["id2"]["local"].is_string() && row.get("id").is_none(),
            "{row}"
        );
        Some(time(row))
    };
    let end = trace.events.last().expect("events").at;
    assert_eq!(named("b"), Some(1_000_000.0));
    assert_eq!(
        named("e"),
        Some(f64::from(u32::try_from(end / 1_000).expect("short")))
    );
}

#[test]
fn what_is_asked_for_wrongly_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace.jsonl");
    let text = ran(JUZANG).to_json_lines();
    std::fs::write(&file, format!("{text}{text}")).expect("written");
    let file = file.to_str().expect("UTF-8");
    for (args, wanted) in [
        (vec!["view", "--svg", file], "there are 2 runs"),
        (
            vec!["view", "--svg", "--seed", "3", file],
            "--seed is for scenarios",
        ),
        (
            vec!["view", "--svg", "--from", "3s", "--until", "1s", JUZANG],
            "--from is after --until",
        ),
        (
            vec!["view", "--svg", "--from", "2h", JUZANG],
            "--from is after the run's end, which is at ",
        ),
        (
            vec!["view", "--shiviz", "--from", "3s", JUZANG],
            "cannot be used with",
        ),
        (
            vec!["view", "--svg", "no-such-file.jsonl"],
            "no-such-file.jsonl",
        ),
    ] {
        let ran = herd(&args);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(
            (ran.status.code(), ran.stdout.len()),
            (Some(2), 0),
            "{args:?}: {said}"
        );
        assert!(said.contains(wanted), "{args:?}: {said}");
    }
}

#[test]
fn a_picture_that_nobody_can_look_at_whole_is_said_to_be_one() {
    let said = |args: &[&str]| {
        let drawn = herd(&[&["view", "--svg"], args].concat());
        assert_eq!(drawn.status.code(), Some(0), "{args:?}");
        assert!(drawn.stdout.ends_with(b"</svg>\n"), "{args:?}");
        String::from_utf8(drawn.stderr).expect("words")
    };
    let chaos = "scenarios/stories/chaos-coarse.toml";
    let large = said(&["--once", chaos]);
    let drawn = view::svg(&ran(chaos), Detail::Story, Window::ALL);
    let words = format!(
        "{} pixels high, with {} messages",
        show::grouped(drawn.height),
        show::grouped(drawn.messages)
    );
    assert!(
        large.contains(&words) && large.contains("--until"),
        "{large}"
    );
    assert_eq!(said(&["--once", "--until", "1s", chaos]), "");
    assert_eq!(said(&[JUZANG]), "");
}
