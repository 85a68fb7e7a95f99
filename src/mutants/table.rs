//! Which mutant was found by whom, as a table.

use serde::Serialize;

use super::Mutant;
use super::hunt::Hunt;
use crate::report::show;

/// A mutant, and what came of looking for it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it does wrong.
    pub sentence: &'static str,
    /// Who looked, each with what came of it.
    pub hunts: Vec<Hunt>,
}

impl Row {
    /// Of a mutant that was looked for.
    pub fn new(mutant: Mutant, hunts: Vec<Hunt>) -> Self {
        Self {
            name: mutant.name(),
            sentence: mutant.sentence(),
            hunts,
        }
    }

    /// Whether anybody found it.
    pub fn is_found(&self) -> bool {
        self.hunts.iter().any(|hunt| hunt.find.is_some())
    }
}

/// The table for people.
pub fn text(rows: &[Row]) -> String {
    let finders = rows.first().map_or(&[][..], |row| &row.hunts);
    let mut titles = vec!["mutant".to_owned()];
    titles.extend(finders.iter().map(|hunt| hunt.finder.name().to_owned()));
    titles.push("found as".to_owned());
    let mut cells = vec![titles];
    cells.extend(rows.iter().map(row_cells));
    let found = rows.iter().filter(|row| row.is_found()).count();
    let verdict = if found == rows.len() {
        "FOUND"
    } else {
        "MISSED"
    };
    let all = show::count(rows.len(), "mutant");
    let table = show::table(&cells, &[]).join("\n");
    format!("{table}\n\n{verdict}: {found} of {all}\n")
}

fn row_cells(row: &Row) -> Vec<String> {
    let mut cells = vec![row.name.to_owned()];
    cells.extend(row.hunts.iter().map(hunt_cell));
    let first = row.hunts.iter().find_map(|hunt| hunt.find.as_ref());
    cells.push(first.map_or_else(String::new, |find| find.fingerprint.to_string()));
    cells
}

/// `7: burst`, or that so many runs were in vain.
fn hunt_cell(hunt: &Hunt) -> String {
    match &hunt.find {
        Some(find) => format!("{}: {}", hunt.runs, find.place),
        None => format!("not in {}", hunt.runs),
    }
}

/// The table for programs, one object a line.
pub fn to_json(rows: &[Row]) -> String {
    let line = |row| serde_json::to_string(row).unwrap_or_default() + "\n";
    rows.iter().map(line).collect()
}
