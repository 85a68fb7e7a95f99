//! What servers are told: their settings, and Places.

use std::path::Path;
use std::time::Duration;

use crate::herd::Address;
use crate::places::{Api, NO_RESULTS};
use crate::scenario::{Action, Pattern, PlacesBody, PlacesTable, Reply, Scenario};
use crate::server::Timing;
use crate::settings::{PlacesUrl, SETTINGS, Settings};

/// Gives a scenario that has no Places one that finds nothing, so that a WHATSAT is answered as in the simulator.
pub(super) fn with_places(scenario: &mut Scenario) {
    if scenario.asks_places {
        return;
    }
    scenario.asks_places = true;
    scenario.places.push(PlacesTable {
        span: 0..0,
        near: None,
        radius: None,
        status: 200,
        body: PlacesBody::Given(NO_RESULTS.as_bytes().to_vec()),
        delay: Duration::ZERO,
        times: None,
        expect: None,
        maybe: true,
        fault: None,
    });
}

/// Replaces exact skews in the replies that are expected by any of the same sign: no real clock gives them.
pub(super) fn with_any_skew(scenario: &mut Scenario) {
    for step in &mut scenario.steps {
        let Action::Client(client) = &mut step.action else {
            continue;
        };
        for reply in client
            .lines
            .iter_mut()
            .filter_map(|line| line.reply.as_mut())
        {
            match reply {
                Reply::Pattern(pattern) | Reply::Not(pattern) => relax(pattern),
                Reply::Any(patterns) => patterns.iter_mut().for_each(relax),
                Reply::Results(_) => {}
            }
        }
    }
}

fn relax(pattern: &mut Pattern) {
    let mut words = pattern.text().splitn(4, ' ');
    if let (Some("AT"), Some(server), Some(skew), Some(rest)) =
        (words.next(), words.next(), words.next(), words.next())
        && let Some(sign) = skew.chars().next().filter(|sign| "+-".contains(*sign))
        && let Ok(relaxed) = Pattern::parse(&format!("AT {server} {sign}* {rest}"))
    {
        *pattern = relaxed;
    }
}

/// A file of settings for `herd serve`. Times are divided by the speed.
pub(super) fn settings(
    scenario: &Scenario,
    speed: u32,
    places: Address,
    (key, data): (&Path, &Path),
) -> String {
    let usual = Settings::default();
    let mut settings = Settings {
        timing: faster(scenario.timing, speed),
        limits: scenario.limits,
        stop_limit: usual.stop_limit / speed,
        places: usual.places.clone(),
        places_url: Some(PlacesUrl {
            encrypted: false,
            address: places,
            path: Api::Legacy.path().to_owned(),
        }),
        places_key_file: Some(key.to_owned()),
        ..usual.clone()
    };
    let asking = &mut settings.places;
    for time in [
        &mut asking.deadline,
        &mut asking.attempt_deadline,
        &mut asking.retry_pause,
        &mut asking.longest_pause,
    ] {
        *time = quicker(*time, speed);
    }
    let keep = &mut settings.limits.keep;
    // A server takes no shorter one.
    let shortest = Duration::from_secs(1);
    keep.time_to_live = (keep.time_to_live).map(|life| quicker(life, speed).max(shortest));
    // All come from one address.
    settings.limits.clients_per_address = settings.limits.client_connections;
    settings.limits.peers_per_address = settings.limits.peer_connections;
    if let Some(disks) = scenario.disks {
        settings.data.dir = Some(data.to_owned());
        settings.data.durability = disks.durability;
        settings.data.snapshot_after = usize::try_from(disks.snapshot_after).unwrap_or(usize::MAX);
        settings.data.sync_every = quicker(settings.data.sync_every, speed);
    }
    let changed = SETTINGS.iter().filter_map(|setting| {
        let (now, usual) = (setting.get(&settings), setting.get(&usual));
        if now == usual {
            return None;
        }
        Some(format!("{} = {}\n", setting.key(), now?))
    });
    changed.collect()
}

fn faster(timing: Timing, speed: u32) -> Timing {
    let mut timing = timing;
    let Timing {
        heartbeat,
        anti_entropy,
        connect_deadline,
        hello_deadline,
        handshake_deadline,
        write_deadline,
        redial_least,
        redial_most,
        idle,
        half_line,
        accept_pause,
        drain,
        ready_grace,
    } = &mut timing;
    for time in [
        heartbeat,
        anti_entropy,
        connect_deadline,
        hello_deadline,
        handshake_deadline,
        write_deadline,
        redial_least,
        redial_most,
        idle,
        half_line,
        accept_pause,
        drain,
        ready_grace,
    ] {
        *time = quicker(*time, speed);
    }
    timing
}

/// Whole milliseconds, of which no time has less than one.
fn quicker(time: Duration, speed: u32) -> Duration {
    let millis = (time / speed).as_millis().max(1);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_skew_becomes_any_of_its_sign() {
        let relaxed = |text: &str| {
            let mut pattern = Pattern::parse(text).unwrap();
            relax(&mut pattern);
            pattern.text().to_owned()
        };
        assert_eq!(
            relaxed("AT Riley +0.005000000 kiwi *"),
            "AT Riley +* kiwi *"
        );
        assert_eq!(
            relaxed("AT Riley -3599.99* kiwi {sent}"),
            "AT Riley -* kiwi {sent}"
        );
        for other in ["AT Riley * kiwi *", "? x +1 y", "AT * kiwi *"] {
            assert_eq!(relaxed(other), other);
        }
    }

    #[test]
    fn times_are_divided_by_the_speed_and_never_zero() {
        let text = "title = \"t\"\nherd = \"riley\"\nsteps = [{ at = \"1s\", crash = \"all\" }]\n[server]\nheartbeat = \"2ms\"";
        let (scenario, _) = Scenario::parse("t.toml", text, None).unwrap();
        let at = |speed| {
            let places = Address::parse("127.0.0.1:1").unwrap();
            settings(&scenario, speed, places, (Path::new("k"), Path::new("d")))
        };
        let lines = at(4);
        assert!(lines.contains("heartbeat = \"1ms\"\n"), "{lines}");
        assert!(lines.contains("redial_least = \"25ms\"\n"), "{lines}");
        assert!(
            lines.contains("places_url = \"http://127.0.0.1:1"),
            "{lines}"
        );
        assert!(!lines.contains("data_dir"), "{lines}");
        assert!(!at(1).contains("redial_least"));
    }
}
