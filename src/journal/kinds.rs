//! The kinds of events, by the names that traces give them.

use super::What;

impl What<'_> {
    /// The kinds of all events, in the order of [`What`].
    pub const KINDS: [&'static str; 34] = [
        "started",
        "stopped",
        "opened",
        "closed",
        "not-accepted",
        "connect-failed",
        "line-in",
        "line-out",
        "refused",
        "accepted",
        "ignored",
        "expired",
        "look-up",
        "link-up",
        "link-down",
        "synchronised",
        "places-asked",
        "places-told",
        "crashed",
        "restarted",
        "powered-off",
        "powered-on",
        "frozen",
        "thawed",
        "refusing",
        "accepting",
        "cut",
        "healed",
        "severed",
        "slowed",
        "skewed",
        "chose",
        "touched",
        "unanswered",
    ];

    /// The kind of the event: what a trace writes under `what`.
    pub const fn kind(&self) -> &'static str {
        Self::KINDS[self.kind_index()]
    }

    /// The place of the kind in [`KINDS`](Self::KINDS).
    pub const fn kind_index(&self) -> usize {
        match self {
            Self::Started { .. } => 0,
            Self::Stopped => 1,
            Self::Opened { .. } => 2,
            Self::Closed { .. } => 3,
            Self::NotAccepted { .. } => 4,
            Self::ConnectFailed { .. } => 5,
            Self::LineIn { .. } => 6,
            Self::LineOut { .. } => 7,
            Self::Refused { .. } => 8,
            Self::Accepted { .. } => 9,
            Self::Ignored { .. } => 10,
            Self::Expired { .. } => 11,
            Self::LookUp { .. } => 12,
            Self::LinkUp { .. } => 13,
            Self::LinkDown { .. } => 14,
            Self::Synchronised { .. } => 15,
            Self::PlacesAsked { .. } => 16,
            Self::PlacesTold { .. } => 17,
            Self::Crashed => 18,
            Self::Restarted => 19,
            Self::PoweredOff => 20,
            Self::PoweredOn => 21,
            Self::Frozen => 22,
            Self::Thawed => 23,
            Self::Refusing => 24,
            Self::Accepting => 25,
            Self::Cut { .. } => 26,
            Self::Healed { .. } => 27,
            Self::Severed { .. } => 28,
            Self::Slowed { .. } => 29,
            Self::Skewed { .. } => 30,
            Self::Chose { .. } => 31,
            Self::Touched { .. } => 32,
            Self::Unanswered { .. } => 33,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_called_as_in_a_trace() {
        let events = [
            What::Stopped,
            What::PoweredOff,
            What::Touched {
                count: 1,
                of: "messages".into(),
            },
            What::Healed { ways: Vec::new() },
        ];
        for event in events {
            let json = serde_json::to_value(&event).unwrap();
            assert_eq!(json["what"], event.kind());
        }
        let last = What::Unanswered {
            to: "A".into(),
            line: b""[..].into(),
        };
        assert_eq!(last.kind_index(), What::KINDS.len() - 1);
    }
}
