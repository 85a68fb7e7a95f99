//! A table of which search found which mutant.

use serde::Serialize;

use super::hunt::Hunt;
use super::{Mutant, Small};
use crate::report::show;

/// A mutant, and the results of the searches for it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The mutant's name, or `(true server)`.
    pub name: &'static str,
    /// The mutant's mistake, in words.
    pub sentence: &'static str,
    /// Whether this is the true server, in which no search may find anything.
    pub is_true: bool,
    /// The result of each search.
    pub hunts: Vec<Hunt>,
    /// The smallest run that shows the mutant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub small: Option<Small>,
}

impl Row {
    /// The row of a mutant, whose finds it shrinks, or of the true server (`None`).
    pub fn new(mutant: Option<Mutant>, hunts: Vec<Hunt>) -> Self {
        let small = mutant.and_then(|mutant| mutant.made_small(&hunts));
        Self {
            name: mutant.map_or("(true server)", |mutant| mutant.name()),
            sentence: mutant.map_or("nothing is wrong", |mutant| mutant.sentence()),
            is_true: mutant.is_none(),
            hunts,
            small,
        }
    }

    /// Whether any search found it.
    pub fn is_found(&self) -> bool {
        self.hunts.iter().any(|hunt| hunt.find.is_some())
    }

    /// Whether the result is as expected: some search found the mutant, or none found anything in
    /// the true server.
    pub fn is_right(&self) -> bool {
        self.is_found() != self.is_true
    }
}

/// The table as text for people.
pub fn text(rows: &[Row]) -> String {
    let finders = rows.first().map_or(&[][..], |row| &row.hunts);
    let mut titles = vec!["mutant".to_owned()];
    titles.extend(finders.iter().map(|hunt| hunt.finder.name().to_owned()));
    titles.push("shrunk".to_owned());
    let mut cells = vec![titles];
    cells.extend(rows.iter().map(row_cells));
    let table = show::table(&cells, &[]).join("\n");
    format!("{table}\n\n{}\n", verdict(rows))
}

/// One line such as `FOUND: 20 of 20 mutants, and nothing wrong with the true server`.
fn verdict(rows: &[Row]) -> String {
    let (true_server, mutants): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.is_true);
    let found = mutants.iter().filter(|row| row.is_found()).count();
    let all = show::count(mutants.len(), "mutant");
    let word = if rows.iter().all(Row::is_right) {
        "FOUND"
    } else {
        "MISSED"
    };
    let true_server = match true_server.as_slice() {
        [] => "",
        [row] if row.is_found() => {
            ", but something wrong with the true server, too: this proves nothing"
        }
        _ => ", and nothing wrong with the true server",
    };
    format!("{word}: {found} of {all}{true_server}")
}

fn row_cells(row: &Row) -> Vec<String> {
    let mut cells = vec![row.name.to_owned()];
    cells.extend(row.hunts.iter().map(hunt_cell));
    let small = row.small.as_ref();
    cells.push(small.map_or_else(String::new, |small| show::count(small.steps, "step")));
    cells
}

/// A cell such as `7: burst` (found in the seventh run), or `not in 40` (runs).
fn hunt_cell(hunt: &Hunt) -> String {
    match &hunt.find {
        Some(find) => format!("{}: {}", hunt.runs, find.place),
        None => format!("not in {}", hunt.runs),
    }
}

/// The table for programs: one JSON object a line.
pub fn to_json(rows: &[Row]) -> String {
    let line = |row| serde_json::to_string(row).unwrap_or_default() + "\n";
    rows.iter().map(line).collect()
}
