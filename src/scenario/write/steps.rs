//! Steps in the scenario file's own language.

use std::time::Duration;

use super::quoted;
use crate::herd::{Herd, ServerId, split_all};
use crate::scenario::faults::pairs;
use crate::scenario::{
    Action, CLIENTS, ClientStep, ClockOwner, Direction, Drawn, Fault, FaultKind, PLACES, Party,
    Random, Route, Shape, Step, Target, Value, Workload,
};
use crate::units::format_duration;

impl Step {
    /// The step as an inline table of TOML. In place of the step that it was read from it is read
    /// as the same.
    ///
    /// One step is not written exactly: a `heal` that heals what several cuts of different shape left over names
    /// every party concerned.
    pub fn to_toml(&self, herd: &Herd) -> String {
        let mut table = Table::new(herd);
        table.text("at", &format_duration(self.at));
        table.action(&self.action);
        format!("{{ {} }}", table.fields.join(", "))
    }
}

/// An inline table under construction.
struct Table<'a> {
    herd: &'a Herd,
    fields: Vec<String>,
}

impl<'a> Table<'a> {
    fn new(herd: &'a Herd) -> Self {
        let fields = Vec::new();
        Self { herd, fields }
    }

    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        self.fields.push(format!("{name} = {value}"));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.field(name, quoted(value));
    }

    fn duration(&mut self, name: &str, duration: Duration) {
        self.text(name, &format_duration(duration));
    }

    /// A lone string, or a list. The word for all must not be taken for it.
    fn list(&mut self, name: &str, items: &[String]) {
        match items {
            [one] if one != "all" => self.text(name, one),
            _ => {
                let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
                self.field(name, format!("[{}]", items.join(", ")));
            }
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Begin(fault) => self.fault(fault),
            Action::End(kind, targets) => self.end(*kind, targets),
            Action::Client(client) => self.client(client),
            Action::Workload(workload) | Action::Drawn(Drawn::Workload(workload)) => {
                self.workload(workload);
            }
            Action::Random(random) | Action::Drawn(Drawn::Random(random, _)) => self.random(random),
        }
    }

    fn names(&self, servers: &[ServerId]) -> Vec<String> {
        let names = servers.iter();
        names
            .map(|&id| self.herd.server(id).name.to_string())
            .collect()
    }

    fn parties(&self, parties: &[Party]) -> Vec<String> {
        let name = |party: &Party| party.name(self.herd).to_string();
        parties.iter().map(name).collect()
    }

    fn fault(&mut self, fault: &Fault) {
        let (field, ways) = (fault.kind.name, pairs(&fault.targets));
        match fault.kind.targets {
            Shape::BothWays => {
                let (here, there) = sides(ways.into_iter().step_by(2));
                self.between(field, &here, &there);
            }
            Shape::Pairs => {
                let (here, there) = sides(ways.into_iter());
                self.between(field, &here, &there);
            }
            Shape::OneWay => {
                let (here, there) = sides(ways.into_iter().map(|(a, b)| (b, a)));
                match self.link(&there, &here) {
                    Some(link) => self.text(field, &link),
                    None => self.from(field, &here, &there),
                }
            }
            Shape::Parties | Shape::Routes | Shape::Clocks => {
                let names: Vec<String> = (fault.targets.iter())
                    .filter_map(|target| self.name(target))
                    .collect();
                self.list(field, &names);
            }
        }
        for (name, value) in fault.values.written() {
            match value {
                Value::Count(count) => self.field(name, count),
                Value::Latency(_) | Value::Difference(_) | Value::Duration(_) => {
                    self.text(name, &value.to_string());
                }
            }
        }
    }

    fn end(&mut self, kind: FaultKind, targets: &[Target]) {
        let word = kind.end_word().unwrap_or_default();
        if kind.targets == Shape::BothWays {
            self.heal(word, &pairs(targets));
            return;
        }
        let names: Vec<String> = targets.iter().filter_map(|one| self.name(one)).collect();
        self.list(word, &names);
    }

    /// What one target is called, if it has a name of its own.
    fn name(&self, target: &Target) -> Option<String> {
        let name = |id: ServerId| &self.herd.server(id).name;
        Some(match target {
            Target::Party(party) => party.name(self.herd).to_string(),
            Target::Route(Route::Link(at)) => {
                let link = &self.herd.links()[*at];
                format!("{}-{}", name(link.a), name(link.b))
            }
            Target::Route(Route::Clients) => CLIENTS.to_owned(),
            Target::Route(Route::Places) => PLACES.to_owned(),
            Target::Clock(ClockOwner::Server(id)) => name(*id).to_string(),
            Target::Clock(ClockOwner::Client(name)) => name.to_string(),
            Target::Direction(_) | Target::Pair(..) => return None,
        })
    }

    fn servers(&mut self, field: &str, servers: &[ServerId]) {
        let names = self.names(servers);
        self.list(field, &names);
    }

    fn heal(&mut self, field: &str, ways: &[Direction]) {
        let (here, there) = sides(ways.iter().step_by(2).copied());
        if both_ways(&here, &there).eq(ways.iter().copied()) {
            self.between(field, &here, &there);
            return;
        }
        // Ways that were cut alone are healed by naming both ends, and those that were cut twice by all.
        let (here, there) = sides(ways.iter().copied());
        let twice = |(at, way): (usize, &Direction)| ways[..at].contains(way);
        if here.iter().any(|party| there.contains(party)) || ways.iter().enumerate().any(twice) {
            self.text(field, "all");
        } else {
            self.between(field, &here, &there);
        }
    }

    /// Two sides: as one link, if they are one and it can be read in one way only.
    fn between(&mut self, field: &str, here: &[Party], there: &[Party]) {
        match self.link(here, there) {
            Some(link) => self.text(field, &link),
            None => self.from(field, here, there),
        }
    }

    fn from(&mut self, field: &str, here: &[Party], there: &[Party]) {
        let (here, there) = (self.parties(here), self.parties(there));
        self.list(field, &here);
        self.list("from", &there);
    }

    fn link(&self, here: &[Party], there: &[Party]) -> Option<String> {
        let (&[Party::Server(a)], &[Party::Server(b)]) = (here, there) else {
            return None;
        };
        let (a, b) = (&self.herd.server(a).name, &self.herd.server(b).name);
        let link = format!("{a}-{b}");
        let is_plain = self.herd.id(&link).is_none() && split_all(&link, self.herd).len() == 1;
        is_plain.then_some(link)
    }

    fn client(&mut self, client: &ClientStep) {
        self.text("client", &client.client);
        if let Some(clients) = client.clients {
            self.field("clients", clients);
        }
        self.servers("to", &client.to);
        let sent: Vec<String> = (client.lines.iter())
            .map(|line| line.send.text().to_owned())
            .collect();
        self.lines("send", &sent);
        let replies: Vec<String> = (client.lines.iter())
            .filter_map(|line| Some(line.reply.as_ref()?.text().to_owned()))
            .collect();
        if !replies.is_empty() {
            self.lines("reply", &replies);
        }
        if client.no_reply {
            self.field("no_reply", true);
        }
        if client.maybe {
            self.field("maybe", true);
        }
        if client.times != 1 || (!client.every.is_zero() && client.clients.is_none()) {
            self.field("times", client.times);
        }
        if !client.every.is_zero() {
            self.duration("every", client.every);
        }
    }

    /// As [`list`](Self::list), where no word has a meaning of its own.
    fn lines(&mut self, field: &str, lines: &[String]) {
        if let [one] = lines {
            self.text(field, one);
        } else {
            self.list(field, lines);
        }
    }

    fn workload(&mut self, workload: &Workload) {
        self.text("workload", &workload.name);
        self.field("clients", workload.clients);
        self.servers("to", &workload.to);
        self.field("rate", workload.rate);
        self.duration("lasts", workload.lasts);
        self.field("whatsat", workload.whatsat);
        if let Some(answered) = workload.answered {
            self.field("answered", answered);
        }
    }

    fn random(&mut self, random: &Random) {
        let faults = random.faults.iter();
        let faults = faults.map(|(fault, mean)| {
            let mean = quoted(&format_duration(*mean));
            format!("{} = {mean}", fault.name)
        });
        let faults: Vec<String> = faults.collect();
        self.field("random", format!("{{ {} }}", faults.join(", ")));
        self.duration("lasts", random.lasts);
        self.text("holds", &random.holds.to_string());
        self.servers("of", &random.of);
        if random.maybe {
            self.field("maybe", true);
        }
    }
}

/// Everybody who is first in a pair, and everybody who is second, each once.
fn sides(pairs: impl Iterator<Item = (Party, Party)>) -> (Vec<Party>, Vec<Party>) {
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for (a, b) in pairs {
        for (side, party) in [(&mut here, a), (&mut there, b)] {
            if !side.contains(&party) {
                side.push(party);
            }
        }
    }
    (here, there)
}

/// What a cut of everybody here from everybody there cuts.
fn both_ways(here: &[Party], there: &[Party]) -> impl Iterator<Item = Direction> {
    let pairs = here
        .iter()
        .flat_map(|&a| there.iter().map(move |&b| (a, b)));
    pairs.flat_map(|(a, b)| [(a, b), (b, a)])
}
