//! The lines between servers: a line that can be parsed is printed so that it parses as the same
//! value.

use std::cmp::Ordering;

use proxy_herd::protocol::escape;
use proxy_herd::protocol::peer::{LINE_LIMIT, MOST_HASHES, PeerLine, hello_version};
use proxy_herd::protocol::record::Record;

use super::lines;

/// Parses each line of `data` as one between servers.
pub fn peer_line(data: &[u8]) {
    for line in lines(data) {
        let line = &line[..line.len().min(LINE_LIMIT)];
        let version = hello_version(line);
        let Ok(parsed) = PeerLine::parse(line) else {
            continue;
        };
        let printed = parsed.to_bytes();
        assert!(printed.len() <= LINE_LIMIT, "{} bytes", printed.len());
        assert!(!printed.contains(&b'\n'));
        match &parsed {
            PeerLine::Hello(hello) => assert_eq!(version, Some(hello.version)),
            PeerLine::At(update) => record(&update.record),
            PeerLine::List { hashes, .. } | PeerLine::Want { hashes, .. } => {
                assert!(hashes.len() <= MOST_HASHES);
            }
            _ => {}
        }
        assert_eq!(PeerLine::parse(&printed), Ok(parsed), "{}", escape(line));
    }
}

fn record(record: &Record) {
    let parsed = Record::parse(record.text());
    let parsed = parsed.map(|parsed| parsed.in_generation(record.generation()));
    assert_eq!(
        parsed.as_ref(),
        Some(record).filter(|record| !record.is_tombstone())
    );
    assert_eq!(record.order(record), Ordering::Equal);
    let _ = record.heard_at();
}
