//! Which points of a curve to measure, if each costs much: some at equal distances, and then more where it rises most.

use std::collections::BTreeMap;

use super::Moment;

/// The number of points that are measured at a time. It does not depend on threads, or the points would.
const BATCH: usize = 4;

/// Measures up to `most` of `count` points, the first and the last among them, by their index. Whether `measure` ended
/// the search, by returning nothing.
pub(super) fn curve(
    count: usize,
    most: usize,
    measure: &mut dyn FnMut(&[usize]) -> Option<Vec<Moment>>,
) -> (BTreeMap<usize, Moment>, bool) {
    let mut curve = BTreeMap::new();
    let mut wanted = spread(count, most.div_ceil(2).max(2));
    while !wanted.is_empty() {
        for some in wanted.chunks(BATCH) {
            let Some(measured) = measure(some) else {
                return (curve, true);
            };
            curve.extend(some.iter().copied().zip(measured));
        }
        wanted = between(&curve, most.saturating_sub(curve.len()).min(BATCH));
    }
    (curve, false)
}

/// Points at equal distances, the first and the last among them.
fn spread(count: usize, points: usize) -> Vec<usize> {
    let last = count.saturating_sub(1);
    let mut all: Vec<usize> = (0..points).map(|at| last * at / (points - 1)).collect();
    all.dedup();
    all
}

/// The middles of the intervals in which the curve rises most, or at least half as much; of equal ones, of the widest.
fn between(curve: &BTreeMap<usize, Moment>, points: usize) -> Vec<usize> {
    let mut intervals: Vec<(usize, usize, usize)> = (curve.iter().zip(curve.iter().skip(1)))
        .filter(|((from, _), (to, _))| *to - *from > 1)
        .map(|((from, low), (to, high))| (high.same.saturating_sub(low.same), to - from, *from))
        .collect();
    intervals.sort_by_key(|&(rise, width, from)| (std::cmp::Reverse((rise, width)), from));
    let steepest = intervals.first().map_or(0, |(rise, ..)| *rise);
    intervals.retain(|(rise, ..)| rise * 2 >= steepest);
    intervals.truncate(points);
    let mut middles: Vec<usize> = (intervals.iter())
        .map(|(_, width, from)| from + width / 2)
        .collect();
    middles.sort_unstable();
    middles
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measures a curve that jumps at one point.
    fn found(count: usize, most: usize, jump: usize) -> BTreeMap<usize, Moment> {
        let mut measure = |wanted: &[usize]| {
            let moment = |&at: &usize| Moment {
                at: at as u64,
                same: if at < jump { 3 } else { 90 },
                other: 0,
            };
            Some(wanted.iter().map(moment).collect())
        };
        let (curve, ended) = curve(count, most, &mut measure);
        assert!(!ended && curve.len() <= most.max(2));
        curve
    }

    #[test]
    fn both_sides_of_a_jump_are_measured_wherever_it_is() {
        for jump in [1, 2, 499, 500, 501, 998, 999] {
            let curve = found(1_000, 40, jump);
            assert!(
                curve.contains_key(&(jump - 1)) && curve.contains_key(&jump),
                "{jump}"
            );
            assert!(curve.contains_key(&0) && curve.contains_key(&999));
        }
    }

    #[test]
    fn few_points_are_all_measured_once() {
        assert_eq!(found(7, 40, 3).len(), 7);
        assert_eq!(found(1, 40, 3).len(), 1);
        assert_eq!(found(1_000, 1, 3).len(), 2);
    }

    #[test]
    fn a_search_that_is_ended_keeps_what_was_measured() {
        let mut left = 3;
        let mut measure = |wanted: &[usize]| {
            left -= 1;
            let none = Moment {
                at: 0,
                same: 0,
                other: 0,
            };
            (left >= 0).then(|| vec![none; wanted.len()])
        };
        let (curve, ended) = curve(1_000, 40, &mut measure);
        assert!(ended);
        assert_eq!(curve.len(), 3 * BATCH);
    }
}
