//! What servers that make mistakes compute wrongly.

use std::cmp::Ordering;

use crate::protocol::record::Record;
use crate::protocol::time::{Skew, Timestamp};

/// The number of records that an answer to a `WANT` has with `Mistake::AnswersFewWants`.
pub(in super::super) const FEW: usize = 8;

/// The clock's reading, cut to microseconds.
pub(in super::super) fn as_micros(clock: Timestamp) -> Timestamp {
    let micros = u128::try_from(clock.as_nanos()).unwrap_or_default() / 1000;
    Timestamp::from_nanos(micros * 1000)
}

/// The record with the skew that a clock showing `now` gives it.
pub(in super::super) fn restamped(record: Record, now: Timestamp) -> Record {
    let skew = Skew::between(now, record.time());
    let skew = skew.text();
    let fields = [
        record.origin(),
        skew.as_bytes(),
        record.id(),
        record.location(),
        record.time_text(),
    ];
    Record::from_fields(fields, record.generation()).unwrap_or(record)
}

/// Removes the leading zeros of the last word of a line, but for one digit.
pub(in super::super) fn drop_zeros(line: &mut Vec<u8>, from: usize) {
    let begin = line[from..].iter().rposition(|&byte| byte == b' ');
    let begin = begin.map_or(from, |space| from + space + 1);
    let zeros = line[begin..]
        .iter()
        .take_while(|&&byte| byte == b'0')
        .count();
    let most = line.len().saturating_sub(begin + 1);
    line.drain(begin..begin + zeros.min(most));
}

/// Whether `record` is newer than `held` by the mistakes that concern a tie of both times.
pub(in super::super) fn breaks_tie(record: &Record, held: &Record, by_skew: bool) -> Option<bool> {
    if !record.ties(held) || record.location() != held.location() {
        return None;
    }
    let same_text = record.time_text() == held.time_text();
    let skew = |record: &Record| Skew::parse(record.skew_text());
    if by_skew {
        same_text.then(|| skew(record) > skew(held))
    } else {
        (!same_text).then_some(false)
    }
}

/// The clock's reading, rounded to a binary floating-point number of seconds.
pub(in super::super) fn as_float(clock: Timestamp) -> Timestamp {
    let seconds: f64 = clock.to_string().parse().unwrap_or_default();
    Timestamp::parse(format!("{seconds:.9}").as_bytes()).unwrap_or(clock)
}

/// Whether `record` is newer than `held` by times as binary floating-point numbers; place and time
/// break a tie.
pub(in super::super) fn is_newer_as_float(record: &Record, held: &Record) -> bool {
    let time = |record: &Record| -> f64 {
        let text = str::from_utf8(record.time_text()).unwrap_or_default();
        text.parse().unwrap_or_default()
    };
    let tie = |record: &Record| [record.location(), record.time_text()].concat();
    match time(record).total_cmp(&time(held)) {
        Ordering::Equal => tie(record) > tie(held),
        order => order == Ordering::Greater,
    }
}
