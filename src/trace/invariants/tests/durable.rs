//! Servers whose disks do not have what they promised.

use super::*;

/// Riley has an update of its neighbour and is killed before it is synced. When it runs again, it is
/// told the same update, which it knows by the memory of its system alone; then the power is gone.
const TOLD_TWICE: &str = r#"
    title = "told twice"
    herd = { name = "riley", servers = ["Riley", "Juzang"], links = ["Riley-Juzang"] }
    client_latency = "100us"
    server = { durability = "answered" }
    steps = [
      { at = "500ms", client = "kiwi", to = "Juzang", send = "IAMAT kiwi +34.068930-118.445127 1621464827" },
      { at = "521ms", crash = "Riley" },
      { at = "600ms", restart = "Riley" },
      { at = "700ms", client = "plum", to = "Riley", send = "IAMAT kiwi +34.068930-118.445127 1621464827" },
      { at = "800ms", power_off = "Riley" },
      { at = "900ms", power_on = "Riley" },
    ]
"#;

/// The seeds under which a scenario breaks the invariant, of the first few.
fn broken(mistake: Option<Mistake>, scenario: &str) -> Vec<u64> {
    let simulator = match mistake {
        Some(mistake) => Simulator::default().with_mistake(mistake.made_by("Riley")),
        None => Simulator::default(),
    };
    let breaks = |seed: &u64| {
        let text = format!("seed = {seed}\n{scenario}");
        let trace = run_with(&simulator, &text);
        let mut broken = trace.judgements.iter();
        broken.any(|judgement| !judgement.passed && judgement.invariant == Some(Invariant::Durable))
    };
    (0..20).filter(breaks).collect()
}

#[test]
fn what_a_log_holds_is_not_believed_before_it_is_written_again() {
    let found = broken(Some(Mistake::BelievesItsLog), TOLD_TWICE);
    assert!(!found.is_empty());
    assert_eq!(broken(None, TOLD_TWICE), Vec::<u64>::new());
}

#[test]
fn nobody_answers_for_a_disk_that_lies_and_everybody_for_one_that_does_not() {
    let with = |fault: &str| {
        format!(
            r#"
            title = "a lie"
            herd = {{ name = "riley", servers = ["Riley", "Juzang"], links = ["Riley-Juzang"] }}
            client_latency = "100us"
            server = {{ durability = "answered" }}
            steps = [
              {{ at = "300ms", client = "plum", to = "Riley", send = "IAMAT plum +34.068930-118.445127 {{now}}" }},
              {{ at = "500ms", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34.068930-118.445127 {{now}}" }},
              {{ at = "1s", power_off = "Riley" }},
              {{ at = "2s", power_on = "Riley" }},
              {fault}
            ]
            "#
        )
    };
    let honest = with("");
    assert_eq!(broken(None, &honest), Vec::<u64>::new());
    assert!(!broken(Some(Mistake::NeverSyncs), &honest).is_empty());
    // Each of these loses records that were answered, and the server can't know.
    for fault in [
        r#"{ at = "400ms", disk_lies = "Riley" }"#,
        r#"{ at = "400ms", disk_misdirects = "Riley" }"#,
        r#"{ at = "900ms", rot = "Riley", bits = 20 }"#,
    ] {
        assert_eq!(broken(None, &with(fault)), Vec::<u64>::new(), "{fault}");
    }
}

/// A stall in the midst of a snapshot, which is written from 515 to 519 ms, is told to those who wait
/// for the log, and over when the disk goes on.
#[test]
fn whoever_waits_is_told_of_a_stall_whatever_the_disk_is_at() {
    for at in 515..520 {
        let scenario = format!(
            r#"
            title = "a stall"
            herd = {{ name = "riley", servers = ["Riley", "Juzang"], links = ["Riley-Juzang"] }}
            client_latency = "100us"
            server = {{ durability = "answered", snapshot_after = 50 }}
            steps = [
              {{ at = "500ms", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34.068930-118.445127 {{now}}" }},
              {{ at = "{at}ms", disk_stalls = "Riley" }},
              {{ at = "1s", client = "plum", to = "Riley", send = "IAMAT plum +34.068930-118.445127 {{now}}", reply = "? IAMAT plum *" }},
              {{ at = "8s", disk_works = "Riley" }},
              {{ at = "9s", client = "fig", to = "Riley", send = "IAMAT fig +34.068930-118.445127 {{now}}", reply = "AT Riley * fig *" }},
            ]
            "#
        );
        let trace = run(&scenario);
        // It is at something that began before anybody waited.
        let is_told = |event: &Event| {
            matches!(event.what, EventKind::SaveFailed { .. }) && event.at < 5_600_000_000
        };
        assert!(trace.events.iter().any(is_told), "{at}");
        let lines = crate::report::judgements(&trace);
        assert_eq!(trace.verdict().failed, 0, "{at}: {lines:?}");
    }
}
