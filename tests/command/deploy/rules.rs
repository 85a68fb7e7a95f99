//! The shipped alerts and dashboard, compared with a server's metrics, and fired.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

use crate::deploy::herd::{Files, herd_command, program};
use crate::ran::{err, out};
use crate::skipped::skipped;

const RULES: &str = "deploy/rules.yml";
const TESTS: &str = "tests/command/deploy/rules.yml";
const DASHBOARD: &str = "deploy/dashboard.json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "name")]
    _name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    #[serde(rename = "for")]
    _lasts: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).expect("it is shipped")
}

fn rules() -> Vec<Rule> {
    let rules: Rules = serde_norway::from_str(&read(RULES)).expect("rules");
    rules
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

/// The queries of the dashboard to Prometheus.
fn questions() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().expect("a title");
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!title.is_empty() && !targets.is_empty(), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        targets
    });
    let exprs = targets.map(|target| target["expr"].as_str().expect("a question").to_owned());
    let variables = dashboard["templating"]["list"]
        .as_array()
        .expect("variables");
    let variables = variables
        .iter()
        .filter(|variable| variable["type"] == "query");
    let queries =
        variables.map(|variable| variable["query"].as_str().expect("a question").to_owned());
    exprs.chain(queries).collect()
}

/// The metrics in a query, each with the labels that the query uses.
fn asked(question: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = question;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let end = rest[at..]
            .find(|c| !is_word(c))
            .map_or(rest.len(), |end| at + end);
        let word = &rest[at..end];
        rest = &rest[end..];
        if !word.starts_with("herd_") && !word.starts_with("process_") {
            continue;
        }
        let mut labels = Vec::new();
        if let Some((inside, behind)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
        {
            let matchers = inside
                .split(", ")
                .map(|matcher| matcher.trim_end_matches(['=', '!', '~']));
            let names = matchers.map(|matcher| matcher.split(['=', '!']).next().expect("a name"));
            labels.extend(names.map(str::to_owned));
            rest = behind;
        }
        found.push((word.to_owned(), labels));
    }
    found
}

/// The samples of a scrape, each with its labels.
fn told(scrape: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in scrape.lines().filter(|line| !line.starts_with('#')) {
        let (sample, _) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        told.entry(name.to_owned())
            .or_default()
            .extend(labels.map(|(label, _)| label.to_owned()));
    }
    told
}

#[tokio::test]
async fn all_that_rules_and_dashboard_ask_for_is_told_by_a_server() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let (herd, certs) = (files.herd(), files.path("certs"));
    let made = herd_command(&["certs", "--herd", &herd, "--out", &certs]).await;
    assert!(made.status.success(), "{}", err(&made));
    let serve = |name: &str| {
        let own = |setting: &str, file: String| format!("--{setting}={certs}/{file}");
        let proof = [
            own("peer-authorities", "authority.pem".to_owned()),
            own("peer-certificate", format!("{name}.pem")),
            own("peer-key", format!("{name}.key")),
        ];
        let [authorities, certificate, key] = &proof;
        let data = format!("--data-dir={}", files.path(name));
        files.serve(
            name,
            &["--admin=127.0.0.1:0", &data, authorities, certificate, key],
        )
    };
    let (mut riley, _jaquez) = (serve("Riley"), serve("Jaquez"));
    let admin = riley.admin().await;
    admin.is_ready().await;
    // These metrics need a closed connection and an anti-entropy round.
    files
        .ask("Riley", "IAMAT kiwi +1-1 5")
        .await
        .expect("an answer");
    admin
        .reaches(
            "herd_connections_closed_total{with=\"client\",reason=\"ended\"}",
            1.0,
        )
        .await;
    admin
        .reaches("herd_link_roots_agree{peer=\"Jaquez\"}", 0.0)
        .await;
    // This metric needs a measured clock offset.
    let offset = "herd_link_clock_offset_seconds{peer=\"Jaquez\"}";
    admin.reaches(offset, -30.0).await;
    let told = told(&admin.get("/metrics").await.1);
    let exprs = rules().into_iter().map(|rule| rule.expr);
    let mut names = BTreeSet::new();
    for question in exprs.chain(questions()) {
        for (name, labels) in asked(&question) {
            let known = told
                .get(&name)
                .unwrap_or_else(|| panic!("no {name}: {question}"));
            for label in labels {
                // Prometheus adds the labels `job` and `instance`.
                let is_known = label == "job" || label == "instance" || known.contains(&label);
                assert!(is_known, "{name} has no {label}: {question}");
            }
            names.insert(name);
        }
    }
    assert!(names.len() >= 25, "{names:?}");
    let asked_for = asked("rate(herd_x{a=~\"$b\", c!=\"d\"}[5m]) / process_y");
    let labels = vec!["a".to_owned(), "c".to_owned()];
    assert_eq!(
        asked_for,
        [
            ("herd_x".to_owned(), labels),
            ("process_y".to_owned(), vec![])
        ]
    );
}

#[test]
fn each_rule_says_what_is_wrong_and_is_fired_by_a_test() {
    #[derive(Deserialize)]
    struct Tests {
        tests: Vec<Test>,
    }
    #[derive(Deserialize)]
    struct Test {
        alert_rule_test: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        alertname: String,
        #[serde(default)]
        exp_alerts: Vec<serde_norway::Value>,
    }
    let tests: Tests = serde_norway::from_str(&read(TESTS)).expect("tests");
    let cases = tests
        .tests
        .into_iter()
        .flat_map(|test| test.alert_rule_test);
    let fired = cases.filter(|case| !case.exp_alerts.is_empty());
    let fired: BTreeSet<String> = fired.map(|case| case.alertname).collect();
    let rules = rules();
    for rule in &rules {
        let severity = rule.labels.get("severity").map(String::as_str);
        assert!(
            matches!(severity, Some("critical" | "warning")),
            "{}",
            rule.alert
        );
        for annotation in ["summary", "description"] {
            let text = rule.annotations.get(annotation);
            assert!(text.is_some_and(|text| text.len() > 20), "{}", rule.alert);
        }
    }
    let names: BTreeSet<String> = rules.into_iter().map(|rule| rule.alert).collect();
    assert_eq!(fired, names);
}

#[test]
fn prometheus_reads_the_rules_and_fires_each() {
    let Some(promtool) = program("promtool", "target/prometheus/usr/bin/promtool") else {
        return skipped("no rule is fired: there is no promtool");
    };
    for args in [["check", "rules", RULES], ["test", "rules", TESTS]] {
        let ran = Command::new(&promtool)
            .args(args)
            .output()
            .expect("it runs");
        assert!(ran.status.success(), "{}{}", out(&ran), err(&ran));
    }
}
