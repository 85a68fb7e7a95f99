//! Clients' lines, and the answers to them.

use crate::journal::{ConnId, EventId, EventKind, Journal};
use crate::protocol::client::{ClientLine, Refusal, write_refusal};
use crate::protocol::location::{Location, Radius};
use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;

use super::Node;
use super::mistakes::{self, Mistake};

/// A query to Places, for which a client's answer waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// The client around which to search.
    pub client: Vec<u8>,
    /// The first line of the answer, with its terminator.
    pub at_line: Vec<u8>,
    /// The latitude, as the client wrote it.
    pub latitude: Vec<u8>,
    /// The longitude, as the client wrote it.
    pub longitude: Vec<u8>,
    /// The radius in metres, exactly.
    pub radius_metres: String,
    /// The maximum number of places.
    pub bound: u8,
    /// The event of the line with the query.
    pub asked_by: EventId,
}

/// Until when an answer waits for the disk. If the disk fails, the line is refused instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToBeSaved {
    /// Up to where everything must be saved before, as [`Node::take_unsaved`] counts.
    pub saved: u64,
    /// The event of the client's line.
    pub heard: EventId,
}

/// What an answer waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The answer of Places.
    LookUp(LookUp),
    /// The disk.
    Disk(ToBeSaved),
}

/// The largest bound of a WHATSAT.
const MOST_PLACES: u8 = 20;

/// Where and when a client's line arrived.
#[derive(Clone, Copy)]
pub struct ClientLineAt<'a> {
    /// The client's connection.
    pub conn: ConnId,
    /// Reads this server's clock. It is called only for a line whose answer depends on it.
    pub clock: &'a dyn Fn() -> Timestamp,
}

impl Node {
    /// Handles one line of a client, without its terminator, and appends the whole answer to `out`.
    ///
    /// A WHATSAT about a known client appends nothing: its answer waits for the look-up that is
    /// returned. That of an IAMAT is appended, but where answers wait for the disk
    /// ([`save_changes`](Self::save_changes)) it must not be sent before.
    pub fn client_line(
        &mut self,
        line: &[u8],
        at: ClientLineAt<'_>,
        journal: &dyn Journal,
        out: &mut Vec<u8>,
    ) -> Option<Waits> {
        let heard = journal.record(
            None,
            EventKind::LineIn {
                conn: at.conn,
                line: line.into(),
            },
        );
        let line = if self.mistakes.makes(Mistake::TrimsLines) {
            line.strip_suffix(b"\r").unwrap_or(line)
        } else {
            line
        };
        match ClientLine::parse(line) {
            Ok(ClientLine::Iamat { id, .. }) if self.has_no_room_for(id, line.len()) => {
                Self::refuse(line, Refusal::Full, at.conn, heard, journal, out);
                None
            }
            Ok(ClientLine::Iamat { time, .. }) if self.is_too_early((at.clock)(), time.value) => {
                Self::refuse(line, Refusal::FutureTime, at.conn, heard, journal, out);
                None
            }
            Ok(ClientLine::Iamat { .. }) if self.cannot_save() => {
                Self::refuse(line, Refusal::NotSaved, at.conn, heard, journal, out);
                None
            }
            Ok(ClientLine::Iamat { id, location, time }) => {
                let clock = self.misread((at.clock)());
                let record = Record::new(&self.config.name, clock, id, location, time);
                let from = out.len();
                out.extend_from_slice(b"AT ");
                out.extend_from_slice(record.text());
                out.push(b'\n');
                self.mistakes.note_time(at.clock);
                self.mistakes.serve(at.conn);
                if self.mistakes.makes(Mistake::AnswersFirst) {
                    self.mistakes.put_off(record, heard);
                } else {
                    self.merge(record, 0, None, heard, journal);
                }
                if let Some(saved) = self.to_be_saved() {
                    return Some(Waits::Disk(ToBeSaved { saved, heard }));
                }
                Self::tell_line_out(at.conn, &out[from..], heard, journal);
                if self.mistakes.makes(Mistake::AnswersTwice) {
                    let again = out.len();
                    out.extend_from_within(from..);
                    Self::tell_line_out(at.conn, &out[again..], heard, journal);
                }
                None
            }
            Ok(ClientLine::Whatsat { id, radius, bound }) => {
                let look_up = self.look_up(id, radius, bound, heard);
                if look_up.is_none() {
                    Self::refuse(line, Refusal::UnknownClient, at.conn, heard, journal, out);
                }
                look_up.map(Waits::LookUp)
            }
            Err(_) if self.mistakes.makes(Mistake::RefusesInSilence) => None,
            Err(refusal) => {
                Self::refuse(line, refusal, at.conn, heard, journal, out);
                None
            }
        }
    }

    /// The clock's reading, unless a mistake changes it.
    fn misread(&self, clock: Timestamp) -> Timestamp {
        if self.mistakes.makes(Mistake::ReadsFloats) {
            mistakes::as_float(clock)
        } else if self.mistakes.makes(Mistake::CutsMicros) {
            mistakes::as_micros(clock)
        } else {
            clock
        }
    }

    /// Remembers what is held now, for `Mistake::DropsTheLock`.
    pub(crate) fn look_ahead(&mut self, conn: ConnId) {
        let held = self.store.entries().map(|entry| entry.record.clone());
        self.mistakes.look_up(conn, || held.collect());
    }

    /// Stores the records that `Mistake::AnswersFirst` held back. Without mistakes there are none.
    pub(crate) fn store_late(&mut self, journal: &dyn Journal) {
        while let Some((record, heard)) = self.mistakes.take_late() {
            self.merge(record, 0, None, heard, journal);
        }
    }

    /// Refuses a line that is longer than the limit, by its beginning.
    pub fn client_line_too_long(
        &mut self,
        beginning: &[u8],
        conn: ConnId,
        journal: &dyn Journal,
        out: &mut Vec<u8>,
    ) {
        let line = beginning.into();
        let heard = journal.record(None, EventKind::LineIn { conn, line });
        Self::refuse(beginning, Refusal::TooLong, conn, heard, journal, out);
    }

    fn look_up(
        &self,
        id: &[u8],
        radius: Radius<'_>,
        bound: u8,
        asked_by: EventId,
    ) -> Option<LookUp> {
        let record = &self.store.entry(self.store.find(id)?).record;
        if record.is_tombstone() {
            return None;
        }
        let location = Location::parse(record.location())?;
        Some(LookUp {
            client: id.to_vec(),
            at_line: [b"AT ", record.text(), b"\n"].concat(),
            latitude: location.latitude().to_vec(),
            longitude: location.longitude().to_vec(),
            radius_metres: radius.metres(),
            bound: if self.mistakes.makes(Mistake::IgnoresTheBound) {
                MOST_PLACES
            } else {
                bound
            },
            asked_by,
        })
    }

    fn refuse(
        line: &[u8],
        why: Refusal,
        conn: ConnId,
        heard: EventId,
        journal: &dyn Journal,
        out: &mut Vec<u8>,
    ) {
        let refused = journal.record(Some(heard), EventKind::Refused { why });
        let from = out.len();
        write_refusal(out, line);
        Self::tell_line_out(conn, &out[from..], refused, journal);
    }

    fn tell_line_out(conn: ConnId, line: &[u8], cause: EventId, journal: &dyn Journal) {
        let line = line.strip_suffix(b"\n").unwrap_or(line).into();
        journal.record(Some(cause), EventKind::LineOut { conn, line });
    }
}
