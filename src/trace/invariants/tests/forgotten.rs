//! Clients that an operator had forgotten, by handmade events: no step of a scenario does so.

use super::stop::Told;
use super::*;
use crate::journal::{ConnId, Ignored, RecordText};
use crate::protocol::peer::{PeerLine, Update};
use crate::protocol::record::Record;

/// The connection between `A` and `B`, and the one between `B` and `C`.
const A_B: u64 = 1;
const B_C: u64 = 2;

/// What an `AT` or `HAVE` says.
fn update(line: &str) -> Update {
    match PeerLine::parse(line.as_bytes()) {
        Ok(PeerLine::At(update)) => update,
        other => panic!("{line}: {other:?}"),
    }
}

fn text(line: &str) -> Text<'static> {
    Text(line.as_bytes().to_vec().into())
}

fn owned(record: &Record) -> RecordText<'static> {
    RecordText::from(record).into_owned()
}

impl Told {
    /// A client's line, which `B` accepts; its record, as `B` then passes it on.
    fn client_says(&mut self, time: &str) {
        let line = text(&format!("IAMAT kiwi +1+1 {time}"));
        let heard = EventKind::LineIn {
            conn: ConnId(9),
            line,
        };
        let heard = self.tell("B", None, heard);
        let line = format!("AT B +0.000000000 kiwi +1+1 {time} 1");
        let accepted = EventKind::Accepted {
            record: owned(&update(&line).record),
            hops: 0,
            from: Source::Client,
        };
        self.tell("B", Some(heard), accepted);
    }

    fn operator_forgets(&mut self) {
        let tombstone = update(TOMBSTONE).record;
        self.tell("B", None, EventKind::forgotten(owned(&tombstone), None));
    }

    /// `from` sends a line to its neighbour `to`.
    fn sends(&mut self, from: &str, to: &str, conn: u64, line: &str) -> EventId {
        let (conn, line) = (ConnId(conn), text(line));
        let sent = EventKind::LineOut {
            conn,
            line: line.clone(),
        };
        let sent = self.tell(from, None, sent);
        self.tell(to, Some(sent), EventKind::LineIn { conn, line })
    }

    /// `B` hears an update from `C`, and accepts it or ignores it.
    fn hears(&mut self, line: &str, ignored: Option<Ignored>) {
        let heard = self.sends("C", "B", B_C, line);
        let Update { record, hops, .. } = update(line);
        let (record, from) = (owned(&record), Source::Server("C".into()));
        let what = match ignored {
            Some(why) => EventKind::Ignored { record, why, from },
            None => EventKind::Accepted { record, hops, from },
        };
        self.tell("B", Some(heard), what);
    }

    fn wrong(&self, invariant: Invariant) -> Vec<String> {
        let found = violations(invariant, &self.trace);
        found.into_iter().map(|found| found.what).collect()
    }
}

/// What `B` says of a client that was forgotten there.
const TOMBSTONE: &str = "HAVE B +0.000000000 kiwi - 9 1 1";

/// A record from before that, with a later time than any other.
const STALE: &str = "HAVE A +0.000000000 kiwi +2+2 99 2";

#[test]
fn a_stale_record_may_be_turned_away_after_its_client_was_forgotten() {
    let mut told = Told::new();
    told.client_says("5");
    told.operator_forgets();
    told.hears(STALE, Some(Ignored::Older));
    told.hears(TOMBSTONE, Some(Ignored::Known));
    // What the client says next counts, whatever its time.
    told.client_says("3");
    told.hears(STALE, Some(Ignored::Older));
    told.hears(TOMBSTONE, Some(Ignored::Older));
    let same = "HAVE B +0.000000000 kiwi +1+1 3 1 1";
    told.hears(same, Some(Ignored::Known));
    assert_eq!(told.wrong(Invariant::NeverBackInTime), [""; 0]);
    // The client's next line is of the same generation, in which times count.
    let mut older = told;
    older.client_says("2");
    assert_eq!(
        older.wrong(Invariant::NeverBackInTime),
        [
            "B goes back from B +0.000000000 kiwi +1+1 3 of generation 1 to B +0.000000000 kiwi +1+1 2 of generation 1"
        ]
    );
}

#[test]
fn who_was_forgotten_may_not_come_back_by_a_stale_record() {
    let mut told = Told::new();
    told.client_says("5");
    told.operator_forgets();
    told.hears(STALE, None);
    assert_eq!(
        told.wrong(Invariant::NeverBackInTime),
        ["B goes back from B +0.000000000 kiwi - 9 of generation 1 to A +0.000000000 kiwi +2+2 99"]
    );
}

#[test]
fn a_record_of_a_later_generation_may_not_be_turned_away() {
    let news = "AT C +0.000000000 kiwi +1+1 4 1 1";
    for (why, is_wrong) in [
        (Ignored::Older, true),
        (Ignored::Tied, true),
        (Ignored::Known, true),
        (Ignored::Expired, false),
    ] {
        let mut told = Told::new();
        told.client_says("5");
        told.operator_forgets();
        told.hears(news, Some(why));
        let wrong = told.wrong(Invariant::NeverBackInTime);
        let what = "B has B +0.000000000 kiwi - 9 of generation 1 and turns away C +0.000000000 kiwi +1+1 4 of generation 1";
        assert_eq!(wrong == [what], is_wrong, "{why:?}: {wrong:?}");
    }
}

#[test]
fn a_tombstone_is_passed_on_as_a_record_is() {
    let mut told = Told::new();
    told.client_says("5");
    told.operator_forgets();
    let heard = told.sends("B", "A", A_B, TOMBSTONE);
    let tombstone = || owned(&update(TOMBSTONE).record);
    let forgets = || EventKind::forgotten(tombstone(), Some("B".into()));
    told.tell("A", Some(heard), forgets());
    assert_eq!(told.wrong(Invariant::NothingInvented), [""; 0]);
    // A tombstone that nobody sent.
    let mut invented = Told::new();
    invented.tell("A", None, forgets());
    assert_eq!(
        invented.wrong(Invariant::NothingInvented),
        ["A takes in B +0.000000000 kiwi - 9, which nobody sent to it"]
    );
    let mut stale = told;
    stale.sends("B", "C", B_C, "AT B +0.000000000 kiwi +1+1 5 1");
    assert_eq!(
        stale.wrong(Invariant::NothingInvented),
        [
            "B holds B +0.000000000 kiwi - 9 of generation 1 and sends B +0.000000000 kiwi +1+1 5 to C"
        ]
    );
}

#[test]
fn what_a_client_says_again_after_it_was_forgotten_may_be_sent_again() {
    let mut told = Told::new();
    let news = "AT C +0.000000000 kiwi +1+1 5 1";
    told.hears(news, None);
    told.operator_forgets();
    told.hears(&format!("{news} 1"), None);
    for invariant in [Invariant::NeverBackInTime, Invariant::SendsBounded] {
        assert_eq!(told.wrong(invariant), [""; 0], "{invariant}");
    }
    told.hears(&format!("{news} 1"), Some(Ignored::Known));
    assert_eq!(told.wrong(Invariant::SendsBounded).len(), 1);
}
