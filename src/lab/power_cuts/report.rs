//! What happened when the power was cut, as text for people.

use super::PowerCuts;
use crate::report::show::{count, grouped, moment};

/// The whole report.
pub fn text(cuts: &PowerCuts) -> String {
    let mut lines = vec![
        format!("{}: {}", cuts.scenario, cuts.title),
        format!(
            "  the power of all servers fails behind each of {} of disks, at {}, and is back a second later",
            count(cuts.operations.values().sum(), "operation"),
            count(cuts.moments, "moment")
        ),
    ];
    let operations = cuts.operations.iter();
    let operations = operations.map(|(name, many)| format!("{} {name}", grouped(*many)));
    lines.push(format!("  {}", operations.collect::<Vec<_>>().join(", ")));
    lines.push(String::new());
    for broken in &cuts.broken {
        lines.push(format!("FAILED  {}", broken.fingerprint));
        lines.push(format!(
            "          in {}, first when the power failed at {}",
            count(broken.runs, "run"),
            moment(broken.at)
        ));
    }
    lines.push(verdict(cuts));
    lines.join("\n") + "\n"
}

/// The last line.
pub fn verdict(cuts: &PowerCuts) -> String {
    let runs = count(cuts.runs, "run");
    let result = if cuts.is_broken() {
        format!(
            "FAILED: {}, {} of {runs}",
            cuts.scenario,
            grouped(cuts.failures)
        )
    } else if cuts.runs == 0 {
        format!("FAILED: {}, no disk did anything", cuts.scenario)
    } else {
        format!("PASSED: {}, {runs}", cuts.scenario)
    };
    let rest = if cuts.interrupted {
        ", INTERRUPTED"
    } else {
        ""
    };
    result + rest
}
