//! Enumerates all failure sets up to a size.

use crate::herd::Herd;
use crate::model::Without;

/// The number of subsets with at most `most` elements of a set of `of`. A number near the range's
/// end becomes `usize::MAX`.
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

/// The number of failure sets with at most `dead` servers and `cut` links; `usize::MAX` where it is
/// higher than that.
pub fn number_of_sets(herd: &Herd, dead: usize, cut: usize) -> usize {
    let servers = choices(herd.servers().len(), dead);
    servers.saturating_mul(choices(herd.links().len(), cut))
}

/// All failure sets with at most `dead` servers and `cut` links: sets with fewer failures first,
/// among these those with fewer dead servers, then in the order of the herd's file.
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

/// All subsets of `number` elements of `0..of`, each in ascending order.
fn chosen(of: usize, number: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut now: Vec<usize> = (0..number).collect();
    if number > of {
        return all;
    }
    loop {
        all.push(now.clone());
        // The last element that can still be incremented.
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
