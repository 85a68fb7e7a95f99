//! Expectations of links: their state at a moment, and how they synchronise.

use std::time::Duration;

use super::read::{Declaration, Reading};
use super::window::{AFTER, ALWAYS, AT, BEFORE, EVENTUALLY, FROM, Moments, NEVER, UNTIL, WITHIN};
use super::{Expectation, Expected, Fields, Observed, failed, nanos};
use crate::document::{Located, OneOrMany};
use crate::herd::Link;
use crate::journal::{Event, EventId, EventKind};
use crate::scenario::fields::{Holds, field};
use crate::trace::Judgement;
use crate::trace::state::{LinkEnd, LinkState, State};
use crate::scenario::CountRange;
use crate::units::{DurationText, format_duration};

/// What is expected of links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkExpectation {
    /// Which, as indices into the herd's. Never empty.
    pub links: Vec<usize>,
    /// What must be true of each. Never empty.
    pub checks: Vec<LinkCheck>,
}

/// Something that must be true of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkCheck {
    /// It is in this state; a synchronised link is also up.
    Is {
        /// When.
        moments: Moments,
        /// The state.
        state: LinkState,
    },
    /// From the first time that it comes up until both ends are synchronised.
    SynchronisesWithin {
        /// What came before this moment is not looked at.
        since: Duration,
        /// The longest that it may take.
        limit: Duration,
    },
    /// The number of records that both ends together send in that synchronisation.
    Brings {
        /// What came before this moment is not looked at.
        since: Duration,
        /// How many.
        records: CountRange,
    },
}

pub(super) const DECLARATIONS: &[Declaration] = &[Declaration {
    subject: field("link", Holds::Names, "Links: `\"Riley-Juzang\"`, a list, or `\"all\"`. At least one of `is`, `synchronises_within` and `brings` says what must be true of each."),
    fields: &[
        AT,
        ALWAYS,
        NEVER,
        EVENTUALLY,
        FROM,
        AFTER,
        UNTIL,
        BEFORE,
        WITHIN,
        field("is", Holds::State, "The link is `\"up\"`, `\"down\"` or `\"synchronised\"` at the moment `at`, or at moments that `always`, `never` or `eventually` are about. Its worse end counts: it is up when updates flow at both ends, synchronised (and up) when both ends have received what they missed, and otherwise down.").written("is = \"up\""),
        field("since", Holds::Duration, "The moment from which on `synchronises_within` and `brings` look for the link coming up; by default the beginning.").written("since = \"4s\""),
        field("synchronises_within", Holds::Duration, "Both ends are synchronised within this time, counted from when the first end has the link up, at or after `since`.").written("synchronises_within = \"100ms\""),
        field("brings", Holds::Amount, "Both ends together send this number of records in that synchronisation."),
    ],
    read,
}];

fn read(reading: &mut Reading<'_, '_, '_>) -> Option<Expected> {
    let list = reading.get::<OneOrMany>("link")?;
    reading.not_empty(list, "no link is named here");
    let links = reading.cx.links(list);
    let moments = reading.moments("`is`: how the link is then", reading.has("is"), false);
    let since = reading.moment("since").unwrap_or_default();
    let state = reading.get::<Located<LinkState>>("is");
    let within = reading.get::<Located<DurationText>>("synchronises_within");
    let checks = [
        state.map(|state| LinkCheck::Is {
            moments,
            state: **state,
        }),
        within.map(|limit| LinkCheck::SynchronisesWithin {
            since,
            limit: limit.0,
        }),
        (reading.amount("brings")).map(|records| LinkCheck::Brings { since, records }),
    ];
    let at = reading.get::<Located<DurationText>>("at");
    if let Some(at) = at.filter(|_| !reading.has("is")) {
        let message = "`at` needs `is`: how the link is then";
        reading.cx.error(at.span(), message);
    }
    let since = reading.get::<Located<DurationText>>("since");
    let synchronises = reading.has("synchronises_within") || reading.has("brings");
    if let Some(since) = since.filter(|_| !synchronises) {
        let message = "`since` needs `synchronises_within` or `brings`";
        reading.cx.error(since.span(), message);
    }
    reading.needs_one_of(&["is", "synchronises_within", "brings"]);
    let (links, checks) = (links?, checks.into_iter().flatten().collect());
    Some(LinkExpectation { links, checks }.into())
}

impl Expectation for LinkExpectation {
    fn write(&self, fields: &mut Fields<'_>) {
        fields.links("link", &self.links);
        let mut from = None;
        for check in &self.checks {
            match *check {
                LinkCheck::Is { ref moments, state } => {
                    moments.write(fields);
                    fields.text("is", state.word());
                }
                LinkCheck::SynchronisesWithin { since, limit } => {
                    from = Some(since);
                    fields.duration("synchronises_within", limit);
                }
                LinkCheck::Brings { since, records } => {
                    from = Some(since);
                    fields.amount("brings", records);
                }
            }
        }
        if let Some(since) = from {
            fields.since("since", since);
        }
    }

    fn judge(&self, run: &Observed<'_>) -> Vec<Judgement> {
        let herd = &run.scenario.herd;
        let links = self.links.iter().map(|&index| &herd.links()[index]);
        let judged = links.flat_map(|link| self.checks.iter().map(|check| judge(run, link, check)));
        judged.collect()
    }

    fn in_any_order(&self) -> (Option<Expected>, Vec<&'static str>) {
        (None, vec!["link"])
    }
}

fn judge(run: &Observed<'_>, link: &Link, check: &LinkCheck) -> Judgement {
    let name = format!("{}-{}", run.name(link.a), run.name(link.b));
    let since_when = |since| format!("{name} since {}", format_duration(since));
    match *check {
        LinkCheck::Is { ref moments, state } => is(run, &name, link, moments, state),
        LinkCheck::SynchronisesWithin { since, limit } => {
            let about = format!("{}: synchronised after", since_when(since));
            let expected = format!("up to {}", format_duration(limit));
            match synchronised(run, link, since) {
                Err(why) => failed(about, &expected, &why),
                Ok(found) => Judgement {
                    passed: found.took <= nanos(limit),
                    events: found.events,
                    ..failed(
                        about,
                        &expected,
                        &format_duration(Duration::from_nanos(found.took)),
                    )
                },
            }
        }
        LinkCheck::Brings { since, records } => {
            let about = format!("{}: records brought", since_when(since));
            match synchronised(run, link, since) {
                Err(why) => failed(about, &records.to_string(), &why),
                Ok(found) => Judgement {
                    passed: records.contains(found.records),
                    events: found.events,
                    ..failed(about, &records.to_string(), &found.records.to_string())
                },
            }
        }
    }
}

fn is(
    run: &Observed<'_>,
    name: &str,
    link: &Link,
    moments: &Moments,
    expected: LinkState,
) -> Judgement {
    let about = format!("{name}{}", moments.words());
    let of_its_ends = |event: &Event| {
        [link.a, link.b].iter().any(|&id| event.who.name() == run.name(id))
    };
    let words = (about.clone(), expected.word());
    moments.judge(run, words, of_its_ends, |state| {
        let actual = state.link_state(&run.scenario.herd, link);
        let ends = ends(run, state, link).into_iter().flatten();
        Ok(Judgement {
            passed: match expected {
                LinkState::Down => actual == LinkState::Down,
                LinkState::Up | LinkState::Synchronised => actual >= expected,
            },
            events: ends.map(|end| end.by.id).collect(),
            ..failed(about.clone(), expected.word(), actual.word())
        })
    })
}

fn ends<'a>(run: &Observed<'_>, state: &State<'a>, link: &Link) -> [Option<LinkEnd<'a>>; 2] {
    let [a, b] = [link.a, link.b].map(|id| run.name(id));
    [(a, b), (b, a)].map(|(name, peer)| state.server(name)?.link(peer))
}

/// How a link was synchronised.
struct Synchronisation {
    /// Nanoseconds.
    took: u64,
    /// Both directions together.
    records: u64,
    events: Vec<EventId>,
}

/// The first synchronisation after a link came up after `since`; if there is none, why.
fn synchronised(
    run: &Observed<'_>,
    link: &Link,
    since: Duration,
) -> Result<Synchronisation, String> {
    if since > run.lasted {
        return Err(run.over());
    }
    let herd = &run.scenario.herd;
    let [a, b] = [link.a, link.b].map(|id| run.name(id));
    let comes_up = |event: &Event| match &event.what {
        EventKind::LinkUp { peer, .. } => {
            let ends = (event.who.name(), &**peer);
            event.at >= nanos(since) && (ends == (a, b) || ends == (b, a))
        }
        _ => false,
    };
    let mut state = State::default();
    let mut up: Option<&Event> = None;
    for event in &run.trace.events {
        state.learn(event);
        if up.is_none() && comes_up(event) {
            up = Some(event);
        }
        let Some(up) = up else {
            continue;
        };
        if state.link_state(herd, link) == LinkState::Synchronised {
            let ends = ends(run, &state, link);
            let mut events = vec![up.id];
            events.extend(ends.iter().flatten().map(|end| end.by.id));
            return Ok(Synchronisation {
                took: event.at - up.at,
                records: ends.iter().flatten().map(|end| sent(end.by)).sum(),
                events,
            });
        }
    }
    Err(match up {
        None => "it never comes up".to_owned(),
        Some(_) => "it comes up, and is not synchronised".to_owned(),
    })
}

/// How many records an end sent until it was synchronised.
fn sent(event: &Event) -> u64 {
    match event.what {
        EventKind::Synchronised { sent, .. } => sent,
        _ => 0,
    }
}
