//! For how long messages between two neighbours could be late: by latencies, and by faults.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Run;
use crate::journal::{Event, EventKind};
use crate::trace::faults::{Fault, Faults, Kind};
use crate::units::LatencyRange;

/// How many ticks may pass in addition to a link's latency: a message that is sent between two
/// ticks counts from the next one, and one that arrives is handled in the tick after it.
const TICKS: u64 = 4;

/// Two servers, in order of their names.
pub(super) fn pair<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    if a <= b { (a, b) } else { (b, a) }
}

/// When a fault began and ended, and whether segments were lost meanwhile.
#[derive(Clone, Copy)]
struct Interval {
    begin: u64,
    end: u64,
    loses: bool,
}

/// The faults and latencies between two neighbours, as far as one of them may still depend on
/// these.
#[derive(Default)]
struct Way<'a> {
    /// The intervals of faults that delay messages, in order of their beginnings.
    broken: VecDeque<Interval>,
    /// The moment from which a message took at least and at most these times, in nanoseconds.
    latency: VecDeque<(u64, u64, u64)>,
    /// The most that impairments of each kind add to that at any time of the run, in nanoseconds. No two of a kind are in
    /// force at once.
    adds: BTreeMap<&'a str, u64>,
}

/// The faults and latencies between all neighbours, by direction.
pub(super) struct Ways<'a> {
    between: BTreeMap<(&'a str, &'a str), Way<'a>>,
    /// What the ticks of simulated time add to a message's time.
    pub(super) ticks: u64,
    /// See [`Patience::resend`].
    resend: Option<u64>,
}

impl<'a> Ways<'a> {
    pub(super) fn of(run: &Run<'a>) -> Self {
        let mut all = Self {
            between: BTreeMap::new(),
            ticks: run.header.tick.saturating_mul(TICKS),
            resend: run.patience.and_then(|patience| patience.resend),
        };
        for link in &run.header.links {
            all.slow((&link.a, &link.b), 0, &link.latency);
        }
        for fault in Faults::of(run.events).iter() {
            all.breaks(run, fault);
        }
        all
    }

    pub(super) fn slow(&mut self, (a, b): (&'a str, &'a str), from: u64, latency: &str) {
        // A latency that can't be parsed excuses nothing.
        let Ok(LatencyRange { least, most }) = latency.parse() else {
            return;
        };
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        for way in [(a, b), (b, a)] {
            let way = self.between.entry(way).or_default();
            way.latency.push_back((from, nanos(least), nanos(most)));
        }
    }

    fn breaks(&mut self, run: &Run<'a>, fault: &Fault<'a>) {
        let until = |end: Option<&Event>| end.map_or(u64::MAX, |end| end.at);
        match fault.kind {
            Kind::Freeze => {
                let Some(id) = run.herd.id(fault.owner()) else {
                    return;
                };
                let name = |id| &*run.herd.server(id).name;
                for other in run.herd.neighbours(id) {
                    // The system of a frozen server still acknowledges what arrives.
                    let when = Interval {
                        begin: fault.begin.at,
                        end: until(fault.end),
                        loses: false,
                    };
                    self.broken((name(id), name(other)), when);
                }
            }
            Kind::Cut | Kind::Impaired => {
                let loses = match &fault.begin.what {
                    EventKind::Impaired {
                        fault: kind,
                        adds,
                        loses,
                        ..
                    } => {
                        for part in &fault.parts {
                            let (a, b) = part.pair;
                            for way in [(a, b), (b, a)] {
                                let way = self.between.entry(way).or_default();
                                let most = way.adds.entry(kind).or_default();
                                *most = (*adds).max(*most);
                            }
                        }
                        *loses
                    }
                    _ => true,
                };
                if !loses {
                    return;
                }
                // If one fault cuts both directions of a link, that is one interval.
                let mut pairs: BTreeMap<(&str, &str), u64> = BTreeMap::new();
                for part in &fault.parts {
                    let end = pairs.entry(pair(part.pair.0, part.pair.1)).or_default();
                    *end = (*end).max(until(part.end));
                }
                for (both, end) in pairs {
                    let when = Interval {
                        begin: fault.begin.at,
                        end,
                        loses: true,
                    };
                    self.broken(both, when);
                }
            }
            // A server that is gone has closed the connection. Resets and latencies are checked
            // separately. A server that refuses connections keeps its links, and no link depends on
            // a clock or a disk.
            Kind::Refuse
            | Kind::Skew
            | Kind::Disk
            | Kind::Stop
            | Kind::Unlink
            | Kind::Crash
            | Kind::PowerOff
            | Kind::Sever
            | Kind::Slow => {}
        }
    }

    fn broken(&mut self, (a, b): (&'a str, &'a str), when: Interval) {
        for way in [(a, b), (b, a)] {
            self.between.entry(way).or_default().broken.push_back(when);
        }
    }

    /// Drops what ended before this moment, which nothing looks up from here on. So each look-up
    /// goes through the time since one link began, and no more.
    pub(super) fn forget(&mut self, way: (&'a str, &'a str), before: u64) {
        let Some(way) = self.between.get_mut(&way) else {
            return;
        };
        let before = before.saturating_sub(way.longest());
        while way.latency.get(1).is_some_and(|next| next.0 <= before) {
            way.latency.pop_front();
        }
        // A fault that lasts may stand before one that is over.
        let begun = way.broken.partition_point(|when| when.begin <= before);
        let lasting: Vec<Interval> = (way.broken.drain(..begun))
            .filter(|when| when.end >= before)
            .collect();
        for interval in lasting.into_iter().rev() {
            way.broken.push_front(interval);
        }
    }

    /// For how long, in all, faults can have delayed messages between the two from one moment to another.
    ///
    /// A segment that is lost is sent again after a time-out that doubles each time. So the next attempt comes as long
    /// after the last one as that came after the first, and a time-out more; if there is another cut by then, it is
    /// lost again. In a silence that is one segment, since everything behind it waits for it.
    pub(super) fn delay(&self, between: (&'a str, &'a str), from: u64, to: u64) -> u64 {
        let Some(way) = self.between.get(&between) else {
            return 0;
        };
        let longest = way.longest();
        let mut delay: u64 = 0;
        // The losses of one segment: when it was sent first, when the first of them began, and when it arrives.
        let mut losses: Option<(u64, u64, u64)> = None;
        let spent = |(_, begin, arrives): (u64, u64, u64)| arrives.min(to) - begin;
        for when in way.broken.iter().take_while(|when| when.begin <= to) {
            if when.end < from {
                continue;
            }
            let begin = when.begin.max(from);
            let Some(resend) = self.resend.filter(|_| when.loses) else {
                delay = delay.saturating_add(when.end.min(to) - begin);
                continue;
            };
            let (sent, begin, before) = match losses {
                Some(one) if begin <= one.2 => one,
                other => {
                    delay = delay.saturating_add(other.map_or(0, spent));
                    (from.max(begin.saturating_sub(longest)), begin, begin)
                }
            };
            let timeout = resend.saturating_add(longest.saturating_mul(2));
            let attempt =
                (when.end.saturating_add(when.end.saturating_sub(sent))).saturating_add(timeout);
            let arrives = attempt.saturating_add(longest).max(before);
            losses = Some((sent, begin, arrives));
        }
        delay.saturating_add(losses.map_or(0, spent))
    }

    /// The least and the greatest latency of messages that arrived from this moment on.
    pub(super) fn latency(&self, way: (&'a str, &'a str), from: u64) -> (u64, u64) {
        let Some(way) = self.between.get(&way) else {
            return (0, 0);
        };
        let from = from.saturating_sub(way.longest());
        let first = way.latency.partition_point(|&(at, ..)| at <= from);
        let in_force = || way.latency.iter().skip(first.saturating_sub(1));
        let least = in_force().map(|&(_, least, _)| least).min();
        let most = in_force().map(|&(.., most)| most).max();
        let most = most.unwrap_or_default().saturating_add(way.added());
        (least.unwrap_or_default(), most)
    }
}

impl Way<'_> {
    fn added(&self) -> u64 {
        let adds = self.adds.values();
        adds.fold(0, |sum, adds| sum.saturating_add(*adds))
    }

    fn longest(&self) -> u64 {
        let all = self.latency.iter().map(|&(.., most)| most);
        let most: u64 = all.max().unwrap_or_default();
        most.saturating_add(self.added())
    }
}
