//! Rules that no compiler checks: which part may import which, and what pure parts may not use.

use std::fs;
use std::path::{Path, PathBuf};

/// Each part of the crate, and the other parts that it may import. A new part needs a line here.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("units", &["document"]),
    ("diag", &["files"]),
    ("document", &["files", "diag"]),
    ("protocol", &[]),
    ("herd", &["files", "diag", "document", "seed", "units"]),
    ("journal", &["protocol", "units"]),
    ("node", &["journal", "protocol"]),
    (
        "model",
        &["herd", "journal", "node", "protocol", "seed", "units"],
    ),
    ("net", &["herd", "protocol"]),
    ("certs", &["net", "protocol"]),
    ("places", &["herd", "net", "node", "protocol"]),
    (
        "server",
        &[
            "herd", "journal", "net", "node", "places", "timing", "protocol",
        ],
    ),
    ("log", &["herd", "journal", "net"]),
    (
        "admin",
        &[
            "herd", "journal", "log", "net", "node", "places", "protocol", "server", "version",
        ],
    ),
    (
        "settings",
        &[
            "diag", "document", "herd", "log", "places", "server", "units",
        ],
    ),
    (
        "scenario",
        &[
            "files", "diag", "document", "herd", "journal", "protocol", "report", "seed", "timing",
            "trace", "units",
        ],
    ),
    ("files", &[]),
    ("parallel", &[]),
    ("seed", &[]),
    ("timing", &[]),
    ("suite", &["parallel", "scenario", "shrink", "sim", "trace"]),
    (
        "prelude",
        &[
            "herd", "net", "node", "report", "scenario", "server", "sim", "suite", "trace",
        ],
    ),
    ("version", &[]),
    (
        "shrink",
        &["files", "diag", "herd", "scenario", "sim", "trace", "units"],
    ),
    (
        "sweep",
        &[
            "files", "herd", "journal", "parallel", "protocol", "report", "scenario", "seed",
            "sim", "trace",
        ],
    ),
    ("load", &["herd", "net", "protocol", "units"]),
    ("trace", &["diag", "herd", "journal", "protocol", "units"]),
    ("report", &["herd", "journal", "protocol", "trace", "units"]),
    ("diff", &["journal", "protocol", "report", "trace"]),
    (
        "sim",
        &[
            "diag", "herd", "journal", "net", "node", "places", "protocol", "report", "scenario",
            "seed", "server", "timing", "trace", "units",
        ],
    ),
    (
        "view",
        &[
            "diff", "explore", "herd", "journal", "protocol", "report", "survey", "sweep", "trace",
        ],
    ),
    (
        "mutants",
        &[
            "explore", "herd", "node", "report", "scenario", "shrink", "sim", "survey", "sweep",
            "trace",
        ],
    ),
    (
        "explore",
        &[
            "diag", "herd", "journal", "parallel", "protocol", "report", "scenario", "sim",
            "timing", "trace", "units",
        ],
    ),
    (
        "survey",
        &[
            "herd", "journal", "model", "node", "parallel", "protocol", "report", "scenario",
            "sim", "trace", "units",
        ],
    ),
    (
        "cli",
        &[
            "admin", "certs", "diag", "diff", "explore", "files", "herd", "journal", "load", "log",
            "model", "mutants", "net", "parallel", "places", "protocol", "report", "scenario",
            "server", "settings", "shrink", "sim", "survey", "sweep", "trace", "units", "version",
            "view",
        ],
    ),
];

/// Parts without a network, a clock, a thread, or anything asynchronous.
const PURE: &[&str] = &[
    "protocol", "herd", "node", "model", "journal", "scenario", "seed", "trace", "report", "diff",
    "diag", "document", "timing", "units", "version", "view",
];

/// Pure files in parts that are not pure.
const PURE_FILES: &[&str] = &[
    "src/server/places/answer.rs",
    "src/server/places/key.rs",
    "src/server/places/query.rs",
    "src/server/places/trim.rs",
];

/// Words that a pure part may not contain.
const IMPURE: &[&str] = &[
    "tokio::",
    "async fn",
    ".await",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "TcpStream",
];

/// Folders that contain several parts.
const FOLDERS: &[&str] = &["core", "server", "lab"];

/// The part of the crate that a source file belongs to: `src/core/herd/file.rs` and
/// `src/core/herd.rs` to `herd`. The part `server` is in `src/server/shell/`. A file that only
/// lists a folder's parts belongs to none.
fn part(file: &Path) -> String {
    let inside = file.strip_prefix("src").expect("a file of src");
    let mut names = inside
        .components()
        .map(|name| name.as_os_str().to_str().expect("UTF-8"));
    let first = names.next().expect("not src itself");
    let name = match names.next() {
        Some(second) if FOLDERS.contains(&first) => second,
        _ => first,
    };
    match name.trim_end_matches(".rs") {
        "shell" => "server".to_owned(),
        name => name.to_owned(),
    }
}

/// The layers, in order: a folder imports only itself and folders before it.
const LAYERS: &[&str] = &[
    "core", "server", "trace", "report", "scenario", "sim", "lab", "diff", "view", "load", "cli",
];

/// The layer of a part, or `None` if the part belongs to no layer.
fn layer(part: &str) -> Option<usize> {
    let is_file = |folder: &str| {
        let inside = if part == "server" { "shell" } else { part };
        ["", ".rs"]
            .iter()
            .any(|end| Path::new(&format!("src/{folder}/{inside}{end}")).exists())
    };
    let folder = FOLDERS
        .iter()
        .copied()
        .find(|folder| is_file(folder))
        .unwrap_or(part);
    LAYERS.iter().position(|layer| *layer == folder)
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}

/// The lines of code in a file, without tests, which may import everything.
fn code(file: &Path) -> Vec<(usize, String)> {
    let name = file
        .file_name()
        .expect("a file")
        .to_string_lossy()
        .into_owned();
    if name == "tests.rs" || file.components().any(|part| part.as_os_str() == "tests") {
        return Vec::new();
    }
    let text = fs::read_to_string(file).expect("UTF-8");
    let lines = without_tests(&text).into_iter();
    let lines = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines
        .map(|(number, line)| (number, line.to_owned()))
        .collect()
}

/// The lines of a file with their numbers, without items for tests. As rustfmt formats them, such
/// an item ends in the first line with the same indentation that ends in `;`, `}` or `,`.
fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let mut lines = (1..).zip(text.lines());
    let mut kept = Vec::new();
    while let Some((number, line)) = lines.next() {
        let code = line.trim_start();
        if code != "#[cfg(test)]" {
            kept.push((number, line));
            continue;
        }
        let indent = line.len() - code.len();
        let is_end = |line: &str| {
            let code = line.trim_start();
            let is_attribute = code.starts_with("#[") || code.starts_with("//");
            let ends = code.ends_with([';', '}', ',']);
            line.len() - code.len() == indent && ends && !is_attribute
        };
        lines.find(|(_, line)| is_end(line));
    }
    kept
}

/// The parts that a line imports or names, as in `crate::herd::Herd` or `use crate::{diag, herd};`.
fn named(line: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest,
        };
        let list = rest.starts_with('{');
        for name in names.split(',').take(if list { usize::MAX } else { 1 }) {
            let word: String = name
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            parts.push(word);
        }
    }
    parts
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for file in sources(Path::new("src")) {
        let part = part(&file);
        if ["lib", "main", "mod"].contains(&part.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(name, _)| *name == part) else {
            wrong.push(format!(
                "{}: `{part}` has no line in MAY_KNOW",
                file.display()
            ));
            continue;
        };
        for (number, line) in code(&file) {
            for name in named(&line) {
                let known = MAY_KNOW.iter().any(|(part, _)| *part == name);
                let is_below = match (layer(&part), layer(&name)) {
                    (Some(own), Some(other)) => other <= own,
                    _ => true,
                };
                if known && !is_below {
                    wrong.push(format!(
                        "{}:{number}: {name} stands above {part}",
                        file.display()
                    ));
                }
                if known && name != part && !allowed.contains(&name.as_str()) {
                    wrong.push(format!(
                        "{}:{number}: {part} may not know {name}",
                        file.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_folders_have_no_network_clock_or_thread() {
    let mut wrong = Vec::new();
    for file in sources(Path::new("src")) {
        let is_pure_file = PURE_FILES.iter().any(|pure| file == Path::new(pure));
        if !is_pure_file && !PURE.contains(&part(&file).as_str()) {
            continue;
        }
        for (number, line) in code(&file) {
            if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{}:{number}: {word}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The checks above can fail.
#[test]
fn the_checks_see_what_they_look_for() {
    assert_eq!(named("use crate::herd::Herd;"), ["herd"]);
    assert_eq!(named("use crate::{diag::Problem, sim};"), ["diag", "sim"]);
    assert_eq!(
        named("let x = crate::sim::run(crate::node::Node);"),
        ["sim", "node"]
    );
    assert_eq!(part(Path::new("src/core/herd/graph.rs")), "herd");
    assert_eq!(part(Path::new("src/journal.rs")), "journal");
    assert!(sources(Path::new("src")).len() > 30);
    let text = "a\n#[cfg(test)]\nmod tests;\nb {\n    #[cfg(test)]\n    #[must_use]\n    fn c() {\n        d;\n    }\n\n    e\n}\n";
    let code: Vec<&str> = without_tests(text)
        .into_iter()
        .map(|(_, line)| line.trim())
        .collect();
    assert_eq!(code, ["a", "b {", "", "e", "}"]);
    assert!(PURE_FILES.iter().all(|file| Path::new(file).is_file()));
}

#[test]
fn no_file_is_too_long_to_live_in() {
    for file in sources(Path::new("src")) {
        let is_test =
            file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
        let lines = fs::read_to_string(&file).expect("UTF-8").lines().count();
        assert!(is_test || lines <= 500, "{}: {lines} lines", file.display());
    }
}

/// The project's own text files, without those that tools create or fetch.
fn texts(folder: &Path) -> Vec<PathBuf> {
    const TEXT: &[&str] = &[
        "rs", "md", "toml", "css", "js", "html", "yml", "yaml", "sh", "snap", "service",
    ];
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if name == "target" || name == ".git" {
            continue;
        }
        let is_text = path
            .extension()
            .is_some_and(|end| TEXT.iter().any(|text| end == *text));
        if path.is_dir() {
            files.extend(texts(&path));
        } else if is_text {
            files.push(path);
        }
    }
    files
}

/// The lines with conflict markers of git.
fn conflicts(text: &str) -> Vec<usize> {
    let lines = text.lines().zip(1..);
    let left =
        lines.filter(|(line, _)| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "));
    left.map(|(_, number)| number).collect()
}

#[test]
fn no_conflict_is_left_in_a_file() {
    assert_eq!(
        conflicts("a\n<<<<<<< ours\n=======\n>>>>>>> theirs\n"),
        [2, 4]
    );
    let files = texts(Path::new("."));
    assert!(files.len() > 300, "{} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).expect("UTF-8");
        assert_eq!(conflicts(&text), [0; 0], "{}", file.display());
    }
}

#[test]
fn the_map_shows_every_part() {
    let map = fs::read_to_string("docs/ARCHITECTURE.md").expect("it is there");
    let missing = |map: &str| {
        let shown = |part: &str| {
            let inside = if part == "server" { "shell" } else { part };
            let folders = FOLDERS.iter().map(|folder| format!("{folder}/{inside}"));
            folders.chain([part.to_owned()]).any(|part| {
                map.contains(&format!("| `src/{part}/`"))
                    || map.contains(&format!("`src/{part}/` |"))
                    || map.contains(&format!("`src/{part}.rs` |"))
            })
        };
        let parts = MAY_KNOW.iter().map(|(part, _)| *part);
        parts
            .filter(|part| !shown(part))
            .map(str::to_owned)
            .collect::<Vec<String>>()
    };
    assert_eq!(missing(&map), Vec::<String>::new());
    assert_eq!(missing("| `src/core/herd/` |").len(), MAY_KNOW.len() - 1);
}

/// The targets of the links in a Markdown text, without links to other sites.
fn links(text: &str) -> Vec<&str> {
    let ends = text.split("](").skip(1);
    let links = ends.filter_map(|rest| rest.split(')').next());
    links.filter(|link| !link.contains("://")).collect()
}

/// The anchors of the headings in a Markdown text.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let names = headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        });
        kept.collect()
    });
    names.collect()
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut seen = 0;
    for file in texts(Path::new(".")) {
        if file.extension().is_none_or(|end| end != "md") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("UTF-8");
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let to = match path {
                "" => file.clone(),
                path => file.with_file_name(path),
            };
            assert!(to.exists(), "{}: {link} leads nowhere", file.display());
            if !anchor.is_empty() {
                let known = anchors(&fs::read_to_string(&to).expect("UTF-8"));
                assert!(
                    known.iter().any(|known| known == anchor),
                    "{}: {link}: no such heading among {known:?}",
                    file.display()
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} links");
    assert_eq!(links("[a](b.md#c) [d](https://e)"), ["b.md#c"]);
    assert_eq!(anchors("## Does it find bugs?"), ["does-it-find-bugs"]);
}
