//! Events that own their data, so that they outlive what they describe.

use std::borrow::Cow;

use super::EventKind;

impl EventKind<'_> {
    /// The same event, owning what it borrowed.
    #[expect(
        clippy::too_many_lines,
        reason = "an arm for each event, and nothing else"
    )]
    pub fn into_owned(self) -> EventKind<'static> {
        match self {
            Self::Started { boot } => EventKind::Started { boot: owned(boot) },
            Self::Stopped => EventKind::Stopped,
            Self::Opened { conn, end, with } => EventKind::Opened { conn, end, with },
            Self::Closed { conn, why } => EventKind::Closed { conn, why },
            Self::NotAccepted { with, why, from } => EventKind::NotAccepted { with, why, from },
            Self::ConnectFailed { to, why } => EventKind::ConnectFailed { to, why },
            Self::HeldBack { conn, limit } => EventKind::HeldBack {
                conn,
                limit: owned(limit),
            },
            Self::LineIn { conn, line } => EventKind::LineIn {
                conn,
                line: line.into_owned(),
            },
            Self::LineOut { conn, line } => EventKind::LineOut {
                conn,
                line: line.into_owned(),
            },
            Self::Refused { why } => EventKind::Refused { why },
            Self::Accepted { record, hops, from } => EventKind::Accepted {
                record: record.into_owned(),
                hops,
                from,
            },
            Self::Ignored { record, why, from } => EventKind::Ignored {
                record: record.into_owned(),
                why,
                from,
            },
            Self::Forgotten { record, from } => EventKind::forgotten(record.into_owned(), from),
            Self::Expired { record } => EventKind::Expired {
                record: record.into_owned(),
            },
            Self::Restored {
                record,
                hops,
                generation,
            } => EventKind::Restored {
                record: record.into_owned(),
                hops,
                generation,
            },
            Self::Loaded {
                records,
                bytes,
                damaged,
                answers_wait,
            } => EventKind::Loaded {
                records,
                bytes,
                damaged,
                answers_wait,
            },
            Self::Damaged { place } => EventKind::Damaged {
                place: owned(place),
            },
            Self::Saved { records, bytes } => EventKind::Saved { records, bytes },
            Self::Compacted { records, bytes } => EventKind::Compacted { records, bytes },
            Self::NotStarted { why } => EventKind::NotStarted { why: owned(why) },
            Self::NotCompacted { why } => EventKind::NotCompacted { why: owned(why) },
            Self::SaveFailed { why, unsaved } => EventKind::SaveFailed {
                why: owned(why),
                unsaved,
            },
            Self::SavesAgain => EventKind::SavesAgain,
            Self::LookUp { client } => EventKind::LookUp {
                client: client.into_owned(),
            },
            Self::Linked { peer } => EventKind::Linked { peer },
            Self::Unlinked { peer } => EventKind::Unlinked { peer },
            Self::LinkUp { peer, conn } => EventKind::LinkUp { peer, conn },
            Self::LinkDown { peer, why } => EventKind::LinkDown { peer, why },
            Self::Namesakes {
                name,
                mine,
                linked,
                linked_by,
                refused,
                conn,
            } => EventKind::Namesakes {
                name,
                mine,
                linked: owned(linked),
                linked_by,
                refused: owned(refused),
                conn,
            },
            Self::Unconfirmed { peer, records } => EventKind::Unconfirmed { peer, records },
            Self::Synchronised {
                peer,
                sent,
                received,
            } => EventKind::Synchronised {
                peer,
                sent,
                received,
            },
            Self::PlacesAsked { request } => EventKind::PlacesAsked {
                request: request.into_owned(),
            },
            Self::PlacesTold { status, fault } => EventKind::PlacesTold {
                status,
                fault: fault.map(owned),
            },
            Self::Composed { fault } => EventKind::Composed {
                fault: owned(fault),
            },
            Self::Stopping => EventKind::Stopping,
            Self::Reloaded { settings } => EventKind::Reloaded {
                settings: owned(settings),
            },
            Self::Upgraded { build } => EventKind::Upgraded {
                build: owned(build),
            },
            Self::LinkRemoved { ways } => EventKind::LinkRemoved { ways },
            Self::LinkRestored { ways } => EventKind::LinkRestored { ways },
            Self::Crashed => EventKind::Crashed,
            Self::Restarted => EventKind::Restarted,
            Self::PoweredOff => EventKind::PoweredOff,
            Self::PoweredOn => EventKind::PoweredOn,
            Self::Frozen => EventKind::Frozen,
            Self::Thawed => EventKind::Thawed,
            Self::Refusing => EventKind::Refusing,
            Self::Accepting => EventKind::Accepting,
            Self::Cut { ways } => EventKind::Cut { ways },
            Self::Healed { ways } => EventKind::Healed { ways },
            Self::Severed { pairs } => EventKind::Severed { pairs },
            Self::Slowed { links, latency } => EventKind::Slowed {
                links,
                latency: owned(latency),
            },
            Self::Impaired {
                ways,
                fault,
                how,
                adds,
                loses,
            } => EventKind::Impaired {
                ways,
                fault: owned(fault),
                how: owned(how),
                adds,
                loses,
            },
            Self::Repaired { ways, fault } => EventKind::Repaired {
                ways,
                fault: owned(fault),
            },
            Self::DiskFaulty {
                fault,
                how,
                forgets,
            } => EventKind::DiskFaulty {
                fault: owned(fault),
                how: owned(how),
                forgets,
            },
            Self::DiskWorks => EventKind::DiskWorks,
            Self::Skewed { by, drift } => EventKind::Skewed { by, drift },
            Self::Chose { step } => EventKind::Chose { step: owned(step) },
            Self::Noted { text } => EventKind::Noted { text: owned(text) },
            Self::Affected { count, of, lasts } => EventKind::Affected {
                count,
                of: owned(of),
                lasts,
            },
            Self::Unanswered { to, line } => EventKind::Unanswered {
                to,
                line: line.into_owned(),
            },
        }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}
