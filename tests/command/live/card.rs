//! The report card of the command's own server, in all its forms.

use std::path::Path;

use serde_json::Value;

use crate::ran::{err, exit, herd, out};

/// Elements of HTML that have no end.
const VOID: [&str; 3] = ["meta", "br", "link"];

/// Fails unless each tag of a text has its end, and nothing else in it begins one.
pub(super) fn assert_well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('<') {
        let (tag, behind) = behind.split_once('>').expect("a tag ends");
        rest = behind;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "in <{tag}>");
        if let Some(ends) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(ends), "</{ends}> ends another element");
            continue;
        }
        let name = tag.split([' ', '/']).next().expect("a name");
        assert!(
            name.chars().all(char::is_alphanumeric) && !name.is_empty(),
            "<{tag}>"
        );
        if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
        if ["style", "script"].contains(&name) {
            rest = rest.split_once("</").expect("it ends").1;
            rest = rest.split_once('>').expect("it ends").1;
            open.pop();
        }
    }
    assert!(open.is_empty(), "{open:?} have no end");
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("it was written, and is UTF-8")
}

#[test]
fn our_own_server_passes_the_whole_card() {
    let folder = tempfile::tempdir().expect("a folder");
    let [xml, html] = ["card.xml", "card.html"].map(|name| folder.path().join(name));
    let [xml_flag, html_flag] = [&xml, &html].map(|file| file.to_str().expect("UTF-8"));
    let ran = herd(&["check", "--json", "--junit", xml_flag, "--html", html_flag]);
    let json: Value = serde_json::from_str(&out(&ran)).unwrap_or_else(|_| panic!("{}", err(&ran)));
    let rules = json["rules"].as_array().expect("a list");
    let wrong: Vec<_> = rules
        .iter()
        .filter(|rule| rule["verdict"] != "passed")
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(exit(&ran), 0);
    assert!(
        rules.len() >= 80 && json["passed"] == true,
        "{}",
        rules.len()
    );
    let must = json["must"]["passed"].as_u64().expect("a number");
    let taste = json["taste"]["passed"].as_u64().expect("a number");
    assert_eq!(usize::try_from(must + taste).expect("few"), rules.len());
    assert!(must > taste && taste > 5);

    let (xml, html) = (read(&xml), read(&html));
    assert_well_formed(&xml);
    assert_well_formed(&html);
    assert_eq!(xml.matches("<testcase ").count(), rules.len());
    assert!(!xml.contains("<failure") && !xml.contains("<skipped"));
    assert_eq!(html.matches("<tr><th scope=\"row\">").count(), rules.len());
    assert!(html.contains(&format!("{must} of {must} rules")), "{html}");
    assert!(
        !html.contains("<script") && !html.contains("://"),
        "a page of its own"
    );
    // Neither a progress line nor a warning of anybody.
    assert_eq!(err(&ran), "");
}

#[test]
fn rules_are_listed_and_chosen_by_id_and_group() {
    let list = |args: &[&str]| {
        let ran = herd(&[&["check", "--list"], args].concat());
        assert_eq!(exit(&ran), 0, "{}", err(&ran));
        out(&ran).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = list(&[]);
    assert!(all.len() >= 80);
    assert!(
        all.iter()
            .any(|line| line.starts_with("formats  location-range (taste): "))
    );
    let streams = list(&["--only", "streams"]);
    assert!(streams.iter().all(|line| line.starts_with("streams  ")) && streams.len() > 5);
    let some = list(&["--only", "location-*", "--skip", "*-range"]);
    assert!(some.len() > 3 && some.iter().all(|line| line.contains("  location-")));
    let rest = list(&["--skip", "streams", "--skip", "location-*"]);
    assert_eq!(rest.len() + streams.len() + some.len() + 1, all.len());
}
