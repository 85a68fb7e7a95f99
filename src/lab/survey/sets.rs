//! Every set of failures up to a size.

use crate::herd::Herd;
use crate::model::Without;

/// In how many ways up to `most` of `of` things can be chosen. Very many are `usize::MAX`.
fn choices(of: usize, most: usize) -> usize {
    let mut all = 0_usize;
    let mut ways = 1_usize;
    for chosen in 0..=most.min(of) {
        all = all.saturating_add(ways);
        ways = ways.saturating_mul(of - chosen) / (chosen + 1);
        if ways > usize::MAX / (of + 1) {
            return usize::MAX;
        }
    }
    all
}

/// How many sets there are of at most `dead` servers and `cut` links.
pub fn number_of_sets(herd: &Herd, dead: usize, cut: usize) -> usize {
    let servers = choices(herd.servers().len(), dead);
    servers.saturating_mul(choices(herd.links().len(), cut))
}

/// All sets of at most `dead` servers and `cut` links: those of fewer failures first, of these those
/// with fewer dead servers, then in the order of the herd's file.
pub(super) fn all_sets(herd: &Herd, dead: usize, cut: usize) -> Vec<Without> {
    let ids: Vec<_> = herd.ids().collect();
    let dead = dead.min(ids.len());
    let cut = cut.min(herd.links().len());
    let mut sets = Vec::new();
    for failures in 0..=dead + cut {
        for dead in failures.saturating_sub(cut)..=failures.min(dead) {
            let links = chosen(herd.links().len(), failures - dead);
            for servers in chosen(ids.len(), dead) {
                sets.extend(links.iter().map(|links| Without {
                    dead: servers.iter().map(|&at| ids[at]).collect(),
                    cut: links.clone(),
                }));
            }
        }
    }
    sets
}

/// All ways to choose `number` of the numbers below `of`, each in rising order.
fn chosen(of: usize, number: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut now: Vec<usize> = (0..number).collect();
    if number > of {
        return all;
    }
    loop {
        all.push(now.clone());
        // The last one that can still rise.
        let Some(at) = (0..number).rev().find(|&at| now[at] < of - number + at) else {
            return all;
        };
        now[at] += 1;
        for next in at + 1..number {
            now[next] = now[next - 1] + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_set_of_a_five_server_herd_is_there_once_and_small_ones_come_first() {
        let riley = Herd::builtin("riley").unwrap();
        let sets = all_sets(&riley, 5, 6);
        assert_eq!((sets.len(), number_of_sets(&riley, 5, 6)), (2048, 2048));
        let size = |set: &Without| set.dead.len() + set.cut.len();
        assert!(sets.is_sorted_by_key(size));
        let texts: BTreeSet<String> = sets.iter().map(|set| format!("{set:?}")).collect();
        assert_eq!(texts.len(), 2048);
        assert_eq!(sets[0], Without::default());
    }

    #[test]
    fn the_number_of_sets_is_known_without_making_them() {
        let riley = Herd::builtin("riley").unwrap();
        for (dead, cut, wanted) in [(0, 0, 1), (1, 0, 6), (1, 1, 42), (2, 1, 112), (9, 9, 2048)] {
            assert_eq!(all_sets(&riley, dead, cut).len(), wanted);
            assert_eq!(number_of_sets(&riley, dead, cut), wanted);
        }
        let mesh = "mesh:40"
            .parse::<crate::herd::Shape>()
            .unwrap()
            .herd(0)
            .unwrap();
        assert_eq!(number_of_sets(&mesh, 40, 780), usize::MAX);
    }
}
