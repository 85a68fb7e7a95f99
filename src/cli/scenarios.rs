//! The scenario files that a command line names.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Failure, annotations, warn};
use crate::diag::Problems;
use crate::files::{self, Folders, ends_in, quoted};
use crate::scenario::Scenario;

/// All scenarios in these files and folders.
#[cfg(feature = "mutants")]
pub(super) fn scenarios(paths: &[PathBuf]) -> Result<Vec<Scenario>, Failure> {
    load_all(&scenario_files(paths)?)
}

/// Loads all files before the first one runs, so that a typo in the last one shows at once.
pub(super) fn load_all(files: &[PathBuf]) -> Result<Vec<Scenario>, Failure> {
    let mut scenarios = Vec::new();
    let mut errors = Problems::new();
    for file in files {
        match Scenario::load(file) {
            Ok((scenario, warnings)) => {
                warn(&warnings);
                scenarios.push(scenario);
            }
            Err(problems) => errors.extend(problems),
        }
    }
    if errors.is_empty() {
        Ok(scenarios)
    } else {
        if annotations::are_wanted() {
            annotations::tell_problems(&errors);
        }
        Err(errors.into())
    }
}

/// The files themselves, and all scenario files in folders, sorted by path. A file with several cases is one for each, with
/// the case's name behind it.
pub(super) fn scenario_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            collect(path, &mut Folders::default(), &mut files)?;
            if files.len() == before {
                let folder = path.display();
                return Err(Failure::Input(format!(
                    "no scenario file (.toml or .json) in {folder}"
                )));
            }
        } else if is_herd_file(path) {
            let (file, named) = (path.display(), quoted(&path.display().to_string()));
            return Err(Failure::Input(format!(
                "{file} is a herd file, and no scenario: `herd herds {named}` checks it, and a scenario \
                 names it by `herd = …`"
            )));
        } else {
            files.push(path.clone());
        }
    }
    let each_case = files.into_iter().flat_map(|file| {
        let cases = Scenario::cases(&file).into_iter();
        let cases = cases.map(|case| PathBuf::from(format!("{}#{case}", file.display())));
        let cases: Vec<PathBuf> = cases.collect();
        if cases.is_empty() { vec![file] } else { cases }
    });
    Ok(each_case.collect())
}

/// Whether a file has the servers of a herd and no steps. Herd files may be in the same folder as
/// the scenarios that use them.
fn is_herd_file(path: &Path) -> bool {
    let text = files::read_text(path).unwrap_or_default();
    let has: (bool, bool) = if text.trim_start().starts_with('{') {
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        (json.get("servers").is_some(), json.get("steps").is_some())
    } else {
        let toml: toml::Table = text.parse().unwrap_or_default();
        (toml.contains_key("servers"), toml.contains_key("steps"))
    };
    has == (true, false)
}

/// Adds the scenario files in a folder and its subfolders. A folder that was already searched, to
/// which a link leads back, is skipped.
fn collect(folder: &Path, seen: &mut Folders, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !seen.enter(folder) {
        return Ok(());
    }
    let unreadable = |error| Failure::Input(format!("can't read {}: {error}", folder.display()));
    let mut inside = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        inside.push(entry.map_err(unreadable)?.path());
    }
    inside.sort();
    for path in inside {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "herds") {
                collect(&path, seen, files)?;
            }
        } else if (ends_in(&path, "toml") || ends_in(&path, "json")) && !is_herd_file(&path) {
            files.push(path);
        }
    }
    Ok(())
}
