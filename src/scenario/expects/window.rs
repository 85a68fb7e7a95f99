//! The part of a run that an expectation looks at, by times and by what happens, and at which of its moments.

use std::time::Duration;

use super::read::Reading;
use super::{Fields, Observed, failed, nanos};
use crate::document::Located;
use crate::journal::Event;
use crate::scenario::EventText;
use crate::scenario::fields::{Field, Holds, field};
use crate::trace::Judgement;
use crate::trace::state::State;
use crate::units::{DurationText, format_duration};

pub(super) const AT: Field = field("at", Holds::Duration, "The moment at which a server or a link is looked at, after all that happened at that moment; by default the end of the run.").written("at = \"3s\"");
pub(super) const FROM: Field = field(
    "from",
    Holds::Duration,
    "Only what is at or after this moment counts; by default from the beginning.",
)
.written("from = \"2s\"");
pub(super) const AFTER: Field = field("after", Holds::Event, "Only what comes after the first such event counts (from the moment `from` on, if that is given): a pattern as of `log`, or one with `by`. If there is no such event, the expectation fails.").written("after = { log = \"link to Juzang is down*\", by = \"Riley\" }");
pub(super) const UNTIL: Field = field(
    "until",
    Holds::Duration,
    "Only what is at or before this moment counts; by default to the end of the run.",
)
.written("until = \"3s\"");
pub(super) const BEFORE: Field = field("before", Holds::Event, "Only what comes before the next such event counts, as `after` names it. If there is no such event, the expectation fails.").written("before = \"STARTS AGAIN*\"");
pub(super) const WITHIN: Field = field(
    "within",
    Holds::Duration,
    "Only what comes up to this long after `after`, or else after `from`, counts.",
)
.written("within = \"100ms\"");
pub(super) const ALWAYS: Field = field("always", Holds::Flag, "It is so at every moment that counts by `from`, `after`, `until`, `before` and `within`; without these, of the whole run.").written("always = true");
pub(super) const NEVER: Field =
    field("never", Holds::Flag, "It is so at none of these moments.").written("never = true");
pub(super) const EVENTUALLY: Field = field(
    "eventually",
    Holds::Flag,
    "It is so at one of these moments at least.",
)
.written("eventually = true");

/// The fields that say which moments are looked at, but for `at`.
const OF_WINDOWS: [&str; 5] = ["from", "after", "until", "before", "within"];

/// A part of a run; the whole, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// It begins at this moment.
    pub from: Duration,
    /// It begins with the first such event from then on.
    pub after: Option<EventText>,
    /// It ends with this moment.
    pub until: Option<Duration>,
    /// It ends before the next such event.
    pub before: Option<EventText>,
    /// It lasts no longer than this.
    pub within: Option<Duration>,
}

/// At how many moments something must be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// At each.
    Always,
    /// At none.
    Never,
    /// At one at least.
    Eventually,
}

impl Quantifier {
    const ALL: [Self; 3] = [Self::Always, Self::Never, Self::Eventually];

    /// The field that says so.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Always => ALWAYS.name,
            Self::Never => NEVER.name,
            Self::Eventually => EVENTUALLY.name,
        }
    }
}

/// The moments at which a state is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moments {
    /// One, after all that happened at that moment; the end of the run, if not given.
    At(Option<Duration>),
    /// All of a part of the run.
    In(Quantifier, Window),
}

/// A window in a run that is over.
pub(super) struct Stretch<'a> {
    /// The events before it.
    before: &'a [Event],
    /// The events in it.
    pub(super) events: &'a [Event],
    /// Its first moment, in nanoseconds.
    since: u64,
    /// Its last moment, in nanoseconds.
    pub(super) last: u64,
    /// Whether the run was over before it.
    is_cut: bool,
}

impl Window {
    /// Its words, with a blank before them; none if it is the whole run.
    pub(super) fn words(&self) -> String {
        let time = |word: &str, at: Duration| format!(" {word} {}", format_duration(at));
        let event = |word: &str, event: &EventText| format!(" {word} {}", event.show());
        let from = (!self.from.is_zero()).then(|| time("from", self.from));
        let words = [
            from,
            self.within.map(|within| time("within", within)),
            self.after.as_ref().map(|after| event("after", after)),
            self.until.map(|until| time("until", until)),
            self.before.as_ref().map(|before| event("before", before)),
        ];
        words.into_iter().flatten().collect()
    }

    pub(super) fn write(&self, fields: &mut Fields<'_>) {
        fields.since(FROM.name, self.from);
        fields.event(AFTER.name, self.after.as_ref());
        if let Some(until) = self.until {
            fields.duration(UNTIL.name, until);
        }
        fields.event(BEFORE.name, self.before.as_ref());
        if let Some(within) = self.within {
            fields.duration(WITHIN.name, within);
        }
    }

    /// Finds it in a run; why there is none, if there is none.
    pub(super) fn of<'a>(&self, run: &Observed<'a>) -> Result<Stretch<'a>, String> {
        let events = &run.trace.events;
        if self.from.max(self.until.unwrap_or_default()) > run.lasted {
            return Err(run.over());
        }
        let find = |from: usize, text: &EventText| {
            let found = events[from..]
                .iter()
                .position(|event| text.matches(run.printed(), event));
            let none = || format!("{} is not in the log then", text.show());
            found.map(|at| from + at).ok_or_else(none)
        };
        let mut since = nanos(self.from);
        let mut begin = events.partition_point(|event| event.at < since);
        if let Some(after) = &self.after {
            let found = find(begin, after)?;
            (begin, since) = (found + 1, events[found].at);
        }
        let lasted = nanos(run.lasted);
        let within = self
            .within
            .map(|within| since.saturating_add(nanos(within)));
        let mut last = within
            .unwrap_or(u64::MAX)
            .min(self.until.map_or(lasted, nanos));
        // An event that came ends it for certain.
        let is_open = self.until.is_none() && self.before.is_none();
        let is_cut = within.is_some_and(|within| within > lasted && is_open);
        let mut end = events.partition_point(|event| event.at <= last);
        if let Some(before) = &self.before {
            let found = find(begin, before)?;
            end = end.min(found);
            last = last.min(events[found].at.saturating_sub(1));
        }
        if end < begin || last < since && self.before.is_none() {
            return Err("it ends before it begins".to_owned());
        }
        Ok(Stretch {
            before: &events[..begin],
            events: &events[begin..end],
            since,
            last,
            is_cut,
        })
    }
}

impl Stretch<'_> {
    /// Fails if more of the window was to come when the run was over.
    pub(super) fn check_whole(&self, run: &Observed<'_>) -> Result<(), String> {
        if self.is_cut { Err(run.over()) } else { Ok(()) }
    }
}

impl Moments {
    /// Whether it is the end of the run.
    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::At(None))
    }

    /// Their words, with a blank before them: ` at 3s`, ` from 2s`.
    pub(super) fn words(&self) -> String {
        match self {
            Self::At(Some(at)) => format!(" at {}", format_duration(*at)),
            Self::At(None) => " at the end".to_owned(),
            Self::In(_, window) => window.words(),
        }
    }

    pub(super) fn write(&self, fields: &mut Fields<'_>) {
        match self {
            Self::At(Some(at)) => fields.duration(AT.name, *at),
            Self::At(None) => {}
            Self::In(quantifier, window) => {
                fields.flag(quantifier.word());
                window.write(fields);
            }
        }
    }

    /// Judges a state at these moments. `concerns` tells the events that could change what `judge` says; `judge` says
    /// nothing of a state that does not put it to the test.
    pub(super) fn judge(
        &self,
        run: &Observed<'_>,
        (about, expected): (String, &str),
        concerns: impl Fn(&Event) -> bool,
        judge: impl Fn(&State<'_>) -> Result<Judgement, String>,
    ) -> Judgement {
        let expected = match self {
            Self::At(_) => expected.to_owned(),
            Self::In(Quantifier::Eventually, _) => format!("{expected}, at some moment"),
            Self::In(quantifier, _) => format!("{} {expected}", quantifier.word()),
        };
        let fail = |actual: &str| failed(about.clone(), &expected, actual);
        let (quantifier, window) = match self {
            Self::At(at) => {
                let judged = run.state(*at).and_then(|state| judge(&state));
                return judged.unwrap_or_else(|why| fail(&why));
            }
            Self::In(quantifier, window) => (*quantifier, window),
        };
        let stretch = match window.of(run) {
            Ok(stretch) => stretch,
            Err(why) => return fail(&why),
        };
        let decides = |judged: &Result<Judgement, String>| match quantifier {
            // A server that does not run has nothing.
            Quantifier::Always => !matches!(judged, Ok(judged) if judged.passed),
            Quantifier::Never | Quantifier::Eventually => {
                matches!(judged, Ok(judged) if judged.passed)
            }
        };
        let mut last = Err("no such moment".to_owned());
        let mut tested = false;
        for (at, judged) in each_moment(&stretch, concerns, judge) {
            tested |= judged.is_ok();
            if decides(&judged) {
                let moment = format_duration(Duration::from_nanos(at));
                let judged = judged.unwrap_or_else(|why| fail(&why));
                return Judgement {
                    passed: quantifier == Quantifier::Eventually,
                    actual: format!("{}, at {moment}", judged.actual),
                    events: judged.events,
                    ..fail("")
                };
            }
            last = judged;
        }
        if quantifier != Quantifier::Eventually
            && let Err(why) = stretch.check_whole(run)
        {
            return fail(&why);
        }
        match last {
            Err(why) if !tested => fail(&why),
            last => {
                let judged = last.unwrap_or_else(|why| fail(&why));
                Judgement {
                    passed: quantifier != Quantifier::Eventually,
                    actual: format!("{}, at last", judged.actual),
                    events: judged.events,
                    ..fail("")
                }
            }
        }
    }
}

/// The judgement at the first moment, and at each later one after all events of which one concerns it.
fn each_moment(
    stretch: &Stretch<'_>,
    concerns: impl Fn(&Event) -> bool,
    judge: impl Fn(&State<'_>) -> Result<Judgement, String>,
) -> Vec<(u64, Result<Judgement, String>)> {
    let all = stretch.before.iter().chain(stretch.events);
    let mut state = State::default();
    let mut judged = Vec::new();
    // The moment of the first judgement is reached by the events before the window and those at its first moment.
    let mut due = true;
    let mut at = stretch.since;
    for event in all {
        let next = event.at.max(stretch.since);
        if next > at {
            if std::mem::take(&mut due) {
                judged.push((at, judge(&state)));
            }
            at = next;
        }
        if event.at > stretch.last {
            break;
        }
        due |= concerns(event);
        state.learn(event);
    }
    if due {
        judged.push((at, judge(&state)));
    }
    judged
}

impl Reading<'_, '_, '_> {
    /// The window that the fields of an expectation give.
    pub(super) fn window(&mut self) -> Window {
        let within = self.get::<Located<DurationText>>(WITHIN.name);
        let begins = self.has(FROM.name) || self.has(AFTER.name);
        if let Some(within) = within.filter(|_| !begins) {
            let message = "`within` needs `after` or `from`: the beginning from which it counts";
            self.cx.error(within.span(), message);
        }
        Window {
            within: within.map(|within| within.0),
            ..self.bounds()
        }
    }

    /// The same without `within`.
    pub(super) fn bounds(&mut self) -> Window {
        let from = self.moment(FROM.name).unwrap_or_default();
        let until = self.moment(UNTIL.name);
        let written = self.get::<Located<DurationText>>(UNTIL.name);
        if let Some(written) = written.filter(|_| until.is_some_and(|until| until < from)) {
            let (until, from) = (format_duration(written.0), format_duration(from));
            let message = format!("`until` is {until}, before `from`, {from}");
            self.cx.error(written.span(), message);
        }
        Window {
            from,
            after: self.event(AFTER.name),
            until,
            before: self.event(BEFORE.name),
            within: None,
        }
    }

    /// The moments at which a state is looked at. `needs` names the fields that say how it is, of which one is given if
    /// `has_state` is set; `counts_in_window` says that other fields count in the window.
    pub(super) fn moments(
        &mut self,
        needs: &str,
        has_state: bool,
        counts_in_window: bool,
    ) -> Moments {
        let at = self.moment(AT.name);
        let mut quantifiers = Quantifier::ALL.into_iter().filter_map(|quantifier| {
            let flag = self.get::<Located<bool>>(quantifier.word());
            let flag = flag.filter(|flag| ***flag)?;
            Some((quantifier, flag.span()))
        });
        let (quantifier, second) = (quantifiers.next(), quantifiers.next());
        if let (Some((first, _)), Some((second, span))) = (&quantifier, second) {
            let message = format!(
                "`{}` and `{}` are two expectations",
                first.word(),
                second.word()
            );
            self.cx.error(span, message);
        }
        let place = |reading: &Self, field: &str| {
            let value = reading.raw.get(field).filter(|_| reading.has(field));
            value.and_then(crate::scenario::fields::RawValue::place)
        };
        if let (Some((first, _)), Some(at)) = (&quantifier, place(self, AT.name)) {
            let message = format!("`at` is one moment, and `{}` is about many", first.word());
            self.cx.error(at, message);
        }
        if let Some((first, span)) = quantifier.clone().filter(|_| !has_state) {
            self.cx
                .error(span, format!("`{}` needs {needs}", first.word()));
        }
        if quantifier.is_none() && (has_state || !counts_in_window) {
            let given = OF_WINDOWS
                .into_iter()
                .find_map(|name| Some((name, place(self, name)?)));
            if let Some((name, place)) = given {
                let message = format!(
                    "`{name}` needs `always = true`, `never = true` or `eventually = true`"
                );
                self.cx.error(place, message);
            }
        }
        match quantifier {
            Some((quantifier, _)) => Moments::In(quantifier, self.window()),
            None => Moments::At(at),
        }
    }
}
