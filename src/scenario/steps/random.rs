//! Faults at random: which come when, for which targets, and for how long.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::draft::DraftAction;
use super::raw::RawStep;
use super::write::InlineTable;
use super::{Action, Declaration, Step};
use crate::diag::{Problem, Span};
use crate::document::{Located, OneOrMany, Section, Table};
use crate::herd::{Herd, ServerId};
use crate::scenario::broken::Broken;
use crate::scenario::faults::Draw;
use crate::scenario::fields::{Holds, field, fields};
use crate::scenario::validate::Context;
use crate::scenario::write::quoted;
use crate::scenario::{End, Fault, FaultKind, Scenario, Target, Usual};
use crate::seed::stream;
use crate::units::{DurationText, LatencyRange, format_duration};

/// What each fault does fills a page of the report, and a run that comes to more tells nobody anything.
const MOST_FAULTS: u64 = 1_000;

/// Faults that come and go at random.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    /// Each kind of fault with the mean time from one to the next, in the order of
    /// [`FaultKind::drawn`]. Never empty, and nothing is in it twice.
    pub faults: Vec<(FaultKind, Duration)>,
    /// How long faults go on. At its end, all of them are cleared.
    pub lasts: Duration,
    /// How long each fault holds.
    pub holds: LatencyRange,
    /// The servers that anything may happen to.
    pub of: Vec<ServerId>,
    /// Whether it is acceptable that no fault is chosen, or that none has an effect.
    pub maybe: bool,
}

pub(super) const DECLARATION: Declaration = Declaration {
    subject: field(
        "random",
        Holds::Means,
        "Faults begin at random, each kind on average once in the time given: `{ crash = \"2s\", slow = \"1s\" }`.",
    ),
    fields: &[
        field("lasts", Holds::Duration, "For how long faults begin.").written("lasts = \"5s\""),
        field(
            "holds",
            Holds::Latency,
            "How long each of the faults lasts, unless it ends by itself: a duration or a range.",
        )
        .written("holds = \"100ms..800ms\""),
        field(
            "of",
            Holds::Names,
            "The servers that can be hit: a name, a list, or `\"all\"`, which is the default.",
        ),
        field(
            "maybe",
            Holds::Flag,
            "A random step may draw no fault, and its faults may have no effect.",
        )
        .written("maybe = true"),
    ],
    read: |cx, step| {
        let means = step.value::<Section<Table<Means>>>("random")?;
        Some(DraftAction::Ready(Action::Random(cx.random(step, means)?)))
    },
};

fields! {
    /// The mean time from one fault to the next, by kind.
    Means,
    "Random",
    "Kinds of faults, each with the mean time from one to the next.",
    || {
        let kinds = FaultKind::drawn().filter_map(|kind| {
            let about = format!("Happens to {}.", kind.drawn.as_ref()?.about);
            Some(field(kind.name, Holds::Duration, about.leak()))
        });
        kinds.collect()
    }
}

impl Context<'_> {
    fn random(&mut self, step: &Section<RawStep>, raw: &Section<Table<Means>>) -> Option<Random> {
        let faults = self.random_faults(raw);
        let of = self.servers_or_all(step.value::<OneOrMany>("of"));
        let lasts = self.lasts(step, "a random step needs `lasts`: how long it goes on");
        let message = "a random step needs `holds`: how long each fault holds";
        let holds = self.required(
            step.value::<Located<LatencyRange>>("holds"),
            &step.span(),
            message,
        );
        let holds = holds.map(|holds| {
            if holds.least.is_zero() {
                self.error(holds.span(), "a fault holds for at least a tick");
            }
            self.check_on_tick(holds.most, &holds.span(), "`holds`");
            if holds.least != holds.most {
                self.check_on_tick(holds.least, &holds.span(), "`holds`");
            }
            self.latency_in_a_run(**holds, &holds.span(), "`holds`")
        });
        let random = Random {
            faults: faults?,
            lasts: lasts?,
            holds: holds?,
            of: of?,
            maybe: step
                .value::<Located<bool>>("maybe")
                .is_some_and(|maybe| **maybe),
        };
        let expected = random.faults.iter().map(|(_, mean)| {
            u64::try_from(random.lasts.as_nanos() / mean.as_nanos()).unwrap_or(u64::MAX)
        });
        let expected: u64 = expected.sum();
        if expected > MOST_FAULTS {
            let message =
                format!("these are about {expected} faults, and {MOST_FAULTS} are the most");
            let problem = Problem::error(self.source, raw.span(), message);
            self.report(problem.help("give longer times between them, or a shorter `lasts`"));
            return None;
        }
        self.check_links(step, raw, &random)?;
        Some(random)
    }

    fn random_faults(&mut self, raw: &Section<Table<Means>>) -> Option<Vec<(FaultKind, Duration)>> {
        let mut faults = Vec::new();
        for fault in FaultKind::drawn() {
            let Some(mean) = raw.value::<Located<DurationText>>(fault.name) else {
                continue;
            };
            let what = format!("`{}`", fault.name);
            let duration = self.on_tick(mean, &what);
            if duration.is_zero() {
                self.error(mean.span(), "there can be no fault every 0s");
                return None;
            }
            self.check_disks(fault, &mean.span());
            faults.push((fault, duration));
        }
        if faults.is_empty() {
            if !self.damage.is_at(&raw.span()) {
                let problem = Problem::error(self.source, raw.span(), "no fault is named here");
                self.report(problem.help("name at least one, as in `{ crash = \"2s\" }`"));
            }
            return None;
        }
        Some(faults)
    }

    /// What happens to links needs one between the servers.
    fn check_links(
        &mut self,
        step: &Section<RawStep>,
        raw: &Section<Table<Means>>,
        random: &Random,
    ) -> Option<()> {
        let herd = self.herd.clone()?;
        let inside = |id: ServerId| random.of.contains(&id);
        let mut links = herd.links().iter();
        let mut faults = random.faults.iter();
        let Some((fault, _)) = faults.find(|(fault, _)| fault.needs_link()) else {
            return Some(());
        };
        if links.any(|link| inside(link.a) && inside(link.b)) {
            return Some(());
        }
        let message = format!(
            "`{}` happens to links, and there is none between these servers",
            fault.name
        );
        let place = step
            .value::<OneOrMany>("of")
            .map_or(raw.span(), OneOrMany::span);
        self.error(place, message);
        None
    }

    /// While faults come and go at random, nothing else begins or clears a fault on the same servers: what is written
    /// could not know what is drawn.
    pub(super) fn check_undisturbed(&mut self, steps: &[Step], herd: &Herd) {
        for (index, step) in steps.iter().enumerate() {
            let Action::Random(random) = &step.action else {
                continue;
            };
            let end = step.at.saturating_add(random.lasts);
            let at_once = |other: &Step| match &other.action {
                Action::Random(other_random) => {
                    step.at <= other.at.saturating_add(other_random.lasts) && other.at <= end
                }
                _ => (step.at..=end).contains(&other.at),
            };
            for (other_index, other) in steps.iter().enumerate() {
                // Of two random steps, the later one is reported.
                let is_random = matches!(other.action, Action::Random(_));
                if other_index == index || (is_random && other_index < index) || !at_once(other) {
                    continue;
                }
                let concerned = concerned(&other.action, herd);
                if let Some(id) = concerned.into_iter().find(|id| random.of.contains(id)) {
                    let message = format!(
                        "`{}` has faults at random until {}",
                        herd.server(id).name,
                        format_duration(end)
                    );
                    let problem = Problem::error(self.source, other.span.clone(), message);
                    let problem = problem.also(step.span.clone(), "here");
                    self.report(
                        problem.help("choose another time, or leave the server out of `of`"),
                    );
                }
            }
        }
    }
}

impl Random {
    /// Writes it as a step says it.
    pub(super) fn write(&self, table: &mut InlineTable<'_>) {
        let faults = self.faults.iter();
        let faults = faults.map(|(fault, mean)| {
            let mean = quoted(&format_duration(*mean));
            format!("{} = {mean}", fault.name)
        });
        let faults: Vec<String> = faults.collect();
        table.field("random", format!("{{ {} }}", faults.join(", ")));
        table.duration("lasts", self.lasts);
        table.text("holds", &self.holds.to_string());
        table.servers("of", &self.of);
        if self.maybe {
            table.field("maybe", true);
        }
    }
}

/// The servers with which a step begins or ends something in any way.
fn concerned(action: &Action, herd: &Herd) -> Vec<ServerId> {
    if let Action::Random(random) = action {
        return random.of.clone();
    }
    let targets = action.targets().iter();
    targets.flat_map(|target| target.servers(herd)).collect()
}

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
    let mut parts = scenario.seed.parts_until(step.at);
    let mut streams = streams(random, scenario.seed.at(step.at), number);
    let mut counts = vec![0; random.faults.len()];
    let ticks = chaos.ticks(random.lasts);
    for tick in 0..ticks {
        let moment = chaos.moment(tick);
        if scenario.seed.parts_until(moment) != parts {
            parts = scenario.seed.parts_until(moment);
            streams = self::streams(random, scenario.seed.at(moment), number);
        }
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

/// A generator for each kind of fault, so that one more kind changes nothing of what the others draw.
fn streams(random: &Random, seed: u64, number: u64) -> Vec<ChaCha8Rng> {
    let stream_of = |(fault, _): &(FaultKind, Duration)| {
        stream(seed, &format!("random {}", fault.name), number)
    };
    random.faults.iter().map(stream_of).collect()
}

/// What is chosen at the beginning of the step at `index` and whenever the seed changes while it goes on, as a file would
/// have it. Each time, these are the steps that would follow if the seed did not change again: nothing before a change
/// depends on what comes after it. Nothing, if the seed does not change.
pub(super) fn chosen(
    scenario: &Scenario,
    index: usize,
    random: &Random,
    number: u64,
) -> Vec<(Duration, Vec<String>)> {
    let start = scenario.steps[index].at;
    let seed = &scenario.seed;
    let first = seed.parts_until(start);
    let changes = seed.later()[first..].iter();
    let changes = changes.take_while(|&&(since, _)| since < start + random.lasts);
    let since: Vec<Duration> = [start]
        .into_iter()
        .chain(changes.map(|&(since, _)| since))
        .collect();
    if since.len() == 1 {
        return Vec::new();
    }
    let chosen = since.into_iter().enumerate().map(|(change, since)| {
        let until_then = scenario.clone().with_seed(seed.cut_to(first + change));
        let steps = draw(&until_then, index, random, number).steps.into_iter();
        let rest = steps.filter(|(at, _)| *at >= since);
        let written = rest.map(|(at, action)| {
            let span = scenario.steps[index].span.clone();
            Step::plain(at, span, action).to_toml(&scenario.herd)
        });
        (since, written.collect())
    });
    chosen.collect()
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

    fn moment(&self, tick: u64) -> Duration {
        self.start + self.scenario.tick * u32::try_from(tick).unwrap_or(u32::MAX)
    }

    fn push(&mut self, tick: u64, action: Action) {
        let at = self.moment(tick);
        let step = Step::plain(at, self.span.clone(), action);
        self.broken.learn(&step, &self.usual);
        self.steps.push((at, step.action));
    }
}
