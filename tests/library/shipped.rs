//! The scenario files that are shipped.

use std::path::{Path, PathBuf};

/// The paths of all shipped scenarios, sorted.
pub(crate) fn scenarios() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(Path::new("scenarios"), &mut files);
    files.sort();
    files
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
