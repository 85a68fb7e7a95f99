use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: Option<String>,
    step: Option<Vec<Section<Step>>>,
    hops: Option<Entries<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[expect(dead_code, reason = "only its presence matters")]
    at: String,
    crash: Option<OneOrMany>,
}

/// The problems as `line:column message`, and the value that was read.
fn read(name: &str, text: &str) -> (Vec<String>, Option<Parsed<File>>) {
    let source = Source::new(name, text);
    let mut problems = Problems::new();
    let parsed = parse(&source, &mut problems);
    let told = problems.sorted().into_iter().map(|problem| {
        let (line, column) = problem.line_column().unwrap();
        format!("{line}:{column} {}", problem.message)
    });
    (told.collect(), parsed)
}

#[test]
fn all_problems_are_told_at_once_and_the_rest_is_read() {
    let text = "titel = \"é\"\r\nhops = { A = 1, B = \"x\", C = 3 }\r\n\
        [[step]]\r\nat = 5\r\ncrash = [\"é\", 7, \"B\"]\r\n[[step]]\r\ncrash = \"A\"\r\n";
    let (told, parsed) = read("a.toml", text);
    let wanted = [
        "1:1 unknown field `titel`",
        "2:21 expected a whole number, not negative and not too large, found the string \"x\"",
        "3:1 missing field `at`",
        "4:6 expected a string, found the integer `5`",
        "5:15 expected a string, found the integer `7`",
        "6:1 missing field `at`",
    ];
    assert_eq!(told, wanted);
    let parsed = parsed.unwrap();
    assert_eq!(parsed.value.title, None);
    assert_eq!(parsed.value.hops.unwrap().len(), 2);
    assert!(parsed.damage.is_at(&ROOT));
}

#[cfg(feature = "sim")]
#[test]
fn json_gives_the_same_tree_and_the_same_problems() {
    let good = r#"{ "$schema": "x", "title": "é", "hops": { "A": 1 } }"#;
    let (told, parsed) = read("a.json", good);
    assert_eq!(told, [""; 0]);
    assert_eq!(parsed.unwrap().value.title.as_deref(), Some("é"));

    let bad = "{ \"titel\": \"é\", \"hops\": { \"A\": null, \"B\": -1 },\n\"hops\": {} }";
    let (told, _) = read("a.json", bad);
    let wanted = [
        "1:3 unknown field `titel`",
        "1:32 `null` has no meaning here: leave it out",
        "1:43 expected a whole number, not negative and not too large, found the integer `-1`",
        "2:1 duplicate key `hops`",
    ];
    assert_eq!(told, wanted);
}

#[cfg(feature = "sim")]
#[test]
fn json_syntax_errors_have_a_place() {
    assert_eq!(
        read("a.json", "{ \"title\": 1,\n}").0,
        ["1:13 trailing commas are not allowed"]
    );
    assert_eq!(
        read("a.json", "{ \"a\": 1\n \"b\": 2 }").0,
        ["1:9 expected comma"]
    );
    assert_eq!(
        read("a.json", "[]").0,
        ["1:1 the file must hold one JSON object"]
    );
    assert_eq!(read("a.json", "").0, ["1:1 the file is empty"]);
}

#[test]
fn a_missing_comma_is_one_problem_where_the_comma_belongs() {
    let text = "step = [\n  { at = \"1s\" }\n  { at = \"2s\" },\n]\n";
    let (told, parsed) = read("a.toml", text);
    assert_eq!(
        told,
        ["2:16 missing comma between array elements, expected `,`"]
    );
    assert!(parsed.is_none());
}

#[test]
fn an_unclosed_list_does_not_bury_its_cause() {
    let (told, _) = read("a.toml", "a = [1, 2\nb = 3\nc = 4\nd = 5\n");
    assert_eq!(told, ["1:5 this list is not closed before line 2"]);
    // If nothing shows where the list ends, the parser's message is kept.
    let (told, _) = read("a.toml", "a = [1, 2\n");
    assert_eq!(told, ["1:10 unclosed array, expected `]`"]);
    let (told, _) = read(
        "a.toml",
        "title = abc\nstep = [{ at = \"1s\" },\n\n[hops]\nA = 1\n",
    );
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1], "2:8 this list is not closed before line 4");
}

#[test]
fn several_syntax_errors_are_told_together() {
    let (told, _) = read("a.toml", "title = abc\nother = def\n");
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn quotes_of_a_word_processor_and_dates_are_called_what_they_are() {
    let (told, _) = read("a.toml", "title = “x”\n");
    assert_eq!(told, ["1:9 `“` begins no text"]);
    for date in ["1979-05-27", "07:32:00", "1979-05-27T07:32:00Z"] {
        let (told, _) = read("a.toml", &format!("title = {date}\n"));
        let wanted = format!("1:9 expected a string, found the date {date}");
        assert_eq!(told, [wanted]);
    }
}

#[test]
fn one_string_is_as_good_as_a_list() {
    let text = "step = [{ at = \"1s\", crash = \"A\" }, { at = \"1s\", crash = [\"A\", \"B\"] }]";
    let steps = read("a.toml", text).1.unwrap().value.step.unwrap();
    let one = steps[0].crash.as_ref().unwrap();
    assert_eq!(one.items().len(), 1);
    assert_eq!(one.single().unwrap().span(), 29..32);
    let many = steps[1].crash.as_ref().unwrap();
    assert_eq!(many.items().len(), 2);
    assert!(many.single().is_none());
}

#[test]
fn a_part_of_a_string_has_a_place_unless_the_string_has_escapes() {
    let plain = Source::new("a.toml", "x = \"A-B\"");
    let text = Located::new(4..9, "A-B".to_owned());
    assert_eq!(text.part(&plain, 2..3), 7..8);
    let escaped = Source::new("a.toml", "x = \"\\u0041-B\"");
    let text = Located::new(4..14, "A-B".to_owned());
    assert_eq!(text.part(&escaped, 2..3), 4..14);
}

#[cfg(not(feature = "sim"))]
#[test]
fn json_is_refused_by_a_build_that_can_t_read_it() {
    assert_eq!(read("a.json", "{}").0, ["1:1 this build can't read JSON"]);
}

#[test]
fn a_list_is_no_table_and_a_table_no_list() {
    let (told, _) = read("a.toml", "step = [[\"1s\", \"A\"]]");
    assert_eq!(told, ["1:9 expected a table, found a list"]);
    let source = Source::new("a.toml", "title = \"é\"\n[step]\nat = \"1s\"\n");
    let mut problems = Problems::new();
    assert!(parse::<File>(&source, &mut problems).is_some());
    let text = problems.to_string();
    assert!(text.contains("expected a list, found a table"), "{text}");
    assert!(text.contains("double brackets"), "{text}");
}
