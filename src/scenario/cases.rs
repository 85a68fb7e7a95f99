//! A file with several cases: what they share, and what each says differently.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Scenario;
use super::raw::RawScenario;
use crate::diag::{Problem, Problems, Source, did_you_mean};
use crate::document::{self, Located, Parsed, Section};

impl Scenario {
    /// The names of the cases of a scenario file, in its order; none if it has no cases or can't be read.
    /// [`load`](Self::load) takes them behind the path: `rings.toml#slow`.
    pub fn cases(path: impl AsRef<Path>) -> Vec<String> {
        let read = Source::read(path.as_ref()).ok();
        let parsed =
            read.and_then(|source| document::parse::<RawScenario>(&source, &mut Problems::new()));
        let cases = parsed.and_then(|parsed| parsed.value.case);
        let names = cases
            .iter()
            .flat_map(|cases| cases.iter())
            .filter_map(|case| case.name.as_ref());
        names.map(|name| name.to_string()).collect()
    }

    /// The file of a scenario, without the case that a path may name behind it.
    pub fn file_of(path: &Path) -> PathBuf {
        split(path).0
    }
}

/// A path's file and its case. A file whose name has the sign itself is meant as such.
pub(super) fn split(path: &Path) -> (PathBuf, Option<String>) {
    let parts = path.to_str().and_then(|text| text.rsplit_once('#'));
    match parts {
        Some((file, case)) if !path.exists() => (file.into(), Some(case.to_owned())),
        _ => (path.to_owned(), None),
    }
}

/// The scenario that a file says for this case, or for all if it has none.
pub(super) fn chosen(
    source: &Arc<Source>,
    problems: &mut Problems,
    parsed: Parsed<RawScenario>,
    wanted: Option<&str>,
) -> Option<Parsed<RawScenario>> {
    let Parsed {
        mut value,
        mut damage,
    } = parsed;
    if let Some(name) = &value.name {
        let message = "only a case has a `name`; what happens in all is the `title`";
        problems.push(Problem::error(source, name.span(), message));
    }
    let Some(cases) = value.case.take() else {
        if let Some(wanted) = wanted {
            let message = format!("`{}` has no cases, so there is no `{wanted}`", source.name);
            problems.push(Problem::without_place(message));
        }
        return Some(Parsed { value, damage });
    };
    let place = cases.span();
    let names = check_names(source, problems, &cases);
    let help = |names: &[String]| match names.first() {
        Some(first) => format!(
            "name one behind the file, such as `{}#{first}`",
            source.name
        ),
        None => "give each a `name`".to_owned(),
    };
    let Some(wanted) = wanted else {
        let problem = Problem::error(source, place, "this file has cases, and none is named");
        problems.push(problem.help(help(&names)));
        return None;
    };
    let is_it =
        |case: &Section<RawScenario>| case.name.as_ref().is_some_and(|name| **name == wanted);
    let Some(case) = cases.into_inner().into_iter().find(is_it) else {
        let problem = Problem::error(source, place, format!("there is no case `{wanted}`"));
        let known = names.iter().map(String::as_str);
        problems.push(problem.help(did_you_mean(wanted, "cases", known)));
        return None;
    };
    let case = case.into_inner();
    for (base, own) in [
        (
            place_of(value.steps.as_ref()),
            place_of(case.steps.as_ref()),
        ),
        (
            place_of(value.expect.as_ref()),
            place_of(case.expect.as_ref()),
        ),
    ] {
        if let (Some(base), Some(own)) = (base, own) {
            damage.spread(&own, base);
        }
    }
    Some(Parsed {
        value: value.with_case(case),
        damage,
    })
}

fn place_of<T>(list: Option<&Located<T>>) -> Option<crate::diag::Span> {
    list.map(Located::span)
}

/// Names stand behind a file's name in commands, and in names of files.
fn check_names(
    source: &Arc<Source>,
    problems: &mut Problems,
    cases: &[Section<RawScenario>],
) -> Vec<String> {
    let mut known: Vec<&Located<String>> = Vec::new();
    for case in cases {
        if let Some(inner) = &case.case {
            problems.push(Problem::error(source, inner.span(), "a case has no cases"));
        }
        let Some(name) = &case.name else {
            problems.push(Problem::error(source, case.span(), "a case needs a `name`"));
            continue;
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(is_plain) {
            let message = "a case's name has letters, digits, `-` and `_` only";
            problems.push(Problem::error(source, name.span(), message));
        }
        if let Some(first) = known.iter().find(|first| first.as_str() == name.as_str()) {
            let message = format!("there are two cases `{}`", **name);
            let problem = Problem::error(source, name.span(), message);
            problems.push(problem.also(first.span(), "the first is here"));
        } else {
            known.push(name);
        }
    }
    known.into_iter().map(|name| name.to_string()).collect()
}

impl RawScenario {
    /// What a case says in place of what all say, and what happens and is expected in it besides.
    fn with_case(self, case: Self) -> Self {
        let title = case.title.or_else(|| {
            let (title, name) = (self.title?, case.name.as_ref()?);
            Some(Located::new(
                title.span(),
                format!("{}: {}", *title, **name),
            ))
        });
        Self {
            name: None,
            case: None,
            title,
            about: case.about.or(self.about),
            live: case.live.or(self.live),
            herd: case.herd.or(self.herd),
            seed: case.seed.or(self.seed),
            shuffle: case.shuffle.or(self.shuffle),
            tick: case.tick.or(self.tick),
            epoch: case.epoch.or(self.epoch),
            link_latency: case.link_latency.or(self.link_latency),
            client_latency: case.client_latency.or(self.client_latency),
            places_latency: case.places_latency.or(self.places_latency),
            latency: case.latency.or(self.latency),
            end: case.end.or(self.end),
            deliver: case.deliver.or(self.deliver),
            held: case.held.or(self.held),
            server: match (self.server, case.server) {
                (Some(base), Some(own)) => {
                    let place = own.span();
                    Some(Section::new(place, own.into_inner().or(base.into_inner())))
                }
                (base, own) => own.or(base),
            },
            steps: together(self.steps, case.steps),
            expect: together(self.expect, case.expect),
            without: case.without.or(self.without),
            // The first that matches answers, which is the case's.
            places: together(case.places, self.places),
        }
    }
}

/// Two lists as one, at the place of the first.
fn together<T>(
    first: Option<Located<Vec<T>>>,
    second: Option<Located<Vec<T>>>,
) -> Option<Located<Vec<T>>> {
    match (first, second) {
        (Some(first), Some(second)) => {
            let place = first.span();
            let mut all = first.into_inner();
            all.extend(second.into_inner());
            Some(Located::new(place, all))
        }
        (first, second) => first.or(second),
    }
}
