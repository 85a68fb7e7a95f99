//! From a scenario file as written to a [`Scenario`], telling all that is wrong at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::raw::RawScenario;
use super::{DiskSettings, Held, Route, Scenario, Usual, cases};
use crate::diag::{Problem, Problems, Source, Span, did_you_mean};
use crate::document::{self, Damage, Located, OneOrMany, ROOT, TextOr};
use crate::herd::{self, Herd, RawHerd, ServerId};
use crate::protocol::visible;
use crate::units::{DurationText, format_duration};

mod connections;
mod order;
mod places;
mod settings;
mod unexpected;

pub(super) use settings::DEFAULT_TICK;

/// Means every server, where servers are named.
const ALL: &str = "all";

/// Simulated time costs real time, about 10 ms a second for five servers. Nothing that happens in
/// a herd takes longer than this.
const LONGEST_RUN: Duration = Duration::from_hours(1);

/// `herd` takes the place of the one that the file names, if it is given. `case` is the one that is meant.
pub(super) fn scenario(
    source: &Arc<Source>,
    relative_to: Option<&Path>,
    (herd, case): (Option<Arc<Herd>>, Option<&str>),
) -> Result<(Scenario, Problems), Problems> {
    let mut problems = Problems::new();
    let parsed = document::parse::<RawScenario>(source, &mut problems);
    let parsed = parsed.and_then(|parsed| cases::chosen(source, &mut problems, parsed, case));
    let Some(parsed) = parsed else {
        return Err(problems);
    };
    let mut cx = Context {
        source,
        damage: parsed.damage,
        problems,
        herd,
        tick: None,
        names_places: false,
        has_bodies: parsed.value.places.is_some(),
        disks: None,
        usual: Usual::new(),
        says_tick: parsed.value.tick.is_some(),
        finer: None,
        tick_place: parsed.value.tick.as_ref().map_or(ROOT, Located::span),
    };
    let scenario = cx.scenario(&parsed.value, relative_to);
    let named = scenario.map(|scenario| match case {
        Some(case) => Scenario {
            name: format!("{}-{case}", scenario.name),
            case: Some(case.to_owned()),
            ..scenario
        },
        None => scenario,
    });
    cx.problems.accept(named)
}

/// What all parts of the validation need, and the problems that they found so far.
pub(super) struct Context<'s> {
    pub(super) source: &'s Arc<Source>,
    pub(super) damage: Damage,
    pub(super) problems: Problems,
    /// Not there if the herd can't be used. Servers' names are not checked then.
    pub(super) herd: Option<Arc<Herd>>,
    /// Not there if it can't be used. Multiples of it are not checked then.
    tick: Option<Duration>,
    /// Where the tick is written.
    tick_place: Span,
    /// Whether the file says the tick itself. Otherwise times and latencies may be finer.
    says_tick: bool,
    /// A time or a latency that is no multiple of the tick.
    finer: Option<Duration>,
    /// Whether something happens to Places.
    pub(super) names_places: bool,
    /// Whether the file says what Places answers.
    pub(super) has_bodies: bool,
    /// The disks of the servers, if they have any.
    pub(super) disks: Option<DiskSettings>,
    /// What messages take in the beginning.
    pub(super) usual: Usual,
}

impl Context<'_> {
    fn scenario(&mut self, raw: &RawScenario, relative_to: Option<&Path>) -> Option<Scenario> {
        let title = self.required(raw.title.as_ref(), &ROOT, "a scenario needs a `title`");
        let herd = self.required(raw.herd.as_ref(), &ROOT, "a scenario needs a `herd`");
        if self.herd.is_none() {
            self.herd = herd.and_then(|reference| self.load_herd(reference, relative_to));
        }
        let live = self.reason(raw.live.as_ref());
        self.tick = self.read_tick(raw.tick.as_ref());
        let epoch_ns = self.epoch(raw.epoch.as_ref());
        let link_latency = self.link_latency(raw);
        let client_latency = self.client_latency(raw.client_latency.as_ref());
        let places_latency = self.places_latency(raw.places_latency.as_ref(), client_latency);
        let (timing, limits) = self.settings(raw.server.as_ref());
        self.disks = self.read_disks(raw.server.as_ref());
        self.check_latencies(
            raw,
            &link_latency,
            (client_latency, places_latency),
            &timing,
        );
        let links = link_latency.iter().enumerate();
        self.usual = (links.map(|(at, latency)| (Route::Link(at), *latency)))
            .chain([
                (Route::Clients, client_latency),
                (Route::Places, places_latency),
            ])
            .collect();
        let end = raw.end.as_ref().map(|end| self.moment(end, "`end`"));
        let steps = self.steps(raw.steps.as_ref(), end);
        self.check_dials(
            raw.server.as_ref(),
            &timing,
            steps.as_deref().unwrap_or_default(),
            end,
        );
        let deliver = self.order(raw.deliver.as_ref(), raw.end.as_ref(), steps.as_deref());
        if let (Some(held), None) = (&raw.held, &raw.deliver) {
            self.error(
                held.span(),
                "`held` needs `deliver`: in which order they arrive",
            );
        }
        let expects = self.expects(raw.expect.as_ref(), steps.as_deref(), end);
        let without = self.without(raw.without.as_ref(), &expects);
        let places = self.places(raw.places.as_ref(), relative_to);
        Some(Scenario {
            name: stem(&self.source.name),
            case: None,
            title: visible(title?),
            about: raw.about.as_deref().map(visible_lines),
            live,
            herd: self.herd.clone()?,
            seed: raw.seed.clone().unwrap_or_default(),
            swarm: false,
            shuffle: raw.shuffle.unwrap_or_default(),
            tick: self.tick?,
            finer: self.finer,
            epoch_ns: epoch_ns?,
            link_latency,
            client_latency,
            places_latency,
            end,
            deliver,
            held: raw.held.as_ref().map_or_else(Held::default, |held| **held),
            timing,
            limits,
            disks: self.disks,
            steps: steps?,
            expects,
            without,
            asks_places: self.names_places || !places.is_empty(),
            places,
            source: Arc::clone(self.source),
        })
    }

    /// Why the scenario ends otherwise on real processes.
    fn reason(&mut self, raw: Option<&Located<String>>) -> Option<String> {
        let raw = raw?;
        if raw.trim().is_empty() {
            self.error(
                raw.span(),
                "`live` says why the scenario ends otherwise on real processes; leave it out if it does not",
            );
            return None;
        }
        Some(visible(raw))
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.report(Problem::error(self.source, span, message));
    }

    /// The value, or an error at the table that lacks it, unless it was there and was wrong.
    pub(super) fn required<'r, T>(
        &mut self,
        value: Option<&'r T>,
        table: &Span,
        message: &str,
    ) -> Option<&'r T> {
        if value.is_none() && !self.damage.is_at(table) {
            self.error(table.clone(), message);
        }
        value
    }

    /// The herd, which is written here, named or in a file of its own. If there is none, the error is where
    /// it is named; if it is wrong inside, the errors are there.
    fn load_herd(
        &mut self,
        written: &Located<TextOr<RawHerd>>,
        relative_to: Option<&Path>,
    ) -> Option<Arc<Herd>> {
        let loaded = match &**written {
            TextOr::Table(raw) => herd::within(self.source, written.span(), &self.damage, raw),
            TextOr::Text(reference) => match herd::find(reference, relative_to) {
                Ok(source) => Herd::parse(&source),
                Err(error) => {
                    let mut problem = Problem::error(self.source, written.span(), error.message);
                    problem.help = error.help;
                    Err(problem.into())
                }
            },
        };
        match loaded {
            Ok((herd, warnings)) => {
                self.problems.extend(warnings);
                Some(Arc::new(herd))
            }
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    /// A server by name. No name is wrong while the herd is unknown.
    pub(super) fn server(&mut self, name: &Located<String>) -> Option<ServerId> {
        let herd = self.herd.clone()?;
        let found = herd.id(name);
        if found.is_none() {
            let message = format!("unknown server `{}`", **name);
            let help = did_you_mean(name, "servers", herd.server_names());
            self.report(Problem::error(self.source, name.span(), message).help(help));
        }
        found
    }

    /// The servers of a list, each with the place of its name; none if anything is wrong with it.
    pub(super) fn named_servers(&mut self, list: &OneOrMany) -> Option<Vec<(ServerId, Span)>> {
        self.named(list, Self::server)
    }

    /// What a list names, as `find` knows it, each with the place of its name; none if anything is
    /// wrong with it.
    pub(super) fn named<T: PartialEq>(
        &mut self,
        list: &OneOrMany,
        find: impl Fn(&mut Self, &Located<String>) -> Option<T>,
    ) -> Option<Vec<(T, Span)>> {
        if list.items().is_empty() && !self.damage.is_at(&list.span()) {
            self.error(list.span(), "no server is named here");
        }
        let mut found: Vec<(T, Span)> = Vec::new();
        for name in list.items() {
            let Some(id) = find(self, name) else {
                continue;
            };
            if let Some((_, earlier)) = found.iter().find(|(other, _)| *other == id) {
                let message = format!("`{}` is named twice", **name);
                let problem = Problem::error(self.source, name.span(), message);
                self.report(problem.also(earlier.clone(), "first named here"));
            } else {
                found.push((id, name.span()));
            }
        }
        (!found.is_empty() && found.len() == list.items().len()).then_some(found)
    }

    /// The servers of a list, or all of the herd's.
    pub(super) fn servers(&mut self, list: &OneOrMany) -> Option<Vec<ServerId>> {
        if is_all(list) {
            return self.herd.as_ref().map(|herd| herd.ids().collect());
        }
        let named = self.named_servers(list)?;
        Some(named.into_iter().map(|(id, _)| id).collect())
    }

    /// A moment of the run, not so late that nobody sees its end.
    pub(super) fn moment(&mut self, moment: &Located<DurationText>, what: &str) -> Duration {
        self.check_not_too_late(moment.0, &moment.span());
        self.check_grain(moment.0, &moment.span(), what);
        moment.0.min(LONGEST_RUN)
    }

    pub(super) fn check_not_too_late(&mut self, moment: Duration, span: &Span) {
        if moment > LONGEST_RUN {
            let (moment, longest) = (format_duration(moment), format_duration(LONGEST_RUN));
            let message = format!("{moment} is later than a run may last, {longest}");
            self.error(span.clone(), message);
        }
    }

    /// A duration of the file's, which must be a multiple of the tick and fit into a run. One that
    /// is too long comes back shortened, so that whatever is computed of it can't overflow.
    pub(in crate::scenario) fn on_tick(
        &mut self,
        duration: &Located<DurationText>,
        what: &str,
    ) -> Duration {
        self.check_on_tick(duration.0, &duration.span(), what);
        self.in_a_run(duration.0, &duration.span(), what)
    }

    /// A duration of the file's, which must fit into a run, and may be finer than a tick that the file does not say.
    pub(super) fn duration(&mut self, duration: &Located<DurationText>, what: &str) -> Duration {
        self.check_grain(duration.0, &duration.span(), what);
        self.in_a_run(duration.0, &duration.span(), what)
    }

    fn in_a_run(&mut self, duration: Duration, span: &Span, what: &str) -> Duration {
        if duration > LONGEST_RUN {
            let (duration, longest) = (format_duration(duration), format_duration(LONGEST_RUN));
            let message = format!("{what} is {duration}, longer than a run may last, {longest}");
            self.error(span.clone(), message);
        }
        duration.min(LONGEST_RUN)
    }

    /// What a file with a tick says is a multiple of it. Without one, time has no steps, but for turmoil's.
    fn check_grain(&mut self, duration: Duration, span: &Span, what: &str) {
        if self.says_tick {
            self.check_on_tick(duration, span, what);
        } else if let Some(tick) = self.tick {
            let is_finer = !duration.as_nanos().is_multiple_of(tick.as_nanos());
            self.finer = self.finer.or(is_finer.then_some(duration));
        }
    }

    /// Timers, and what is drawn, go in ticks: what falls between two of them would be stretched.
    pub(super) fn check_on_tick(&mut self, duration: Duration, span: &Span, what: &str) {
        let Some(tick) = self.tick else {
            return;
        };
        if duration.as_nanos().is_multiple_of(tick.as_nanos()) {
            return;
        }
        let (written, tick) = (format_duration(duration), format_duration(tick));
        let message = format!("{what} is {written}, which is no multiple of the tick of {tick}");
        let problem = Problem::error(self.source, span.clone(), message);
        // A tick is whole milliseconds.
        let finer = duration.subsec_nanos().is_multiple_of(1_000_000);
        self.report(problem.help(if finer {
            "choose another duration, or a finer `tick`"
        } else {
            "choose whole milliseconds: no `tick` is finer"
        }));
    }
}

/// Text of several lines, each as it looks.
fn visible_lines(text: &str) -> String {
    let lines: Vec<String> = text.trim().lines().map(visible).collect();
    lines.join("\n")
}

/// Whether a list means every server.
pub(super) fn is_all(list: &OneOrMany) -> bool {
    list.single().is_some_and(|name| name.as_str() == ALL)
}

/// The file's name without folder and extension.
fn stem(name: &str) -> String {
    let stem = Path::new(name).file_stem();
    stem.map_or_else(
        || name.to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}
