//! The limit: a bare program that only answers IAMAT. It has no links, deadlines, limits, journal
//! or WHATSAT, and answers any other line with `?`.

use std::fmt::Write as _;
use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use proxy_herd::net::{Net as _, tokio::TokioNet};

#[expect(
    clippy::disallowed_types,
    reason = "a bare program takes the map that is there; nothing iterates over it"
)]
pub(crate) type Map = std::collections::HashMap<Vec<u8>, (i128, Vec<u8>)>;

/// Serves for ever, on the calling thread.
pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    let map = std::rc::Rc::new(std::cell::RefCell::new(Map::new()));
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let map = std::rc::Rc::clone(&map);
        tasks.spawn_local(async move { converse(stream, &map).await });
    }
}

async fn converse(mut stream: TcpStream, map: &std::cell::RefCell<Map>) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(64 * 1024);
    let mut out = Vec::with_capacity(64 * 1024);
    let mut skew = String::new();
    while stream.read_buf(&mut buffer).await? > 0 {
        let now = TokioNet.now().as_nanos();
        let handled = handle(&buffer, now, &mut map.borrow_mut(), &mut skew, &mut out);
        buffer.drain(..handled);
        buffer.reserve(16 * 1024);
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
    }
    Ok(())
}

/// Answers all whole lines, and returns their length in bytes.
fn handle(bytes: &[u8], now: i128, map: &mut Map, skew: &mut String, out: &mut Vec<u8>) -> usize {
    each_line(bytes, |line| {
        if answer(line, now, map, skew, out).is_none() {
            out.extend_from_slice(b"? ");
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    })
}

/// Calls `take` with each whole line, and returns their length in bytes.
pub(crate) fn each_line(bytes: &[u8], mut take: impl FnMut(&[u8])) -> usize {
    let mut start = 0;
    while let Some(length) = memchr::memchr(b'\n', &bytes[start..]) {
        take(&bytes[start..start + length]);
        start += length + 1;
    }
    start
}

/// Answers one IAMAT, and returns whether it was new.
pub(crate) fn answer(
    line: &[u8],
    now: i128,
    map: &mut Map,
    skew: &mut String,
    out: &mut Vec<u8>,
) -> Option<bool> {
    let rest = line.strip_prefix(b"IAMAT ")?;
    let mut fields = rest.splitn(3, |&byte| byte == b' ');
    let (id, location, time) = (fields.next()?, fields.next()?, fields.next()?);
    let second = 1 + location
        .iter()
        .skip(1)
        .position(|byte| b"+-".contains(byte))?;
    let degrees = |text: &[u8]| {
        let digits = text.iter().skip(1);
        let mut digits = digits.filter(|&&byte| byte != b'.');
        b"+-".contains(&text[0]) && digits.all(u8::is_ascii_digit)
    };
    if !degrees(&location[..second]) || !degrees(&location[second..]) {
        return None;
    }
    let time_nanos = nanos(time)?;
    let is_news = take(map, id, location, time_nanos);
    let difference = now - time_nanos;
    let sign = if difference < 0 { '-' } else { '+' };
    let difference = u64::try_from(difference.unsigned_abs()).ok()?;
    let (whole, fraction) = (difference / 1_000_000_000, difference % 1_000_000_000);
    skew.clear();
    write!(skew, "{sign}{whole}.{fraction:09}").ok()?;
    out.extend_from_slice(b"AT Limit ");
    out.extend_from_slice(skew.as_bytes());
    out.push(b' ');
    out.extend_from_slice(rest);
    out.push(b'\n');
    Some(is_news)
}

/// Stores a location if it is newer than the client's last, and returns whether it is.
pub(crate) fn take(map: &mut Map, id: &[u8], location: &[u8], time_nanos: i128) -> bool {
    match map.get_mut(id) {
        None => {
            map.insert(id.to_vec(), (time_nanos, location.to_vec()));
        }
        Some((newest, place)) if *newest < time_nanos => {
            *newest = time_nanos;
            place.clear();
            place.extend_from_slice(location);
        }
        Some(_) => return false,
    }
    true
}

/// Parses seconds with a fraction of nine digits, as the generator writes them, into nanoseconds.
pub(crate) fn nanos(time: &[u8]) -> Option<i128> {
    let point = time.iter().position(|&byte| byte == b'.')?;
    let whole: u64 = std::str::from_utf8(&time[..point]).ok()?.parse().ok()?;
    let fraction: u32 = std::str::from_utf8(&time[point + 1..]).ok()?.parse().ok()?;
    Some(i128::from(whole) * 1_000_000_000 + i128::from(fraction))
}
