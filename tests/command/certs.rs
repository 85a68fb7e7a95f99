//! `herd certs` as its user sees it: its files, their permissions, and that they work.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use proxy_herd::net::secure::{ClientTls, Clock, Pem, Tls};
use proxy_herd::net::tokio::TokioNet;

fn certs(out: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(["certs", "--out"]).arg(out).args(more);
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn every_server_gets_what_it_needs_and_its_key_is_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("made/for/it");
    let made = certs(&out, &["--herd", "hill", "--clients"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let said = text(&made.stdout);
    assert!(
        said.contains("Singleton.key") && said.contains("good for 30 days"),
        "{said}"
    );
    assert!(!said.contains("PRIVATE KEY"));
    let file = |name: &str| Pem::load(&out.join(name)).expect("it is there");
    let clock = || Clock::of(&TokioNet);
    for server in ["Hill", "Jaquez", "Smith", "Campbell", "Singleton"] {
        let [certificate, key] = ["pem", "key"].map(|end| file(&format!("{server}.{end}")));
        Tls::new(server, &file("authority.pem"), &certificate, &key, clock()).expect("they fit");
    }
    ClientTls::new(&file("clients.pem"), &file("clients.key"), clock()).expect("they fit");
    #[cfg(unix)]
    for entry in fs::read_dir(&out).expect("it is there") {
        use std::os::unix::fs::PermissionsExt as _;
        let entry = entry.expect("readable");
        if entry.path().extension().is_some_and(|end| end == "key") {
            let mode = entry.metadata().expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        }
    }
}

#[test]
fn what_is_there_is_only_replaced_when_that_is_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, mine) = (folder.path(), folder.path().join("Juzang.key"));
    fs::write(&mine, "mine").expect("written");
    let refused = certs(out, &[]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(
        said.contains("Juzang.key is there already") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(
        fs::read_dir(out).expect("it is there").count(),
        1,
        "something was written"
    );
    assert_eq!(fs::read_to_string(&mine).expect("it is there"), "mine");
    assert!(certs(out, &["--force"]).status.success());
    let key = fs::read_to_string(&mine).expect("it is there");
    assert!(key.starts_with("-----BEGIN PRIVATE KEY"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&mine)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(
            mode & 0o777,
            0o600,
            "who could read the old one can read this"
        );
    }
}

#[test]
fn a_server_that_no_certificate_can_name_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    for (servers, wanted) in [
        (
            "servers = [\"A\", \"b..c\"]\nlinks = [\"A-b..c\"]",
            "no certificate can name b..c",
        ),
        (
            "servers = [\"A\", \"Authority\"]\nlinks = [\"A-Authority\"]",
            "two files would be called",
        ),
    ] {
        let (herd, out) = (folder.path().join("herd.toml"), folder.path().join("out"));
        fs::write(&herd, format!("name = \"bad\"\n{servers}\n")).expect("written");
        let refused = certs(&out, &["--herd", herd.to_str().expect("UTF-8")]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(wanted), "{said}");
        assert!(!out.exists());
    }
}

#[cfg(unix)]
#[test]
fn where_there_is_no_room_nothing_is_left_in_the_way_of_the_next_try() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("certs");
    // No file may grow to a kilobyte, so writing fails as on a full disk.
    let failed = Command::new("sh")
        .args([
            "-c",
            "ulimit -f 1; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_herd"),
        ])
        .args(["certs", "--herd", "hill", "--out"])
        .arg(&out)
        .output()
        .expect("a shell");
    assert_eq!(failed.status.code(), Some(2), "{}", text(&failed.stderr));
    assert_eq!(fs::read_dir(&out).expect("it is there").count(), 0);
    let made = certs(&out, &["--herd", "hill"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
}
