//! What the network does to segments, beside cutting them off and taking its time.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use crate::journal::EventId;
use crate::scenario::{ExtraDelay, Impairment};
use crate::seed::stream;
use crate::sim::net::Faults;
use crate::sim::worlds::Wire;

/// The bytes of a segment beside what it carries: the headers of Ethernet, IP and TCP.
const HEADERS: usize = 14 + 20 + 20;

/// In how many parts a range of times with a tail is divided; its least part is one of this number.
const PARTS: u32 = 1 << OCTAVES;

/// How often the part of the range that times are from can double.
const OCTAVES: u32 = 10;

/// What happens to a segment on its way.
#[derive(Default)]
pub(super) struct Fate {
    /// How much longer it takes.
    pub(super) extra: Duration,
    /// How much longer than those behind it, which overtake it.
    pub(super) late: Duration,
    /// Whether it gets lost.
    pub(super) is_lost: bool,
}

/// All impairments in force.
pub(super) struct Impairments {
    by_wire: BTreeMap<Wire, Vec<Impaired>>,
    seed: u64,
    faults: Faults,
}

/// A kind of impairment of a direction, which may be over.
struct Impaired {
    kind: &'static str,
    /// The event that began it, and what happens; nothing if it is over.
    now: Option<(EventId, Impairment)>,
    /// A random stream for each direction and kind, so that nothing elsewhere changes what it draws.
    dice: ChaCha8Rng,
    /// When the queue of a limited direction is empty again.
    busy_until: Duration,
}

fn dice(seed: u64, kind: &str, wire: Wire) -> ChaCha8Rng {
    let number = (wire.0 as u64) << 32 | wire.1 as u64;
    stream(seed, kind, number)
}

impl Impairments {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            by_wire: BTreeMap::new(),
            seed,
            faults,
        }
    }

    /// Draws from another seed from now on.
    pub(super) fn redraw(&mut self, seed: u64) {
        self.seed = seed;
        for (&wire, all) in &mut self.by_wire {
            for one in all {
                one.dice = dice(seed, one.kind, wire);
            }
        }
    }

    /// A direction has one impairment of each kind.
    pub(super) fn set(&mut self, fault: EventId, wires: &[Wire], impairment: Impairment) {
        let kind = impairment.name();
        let now = (!impairment.is_none()).then_some((fault, impairment));
        for &wire in wires {
            let all = self.by_wire.entry(wire).or_default();
            if let Some(one) = all.iter_mut().find(|one| one.kind == kind) {
                one.now = now;
                continue;
            }
            all.push(Impaired {
                kind,
                now,
                dice: dice(self.seed, kind, wire),
                busy_until: Duration::ZERO,
            });
            // The same order, whichever began first.
            all.sort_by_key(|one| one.kind);
        }
    }

    /// By how much a segment can be late at most, but for the queues.
    pub(super) fn longest(&self) -> Duration {
        let all = self.by_wire.values().map(|all| {
            let adds = all.iter().map(|one| match one.now {
                None | Some((_, Impairment::Limit(_))) => Duration::ZERO,
                Some((_, other)) => other.adds(),
            });
            adds.sum::<Duration>()
        });
        all.max().unwrap_or_default()
    }

    /// When all queues are empty.
    pub(super) fn queued(&self) -> Duration {
        let all = self.by_wire.values().flatten();
        all.map(|one| one.busy_until).max().unwrap_or_default()
    }

    /// What happens to a segment that is sent now and carries this number of bytes.
    pub(super) fn send(&mut self, wire: Wire, bytes: usize, now: Duration) -> Fate {
        let mut fate = Fate::default();
        let Some(all) = self.by_wire.get_mut(&wire) else {
            return fate;
        };
        let size = (bytes + HEADERS) as u64;
        for one in all {
            let Some((fault, impairment)) = one.now else {
                continue;
            };
            let is_any = match impairment {
                Impairment::Lose(percent) => {
                    let is_lost = one.falls(percent);
                    fate.is_lost |= is_lost;
                    is_lost
                }
                Impairment::Duplicate(percent) => one.falls(percent),
                Impairment::Reorder(percent, late) => {
                    let is_late = one.falls(percent);
                    if is_late {
                        fate.late += late;
                    }
                    is_late
                }
                Impairment::Delay(delay) => {
                    let extra = one.draw(delay);
                    fate.extra += extra;
                    !extra.is_zero()
                }
                Impairment::Limit(limit) => {
                    let waits = one.busy_until.saturating_sub(now);
                    if waits + limit.time_for(size) > limit.time_for(limit.queue.max(size)) {
                        fate.is_lost = true;
                    } else {
                        one.busy_until = now + waits + limit.time_for(size);
                        fate.extra += waits + limit.time_for(size);
                    }
                    fate.is_lost || !waits.is_zero()
                }
            };
            if is_any {
                self.faults.hold_up(fault);
            }
        }
        fate
    }

    /// Whether a segment gets lost that is sent again.
    pub(super) fn loses(&mut self, wire: Wire) -> bool {
        let Some(all) = self.by_wire.get_mut(&wire) else {
            return false;
        };
        let mut is_lost = false;
        for one in all {
            if let Some((fault, Impairment::Lose(percent))) = one.now
                && one.falls(percent)
            {
                is_lost = true;
                self.faults.hold_up(fault);
            }
        }
        is_lost
    }
}

impl Impaired {
    fn falls(&mut self, percent: u32) -> bool {
        self.dice.random_range(0..100) < percent
    }

    /// Draws a time, in whole microseconds, which a report can show.
    fn draw(&mut self, ExtraDelay { range, has_tail }: ExtraDelay) -> Duration {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let (least, most) = (micros(range.least), micros(range.most));
        let drawn = if has_tail {
            // Each octave is half as likely as the one before, and twice as long.
            let octave = self.dice.random::<u32>().trailing_zeros().min(OCTAVES - 1);
            let part = (most - least) / u64::from(PARTS);
            let from = part * ((1 << octave) - 1);
            let to = match octave + 1 {
                OCTAVES => most - least,
                next => part * ((1 << next) - 1),
            };
            least + self.dice.random_range(from..=to)
        } else {
            self.dice.random_range(least..=most)
        };
        Duration::from_micros(drawn)
    }
}
