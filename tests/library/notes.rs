//! What the author of a scenario says of a step or an expectation.

use proxy_herd::report::{judgements, story};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim;

#[test]
fn a_note_is_told_with_its_step_and_with_an_expectation_that_fails() {
    let text = r#"
        title = "a test"
        herd = "riley"
        steps = [
          { at = "1s", crash = "Juzang", note = "Now it is dead." },
          { at = "2s", note = "Three of the same kind.", client = "kiwi", clients = 3, to = "Riley",
            send = "IAMAT {client} +34-118 {now}", reply = "AT *" },
        ]
        [[expect]]
        update = "kiwi-1"
        reaches = "Juzang"
        note = "It has to be told again."
        [[expect]]
        update = "kiwi-2"
        misses = "Juzang"
        note = "Nobody reads this, since it passes."
    "#;
    let (scenario, _) = Scenario::parse("test.toml", text, None).expect("a right scenario");
    let trace = sim::run(&scenario).expect("it runs");
    let story = story(&trace, proxy_herd::report::Detail::Story).join("\n");
    for note in [
        "1.000  network   note: Now it is dead.",
        "note: Three of the same kind.",
    ] {
        assert_eq!(story.matches(note).count(), 1, "{story}");
    }
    let told = judgements(&trace).join("\n");
    assert!(
        told.contains("          note:     It has to be told again.\n"),
        "{told}"
    );
    assert!(!told.contains("Nobody reads this"), "{told}");

    let (again, _) = Scenario::parse("again.toml", &scenario.to_toml(), None).expect("right");
    assert_eq!(sim::run(&again).expect("it runs").events, trace.events);
    assert_eq!(again.expects[1].note, scenario.expects[1].note);
    assert!(scenario.expects[1].note.is_some());
}
