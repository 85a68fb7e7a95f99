//! The limit of open files, which also limits connections, and how a server divides it.

use super::Failure;
use crate::admin;
use crate::herd::{Herd, ServerId};
use crate::settings::Settings;

/// The number of files that a server needs besides connections: listeners, logs, those of the
/// runtimes, name look-ups, files that are read again, and a reserve.
const OWN: usize = 40;

/// The maximum number of connections of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shares {
    clients: usize,
    peers: usize,
    places: usize,
}

impl Shares {
    fn of(settings: &Settings) -> Self {
        Self {
            clients: settings.limits.client_connections,
            peers: settings.limits.peer_connections,
            places: settings.places.in_flight,
        }
    }

    /// The number of files that these connections and the rest of the server need.
    fn sum(&self, links: usize) -> usize {
        // A neighbour can be dialled while a connection that it made is still open, so links count
        // in addition to `peers`.
        OWN + admin::MOST + links + self.clients + self.peers + self.places
    }

    /// The shares that fit into `files` open files. Servers and Places get reserved shares,
    /// whatever clients do; clients get the rest. `None` if nothing is left for clients.
    fn within(self, files: usize, links: usize) -> Option<Self> {
        let rest = files.checked_sub(OWN + admin::MOST + links)?;
        let peers = self.peers.min((2 * links).max(rest / 4).max(1));
        let places = self.places.min((rest / 8).max(2));
        let clients = rest.checked_sub(peers + places)?.min(self.clients);
        let shares = Self {
            clients,
            peers,
            places,
        };
        (clients > 0).then_some(shares)
    }

    /// The smallest number of files with which clients can be served.
    fn least(self, links: usize) -> usize {
        let enough = (0..self.sum(links)).find(|&files| self.within(files, links).is_some());
        enough.unwrap_or_else(|| self.sum(links))
    }
}

/// Raises this process's limit of open files to what its settings need. If that is not allowed,
/// lowers the limits of connections so that clients cannot use up the others' share, and returns a
/// warning about it.
///
/// # Errors
///
/// If there are too few files to serve any client.
pub(super) fn share(
    settings: &mut Settings,
    herd: &Herd,
    me: ServerId,
) -> Result<Option<String>, Failure> {
    let links = herd.links().iter();
    let links = links.filter(|link| link.other(me).is_some()).count();
    let wanted = Shares::of(settings);
    let Some(files) = too_few(wanted.sum(links)) else {
        return Ok(None);
    };
    let help = "raise the limit (`ulimit -n`, systemd's `LimitNOFILE`)";
    let Some(shares) = wanted.within(files, links) else {
        let least = wanted.least(links);
        return Err(Failure::Input(format!(
            "this process may have {files} files open, and a server with {links} links needs {least}\nhelp: {help}"
        )));
    };
    settings.limits.client_connections = shares.clients;
    settings.limits.peer_connections = shares.peers;
    settings.places.in_flight = shares.places;
    let Shares {
        clients,
        peers,
        places,
    } = shares;
    Ok(Some(format!(
        "this process may have {files} files open, but its limits allow for connections that need {}: it takes {clients} \
         clients at a time instead of {} and {peers} servers instead of {}, and has {places} requests to Places under way \
         instead of {}, so that none of them keeps the others out; {help} or lower `client-connections`",
        wanted.sum(links),
        wanted.clients,
        wanted.peers,
        wanted.places
    )))
}

/// Raises the limit of open files to `wanted`. Returns the limit if it is still lower.
#[cfg(unix)]
fn too_few(wanted: usize) -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if enough(current) {
        return None;
    }
    let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit {
        current: Some(raised),
        maximum,
    };
    let _ = setrlimit(Resource::Nofile, raised);
    let now = getrlimit(Resource::Nofile).current;
    let now = now.filter(|&now| now < wanted)?;
    Some(usize::try_from(now).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn too_few(_: usize) -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::Shares;

    const WANTED: Shares = Shares {
        clients: 10_000,
        peers: 256,
        places: 64,
    };

    #[test]
    fn whoever_is_short_of_files_has_some_for_everybody() {
        for links in 0..=20 {
            let least = WANTED.least(links);
            for files in least..=WANTED.sum(links) {
                let shares = WANTED.within(files, links).expect("it is enough");
                let Shares {
                    clients,
                    peers,
                    places,
                } = shares;
                assert!(shares.sum(links) <= files, "{files}: {shares:?}");
                assert!(clients > 0 && places > 1 && peers >= (2 * links).max(1));
            }
            assert_eq!(WANTED.within(WANTED.sum(links), links), Some(WANTED));
        }
        let few = Shares {
            clients: 27,
            peers: 10,
            places: 5,
        };
        assert_eq!(WANTED.within(100, 2), Some(few));
    }
}
