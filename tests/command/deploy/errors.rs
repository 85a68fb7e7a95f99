//! Errors from outside of a server have helpful messages: unknown host names, and certificates.

use proxy_herd::net::Net as _;
use proxy_herd::net::tokio::TokioNet;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};

use super::herd::{Files, Process, eventually, herd_command};

/// A host name that no resolver accepts, even without a network, because a label has up to 63
/// letters.
fn unknown_host() -> String {
    format!("{}.invalid", "x".repeat(64))
}

/// A herd file with servers at these hosts, each linked with the first.
fn herd_at(files: &Files, hosts: [&str; 2]) -> String {
    let servers = ["A", "B"].map(|name| {
        let host = hosts[usize::from(name == "B")];
        let port = files.port(if name == "A" { "Riley" } else { "Jaquez" });
        let peer_port = files.port(if name == "A" { "Juzang" } else { "Bernard" });
        format!(
            "{{ name = \"{name}\", host = \"{host}\", port = {port}, peer_port = {peer_port} }}"
        )
    });
    let path = files.path("hosts.toml");
    let text = format!(
        "name = \"test\"\nservers = [{}]\nlinks = [\"A-B\"]\n",
        servers.join(", ")
    );
    std::fs::write(&path, text).expect("written");
    path
}

#[tokio::test]
async fn a_name_that_is_not_resolved_is_told_in_the_resolvers_words() {
    let files = Files::new().await;
    let host = unknown_host();
    let words = format!("the host name `{host}` can't be resolved: ");
    // A neighbour's host name can't be resolved.
    let herd = herd_at(&files, ["127.0.0.1", &host]);
    let mut a = Process::start(
        &["serve", "A", "--herd", &herd, "--connect-deadline=25s"],
        &[],
    );
    a.logs(&format!("can't connect to B: {words}")).await;
    // The server's own host name can't be resolved.
    let mut b = Process::start(&["serve", "B", "--herd", &herd], &[]);
    assert_eq!(b.ended().await, Some(1));
    for words in [&*words, "resolvable on this machine"] {
        assert!(b.said().contains(words), "{}", b.said());
    }
    // A target of `herd send` or `herd load` can't be resolved.
    let (there, asked) = (format!("{host}:12200"), "--timeout=2s");
    for (command, more) in [("send", ["x", asked]), ("load", ["--count=1", asked])] {
        let failed = herd_command(&[&[command, &there], &more[..]].concat()).await;
        assert_eq!(failed.status.code(), Some(1));
        let said = crate::ran::out(&failed) + &crate::ran::err(&failed);
        assert!(said.contains(&words), "{said}");
    }
    let said = a.said() + &b.said();
    assert!(!said.contains("uncategorized"), "{said}");
}

/// An authority that issues certificates with mistakes.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The extended key usages of a certificate.
const SERVER: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ServerAuth;
const CLIENT: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ClientAuth;

impl Authority {
    fn new(files: &Files) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        std::fs::write(files.path("authority.pem"), issuer.pem()).expect("written");
        Self(issuer)
    }

    /// Writes a certificate for this name and these usages, valid for `days` days.
    fn issue(&self, files: &Files, name: &str, usages: &[ExtendedKeyUsagePurpose], days: u32) {
        let mut params = CertificateParams::default();
        let san = SanType::DnsName(name.try_into().expect("a name"));
        params.subject_alt_names = vec![san];
        params.extended_key_usages = usages.to_vec();
        let day = std::time::Duration::from_hours(24);
        let now = TokioNet.now().as_nanos() / 1_000_000_000;
        let now = std::time::Duration::from_secs(u64::try_from(now).expect("after 1970"));
        let begin = date_time_ymd(1970, 1, 1) + now;
        (params.not_before, params.not_after) = (begin - day, begin + day * days);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let write = |end: &str, text: String| {
            std::fs::write(files.path(&format!("{name}.{end}")), text).expect("written");
        };
        write("pem", certificate.pem());
        write("key", key.serialize_pem());
    }
}

/// The flags by which a server shows its certificate to other servers.
fn proof(files: &Files, name: &str) -> Vec<String> {
    vec![
        format!("--peer-authorities={}", files.path("authority.pem")),
        format!("--peer-certificate={}", files.path(&format!("{name}.pem"))),
        format!("--peer-key={}", files.path(&format!("{name}.key"))),
        "--admin=127.0.0.1:0".to_owned(),
    ]
}

fn serve(files: &Files, name: &str) -> Process {
    let flags = proof(files, name);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    files.serve(name, &flags)
}

#[tokio::test]
async fn a_server_does_not_begin_with_a_certificate_for_one_end_alone() {
    let files = Files::new().await;
    let authority = Authority::new(&files);
    for usages in [&[SERVER][..], &[CLIENT]] {
        authority.issue(&files, "Riley", usages, 99);
        let mut riley = serve(&files, "Riley");
        assert_eq!(riley.ended().await, Some(2));
        let words = "Riley.pem: the certificate is not for both ends of a connection between servers: it needs both \
                     extended key usages";
        assert!(riley.said().contains(words), "{}", riley.said());
    }
    // A certificate without extended key usages suits both ends. A reload with a bad certificate
    // changes nothing.
    authority.issue(&files, "Riley", &[], 99);
    let mut riley = serve(&files, "Riley");
    riley.logs("listens at").await;
    authority.issue(&files, "Riley", &[SERVER], 99);
    riley.signal("HUP").await;
    riley.logs("reloads nothing").await;
    riley.logs("it needs both extended key usages").await;
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_warned_of_and_when_it_does_is_a_metric() {
    let files = Files::new().await;
    let authority = Authority::new(&files);
    authority.issue(&files, "Riley", &[SERVER, CLIENT], 3);
    let mut riley = serve(&files, "Riley");
    let admin = riley.admin().await;
    riley
        .logs("Riley.pem (`peer-certificate`) expires in ")
        .await;
    let sample = "herd_certificate_expires_timestamp_seconds{setting=\"peer-certificate\"}";
    let first = admin.metric(sample).await.expect("a sample");
    // The certificate is renewed, and the server reloads it.
    authority.issue(&files, "Riley", &[SERVER, CLIENT], 99);
    riley.signal("HUP").await;
    riley.logs("settings are reloaded").await;
    let days = 96.0 * 24.0 * 3600.0;
    admin.reaches(sample, first + days - 60.0).await;
    let of_authority = "herd_certificate_expires_timestamp_seconds{setting=\"peer-authorities\"}";
    assert!(admin.metric(of_authority).await.is_some());
    let said = riley.logged();
    assert_eq!(said.matches("(`peer-certificate`)").count(), 1, "{said}");
}

#[tokio::test]
async fn a_client_is_told_in_words_why_there_is_no_tls() {
    let files = Files::new().await;
    let authority = Authority::new(&files);
    authority.issue(&files, "localhost", &[SERVER], 99);
    // This is the authority's own certificate in place of a server's, as `openssl req -x509` makes
    // one.
    std::fs::write(files.path("own.key"), authority.0.key().serialize_pem()).expect("written");
    let send = async |file: &str| {
        let file = files.path(file);
        let herd = files.herd();
        let args = [
            "send",
            "--herd",
            &herd,
            "--tls-authorities",
            &file,
            "Riley",
            "x",
        ];
        let failed = herd_command(&args).await;
        assert_eq!(failed.status.code(), Some(1));
        crate::ran::err(&failed)
    };
    let begin = |certificate: &str, key: &str| {
        let certificate = format!("--client-certificate={}", files.path(certificate));
        let key = format!("--client-key={}", files.path(key));
        files.serve("Riley", &[&certificate, &key, "--log-level=debug"])
    };
    let mut riley = begin("authority.pem", "own.key");
    riley.logs("listens at").await;
    let said = send("authority.pem").await;
    let words = "the certificate of the server is an authority's own (basicConstraints CA:TRUE)";
    assert!(said.contains(words), "{said}");
    riley
        .logs("the client does not take this server's certificate (`client-certificate`)")
        .await;
    drop(riley);
    files.gone().await;
    let mut riley = begin("localhost.pem", "localhost.key");
    riley.logs("listens at").await;
    let said = send("localhost.pem").await;
    let words =
        "by an authority that is not trusted here: the file of `--tls-authorities` must hold";
    assert!(said.contains(words), "{said}");
    riley
        .logs("the client does not trust the authority that issued this server's certificate")
        .await;
    // A client without TLS connects to a port that requires it.
    let talk = async || files.ask("Riley", "x").await.is_none().then_some(());
    eventually("no answer", talk).await;
    riley.logs("what the client sends is no TLS").await;
}
