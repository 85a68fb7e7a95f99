//! Readiness: whether a load balancer should send clients to a server.

use crate::journal::CloseReason;

/// The history of a link since the server started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSeen {
    /// The name of the neighbour.
    pub peer: String,
    /// The link is up now.
    pub up: bool,
    /// The link was synchronised at least once since the server started.
    pub synchronised: bool,
}

/// Whether a server is ready; an error gives the reasons, one per line.
///
/// A server starts empty, so it waits until each neighbour has sent its records. A neighbour that
/// is unreachable, or never finishes, must not delay the server for ever. After the grace one
/// synchronised neighbour is therefore enough, and none is needed if none is up. If neighbours are
/// reachable but reject the handshake (`unwilling`), the server stays not ready, since most likely
/// its secret or certificate is wrong. A link that was synchronised once counts for good, so a
/// neighbour that dies later takes no server out of rotation. A server whose listener accepts no
/// clients (`shut`) is not ready either.
pub fn ready(
    links: &[LinkSeen],
    unwilling: bool,
    grace_is_over: bool,
    stopping: bool,
    shut: Option<&CloseReason>,
) -> Result<(), Vec<String>> {
    if stopping {
        return Err(vec!["stopping".to_owned()]);
    }
    if let Some(why) = shut {
        return Err(vec![format!("no client can come in: {why}")]);
    }
    let any_synchronised = links.iter().any(|link| link.synchronised);
    let any_up = links.iter().any(|link| link.up);
    let alone = !any_up && !unwilling;
    if grace_is_over && (any_synchronised || alone) {
        return Ok(());
    }
    let missing = links.iter().filter(|link| !link.synchronised);
    let mut reasons: Vec<String> = missing
        .map(|LinkSeen { peer, up, .. }| match up {
            true => format!("the link to {peer} is not synchronised yet"),
            false => format!("{peer} is not reached yet"),
        })
        .collect();
    if reasons.is_empty() {
        return Ok(());
    }
    if !any_up && unwilling {
        reasons.push(
            "neighbours are reachable, but the handshake is rejected: the log says why".to_owned(),
        );
    }
    Err(reasons)
}

#[cfg(test)]
mod tests {
    use super::{LinkSeen, ready};
    use crate::journal::CloseReason;

    fn link(peer: &str, up: bool, synchronised: bool) -> LinkSeen {
        LinkSeen {
            peer: peer.to_owned(),
            up,
            synchronised,
        }
    }

    #[test]
    fn a_server_is_ready_when_its_neighbours_told_it_everything() {
        let whole = link("A", true, true);
        let syncing = link("B", true, false);
        let away = link("C", false, false);
        let died = link("D", false, true);
        let is_ready = |links: &[&LinkSeen], grace_is_over| {
            let links: Vec<LinkSeen> = links.iter().map(|&link| link.clone()).collect();
            ready(&links, false, grace_is_over, false, None).is_ok()
        };
        for (links, before, after) in [
            (&[][..], true, true),
            (&[&whole], true, true),
            (&[&whole, &died], true, true),
            (&[&whole, &away], false, true),
            (&[&whole, &syncing], false, true),
            (&[&away], false, true),
            (&[&away, &syncing], false, false),
            (&[&syncing], false, false),
        ] {
            assert_eq!(is_ready(links, false), before, "{links:?} within the grace");
            assert_eq!(is_ready(links, true), after, "{links:?} after it");
        }
        assert_eq!(
            ready(std::slice::from_ref(&whole), false, true, true, None),
            Err(vec!["stopping".to_owned()])
        );
        assert_eq!(
            ready(&[away.clone(), died], true, true, false, None),
            Ok(())
        );
        assert_eq!(
            ready(&[whole], false, true, false, Some(&CloseReason::Full)),
            Err(vec![
                "no client can come in: too many are connected".to_owned()
            ])
        );
        let alone = ready(std::slice::from_ref(&away), true, true, false, None);
        assert_eq!(alone.expect_err("they are there").len(), 2);
        let why = ready(&[syncing, away], false, false, false, None).expect_err("two are missing");
        assert_eq!(
            why,
            [
                "the link to B is not synchronised yet",
                "C is not reached yet"
            ]
        );
    }
}
