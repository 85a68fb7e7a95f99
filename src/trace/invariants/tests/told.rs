//! Answers must have the right record, of the right moment, with the right skew.

use super::*;

/// A scenario in which lines wait behind a query whose look-up at Places takes long.
fn behind_a_look_up() -> String {
    std::fs::read_to_string("scenarios/places/lines-behind-a-look-up.toml").expect("it is shipped")
}

#[test]
fn a_question_that_is_answered_with_what_came_later_is_caught() {
    let late = Mistake::AnswersWithTheLatest;
    let (trace, broken) = mistaken(late, "Riley", &behind_a_look_up());
    assert_eq!(broken, [Invariant::AnswersAsOfTheirLine]);
    let (what, events) = only(Invariant::AnswersAsOfTheirLine, &trace);
    assert!(
        what.starts_with("Riley answers `WHATSAT kiwi 1 5` with `AT Riley +0.005000000 kiwi +35.0"),
        "{what}"
    );
    let knew = ", and knew then Riley +0.005000000 kiwi +34.068930-118.445127 1621464828.010000000";
    assert!(what.ends_with(knew), "{what}");
    assert!(
        events[0].starts_with("Riley accepts ") && events[1] == "Riley hears WHATSAT kiwi 1 5",
        "{events:?}"
    );
}

#[test]
fn an_answer_that_overtakes_one_before_it_is_caught() {
    let mut trace = run(&behind_a_look_up());
    assert_eq!(violations(Invariant::AnsweredOnceInOrder, &trace), []);
    let says = |event: &Event, beginning: &str, with: u8| match &event.what {
        EventKind::LineOut { line, .. } => {
            is_at(event, "Riley")
                && line.0.starts_with(beginning.as_bytes())
                && line.0.contains(&with)
        }
        _ => false,
    };
    let question = position(&trace, |event| says(event, "AT Riley ", b'{'));
    let conn = |event: &Event| match event.what {
        EventKind::LineOut { conn, .. } => Some(conn),
        _ => None,
    };
    let to_client = conn(&trace.events[question]);
    let behind = position(&trace, |event| {
        says(event, "AT Riley +0.005000000 kiwi +35", b'+') && conn(event) == to_client
    });
    assert!(question < behind);
    let early = trace.events[behind].what.clone();
    let late = std::mem::replace(&mut trace.events[question].what, early);
    trace.events[behind].what = late;
    let found = violations(Invariant::AnsweredOnceInOrder, &trace);
    assert!(
        found[0].what.starts_with(
            "Riley answers `WHATSAT kiwi 1 5` with `AT Riley +0.005000000 kiwi +35.0-118.0 "
        ),
        "{found:?}"
    );
    assert!(
        found[1]
            .what
            .starts_with("Riley answers `IAMAT kiwi +35.0-118.0 "),
        "{found:?}"
    );
}

#[test]
fn an_update_that_waits_for_the_answers_before_it_is_caught() {
    let mut trace = run(&behind_a_look_up());
    assert_eq!(violations(Invariant::AnswersAsOfTheirLine, &trace), []);
    let second = |event: &Event| match &event.what {
        EventKind::Accepted { record, .. } => {
            is_at(event, "Riley") && record.location.0.starts_with(b"+35")
        }
        _ => false,
    };
    let taken = position(&trace, second);
    let last = trace.events.last().map_or(0, |event| event.at);
    let mut late = trace.clone();
    late.events[taken].at = last;
    let (what, _) = only(Invariant::AnswersAsOfTheirLine, &late);
    assert!(
        what.ends_with(", what it made of that only later"),
        "{what}"
    );
    trace.events[taken].cause = None;
    let (what, _) = only(Invariant::AnswersAsOfTheirLine, &trace);
    assert!(what.ends_with(", what it made nothing of before"), "{what}");
}

#[test]
fn an_answer_with_another_skew_than_its_record_is_caught() {
    let mut trace = run(KIWI);
    let answer = position(&trace, |event| answers(event, "Juzang", b"AT Juzang "));
    rewrite(&mut trace.events[answer], "+3600.005", "+3600.006");
    let (what, _) = only(Invariant::AnswersAsOfTheirLine, &trace);
    // The answer is as new as the record that is held, and right but for the skew.
    assert!(
        what.contains(", and made of that Juzang +3600.005000000 kiwi +35-118 "),
        "{what}"
    );
    let (what, events) = only(Invariant::SkewIsRight, &trace);
    assert_eq!(
        what,
        "Juzang makes +3600.006000000 of 1621461229.010000000, which was +3600.005000000 when it heard that"
    );
    assert!(
        events[0].starts_with("Juzang hears IAMAT kiwi +35-118 "),
        "{events:?}"
    );
}

#[test]
fn a_clock_that_is_read_as_a_binary_number_is_caught() {
    let (trace, broken) = mistaken(Mistake::ReadsFloats, "Riley", KIWI);
    assert_eq!(broken, [Invariant::SkewIsRight]);
    let found = violations(Invariant::SkewIsRight, &trace);
    // Both the record of the line and the answer are wrong.
    let [first, second] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(first.what, second.what);
    let (what, _) = told(&trace, first);
    let of = "Riley makes +0.005000105 of 1621464828.010000000, which was +0.005000000 when it heard that";
    assert_eq!(what, of);
}

#[test]
fn a_skew_is_that_of_a_wrong_clock_as_well() {
    let scenario = KIWI.replace(
        "steps = [",
        r#"steps = [
          { at = "200ms", skew = "Riley", by = "-3s", drift = "+7us" },
          { at = "300ms", crash = "Riley" },
          { at = "400ms", restart = "Riley" },
          { at = "1500ms", skew = ["Juzang", "kiwi"], by = "+1h", drift = "-300us" },"#,
    );
    let trace = run(&scenario);
    assert_eq!(trace.verdict().failed, 0, "{:?}", trace.judgements);
    // Only the harness's events tell that a clock is wrong.
    for server in ["Riley", "Juzang"] {
        let mut silent = trace.clone();
        let skewed =
            |event: &Event| is_at(event, server) && matches!(event.what, EventKind::Skewed { .. });
        let skewed = position(&silent, skewed);
        silent.events[skewed].what = EventKind::Skewed { by: 0, drift: 0 };
        let found = violations(Invariant::SkewIsRight, &silent);
        assert_eq!(found.len(), 2, "{found:?}");
    }
    let mut later = trace.clone();
    let heard = |event: &Event| {
        is_at(event, "Juzang")
            && matches!(&event.what, EventKind::LineIn { line, .. } if line.0.starts_with(b"IAMAT"))
    };
    let heard = position(&later, heard);
    later.events[heard].at += 1;
    assert_eq!(violations(Invariant::SkewIsRight, &later).len(), 2);
}
