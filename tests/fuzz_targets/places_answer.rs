//! An answer of Places: after the cut it is still JSON, with fewer places and no other change.

use proxy_herd::places::{Api, Reply, body, trim};
use proxy_herd::protocol::client::MOST_PLACES;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The statuses with an error of their own, and one without.
const STATUSES: [u16; 6] = [200, 400, 401, 403, 429, 500];

/// An answer over HTTP. The first byte gives the bound on places and the status, the rest is the
/// body.
pub fn places_answer(data: &[u8]) {
    let (first, text) = data.split_first().unwrap_or((&0, &[]));
    let wanted = first % (MOST_PLACES + 1);
    for list in ["results", "places"] {
        cut(text, list, wanted.into());
    }
    let status = STATUSES[usize::from(first / (MOST_PLACES + 1)) % STATUSES.len()];
    for status in [200, status] {
        let body_of = text.to_vec();
        let reply = Reply {
            status,
            body: body_of,
        };
        for api in [Api::Legacy, Api::New] {
            let told = body(api, Ok(&reply), wanted);
            assert!(is_json(&told), "{}", String::from_utf8_lossy(&told));
            has_no_blank_line(&told);
        }
    }
}

fn cut(text: &[u8], list: &str, bound: usize) {
    let Ok(trimmed) = trim(text, list, bound) else {
        return;
    };
    let cut = trimmed.text;
    assert!(is_json(text), "made of what is no JSON");
    assert!(is_json(&cut), "{}", String::from_utf8_lossy(&cut));
    assert!(cut.len() <= text.len());
    has_no_blank_line(&cut);
    let again = trim(&cut, list, bound).map(|again| again.text);
    assert_eq!(again.as_ref(), Ok(&cut), "cutting twice is cutting once");
    // Some valid JSON has no `Value`: numbers that exceed any float, or half of a surrogate pair.
    if let Ok(mut value) = serde_json::from_slice::<Value>(text) {
        if let Some(places) = value.get_mut(list).and_then(Value::as_array_mut) {
            places.truncate(bound);
        }
        let kept: Value = serde_json::from_slice(&cut).expect("a part of what has a value");
        assert_eq!(kept, value);
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Checks for blank lines, because two line feeds end an answer to a client.
fn has_no_blank_line(text: &[u8]) {
    assert!(!text.windows(2).any(|two| two == b"\n\n"));
    assert!(!text.ends_with(b"\n"));
}
