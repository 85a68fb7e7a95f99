//! The manifests for Kubernetes, read as Kubernetes would, and compared with the settings and the
//! herd file.

use std::collections::BTreeMap;
use std::process::Command;

use proxy_herd::herd::Herd;
use serde::Deserialize as _;
use serde_norway::Value;

use crate::deploy::herd::{Process, herd_command, program, stop_limit};
use crate::ran::{err, out};
use crate::skipped::skipped;

const FOLDER: &str = "deploy/kubernetes";
const MANIFESTS: &str = "deploy/kubernetes/herd.yaml";

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{file}")).expect("it is shipped")
}

/// All resources by kind and name.
fn resources() -> BTreeMap<(String, String), Value> {
    let text = read("herd.yaml");
    let documents = serde_norway::Deserializer::from_str(&text);
    let values = documents.map(|document| Value::deserialize(document).expect("YAML"));
    let named = values.map(|value| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (
            (text(&value["kind"]), text(&value["metadata"]["name"])),
            value,
        )
    });
    named.collect()
}

fn resource(kind: &str, name: &str) -> Value {
    let key = (kind.to_owned(), name.to_owned());
    resources()
        .remove(&key)
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_sequence().expect("a list")
}

/// The element of a list with this name.
fn named<'a>(values: &'a Value, name: &str) -> &'a Value {
    let found = list(values).iter().find(|value| value["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

fn pod() -> Value {
    resource("StatefulSet", "herd")["spec"]["template"].clone()
}

fn container() -> Value {
    named(&pod()["spec"]["containers"], "herd").clone()
}

fn herd() -> Herd {
    let (herd, warnings) = Herd::load(&format!("{FOLDER}/herd.toml"), None).expect("a herd");
    assert!(warnings.is_empty(), "{warnings}");
    herd
}

#[test]
fn kubernetes_knows_all_kinds_and_fields() {
    let python = "target/kubernetes/bin/kubernetes-validate";
    let Some(validate) = program("kubernetes-validate", python) else {
        return skipped("no manifest is held against the schemas: there is no kubernetes-validate");
    };
    let ran = Command::new(&validate)
        .env("PYTHONPATH", "target/kubernetes")
        .args(["--strict", MANIFESTS])
        .output()
        .expect("it runs");
    assert!(ran.status.success(), "{}{}", out(&ran), err(&ran));
}

#[test]
fn each_server_of_the_herd_file_is_a_pod_that_others_find() {
    let set = resource("StatefulSet", "herd");
    let service = set["spec"]["serviceName"].as_str().expect("a name");
    let herd = herd();
    assert_eq!(set["spec"]["replicas"], herd.servers().len());
    for (number, server) in herd.servers().iter().enumerate() {
        assert_eq!(
            *server.name,
            *format!("herd-{number}"),
            "as a pod is called"
        );
        let host = format!("{}.{service}", server.name);
        assert_eq!((&server.client.host, &server.peer.host), (&host, &host));
    }
    let headless = resource("Service", service);
    assert_eq!(headless["spec"]["clusterIP"], "None");
    // A server becomes ready only after it has found others, so names must resolve before.
    assert_eq!(headless["spec"]["publishNotReadyAddresses"], true);
    let clients = resource("Service", "herd");
    assert!(clients["spec"]["publishNotReadyAddresses"].is_null());
    let budget = resource("PodDisruptionBudget", "herd");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    let labels = &pod()["metadata"]["labels"];
    for selector in [
        &set["spec"]["selector"]["matchLabels"],
        &headless["spec"]["selector"],
        &clients["spec"]["selector"],
        &budget["spec"]["selector"]["matchLabels"],
        &resource("NetworkPolicy", "herd")["spec"]["podSelector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
}

#[test]
fn ports_are_those_of_the_herd_file_wherever_they_are_named() {
    let container = container();
    let port = |name: &str| named(&container["ports"], name)["containerPort"].clone();
    for server in herd().servers() {
        assert_eq!(port("clients"), u64::from(server.client.port));
        assert_eq!(port("servers"), u64::from(server.peer.port));
    }
    let variable = |name: &str| named(&container["env"], name)["value"].clone();
    for (setting, name) in [
        ("HERD_LISTEN", "clients"),
        ("HERD_PEER_LISTEN", "servers"),
        ("HERD_ADMIN", "admin"),
    ] {
        let number = port(name).as_u64().expect("a port");
        assert_eq!(variable(setting), format!("0.0.0.0:{number}"));
    }
    for service in ["herd", "herd-servers"] {
        for of_service in list(&resource("Service", service)["spec"]["ports"]) {
            let name = of_service["targetPort"].as_str().expect("by name");
            assert_eq!(of_service["port"], port(name), "{service}");
        }
    }
    // Only the policy protects the ports, so it lists each port, and only that of clients is open
    // to all.
    let policy = resource("NetworkPolicy", "herd");
    for rule in list(&policy["spec"]["ingress"]) {
        let ports = list(&rule["ports"]);
        let names: Vec<&str> = ports
            .iter()
            .map(|port| port["port"].as_str().expect("by name"))
            .collect();
        assert!(names.iter().all(|name| !port(name).is_null()));
        assert!(!rule["from"].is_null() || names == ["clients"], "{names:?}");
    }
}

#[test]
fn probes_ask_the_server_and_it_has_time_to_stop() {
    let container = container();
    let command = |probe: &str| {
        let words = list(&container[probe]["exec"]["command"]).iter();
        words
            .map(|word| word.as_str().expect("a word").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(command("readinessProbe"), ["/herd", "health"]);
    assert_eq!(command("livenessProbe"), ["/herd", "health", "--live"]);
    for probe in ["readinessProbe", "livenessProbe"] {
        // The command itself waits for three seconds.
        assert!(container[probe]["timeoutSeconds"].as_u64() > Some(3));
    }
    let grace = pod()["spec"]["terminationGracePeriodSeconds"].as_u64();
    assert!(grace.expect("a time") > stop_limit().as_secs());
    let security = &container["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(pod()["spec"]["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod()["spec"]["enableServiceLinks"], false);
}

/// Copies the files of `herd certs` to the paths at which the pod `name` mounts them.
fn mount(name: &str, made: &std::path::Path, to: &std::path::Path) {
    let pod = pod();
    let volume = named(&pod["spec"]["volumes"], "credentials");
    let mut mounted = 0;
    for source in list(&volume["projected"]["sources"]) {
        for item in list(&source["secret"]["items"]) {
            let path = item["path"].as_str().expect("a path");
            let Some(inside) = path.strip_prefix(&format!("{name}/")) else {
                continue;
            };
            let key = made.join(item["key"].as_str().expect("a file"));
            if source["secret"]["optional"] != true {
                assert!(key.is_file(), "{} is not made", key.display());
            }
            if key.is_file() {
                std::fs::copy(key, to.join(inside)).expect("copied");
                mounted += 1;
            }
        }
    }
    assert_eq!(mounted, 3, "an authority, a certificate and its key");
}

#[test]
fn each_pod_has_a_volume_for_its_records() {
    let claims = &resource("StatefulSet", "herd")["spec"]["volumeClaimTemplates"];
    let claim = &list(claims)[0]["metadata"]["name"];
    let claim = claim.as_str().expect("a name");
    let container = container();
    let folder = &named(&container["env"], "HERD_DATA_DIR")["value"];
    assert_eq!(
        named(&container["volumeMounts"], claim)["mountPath"],
        *folder
    );
}

#[tokio::test]
async fn a_pod_runs_its_own_server_with_its_own_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = folder.path().join("certs");
    let file = format!("{FOLDER}/herd.toml");
    let out = made.to_str().expect("UTF-8");
    let certs = ["certs", "--herd", &file, "--out", out];
    assert!(herd_command(&certs).await.status.success());
    let container = container();
    let mount_path = &named(&container["volumeMounts"], "credentials")["mountPath"];
    assert_eq!(
        named(&container["env"], "CREDENTIALS_DIRECTORY")["value"],
        *mount_path
    );
    assert_eq!(
        named(&container["volumeMounts"], "credentials")["subPathExpr"],
        "$(POD_NAME)"
    );
    let field = &named(&container["env"], "POD_NAME")["valueFrom"]["fieldRef"]["fieldPath"];
    assert_eq!(*field, "metadata.name");
    for name in herd().server_names() {
        let credentials = folder.path().join(name);
        std::fs::create_dir(&credentials).expect("made");
        mount(name, &made, &credentials);
        let args = list(&container["args"]).iter().map(|arg| {
            let arg = arg.as_str().expect("a word").replace("$(POD_NAME)", name);
            arg.replace("/etc/herd/herd.toml", &file)
        });
        let args: Vec<String> = args.chain(["--print-config".to_owned()]).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let variables = list(&container["env"])
            .iter()
            .filter_map(|variable| Some((variable["name"].as_str()?, variable["value"].as_str()?)));
        let mut variables: BTreeMap<&str, &str> = variables.collect();
        variables.insert(
            "CREDENTIALS_DIRECTORY",
            credentials.to_str().expect("UTF-8"),
        );
        let variables: Vec<(&str, &str)> = variables.into_iter().collect();
        let mut printing = Process::start(&args, &variables);
        assert_eq!(printing.ended().await, Some(0), "{}", printing.said());
        let said = printing.said();
        assert!(!said.contains("is no setting"), "{said}");
        let from = |key: &str, from: &str| {
            let mut lines = said.lines();
            let found = lines.find(|line| line.starts_with(&format!("{key} = ")));
            assert!(
                found.is_some_and(|line| line.ends_with(from)),
                "{key}:\n{said}"
            );
        };
        for key in ["peer_authorities", "peer_certificate", "peer_key"] {
            from(key, "# $CREDENTIALS_DIRECTORY");
        }
        for (variable, _) in variables
            .iter()
            .filter(|(name, _)| name.starts_with("HERD_"))
        {
            let key = variable.trim_start_matches("HERD_").to_ascii_lowercase();
            from(&key, &format!("# {variable}"));
        }
        // With these files the server starts on all addresses, since its peers must authenticate.
        let records = format!("--data-dir={}", credentials.join("records").display());
        let here = [
            "--listen=127.0.0.1:0",
            "--peer-listen=0.0.0.0:0",
            "--admin=127.0.0.1:0",
            &*records,
        ];
        let serve = [&["serve", name, "--herd", &file], &here[..]].concat();
        let mut server = Process::start(&serve, &variables);
        server.logs("listens at 127.0.0.1:").await;
        assert_eq!(
            server.stopped_by("TERM").await,
            Some(0),
            "{}",
            server.said()
        );
    }
}

#[test]
fn what_is_applied_is_there() {
    let kustomization: Value = serde_norway::from_str(&read("kustomization.yaml")).expect("YAML");
    for file in list(&kustomization["resources"]) {
        read(file.as_str().expect("a file"));
    }
    let generated = &list(&kustomization["configMapGenerator"])[0];
    let volume = pod()["spec"]["volumes"].clone();
    assert_eq!(
        named(&volume, "herd-file")["configMap"]["name"],
        generated["name"]
    );
    read(list(&generated["files"])[0].as_str().expect("a file"));
    assert_eq!(
        list(&kustomization["images"])[0]["name"],
        container()["image"]
    );
}
