//! The tables of the reference, made from what the kinds of faults declare.

use std::fmt::Write as _;

use super::faults::{End, FaultKind};

/// A table of all faults in Markdown, a row for each.
pub fn faults() -> String {
    let mut table =
        String::from("| step | models | effect | impact that is counted |\n|---|---|---|---|\n");
    for kind in FaultKind::all() {
        let ends = match kind.end {
            End::Step { word, effect, .. } => format!(" `{word}`: {effect}"),
            _ => String::new(),
        };
        let _ = writeln!(
            table,
            "| {} | {} | {}{ends} | {} |",
            kind.example, kind.models, kind.effect, kind.impact
        );
    }
    table
}

/// A table in Markdown of the faults that can be drawn, and of their targets.
pub fn drawn() -> String {
    let mut table = String::from("| kind | happens to |\n|---|---|\n");
    for kind in FaultKind::drawn() {
        if let Some(drawn) = &kind.drawn {
            let _ = writeln!(table, "| `{}` | {} |", kind.name, drawn.about);
        }
    }
    table
}

/// A table in Markdown of the settings of servers that a scenario can say.
pub fn settings() -> String {
    super::server::table()
}

/// A table in Markdown of what can be expected of a subject, such as `update`; none if there is no such subject.
pub fn expectations(subject: &str) -> Option<String> {
    super::expects::table(subject)
}

/// A table in Markdown of what a kind of step says besides its subject, such as `client`; none if there is no such kind.
pub fn steps(subject: &str) -> Option<String> {
    super::steps::table(subject)
}
