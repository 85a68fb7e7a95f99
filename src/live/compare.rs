//! Whether a scenario ends alike in the simulator and on real processes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use crate::journal::{Actor, ConnId, Event, EventKind, Ignored, PeerRole};
use crate::protocol::{escape, fields};
use crate::scenario::SURVEYOR;
use crate::trace::propagation::{Fate, Propagation};
use crate::trace::state::State;
use crate::trace::{Judgement, Trace};
use crate::units::LatencyRange;

/// How far two runs of a scenario agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// What was compared, in words with numbers.
    pub compared: Vec<String>,
    /// What differs: what it is about, what it is in the simulator, what it is in the other run.
    pub differences: Vec<[String; 3]>,
}

/// Compares a run in the simulator with one on real processes: verdicts of what both evaluated, answers but for their
/// skew, and, where servers recorded what they did, the servers that updates reached, by how many hops and which way,
/// and what servers hold at the end.
pub fn compare(simulated: &Trace, live: &Trace) -> Agreement {
    let mut agreement = Agreement::default();
    agreement.of("verdicts", &verdicts(simulated), &verdicts(live));
    agreement.of("answers", &answers(simulated), &answers(live));
    if !live.updates.is_empty() {
        agreement.ways(simulated, live);
        agreement.of("records at the end", &stores(simulated), &stores(live));
    }
    agreement
}

type Facts = BTreeMap<String, String>;

impl Agreement {
    /// Compares what both have. What only one of them evaluated is no difference.
    fn of(&mut self, what: &str, simulated: &Facts, live: &Facts) {
        let both: BTreeSet<&String> = simulated
            .keys()
            .filter(|key| live.contains_key(*key))
            .collect();
        let count = both.len();
        self.compared.push(format!("{count} {what}"));
        let differ = both.into_iter().filter(|key| simulated[*key] != live[*key]);
        let differences =
            differ.map(|key| [key.clone(), simulated[key].clone(), live[key].clone()]);
        self.differences.extend(differences);
    }

    /// Compares by how many hops and which way updates reached servers. Where two ways have the same latency, either is
    /// right, and real time decides; and so it does where an update came late, when a fault was over.
    fn ways(&mut self, simulated: &Trace, live: &Trace) {
        let (mut count, mut ties, mut held_up, mut overtaken) = (0, 0, 0, 0);
        for a in &simulated.updates {
            let Some(b) = live.updates.iter().find(|b| b.name == a.name) else {
                continue;
            };
            for server in &simulated.header.servers {
                count += 1;
                let [one, other] = [a, b].map(|update| path(update, server));
                if one == other {
                    continue;
                }
                let [fast, slow] = [&one, &other].map(|path| latency(simulated, path));
                if one.is_empty() && gave_way(a, server)
                    || other.is_empty() && is_overtaken((live, b), server, fast)
                {
                    overtaken += 1;
                } else if one.is_empty() || other.is_empty() {
                    let about = format!("{}: to {server}", a.name);
                    self.differences.push([about, way(&one), way(&other)]);
                } else if fast == slow && one.len() == other.len() {
                    ties += 1;
                } else if is_held_up(a, server, fast) {
                    held_up += 1;
                } else {
                    let about = format!("{}: to {server}", a.name);
                    self.differences.push([about, way(&one), way(&other)]);
                }
            }
        }
        let others = [
            (ties, "by another way of the same latency"),
            (held_up, "by another way around a fault"),
            (overtaken, "overtaken by a newer update in one of them"),
        ];
        let others = others.iter().filter(|(some, _)| *some > 0);
        let mut compared = format!("{count} ways of updates");
        for (some, how) in others {
            let _ = write!(compared, " ({some} {how})");
        }
        self.compared.push(compared);
    }

    /// The agreement as text for a terminal. A scenario may give a reason why it does not end alike.
    pub fn text(&self, name: &str, reason: Option<&str>) -> String {
        let compared = self.compared.join(", ");
        if self.differences.is_empty() {
            let mut text = format!("SAME: {name} in the simulator and on processes: {compared}\n");
            if reason.is_some() {
                text += "  both agree, so the reason that `live` gives may go\n";
            }
            return text;
        }
        let count = self.differences.len();
        let mut text = match reason {
            Some(_) => format!("EXPLAINED: {name}, {count} of {compared}\n"),
            None => format!("DIFFERENT: {name}, {count} of {compared}\n"),
        };
        if let Some(reason) = reason {
            text += "  ";
            text += reason;
            text += "\n";
            return text;
        }
        for [about, simulated, live] in &self.differences {
            text += "  ";
            text += about;
            text += "\n    simulated:  ";
            text += simulated;
            text += "\n    live:       ";
            text += live;
            text += "\n";
        }
        text
    }
}

/// Whether each expectation and invariant passed. What it is about may contain a skew or a time of the run.
fn verdicts(trace: &Trace) -> Facts {
    let mut facts = Facts::new();
    let mut seen: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    for judgement in &trace.judgements {
        let Judgement { about, place, .. } = judgement;
        let times = seen.entry((about.clone(), place.clone())).or_default();
        *times += 1;
        let at = place
            .as_ref()
            .map_or_else(String::new, |place| format!(" (at {place})"));
        let again = if *times > 1 {
            format!(" #{times}")
        } else {
            String::new()
        };
        let verdict = if judgement.passed { "passed" } else { "failed" };
        facts.insert(format!("{about}{at}{again}"), verdict.to_owned());
    }
    facts
}

/// What each client was answered to each of its lines, without skews and times that depend on a clock. The connections of a
/// client are open at the same time, so that their order says nothing.
fn answers(trace: &Trace) -> Facts {
    let mut asked: BTreeMap<ConnId, (String, VecDeque<String>)> = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut facts = Facts::new();
    for event in &trace.events {
        let Actor::Client(name) = &event.who else {
            continue;
        };
        match &event.what {
            EventKind::Opened { conn, with, .. } => {
                let with = match with {
                    PeerRole::Server(server) => format!("{name} at {server}"),
                    _ => name.to_string(),
                };
                asked.insert(*conn, (with, VecDeque::new()));
            }
            EventKind::LineOut { conn, line } => {
                if let Some((_, lines)) = asked.get_mut(conn) {
                    lines.push_back(without_times(&line.0));
                }
            }
            EventKind::LineIn { conn, line, .. } if **name != *SURVEYOR => {
                let Some((who, lines)) = asked.get_mut(conn) else {
                    continue;
                };
                let line_of_it = lines.pop_front().unwrap_or_default();
                let about = format!("{who}: answer to {line_of_it}");
                let count = counts.entry(about.clone()).or_default();
                *count += 1;
                let again = if *count > 1 {
                    format!(" #{count}")
                } else {
                    String::new()
                };
                facts.insert(format!("{about}{again}"), without_clocks(&line.0));
            }
            _ => {}
        }
    }
    facts
}

/// A client's line without the time in it.
fn without_times(line: &[u8]) -> String {
    let words: Vec<&[u8]> = fields(line).collect();
    match words.as_slice() {
        [b"IAMAT", id, place, _] => format!("IAMAT {} {}", escape(id), escape(place)),
        _ => escape(line),
    }
}

/// The words of an answer's line but for skew and time, and whether a body follows.
fn without_clocks(answer: &[u8]) -> String {
    let mut parts = answer.splitn(2, |&byte| byte == b'\n');
    let line = parts.next().unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    let words: Vec<&[u8]> = fields(line).collect();
    let told = match words.as_slice() {
        [b"AT", server, _, id, place, _] => {
            let told = [*server, *id, *place].map(escape);
            format!("AT {}", told.join(" "))
        }
        [first, second, id, place, ..] if **first == *b"?" => {
            let told = [*first, *second, *id, *place].map(escape);
            told.join(" ")
        }
        _ => escape(line),
    };
    format!("{told} {}", escape(body)).trim_end().to_owned()
}

/// The way of an update to a server; empty if it never came there.
fn path(update: &Propagation, server: &str) -> Vec<String> {
    let path = update.path(server).into_iter();
    path.map(|name| name.to_string()).collect()
}

/// Whether an update took longer to a server than its way takes without faults.
fn is_held_up(update: &Propagation, server: &str, latency: Duration) -> bool {
    let arrival = update.arrival(server);
    arrival.is_some_and(|arrival| {
        arrival.sync || u128::from(arrival.delay) > latency.as_nanos() + PROMPT
    })
}

/// Whether a server had a newer update of the same client by the time at which this one should have come. What is lost and
/// only later replaced by a newer update is not overtaken.
fn is_overtaken((trace, update): (&Trace, &Propagation), server: &str, latency: Duration) -> bool {
    // Its own server had a newer one already: it told nobody of this.
    let Some(origin) = update.arrivals.first() else {
        return matches!(update.fate, Fate::Ignored(Ignored::Older | Ignored::Tied));
    };
    let at = |id| trace.event(id).map(|event| u128::from(event.at));
    let Some(accepted) = at(origin.event) else {
        return false;
    };
    let until = accepted + latency.as_nanos() + LATE;
    let client = |update: &Propagation| update.name.split('#').next().map(str::to_owned);
    let others = trace.updates.iter();
    let mut others = others.filter(|other| client(other) == client(update));
    gave_way(update, server)
        && others.any(|other| {
            let arrival = other.arrival(server);
            let came = arrival.and_then(|arrival| at(arrival.event));
            came.is_some_and(|came| came <= until) && other.name != update.name
        })
}

/// Whether another update came first at a server, which takes precedence over this one, so that it never accepted this.
fn gave_way(update: &Propagation, server: &str) -> bool {
    let is_late = matches!(update.fate, Fate::Ignored(Ignored::Older | Ignored::Tied));
    let mut tied = update.tied.iter();
    (is_late && update.arrivals.is_empty())
        || update.overtaken.iter().any(|name| **name == *server)
        || tied.any(|tied| *tied.server == *server)
}

/// How many nanoseconds after it should have come an update may still be overtaken.
const LATE: u128 = 250_000_000;

/// How many nanoseconds an update that comes at once is late at most: a tick for each hop.
const PROMPT: u128 = 5_000_000;

/// The latencies of a way together, as the scenario has them at first.
fn latency(trace: &Trace, path: &[String]) -> Duration {
    let links = path.windows(2).filter_map(|hop| {
        let mut links = trace.header.links.iter();
        let link = links.find(|link| hop.contains(&link.a) && hop.contains(&link.b))?;
        link.latency.parse::<LatencyRange>().ok()
    });
    links.map(|latency| latency.least).sum()
}

fn way(path: &[String]) -> String {
    match path.len() {
        0 => "never reached".to_owned(),
        servers => format!("{} hops: {}", servers - 1, path.join(" → ")),
    }
}

/// What each running server holds, without skews and times.
fn stores(trace: &Trace) -> Facts {
    let state = State::at(&trace.events, u64::MAX);
    let mut facts = Facts::new();
    for (name, server) in state.servers() {
        for (id, held) in &server.held {
            facts.insert(format!("{name} holds {}", escape(id)), place(held));
        }
        let count = server.held.len();
        facts.insert(format!("{name}: records"), count.to_string());
    }
    facts
}

fn place(held: &Event) -> String {
    held.what.held().map_or_else(String::new, |record| {
        format!("{} of {}", record.location, record.origin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::sim;

    fn trace(location: &str) -> Trace {
        let text = format!(
            "title = \"t\"\nherd = \"riley\"\nsteps = [{{ at = \"1s\", client = \"kiwi\", to = \"Riley\", send = \"IAMAT kiwi {location} {{now}}\" }}]\n\
             [[expect]]\nserver = \"Juzang\"\nrecords = 1\n"
        );
        let (scenario, _) = Scenario::parse("t.toml", &text, None).unwrap();
        sim::run_once(&scenario).unwrap()
    }

    #[test]
    fn equal_runs_agree_and_each_difference_is_told_with_both_values() {
        let (one, other) = (trace("+1+1"), trace("+2+2"));
        let same = compare(&one, &one.clone());
        assert_eq!(same.differences, Vec::<[String; 3]>::new());
        assert!(
            same.text("t", None).starts_with("SAME: t "),
            "{}",
            same.text("t", None)
        );
        let text = compare(&one, &other).text("t", None);
        for wanted in [
            "DIFFERENT: t",
            "Campbell holds kiwi\n    simulated:  +1+1 of Riley\n    live:       +2+2 of Riley\n",
        ] {
            assert!(text.contains(wanted), "{text}");
        }
    }

    #[test]
    fn a_reason_explains_a_difference_and_is_not_needed_without_one() {
        let (one, other) = (trace("+1+1"), trace("+2+2"));
        let text = compare(&one, &other).text("t", Some("the weather"));
        assert!(text.starts_with("EXPLAINED: t, "), "{text}");
        assert!(text.ends_with("\n  the weather\n"), "{text}");
        let text = compare(&one, &one).text("t", Some("the weather"));
        assert!(text.starts_with("SAME: t "), "{text}");
        assert!(
            text.contains("the reason that `live` gives may go"),
            "{text}"
        );
    }

    #[test]
    fn only_an_update_that_was_overtaken_may_be_missing() {
        let text = "title = \"t\"\nherd = \"riley\"\nsteps = [\n\
             { at = \"1s\", client = \"kiwi\", to = \"Riley\", send = \"IAMAT kiwi +1+1 {now}\" },\n\
             { at = \"1100ms\", client = \"kiwi\", to = \"Riley\", send = \"IAMAT kiwi +2+2 {now}\" }]\n\
             [[expect]]\nserver = \"Juzang\"\nrecords = 1\n";
        let (scenario, _) = Scenario::parse("t.toml", text, None).unwrap();
        let simulated = sim::run_once(&scenario).unwrap();
        let mut live = simulated.clone();
        let first = &mut live.updates[0];
        first
            .arrivals
            .retain(|arrival| &*arrival.server != "Campbell");
        let count = |live: &Trace| compare(&simulated, live).differences.len();
        // It was lost.
        assert_eq!(count(&live), 1);
        live.updates[0].overtaken.push("Campbell".into());
        assert_eq!(count(&live), 0);
        // Its server had the newer one first.
        let first = &mut live.updates[0];
        first.arrivals.clear();
        first.overtaken.clear();
        assert_eq!(count(&live), 5);
        live.updates[0].fate = Fate::Ignored(Ignored::Older);
        assert_eq!(count(&live), 0);
    }

    #[test]
    fn what_failed_in_one_world_alone_is_a_difference_and_another_way_of_the_same_latency_is_none()
    {
        let one = trace("+1+1");
        let mut other = one.clone();
        other.judgements[0].passed ^= true;
        assert_eq!(compare(&one, &other).differences.len(), 1);
        let mut other = one.clone();
        // Bernard is two links away by Jaquez and by Juzang.
        for arrival in &mut other.updates[0].arrivals {
            if &*arrival.server == "Bernard" {
                let by = arrival.via.as_deref();
                let by = if by == Some("Juzang") {
                    "Jaquez"
                } else {
                    "Juzang"
                };
                arrival.via = Some(by.into());
            }
        }
        let tied = compare(&one, &other);
        assert_eq!(tied.differences, Vec::<[String; 3]>::new());
        assert!(
            tied.text("t", None).contains("by another way"),
            "{}",
            tied.text("t", None)
        );
    }
}
