//! Events that outlive what they tell of.

use std::borrow::Cow;

use super::What;

impl What<'_> {
    /// The same, owning what it borrowed.
    #[expect(
        clippy::too_many_lines,
        reason = "an arm for each event, and nothing else"
    )]
    pub fn into_owned(self) -> What<'static> {
        match self {
            Self::Started { boot } => What::Started { boot: owned(boot) },
            Self::Stopped => What::Stopped,
            Self::Opened { conn, end, with } => What::Opened { conn, end, with },
            Self::Closed { conn, why } => What::Closed { conn, why },
            Self::NotAccepted { with, why, from } => What::NotAccepted { with, why, from },
            Self::ConnectFailed { to, why } => What::ConnectFailed { to, why },
            Self::HeldBack { conn, limit } => What::HeldBack {
                conn,
                limit: owned(limit),
            },
            Self::LineIn { conn, line } => What::LineIn {
                conn,
                line: line.into_owned(),
            },
            Self::LineOut { conn, line } => What::LineOut {
                conn,
                line: line.into_owned(),
            },
            Self::Refused { why } => What::Refused { why },
            Self::Accepted { record, hops, from } => What::Accepted {
                record: record.into_owned(),
                hops,
                from,
            },
            Self::Ignored { record, why, from } => What::Ignored {
                record: record.into_owned(),
                why,
                from,
            },
            Self::Forgotten { record, from } => What::forgotten(record.into_owned(), from),
            Self::Expired { record } => What::Expired {
                record: record.into_owned(),
            },
            Self::LookUp { client } => What::LookUp {
                client: client.into_owned(),
            },
            Self::Linked { peer } => What::Linked { peer },
            Self::Unlinked { peer } => What::Unlinked { peer },
            Self::LinkUp { peer, conn } => What::LinkUp { peer, conn },
            Self::LinkDown { peer, why } => What::LinkDown { peer, why },
            Self::Namesakes {
                name,
                mine,
                linked,
                linked_by,
                refused,
                conn,
            } => What::Namesakes {
                name,
                mine,
                linked: owned(linked),
                linked_by,
                refused: owned(refused),
                conn,
            },
            Self::Unconfirmed { peer, records } => What::Unconfirmed { peer, records },
            Self::Synchronised {
                peer,
                sent,
                received,
            } => What::Synchronised {
                peer,
                sent,
                received,
            },
            Self::PlacesAsked { request } => What::PlacesAsked {
                request: request.into_owned(),
            },
            Self::PlacesTold { status, fault } => What::PlacesTold {
                status,
                fault: fault.map(owned),
            },
            Self::Crashed => What::Crashed,
            Self::Restarted => What::Restarted,
            Self::PoweredOff => What::PoweredOff,
            Self::PoweredOn => What::PoweredOn,
            Self::Frozen => What::Frozen,
            Self::Thawed => What::Thawed,
            Self::Refusing => What::Refusing,
            Self::Accepting => What::Accepting,
            Self::Cut { ways } => What::Cut { ways },
            Self::Healed { ways } => What::Healed { ways },
            Self::Severed { pairs } => What::Severed { pairs },
            Self::Slowed { links, latency } => What::Slowed {
                links,
                latency: owned(latency),
            },
            Self::Skewed { by, drift } => What::Skewed { by, drift },
            Self::Chose { step } => What::Chose { step: owned(step) },
            Self::Touched { count, of, lasts } => What::Touched {
                count,
                of: owned(of),
                lasts,
            },
            Self::Unanswered { to, line } => What::Unanswered {
                to,
                line: line.into_owned(),
            },
        }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}
