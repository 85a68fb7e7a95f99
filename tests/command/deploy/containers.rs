//! The shipped files for containers, read as a container engine would. No engine is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proxy_herd::herd::{Herd, Server};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tempfile::TempDir;

use crate::deploy::herd::{Process, herd_command, stop_limit};

const FOLDER: &str = "deploy/compose";

/// The parts of a compose file that ours uses. Anything else is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    #[serde(rename = "x-server")]
    _template: IgnoredAny,
    services: BTreeMap<String, Service>,
    networks: BTreeMap<String, serde_norway::Value>,
    volumes: BTreeMap<String, serde_norway::Value>,
    secrets: BTreeMap<String, SecretFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretFile {
    file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mounted {
    source: String,
    target: String,
}

/// The command of a health check, and its times.
#[derive(Deserialize)]
struct HealthCheck {
    test: Vec<String>,
    #[serde(flatten)]
    _times: BTreeMap<String, serde_norway::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    image: String,
    build: Build,
    restart: String,
    stop_grace_period: String,
    read_only: bool,
    cap_drop: Vec<String>,
    security_opt: Vec<String>,
    ulimits: BTreeMap<String, u64>,
    networks: Vec<String>,
    volumes: Vec<String>,
    environment: BTreeMap<String, String>,
    command: Vec<String>,
    ports: Vec<String>,
    secrets: Vec<Mounted>,
    healthcheck: HealthCheck,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    context: PathBuf,
    dockerfile: PathBuf,
}

fn compose() -> Compose {
    let text = std::fs::read_to_string("deploy/compose/compose.yaml").expect("it is shipped");
    let mut yaml: serde_norway::Value = serde_norway::from_str(&text).expect("YAML");
    yaml.apply_merge().expect("`<<` names a mapping");
    serde_norway::from_value(yaml).expect("a compose file")
}

fn port(text: &str) -> u16 {
    text.parse().expect("a port")
}

impl Service {
    /// The path on this machine of a file in the container.
    fn outside(&self, inside: &str) -> PathBuf {
        let found = self.volumes.iter().find_map(|volume| {
            let (outside, rest) = volume.split_once(':')?;
            (rest == format!("{inside}:ro")).then(|| Path::new(FOLDER).join(outside))
        });
        found.unwrap_or_else(|| panic!("{inside} is in no container"))
    }

    /// The volume for the server's records.
    fn records(&self) -> &str {
        let folder = &self.environment["HERD_DATA_DIR"];
        let mut volumes = self.volumes.iter();
        let found = volumes.find_map(|volume| volume.strip_suffix(&format!(":{folder}")));
        found.expect("a volume at the folder")
    }

    /// The ports of the container, with the ports of this machine that lead to them.
    fn published(&self) -> BTreeMap<u16, u16> {
        let published = self.ports.iter().map(|published| {
            let here = published.strip_prefix("127.0.0.1:").expect("here alone");
            let (outside, inside) = here.split_once(':').expect("two ports");
            (port(inside), port(outside))
        });
        published.collect()
    }

    /// Copies the files of the container's secrets into a folder. `made` contains them in place of
    /// the project's folder.
    fn mount(&self, secrets: &BTreeMap<String, SecretFile>, made: &Path) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for Mounted { source, target } in &self.secrets {
            let file = secrets[source]
                .file
                .strip_prefix("./certs")
                .expect("all in one folder");
            std::fs::copy(made.join(file), folder.path().join(target)).expect("it is made");
        }
        folder
    }

    /// Runs the command of the container, with other paths, and checks the settings that it prints.
    async fn is_understood(&self, secrets: &Path) {
        let [serve, name, herd, file] = &*self.command else {
            panic!("{:?}", self.command);
        };
        let file = self.outside(file);
        let file = file.to_str().expect("UTF-8");
        assert_eq!(self.environment["CREDENTIALS_DIRECTORY"], "/run/secrets");
        let secrets = secrets.to_str().expect("UTF-8");
        let environment: Vec<(&str, &str)> = (self.environment.iter())
            .map(|(name, text)| match &**name {
                "CREDENTIALS_DIRECTORY" => (&**name, secrets),
                _ => (&**name, &**text),
            })
            .collect();
        let mut server = Process::start(&[serve, name, herd, file, "--print-config"], &environment);
        assert_eq!(server.ended().await, Some(0), "{}", server.said());
        for (variable, text) in environment {
            let said = server.said();
            let mut lines = said.lines();
            let line = lines.find(|line| {
                line.ends_with(&format!("# {variable}"))
                    || line.ends_with(&format!("# ${variable}"))
            });
            let line = line.unwrap_or_else(|| panic!("no {variable} in:\n{said}"));
            assert!(line.contains(text), "{line}");
        }
        let handed = server.said();
        let handed = handed
            .lines()
            .filter(|line| line.ends_with("# $CREDENTIALS_DIRECTORY"));
        assert_eq!(handed.count(), 3, "{}", server.said());
        let key = format!("the key to Places is from the file `{secrets}/places-api-key`");
        assert!(server.said().contains(&key), "{}", server.said());
    }

    fn is_hardened(&self) {
        assert!(self.read_only);
        assert_eq!(self.cap_drop, ["ALL"]);
        assert_eq!(self.security_opt, ["no-new-privileges:true"]);
        assert_eq!(self.restart, "on-failure");
        let seconds = self.stop_grace_period.strip_suffix('s').expect("seconds");
        assert!(u64::from(port(seconds)) > stop_limit().as_secs());
        assert_eq!(self.healthcheck.test, ["CMD", "/herd", "health"]);
        // The default limits are 10,000 clients and 256 servers.
        assert!(self.ulimits["nofile"] > 10_256);
    }

    /// Checks that clients and operators reach the server from this machine, and that its port for
    /// servers is not published.
    fn publishes(&self, server: &Server) -> Vec<u16> {
        let (_, admin) = self.environment["HERD_ADMIN"]
            .rsplit_once(':')
            .expect("a port");
        let published = self.published();
        let inside: Vec<u16> = published.keys().copied().collect();
        assert_eq!(inside, [port(admin), server.client.port]);
        assert_ne!(server.peer.port, server.client.port);
        published.into_values().collect()
    }
}

#[tokio::test]
async fn each_server_of_the_shipped_herd_has_a_service_that_runs_it() {
    let compose = compose();
    let file = Path::new(FOLDER).join("herd.toml");
    let (herd, warnings) = Herd::load(file.to_str().expect("UTF-8"), None).expect("a herd");
    assert!(warnings.is_empty());
    let hosts: BTreeSet<&str> = (herd.servers().iter())
        .map(|server| &*server.client.host)
        .collect();
    let services: BTreeSet<&str> = compose.services.keys().map(String::as_str).collect();
    assert_eq!(
        services, hosts,
        "a container is found by its service's name"
    );
    let made = tempfile::tempdir().expect("a folder");
    let to = made.path().to_str().expect("UTF-8");
    let certs = [
        "certs",
        "--herd",
        file.to_str().expect("UTF-8"),
        "--out",
        to,
    ];
    assert!(herd_command(&certs).await.status.success());
    std::fs::write(made.path().join("places-api-key"), "a-key").expect("written");
    let (mut published, mut volumes) = (Vec::new(), BTreeSet::new());
    for server in herd.servers() {
        let service = &compose.services[&server.client.host];
        assert_eq!(server.peer.host, server.client.host);
        assert_eq!(service.command[1], *server.name);
        assert!(service.outside(&service.command[3]).ends_with("herd.toml"));
        let secrets = service.mount(&compose.secrets, made.path());
        service.is_understood(secrets.path()).await;
        // A server needs its own certificate, since it would not start with another's.
        let own = format!("certs/{}.key", server.name);
        let key = service
            .secrets
            .iter()
            .find(|secret| secret.target == "peer-key");
        assert!(
            compose.secrets[&key.expect("a key").source]
                .file
                .ends_with(&own)
        );
        service.is_hardened();
        // Each has its own records.
        assert!(volumes.insert(service.records()));
        assert!(compose.volumes.contains_key(service.records()));
        published.extend(service.publishes(server));
        for network in &service.networks {
            assert!(compose.networks.contains_key(network), "{network}");
        }
    }
    let each_once: BTreeSet<u16> = published.iter().copied().collect();
    assert_eq!(each_once.len(), published.len(), "{published:?}");
}

#[test]
fn all_services_are_one_image_and_what_it_is_built_from_is_there() {
    let compose = compose();
    for Service { image, build, .. } in compose.services.values() {
        assert_eq!(image, "herd");
        let context = Path::new(FOLDER).join(&build.context);
        assert!(
            context.join("Cargo.toml").is_file(),
            "{}",
            context.display()
        );
        let file = context.join(&build.dockerfile);
        let steps = std::fs::read_to_string(file).expect("it is shipped");
        assert!(steps.contains("\nFROM scratch\n") && steps.contains("\nUSER 65532:65532\n"));
        assert!(steps.contains("CMD [\"/herd\", \"health\", \"--live\"]\n"));
        assert!(steps.contains("\nENV HERD_ADMIN=127.0.0.1:9600\n"));
    }
}

#[test]
fn the_image_is_built_from_what_the_server_needs_and_nothing_else() {
    let ignore = std::fs::read_to_string(".dockerignore").expect("it is shipped");
    let lines: Vec<&str> = ignore
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(lines[0], "*", "all but what is named is left out");
    let folder = tempfile::tempdir().expect("a folder");
    for named in &lines[1..] {
        let named = named.strip_prefix('!').expect("what is taken all the same");
        let to = folder.path().join(named);
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("made");
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .arg(named)
            .arg(&to)
            .status();
        assert!(copied.expect("it runs").success(), "{named}");
    }
    // Cargo requires all targets in the manifest, whichever it builds.
    let manifest = std::fs::read_to_string(folder.path().join("Cargo.toml")).expect("UTF-8");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let benches = manifest["bench"].as_array().expect("some");
    for name in benches.iter().map(|bench| bench["name"].as_str()) {
        let path = format!("benches/{}.rs", name.expect("a name"));
        assert!(
            folder.path().join(&path).is_file(),
            "{path} is not in the image's sources"
        );
    }
    assert!(folder.path().join("Cargo.lock").is_file());
    // The compiler needs all files that the sources include, except in tests, which an image is
    // built without.
    let mut named = 0;
    let sources = sources(&folder.path().join("src")).into_iter();
    for source in sources.filter(|source| !source.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(&source).expect("UTF-8");
        for rest in text.split("include_str!(").skip(1) {
            let path = rest.split('"').nth(1).expect("a path");
            let path = source.parent().expect("a folder").join(path);
            assert!(
                path.is_file(),
                "{} is not in the image's sources",
                path.display()
            );
            named += 1;
        }
    }
    assert!(named >= 5, "only {named} files");
}

/// All files in a folder and its subfolders.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
