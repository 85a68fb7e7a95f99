//! Finds herds by name, path or shape.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Herd;
#[cfg(feature = "sim")]
use super::shape::Shape;
use crate::diag::{Problem, Problems, Source, did_you_mean};
use crate::files;

/// The built-in herds, with their files.
const BUILT_IN: [(&str, &str); 5] = [
    ("riley", include_str!("../../../scenarios/herds/riley.toml")),
    ("hill", include_str!("../../../scenarios/herds/hill.toml")),
    ("clark", include_str!("../../../scenarios/herds/clark.toml")),
    (
        "bailey",
        include_str!("../../../scenarios/herds/bailey.toml"),
    ),
    (
        "goloman",
        include_str!("../../../scenarios/herds/goloman.toml"),
    ),
];

/// Why a herd's file could not be found or read.
pub(crate) struct LoadError {
    /// What is wrong, naming the herd or the path.
    pub(crate) message: String,
    /// How to solve the problem.
    pub(crate) help: Option<String>,
}

impl Herd {
    /// The names of the built-in herds.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> + Clone {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// A built-in herd, or `None` if none has this name.
    ///
    /// ```
    /// let riley = proxy_herd::herd::Herd::builtin("riley").expect("it is built in");
    /// assert_eq!(riley.fault_free_sends(), 8);
    /// ```
    pub fn builtin(name: &str) -> Option<Self> {
        let source = builtin_source(name)?;
        Self::parse(&source).ok().map(|(herd, _)| herd)
    }

    /// Reads a herd, and returns it with its warnings. The `reference` is a path if it has a `/`,
    /// is `-` (standard input) or ends in `.toml` or `.json`; a shape such as `ring:8` (with the
    /// feature `sim`); else the name of a built-in herd. A path is relative to the folder
    /// `relative_to`, if there is one.
    pub fn load(reference: &str, relative_to: Option<&Path>) -> Result<(Self, Problems), Problems> {
        let source = find(reference, relative_to).map_err(|error| {
            let mut problem = Problem::without_place(error.message);
            problem.help = error.help;
            problem
        })?;
        Self::parse(&source)
    }
}

/// Finds and reads the file of a herd.
pub(crate) fn find(reference: &str, relative_to: Option<&Path>) -> Result<Arc<Source>, LoadError> {
    #[cfg(feature = "sim")]
    if Shape::is_meant(reference) {
        return shaped(reference);
    }
    if is_path(reference) {
        let folder = relative_to.filter(|_| reference != files::STANDARD_INPUT);
        let path = folder.map_or_else(|| PathBuf::from(reference), |dir| dir.join(reference));
        return Source::read(&path).map_err(|problem| LoadError {
            message: problem.message,
            help: problem.help,
        });
    }
    builtin_source(reference).ok_or_else(|| LoadError {
        message: format!("unknown herd `{reference}`"),
        help: Some(help_for_unknown(reference)),
    })
}

/// The text of a herd file of this shape.
#[cfg(feature = "sim")]
fn shaped(reference: &str) -> Result<Arc<Source>, LoadError> {
    let shape = reference.parse::<Shape>().and_then(Shape::check);
    let text = shape.and_then(|shape| shape.to_toml(0));
    let text = text.map_err(|error| LoadError {
        message: format!("`{reference}` is no shape of a herd: {error}"),
        help: Some(format!("shapes are {}", Shape::HELP)),
    })?;
    Ok(Source::new(format!("herd {reference}"), text))
}

fn is_path(reference: &str) -> bool {
    let path = Path::new(reference);
    let ends = files::ends_in(path, "toml") || files::ends_in(path, "json");
    ends || reference.contains('/') || reference == files::STANDARD_INPUT
}

fn help_for_unknown(reference: &str) -> String {
    let close = did_you_mean(reference, "built-in herds", Herd::builtin_names());
    if close.ends_with('?') {
        let all: Vec<_> = Herd::builtin_names().collect();
        return format!("{close} (built in are {})", all.join(", "));
    }
    format!("{close}; a path ends in `.toml` or `.json`, or has a `/`")
}

fn builtin_source(name: &str) -> Option<Arc<Source>> {
    let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    Some(Source::new(format!("built-in herd {name}"), *text))
}
