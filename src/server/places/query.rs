//! A look-up as a request to either version of the API.
//!
//! All functions are pure. A [`Query`] does not contain the key, so it can be compared, stored and
//! printed. The key is added when the request is written.

use std::fmt::Write as _;

use super::key::ApiKey;
use crate::node::LookUp;

/// A version of the Nearby Search API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// `GET …/nearbysearch/json`. Everything is in the query, the key included.
    #[default]
    Legacy,
    /// `POST …/places:searchNearby`. The body is JSON, and the key is in a header.
    New,
}

/// The fields of each place that are requested from the new API.
pub const FIELD_MASK: &str =
    "places.id,places.displayName,places.formattedAddress,places.location,places.types";

impl Api {
    /// The path at which Google serves this version.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Legacy => "/maps/api/place/nearbysearch/json",
            Self::New => "/v1/places:searchNearby",
        }
    }

    /// The host at which Google serves this version, over TLS.
    pub const fn host(self) -> &'static str {
        match self {
            Self::Legacy => "maps.googleapis.com",
            Self::New => "places.googleapis.com",
        }
    }

    /// The name of the array of places in an answer.
    pub(super) const fn list(self) -> &'static str {
        match self {
            Self::Legacy => "results",
            Self::New => "places",
        }
    }
}

/// A request to Places without the key. Equal requests get equal answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// The query string of a GET, without the key.
    Legacy(String),
    /// The body of a POST.
    New(String),
}

impl Query {
    /// The request to Places that answers `look_up`.
    ///
    /// The legacy API has no bound, so the answer is cut afterwards, and look-ups that differ only
    /// in their bound are equal requests. The new API accepts a bound of 1 to 20, so for bound 0
    /// one place is requested and cut afterwards.
    pub fn new(api: Api, look_up: &LookUp) -> Self {
        match api {
            Api::Legacy => {
                let (latitude, longitude) = (&look_up.latitude, &look_up.longitude);
                let (latitude, longitude) = (unsigned(latitude), unsigned(longitude));
                let radius = &look_up.radius_metres;
                Self::Legacy(format!("location={latitude},{longitude}&radius={radius}"))
            }
            Api::New => {
                let (latitude, longitude) = (number(&look_up.latitude), number(&look_up.longitude));
                let radius = &look_up.radius_metres;
                let most = look_up.bound.clamp(1, 20);
                Self::New(format!(
                    r#"{{"locationRestriction":{{"circle":{{"center":{{"latitude":{latitude},"longitude":{longitude}}},"radius":{radius}}}}},"maxResultCount":{most}}}"#
                ))
            }
        }
    }

    /// The version of the API that the request is for.
    pub fn api(&self) -> Api {
        match self {
            Self::Legacy(_) => Api::Legacy,
            Self::New(_) => Api::New,
        }
    }

    /// The target of the request: the path, and for the legacy API also the query string with the
    /// key.
    pub(super) fn target(&self, path: &str, key: &ApiKey) -> String {
        match self {
            Self::Legacy(question) => {
                let mut target = format!("{path}?{question}&key=");
                push_encoded(&mut target, key.expose());
                target
            }
            Self::New(_) => path.to_owned(),
        }
    }
}

/// Whether an answer contains the key: as it is, encoded as in a URL, or escaped as in JSON.
pub(super) fn shows(body: &[u8], key: &ApiKey) -> bool {
    let mut encoded = String::new();
    push_encoded(&mut encoded, key.expose());
    let quoted = serde_json::Value::from(key.expose()).to_string();
    // This removes the quotes.
    let escaped = &quoted[1..quoted.len() - 1];
    let slashed = escaped.replace('/', "\\/");
    let is_in = |key: &str| memchr::memmem::find(body, key.as_bytes()).is_some();
    [key.expose(), &encoded, escaped, &slashed]
        .into_iter()
        .any(is_in)
}

/// A coordinate as the client wrote it, without a leading plus sign, which would mean a space in a
/// query string.
fn unsigned(text: &[u8]) -> String {
    // `Location` allows only signs, digits and points in a coordinate.
    String::from_utf8_lossy(text.strip_prefix(b"+").unwrap_or(text)).into_owned()
}

/// A coordinate as a JSON number, without a plus sign or leading zeros.
fn number(text: &[u8]) -> String {
    let text = unsigned(text);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let digits = digits.trim_start_matches('0');
    let zero = if digits.is_empty() || digits.starts_with('.') {
        "0"
    } else {
        ""
    };
    format!("{sign}{zero}{digits}")
}

/// Appends `text` with the escapes that a query string needs.
fn push_encoded(target: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            target.push(char::from(byte));
        } else {
            let _ = write!(target, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::{Api, Query};
    use crate::journal::EventId;
    use crate::node::LookUp;
    use crate::places::key::ApiKey;

    fn look_up(latitude: &str, longitude: &str, radius: &str, bound: u8) -> LookUp {
        LookUp {
            client: b"kiwi".to_vec(),
            at_line: Vec::new(),
            latitude: latitude.as_bytes().to_vec(),
            longitude: longitude.as_bytes().to_vec(),
            radius_metres: radius.to_owned(),
            bound,
            asked_by: EventId(NonZeroU64::MIN),
        }
    }

    #[test]
    fn the_legacy_api_is_asked_with_the_clients_own_digits_and_metres() {
        let query = Query::new(
            Api::Legacy,
            &look_up("+34.068930", "-118.4451270", "10000", 5),
        );
        let key = ApiKey::new("a+b&c").unwrap();
        assert_eq!(
            query.target("/near", &key),
            "/near?location=34.068930,-118.4451270&radius=10000&key=a%2Bb%26c"
        );
        assert!(!format!("{query:?}").contains("a+b"));
    }

    #[test]
    fn a_key_shows_however_it_is_written() {
        let key = ApiKey::new("a/b\"c+d").unwrap();
        for text in [
            "a/b\"c+d",
            "x=a%2Fb%22c%2Bd&",
            r#"{"k":"a/b\"c+d"}"#,
            r#"{"k":"a\/b\"c+d"}"#,
        ] {
            assert!(super::shows(text.as_bytes(), &key), "{text}");
        }
        assert!(!super::shows(b"a/b c+d", &key));
    }

    #[test]
    fn the_bound_makes_no_other_question_of_the_legacy_api() {
        let ask = |bound| Query::new(Api::Legacy, &look_up("+1", "-2", "3", bound));
        assert_eq!(ask(0), ask(20));
    }

    #[test]
    fn the_new_api_is_asked_in_json_with_a_bound_that_it_takes() {
        let ask = |latitude, longitude, radius, bound| {
            let query = Query::new(Api::New, &look_up(latitude, longitude, radius, bound));
            let Query::New(body) = query else {
                panic!("the new API's")
            };
            serde_json::from_str::<serde_json::Value>(&body).expect("JSON")
        };
        assert_eq!(
            ask("+34.068930", "-118.445127", "10000", 5),
            serde_json::json!({
                "locationRestriction": { "circle": {
                    "center": { "latitude": 34.068_930, "longitude": -118.445_127 },
                    "radius": 10000
                } },
                "maxResultCount": 5
            })
        );
        let center = |latitude, longitude| {
            let body = ask(latitude, longitude, "0.5", 0);
            assert_eq!(body["maxResultCount"], 1);
            body["locationRestriction"]["circle"]["center"].clone()
        };
        let (latitude, longitude) = (0.5, -7.25);
        assert_eq!(
            center("+000.50", "-007.25"),
            serde_json::json!({ "latitude": latitude, "longitude": longitude })
        );
        assert_eq!(center("+00", "+0")["latitude"], 0);
    }
}
