//! The format of a server's files: lines of text, each with its own checksum.
//!
//! The first line of a file says what it is: `herd-data VERSION HERD SERVER`. Every other line is a
//! record, as it is sent to a neighbour (`AT server skew id location time hops [generation]`), so its
//! hops are one more than it crossed on its way here. In front of each line stand eight
//! hexadecimal digits, the CRC-32C (RFC 3720, appendix B.4) of the rest of the line without its LF,
//! and a space.
//!
//! A record contains no LF, so what damages a line damages at most one more, and reading goes on
//! behind it. There is no length to believe.

use crate::node::mistakes::{Made, Mistake};
use crate::protocol::peer::{Pace, PeerLine, Update, VERSION as PEER_VERSION, write_at};
use crate::protocol::record::Record;

/// The version of the format. The first line of a file keeps its form in all of them.
pub(crate) const VERSION: u32 = 1;

/// The first word of a file.
const MAGIC: &str = "herd-data";

/// The number of bytes of a checksum, with the space behind it.
pub(super) const CHECKSUM: usize = 9;

/// Whose files they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The herd's name.
    pub herd: String,
    /// The server's name.
    pub server: String,
}

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The version of the format.
    pub(crate) version: u32,
    /// Whose file it is.
    pub(crate) owner: Owner,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The first line.
    Header(Header),
    /// A record.
    Record(Update),
}

/// Appends the first line of a file.
pub(crate) fn write_header(out: &mut Vec<u8>, owner: &Owner) {
    let Owner { herd, server } = owner;
    let text = format!("{MAGIC} {VERSION} {herd} {server}");
    write_line(out, |out| out.extend_from_slice(text.as_bytes()));
}

/// Appends the line of a record.
pub(crate) fn write_record(out: &mut Vec<u8>, record: &Record, hops: u32) {
    write_line(out, |out| {
        let hops = hops.saturating_add(1);
        write_at(out, record, hops, Pace::Live, PEER_VERSION);
    });
}

/// Appends a line with its checksum and its LF.
fn write_line(out: &mut Vec<u8>, text: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    out.extend_from_slice(&[b' '; CHECKSUM]);
    text(out);
    let checksum = crc32c::crc32c(&out[from + CHECKSUM..]);
    for (at, byte) in out[from..from + CHECKSUM - 1].iter_mut().enumerate() {
        let digit = checksum >> (28 - 4 * at) & 0xf;
        *byte = b"0123456789abcdef"[digit as usize];
    }
    out.push(b'\n');
}

/// What a line without its LF says, if nothing in it is damaged.
pub(crate) fn parse(line: &[u8], mistake: &Made) -> Option<Line> {
    let (checksum, text) = line.split_at_checked(CHECKSUM)?;
    let written = checksum_of(checksum)?;
    if crc32c::crc32c(text) != written && !mistake.makes(Mistake::IgnoresChecksums) {
        return None;
    }
    if let Some(header) = text.strip_prefix(MAGIC.as_bytes()) {
        return parse_header(header).map(Line::Header);
    }
    match PeerLine::parse(text) {
        Ok(PeerLine::At(update)) => {
            let hops = update.hops - 1;
            Some(Line::Record(Update { hops, ..update }))
        }
        _ => None,
    }
}

/// The number that eight lower-case hexadecimal digits and a space are.
fn checksum_of(bytes: &[u8]) -> Option<u32> {
    let (space, digits) = bytes.split_last()?;
    let is_digit = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    if *space != b' ' || !digits.iter().all(is_digit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn parse_header(text: &[u8]) -> Option<Header> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.strip_prefix(' ')?.split(' ');
    let version = words.next()?.parse().ok()?;
    // A later version may say more in this line.
    let [herd, server] = [words.next()?, words.next()?].map(str::to_owned);
    let owner = Owner { herd, server };
    Some(Header { version, owner })
}

/// A file, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum File {
    /// All records of a moment. It replaces the segments with lower numbers, and other snapshots
    /// with lower ones.
    Snapshot(u64),
    /// A segment of the log.
    Segment(u64),
    /// A snapshot that was not completed.
    Unfinished(u64),
}

impl File {
    /// Its number, by which files are in order.
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Snapshot(number) | Self::Segment(number) | Self::Unfinished(number) => number,
        }
    }

    /// Its name in the folder.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Snapshot(number) => format!("snapshot-{number:08}"),
            Self::Segment(number) => format!("log-{number:08}"),
            Self::Unfinished(number) => format!("snapshot-{number:08}.tmp"),
        }
    }

    /// The file with this name, if it is one of a server's. Others are left alone.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let number = |digits: &str| {
            let right = digits.len() >= 8 && digits.bytes().all(|digit| digit.is_ascii_digit());
            digits.parse().ok().filter(|_| right)
        };
        if let Some(digits) = name.strip_prefix("log-") {
            return number(digits).map(Self::Segment);
        }
        let rest = name.strip_prefix("snapshot-")?;
        match rest.strip_suffix(".tmp") {
            Some(digits) => number(digits).map(Self::Unfinished),
            None => number(rest).map(Self::Snapshot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record::parse(b"Riley +0.263873386 kiwi +34.068930-118.445127 1621464827.959498503")
            .expect("a record")
    }

    fn line() -> Vec<u8> {
        let mut out = Vec::new();
        write_record(&mut out, &record().in_generation(3), 2);
        out
    }

    #[test]
    fn a_line_says_what_was_written() {
        let line = line();
        let text = line.strip_suffix(b"\n").expect("it ends");
        let parsed = parse(text, &Made::NONE);
        let Some(Line::Record(update)) = parsed else {
            panic!("{parsed:?}")
        };
        assert_eq!(update.record, record().in_generation(3));
        assert_eq!(update.hops, 2);
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(
            &line()[..CHECKSUM],
            format!(
                "{:08x} ",
                crc32c::crc32c(&line()[CHECKSUM..line().len() - 1])
            )
            .as_bytes()
        );
    }

    #[test]
    fn no_changed_bit_is_taken_for_a_record() {
        let line = line();
        let text = line.strip_suffix(b"\n").expect("it ends");
        for bit in 0..text.len() * 8 {
            let mut changed = text.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&changed, &Made::NONE), None, "bit {bit}");
        }
        for length in 0..text.len() {
            assert_eq!(parse(&text[..length], &Made::NONE), None, "{length} bytes");
        }
    }

    #[test]
    fn a_file_says_whose_it_is() {
        let owner = Owner {
            herd: "riley".to_owned(),
            server: "Juzang".to_owned(),
        };
        let mut out = Vec::new();
        write_header(&mut out, &owner);
        let text = out.strip_suffix(b"\n").expect("it ends");
        let version = VERSION;
        let header = Header { version, owner };
        assert_eq!(parse(text, &Made::NONE), Some(Line::Header(header)));
    }

    #[test]
    fn names_are_those_of_files_and_no_others() {
        for file in [
            File::Snapshot(7),
            File::Segment(0),
            File::Unfinished(123_456_789),
        ] {
            assert_eq!(File::of(&file.name()), Some(file));
        }
        for other in [
            "lock",
            "log-7",
            "log-0000000a",
            "snapshot-00000001.bak",
            "log-+0000001",
        ] {
            assert_eq!(File::of(other), None, "{other}");
        }
    }
}
