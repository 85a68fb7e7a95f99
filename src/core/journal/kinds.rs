//! The kinds of events, by the names that traces give them.

use super::EventKind;

impl EventKind<'_> {
    /// Whether the event is a fault or the end of one: something that the harness did to a server,
    /// to Places, to a clock or to the network. Random choices and impacts do not count.
    pub const fn is_by_harness(&self) -> bool {
        matches!(
            self,
            Self::Composed { .. }
                | Self::Stopping
                | Self::Reloaded { .. }
                | Self::Upgraded { .. }
                | Self::LinkRemoved { .. }
                | Self::LinkRestored { .. }
                | Self::Crashed
                | Self::Restarted
                | Self::PoweredOff
                | Self::PoweredOn
                | Self::Frozen
                | Self::Thawed
                | Self::Refusing
                | Self::Accepting
                | Self::Cut { .. }
                | Self::Healed { .. }
                | Self::Severed { .. }
                | Self::Slowed { .. }
                | Self::Impaired { .. }
                | Self::Repaired { .. }
                | Self::DiskFaulty { .. }
                | Self::DiskWorks
                | Self::Skewed { .. }
        )
    }

    /// The kind of the event: what a trace writes under `what`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Stopped => "stopped",
            Self::Opened { .. } => "opened",
            Self::Closed { .. } => "closed",
            Self::NotAccepted { .. } => "not-accepted",
            Self::ConnectFailed { .. } => "connect-failed",
            Self::HeldBack { .. } => "held-back",
            Self::LineIn { .. } => "line-in",
            Self::LineOut { .. } => "line-out",
            Self::Refused { .. } => "refused",
            Self::Accepted { .. } => "accepted",
            Self::Ignored { .. } => "ignored",
            Self::Forgotten { .. } => "forgotten",
            Self::Expired { .. } => "expired",
            Self::Restored { .. } => "restored",
            Self::Loaded { .. } => "loaded",
            Self::Damaged { .. } => "damaged",
            Self::Saved { .. } => "saved",
            Self::Compacted { .. } => "compacted",
            Self::NotStarted { .. } => "not-started",
            Self::NotCompacted { .. } => "not-compacted",
            Self::SaveFailed { .. } => "save-failed",
            Self::SavesAgain => "saves-again",
            Self::LookUp { .. } => "look-up",
            Self::Linked { .. } => "linked",
            Self::Unlinked { .. } => "unlinked",
            Self::LinkUp { .. } => "link-up",
            Self::LinkDown { .. } => "link-down",
            Self::Namesakes { .. } => "namesakes",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Synchronised { .. } => "synchronised",
            Self::PlacesAsked { .. } => "places-asked",
            Self::PlacesTold { .. } => "places-told",
            Self::Composed { .. } => "composed",
            Self::Stopping => "stopping",
            Self::Reloaded { .. } => "reloaded",
            Self::Upgraded { .. } => "upgraded",
            Self::LinkRemoved { .. } => "link-removed",
            Self::LinkRestored { .. } => "link-restored",
            Self::Crashed => "crashed",
            Self::Restarted => "restarted",
            Self::PoweredOff => "powered-off",
            Self::PoweredOn => "powered-on",
            Self::Frozen => "frozen",
            Self::Thawed => "thawed",
            Self::Refusing => "refusing",
            Self::Accepting => "accepting",
            Self::Cut { .. } => "cut",
            Self::Healed { .. } => "healed",
            Self::Severed { .. } => "severed",
            Self::Slowed { .. } => "slowed",
            Self::Impaired { .. } => "impaired",
            Self::Repaired { .. } => "repaired",
            Self::DiskFaulty { .. } => "disk-faulty",
            Self::DiskWorks => "disk-works",
            Self::Skewed { .. } => "skewed",
            Self::Chose { .. } => "chose",
            Self::Noted { .. } => "noted",
            Self::Affected { .. } => "affected",
            Self::Unanswered { .. } => "unanswered",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_called_as_in_a_trace() {
        let events = [
            EventKind::Stopped,
            EventKind::PoweredOff,
            EventKind::Affected {
                count: 1,
                of: "messages".into(),
                lasts: false,
            },
            EventKind::Healed { ways: Vec::new() },
            EventKind::Unanswered {
                to: "A".into(),
                line: b""[..].into(),
            },
        ];
        for event in events {
            let json = serde_json::to_value(&event).unwrap();
            assert_eq!(json["what"], event.kind());
        }
    }
}
