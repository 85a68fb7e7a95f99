//! What a step says of a fault: its targets and its values.

use std::collections::BTreeSet;

use super::draft::{DraftAction, DraftTargets};
use super::raw::RawStep;
use crate::diag::{Problem, Span, did_you_mean};
use crate::document::{Located, OneOrMany, Section};
use crate::herd::{Herd, Names, ServerId, split_all, split_link};
use crate::scenario::faults::{ARROW, Field, Holds};
use crate::scenario::fields::RawValue;
use crate::scenario::validate::{Context, is_all};
use crate::scenario::{
    CLIENTS, Direction, ExtraDelay, FaultKind, PLACES, Party, Route, Shape, Target, Value, Values,
};
use crate::units::{DurationError, DurationText, LatencyRange, parse_duration};

/// What a field may say that is a number of kilobytes: a gigabyte, which nothing here comes near.
const MOST_KILOBYTES: u32 = 1_000_000;

impl Context<'_> {
    /// What begins or ends by the word `word` of a step.
    pub(super) fn fault(
        &mut self,
        step: &Section<RawStep>,
        word: &str,
        list: &OneOrMany,
    ) -> Option<DraftAction> {
        if let Some(kind) = FaultKind::ended_by(word) {
            let targets = match kind.targets {
                Shape::BothWays if is_all(list) => DraftTargets::All(list.span()),
                // What is not linked can be healed with what is.
                Shape::BothWays => {
                    let pairs = self.pairs(list, step.value("from"))?;
                    placed(both_ways(&pairs), list)
                }
                shape => self.targets(shape, list, step.value("from"))?,
            };
            return Some(DraftAction::End(kind, targets, list.span()));
        }
        let kind = FaultKind::of(word)?;
        let values = self.values(step, kind);
        let targets = self.targets(kind.targets, list, step.value("from"))?;
        let values = values?;
        let mut fields = kind.fields.iter();
        let first = fields.find_map(|field| step.get(field.name)?.place());
        let place = first.unwrap_or_else(|| list.span());
        Some(DraftAction::Begin(kind, targets, values, place))
    }

    fn targets(
        &mut self,
        shape: Shape,
        list: &OneOrMany,
        from: Option<&OneOrMany>,
    ) -> Option<DraftTargets> {
        match shape {
            Shape::Parties | Shape::Clocks | Shape::Disks if is_all(list) => {
                Some(DraftTargets::All(list.span()))
            }
            Shape::Parties => {
                let named = self.named(list, Self::server_or_places)?.into_iter();
                let named = named.map(|(party, span)| (Target::Party(party), span));
                Some(DraftTargets::Named(named.collect()))
            }
            Shape::Disks => {
                let named = self.named_servers(list)?.into_iter();
                let named = named.map(|(id, span)| (Target::Party(Party::Server(id)), span));
                Some(DraftTargets::Named(named.collect()))
            }
            Shape::Ways => self.ways(list, from),
            Shape::BothWays => {
                let pairs = self.linked_pairs(list, from)?;
                Some(placed(both_ways(&pairs), list))
            }
            Shape::OneWay => {
                let pairs = self.linked_pairs(list, from)?;
                // A link names the sender first; two sets name the receivers first, and the senders second.
                let backwards = from.is_some() || list.single().is_none();
                let turn = |(a, b): Direction| if backwards { (b, a) } else { (a, b) };
                let ways = pairs.into_iter().map(turn).map(Target::Direction);
                Some(placed(ways, list))
            }
            Shape::Pairs => {
                let pairs = self.linked_pairs(list, from)?.into_iter();
                Some(placed(pairs.map(|(a, b)| Target::Pair(a, b)), list))
            }
            Shape::Routes => self.routes(list),
            Shape::Links => self.own_links(list),
            // Who is a client is known when all steps are.
            Shape::Clocks => {
                let named = self.named(list, |_, name| Some(name.to_string()))?;
                Some(DraftTargets::Clocks(named))
            }
        }
    }

    fn server_or_places(&mut self, name: &Located<String>) -> Option<Party> {
        if name.as_str() == PLACES {
            self.names_places = true;
            return Some(Party::Places);
        }
        self.server(name).map(Party::Server)
    }

    /// Directions by which something is sent: all links, a list of links and of single directions, or two sides.
    fn ways(&mut self, list: &OneOrMany, from: Option<&OneOrMany>) -> Option<DraftTargets> {
        let herd = self.herd.clone()?;
        if is_all(list) && from.is_none() {
            let links = herd.links().iter();
            let links = links.map(|link| (Party::Server(link.a), Party::Server(link.b)));
            return Some(placed(both_ways(&links.collect::<Vec<_>>()), list));
        }
        let says_way = |name: &Located<String>| name.contains(ARROW);
        let is_link = |name: &Located<String>| herd.id(name).is_none() && name.contains('-');
        if !list
            .items()
            .iter()
            .any(|name| says_way(name) || is_link(name))
        {
            let pairs = self.linked_pairs(list, from)?;
            let carries = |way: &Direction| carries(*way, &herd);
            let pairs: Vec<Direction> = pairs.into_iter().filter(carries).collect();
            return Some(placed(both_ways(&pairs), list));
        }
        if let Some(from) = from {
            let message = "the links and directions say already from where to where".to_owned();
            self.error(from.span(), message);
            return None;
        }
        let named = self.named(list, |cx, name| {
            if says_way(name) {
                return Some(vec![cx.way(name, &herd)?]);
            }
            let link = &herd.links()[cx.link_index(name)?];
            let (a, b) = (Party::Server(link.a), Party::Server(link.b));
            Some(vec![(a, b), (b, a)])
        })?;
        let mut found: Vec<(Target, Span)> = Vec::new();
        for (ways, span) in named {
            for way in ways.into_iter().map(Target::Direction) {
                if !found.iter().any(|(other, _)| *other == way) {
                    found.push((way, span.clone()));
                }
            }
        }
        Some(DraftTargets::Named(found))
    }

    /// One direction, `Riley>Juzang`, by which something is sent.
    fn way(&mut self, name: &Located<String>, herd: &Herd) -> Option<Direction> {
        let ends: Vec<&str> = name.split(ARROW).map(str::trim).collect();
        let mut party = |end: &str| match end {
            CLIENTS => Some(Party::Clients),
            PLACES => {
                self.names_places = true;
                Some(Party::Places)
            }
            _ => herd.id(end).map(Party::Server),
        };
        let [from, to] = ends.as_slice() else {
            let message = format!("`{}` is no direction", **name);
            let problem = Problem::error(self.source, name.span(), message);
            self.report(problem.help("a direction has two ends: `Riley>Juzang`"));
            return None;
        };
        let (a, b) = (party(from), party(to));
        for (end, known) in [(from, a), (to, b)] {
            if known.is_none() {
                let names = herd.server_names().chain([CLIENTS, PLACES]);
                let help = did_you_mean(end, "servers", names);
                let message = format!("unknown server `{end}` in a direction");
                let problem = Problem::error(self.source, name.span(), message);
                self.report(problem.help(help));
            }
        }
        let (a, b) = (a?, b?);
        if !carries((a, b), herd) {
            let message = format!("nothing is sent from `{from}` to `{to}`");
            let problem = Problem::error(self.source, name.span(), message);
            self.report(
                problem.help("servers send over the links of the herd, and to clients and Places"),
            );
            return None;
        }
        Some((a, b))
    }

    /// As [`pairs`](Self::pairs), and an error if there is nothing between the two sides: servers
    /// talk over links only, so such a fault could never affect anything.
    fn linked_pairs(
        &mut self,
        list: &OneOrMany,
        from: Option<&OneOrMany>,
    ) -> Option<Vec<Direction>> {
        let herd = self.herd.clone()?;
        let pairs = self.pairs(list, from)?;
        if pairs.iter().any(|way| carries(*way, &herd)) {
            return Some(pairs);
        }
        let problem = match pairs.as_slice() {
            [(Party::Server(a), Party::Server(b))] => self.no_link(&herd, (*a, *b), list.span()),
            _ => Problem::error(
                self.source,
                list.span(),
                "there is no link between the two sides",
            ),
        };
        self.report(problem);
        None
    }

    /// Everybody on one side with everybody on the other.
    fn pairs(&mut self, list: &OneOrMany, from: Option<&OneOrMany>) -> Option<Vec<Direction>> {
        let herd = self.herd.clone()?;
        if let (Some(name), None) = (list.single(), from)
            && herd.id(name).is_none()
            && ![CLIENTS, PLACES].contains(&name.as_str())
            && let [ends] = split_all(name, &herd).as_slice()
            && let [a, b] = ends.as_slice()
            && a != b
        {
            return Some(vec![(Party::Server(*a), Party::Server(*b))]);
        }
        let here = self.parties(list, &herd);
        let there = from.map(|from| self.parties(from, &herd));
        let here = here?;
        let there = if let Some(named) = there {
            named?
        } else {
            let others = [Party::Clients, Party::Places];
            let everybody = herd.ids().map(Party::Server).chain(others);
            everybody.filter(|party| !here.contains(party)).collect()
        };
        if there.is_empty() {
            let problem = Problem::error(self.source, list.span(), "nobody is on the other side");
            self.report(problem.help("leave somebody out, or say who is there in `from`"));
            return None;
        }
        let mut pairs = Vec::new();
        for &a in &here {
            for &b in &there {
                if a == b {
                    let message = "somebody is on both sides".to_owned();
                    let span = from.unwrap_or(list).span();
                    self.error(span, message);
                    return None;
                }
                pairs.push((a, b));
            }
        }
        Some(pairs)
    }

    fn parties(&mut self, list: &OneOrMany, herd: &Herd) -> Option<Vec<Party>> {
        let named = self.named(list, |cx, name| match name.as_str() {
            CLIENTS => Some(Party::Clients),
            PLACES => {
                cx.names_places = true;
                Some(Party::Places)
            }
            _ => cx.server_or_link(name, herd).map(Party::Server),
        })?;
        Some(named.into_iter().map(|(party, _)| party).collect())
    }

    fn server_or_link(&mut self, name: &Located<String>, herd: &Herd) -> Option<ServerId> {
        let found = herd.id(name);
        if found.is_none() {
            // Where one end of a link is right, the other one is wrong.
            let names = Names::new(herd.server_names());
            if let Err(problems) = split_link(name, &names, self.source)
                && problems.len() == 1
                && name.contains('-')
            {
                self.problems.extend(problems);
                return None;
            }
            let message = format!("unknown server `{}`", **name);
            let problem = Problem::error(self.source, name.span(), message);
            self.report(problem.help(if name.contains(ARROW) {
                let link = name.replace(ARROW, "-");
                format!("`partition_oneway = \"{link}\"` cuts one direction")
            } else {
                let names = herd.server_names().chain([CLIENTS, PLACES]);
                let help = did_you_mean(name, "servers", names);
                format!("{help}; one link is written `A-B`, and alone")
            }));
        }
        found
    }

    fn routes(&mut self, list: &OneOrMany) -> Option<DraftTargets> {
        let herd = self.herd.clone()?;
        let named = self.named(list, |cx, name| match (name.as_str(), herd.id(name)) {
            (way, None) if way.contains(ARROW) => {
                let problem = Problem::error(
                    cx.source,
                    name.span(),
                    format!("`{way}` is one direction, and a link is slow in both"),
                );
                cx.report(problem.help(format!(
                    "`delay = \"{way}\", extra = …` makes one direction slower"
                )));
                None
            }
            (CLIENTS, _) => Some(vec![Route::Clients]),
            (PLACES, _) => {
                cx.names_places = true;
                Some(vec![Route::Places])
            }
            (_, Some(id)) => {
                let all = herd.links().iter().enumerate();
                let own = all.filter(|(_, link)| link.other(id).is_some());
                Some(own.map(|(at, _)| Route::Link(at)).collect())
            }
            (_, None) => Some(vec![Route::Link(cx.link_index(name)?)]),
        })?;
        let routes: BTreeSet<Route> = named.into_iter().flat_map(|(routes, _)| routes).collect();
        if routes.is_empty() {
            self.error(list.span(), "there is no link here");
            return None;
        }
        Some(placed(routes.into_iter().map(Target::Route), list))
    }

    /// Links, each with the place where it is written.
    fn own_links(&mut self, list: &OneOrMany) -> Option<DraftTargets> {
        let herd = self.herd.clone()?;
        let named = self.named(list, |cx, name| match herd.id(name) {
            Some(id) => Some(herd.links_of(id).map(|(at, _)| at).collect()),
            None => Some(vec![cx.link_index(name)?]),
        })?;
        let mut found: Vec<(Target, Span)> = Vec::new();
        for (links, span) in named {
            for link in links.into_iter().map(Route::Link).map(Target::Route) {
                if !found.iter().any(|(other, _)| *other == link) {
                    found.push((link, span.clone()));
                }
            }
        }
        if found.is_empty() {
            self.error(list.span(), "there is no link here");
            return None;
        }
        Some(DraftTargets::Named(found))
    }

    /// What a step says of a fault of this kind.
    fn values(&mut self, step: &Section<RawStep>, kind: FaultKind) -> Option<Values> {
        let is_given = |name: &str| step.get(name).is_some();
        let required = kind.fields.iter().filter(|field| field.required);
        let mut lacking = required.filter(|field| !is_given(field.name));
        let optional = kind.fields.iter().filter(|field| !field.required);
        let mut optional = optional.map(|field| field.name).peekable();
        let missing = match lacking.next() {
            Some(field) => Some(format!("`{}`", field.name)),
            None if kind.fields.iter().any(|field| field.required)
                || kind.bare
                || optional.peek().is_none()
                || optional.clone().any(is_given) =>
            {
                None
            }
            None => Some(format!("`{}`", optional.collect::<Vec<_>>().join("` or `"))),
        };
        if let Some(missing) = missing {
            if !self.damage.is_at(&step.span()) {
                let message = format!("`{}` needs {missing}: {}", kind.name, kind.fields_say);
                self.error(step.span(), message);
            }
            return None;
        }
        let fields = kind.fields.iter();
        let values: Vec<Option<(&'static str, Value)>> = fields
            .filter_map(|field| {
                let Some(place) = step.get(field.name).and_then(RawValue::place) else {
                    return (field.holds == Holds::Difference)
                        .then_some(Some((field.name, Value::Difference(0))));
                };
                let value = self.value(step, field);
                if field.required && value == Some(Value::Difference(0)) {
                    self.error(place, format!("`{}` of 0s changes nothing", field.name));
                }
                Some(value.map(|value| (field.name, value)))
            })
            .collect();
        let values: Option<Vec<_>> = values.into_iter().collect();
        values.map(Values::new)
    }

    fn value(&mut self, step: &RawStep, field: &Field) -> Option<Value> {
        let name = field.name;
        Some(match field.holds {
            Holds::Latency => {
                let latency = step.value::<Located<LatencyRange>>(name)?;
                let slower = self.latency_in_a_run(**latency, &latency.span(), "this latency");
                if slower.least.is_zero() {
                    self.too_quick(latency.span());
                }
                Value::Latency(slower)
            }
            Holds::Difference => Value::Difference(self.signed(step.value(name)?)?),
            Holds::Duration => {
                let duration = step.value::<Located<DurationText>>(name)?;
                let what = format!("`{name}`");
                let read = self.duration(duration, &what);
                if read.is_zero() {
                    self.error(
                        duration.span(),
                        format!("{what} takes some time: it can't be 0s"),
                    );
                }
                Value::Duration(read)
            }
            Holds::Count => Value::Count(self.count(step.value(name)?, name)?),
            Holds::Percent => Value::Count(self.up_to(99, step.value(name)?, name)?),
            Holds::Kilobytes => {
                Value::Count(self.up_to(MOST_KILOBYTES, step.value(name)?, name)?)
            }
            Holds::Word(known) => Value::Word(self.word(step.value(name)?, known, name)?),
            Holds::ExtraDelay => Value::ExtraDelay(self.extra_delay(step.value(name)?)?),
        })
    }

    /// One of these words.
    fn word(
        &mut self,
        text: &Located<String>,
        known: &[&'static str],
        field: &str,
    ) -> Option<&'static str> {
        let found = known.iter().find(|word| **word == text.as_str());
        if found.is_none() {
            let message = format!("unknown `{field}` `{}`", **text);
            let help = did_you_mean(text, "words", known.iter().copied());
            self.report(Problem::error(self.source, text.span(), message).help(help));
        }
        found.copied()
    }

    /// A number from 0 to `most`.
    fn up_to(&mut self, most: u32, number: &Located<u32>, field: &str) -> Option<u32> {
        if **number > most {
            let message = format!("`{field}` is {}, but must be 0 to {most}", **number);
            self.error(number.span(), message);
            return None;
        }
        Some(**number)
    }

    /// A time that is added to a packet's.
    fn extra_delay(&mut self, text: &Located<String>) -> Option<ExtraDelay> {
        let read = text.parse::<ExtraDelay>();
        if let Err(why) = &read {
            let message = format!("bad time `{}`: {why}", **text);
            let help = "a duration such as `40ms`, a range such as `5ms..80ms`, or one with a tail: `5ms..2s tail`";
            self.report(Problem::error(self.source, text.span(), message).help(help));
        }
        let read = read.ok()?;
        let range = self.latency_in_a_run(read.range, &text.span(), "this time");
        Some(ExtraDelay { range, ..read })
    }

    /// A duration with a sign, in nanoseconds.
    fn signed(&mut self, text: &Located<String>) -> Option<i64> {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let whole = |nanos: u128| i64::try_from(nanos).map_err(|_| DurationError::TooLong);
        let nanos = parse_duration(rest).and_then(|duration| whole(duration.as_nanos()));
        if let Err(why) = &nanos {
            let message = format!("bad difference `{}`: {why}", **text);
            let help = "a duration with a sign, such as `+1.5s` or `-20ms`";
            self.report(Problem::error(self.source, text.span(), message).help(help));
        }
        Some(sign * nanos.ok()?)
    }
}

/// Whether anything is sent between these: servers talk over links, and with clients and Places.
fn carries(way: Direction, herd: &Herd) -> bool {
    match way {
        (Party::Server(a), Party::Server(b)) => herd.link_between(a, b).is_some(),
        (Party::Server(_), _) | (_, Party::Server(_)) => true,
        (Party::Clients | Party::Places, Party::Clients | Party::Places) => false,
    }
}

/// Targets that are all written in one place.
fn placed(targets: impl IntoIterator<Item = Target>, list: &OneOrMany) -> DraftTargets {
    let all = targets.into_iter().map(|target| (target, list.span()));
    DraftTargets::Named(all.collect())
}

fn both_ways(pairs: &[Direction]) -> Vec<Target> {
    let ways = pairs.iter().flat_map(|&(a, b)| [(a, b), (b, a)]);
    ways.map(Target::Direction).collect()
}
