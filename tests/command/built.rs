//! The build that a program reports, from git, from the environment, or unknown.

use std::path::Path;
use std::process::Command;

#[path = "../../build.rs"]
#[expect(dead_code, reason = "its `main` is for cargo")]
mod build_script;

use build_script::Build;

fn git(folder: &Path, args: &[&str]) {
    let done = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=Nobody",
            "-c",
            "user.email=nobody@example.org",
        ])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2024-02-29T12:00:00Z")
        .env("GIT_COMMITTER_DATE", "2024-02-29T23:59:59Z")
        .output();
    let done = done.expect("git runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {said}");
}

fn found(folder: &Path, variables: &[(&str, &str)]) -> Result<Build, String> {
    let variable = |name: &str| {
        let mut given = variables.iter();
        given
            .find(|(known, _)| *known == name)
            .map(|(_, text)| (*text).to_owned())
    };
    Build::find(folder, variable)
}

fn with_sources() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("src")).expect("made");
    for file in ["build.rs", "Cargo.toml", "Cargo.lock", "src/lib.rs"] {
        std::fs::write(folder.path().join(file), "").expect("written");
    }
    folder
}

#[test]
fn a_repository_knows_the_commit_its_day_and_whether_sources_were_changed() {
    let folder = with_sources();
    let folder = folder.path();
    git(folder, &["init", "--quiet"]);
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", "First"]);
    let first = found(folder, &[]).expect("a build");
    assert_eq!(first.date, "2024-02-29");
    assert_eq!(first.commit.len(), 12, "{}", first.commit);
    assert_eq!(found(folder, &[]), Ok(first));
    // A file that is no source does not change the build.
    std::fs::write(folder.join("notes.txt"), "").expect("written");
    assert!(!found(folder, &[]).expect("a build").commit.contains('-'));
    let mut commits = Vec::new();
    for text in ["one", "two"] {
        std::fs::write(folder.join("src/lib.rs"), text).expect("written");
        let changed = found(folder, &[]).expect("a build").commit;
        assert!(changed.ends_with("-dirty"), "{changed}");
        git(folder, &["commit", "--quiet", "-am", text]);
        commits.push(found(folder, &[]).expect("a build").commit);
    }
    assert!(!commits.concat().contains("dirty") && commits[0] != commits[1]);
    // The environment overrides git, and then the date is unknown, since it is that of another
    // commit.
    let told = found(folder, &[("HERD_COMMIT", "v1.2")]).expect("a build");
    assert_eq!((&*told.commit, &*told.date), ("v1.2", "unknown"));
}

#[test]
fn without_a_repository_the_environment_or_the_package_tells_or_nobody() {
    let around = with_sources();
    git(around.path(), &["init", "--quiet"]);
    git(around.path(), &["add", "."]);
    git(
        around.path(),
        &["commit", "--quiet", "-m", "Another project"],
    );
    let folder = around.path().join("vendored");
    std::fs::create_dir(&folder).expect("made");
    let nothing = found(&folder, &[]).expect("a build");
    assert_eq!(nothing.of("0.1.0"), "0.1.0 (commit unknown)");
    let packaged = "{ \"git\": { \"sha1\": \"0123456789abcdef0123\" }, \"path_in_vcs\": \"\" }";
    std::fs::write(folder.join(".cargo_vcs_info.json"), packaged).expect("written");
    let packaged = found(&folder, &[]).expect("a build");
    assert_eq!(packaged.of("0.1.0"), "0.1.0 (commit 0123456789ab)");
    let told = [("HERD_COMMIT", "abc"), ("SOURCE_DATE_EPOCH", "1790000000")];
    let told = found(&folder, &told).expect("a build");
    assert_eq!(told.of("0.1.0"), "0.1.0 (commit abc, 2026-09-21)");
}

#[test]
fn days_are_those_of_the_calendar() {
    for (seconds, day) in [
        ("0", "1970-01-01"),
        ("951782399", "2000-02-28"),
        ("951782400", "2000-02-29"),
        ("4107542399", "2100-02-28"),
        ("4107542400", "2100-03-01"),
        ("1798761599", "2026-12-31"),
        ("13569465600", "2400-01-01"),
    ] {
        let built = found(Path::new("/nowhere"), &[("SOURCE_DATE_EPOCH", seconds)]);
        assert_eq!(built.expect("a build").date, day);
    }
}

#[test]
fn what_is_no_commit_and_no_time_is_refused_in_words() {
    let nowhere = Path::new("/nowhere");
    let commit = found(nowhere, &[("HERD_COMMIT", "a\"b\nc")]).expect_err("no commit");
    assert!(commit.contains("HERD_COMMIT is `a\\\"b\\nc`"), "{commit}");
    let date = found(nowhere, &[("SOURCE_DATE_EPOCH", "today")]).expect_err("no time");
    assert!(date.contains("SOURCE_DATE_EPOCH is `today`"), "{date}");
}

#[test]
fn the_program_says_which_build_it_is() {
    let ran = Command::new(env!("CARGO_BIN_EXE_herd"))
        .arg("--version")
        .output();
    let said = String::from_utf8(ran.expect("it runs").stdout).expect("UTF-8");
    assert_eq!(said, format!("herd {}\n", proxy_herd::version::BUILD));
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        said.starts_with(&format!("herd {version} (commit ")),
        "{said}"
    );
    assert!(said.contains(proxy_herd::version::COMMIT), "{said}");
}
