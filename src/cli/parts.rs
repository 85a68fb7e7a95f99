//! How the seeds of a sweep and its parts are written on the command line.

use std::ops::Range;

use crate::sweep::plan::Shard;

/// Reads a range of seeds, `0..100`, or a single seed.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|error| format!("`{text}`: {error}"))
    };
    let range = match text.split_once("..") {
        Some((from, to)) => number(from)?..number(to)?,
        None => number(text)?..number(text)?.saturating_add(1),
    };
    if range.is_empty() {
        return Err("there is no seed in it; 0..100 are a hundred".to_owned());
    }
    Ok(range)
}

/// Reads a part of a sweep, `3/8`.
pub(super) fn shard(text: &str) -> Result<Shard, String> {
    let read = text.split_once('/').and_then(|(number, of)| {
        Some(Shard {
            number: number.parse().ok()?,
            of: of.parse().ok()?,
        })
    });
    let shard = read.filter(|shard| (1..=shard.of).contains(&shard.number));
    shard.ok_or_else(|| "a part is written 1/4, 2/4, 3/4 or 4/4".to_owned())
}
