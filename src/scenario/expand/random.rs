//! Which faults come when, for which targets, and for how long.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use crate::diag::Span;
use crate::herd::ServerId;
use crate::scenario::broken::Broken;
use crate::scenario::faults::Draw;
use crate::scenario::{Action, End, Fault, FaultKind, Random, Scenario, Step, Target, Usual};
use crate::seed::stream;

/// The outcome of a random step.
pub(super) struct Outcome {
    pub(super) steps: Vec<(Duration, Action)>,
    /// How many of each kind were chosen, in the order of [`Random::faults`].
    pub(super) counts: Vec<u32>,
}

/// Draws the faults of the step at `index`, the `number`-th random one.
pub(super) fn draw(scenario: &Scenario, index: usize, random: &Random, number: u64) -> Outcome {
    let step = &scenario.steps[index];
    let usual = scenario.usual();
    let mut broken = Broken::default();
    for earlier in &scenario.steps[..index] {
        broken.learn(earlier, &usual);
    }
    let mut chaos = Chaos {
        scenario,
        random,
        start: step.at,
        span: step.span.clone(),
        broken,
        usual,
        pending: Vec::new(),
        steps: Vec::new(),
        links: links_within(scenario, &random.of),
    };
    // A generator for each kind, so that one more kind changes nothing of what the others draw.
    let stream_of = |(fault, _): &(FaultKind, Duration)| {
        stream(scenario.seed, &format!("random {}", fault.name), number)
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
                if chosen.is_some_and(|fault| chaos.begin(tick, (tick + held).min(ticks), fault)) {
                    counts[at] += 1;
                }
            }
        }
    }
    chaos.mend_due(ticks);
    Outcome {
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
    usual: Usual,
    /// What is to be ended, and at which tick, in the order in which it began.
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

    /// What begins, if a fault of this kind can happen to anybody.
    fn choose(&self, kind: FaultKind, rng: &mut ChaCha8Rng) -> Option<Fault> {
        let mut draw = Draw::new(self.scenario, &self.random.of, &self.links, rng);
        let (targets, values) = (kind.drawn.as_ref()?.draw)(&mut draw)?;
        Some(Fault {
            kind,
            targets,
            values,
        })
    }

    /// Begins a fault that ends at tick `until`; whether nothing stands against it.
    fn begin(&mut self, tick: u64, until: u64, fault: Fault) -> bool {
        if !self.fits(&fault) {
            return false;
        }
        let over = FaultKind::all().filter(|other| fault.kind.ends(*other));
        let over: Vec<Action> = over
            .map(|over| Action::End(over, fault.targets.clone()))
            .collect();
        self.pending.retain(|(_, end)| !over.contains(end));
        let end = self.end_of(&fault);
        self.push(tick, Action::Begin(fault));
        self.pending.extend(end.map(|end| (until, end)));
        true
    }

    /// Whether nothing stands against a fault.
    fn fits(&self, fault: &Fault) -> bool {
        fault.targets.iter().all(|target| match target {
            Target::Party(_) => self.can_begin(fault.kind, target),
            // Cuts add up, but then healing this one would not heal the way, or heal another's.
            Target::Direction(way) => !self.broken.is_cut_at_all(fault.kind, *way),
            Target::Pair(..) | Target::Route(_) | Target::Clock(_) => {
                !self.broken.has(fault.kind, target)
            }
        })
    }

    /// How to end a fault, if it does not end by itself.
    fn end_of(&self, fault: &Fault) -> Option<Action> {
        let family = fault.kind.family();
        match family.end {
            End::Step { .. } => Some(Action::End(family, fault.targets.clone())),
            End::Same(usual) => {
                let values = usual(fault.targets.first()?, &self.usual);
                Some(Action::Begin(Fault {
                    kind: family,
                    targets: fault.targets.clone(),
                    values,
                }))
            }
            End::AtOnce | End::After(_) | End::Family => None,
        }
    }

    /// Whether this can begin with a server. What a written step did to it must not be undone here, as
    /// the step that ends it is written, too.
    fn can_begin(&self, kind: FaultKind, target: &Target) -> bool {
        let is_mine = |other: FaultKind| {
            let end = Action::End(other, vec![target.clone()]);
            self.pending.iter().any(|(_, pending)| *pending == end)
        };
        let mut ended = FaultKind::all().filter(|other| kind.ends(*other));
        self.broken.against(kind, target).is_none()
            && ended.all(|other| !self.broken.has(other, target) || is_mine(other))
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
        self.broken.learn(&step, &self.usual);
        self.steps.push((at, step.action));
    }
}
