//! The rules, a file for each group. A case is one row; adding one is one place.

mod formats;
mod herd;
mod limits;
mod robustness;
mod streams;
mod unknown;
mod whatsat;
mod white_space;

use super::Case;

/// All cases, in the order in which they are tried: those that end servers come last.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    let groups = [
        formats::CASES,
        white_space::CASES,
        limits::CASES,
        unknown::CASES,
        whatsat::CASES,
        streams::CASES,
        herd::CASES,
        robustness::CASES,
    ];
    groups.into_iter().flatten()
}

/// A function as the test of a case.
macro_rules! steps {
    ($steps:path) => {
        crate::live::check::Test::Steps(|trial| Box::pin($steps(trial)))
    };
}

/// A case that every group writes in the same few words.
macro_rules! case {
    ($id:literal, $group:ident, $weight:ident, $needs:expr, $rule:literal, $hint:literal, $test:expr $(,)?) => {
        crate::live::check::Case {
            rule: crate::live::check::Rule {
                id: $id,
                group: crate::live::check::Group::$group,
                weight: crate::live::check::Weight::$weight,
                rule: $rule,
                hint: $hint,
            },
            needs: $needs,
            test: $test,
        }
    };
}

use {case, steps};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::all;

    #[test]
    fn each_rule_has_a_name_of_its_own_and_says_what_is_usually_wrong() {
        let mut ids = BTreeSet::new();
        for case in all() {
            let rule = &case.rule;
            assert!(ids.insert(rule.id), "{} is there twice", rule.id);
            let is_kebab = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
            assert!(
                rule.id
                    .split('-')
                    .all(|word| !word.is_empty() && word.chars().all(is_kebab))
            );
            assert!(
                !rule.rule.ends_with('.') && !rule.hint.ends_with('.'),
                "{}",
                rule.id
            );
            assert!(rule.rule.len() > 20 && rule.hint.len() > 15, "{}", rule.id);
        }
        assert!(ids.len() >= 50, "{}", ids.len());
    }
}
