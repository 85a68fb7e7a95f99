//! AT lines.

use crate::protocol::fields;

/// An AT line in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// The whole line.
    pub(super) line: Vec<u8>,
    pub(super) server: Vec<u8>,
    pub(super) skew: Vec<u8>,
    /// The client's own fields, as they are in the line.
    pub(super) own: Vec<u8>,
}

impl At {
    /// Parses a line with exactly one space between each two of its six fields.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |&byte| byte == b' ');
        let word = parts.next()?;
        let (server, skew, own) = (parts.next()?, parts.next()?, parts.next()?);
        let is_at = word == b"AT" && own.split(|&byte| byte == b' ').count() == 3;
        (is_at && fields(line).count() == 6).then(|| Self {
            line: line.to_vec(),
            server: server.to_vec(),
            skew: skew.to_vec(),
            own: own.to_vec(),
        })
    }
}

/// How far times may be apart that are the same, in seconds: as far as a float loses them.
const SAME_TIME: f64 = 1e-5;

/// Whether two AT lines are about the same IAMAT, whatever server and skew they name, and however
/// they write its time.
pub(super) fn same_update(one: &[u8], other: &[u8]) -> bool {
    let own = |line: &[u8]| {
        let own = At::parse(line)?.own;
        let space = own.iter().rposition(|&byte| byte == b' ')?;
        let time = String::from_utf8_lossy(&own[space + 1..]).into_owned();
        Some((own[..space].to_vec(), time))
    };
    let (Some((one, its)), Some((other, others))) = (own(one), own(other)) else {
        return one == other;
    };
    let are_near = match (its.parse::<f64>(), others.parse::<f64>()) {
        (Ok(its), Ok(others)) => (its - others).abs() < SAME_TIME,
        _ => its == others,
    };
    one == other && are_near
}

#[cfg(test)]
mod tests {
    use super::same_update;

    #[test]
    fn an_update_is_the_same_whoever_tells_it() {
        let line = b"AT Riley +0.1 kiwi +34-118 1520023934.918963997";
        for same in [
            "AT Riley +0.1 kiwi +34-118 1520023934.918963997",
            "AT Juzang -2 kiwi +34-118 1520023934.918964",
        ] {
            assert!(same_update(same.as_bytes(), line), "{same}");
        }
        for other in [
            "AT Riley +0.1 plum +34-118 1520023934.918963997",
            "AT Riley +0.1 kiwi +34-119 1520023934.918963997",
            "AT Riley +0.1 kiwi +34-118 1520023935.918963997",
            "? WHATSAT kiwi 0 0",
            "",
        ] {
            assert!(!same_update(other.as_bytes(), line), "{other}");
        }
    }
}
