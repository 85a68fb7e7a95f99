//! How many files, and so connections, this process may have open.

use crate::settings::Settings;

/// What a server has open besides connections: listeners, logs, the runtime's own, and some to spare.
const SPARE: usize = 96;

/// Lets this process have as many files open as its settings may need; if it may not, says what that means.
#[cfg(unix)]
pub(super) fn allow(settings: &Settings) -> Option<String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = &settings.limits;
    let needed = limits.client_connections + limits.peer_connections;
    let needed = needed + settings.places.in_flight + SPARE;
    let wanted = u64::try_from(needed).unwrap_or(u64::MAX);
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
    (!enough(now)).then(|| {
        let now = now.unwrap_or_default();
        format!(
            "this process may have {now} files open, but its limits allow for connections that need {wanted}: when \
             they come, some will wait; raise the limit (`ulimit -n`, systemd's `LimitNOFILE`) or lower `client-connections`"
        )
    })
}

#[cfg(not(unix))]
pub(super) fn allow(_: &Settings) -> Option<String> {
    None
}
