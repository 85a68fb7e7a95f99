//! Scenarios in the language of their files, as files and step by step.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::{Action, ClientSet, Drawn, Expected, Held, Party, Scenario, Step, Target};
use crate::herd::{Herd, Link, Name, Server};
use crate::scenario::server::changed;
use crate::scenario::validate::DEFAULT_TICK;
use crate::units::{LatencyRange, format_duration};

mod layout;
mod places;

impl Scenario {
    /// The scenario as a file of TOML, which is read as the same, whether its steps are as written or
    /// [`expanded`](Self::expanded). A herd that is not built in is written within it. What was drawn is written as the
    /// step that it was drawn for; see [`plain`](Self::plain).
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        text.push_str("\nsteps = [\n");
        for step in self.written_steps() {
            let _ = writeln!(text, "  {},", step.to_toml(&self.herd));
        }
        text.push_str("]\n");
        settings(self, &mut text);
        for expect in &self.expects {
            let fields = super::expects::fields(self, &expect.what);
            let sometimes = if expect.sometimes {
                "sometimes = true\n"
            } else {
                ""
            };
            let note = expect.note.as_deref().map(quoted);
            let note = note.map_or_else(String::new, |note| format!("note = {note}\n"));
            let _ = write!(text, "\n[[expect]]\n{fields}{sometimes}{note}");
        }
        for table in &self.places {
            let _ = write!(text, "\n[[places]]\n{}", places::fields(table));
        }
        text
    }

    /// The same scenario in steps that all say what happens: what was drawn for workloads and random steps stands for
    /// them. So single steps can be left out. Each fault must have an effect then, but clients of workloads still
    /// need no answer.
    #[must_use]
    pub fn plain(&self) -> Self {
        let mut plain = self.expanded();
        plain.swarm = false;
        let is_plain = |step: &Step| !matches!(step.action, Action::Drawn(_));
        let workload = |name: &Name, steps: &[Step]| {
            steps.iter().find_map(|step| match &step.action {
                Action::Drawn(Drawn::Workload(load)) if load.name == *name => Some(
                    (1..=load.clients)
                        .map(|number| load.client(number))
                        .collect(),
                ),
                _ => None,
            })
        };
        let talking: BTreeSet<&Name> = (plain.steps.iter())
            .filter_map(|step| match &step.action {
                Action::Client(client) => Some(&client.client),
                _ => None,
            })
            .collect();
        for expect in &mut plain.expects {
            if let Expected::NoLostUpdates(whose @ ClientSet::Workload(_)) = &mut expect.what
                && let ClientSet::Workload(name) = &*whose
                && let Some(all) = workload(name, &plain.steps)
            {
                let mut clients: Vec<Name> = all;
                clients.retain(|client| talking.contains(client));
                *whose = ClientSet::Clients(clients);
            }
        }
        plain.steps.retain(is_plain);
        plain
    }

    /// What stands before the steps.
    fn head(&self, text: &mut String) {
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name} = {value}");
        };
        line("title", &quoted(&self.title));
        if let Some(about) = &self.about {
            line("about", &paragraph(about));
        }
        if let Some(live) = &self.live {
            line("live", &quoted(live));
        }
        line("herd", &herd(&self.herd));
        let seed = self.seed.to_string();
        if self.seed.later().is_empty() {
            line("seed", &seed);
        } else {
            line("seed", &quoted(&seed));
        }
        if self.shuffle {
            line("shuffle", "true");
        }
        // Ticks are the affair of one world.
        if self.tick != DEFAULT_TICK {
            line("tick", &duration(self.tick));
        }
        line("epoch", &quoted(&seconds(self.epoch_ns)));
        let general = most_common(&self.link_latency);
        if let Some(general) = general {
            line("link_latency", &range(general));
        }
        line("client_latency", &range(self.client_latency));
        if self.places_latency != self.client_latency {
            line("places_latency", &range(self.places_latency));
        }
        let special: Vec<String> = (self.herd.links().iter().zip(&self.link_latency))
            .filter(|(link, actual)| link.latency.or(general) != Some(**actual))
            .map(|(link, actual)| {
                format!("{} = {}", quoted(&named(&self.herd, link)), range(*actual))
            })
            .collect();
        if !special.is_empty() {
            line("latency", &format!("{{ {} }}", special.join(", ")));
        }
        if let Some(end) = self.end {
            line("end", &duration(end));
        }
        if let Some(order) = &self.deliver {
            let choices = order.choices.iter();
            line(
                "deliver",
                &list(choices.map(|choice| choice.text(&self.herd))),
            );
        }
        if self.deliver.is_some() && self.held != Held::default() {
            line("held", &quoted(self.held.word()));
        }
        if !self.without.is_empty() {
            let names = self.without.iter().map(|invariant| invariant.name());
            line("without", &list(names));
        }
    }

    /// The steps as the file has them: one that stands for many, and not what was drawn for it. Where nobody asks Places,
    /// nothing is said of it, since that alone would bring it into being.
    fn written_steps(&self) -> impl Iterator<Item = Step> {
        let drawn: BTreeSet<usize> = (self.steps.iter())
            .filter(|step| matches!(step.action, Action::Drawn(_)))
            .map(|step| step.span.start)
            .collect();
        let is_written = move |step: &&Step| match step.action {
            Action::Drawn(Drawn::Chosen(_)) => false,
            Action::Drawn(_) => true,
            _ => !drawn.contains(&step.span.start),
        };
        let written = self.steps.iter().filter(is_written).cloned();
        written.map(|mut step| {
            if !self.asks_places {
                forget_places(&mut step.action);
            }
            step
        })
    }
}

fn forget_places(action: &mut Action) {
    let is_real = |target: &Target| match target.pair() {
        Some((a, b)) => a != Party::Places && b != Party::Places,
        None => true,
    };
    if let Some(targets) = action.targets_mut() {
        targets.retain(is_real);
    }
}

/// The latency that the most links have, the first of them if several are as common.
fn most_common(latencies: &[LatencyRange]) -> Option<LatencyRange> {
    let count = |one: &LatencyRange| latencies.iter().filter(|other| *other == one).count();
    let mut best: Option<(usize, LatencyRange)> = None;
    for latency in latencies {
        let count = count(latency);
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, *latency));
        }
    }
    best.map(|(_, latency)| latency)
}

/// A herd by name, or as an inline table.
fn herd(herd: &Herd) -> String {
    if herd.is_builtin() {
        return quoted(herd.name());
    }
    let mut fields = vec![format!("name = {}", quoted(herd.name()))];
    if let Some(about) = herd.about() {
        fields.push(format!("about = {}", quoted(about)));
    }
    let servers: Vec<String> = (herd.servers().iter().enumerate())
        .map(|(at, server)| self::server(at, server))
        .collect();
    fields.push(format!("servers = [{}]", servers.join(", ")));
    let links: Vec<String> = herd
        .links()
        .iter()
        .map(|link| self::link(herd, link))
        .collect();
    fields.push(format!("links = [{}]", links.join(", ")));
    format!("{{ {} }}", fields.join(", "))
}

/// A server: its name, where it listens where a herd's file would put it.
fn server(at: usize, server: &Server) -> String {
    let Server { name, client, peer } = server;
    let usual = u16::try_from(12_200 + at).is_ok_and(|port| client.port == port)
        && client.host == "127.0.0.1"
        && peer.host == client.host
        && client.port.checked_add(10_000) == Some(peer.port);
    if usual {
        return quoted(name);
    }
    format!(
        "{{ name = {}, host = {}, port = {}, peer_port = {} }}",
        quoted(name),
        quoted(&client.host),
        client.port,
        peer.port
    )
}

fn link(herd: &Herd, link: &Link) -> String {
    let name = quoted(&named(herd, link));
    link.latency.map_or(name.clone(), |latency| {
        format!("{{ between = {name}, latency = {} }}", range(latency))
    })
}

pub(super) fn named(herd: &Herd, link: &Link) -> String {
    format!("{}-{}", herd.server(link.a).name, herd.server(link.b).name)
}

/// The servers' settings, as far as they are not the usual ones.
fn settings(scenario: &Scenario, text: &mut String) {
    let mut changed = changed(&scenario.timing, &scenario.limits);
    let disks = scenario.disks.iter();
    changed.extend(disks.flat_map(|disks| disks.lines()));
    if !changed.is_empty() {
        let _ = write!(text, "\n[server]\n{}\n", changed.join("\n"));
    }
}

/// POSIX seconds with as many decimals as it takes.
fn seconds(nanos: u128) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn duration(duration: Duration) -> String {
    quoted(&format_duration(duration))
}

fn range(latency: LatencyRange) -> String {
    quoted(&latency.to_string())
}

/// A list of strings.
pub(super) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items
        .into_iter()
        .map(|item| quoted(item.as_ref()))
        .collect();
    format!("[{}]", items.join(", "))
}

/// Text of several lines.
fn paragraph(text: &str) -> String {
    if !text.contains('\n') {
        return quoted(text);
    }
    let lines: Vec<String> = text.lines().map(inside_quotes).collect();
    format!("\"\"\"\n{}\n\"\"\"", lines.join("\n"))
}

/// A basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", inside_quotes(text))
}

fn inside_quotes(text: &str) -> String {
    let mut inside = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => inside.extend(['\\', c]),
            c if c.is_control() => inside.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => inside.push(c),
        }
    }
    inside
}

/// A key of TOML.
pub(super) fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}
