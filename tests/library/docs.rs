//! Every example in `docs/scenarios.md` is a right file, and every scenario in it holds.

use proxy_herd::diag::Source;
use proxy_herd::herd::Herd;
use proxy_herd::scenario::Scenario;
use proxy_herd::{report, sim};

fn examples() -> Vec<String> {
    let text = std::fs::read_to_string("docs/scenarios.md").expect("it is there");
    let blocks = text.split("```toml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().expect("a block ends"));
    blocks.map(str::to_owned).collect()
}

#[test]
fn every_example_of_the_reference_works() {
    let mut scenarios = 0;
    for example in examples() {
        if example.starts_with("# herd") {
            let (_, warnings) = Herd::parse(&Source::new("herd.toml", example)).expect("right");
            assert!(warnings.is_empty(), "{warnings}");
            continue;
        }
        let (scenario, warnings) = Scenario::parse("example.toml", &example, None).expect("right");
        assert!(warnings.is_empty(), "{warnings}");
        let trace = sim::run(&scenario).expect("it runs");
        let told = report::text(&trace, report::Detail::Story);
        assert_eq!(trace.verdict().failed, 0, "{told}");
        scenarios += 1;
    }
    assert!(scenarios >= 2, "the examples were not found");
}
