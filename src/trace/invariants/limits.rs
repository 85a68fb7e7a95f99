//! Whether servers keep to what their settings say of clients: limits, rates, deadlines, and how long records live.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::settings::{History, Rules};
use super::skew::Clocks;
use super::stores::Stores;
use super::versions::number;
use super::{Finding, Run, shown};
use crate::journal::{Actor, CloseReason, ConnId, Event, EventKind, PeerRole, RecordText, Source};
use crate::protocol::client::{ClientLine, Refusal};
use crate::units::format_duration;

/// A burst of a rate limit, in nanoseconds, and what rounding may add to it.
const BURST: u64 = 1_001_000_000;

/// Expired records are removed this often, in nanoseconds; three times that is late.
const EXPIRES: u64 = 1_000_000_000;

/// A server never takes more than its limits allow, refuses nobody whom they allow, and hangs up on a client only after the
/// time that its settings give.
pub(super) fn limits_hold(run: &Run<'_>) -> Vec<Finding> {
    let Some(rules) = History::of(run) else {
        return Vec::new();
    };
    let mut limits = Limited {
        run,
        rules,
        stores: Stores::default(),
        clocks: Clocks::of(run),
        clients: BTreeMap::new(),
        stopping: BTreeSet::new(),
        stirred: BTreeMap::new(),
        found: Vec::new(),
    };
    for event in run.events {
        if let Actor::Server(server) = &event.who {
            limits.at_server(server, event);
            limits.clocks.learn(event);
        }
        limits.stores.learn(event);
    }
    limits.at_the_end();
    limits.found
}

/// An open connection of a client.
struct Client<'a> {
    opened: &'a Event,
    /// The last line in.
    heard: Option<&'a Event>,
    /// When the last line came in or went out.
    busy: u64,
    /// The last line out.
    written: u64,
    /// The lines without an answer.
    open: usize,
    /// When the lines so far are paid off, by the rate of the connection.
    paid: u64,
    rate: usize,
}

struct Limited<'a> {
    run: &'a Run<'a>,
    rules: History<'a>,
    stores: Stores<'a>,
    clocks: Clocks<'a>,
    clients: BTreeMap<(&'a str, ConnId), Client<'a>>,
    /// Servers that were told to stop, and pause for nobody.
    stopping: BTreeSet<&'a str>,
    /// When each server last started, thawed, or had its clock or its settings changed.
    stirred: BTreeMap<&'a str, u64>,
    found: Vec<Finding>,
}

impl<'a> Limited<'a> {
    fn at_server(&mut self, server: &'a str, event: &'a Event) {
        match &event.what {
            EventKind::Opened {
                conn,
                with: PeerRole::Client,
                ..
            } => self.opens(server, *conn, event),
            EventKind::LineIn { conn, .. } => self.hears(server, *conn, event),
            EventKind::LineOut { conn, .. } => {
                if let Some(client) = self.clients.get_mut(&(server, *conn)) {
                    client.open = client.open.saturating_sub(1);
                    (client.busy, client.written) = (event.at, event.at);
                }
            }
            EventKind::Closed { conn, why } => {
                if let Some(client) = self.clients.remove(&(server, *conn)) {
                    self.closes(server, &client, event, why);
                }
            }
            EventKind::Refused { why } => self.refuses(server, event, *why),
            EventKind::Accepted {
                record,
                from: Source::Client,
                ..
            } => {
                self.accepts(server, event, record);
            }
            EventKind::Expired { record } => self.expires(server, event, record),
            EventKind::Started { .. }
            | EventKind::Thawed
            | EventKind::Skewed { .. }
            | EventKind::Reloaded { .. } => {
                self.stirred.insert(server, event.at);
                if matches!(event.what, EventKind::Started { .. }) {
                    self.stopping.remove(server);
                }
            }
            EventKind::Frozen => {
                self.stirred.insert(server, u64::MAX);
            }
            EventKind::Stopping | EventKind::Upgraded { .. } => {
                self.stopping.insert(server);
            }
            EventKind::Crashed | EventKind::PoweredOff | EventKind::Stopped => {
                self.clients.retain(|&(of, _), _| of != server);
            }
            _ => {}
        }
    }

    fn opens(&mut self, server: &'a str, conn: ConnId, event: &'a Event) {
        let client = Client {
            opened: event,
            heard: None,
            busy: event.at,
            written: event.at,
            open: 0,
            paid: event.at,
            rate: 0,
        };
        self.clients.insert((server, conn), client);
        let open = self
            .clients
            .range((server, ConnId(0))..=(server, ConnId(u64::MAX)))
            .count();
        let may = |rules: &Rules| open <= rules.limits.client_connections;
        if !self.rules.some(server, event.at, event.at, may) {
            let what =
                format!("{server} serves {open} clients at once, which is more than its limit");
            self.found.push(Finding::new(what, [event]));
        }
    }

    fn hears(&mut self, server: &'a str, conn: ConnId, event: &'a Event) {
        let EventKind::LineIn { line, .. } = &event.what else {
            return;
        };
        let stopping = self.stopping.contains(server);
        let Some(client) = self.clients.get_mut(&(server, conn)) else {
            return;
        };
        client.open += 1;
        client.heard = Some(event);
        client.busy = event.at;
        let from = client.opened.at;
        let fits = |rules: &Rules| line.0.len() <= longest(rules);
        if !self.rules.some(server, from, event.at, fits) {
            let what = format!("{server} takes a line that is longer than its limit");
            self.found.push(Finding::new(what, [event]));
        }
        // With two rates at one moment either may hold, and a new rate begins with a burst.
        let rates = self.rules.all(server, event.at, event.at);
        let mut rates = rates.map(|rules| rules.limits.connection_rate);
        let rate = rates.next().unwrap_or_default();
        let rate = if rates.all(|other| other == rate) {
            rate
        } else {
            0
        };
        if rate == 0 || rate != client.rate {
            (client.rate, client.paid) = (rate, event.at);
        }
        if rate > 0 && !stopping {
            client.paid = client.paid.max(event.at) + 1_000_000_000_u64.div_ceil(rate as u64);
            if client.paid - event.at > BURST {
                client.paid = event.at;
                let what =
                    format!("{server} takes lines of a connection faster than {rate} a second");
                self.found.push(Finding::new(what, [event]));
            }
        }
    }

    /// A server hangs up on a client only for what the client did, or left undone for as long as the settings say.
    fn closes(
        &mut self,
        server: &'a str,
        client: &Client<'a>,
        closed: &'a Event,
        why: &CloseReason,
    ) {
        let heard = client.heard.map_or(client.opened.at, |heard| heard.at);
        let since = |from: u64| Duration::from_nanos(closed.at.saturating_sub(from));
        let holds =
            |from, ok: &dyn Fn(&Rules) -> bool| self.rules.some(server, from, closed.at, ok);
        let lasted = match why {
            CloseReason::Silent if client.open > 0 => {
                let what =
                    format!("{server} hangs up on a client that waits for an answer ({why})");
                self.found.push(Finding::new(what, [client.opened, closed]));
                return;
            }
            CloseReason::Silent
                if !holds(client.busy, &|rules| {
                    since(client.busy) >= rules.timing.idle
                }) =>
            {
                since(client.busy)
            }
            CloseReason::HalfLine
                if !holds(heard, &|rules| since(heard) >= rules.timing.half_line) =>
            {
                since(heard)
            }
            CloseReason::Slow
                if !holds(client.written, &|rules| {
                    since(client.written) >= rules.timing.write_deadline
                }) =>
            {
                since(client.written)
            }
            CloseReason::LineTooLong => {
                let sent = client.heard.and_then(|heard| self.run.cause_of(heard));
                if let Some(EventKind::LineOut { line, .. }) = sent.map(|sent| &sent.what)
                    && !holds(client.opened.at, &|rules| line.0.len() > longest(rules))
                {
                    let what =
                        format!("{server} refuses a line as too long that is within its limit");
                    self.found
                        .push(Finding::new(what, client.heard.into_iter().chain([closed])));
                }
                return;
            }
            _ => return,
        };
        let what = format!(
            "{server} hangs up on a client after {} ({why})",
            format_duration(lasted)
        );
        self.found
            .push(Finding::new(what, client.heard.into_iter().chain([closed])));
    }

    /// Clients of whom a running server holds something else than a tombstone, and the bytes of all records.
    fn held(&self, server: &str) -> (usize, usize) {
        let held = self.stores.of(server).into_iter().flatten();
        let records = held.filter_map(|(_, event)| Some(event.what.held()?.text().len()));
        records.fold((0, 0), |(clients, bytes), record| {
            (clients + 1, bytes + record)
        })
    }

    fn refuses(&mut self, server: &'a str, event: &'a Event, why: Refusal) {
        let Some(heard) = self.run.cause_of(event) else {
            return;
        };
        let EventKind::LineIn { line, .. } = &heard.what else {
            return;
        };
        let is_right = match (why, ClientLine::parse(&line.0)) {
            (Refusal::Full, _) => {
                let (clients, bytes) = self.held(server);
                self.rules.some(server, event.at, event.at, |rules| {
                    let keep = rules.limits.keep;
                    clients >= keep.most_clients || bytes + line.0.len() > keep.most_bytes
                })
            }
            (Refusal::FutureTime, Ok(ClientLine::Iamat { time, .. })) => {
                let Some(clock) = self.clocks.at(server, event.at) else {
                    return;
                };
                let ahead = number(time.text) - clock;
                self.rules.some(server, event.at, event.at, |rules| {
                    rules
                        .limits
                        .keep
                        .future_limit
                        .is_some_and(|most| ahead > nanos(most))
                })
            }
            _ => return,
        };
        if !is_right {
            let what = format!(
                "{server} refuses `{}` ({why}), which its limits allow",
                shown(&line.0)
            );
            self.found.push(Finding::new(what, [heard, event]));
        }
    }

    fn accepts(&mut self, server: &'a str, event: &'a Event, record: &RecordText<'_>) {
        let is_new = self.stores.get(server, &record.client.0).is_none();
        let holds = |ok: &dyn Fn(&Rules) -> bool| self.rules.some(server, event.at, event.at, ok);
        // Counting costs a look at all records, so it is done where there is a limit that they can reach.
        let is_limited = !holds(&|rules| rules.limits.keep.most_clients > 10_000);
        if is_new && is_limited {
            let (clients, _) = self.held(server);
            if !holds(&|rules| clients < rules.limits.keep.most_clients) {
                let what =
                    format!("{server} takes a new client and knows {clients}, which is its limit");
                self.found.push(Finding::new(what, [event]));
            }
        }
        let ahead = -number(&record.skew.0);
        if !holds(&|rules| {
            rules
                .limits
                .keep
                .future_limit
                .is_none_or(|most| ahead <= nanos(most))
        }) {
            let what =
                format!("{server} takes a time that is further ahead of its clock than its limit");
            self.found.push(Finding::new(what, [event]));
        }
    }

    /// The moment by a server's clock after which a record is too old, by rules with a time to live.
    fn outlives(&self, server: &str, at: u64, by: u64, record: &RecordText<'_>) -> Option<bool> {
        let clock = self.clocks.at(server, at)? - i128::from(by);
        let age = clock - number(&record.time.0) - number(&record.skew.0);
        let from = at.saturating_sub(by);
        Some(!self.rules.some(server, from, at, |rules| {
            rules
                .limits
                .keep
                .time_to_live
                .is_none_or(|most| age <= nanos(most))
        }))
    }

    fn expires(&mut self, server: &'a str, event: &'a Event, record: &RecordText<'_>) {
        let clock = self.clocks.at(server, event.at);
        let age = clock.map(|clock| clock - number(&record.time.0) - number(&record.skew.0));
        let is_over = |rules: &Rules| {
            let most = rules.limits.keep.time_to_live;
            most.zip(age).is_some_and(|(most, age)| age > nanos(most))
        };
        if age.is_some() && !self.rules.some(server, event.at, event.at, is_over) {
            let what = format!("{server} forgets {} before its time is over", record.client);
            self.found.push(Finding::new(what, [event]));
        }
    }

    /// No record that is held at the end has been over for long.
    fn at_the_end(&mut self) {
        let Some(last) = self.run.events.last() else {
            return;
        };
        for server in self.run.herd.server_names() {
            let stirred = self.stirred.get(server).copied().unwrap_or_default();
            if last.at < stirred.saturating_add(4 * EXPIRES) {
                continue;
            }
            let held = self.stores.of(server).into_iter().flatten();
            let old = held.filter_map(|(_, event)| Some((event, event.what.held()?)));
            let old = old
                .filter(|(_, record)| {
                    self.outlives(server, last.at, 3 * EXPIRES, record) == Some(true)
                })
                .map(|(event, record)| {
                    let what =
                        format!("{server} still holds {}, whose time is over", record.client);
                    Finding::new(what, [*event])
                });
            let old: Vec<Finding> = old.collect();
            self.found.extend(old);
        }
    }
}

/// The longest line of a client.
fn longest(rules: &Rules) -> usize {
    rules
        .limits
        .client_line
        .min(crate::server::Limits::MOST_CLIENT_LINE)
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}
