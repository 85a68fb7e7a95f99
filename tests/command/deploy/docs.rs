//! The lists in the documentation, compared with the code.

use proxy_herd::{admin, settings};

use crate::deploy::herd::{Process, herd_command, stop_limit};
use crate::ran::{err, out};
use crate::skipped::skipped;

fn documented(tables: &str) {
    let documented = std::fs::read_to_string("docs/operating.md").expect("it is there");
    assert!(
        documented.contains(tables),
        "docs/operating.md needs this table:\n{tables}"
    );
}

#[test]
fn the_documented_settings_are_those_that_there_are() {
    documented(&settings::markdown());
}

#[test]
fn the_documented_metrics_are_those_that_there_are() {
    documented(&admin::markdown());
}

#[test]
fn a_limit_is_called_as_the_setting_that_sets_it() {
    for limit in admin::limits() {
        let is_setting = settings::SETTINGS
            .iter()
            .any(|setting| setting.name == limit);
        assert!(is_setting || limit == "open-files", "{limit}");
    }
}

/// The words of a text that start with `beginning`, and are longer.
fn words(text: &str, beginning: &str) -> Vec<String> {
    let split = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let words = text.split(split);
    let words = words.filter(|word| word.starts_with(beginning) && word.len() > beginning.len());
    words.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_shipped_names_settings_and_flags_that_there_are() {
    let help = herd_command(&["serve", "--help"]).await;
    let flags = words(&out(&help), "--");
    let mut seen = 0;
    for file in [
        "deploy/herd@.service",
        "deploy/Containerfile",
        "deploy/compose/compose.yaml",
        "deploy/kubernetes/herd.yaml",
    ] {
        let text = std::fs::read_to_string(file).expect("it is shipped");
        // These variables are about the build, and about what Kubernetes derives from a service's
        // name.
        let others = ["HERD_COMMIT", "HERD_PORT"];
        let variables = words(&text, settings::PREFIX).into_iter();
        for variable in variables.filter(|name| !others.contains(&&**name)) {
            let is_setting = settings::SETTINGS
                .iter()
                .any(|setting| setting.variable() == variable);
            assert!(is_setting, "{file}: {variable}");
            seen += 1;
        }
        let commands = text
            .lines()
            .filter(|line| line.contains("serve %i") || line.contains("\"serve\""));
        for flag in commands.flat_map(|line| words(line, "--")) {
            assert!(flags.contains(&flag), "{file}: {flag}");
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} were found");
}

#[test]
fn systemd_understands_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string("deploy/herd@.service").unwrap();
    // systemd-analyze requires that the program exists.
    let unit = unit.replace("/usr/local/bin/herd", env!("CARGO_BIN_EXE_herd"));
    let path = folder.path().join("herd@.service");
    std::fs::write(&path, unit).unwrap();
    let verify = std::process::Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output();
    let Ok(verify) = verify else {
        return skipped("the unit is not read: there is no systemd-analyze");
    };
    let said = err(&verify);
    let about_it = said.lines().find(|line| line.contains("herd@"));
    assert!(verify.status.success() && about_it.is_none(), "{said}");
}

/// The values of a key in the unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines();
    let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.collect()
}

#[test]
fn the_unit_hands_over_what_is_secret_and_leaves_time_to_stop() {
    let unit = std::fs::read_to_string("deploy/herd@.service").unwrap();
    let stop = values(&unit, "TimeoutStopSec")[0]
        .strip_suffix('s')
        .unwrap();
    assert!(stop.parse::<u64>().unwrap() > stop_limit().as_secs());
    let handed = values(&unit, "LoadCredential").into_iter();
    let ids = handed.map(|credential| {
        let (id, from) = credential
            .split_once(':')
            .unwrap_or((credential, credential));
        // A missing path would keep the unit from starting, but a missing credential name does not.
        assert!(!from.contains('/'), "{credential}");
        id
    });
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    let known = [
        "client-certificate",
        "client-key",
        "peer-authorities",
        "peer-certificate",
        "peer-key",
        "peer-secret",
        "places-api-key",
    ];
    assert_eq!(ids, known);
    // Credentials that differ between servers contain the server's name.
    for own in [
        "peer-certificate",
        "peer-key",
        "client-certificate",
        "client-key",
    ] {
        assert!(
            unit.contains(&format!("LoadCredential={own}:herd.%i.{own}\n")),
            "{own}"
        );
    }
    assert_eq!(values(&unit, "LogsDirectory"), ["herd/%i"]);
    // Where records are, it may write, and nobody else may read.
    assert_eq!(values(&unit, "StateDirectory"), ["herd/%i"]);
    assert_eq!(values(&unit, "StateDirectoryMode"), ["0700"]);
    let data = "HERD_DATA_DIR=/var/lib/herd/%i";
    assert!(values(&unit, "Environment").contains(&data));
}

#[tokio::test]
async fn files_are_found_under_the_names_that_the_unit_gives_them() {
    let unit = std::fs::read_to_string("deploy/herd@.service").unwrap();
    let folder = tempfile::tempdir().unwrap();
    for credential in values(&unit, "LoadCredential") {
        let id = credential.split(':').next().unwrap();
        // The secret is the alternative to certificates, so only one of them may be there.
        if id != "peer-secret" {
            std::fs::write(folder.path().join(id), "x").unwrap();
        }
    }
    let path = folder.path().to_str().unwrap();
    let args = ["serve", "Riley", "--print-config"];
    let mut printing = Process::start(&args, &[("CREDENTIALS_DIRECTORY", path)]);
    assert_eq!(printing.ended().await, Some(0), "{}", printing.said());
    let said = printing.said();
    let found = said
        .lines()
        .filter(|line| line.ends_with("# $CREDENTIALS_DIRECTORY"));
    assert_eq!(found.count(), 5, "{said}");
    assert!(said.contains(&format!(
        "the key to Places is from the file `{path}/places-api-key`"
    )));
}
