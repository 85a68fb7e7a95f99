//! How many files, and so connections, this process may have open, and who gets how many of them.

use super::Failure;
use crate::admin;
use crate::herd::{Herd, ServerId};
use crate::settings::Settings;

/// What a server has open besides connections: listeners, logs, the runtimes' own, names that are looked up, files that
/// are read again, and some to spare.
const OWN: usize = 40;

/// How many a server takes or makes of each kind of connection.
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

    /// How many files all of it needs.
    fn sum(&self, links: usize) -> usize {
        // Each neighbour may be dialled while the connection that it made is still there.
        OWN + admin::MOST + links + self.clients + self.peers + self.places
    }

    /// What remains of each with only `files` files; `None` if that is not enough to serve anybody. Whatever clients
    /// do there are some for servers, operators and Places; clients get the rest.
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

    /// The least number of files with which anything remains.
    fn least(self, links: usize) -> usize {
        let enough = (0..self.sum(links)).find(|&files| self.within(files, links).is_some());
        enough.unwrap_or_else(|| self.sum(links))
    }
}

/// Lets this process have as many files open as its settings may need. If it may not, lowers limits so that clients can't
/// take what others need, and says so.
///
/// # Errors
///
/// When there are too few to serve anybody.
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

/// How many files this process may have open, if that is fewer than `wanted`.
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
