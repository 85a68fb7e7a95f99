//! What each missing link would improve if it were added to a herd.

use serde::Serialize;

use super::graph::Graph;
use crate::herd::{Herd, ServerId};
use crate::model::Without;

/// The maximum number of servers for which missing links are evaluated, since their number grows
/// with the square.
const MOST_SERVERS: usize = 60;

/// A link that the herd lacks, and what adding it would improve if the link itself never failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExtraLink {
    /// The link's name: its two servers.
    pub link: String,
    /// The number of failure sets that partition the herd but would not with this link.
    pub saves: usize,
    /// The number of ordered pairs of running servers that only this link would connect, summed
    /// over all failure sets.
    pub more_ways: usize,
    /// The sum of the shortest hops over all ordered pairs of the intact herd, without this link.
    pub hops_before: u64,
    /// The sum of the shortest hops over all ordered pairs of the intact herd, with this link.
    pub hops_after: u64,
}

/// Evaluates each missing link over these failure sets, best first. `None` for a herd of more than
/// [`MOST_SERVERS`].
pub(super) fn extra_links(herd: &Herd, sets: &[&Without]) -> Option<Vec<ExtraLink>> {
    if herd.servers().len() > MOST_SERVERS {
        return None;
    }
    let graphs = sets.iter().map(|set| Graph::new(herd, set, Vec::new()));
    let cut: Vec<Vec<Vec<ServerId>>> = graphs
        .map(|graph| graph.parts())
        .filter(|parts| parts.len() > 1)
        .collect();
    let hops: Vec<Vec<Option<u32>>> = herd.ids().map(|id| herd.hops_from(id, |_| true)).collect();
    let pairs = herd.ids().flat_map(|a| herd.ids().map(move |b| (a, b)));
    let missing = pairs.filter(|&(a, b)| a < b && herd.link_between(a, b).is_none());
    let mut extra: Vec<ExtraLink> = missing
        .map(|ends| extra_link(herd, ends, &cut, &hops))
        .collect();
    extra.sort_by_key(|link| {
        (
            std::cmp::Reverse(link.saves),
            std::cmp::Reverse(link.more_ways),
            link.hops_after,
        )
    });
    Some(extra)
}

fn extra_link(
    herd: &Herd,
    (a, b): (ServerId, ServerId),
    cut: &[Vec<Vec<ServerId>>],
    hops: &[Vec<Option<u32>>],
) -> ExtraLink {
    let (mut saves, mut more_ways) = (0, 0);
    for parts in cut {
        let part = |id| parts.iter().position(|part| part.contains(&id));
        if let (Some(one), Some(two)) = (part(a), part(b))
            && one != two
        {
            saves += usize::from(parts.len() == 2);
            more_ways += 2 * parts[one].len() * parts[two].len();
        }
    }
    let between = |x: ServerId, y: ServerId| hops[x.index()][y.index()];
    let by = |x, first, last, y| Some(between(x, first)? + 1 + between(last, y)?);
    let (mut hops_before, mut hops_after) = (0, 0);
    for x in herd.ids() {
        for y in herd.ids() {
            let before = between(x, y);
            let ways = [before, by(x, a, b, y), by(x, b, a, y)];
            hops_before += u64::from(before.unwrap_or(0));
            hops_after += u64::from(ways.into_iter().flatten().min().unwrap_or(0));
        }
    }
    ExtraLink {
        link: format!("{}-{}", herd.server(a).name, herd.server(b).name),
        saves,
        more_ways,
        hops_before,
        hops_after,
    }
}
