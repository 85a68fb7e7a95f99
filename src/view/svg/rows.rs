//! Lays out the moments: proportional to time within a burst, with room for their notes, and with
//! quiet stretches folded.

use std::collections::BTreeMap;

/// The height of a message's usual delay, in pixels.
const USUAL: u64 = 56;
/// The minimum distance between two moments in pixels: normally, and with more than `MANY` moments.
const LEAST: u64 = 17;
const LEAST_OF_MANY: u64 = 5;
const MANY: usize = 250;
/// A stretch that would be higher than `MOST` pixels is folded to `FOLDED` pixels.
const MOST: u64 = 200;
const FOLDED: u64 = 44;
/// The height of a line of a note, in pixels.
pub(super) const NOTE: u64 = 15;

/// Moments in nanoseconds, each with its vertical position in pixels.
pub(super) struct Rows {
    moments: Vec<(u64, i64)>,
    /// The folded stretches: vertical position, and duration in nanoseconds.
    pub(super) folds: Vec<(i64, u64)>,
    /// The vertical end of the last moment and its notes, in pixels.
    pub(super) bottom: i64,
}

impl Rows {
    /// Lays out `moments`, each given with its number of lines of notes. `usual` is the usual delay
    /// of a message in nanoseconds, `top` the first moment's position.
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

    /// The vertical position of a moment. A moment that is not laid out is between its neighbours.
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
