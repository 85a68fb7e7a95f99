//! Splits strings such as `Riley-Jaquez` into servers' names, which may have a `-` themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

#[cfg(feature = "sim")]
use super::Herd;
use super::ServerId;
use crate::diag::{Problem, Source, did_you_mean};
use crate::document::Located;

/// The names of a herd's servers, with an index.
pub(crate) struct Names<'a> {
    list: Vec<&'a str>,
    ids: BTreeMap<&'a str, ServerId>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        let list: Vec<&str> = names.into_iter().collect();
        // If a file has two servers of the same name by mistake, the first one counts.
        let ids = list.iter().enumerate().rev();
        Self {
            ids: ids.map(|(at, name)| (*name, ServerId(at))).collect(),
            list,
        }
    }

    fn find(&self, name: &str) -> Option<ServerId> {
        self.ids.get(name).copied()
    }
}

/// The two servers that a link's string names. It is split at the `-` that has a server's name on
/// both sides, as names may have a `-` themselves.
pub(crate) fn split_link(
    text: &Located<String>,
    names: &Names<'_>,
    source: &Arc<Source>,
) -> Result<(ServerId, ServerId), Vec<Problem>> {
    let halves = |at: usize| (&text[..at], &text[at + 1..]);
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    let both = |at: &usize| names.find(halves(*at).0).zip(names.find(halves(*at).1));
    let error = |span, message: String| Problem::error(source, span, message);
    let fits: Vec<_> = dashes.iter().filter_map(both).collect();
    match fits.as_slice() {
        [(a, b)] if a == b => Err(vec![error(
            text.span(),
            format!("`{}` is linked to itself", names.list[a.0]),
        )]),
        [ends] => Ok(*ends),
        [] => Err(unknown_ends(text, &dashes, names, source)),
        _ => {
            let message = format!("`{}` can be split into two servers in two ways", **text);
            Err(vec![error(text.span(), message)])
        }
    }
}

/// The problems of a link that no split turns into two servers.
fn unknown_ends(
    text: &Located<String>,
    dashes: &[usize],
    names: &Names<'_>,
    source: &Arc<Source>,
) -> Vec<Problem> {
    let known = |name: &str| names.find(name).is_some();
    // A split with one known half shows which half is wrong.
    let half_right = |at: &&usize| known(&text[..**at]) || known(&text[**at + 1..]);
    let Some(at) = dashes.iter().find(half_right).or(dashes.first()) else {
        let message = format!("`{}` names no two servers", **text);
        let problem = Problem::error(source, text.span(), message);
        return vec![problem.help("a link is written with a `-`, such as \"Riley-Jaquez\"")];
    };
    [0..*at, at + 1..text.len()]
        .into_iter()
        .filter(|half| !known(&text[half.clone()]))
        .map(|half| {
            let name = &text[half.clone()];
            Problem::error(
                source,
                text.part(source, half.clone()),
                format!("unknown server `{name}`"),
            )
            .help(did_you_mean(name, "servers", names.list.iter().copied()))
        })
        .collect()
}

/// The ways to read a text as servers' names joined by `-`, up to two: a second one shows that the
/// text is ambiguous.
#[cfg(feature = "sim")]
pub(crate) fn split_all(text: &str, herd: &Herd) -> Vec<Vec<ServerId>> {
    let dashes = text.match_indices('-').map(|(at, _)| at);
    let starts: Vec<usize> = [0]
        .into_iter()
        .chain(dashes.clone().map(|at| at + 1))
        .collect();
    let ends: Vec<usize> = dashes.chain([text.len()]).collect();
    // From the back, so that no rest is read twice: the ways to read the text from each start on.
    let mut ways: Vec<Vec<Vec<ServerId>>> = vec![Vec::new(); starts.len() + 1];
    ways[starts.len()].push(Vec::new());
    for (first, start) in starts.iter().enumerate().rev() {
        let mut found = Vec::new();
        for (last, end) in ends.iter().enumerate().skip(first) {
            if let Some(id) = herd.id(&text[*start..*end]) {
                let rests = ways[last + 1].iter();
                found.extend(rests.map(|rest| [&[id], rest.as_slice()].concat()));
            }
        }
        found.truncate(2);
        ways[first] = found;
    }
    ways.swap_remove(0)
}
