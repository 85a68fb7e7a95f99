use super::*;
use crate::node::mistakes::Mistake;

const STEPS: &str = "title = \"t\"\nherd = \"line:2\"\nsteps = [\n\
    { at = \"1s\", client = \"kiwi\", to = \"S1\", send = \"IAMAT kiwi +1+1 {now}\", reply = \"AT S1 *\" },\n\
    { at = \"1500ms\", client = \"plum\", to = \"S2\", send = \"IAMAT plum +1+1 {now}\", reply = \"AT S2 *\" },\n]\n";

fn scenario(server: &str) -> Scenario {
    let read = Scenario::parse("t.toml", &format!("{STEPS}{server}"), None);
    read.expect("it is right").0
}

const ANSWERED: &str = "[server]\ndurability = \"answered\"\nsnapshot_after = 100";

#[test]
fn the_power_fails_behind_each_operation() {
    let scenario = scenario(ANSWERED);
    let options = Options {
        draws: 2,
        ..Options::default()
    };
    let cuts = power_cuts(&scenario, &options).expect("it runs");
    assert_eq!(cuts.broken.len(), 0, "{}", text(&cuts));
    assert_eq!(cuts.runs, cuts.moments * 2);
    let kinds: Vec<&str> = cuts.operations.keys().copied().collect();
    assert_eq!(kinds, ["append", "remove", "rename", "sync", "sync_names"]);
    assert!(
        text(&cuts).ends_with(&format!("PASSED: t, {} runs\n", cuts.runs)),
        "{}",
        text(&cuts)
    );
}

/// What is found is a scenario that can be written, read and run again.
#[test]
fn whatever_a_server_forgets_to_sync_is_found() {
    let scenario = scenario(ANSWERED);
    for mistake in [
        Mistake::NeverSyncs,
        Mistake::AnswersBeforeSync,
        Mistake::RenamesBeforeSync,
        Mistake::SyncsNoNames,
    ] {
        let simulator = Simulator::default().with_mistake(mistake.made_by_all());
        let options = Options {
            simulator: simulator.clone(),
            ..Options::default()
        };
        let cuts = power_cuts(&scenario, &options).expect("it runs");
        let broken = cuts.broken.first();
        let broken = broken.unwrap_or_else(|| panic!("{mistake:?}: {}", text(&cuts)));
        assert!(
            broken.fingerprint.starts_with("durable"),
            "{}",
            broken.fingerprint
        );
        let written = broken.scenario.to_toml();
        let (again, _) = Scenario::parse("t.toml", &written, None).expect(&written);
        let trace = simulator.run(&again).expect("it runs");
        assert!(
            Fingerprint::all_broken(&trace).contains("durable"),
            "{written}"
        );
    }
}

#[test]
fn without_disks_there_is_nothing_to_cut() {
    let told = power_cuts(&scenario(""), &Options::default());
    assert!(matches!(told, Err(PowerCutError::NoDisks)));
}
