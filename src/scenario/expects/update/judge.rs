//! What became of an update, compared with what was expected.

use std::time::Duration;

use super::super::observed::{compare, compare_count};
use super::super::{Observed, Window, failed};
use super::Check;
use crate::herd::ServerId;
use crate::journal::EventId;
use crate::trace::Judgement;
use crate::trace::propagation::{Arrival, Fate, Propagation, Use};
use crate::scenario::CountRange;
use crate::units::format_duration;

/// Of an update that its server did not hear or understand, only that can be true, and that
/// servers miss it: that it cost nothing says nothing.
pub(super) fn check(run: &Observed<'_>, update: &Propagation, check: &Check, window: &Window) -> Judgement {
    let mut judgement = check_accepted(run, update, check, window);
    let unknown = match update.fate {
        Fate::Unheard => "it was never heard",
        Fate::Refused(_) => "it was refused",
        Fate::Accepted | Fate::Ignored(_) => return judgement,
    };
    if matches!(check, Check::Misses(_) | Check::Refused | Check::Unheard) {
        return judgement;
    }
    judgement.passed = false;
    unknown.clone_into(&mut judgement.actual);
    judgement
}

fn check_accepted(run: &Observed<'_>, update: &Propagation, check: &Check, window: &Window) -> Judgement {
    let name = &update.name;
    let count = |what: &str, expected: CountRange, counts: &dyn Fn(Use) -> bool| {
        let sends = update.sends.iter().filter(|send| counts(send.result));
        let events: Vec<EventId> = sends.map(|send| send.event).collect();
        compare_count(format!("{name}: {what}"), expected, events)
    };
    match *check {
        Check::Reaches(server) => reaches(run, update, server, true),
        Check::Misses(server) => reaches(run, update, server, false),
        Check::Hops(server, expected) => hops(run, update, server, expected),
        Check::Path(server, ref expected) => path(run, update, server, expected),
        Check::Within { server, limit } => within(run, update, server, limit),
        Check::Arrives(server) => arrives(run, update, server, window),
        Check::Sends(expected) => count("sends", expected, &|_| true),
        Check::Useful(expected) => {
            count("useful sends", expected, &|result| result == Use::Useful)
        }
        Check::Duplicates(expected) => count("duplicate sends", expected, &|result| {
            result == Use::Duplicate
        }),
        Check::Ignored => outcome(update, "is answered and changes nothing", "ignored"),
        Check::Refused => outcome(update, "is refused", "refused"),
        Check::Unheard => outcome(update, "is never heard", "never heard"),
    }
}

fn reaches(run: &Observed<'_>, update: &Propagation, server: ServerId, expected: bool) -> Judgement {
    let arrival = update.arrival(run.name(server));
    let say = |reached| if reached { "yes" } else { "no" };
    compare(
        format!("{}: reaches {}", update.name, run.name(server)),
        &say(expected),
        &say(arrival.is_some()),
        arrival.map(|arrival| arrival.event).into_iter().collect(),
    )
}

fn hops(run: &Observed<'_>, update: &Propagation, server: ServerId, expected: CountRange) -> Judgement {
    let about = format!("{}: hops to {}", update.name, run.name(server));
    match update.arrival(run.name(server)) {
        Some(arrival) => Judgement {
            passed: expected.contains(arrival.hops.into()),
            events: on_the_way(run, update, server),
            ..failed(about, &expected.to_string(), &arrival.hops.to_string())
        },
        None => failed(about, &expected.to_string(), "never reached"),
    }
}

fn path(run: &Observed<'_>, update: &Propagation, server: ServerId, expected: &[ServerId]) -> Judgement {
    let expected: Vec<&str> = expected.iter().map(|&id| run.name(id)).collect();
    let actual = update.path(run.name(server));
    let actual: Vec<&str> = actual.iter().map(|name| &**name).collect();
    let about = format!("{}: path to {}", update.name, run.name(server));
    if actual.is_empty() {
        return failed(about, &expected.join(" → "), "never reached");
    }
    compare(
        about,
        &expected.join(" → "),
        &actual.join(" → "),
        on_the_way(run, update, server),
    )
}

/// How an update reached a server: the events of taking it in, from the origin on.
fn on_the_way(run: &Observed<'_>, update: &Propagation, server: ServerId) -> Vec<EventId> {
    let path = update.path_of(run.name(server)).into_iter();
    path.map(|arrival| arrival.event).collect()
}

fn within(
    run: &Observed<'_>,
    update: &Propagation,
    server: Option<ServerId>,
    limit: Duration,
) -> Judgement {
    let name = server.map_or("every other server that it reaches", |server| {
        run.name(server)
    });
    let about = format!("{}: delay to {name}", update.name);
    // The origin has it at once; that alone proves nothing.
    let slowest = match server {
        Some(server) => update.arrival(run.name(server)),
        None => update.spread().max_by_key(|arrival| arrival.delay),
    };
    let expected = format!("up to {}", format_duration(limit));
    match slowest {
        None => failed(about, &expected, "never reached"),
        Some(slowest) => Judgement {
            about,
            passed: u128::from(slowest.delay) <= limit.as_nanos(),
            expected,
            actual: format!(
                "{} ({})",
                format_duration(Duration::from_nanos(slowest.delay)),
                slowest.server
            ),
            place: None,
            note: None,
            invariant: None,
            events: vec![slowest.event],
        },
    }
}

/// An update that comes to no server does not come in the window either.
fn arrives(
    run: &Observed<'_>,
    update: &Propagation,
    server: Option<ServerId>,
    window: &Window,
) -> Judgement {
    let to = server.map_or("every other server that it reaches", |server| run.name(server));
    let about = format!("{}: arrival at {to}", update.name);
    let expected = window.words().trim_start().to_owned();
    let stretch = match window.of(run) {
        Ok(stretch) => stretch,
        Err(why) => return failed(about, &expected, &why),
    };
    let arrivals: Vec<&Arrival> = match server {
        Some(server) => update.arrival(run.name(server)).into_iter().collect(),
        None => update.spread().collect(),
    };
    let is_in = |arrival: &&&Arrival| stretch.events.iter().any(|event| event.id == arrival.event);
    let outside = arrivals.iter().find(|arrival| !is_in(arrival));
    let Some(shown) = outside.or(arrivals.last()) else {
        return failed(about, &expected, "never reached");
    };
    let at = run.trace.event(shown.event).map_or(0, |event| event.at);
    let at = format_duration(Duration::from_nanos(at));
    Judgement {
        passed: outside.is_none(),
        events: vec![shown.event],
        ..failed(about, &expected, &format!("at {at} ({})", shown.server))
    }
}

/// Compares what its server made of an update with what was expected.
fn outcome(update: &Propagation, words: &str, expected: &str) -> Judgement {
    let actual = match update.fate {
        Fate::Ignored(_) => "ignored",
        Fate::Accepted => "accepted",
        Fate::Refused(_) => "refused",
        Fate::Unheard => "never heard",
    };
    let events = update.sent.into_iter().collect();
    let about = format!("{}: {words}", update.name);
    compare(about, &expected, &actual, events)
}
