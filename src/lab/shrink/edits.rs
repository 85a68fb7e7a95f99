//! Candidates for a smaller scenario, made from one in plain steps. A candidate may be invalid,
//! which running it shows.

use std::sync::Arc;
use std::time::Duration;

use crate::diag::Source;
use crate::herd::{Herd, ServerId};
use crate::scenario::{
    Action, ClientStep, ClockOwner, ConnectionUse, DiskSettings, Fault, Party, Recipe, Route,
    Scenario, Step, Target, Usual,
};
use crate::units::LatencyRange;

/// Groups the steps: a fault together with the step that ends it, every other step alone. A group
/// is a list of indices into the steps.
pub(super) fn units(scenario: &Scenario) -> Vec<Vec<usize>> {
    let (steps, usual) = (&scenario.steps, scenario.usual());
    let mut taken = vec![false; steps.len()];
    let mut units = Vec::new();
    for at in 0..steps.len() {
        if taken[at] {
            continue;
        }
        taken[at] = true;
        let mut unit = vec![at];
        let later = (at + 1..steps.len()).filter(|&later| !taken[later]);
        let end = later
            .into_iter()
            .find(|&later| ends(&steps[at].action, &steps[later].action, &usual));
        if let Some(end) = end {
            taken[end] = true;
            unit.push(end);
        }
        units.push(unit);
    }
    units
}

/// Whether a step ends the fault of an earlier one for at least one target.
fn ends(begin: &Action, end: &Action, usual: &Usual) -> bool {
    let Action::Begin(fault) = begin else {
        return false;
    };
    match end {
        Action::End(kind, targets) => {
            let mut ended = targets.iter();
            *kind == fault.kind.family() && ended.any(|target| fault.targets.contains(target))
        }
        Action::Begin(later) => {
            let same = later.kind == fault.kind.family() && later.targets == fault.targets;
            same && later.is_none(usual) && !fault.is_none(usual)
        }
        _ => false,
    }
}

/// The scenario with only these of its steps.
pub(super) fn with_steps(scenario: &Scenario, kept: impl IntoIterator<Item = usize>) -> Scenario {
    let mut kept: Vec<usize> = kept.into_iter().collect();
    kept.sort_unstable();
    let steps = kept
        .into_iter()
        .map(|at| scenario.steps[at].clone())
        .collect();
    Scenario {
        steps,
        ..scenario.clone()
    }
}

/// Scenarios in which one client step has fewer lines, fewer servers, or no repetition.
pub(super) fn with_less_said(scenario: &Scenario) -> Vec<Scenario> {
    let mut smaller = Vec::new();
    for (at, step) in scenario.steps.iter().enumerate() {
        let Some(client) = step.action.talk() else {
            continue;
        };
        let mut push = |changed: ClientStep| {
            let mut scenario = scenario.clone();
            scenario.steps[at].action = match &step.action {
                Action::Peer(_) => Action::Peer(changed),
                _ => Action::Client(changed),
            };
            smaller.push(scenario);
        };
        if client.times > 1 {
            let mut once = client.clone();
            (once.times, once.every) = (1, Duration::ZERO);
            push(once);
        }
        if client.connection != ConnectionUse::default() {
            let mut plain = client.clone();
            plain.connection = ConnectionUse::default();
            push(plain);
        }
        if client.lines.len() > 1 {
            for line in &client.lines {
                let mut less = client.clone();
                less.lines = vec![line.clone()];
                push(less);
            }
        }
        // Several lines can be needed together, so each is also left out alone.
        for left_out in (0..client.lines.len()).filter(|_| client.lines.len() > 2) {
            let mut less = client.clone();
            less.lines.remove(left_out);
            push(less);
        }
        if client.to.len() > 1 {
            for to in &client.to {
                let mut less = client.clone();
                less.to = vec![*to];
                push(less);
            }
        }
    }
    smaller
}

/// The scenario with step `at` and all later steps moved earlier, so that `gap` separates it from
/// the step before. `None` if the distance is `gap` or less, or if that time is no multiple of the
/// tick.
pub(super) fn sooner(scenario: &Scenario, at: usize, gap: Duration) -> Option<Scenario> {
    let before = at
        .checked_sub(1)
        .map_or(Duration::ZERO, |before| scenario.steps[before].at);
    let now = scenario.steps[at].at;
    let wanted = before + gap;
    let ticks = wanted.as_nanos().is_multiple_of(scenario.tick.as_nanos());
    let earlier = now
        .checked_sub(wanted)
        .filter(|earlier| !earlier.is_zero() && ticks)?;
    let mut scenario = scenario.clone();
    for step in &mut scenario.steps[at..] {
        step.at = step.at.saturating_sub(earlier);
    }
    Some(scenario)
}

/// The scenario in a herd without the server `gone`. `None` if a step or an expectation needs it.
pub(super) fn without_server(scenario: &Scenario, gone: ServerId) -> Option<Scenario> {
    let old = &scenario.herd;
    let name = |id: ServerId| &*old.server(id).name;
    let servers: Vec<&str> = old.ids().filter(|&id| id != gone).map(name).collect();
    let kept: Vec<usize> = (old.links().iter().enumerate())
        .filter(|(_, link)| link.other(gone).is_none())
        .map(|(at, _)| at)
        .collect();
    let links: Vec<String> = (kept.iter())
        .map(|&at| format!("{}-{}", name(old.links()[at].a), name(old.links()[at].b)))
        .collect();
    let text = format!(
        "name = {:?}\nservers = {servers:?}\nlinks = {links:?}\n",
        &**old.name()
    );
    let (herd, _) = Herd::parse(&Source::new("herd.toml", text)).ok()?;
    let moved = Moved {
        old,
        new: &herd,
        kept: &kept,
    };
    let steps = scenario.steps.iter().map(|step| {
        let action = moved.action(&step.action)?;
        Some(Step {
            action,
            ..step.clone()
        })
    });
    let steps = steps.collect::<Option<Vec<Step>>>()?;
    // Whoever expects something of a single server or link means that one.
    let mut expects = scenario.expects.iter();
    if !expects.all(|expect| expect.what.is_about_all()) {
        return None;
    }
    Some(Scenario {
        steps,
        link_latency: kept.iter().map(|&at| scenario.link_latency[at]).collect(),
        herd: Arc::new(herd.clone()),
        ..scenario.clone()
    })
}

/// Translates ids from a herd to the same herd without one of its servers.
struct Moved<'a> {
    old: &'a Herd,
    new: &'a Herd,
    /// The remaining links, as indices into the links of the old herd.
    kept: &'a [usize],
}

impl Moved<'_> {
    fn server(&self, id: ServerId) -> Option<ServerId> {
        self.new.id(&self.old.server(id).name)
    }

    fn party(&self, party: Party) -> Option<Party> {
        match party {
            Party::Server(id) => self.server(id).map(Party::Server),
            other => Some(other),
        }
    }

    fn target(&self, target: &Target) -> Option<Target> {
        Some(match target {
            Target::Party(party) => Target::Party(self.party(*party)?),
            Target::Direction((a, b)) => Target::Direction((self.party(*a)?, self.party(*b)?)),
            Target::Pair(a, b) => Target::Pair(self.party(*a)?, self.party(*b)?),
            Target::Route(Route::Link(at)) => {
                let moved = self.kept.iter().position(|kept| kept == at)?;
                Target::Route(Route::Link(moved))
            }
            Target::Clock(ClockOwner::Server(id)) => {
                Target::Clock(ClockOwner::Server(self.server(*id)?))
            }
            Target::Route(_) | Target::Clock(ClockOwner::Client(_)) => target.clone(),
        })
    }

    fn targets(&self, targets: &[Target]) -> Option<Vec<Target>> {
        some(targets.iter().filter_map(|target| self.target(target)))
    }

    /// The same for the servers that are left.
    fn talk(&self, talk: &ClientStep) -> Option<ClientStep> {
        Some(ClientStep {
            to: some(talk.to.iter().filter_map(|&id| self.server(id)))?,
            ..talk.clone()
        })
    }

    fn action(&self, action: &Action) -> Option<Action> {
        Some(match action {
            Action::Begin(fault) => Action::Begin(Fault {
                targets: self.targets(&fault.targets)?,
                ..fault.clone()
            }),
            Action::End(kind, targets) => Action::End(*kind, self.targets(targets)?),
            Action::Client(client) => Action::Client(self.talk(client)?),
            Action::Peer(peer) => Action::Peer(self.talk(peer)?),
            Action::Workload(_)
            | Action::Random(_)
            | Action::Reload(_)
            | Action::Upgrade(_)
            | Action::Drawn(_) => {
                return None;
            }
        })
    }
}

/// The items as a list, or `None` if there are none.
fn some<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let items: Vec<T> = items.collect();
    (!items.is_empty()).then_some(items)
}

/// After how many bytes of its log a server writes a snapshot where few records are to show one.
const SNAPSHOT_AFTER: u64 = 50;

/// Scenarios with one simpler setting each: one latency for all links, one for clients, tasks in
/// the usual order, snapshots of few records, seed 0, or no Places.
pub(super) fn simpler_settings(scenario: &Scenario) -> Vec<Scenario> {
    let link = LatencyRange::constant(in_ticks(scenario.tick, 20));
    let client = LatencyRange::constant(in_ticks(scenario.tick, 5));
    let mut simpler = Vec::new();
    let mut push = |change: &dyn Fn(&mut Scenario)| {
        let mut scenario = scenario.clone();
        change(&mut scenario);
        simpler.push(scenario);
    };
    if scenario.link_latency.iter().any(|latency| *latency != link) {
        push(&|scenario| scenario.link_latency.fill(link));
    }
    if scenario.client_latency != client {
        push(&|scenario| scenario.client_latency = client);
    }
    if scenario.shuffle {
        push(&|scenario| scenario.shuffle = false);
    }
    if let Some(disks) = scenario.disks
        && disks.snapshot_after > SNAPSHOT_AFTER
    {
        let sooner = DiskSettings {
            snapshot_after: SNAPSHOT_AFTER,
            ..disks
        };
        push(&|scenario| scenario.disks = Some(sooner));
    }
    if scenario.seed != Recipe::default() {
        push(&|scenario| scenario.seed = Recipe::default());
    }
    if !scenario.seed.later().is_empty() {
        push(&|scenario| scenario.seed = scenario.seed.first().into());
    }
    if !scenario.places.is_empty() || scenario.asks_places {
        push(&|scenario| {
            scenario.places.clear();
            scenario.asks_places = false;
        });
    }
    simpler
}

/// `millis` if that is a multiple of the tick, otherwise one tick.
fn in_ticks(tick: Duration, millis: u64) -> Duration {
    let wanted = Duration::from_millis(millis);
    if wanted.as_nanos().is_multiple_of(tick.as_nanos()) {
        wanted
    } else {
        tick
    }
}

/// The scenario with its clients renamed to `names`, in the order of their first steps; all further
/// clients get the last name. `None` if all names are among them already, or if the result is no
/// valid file.
pub(super) fn renamed(scenario: &Scenario, names: &[&str]) -> Option<Scenario> {
    let mut clients: Vec<&str> = Vec::new();
    for step in &scenario.steps {
        if let Action::Client(client) = &step.action
            && !clients.contains(&&*client.client)
        {
            clients.push(&client.client);
        }
    }
    let last = names.last()?;
    if clients.iter().all(|client| names.contains(client)) {
        return None;
    }
    let text = scenario.to_toml();
    let mut renamed = String::new();
    // Only whole words are replaced, so that `load-1` is not found in `load-12`.
    let is_word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let place = clients.iter().position(|client| *client == word);
        renamed.push_str(place.map_or(word, |at| names.get(at).unwrap_or(last)));
        let gap = behind.find(is_word).unwrap_or(behind.len());
        renamed.push_str(&behind[..gap]);
        rest = &behind[gap..];
    }
    let (read, _) = Scenario::parse("shrunk.toml", &renamed, None).ok()?;
    Some(read)
}
