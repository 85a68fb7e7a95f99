//! Validates a herd file as written into a [`Herd`], and reports all mistakes at once.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::raw::{RawHerd, RawLink, RawServer};
use super::split::{Names, split_link};
use super::{Address, Herd, Link, Name, Server, ServerId};
use crate::diag::{Problem, Problems, Source, Span};
use crate::document::{self, Damage, Located, ROOT, TextOr};

const DEFAULT_HOST: &str = "127.0.0.1";
const FIRST_PORT: i64 = 12200;
const PEER_PORT_OFFSET: i64 = 10_000;
const LONGEST_NAME: usize = 64;

/// Words that mean something in scenarios, with their meaning; no server or client may have one as
/// its name.
const RESERVED: [(&str, &str); 4] = [
    ("all", "every server"),
    ("clients", "all clients"),
    ("network", "the network"),
    ("places", "the Places API"),
];

pub(super) fn parse(source: &Arc<Source>) -> Result<(Herd, Problems), Problems> {
    let mut problems = Problems::new();
    let Some(parsed) = document::parse::<RawHerd>(source, &mut problems) else {
        return Err(problems);
    };
    let validator = Validator::new(source, ROOT, &parsed.damage, problems);
    validator.herd(&parsed.value)
}

/// Validates a herd that is written within another file, at `place`. `damage` is that of the whole
/// file.
#[cfg(feature = "sim")]
pub(crate) fn within(
    source: &Arc<Source>,
    place: Span,
    damage: &Damage,
    raw: &RawHerd,
) -> Result<(Herd, Problems), Problems> {
    Validator::new(source, place, damage, Problems::new()).herd(raw)
}

struct Validator<'s> {
    source: &'s Arc<Source>,
    /// The place of the herd in the file.
    root: Span,
    damage: &'s Damage,
    problems: Problems,
    servers: Vec<Server>,
    /// The place of each of `servers` in the file.
    places: Vec<Span>,
    /// Whether `servers` holds all servers that the file lists. If not, an unknown name proves
    /// nothing.
    complete: bool,
}

impl<'s> Validator<'s> {
    fn new(source: &'s Arc<Source>, root: Span, damage: &'s Damage, problems: Problems) -> Self {
        Self {
            source,
            root,
            damage,
            problems,
            servers: Vec::new(),
            places: Vec::new(),
            complete: true,
        }
    }

    fn herd(mut self, raw: &RawHerd) -> Result<(Herd, Problems), Problems> {
        let name = self.herd_name(raw.name.as_ref());
        let host = self.host(raw.host.as_ref(), DEFAULT_HOST);
        self.all_servers(raw.servers.as_ref(), &host);
        let links = match &raw.links {
            Some(links) => self.all_links(links),
            None => Vec::new(),
        };
        let herd = Herd::new(name, raw.about.clone(), self.servers, links);
        if !self.problems.has_errors() && !herd.is_connected() {
            self.problems
                .push(disconnected(self.source, &herd, &self.places));
        }
        self.problems.accept(Some(herd))
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.problems
            .push(Problem::error(self.source, span, message));
    }

    fn herd_name(&mut self, name: Option<&Located<String>>) -> Name {
        let Some(name) = name else {
            if !self.damage.is_at(&self.root) {
                self.error(self.root.clone(), "a herd needs a `name`");
            }
            return Name::from("");
        };
        if let Err(message) = check_name(name, "herd") {
            self.error(name.span(), message);
        }
        Name::from(name.as_str())
    }

    fn host(&mut self, host: Option<&Located<String>>, default: &str) -> String {
        let Some(host) = host else {
            return default.to_owned();
        };
        if !is_host(host) {
            let message = format!("`{}` is neither a host's name nor an IP address", **host);
            let help = "ports are given by `port` and `peer_port`; IPv6 needs no brackets";
            self.problems
                .push(Problem::error(self.source, host.span(), message).help(help));
        }
        host.to_string()
    }

    fn all_servers(&mut self, list: Option<&Located<Vec<Located<TextOr<RawServer>>>>>, host: &str) {
        let Some(list) = list else {
            if !self.damage.is_at(&self.root) {
                self.error(self.root.clone(), "a herd needs `servers`");
            }
            self.complete = false;
            return;
        };
        if self.damage.is_at(&list.span()) {
            self.complete = false;
        } else if list.is_empty() {
            self.error(list.span(), "a herd needs at least one server");
        }
        let mut addresses = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (position, server) in list.iter().enumerate() {
            match self.one_server(server, position, host) {
                Some((built, place)) => {
                    self.check_name_unique(&built, &place, &mut names);
                    self.check_addresses_unique(&built, server, &place, &mut addresses);
                    self.servers.push(built);
                    self.places.push(place);
                }
                None => self.complete = false,
            }
        }
    }

    /// A server, and the place of its name.
    fn one_server(
        &mut self,
        raw: &Located<TextOr<RawServer>>,
        position: usize,
        host: &str,
    ) -> Option<(Server, Span)> {
        let default_port = FIRST_PORT.saturating_add(i64::try_from(position).unwrap_or(i64::MAX));
        let (name, place, host, ports) = match &**raw {
            TextOr::Text(name) => (name, raw.span(), host.to_owned(), (None, None)),
            TextOr::Table(table) => {
                let Some(name) = &table.name else {
                    if !self.damage.is_at(&raw.span()) {
                        self.error(raw.span(), "a server needs a `name`");
                    }
                    return None;
                };
                let host = self.host(table.host.as_ref(), host);
                let ports = (table.port.as_ref(), table.peer_port.as_ref());
                (&**name, name.span(), host, ports)
            }
        };
        if let Err(message) = check_name(name, "server") {
            self.error(place.clone(), message);
        }
        let (client, peer) = self.ports(ports, default_port, &place)?;
        let address = |port| Address {
            host: host.clone(),
            port,
        };
        let server = Server {
            name: Name::from(name.as_str()),
            client: address(client),
            peer: address(peer),
        };
        Some((server, place))
    }

    /// The client port and the peer port, by default if they are not written.
    fn ports(
        &mut self,
        (client, peer): (Option<&Located<i64>>, Option<&Located<i64>>),
        default: i64,
        place: &Span,
    ) -> Option<(u16, u16)> {
        let client_number = client.map_or(default, |port| **port);
        let client_place = client.map_or(place.clone(), Located::span);
        let peer_number = peer.map_or(client_number.saturating_add(PEER_PORT_OFFSET), |p| **p);
        let client = as_port(client_number);
        if client.is_none() {
            let message = format!("port {client_number} is not between 1 and 65535");
            self.error(client_place.clone(), message);
        }
        let other = as_port(peer_number);
        match (client, peer) {
            (_, Some(peer)) if other.is_none() => {
                let message = format!("port {peer_number} is not between 1 and 65535");
                self.error(peer.span(), message);
            }
            (Some(client), None) if other.is_none() => {
                let message =
                    format!("the port for servers, {client} + {PEER_PORT_OFFSET}, is above 65535");
                let problem = Problem::error(self.source, client_place, message);
                self.problems
                    .push(problem.help("give the port as `peer_port`"));
            }
            _ => {}
        }
        client.zip(other)
    }

    /// Reports a name that an earlier server has, too. `taken` are the earlier servers by their
    /// names in small letters.
    fn check_name_unique(
        &mut self,
        server: &Server,
        place: &Span,
        taken: &mut BTreeMap<String, usize>,
    ) {
        let small = server.name.to_ascii_lowercase();
        let position = self.servers.len();
        let earlier = *taken.entry(small).or_insert(position);
        if earlier == position {
            return;
        }
        let other = &self.servers[earlier].name;
        let message = if *other == server.name {
            format!("server `{other}` is listed twice")
        } else {
            format!(
                "servers `{other}` and `{}` differ only in case",
                server.name
            )
        };
        let problem = Problem::error(self.source, place.clone(), message);
        let earlier = self.places[earlier].clone();
        self.problems
            .push(problem.also(earlier, "first listed here"));
    }

    /// Reports the first of a server's two addresses that is taken: the other is usually taken for
    /// the same reason.
    fn check_addresses_unique(
        &mut self,
        server: &Server,
        raw: &Located<TextOr<RawServer>>,
        place: &Span,
        taken: &mut BTreeMap<Address, Span>,
    ) {
        // A port may be among what was cut, so the default that replaces it proves nothing.
        if self.damage.is_any() {
            return;
        }
        let (client, peer) = match &**raw {
            TextOr::Table(table) => (table.port.as_ref(), table.peer_port.as_ref()),
            TextOr::Text(_) => (None, None),
        };
        let client_place = client.map_or(place.clone(), Located::span);
        let peer_place = peer.map_or(client_place.clone(), Located::span);
        for (address, place) in [(&server.client, client_place), (&server.peer, peer_place)] {
            if let Some(earlier) = taken.get(address) {
                let message = format!("address {address} is used twice");
                let problem = Problem::error(self.source, place, message);
                self.problems
                    .push(problem.also(earlier.clone(), "first used here"));
                return;
            }
            taken.insert(address.clone(), place);
        }
    }

    fn all_links(&mut self, list: &Located<Vec<Located<TextOr<RawLink>>>>) -> Vec<Link> {
        let mut links = Vec::new();
        let names: Vec<Name> = self.servers.iter().map(|s| s.name.clone()).collect();
        let names = Names::new(names.iter().map(|name| &**name));
        let mut places: BTreeMap<(ServerId, ServerId), Span> = BTreeMap::new();
        for raw in list.iter() {
            let Some((link, place)) = self.one_link(raw, &names) else {
                continue;
            };
            let ends = (link.a.min(link.b), link.a.max(link.b));
            if let Some(earlier) = places.get(&ends) {
                let (a, b) = (&self.servers[link.a.0].name, &self.servers[link.b.0].name);
                let message = format!("the link between `{a}` and `{b}` is listed twice");
                let problem = Problem::error(self.source, place, message);
                self.problems
                    .push(problem.also(earlier.clone(), "first listed here"));
            } else {
                places.insert(ends, place);
                links.push(link);
            }
        }
        links
    }

    /// A link, and the place of its servers.
    fn one_link(
        &mut self,
        raw: &Located<TextOr<RawLink>>,
        names: &Names<'_>,
    ) -> Option<(Link, Span)> {
        let (text, latency) = match &**raw {
            TextOr::Text(text) => (Located::new(raw.span(), text.clone()), None),
            TextOr::Table(table) => {
                let Some(between) = &table.between else {
                    if !self.damage.is_at(&raw.span()) {
                        self.error(
                            raw.span(),
                            "a link needs `between`, such as \"Riley-Jaquez\"",
                        );
                    }
                    return None;
                };
                (between.clone(), table.latency)
            }
        };
        match split_link(&text, names, self.source) {
            Ok((a, b)) => Some((Link { a, b, latency }, text.span())),
            Err(found) => {
                // The name may be that of a server which was left out as wrong.
                if self.complete {
                    self.problems.extend(found);
                }
                None
            }
        }
    }
}

fn as_port(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port != 0)
}

fn is_host(host: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "[]/".contains(c);
    let is_name = !host.is_empty() && !host.contains(bad);
    is_name && (!host.contains(':') || host.parse::<Ipv6Addr>().is_ok())
}

/// The meaning of a word in scenarios and reports, if no server or client may have it as its name.
pub(crate) fn reserved(name: &str) -> Option<&'static str> {
    let found = RESERVED.iter().find(|(word, _)| *word == name);
    found.map(|(_, meaning)| *meaning)
}

/// Checks the name of a herd or a server. Names go into the line protocol and into file names, so
/// they are kept plain.
fn check_name(name: &str, what: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if let Some(meaning) = reserved(name) {
        return Err(format!(
            "a {what} can't be called `{name}`, which means {meaning}"
        ));
    }
    if starts_well && name.chars().all(plain) && name.len() <= LONGEST_NAME {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no name for a {what}: 1 to {LONGEST_NAME} ASCII letters, digits, `_`, `.` \
         and `-`, beginning with a letter"
    ))
}

/// A warning at the first server that the first one of the file can't reach, which names all parts.
fn disconnected(source: &Arc<Source>, herd: &Herd, places: &[Span]) -> Problem {
    let parts = herd.parts();
    let part = |ids: &Vec<ServerId>| {
        let names: Vec<_> = ids.iter().map(|id| &*herd.server(*id).name).collect();
        names.join(", ")
    };
    let told: Vec<_> = parts.iter().map(part).collect();
    let first_apart = parts.get(1).and_then(|part| part.first());
    let place = first_apart.map_or(ROOT, |id| places[id.0].clone());
    let message = format!(
        "the herd is not connected: no update crosses between {}",
        told.join(" | ")
    );
    Problem::warning(source, place, message).label("no path leads here")
}
