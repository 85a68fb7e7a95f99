//! Expectations, as a file says them.

use std::fmt::Write as _;
use std::time::Duration;

use super::{duration, key, list, named, quoted};
use crate::herd::ServerId;
use crate::protocol::escape;
use crate::scenario::{
    Check, ClientSet, Expected, LinkCheck, LogCheck, Scenario, ServerCheck, StateCheck,
};

/// The lines of an expectation.
pub(super) fn fields(scenario: &Scenario, what: &Expected) -> String {
    let mut fields = Fields {
        scenario,
        text: String::new(),
    };
    match what {
        Expected::Update { update, checks } => {
            fields.line("update", &quoted(&update.text));
            fields.update(checks);
        }
        Expected::Servers {
            servers,
            at,
            checks,
        } => fields.servers(servers, *at, checks),
        Expected::Links { links, checks } => fields.links(links, checks),
        Expected::Log(log) => fields.log(log),
        Expected::NoLostUpdates(whose) => {
            match whose {
                ClientSet::Workload(name) => fields.line("workload", &quoted(name)),
                ClientSet::Clients(names) => fields.line("client", &list(names)),
            }
            fields.line("no_lost_updates", "true");
        }
        Expected::Invariants(named) => {
            let names = named.iter().map(|invariant| invariant.name());
            fields.line("invariant", &list(names));
        }
    }
    fields.text
}

struct Fields<'a> {
    scenario: &'a Scenario,
    text: String,
}

impl Fields<'_> {
    fn line(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.text, "{name} = {value}");
    }

    /// A line with a list, unless there is nothing in it.
    fn list_line<T: AsRef<str>>(&mut self, name: &str, items: Vec<T>) {
        if !items.is_empty() {
            self.line(name, &list(items));
        }
    }

    fn table_line(&mut self, name: &str, entries: &[String]) {
        if !entries.is_empty() {
            self.line(name, &format!("{{ {} }}", entries.join(", ")));
        }
    }

    fn name(&self, id: ServerId) -> &str {
        &self.scenario.herd.server(id).name
    }

    fn names(&self, ids: &[ServerId]) -> Vec<String> {
        ids.iter().map(|&id| self.name(id).to_owned()).collect()
    }

    fn update(&mut self, checks: &[Check]) {
        let (mut reaches, mut misses) = (Vec::new(), Vec::new());
        let (mut hops, mut paths) = (Vec::new(), Vec::new());
        let mut rest: Vec<(&str, String)> = Vec::new();
        for check in checks {
            match check {
                Check::Reaches(id) => reaches.push(*id),
                Check::Misses(id) => misses.push(*id),
                Check::Hops(id, count) => hops.push(format!("{} = {count}", key(self.name(*id)))),
                Check::Path(id, path) => {
                    let path = list(self.names(path));
                    paths.push(format!("{} = {path}", key(self.name(*id))));
                }
                // One time limit is for all servers that are named.
                Check::Within { limit, .. } => {
                    if rest.iter().all(|(name, _)| *name != "within") {
                        rest.push(("within", duration(*limit)));
                    }
                }
                Check::Sends(count) => rest.push(("sends", count.to_string())),
                Check::Useful(count) => rest.push(("useful", count.to_string())),
                Check::Duplicates(count) => rest.push(("duplicates", count.to_string())),
                Check::Ignored => rest.push(("ignored", "true".to_owned())),
                Check::Refused => rest.push(("refused", "true".to_owned())),
                Check::Unheard => rest.push(("unheard", "true".to_owned())),
            }
        }
        self.list_line("reaches", self.names(&reaches));
        self.list_line("misses", self.names(&misses));
        self.table_line("hops", &hops);
        self.table_line("path", &paths);
        for (name, value) in rest {
            self.line(name, &value);
        }
    }

    fn servers(&mut self, servers: &[ServerId], at: Option<Duration>, checks: &[ServerCheck]) {
        self.list_line("server", self.names(servers));
        if let Some(at) = at {
            self.line("at", &duration(at));
        }
        let (mut holds, mut lacks) = (Vec::new(), Vec::new());
        let mut counts = Vec::new();
        for check in checks {
            match check {
                ServerCheck::State(StateCheck::Holds(update)) => holds.push(update.text.clone()),
                ServerCheck::State(StateCheck::Lacks(id)) => lacks.push(escape(id)),
                ServerCheck::State(StateCheck::Records(count)) => counts.push(("records", *count)),
                ServerCheck::LookUps(count) => counts.push(("lookups", *count)),
                ServerCheck::Requests(count) => counts.push(("requests", *count)),
            }
        }
        self.list_line("holds", holds);
        self.list_line("lacks", lacks);
        for (name, count) in counts {
            self.line(name, &count.to_string());
        }
    }

    fn links(&mut self, links: &[usize], checks: &[LinkCheck]) {
        let herd = &self.scenario.herd;
        let names = links.iter().map(|&at| named(herd, &herd.links()[at]));
        self.list_line("link", names.collect());
        let mut from = None;
        for check in checks {
            match check {
                LinkCheck::Is { at, state } => {
                    if let Some(at) = at {
                        self.line("at", &duration(*at));
                    }
                    self.line("is", &quoted(state.word()));
                }
                LinkCheck::SynchronisesWithin { since, limit } => {
                    from = Some(*since);
                    self.line("synchronises_within", &duration(*limit));
                }
                LinkCheck::Brings { since, records } => {
                    from = Some(*since);
                    self.line("brings", &records.to_string());
                }
            }
        }
        if let Some(since) = from.filter(|since| !since.is_zero()) {
            self.line("since", &duration(since));
        }
    }

    fn log(&mut self, log: &LogCheck) {
        self.line("log", &quoted(log.pattern.text()));
        if let Some(by) = &log.by {
            self.line("by", &quoted(by));
        }
        if !log.from.is_zero() {
            self.line("from", &duration(log.from));
        }
        if let Some(until) = log.until {
            self.line("until", &duration(until));
        }
        if let Some(times) = log.times {
            self.line("times", &times.to_string());
        }
    }
}
