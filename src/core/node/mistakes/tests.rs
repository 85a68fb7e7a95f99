use super::*;

#[test]
fn a_server_fails_after_everything_in_its_order_and_not_before() {
    let all = [Rare::Silence, Rare::BothWays, Rare::Older];
    let made = Mistake::FailsAfter(all).made_by("Riley");
    let failed = |server: &str, noted: &[Rare]| {
        let mut mistakes = Mistakes::from(made.at(server));
        for rare in noted {
            mistakes.note(|| Some(*rare));
        }
        mistakes.is_failed()
    };
    assert!(failed("Riley", &all));
    let between = [
        Rare::Silence,
        Rare::Overtaken,
        Rare::BothWays,
        Rare::Silence,
        Rare::Older,
    ];
    assert!(failed("Riley", &between));
    assert!(!failed("Riley", &all[..2]));
    assert!(!failed(
        "Riley",
        &[Rare::BothWays, Rare::Silence, Rare::Older]
    ));
    assert!(!failed("Juzang", &all));
}
