//! Which faults come when, to whom, and for how long.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use crate::diag::Span;
use crate::herd::ServerId;
use crate::scenario::broken::{Broken, ended_by};
use crate::scenario::{
    Action, Clocked, Direction, Fault, Party, Random, RandomFault, Route, Scenario, Skewed, Step,
};
use crate::seed::stream;
use crate::units::LatencyRange;

/// A link can take so many times as long.
const SLOWER: std::ops::RangeInclusive<u32> = 2..=10;

/// A clock can be so many milliseconds wrong.
const WRONG_MS: std::ops::RangeInclusive<i64> = 1..=2_000;

/// What a random step came to.
pub(super) struct Draw {
    pub(super) steps: Vec<(Duration, Action)>,
    /// How many of each kind were chosen, in the order of [`Random::faults`].
    pub(super) counts: Vec<u32>,
}

/// Draws the faults of the step at `index`, the `number`-th random one.
pub(super) fn draw(scenario: &Scenario, index: usize, random: &Random, number: u64) -> Draw {
    let step = &scenario.steps[index];
    let mut broken = Broken::default();
    for earlier in &scenario.steps[..index] {
        broken.learn(earlier, scenario);
    }
    let mut chaos = Chaos {
        scenario,
        random,
        start: step.at,
        span: step.span.clone(),
        broken,
        pending: Vec::new(),
        steps: Vec::new(),
        links: links_within(scenario, &random.of),
    };
    // A generator for each kind, so that one more kind changes nothing of what the others draw.
    let stream_of = |(fault, _): &(RandomFault, Duration)| {
        stream(scenario.seed, &format!("random {}", fault.word()), number)
    };
    let mut streams: Vec<ChaCha8Rng> = random.faults.iter().map(stream_of).collect();
    let mut counts = vec![0; random.faults.len()];
    let ticks = chaos.ticks(random.lasts);
    for tick in 0..ticks {
        chaos.mend_due(tick);
        for (at, &(fault, mean)) in random.faults.iter().enumerate() {
            let rng = &mut streams[at];
            if rng.random_range(0..chaos.ticks(mean)) == 0 {
                // All that there is to draw is drawn, whether it can happen or not.
                let chosen = chaos.choose(fault, rng);
                let held = rng.random_range(chaos.held());
                if chosen.is_some_and(|action| chaos.begin(tick, (tick + held).min(ticks), action))
                {
                    counts[at] += 1;
                }
            }
        }
    }
    chaos.mend_due(ticks);
    Draw {
        steps: chaos.steps,
        counts,
    }
}

/// The links both ends of which are among these.
fn links_within(scenario: &Scenario, of: &[ServerId]) -> Vec<usize> {
    let links = scenario.herd.links().iter().enumerate();
    let inside = links.filter(|(_, link)| of.contains(&link.a) && of.contains(&link.b));
    inside.map(|(at, _)| at).collect()
}

struct Chaos<'a> {
    scenario: &'a Scenario,
    random: &'a Random,
    start: Duration,
    span: Span,
    broken: Broken,
    /// What is to be mended, and at which tick, in the order in which it began.
    pending: Vec<(u64, Action)>,
    steps: Vec<(Duration, Action)>,
    links: Vec<usize>,
}

impl Chaos<'_> {
    fn ticks(&self, duration: Duration) -> u64 {
        let ticks = duration.as_nanos() / self.scenario.tick.as_nanos();
        u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
    }

    fn held(&self) -> std::ops::RangeInclusive<u64> {
        self.ticks(self.random.holds.least)..=self.ticks(self.random.holds.most)
    }

    /// What begins, if `fault` can happen to anybody.
    fn choose(&self, fault: RandomFault, rng: &mut ChaCha8Rng) -> Option<Action> {
        let Random { of, .. } = self.random;
        match fault {
            RandomFault::Server(fault) => {
                let server = pick(of, rng)?;
                Some(Action::Break(fault, vec![Party::Server(server)]))
            }
            RandomFault::Partition => {
                let (a, b) = self.pair(rng)?;
                Some(Action::Cut(vec![(a, b), (b, a)]))
            }
            RandomFault::PartitionOneway => {
                let (a, b) = self.pair(rng)?;
                let there = rng.random_range(0..2) == 0;
                Some(Action::Cut(vec![if there { (a, b) } else { (b, a) }]))
            }
            RandomFault::Sever => {
                let link = &self.scenario.herd.links()[pick(&self.links, rng)?];
                let (a, b) = (Party::Server(link.a), Party::Server(link.b));
                Some(Action::Sever(vec![(a, b)]))
            }
            RandomFault::Slow => {
                let link = pick(&self.links, rng)?;
                let factor = rng.random_range(SLOWER);
                let LatencyRange { least, most } = self.scenario.link_latency[link];
                let slower = LatencyRange {
                    least: least * factor,
                    most: most * factor,
                };
                Some(Action::Slow(vec![Route::Link(link)], slower))
            }
            RandomFault::Skew => {
                let server = pick(of, rng)?;
                let sign = if rng.random_range(0..2) == 0 { 1 } else { -1 };
                let by = sign * rng.random_range(WRONG_MS) * 1_000_000;
                let skewed = Skewed { by, drift: 0 };
                Some(Action::Skew(vec![Clocked::Server(server)], skewed))
            }
        }
    }

    /// A link, or a server and all clients: each as likely as any other.
    fn pair(&self, rng: &mut ChaCha8Rng) -> Option<Direction> {
        let link = |&at: &usize| {
            let link = &self.scenario.herd.links()[at];
            (Party::Server(link.a), Party::Server(link.b))
        };
        let servers = self.random.of.iter();
        let with_clients = servers.map(|&id| (Party::Server(id), Party::Clients));
        let pairs: Vec<Direction> = self.links.iter().map(link).chain(with_clients).collect();
        pick(&pairs, rng)
    }

    /// Begins a fault that ends at tick `until`; whether nothing stands against it.
    fn begin(&mut self, tick: u64, until: u64, action: Action) -> bool {
        if !self.fits(&action) {
            return false;
        }
        if let Action::Break(fault, servers) = &action {
            let over = ended_by(*fault).iter();
            let over: Vec<Action> = over
                .map(|&end| Action::Mend(end, servers.clone()))
                .collect();
            self.pending.retain(|(_, mend)| !over.contains(mend));
        }
        let mend = self.mend_of(&action);
        self.push(tick, action);
        self.pending.extend(mend.map(|mend| (until, mend)));
        true
    }

    /// Whether nothing stands against a fault.
    fn fits(&self, action: &Action) -> bool {
        match action {
            Action::Break(fault, servers) => servers.iter().all(|&id| self.can_break(*fault, id)),
            // Cuts add up, but then healing this one would not mend the way, or mend another's.
            Action::Cut(ways) => (ways.iter())
                .all(|&(a, b)| !self.broken.is_cut((a, b)) && !self.broken.is_cut((b, a))),
            Action::Slow(routes, _) => routes.iter().all(|&route| !self.broken.is_slow(route)),
            Action::Skew(whom, _) => !whom.iter().any(|whose| self.broken.is_skewed(whose)),
            _ => true,
        }
    }

    /// How to mend a fault, if it does not end by itself.
    fn mend_of(&self, action: &Action) -> Option<Action> {
        match action {
            Action::Break(fault, servers) => Some(Action::Mend(*fault, servers.clone())),
            Action::Cut(ways) => Some(Action::Heal(ways.clone())),
            Action::Slow(routes, _) => {
                let mut all = self.scenario.usual_latencies();
                let (_, usual) = all.find(|(route, _)| routes.contains(route))?;
                Some(Action::Slow(routes.clone(), usual))
            }
            Action::Skew(whom, _) => Some(Action::Skew(whom.clone(), Skewed::default())),
            _ => None,
        }
    }

    /// Whether a server can break so now. What a written step did to it must not be undone here, as
    /// the step that mends it is written, too.
    fn can_break(&self, fault: Fault, id: Party) -> bool {
        let is_mine = |other: Fault| {
            let mend = Action::Mend(other, vec![id]);
            self.pending.iter().any(|(_, pending)| *pending == mend)
        };
        let mut ended = ended_by(fault).iter();
        self.broken.against(fault, id).is_none()
            && ended.all(|&other| !self.broken.has(other, id) || is_mine(other))
    }

    fn mend_due(&mut self, tick: u64) {
        let pending = std::mem::take(&mut self.pending);
        let (due, pending) = pending.into_iter().partition(|(until, _)| *until <= tick);
        self.pending = pending;
        let due: Vec<(u64, Action)> = due;
        for (_, mend) in due {
            self.push(tick, mend);
        }
    }

    fn push(&mut self, tick: u64, action: Action) {
        let at = self.start + self.scenario.tick * u32::try_from(tick).unwrap_or(u32::MAX);
        let step = Step {
            at,
            span: self.span.clone(),
            action,
        };
        self.broken.learn(&step, self.scenario);
        self.steps.push((at, step.action));
    }
}

fn pick<T: Copy>(from: &[T], rng: &mut ChaCha8Rng) -> Option<T> {
    let last = from.len().checked_sub(1)?;
    from.get(rng.random_range(0..=last)).copied()
}
