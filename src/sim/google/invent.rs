//! Invents places, in the shape and indentation of the legacy API.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

const FIRST: [&str; 10] = [
    "Blue",
    "Golden",
    "Caf\\u00e9",
    "Old",
    "Corner",
    "Hilltop",
    "Quiet",
    "Bruin",
    "Sunset",
    "Little",
];
const SECOND: [&str; 10] = [
    "Bakery", "Library", "Garden", "Books", "Kitchen", "Cinema", "Gallery", "Market", "Hall",
    "Pool",
];
const TYPES: [&str; 5] = ["bakery", "library", "park", "book_store", "restaurant"];
const STREETS: [&str; 4] = [
    "Westwood Plaza",
    "Le Conte Avenue",
    "Gayley Avenue",
    "Hilgard Avenue",
];

/// A response body with `places` invented places. The same `number` gives the same places to every
/// query, so they have neither a town nor a location, which would be wrong for most queries.
pub(super) fn body(number: u64, places: u8) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let all: Vec<String> = (0..places).map(|_| place(&mut rng)).collect();
    let (results, status) = match all.as_slice() {
        [] => ("[]".to_owned(), "ZERO_RESULTS"),
        some => (format!("[\n{}\n   ]", some.join(",\n")), "OK"),
    };
    format!(
        "{{\n   \"html_attributions\" : [],\n   \"results\" : {results},\n   \"status\" : \"{status}\"\n}}\n"
    )
}

fn place(rng: &mut ChaCha8Rng) -> String {
    let mut pick = |words: &[&'static str]| words[rng.random_range(0..words.len())];
    let (first, second, kind, street) = (pick(&FIRST), pick(&SECOND), pick(&TYPES), pick(&STREETS));
    let (house, rating) = (rng.random_range(100..999_u32), rng.random_range(10..50_u32));
    let id: String = (0..24)
        .map(|_| char::from(rng.random_range(b'a'..=b'z')))
        .collect();
    let rating = format!("{}.{}", rating / 10, rating % 10);
    format!(
        r#"      {{
         "business_status" : "OPERATIONAL",
         "name" : "{first} {second}",
         "place_id" : "ChIJ{id}",
         "rating" : {rating},
         "types" : [ "{kind}", "point_of_interest", "establishment" ],
         "vicinity" : "{house} {street}"
      }}"#
    )
}

#[cfg(test)]
mod tests {
    use super::body;
    use crate::places::trim;

    #[test]
    fn invented_places_are_json_in_the_apis_shape_and_always_the_same() {
        for places in [0, 1, 20] {
            let text = body(3, places);
            assert_eq!(text, body(3, places));
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let results = value["results"].as_array().expect("an array");
            assert_eq!(results.len(), usize::from(places));
            let trimmed = trim(text.as_bytes(), "results", 20).expect("an answer");
            assert_eq!(trimmed.text, text.trim_end().as_bytes());
        }
    }
}
