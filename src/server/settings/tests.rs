use std::path::{Path, PathBuf};
use std::time::Duration;

use super::key::{KeyError, KeyPlace, find};
use super::{Origin, Resolved, SETTINGS, Settings, print, resolve};
use crate::diag::Problems;

/// Resolves the settings of a file with this text, without other sources.
fn from_file(text: &str) -> Result<(Resolved, Problems), Problems> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("herd.toml");
    std::fs::write(&file, text).unwrap();
    resolve(Some(&file), &[], &[])
}

fn env(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[test]
fn a_flag_goes_before_the_environment_that_before_a_file_that_before_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("herd.toml");
    std::fs::write(
        &file,
        "anti_entropy = \"1s\"\nidle = \"1s\"\ndrain = \"1s\"\n",
    )
    .unwrap();
    let environment = [env("HERD_IDLE", "2s"), env("HERD_DRAIN", "2s")];
    let flags = [("drain", "3s".to_owned())];
    let (resolved, warnings) = resolve(Some(&file), &environment, &flags).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    let timing = &resolved.settings.timing;
    let seconds = [
        timing.heartbeat,
        timing.anti_entropy,
        timing.idle,
        timing.drain,
    ];
    assert_eq!(seconds.map(|time| time.as_secs()), [2, 1, 2, 3]);
    assert_eq!(resolved.origin("heartbeat"), &Origin::Default);
    let name = file.display().to_string();
    assert_eq!(resolved.origin("anti-entropy"), &Origin::File(name, 1));
    assert_eq!(resolved.origin("idle"), &Origin::Environment);
    assert_eq!(resolved.origin("drain"), &Origin::Flag);
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_each_in_its_place() {
    let text = "hartbeat = \"1s\"\nanti_entropy = \"2 parsecs\"\nidle = 3\nclient_line = 5\n\
                log_level = \"loud\"\ninsecure_peers = \"yes\"\n";
    let problems = from_file(text).unwrap_err();
    let told = problems.to_string();
    for (place, words) in [
        (":1:1", "unknown field `hartbeat`"),
        (":1:1", "did you mean `heartbeat`?"),
        (":2:16", "no unit of time"),
        (":3:8", "expected a string"),
        (":4:15", "whole number from 64 to 32768"),
        (":5:13", "one of error, warn, info, debug, trace"),
        (":6:18", "expected `true` or `false`"),
    ] {
        assert!(
            told.contains(place) && told.contains(words),
            "{words}:\n{told}"
        );
    }
    assert_eq!(problems.len(), 6);
}

#[test]
fn mistakes_elsewhere_name_the_variable_or_the_flag() {
    let environment = [
        env("HERD_ANTI_ENTROPY", "often"),
        env("HERD_ANTI_ENTROPI", "1s"),
        env("HERD_SERVICE_HOST", "x"),
    ];
    let flags = [("drain", "25h".to_owned())];
    let told = resolve(None, &environment, &flags).unwrap_err().to_string();
    for words in [
        "error: bad `HERD_ANTI_ENTROPY` in the environment",
        "warning: `HERD_ANTI_ENTROPI` in the environment is no setting",
        "did you mean `HERD_ANTI_ENTROPY`?",
        "warning: `HERD_SERVICE_HOST`",
        "bad `--drain`: it must be from 1ms to 24h",
    ] {
        assert!(told.contains(words), "{words}:\n{told}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let flags = [("redial-least", "3s".to_owned())];
    let told = resolve(None, &[], &flags).unwrap_err().to_string();
    assert!(
        told.contains("`redial-least` is longer than `redial-most`"),
        "{told}"
    );
}

#[test]
fn settings_of_a_disk_are_refused_without_a_folder() {
    for (name, value) in [
        ("durability", "answered"),
        ("sync-every", "1s"),
        ("snapshot-after", "65536"),
        ("strict-data", "true"),
    ] {
        let flag = (name, value.to_owned());
        let refused = resolve(None, &[], std::slice::from_ref(&flag));
        let problems = refused.expect_err(name).to_string();
        assert!(
            problems.contains(&format!("`{name}` is about records on disk")),
            "{problems}"
        );
        let folder = ("data-dir", "records".to_owned());
        resolve(None, &[], &[flag, folder]).expect("there is a folder");
    }
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let flags = [
        ("places-url", "http://127.0.0.1:8080/x".to_owned()),
        ("places-api", "new".to_owned()),
        ("log-dir", "/var/log/a \"herd\"".to_owned()),
        ("log-format", "json".to_owned()),
        ("insecure-peers", "true".to_owned()),
    ];
    let (resolved, _) = resolve(None, &[], &flags).unwrap();
    let printed = print(&resolved, None);
    assert!(
        printed.contains("# --places-url") && printed.contains("# default"),
        "{printed}"
    );
    let (again, _) = from_file(&printed).unwrap();
    for setting in SETTINGS {
        assert_eq!(
            setting.get(&again.settings),
            setting.get(&resolved.settings),
            "{}",
            setting.name
        );
    }
}

#[test]
fn paths_in_a_file_are_relative_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("herd.toml");
    std::fs::write(&file, "log_dir = \"logs\"\n").unwrap();
    let (resolved, _) = resolve(Some(&file), &[], &[]).unwrap();
    assert_eq!(resolved.settings.log.dir, Some(folder.path().join("logs")));
}

#[test]
fn files_of_a_service_manager_count_where_nobody_else_names_any() {
    let folder = tempfile::tempdir().unwrap();
    for file in [
        "peer-authorities",
        "peer-certificate",
        "peer-key",
        "client-key",
        "stranger",
    ] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    let environment = [env(
        "CREDENTIALS_DIRECTORY",
        folder.path().to_str().unwrap(),
    )];
    let flags = [
        ("peer-key", "mine".to_owned()),
        ("client-certificate", "mine".to_owned()),
    ];
    let (resolved, warnings) = resolve(None, &environment, &flags).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    let peers = &resolved.settings.peers;
    assert_eq!(peers.own.key, Some(PathBuf::from("mine")));
    assert_eq!(
        peers.own.certificate,
        Some(folder.path().join("peer-certificate"))
    );
    assert_eq!(resolved.origin("peer-authorities"), &Origin::Credential);
    assert_eq!(resolved.origin("peer-secret-file"), &Origin::Default);
    let printed = print(&resolved, None);
    let line = printed.lines().find(|line| line.starts_with("client_key"));
    assert!(
        line.unwrap().ends_with("# $CREDENTIALS_DIRECTORY"),
        "{printed}"
    );
    // Such files must match the other settings like any file.
    let told = resolve(None, &environment, &flags[..1])
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("there is `client-key`, but no `client-certificate`"),
        "{told}"
    );
}

#[test]
fn every_setting_takes_its_default_back() {
    for setting in SETTINGS {
        let mut settings = Settings::default();
        if let Some(value) = setting.get(&settings) {
            let text = value.trim_matches('"');
            setting.set(&mut settings, text, Path::new("")).unwrap();
            assert_eq!(setting.get(&settings), Some(value), "{}", setting.name);
        }
    }
}

#[test]
fn a_url_of_places_is_taken_apart() {
    let url = |text: &str| {
        let (resolved, _) = resolve(None, &[], &[("places-url", text.to_owned())])?;
        Ok::<_, Problems>(resolved.settings.places_url().to_string())
    };
    assert_eq!(url("http://[::1]:80/a/b").unwrap(), "http://[::1]:80/a/b");
    assert_eq!(
        url("https://example.com").unwrap(),
        "https://example.com:443/"
    );
    for bad in [
        "127.0.0.1:80",
        "ftp://a/",
        "http://",
        "http://u:hidden@a/",
        "http://a/?key=hidden",
    ] {
        let told = url(bad).unwrap_err().to_string();
        assert!(
            told.contains("URL of Places") && !told.contains("hidden"),
            "{told}"
        );
    }
    let (resolved, _) = resolve(None, &[], &[("places-api", "new".to_owned())]).unwrap();
    let google = resolved.settings.places_url().to_string();
    assert_eq!(
        google,
        "https://places.googleapis.com:443/v1/places:searchNearby"
    );
}

#[test]
fn the_key_is_in_a_file_or_the_environment_or_a_credential_and_never_shows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("places-api-key");
    std::fs::write(&file, "not-for-you\n").unwrap();
    let mut settings = Settings::default();
    assert!(find(&settings, None, None).unwrap().is_none());
    assert!(
        find(&settings, None, Some(Path::new("/nowhere")))
            .unwrap()
            .is_none()
    );
    let place = |found: Result<Option<(_, KeyPlace)>, KeyError>| found.unwrap().unwrap().1;
    assert_eq!(
        place(find(&settings, None, Some(folder.path()))),
        KeyPlace::File(file.clone())
    );
    assert_eq!(
        place(find(&settings, Some("k"), Some(folder.path()))),
        KeyPlace::Variable
    );
    settings.places_key_file = Some(file.clone());
    assert_eq!(
        place(find(&settings, Some("k"), None)),
        KeyPlace::File(file.clone())
    );
    let said = format!("{:?}", find(&settings, None, None));
    assert!(!said.contains("not-for-you"), "{said}");
    std::fs::write(&file, "not for you\n").unwrap();
    let said = find(&settings, None, None).unwrap_err().to_string();
    assert!(
        said.contains("no key in the file") && !said.contains("not for you"),
        "{said}"
    );
    settings.places_key_file = Some(PathBuf::from("/nowhere/key"));
    let said = find(&settings, None, None).unwrap_err().to_string();
    assert!(
        said.contains("can't read the key to Places in `/nowhere/key`"),
        "{said}"
    );
    assert_eq!(settings.timing.drain, Duration::from_secs(5));
}
