//! Links that go down with and without a reason.

use super::*;

const HALF_A_SECOND: Patience = Patience {
    heartbeat: 500_000_000,
    hello: 2_000_000_000,
    resend: Some(200_000_000),
};

fn links(trace: &Trace, patience: Option<Patience>) -> Vec<Violation> {
    Invariant::LinksFailForAReason.violations(&Run {
        header: &trace.header,
        herd: &trace.herd,
        events: &trace.events,
        until_quiet: true,
        patience,
        rules: None,
        census: &[],
    })
}

/// Runs these steps in a herd whose links close after a second of silence.
fn broken(steps: &str) -> Trace {
    run(&format!(
        r#"
        title = "a test"
        herd = "riley"
        server = {{ heartbeat = "500ms" }}
        steps = [
          {steps}
          {{ at = "6s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {{now}}", no_reply = true }},
        ]"#
    ))
}

/// The trace as if the harness had caused no fault.
fn without_faults(mut trace: Trace) -> Trace {
    trace.events.retain(|event| {
        !matches!(
            event.what,
            EventKind::Crashed
                | EventKind::PoweredOff
                | EventKind::Frozen
                | EventKind::Cut { .. }
                | EventKind::Healed { .. }
                | EventKind::Severed { .. }
                | EventKind::Slowed { .. }
                | EventKind::Affected { .. }
        )
    });
    trace
}

#[test]
fn a_link_that_goes_down_by_a_fault_does_so_for_a_reason() {
    for steps in [
        r#"{ at = "1s", crash = "Juzang" }, { at = "1100ms", restart = "Juzang" },"#,
        r#"{ at = "1s", power_off = "Juzang" }, { at = "1100ms", power_on = "Juzang" },"#,
        r#"{ at = "1s", power_off = "Juzang" }, { at = "5s", power_on = "Juzang" },"#,
        r#"{ at = "1s", freeze = "Juzang" }, { at = "5s", thaw = "Juzang" },"#,
        r#"{ at = "1s", partition = "Juzang-Riley" }, { at = "5s", heal = "all" },"#,
        r#"{ at = "1s", partition_oneway = "Juzang-Riley" }, { at = "5s", heal = "all" },"#,
        r#"{ at = "1s", sever = "Juzang-Riley" },"#,
        r#"{ at = "1s", slow = "Juzang-Riley", latency = "2s" },"#,
    ] {
        let trace = broken(steps);
        let downs = trace.events.iter();
        let downs = downs.filter(|event| matches!(event.what, EventKind::LinkDown { .. }));
        assert!(downs.count() > 0, "{steps}");
        assert_eq!(links(&trace, Some(HALF_A_SECOND)), [], "{steps}");
        // Without the fault, a server loses a link for no reason.
        let found = links(&without_faults(trace), Some(HALF_A_SECOND));
        assert!(!found.is_empty(), "{steps}");
        assert!(
            found.iter().all(|found| found.events.len() == 2),
            "{found:?}"
        );
    }
}

#[test]
fn a_fault_that_is_too_short_or_elsewhere_explains_nothing() {
    let cut = broken(r#"{ at = "1s", partition = "Juzang-Riley" }, { at = "5s", heal = "all" },"#);
    let first = position(&cut, |event| {
        matches!(event.what, EventKind::LinkDown { .. })
    });
    // The cut was healed 900 ms before the link went down.
    let mut short = cut.clone();
    let ends = |event: &&mut Event| {
        matches!(
            event.what,
            EventKind::Healed { .. } | EventKind::Affected { .. }
        )
    };
    let end = cut.events[first].at - 900_000_000;
    for event in short.events.iter_mut().filter(ends) {
        event.at = end;
    }
    let found = links(&short, Some(HALF_A_SECOND));
    assert!(
        found[0]
            .what
            .contains("(silent for too long), and nothing was wrong"),
        "{found:?}"
    );
    let mut elsewhere = cut;
    for event in &mut elsewhere.events {
        if let EventKind::Cut { ways } | EventKind::Healed { ways } = &mut event.what {
            *ways = vec![("Bernard".into(), "Campbell".into())];
        }
    }
    assert!(!links(&elsewhere, Some(HALF_A_SECOND)).is_empty());
}

/// Both cuts are short, but what the first loses is sent again into the other.
#[test]
fn a_line_that_is_lost_again_and_again_explains_a_silence_longer_than_all_cuts() {
    let cut = |from: &str, to: &str| {
        format!(
            r#"{{ at = "{from}", partition = "Juzang-Riley" }}, {{ at = "{to}", heal = "all" }},"#
        )
    };
    let cuts = [("1100ms", "1200ms"), ("1250ms", "1420ms")];
    let trace = broken(&cuts.map(|(from, to)| cut(from, to)).concat());
    let is_down = |event: &Event| matches!(event.what, EventKind::LinkDown { .. });
    assert!(trace.events.iter().any(is_down));
    assert_eq!(links(&trace, Some(HALF_A_SECOND)), []);
    // In a network that sends nothing again, 270 ms of cuts would not explain it.
    let lossless = Patience {
        resend: None,
        ..HALF_A_SECOND
    };
    assert!(!links(&trace, Some(lossless)).is_empty());
}

#[test]
fn a_server_that_gives_links_up_early_is_caught() {
    let scenario = KIWI.replace("at = \"3s\"", "at = \"9s\"");
    assert_eq!(run(&scenario).verdict().failed, 0);
    let (trace, broken) = mistaken(Mistake::GivesUpEarly, "Juzang", &scenario);
    assert_eq!(broken, [Invariant::LinksFailForAReason]);
    let found = violations(Invariant::LinksFailForAReason, &trace);
    let (what, events) = told(&trace, &found[0]);
    assert_eq!(what, "Juzang gives Campbell up after a silence of 1s");
    assert_eq!(events[0], "Juzang is linked with Campbell");
}

#[test]
fn who_loses_a_link_for_nothing_is_caught_whatever_it_says_of_that() {
    let reason = |why: CloseReason| {
        let mut trace = run(KIWI);
        let up = position(&trace, |event| {
            is_at(event, "Riley") && matches!(event.what, EventKind::LinkUp { .. })
        });
        let mut down = trace.events[up].clone();
        let EventKind::LinkUp { peer, .. } = &down.what else {
            panic!("{down:?}");
        };
        let peer = std::sync::Arc::clone(peer);
        down.id = EventId(NonZeroU64::MAX);
        down.at = 60_000_000_000;
        down.what = EventKind::LinkDown { peer, why };
        trace.events.push(down);
        links(&trace, Some(HALF_A_SECOND)).len()
    };
    for why in [
        CloseReason::Ended,
        CloseReason::Failed("connection reset".into()),
        CloseReason::Silent,
        CloseReason::Slow,
        CloseReason::Superseded,
        CloseReason::Stopping,
        CloseReason::Left,
        CloseReason::Refused("go away".into()),
        CloseReason::Protocol(crate::protocol::peer::PeerError::Malformed),
    ] {
        assert_eq!(reason(why.clone()), 1, "{why}");
    }
}

#[test]
fn a_link_that_is_slower_than_servers_wait_needs_no_fault_to_go_down() {
    for latency in ["1200ms", "20ms..1500ms", "3s"] {
        let text = format!(
            r#"
            title = "a test"
            herd = "riley"
            end = "40s"
            link_latency = "{latency}"
            server = {{ heartbeat = "500ms", hello_deadline = "20s", connect_deadline = "20s" }}
            steps = [{{ at = "1s", client = "kiwi", to = "Riley", send = "hello" }}]"#
        );
        let mut trace = run(&text);
        let downs = trace.events.iter();
        let downs = downs.filter(|event| matches!(event.what, EventKind::LinkDown { .. }));
        assert!(downs.count() > 0, "{latency}");
        assert_eq!(links(&trace, Some(HALF_A_SECOND)), [], "{latency}");
        for link in &mut trace.header.links {
            link.latency = "20ms".to_owned();
        }
        assert!(!links(&trace, Some(HALF_A_SECOND)).is_empty(), "{latency}");
    }
}

#[test]
fn where_somebody_chooses_the_order_a_message_is_late_for_no_other_reason() {
    let cut = broken(r#"{ at = "1s", partition = "Juzang-Riley" }, { at = "5s", heal = "all" },"#);
    assert_eq!(links(&without_faults(cut), None), []);
}
