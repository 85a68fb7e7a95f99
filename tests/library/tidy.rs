//! Rules that no compiler checks: which part may import which, that files do not import one another
//! in circles, and what pure parts may not use.

use std::collections::{BTreeMap, BTreeSet};
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
    ("sync", &[]),
    ("disk", &["journal", "node", "protocol"]),
    ("places", &["herd", "net", "node", "protocol", "sync"]),
    (
        "server",
        &[
            "disk", "herd", "journal", "net", "node", "places", "protocol", "sync", "timing",
        ],
    ),
    ("log", &["herd", "journal", "net", "sync"]),
    (
        "admin",
        &[
            "disk", "herd", "journal", "log", "net", "node", "places", "protocol", "server",
            "sync", "version",
        ],
    ),
    (
        "settings",
        &[
            "diag", "disk", "document", "herd", "log", "places", "server", "units",
        ],
    ),
    (
        "scenario",
        &[
            "files", "diag", "disk", "document", "herd", "journal", "protocol", "report", "seed",
            "server", "settings", "timing", "trace", "units",
        ],
    ),
    (
        "blame",
        &[
            "files", "parallel", "report", "scenario", "seed", "sim", "sweep", "trace",
        ],
    ),
    ("files", &[]),
    ("parallel", &[]),
    ("seed", &["units"]),
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
    (
        "live",
        &[
            "admin", "diag", "herd", "journal", "net", "places", "protocol", "scenario", "server",
            "settings", "sim", "trace", "units", "view",
        ],
    ),
    (
        "trace",
        &[
            "diag", "herd", "journal", "protocol", "seed", "server", "settings", "units",
        ],
    ),
    ("report", &["herd", "journal", "protocol", "trace", "units"]),
    ("diff", &["journal", "protocol", "report", "seed", "trace"]),
    (
        "sim",
        &[
            "diag", "disk", "herd", "journal", "net", "node", "places", "protocol", "report",
            "scenario", "seed", "server", "timing", "trace", "units",
        ],
    ),
    (
        "view",
        &[
            "blame", "diff", "explore", "herd", "journal", "protocol", "report", "seed", "survey",
            "sweep", "trace",
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
        "power_cuts",
        &["parallel", "report", "scenario", "sim", "trace"],
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
            "admin",
            "blame",
            "certs",
            "diag",
            "diff",
            "disk",
            "explore",
            "files",
            "herd",
            "journal",
            "live",
            "load",
            "log",
            "model",
            "mutants",
            "net",
            "parallel",
            "places",
            "power_cuts",
            "protocol",
            "report",
            "scenario",
            "server",
            "settings",
            "shrink",
            "sim",
            "survey",
            "sweep",
            "trace",
            "units",
            "version",
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
    "core", "server", "trace", "report", "scenario", "sim", "lab", "diff", "view", "load", "live",
    "cli",
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
    if ["tests.rs", "threads.rs"].contains(&name.as_str())
        || file.components().any(|part| part.as_os_str() == "tests")
    {
        return Vec::new();
    }
    let text = fs::read_to_string(file).expect("UTF-8");
    let lines = without_tests(&text).into_iter();
    let lines = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines
        .map(|(number, line)| (number, line.to_owned()))
        .collect()
}

/// What marks an item for tests, and one for tests of interleavings, which are in `threads.rs`.
const TEST: &str = "#[cfg(test)]";
const THREAD_TEST: &str = r#"#[cfg(all(test, feature = "threads"))]"#;

/// The lines of a file with their numbers, without items for tests. As rustfmt formats them, such
/// an item ends in the first line with the same indentation that ends in `;`, `}` or `,`.
fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let mut lines = (1..).zip(text.lines());
    let mut kept = Vec::new();
    while let Some((number, line)) = lines.next() {
        let code = line.trim_start();
        if ![TEST, THREAD_TEST].contains(&code) {
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

/// The circles of imports that remain between the modules of a folder: the folder, the modules, and
/// why. Other folders than `src/scenario` and `src/sim` have none.
const CIRCLES: &[(&str, &[&str], &str)] = &[(
    "src/scenario",
    &[
        "broken", "builder", "cases", "disks", "event", "expects", "faults", "fields", "forms",
        "order", "raw", "server", "steps", "updates", "validate", "write",
    ],
    "each kind of fault, step and expectation declares, reads and writes itself with what all \
         kinds share (`fields`, `validate`, `write`), which names the kinds in turn",
)];

/// The modules of the crate, each by its path and with its code. `src/core/herd/graph.rs` is
/// `core`, `herd`, `graph`.
type Modules = BTreeMap<Vec<String>, String>;

fn module(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix("src").expect("a file of src");
    let inside = inside.with_extension("");
    let names = inside.components();
    let mut names: Vec<String> = names
        .map(|name| name.as_os_str().to_string_lossy().into_owned())
        .collect();
    names.pop_if(|last| ["lib", "main", "mod"].contains(&last.as_str()));
    names
}

/// All modules with code other than tests.
fn modules() -> Modules {
    let mut modules = Modules::new();
    for file in sources(Path::new("src")) {
        for (_, line) in code(&file) {
            let code = modules.entry(module(&file)).or_default();
            code.push_str(&line);
            code.push('\n');
        }
    }
    modules
}

/// Adds the paths at the beginning of `text`, each after `prefix`: those of `b::{c, d::e}` after
/// `a` are `a::b::c` and `a::b::d::e`. Returns the text after them.
fn add_paths<'a>(prefix: &[&'a str], text: &'a str, paths: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            if let Some(behind) = rest.strip_prefix('}') {
                return behind;
            }
            rest = add_paths(prefix, rest, paths);
            // Here a name may be followed by `as` and another.
            let Some(end) = rest.find([',', '}']) else {
                return "";
            };
            rest = &rest[end..];
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let path = [prefix, &[name]].concat();
    match rest.strip_prefix("::") {
        Some(inner) if !inner.starts_with('<') => add_paths(&path, inner, paths),
        _ => {
            paths.push(path.into_iter().map(str::to_owned).collect());
            rest
        }
    }
}

/// The paths in `code` that begin with one of these words.
fn paths(code: &str, words: &[&str]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (at, _) in words.iter().flat_map(|word| code.match_indices(word)) {
        let before = &code[..at];
        if !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            add_paths(&[], &code[at..], &mut paths);
        }
    }
    paths
}

/// The full paths that a module names. A name that a folder's `mod.rs` imports from a module of the
/// folder is followed to that module.
fn names_of(module: &[String], modules: &Modules) -> Vec<Vec<String>> {
    let named = paths(&modules[module], &["crate::", "super::", "self::"]);
    let full = named.into_iter().map(|path| {
        let mut full = module.to_vec();
        for name in path {
            match name.as_str() {
                "crate" => full.clear(),
                "super" => drop(full.pop()),
                "self" => {}
                _ => full.push(name),
            }
        }
        followed(full, modules)
    });
    full.collect()
}

fn followed(mut path: Vec<String>, modules: &Modules) -> Vec<String> {
    let mut at = 0;
    while at < path.len() {
        if modules.contains_key(&path[..=at]) {
            at += 1;
            continue;
        }
        let (folder, inside) = path.split_at(at);
        let Some(code) = modules.get(folder) else {
            return path;
        };
        let mut imported = Vec::new();
        for (at, word) in code.match_indices("use ") {
            add_paths(&[], &code[at + word.len()..], &mut imported);
        }
        let source = imported.into_iter().find_map(|mut source| {
            source.retain(|name| name != "self");
            let last = source.pop()?;
            let source = [folder, &source].concat();
            let is_inside = source.len() > at && modules.contains_key(&source[..=at]);
            (is_inside && (last == inside[0] || last == "*")).then_some(source)
        });
        let Some(source) = source else {
            return path;
        };
        path = [&source, inside].concat();
    }
    path
}

/// For each folder, the modules of it that each of its modules names.
type Imports = BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>>;

fn imports(modules: &Modules) -> Imports {
    let mut imports = Imports::new();
    for module in modules.keys() {
        for named in names_of(module, modules) {
            let pairs = module.iter().zip(&named);
            let shared = pairs.take_while(|(own, other)| own == other).count();
            // An ancestor names its own modules, and they name it; neither counts.
            let (Some(own), Some(other)) = (module.get(shared), named.get(shared)) else {
                continue;
            };
            if modules.contains_key(&named[..=shared]) {
                let folder = imports.entry(module[..shared].to_vec()).or_default();
                let of_own = folder.entry(own.clone()).or_default();
                of_own.insert(other.clone());
            }
        }
    }
    imports
}

/// The largest sets of modules in one folder in which each imports each other, if only by others.
fn circles(modules: &Modules) -> BTreeMap<(String, Vec<String>), String> {
    let mut circles = BTreeMap::new();
    for (folder, imports) in imports(modules) {
        let reached = |from: &str| {
            let mut reached = BTreeSet::new();
            let mut open = vec![from];
            while let Some(next) = open.pop() {
                for to in imports.get(next).into_iter().flatten() {
                    if reached.insert(to.as_str()) {
                        open.push(to);
                    }
                }
            }
            reached
        };
        for module in imports.keys() {
            let there = reached(module).into_iter();
            let members: Vec<&str> = there.filter(|to| reached(to).contains(&**module)).collect();
            if members.is_empty() {
                continue;
            }
            let edges = members.iter().map(|from| {
                let to = imports[*from].iter().map(String::as_str);
                let to: Vec<&str> = to.filter(|to| members.contains(to)).collect();
                format!("{from} imports {}", to.join(", "))
            });
            let edges: Vec<String> = edges.collect();
            let folder = format!("src/{}", folder.join("/"));
            let members = members.into_iter().map(str::to_owned).collect();
            circles.insert((folder, members), edges.join("; "));
        }
    }
    circles
}

#[test]
fn imports_within_a_folder_go_in_no_circles() {
    let found = circles(&modules());
    let listed = CIRCLES.iter().map(|(folder, members, _)| {
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        ((*folder).to_owned(), members)
    });
    let listed: BTreeSet<(String, Vec<String>)> = listed.collect();
    let mut wrong = Vec::new();
    for (circle, edges) in &found {
        if !listed.contains(circle) {
            wrong.push(format!("{} has a circle: {edges}", circle.0));
        }
    }
    for (folder, members) in listed {
        if folder != "src/scenario" {
            wrong.push(format!("{folder} may have no circle"));
        }
        if !found.contains_key(&(folder.clone(), members.clone())) {
            let members = members.join(", ");
            wrong.push(format!("{folder} has no such circle any more: {members}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The check of circles sees imports however they are written.
#[test]
fn a_circle_is_seen_however_it_is_written() {
    let circles_of = |files: &[(&str, &str)]| {
        let modules = files.iter().map(|(file, code)| {
            let file = format!("src/{file}");
            (module(Path::new(&file)), (*code).to_owned())
        });
        let circles = circles(&modules.collect());
        let members = circles.into_keys().map(|(folder, members)| {
            let members = members.join(" ");
            format!("{folder}: {members}")
        });
        members.collect::<Vec<String>>()
    };
    let root = ("lib.rs", "mod f;\npub use self::f::g;");
    for there in [
        "use super::b;",
        "use super::{\n    c::{D, E as F},\n    b::C,\n};",
        "fn f() -> crate::f::b::C {}",
        "use super::B;",
        "use crate::g::*;\nuse crate::f::{B};",
    ] {
        let circle = [
            root,
            (
                "f/mod.rs",
                "mod a;\nmod b;\nmod c;\npub use self::b::{A, B};",
            ),
            ("f/a.rs", there),
            ("f/b/mod.rs", "mod d;\nmod e;"),
            ("f/b/d.rs", "use super::e;\nuse crate::f::c::C;"),
            ("f/b/e.rs", "use super::super::b::F;"),
            ("f/c.rs", "use super::a;"),
        ];
        assert_eq!(circles_of(&circle), ["src/f: a b c"], "{there}");
    }
    // By way of a shorter name at the crate's root.
    let parts = [
        (
            "lib.rs",
            "pub use self::core::{x, y};\npub use self::core::*;",
        ),
        ("core/mod.rs", "pub use y::*;"),
        ("core/x.rs", "use crate::y::Y;"),
        ("core/y/mod.rs", "pub struct Y;"),
        ("core/y/z.rs", "use super::Y;\nuse crate::x;"),
        (
            "core/w.rs",
            "use crate::core::{x, y};\nfn w() { other::super_w::x }",
        ),
    ];
    assert_eq!(circles_of(&parts), ["src/core: x y"]);
    let none = [
        root,
        ("f/mod.rs", "use a::A;\nuse b::B;"),
        ("f/a.rs", "use super::{Root, b::B};\nuse std::fs;"),
        ("f/b.rs", "use super::Root;"),
    ];
    assert_eq!(circles_of(&none), Vec::<String>::new());
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
