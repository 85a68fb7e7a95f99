//! A herd: its servers, their addresses, and which of them are linked.
//!
//! A [`Herd`] is only made from a file (or text) that was checked as a whole, so that its users
//! need not check again: names and addresses are unique, and every link joins two different
//! servers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::diag::{Problems, Source};
use crate::units::LatencyRange;

mod graph;
mod load;
mod raw;
#[cfg(feature = "sim")]
mod shape;
mod split;
mod validate;

#[cfg(feature = "sim")]
pub(crate) use self::{
    load::find, raw::RawHerd, split::Names, split::split_all, split::split_link,
    validate::reserved, validate::within,
};
#[cfg(feature = "sim")]
pub use shape::{Shape, ShapeError};

/// A server's or a client's name. Cheap to clone.
pub type Name = Arc<str>;

/// A server of a herd: its index in the herd's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(usize);

impl ServerId {
    /// The server's index in [`Herd::servers`], from 0.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// A TCP address to connect to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// A host's name or IP address, IPv6 without brackets.
    pub host: String,
    /// The TCP port, never 0.
    pub port: u16,
}

impl Address {
    /// Parses `HOST:PORT`, IPv6 with or without brackets. The port may be 0 here, so that the
    /// system chooses one.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = port.parse().ok()?;
        (!host.is_empty()).then_some(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// One server of a herd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The server's name, unique in the herd even when case is ignored.
    pub name: Name,
    /// The address at which it listens for clients.
    pub client: Address,
    /// The address at which it listens for other servers.
    pub peer: Address,
}

/// A link between two servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The server that dials: the one listed first in the link.
    pub a: ServerId,
    /// The server that is dialled.
    pub b: ServerId,
    /// The latency of a message in either direction, if the herd file gives one.
    pub latency: Option<LatencyRange>,
}

impl Link {
    /// The server at the other end, if `id` is at one of them.
    pub fn other(&self, id: ServerId) -> Option<ServerId> {
        match id {
            id if id == self.a => Some(self.b),
            id if id == self.b => Some(self.a),
            _ => None,
        }
    }
}

/// A herd, whose file was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Herd {
    name: Name,
    about: Option<String>,
    servers: Vec<Server>,
    links: Vec<Link>,
    /// For each server the indices of its links, in the order of the file.
    links_of: Vec<Vec<usize>>,
}

impl Herd {
    fn new(name: Name, about: Option<String>, servers: Vec<Server>, links: Vec<Link>) -> Self {
        let mut links_of = vec![Vec::new(); servers.len()];
        for (index, link) in links.iter().enumerate() {
            links_of[link.a.0].push(index);
            links_of[link.b.0].push(index);
        }
        Self {
            name,
            about,
            servers,
            links,
            links_of,
        }
    }

    /// Reads a herd from the text of a file, and returns it with its warnings.
    pub fn parse(source: &Arc<Source>) -> Result<(Self, Problems), Problems> {
        validate::parse(source)
    }

    /// A herd with a server for every name in `links` (such as `["A-B", "B-C"]`), in order of
    /// mention, at ports from 12200.
    ///
    /// ```
    /// let line = proxy_herd::herd::Herd::from_links("line", &["A-B", "B-C"])?;
    /// assert_eq!(line.servers().len(), 3);
    /// # Ok::<(), proxy_herd::diag::Problems>(())
    /// ```
    pub fn from_links(name: &str, links: &[&str]) -> Result<Self, Problems> {
        let mut servers: Vec<&str> = Vec::new();
        for server in links.iter().flat_map(|link| link.split('-')) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        let text = format!("name = {name:?}\nservers = {servers:?}\nlinks = {links:?}\n");
        Self::parse(&Source::new(name, text)).map(|(herd, _)| herd)
    }

    /// The herd's name; servers of herds with different names refuse each other.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether this herd is exactly the built-in one of its name.
    #[cfg(feature = "sim")]
    pub(crate) fn is_builtin(&self) -> bool {
        Self::builtin(&self.name).is_some_and(|builtin| builtin == *self)
    }

    /// What the author says about the herd.
    pub fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// This herd at the addresses of another one; `None` unless both have the same servers and links.
    pub fn at_addresses_of(&self, other: &Self) -> Option<Self> {
        let mut moved = self.clone();
        for server in &mut moved.servers {
            *server = other.server(other.id(&server.name)?).clone();
        }
        let links = |herd: &Self| -> BTreeSet<[Name; 2]> {
            let ends = |link: &Link| {
                let mut ends = [link.a, link.b].map(|id| herd.server(id).name.clone());
                ends.sort_unstable();
                ends
            };
            herd.links.iter().map(ends).collect()
        };
        let is_same = self.servers.len() == other.servers.len() && links(self) == links(other);
        is_same.then_some(moved)
    }

    /// The servers, in the order of the file.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The links, in the order of the file.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// All servers' ids, in the order of the file.
    pub fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.servers.len()).map(ServerId)
    }

    /// A server of this herd.
    ///
    /// An id of another herd may name no server here; that is a bug of the caller, and panics.
    pub fn server(&self, id: ServerId) -> &Server {
        &self.servers[id.0]
    }

    /// The server of exactly this name.
    pub fn id(&self, name: &str) -> Option<ServerId> {
        self.ids().find(|id| &*self.server(*id).name == name)
    }

    /// All servers' names, in the order of the file.
    pub fn server_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.servers.iter().map(|server| &*server.name)
    }
}

/// The JSON Schema of herd files.
#[cfg(feature = "sim")]
pub fn schema() -> serde_json::Value {
    crate::document::schema_of::<RawHerd>()
}

#[cfg(test)]
mod tests;
