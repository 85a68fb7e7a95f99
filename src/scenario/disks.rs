//! The disks of the servers, as `[server]` says them.

use super::fields::{Field, Holds, RawValue, field};
use super::server::RawServer;
use super::validate::Context;
use crate::diag::{Problem, did_you_mean};
use crate::disk::Durability;
use crate::document::{Located, Section};

/// After how many bytes of its log a server writes a snapshot, where the file does not say: few, since the records of a
/// scenario are few.
const SNAPSHOT_AFTER: u64 = 4096;

/// The setting that gives servers disks.
const DURABILITY: &str = "durability";

/// The setting that says when a snapshot is written.
const AFTER: &str = "snapshot_after";

/// How servers use their disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// When a client's update is answered.
    pub durability: Durability,
    /// A snapshot is written when the log has grown by this number of bytes.
    pub snapshot_after: u64,
}

/// What a table of settings can say of disks.
pub(super) fn fields() -> [Field; 2] {
    [
        field(
            DURABILITY,
            Holds::Text,
            "Each server has a disk, on which it keeps its records over a `crash` and a `power_off`. `\"background\"`: what changed is written and synced within 100 ms, and no answer waits for it. `\"answered\"`: a client is answered when its record is synced. Without it, servers have no disks.",
        )
        .written("durability = \"answered\""),
        field(
            AFTER,
            Holds::Count,
            "A server with a disk writes a snapshot when its log has grown by this number of bytes, and by half of what its records take; `4096` by default.",
        ),
    ]
}

impl DiskSettings {
    /// The lines of a file that say it.
    pub(super) fn lines(self) -> Vec<String> {
        let words = Durability::ALL.iter();
        let mut words = words.filter(|(_, durability)| *durability == self.durability);
        let word = words.next().map_or("", |(word, _)| word);
        let after = (self.snapshot_after != SNAPSHOT_AFTER)
            .then(|| format!("{AFTER} = {}", self.snapshot_after));
        let said = [format!("{DURABILITY} = \"{word}\"")].into_iter();
        said.chain(after).collect()
    }
}

impl Context<'_> {
    /// The disks of all servers, if they have any.
    pub(super) fn read_disks(&mut self, raw: Option<&Section<RawServer>>) -> Option<DiskSettings> {
        let raw = raw?;
        let after = raw.value::<Located<u64>>(AFTER);
        let Some(word) = raw.value::<Located<String>>(DURABILITY) else {
            if let Some(after) = after {
                let message = format!("`{AFTER}` is about disks, and the servers have none");
                let problem = Problem::error(self.source, after.span(), message);
                self.report(problem.help(format!("give them disks by `{DURABILITY}`")));
            }
            return None;
        };
        if let Some(zero) = after.filter(|after| ***after == 0) {
            self.error(zero.span(), format!("`{AFTER}` must be 1 at least"));
        }
        let snapshot_after = after.map_or(SNAPSHOT_AFTER, |after| **after);
        let mut known = Durability::ALL.iter();
        let Some(&(_, durability)) = known.find(|(known, _)| *known == word.as_str()) else {
            let message = format!("unknown `{DURABILITY}` `{}`", **word);
            let words = Durability::ALL.map(|(word, _)| word);
            let help = did_you_mean(word, "words", words);
            self.report(Problem::error(self.source, word.span(), message).help(help));
            return None;
        };
        Some(DiskSettings {
            durability,
            snapshot_after,
        })
    }

    /// Whether none of these settings, which servers get while they run, is about disks.
    pub(super) fn no_disks_in(&mut self, raw: &Section<RawServer>) -> bool {
        let said = [DURABILITY, AFTER].map(|key| (key, raw.get(key).and_then(RawValue::place)));
        for (key, place) in said {
            let Some(place) = place else {
                continue;
            };
            let message = format!("a server that runs keeps its disk, and `{key}` with it");
            let problem = Problem::error(self.source, place, message);
            self.report(problem.help(format!("say `{key}` under `[server]`, for the whole run")));
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn read(server: &str, step: &str) -> Result<Scenario, String> {
        let text = format!(
            "title = \"t\"\nherd = \"riley\"\n\
             steps = [{{ at = \"1s\", client = \"kiwi\", to = \"Riley\", send = \"hello\" }}{step}]\n\
             [server]\n{server}\n"
        );
        let read = Scenario::parse("t.toml", &text, None);
        read.map(|(scenario, _)| scenario)
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn disks_are_read_and_written() {
        let said = |durability, snapshot_after| {
            Some(DiskSettings {
                durability,
                snapshot_after,
            })
        };
        for (server, disks) in [
            ("heartbeat = \"3s\"", None),
            (
                "durability = \"background\"",
                said(Durability::Background, 4096),
            ),
            (
                "durability = \"answered\"\nsnapshot_after = 2000",
                said(Durability::Answered, 2000),
            ),
        ] {
            let scenario = read(server, "").expect(server);
            assert_eq!(scenario.disks, disks);
            let written = scenario.to_toml();
            assert!(written.contains(server), "{written}");
            let (again, _) = Scenario::parse("t.toml", &written, None).expect(&written);
            assert_eq!(again.disks, disks);
        }
    }

    #[test]
    fn what_is_wrong_with_disks_is_told() {
        let reload =
            |said| format!(", {{ at = \"2s\", reload = \"Riley\", settings = {{ {said} }} }}");
        for (server, step, says) in [
            (
                "durability = \"never\"",
                String::new(),
                "unknown `durability` `never`",
            ),
            ("snapshot_after = 9", String::new(), "the servers have none"),
            (
                "durability = \"answered\"\nsnapshot_after = 0",
                String::new(),
                "must be 1 at least",
            ),
            (
                "durability = \"answered\"",
                reload("snapshot_after = 9"),
                "keeps its disk",
            ),
        ] {
            let told = read(server, &step).expect_err(server);
            assert!(told.contains(says), "{server} {step}: {told}");
        }
    }
}
