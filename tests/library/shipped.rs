//! The scenario files that are shipped.

use std::path::{Path, PathBuf};

use proxy_herd::scenario::Scenario;

/// The paths of all shipped scenarios, sorted; of a file with cases, one for each.
pub(crate) fn scenarios() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(Path::new("scenarios"), &mut files);
    files.sort();
    let each = files.into_iter().flat_map(|file| {
        let cases = Scenario::cases(&file).into_iter();
        let cases = cases.map(|case| PathBuf::from(format!("{}#{case}", file.display())));
        let cases: Vec<PathBuf> = cases.collect();
        if cases.is_empty() { vec![file] } else { cases }
    });
    each.collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "herds") {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|end| end == "toml" || end == "json")
        {
            files.push(path);
        }
    }
}
