//! Delta debugging: finds what can be left out. It knows nothing of scenarios.

/// Minimises `items` by delta debugging, which tries large parts first: without any single one of
/// the result it does not fail any more. `fails` says whether a subset fails; all of `items` are
/// assumed to fail. The order of items is kept.
pub fn minimal<T: Clone>(items: Vec<T>, fails: &mut dyn FnMut(&[T]) -> bool) -> Vec<T> {
    let mut kept = items;
    let mut parts = 2;
    if !kept.is_empty() && fails(&[]) {
        return Vec::new();
    }
    while kept.len() > 1 {
        let size = kept.len().div_ceil(parts);
        if let Some(fewer) = one_part(&kept, size, fails) {
            kept = fewer;
            parts = 2;
        } else if let Some(fewer) = all_but_one_part(&kept, size, fails) {
            kept = fewer;
            // The next parts have the same size.
            parts = kept.len().div_ceil(size).max(2);
        } else if size == 1 {
            break;
        } else {
            parts = (parts * 2).min(kept.len());
        }
    }
    kept
}

fn one_part<T: Clone>(
    items: &[T],
    size: usize,
    fails: &mut dyn FnMut(&[T]) -> bool,
) -> Option<Vec<T>> {
    // A single part is the whole. Of two parts each is the complement of the other, which
    // `all_but_one_part` tries.
    if size >= items.len() || items.len() <= 2 * size {
        return None;
    }
    items
        .chunks(size)
        .find(|part| fails(part))
        .map(<[T]>::to_vec)
}

fn all_but_one_part<T: Clone>(
    items: &[T],
    size: usize,
    fails: &mut dyn FnMut(&[T]) -> bool,
) -> Option<Vec<T>> {
    let starts = (0..items.len()).step_by(size);
    // Later items are the least likely to be needed, so they are left out first.
    let mut candidates = starts.rev().map(|start| {
        let end = (start + size).min(items.len());
        [&items[..start], &items[end..]].concat()
    });
    candidates.find(|rest| !rest.is_empty() && fails(rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The minimum of `0..count` if it fails with all of `needed`, and the number of tries.
    fn left(count: u32, needed: &[u32]) -> (Vec<u32>, usize) {
        let mut tries = 0;
        let left = minimal((0..count).collect(), &mut |items| {
            tries += 1;
            needed.iter().all(|one| items.contains(one))
        });
        (left, tries)
    }

    #[test]
    fn exactly_what_is_needed_is_left() {
        assert_eq!(left(8, &[5]).0, [5]);
        assert_eq!(left(8, &[1, 6]).0, [1, 6]);
        assert_eq!(left(3, &[0, 1, 2]).0, [0, 1, 2]);
        assert_eq!(left(1, &[0]).0, [0]);
        assert!(left(5, &[]).0.is_empty());
        assert!(left(0, &[]).0.is_empty());
    }

    #[test]
    fn two_of_a_thousand_are_found_in_far_fewer_than_a_thousand_tries() {
        let (left, tries) = left(1_000, &[17, 803]);
        assert_eq!(left, [17, 803]);
        assert!(tries < 120, "{tries}");
    }

    proptest! {
        #[test]
        fn nothing_that_is_left_can_be_left_out(
            needed in prop::collection::btree_set(0..40_u32, 0..6), either in prop::collection::vec(0..40_u32, 0..4),
        ) {
            // Fails if all of `needed` are there and, unless it is empty, at least one of `either`.
            let mut fails = |items: &[u32]| {
                let has = |one: &u32| items.contains(one);
                needed.iter().all(has) && (either.is_empty() || either.iter().any(has))
            };
            let left = minimal((0..40).collect(), &mut fails);
            prop_assert!(fails(&left));
            for at in 0..left.len() {
                let mut fewer = left.clone();
                fewer.remove(at);
                prop_assert!(!fails(&fewer), "{left:?} without {}", left[at]);
            }
        }
    }
}
