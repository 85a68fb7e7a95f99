//! Where moments are: in proportion within a burst, with room for their notes, and quiet stretches folded.

use std::collections::BTreeMap;

/// How high the time is that a message usually takes.
const USUAL: u64 = 56;
/// How far two moments are apart at least, and where there are very many.
const LEAST: u64 = 17;
const LEAST_OF_MANY: u64 = 5;
const MANY: usize = 250;
/// A stretch that would be higher than this is folded, to a height of `FOLDED`.
const MOST: u64 = 200;
const FOLDED: u64 = 44;
/// How high a line of a note is.
pub(super) const NOTE: u64 = 15;

/// Moments, each with its place.
pub(super) struct Rows {
    moments: Vec<(u64, i64)>,
    /// Stretches that are folded: where, and how long each takes.
    pub(super) folds: Vec<(i64, u64)>,
    /// Where the last moment and its notes end.
    pub(super) bottom: i64,
}

impl Rows {
    /// `moments` have this number of lines of notes each; a message usually takes `usual` nanoseconds.
    pub(super) fn new(moments: &BTreeMap<u64, usize>, usual: u64, top: i64) -> Self {
        let least = if moments.len() > MANY {
            LEAST_OF_MANY
        } else {
            LEAST
        };
        let mut rows = Self {
            moments: Vec::new(),
            folds: Vec::new(),
            bottom: top,
        };
        let mut before: Option<(u64, u64)> = None;
        for (&at, &notes) in moments {
            let mut y = rows.bottom;
            if let Some((earlier, room)) = before {
                let apart = at - earlier;
                let scaled = u128::from(apart) * u128::from(USUAL) / u128::from(usual.max(1));
                let scaled = u64::try_from(scaled).unwrap_or(u64::MAX);
                if scaled > MOST {
                    rows.folds.push((y + pixels(room + FOLDED / 2), apart));
                    y += pixels(room + FOLDED);
                } else {
                    y += pixels(scaled.max(least).max(room));
                }
            }
            rows.moments.push((at, y));
            rows.bottom = y;
            let lines = u64::try_from(notes).unwrap_or(u64::MAX);
            before = Some((at, lines.saturating_mul(NOTE)));
        }
        rows.bottom += pixels(before.map_or(0, |(_, room)| room).max(24));
        rows
    }

    pub(super) fn moments(&self) -> &[(u64, i64)] {
        &self.moments
    }

    /// Where a moment is, or would be.
    pub(super) fn y(&self, at: u64) -> i64 {
        let next = self.moments.partition_point(|(moment, _)| *moment < at);
        match (self.moments.get(next), next.checked_sub(1)) {
            (Some((moment, y)), _) if *moment == at => *y,
            (Some((_, y)), Some(before)) => i64::midpoint(self.moments[before].1, *y),
            (Some((_, y)), None) => *y,
            (None, _) => self.bottom,
        }
    }
}

fn pixels(height: u64) -> i64 {
    i64::try_from(height).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_in_proportion_and_a_quiet_stretch_is_folded() {
        let moments = BTreeMap::from([(0, 0), (20, 0), (40, 3), (42, 0), (10_000, 0)]);
        let rows = Rows::new(&moments, 20, 100);
        assert_eq!([0, 20, 40].map(|at| rows.y(at)), [100, 156, 212]);
        assert_eq!(rows.y(42), 212 + 45, "three notes have room");
        assert_eq!(rows.folds, [(257 + 22, 9_958)]);
        assert_eq!(rows.y(10_000), 257 + 44);
        assert_eq!(rows.y(u64::MAX), rows.bottom);
    }
}
