use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::{Scanner, TrimError, trim, without_blank_lines};

fn cut(body: &str, bound: usize) -> String {
    let trimmed = trim(body.as_bytes(), "results", bound).expect("JSON");
    String::from_utf8(trimmed.text).expect("UTF-8")
}

const GOOGLES: &str = r#"{
   "html_attributions" : [],
   "next_page_token" : "Aap_uEA7vb0DDYVJWEaX3O",
   "results" : [
      {
         "name" : "Caf\u00e9 \"[1], {2}\"",
         "rating" : 4.50
      },
      {
         "name" : "Two",   "results" : [1, 2, 3]
      },
      {
         "name" : "Three"
      }
   ],
   "status" : "OK"
}

"#;

#[test]
fn what_is_beyond_the_bound_goes_with_its_comma_and_its_white_space() {
    let two = r#"{
   "html_attributions" : [],
   "next_page_token" : "Aap_uEA7vb0DDYVJWEaX3O",
   "results" : [
      {
         "name" : "Caf\u00e9 \"[1], {2}\"",
         "rating" : 4.50
      },
      {
         "name" : "Two",   "results" : [1, 2, 3]
      }
   ],
   "status" : "OK"
}"#;
    assert_eq!(cut(GOOGLES, 2), two);
}

#[test]
fn bound_zero_leaves_an_array_without_elements() {
    let none = r#"{
   "html_attributions" : [],
   "next_page_token" : "Aap_uEA7vb0DDYVJWEaX3O",
   "results" : [],
   "status" : "OK"
}"#;
    assert_eq!(cut(GOOGLES, 0), none);
    assert_eq!(cut(r#"{"results":[ ]}"#, 0), r#"{"results":[ ]}"#);
}

#[test]
fn within_the_bound_only_blank_lines_go() {
    assert_eq!(cut(GOOGLES, 3), GOOGLES.trim_end_matches('\n'));
    let blank = "\n\n{\n\n\n\"a\":1,\r\n\r\n\"results\":[\n\n1\n\n]}\n\n";
    assert_eq!(cut(blank, 1), "\n{\n\"a\":1,\r\n\r\n\"results\":[\n1\n]}");
}

#[test]
fn only_the_list_at_the_top_is_meant_however_its_key_is_spelled() {
    assert_eq!(
        cut(
            r#"{"a":{"results":[1,2]},"r\u0065sults":[1,2],"x":"results"}"#,
            1
        ),
        r#"{"a":{"results":[1,2]},"r\u0065sults":[1],"x":"results"}"#
    );
    assert_eq!(
        cut(r#"{"results":[1,2],"results":[3,[4],5]}"#, 1),
        r#"{"results":[1],"results":[3]}"#
    );
}

#[test]
fn what_is_no_answer_is_told_apart() {
    for body in [
        "",
        "[]",
        "null",
        "{",
        "<html>",
        "{}x",
        "{\"results\":[1,]}",
        "\u{feff}{}",
    ] {
        assert_eq!(
            trim(body.as_bytes(), "results", 1),
            Err(TrimError::NotAnObject),
            "{body}"
        );
    }
    assert_eq!(
        trim(b"{\"a\":\"\xff\"}", "results", 1),
        Err(TrimError::NotAnObject)
    );
    assert_eq!(
        trim(b"{\"results\":{}}", "results", 1),
        Err(TrimError::NotAList)
    );
    assert!(!trim(b"{}", "results", 1).expect("JSON").has_list);
}

#[test]
fn a_body_may_be_as_deep_as_it_is_long() {
    let deep = format!(
        "{{\"results\":[{}{},2]}}",
        "[".repeat(300_000),
        "]".repeat(300_000)
    );
    assert_eq!(cut(&deep, 1).len(), deep.len() - 2);
}

/// White space between two JSON tokens.
fn blank() -> impl Strategy<Value = String> {
    "[ \n\t\r]{0,3}"
}

/// JSON text with odd spacing and spelling, and strings full of brackets.
fn json() -> impl Strategy<Value = String> {
    let string =
        r#"([a-z\[\]{},: ]|\\"|\\\\|\\u00e9|é){0,6}"#.prop_map(|text| format!("\"{text}\""));
    let leaf = prop_oneof![
        string.clone(),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("[]".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        let member = (string.clone(), blank(), inner.clone())
            .prop_map(|(key, blank, value)| format!("{key}{blank}:{value}"));
        prop_oneof![
            (vec(inner, 0..4), blank()).prop_map(|(all, blank)| {
                format!("[{blank}{}{blank}]", all.join(&format!("{blank},")))
            }),
            (vec(member, 0..4), blank()).prop_map(|(all, blank)| {
                format!("{{{blank}{}}}", all.join(&format!(",{blank}")))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn the_rest_is_as_it_was(
        elements in vec((blank(), json(), blank()), 0..6),
        (before, after) in (json(), json()),
        (outer, end) in (blank(), "\n{0,3}"),
        bound in 0_usize..8,
    ) {
        let list: Vec<String> = elements.iter().map(|(a, b, c)| format!("{a}{b}{c}")).collect();
        let list = list.join(",");
        let body = format!("{{\"a\":{before},{outer}\"results\" : [{list}],{outer}\"z\":{after}}}{end}");
        let cut = cut(&body, bound);
        let whole: Value = serde_json::from_str(&body).expect("JSON");
        let value: Value = serde_json::from_str(&cut).expect("still JSON");
        let kept = elements.len().min(bound);
        prop_assert_eq!(
            value["results"].as_array().expect("an array"),
            &whole["results"].as_array().expect("an array")[..kept]
        );
        prop_assert_eq!(&value["a"], &whole["a"]);
        prop_assert_eq!(&value["z"], &whole["z"]);
        prop_assert!(!cut.contains("\n\n") && !cut.ends_with('\n'));
        if bound >= elements.len() {
            prop_assert_eq!(cut.as_bytes(), without_blank_lines(body.as_bytes()));
        }
        // The bytes of each place that stays are unchanged, except for blank lines.
        let mut rest = cut.as_str();
        for (_, element, _) in &elements[..kept] {
            let element = String::from_utf8(without_blank_lines(element.as_bytes())).expect("UTF-8");
            let at = rest.find(&element);
            prop_assert!(at.is_some(), "{element} is not in {rest}");
            rest = &rest[at.unwrap_or_default() + element.len()..];
        }
    }

    #[test]
    fn no_bytes_break_it(body in vec(any::<u8>(), 0..200), bound in 0_usize..3) {
        let _ = trim(&body, "results", bound);
    }

    #[test]
    fn the_scanner_ends_on_text_that_is_no_json(
        body in r#"[\[\]{}",:\\ a1]{0,60}"#,
        bound in 0_usize..3,
    ) {
        let _ = trim(body.as_bytes(), "results", bound);
        let scanner = |at| Scanner { body: body.as_bytes(), at };
        let _ = scanner(0).members();
        let _ = scanner(0).elements();
    }
}
