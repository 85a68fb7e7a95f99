//! Pages that a command writes beside its report.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf, absolute};

use super::{Failure, outputs};

/// Writes a page.
pub(super) fn write(file: &Path, page: &str) -> Result<(), Failure> {
    outputs::write(file, page)
}

/// The relative URL of a file in a page. It starts at the page's folder, so that both can be moved
/// together.
pub(super) fn link(page: &Path, file: &Path) -> String {
    let whole = |path: &Path| absolute(path).unwrap_or_else(|_| path.to_owned());
    let (page, file) = (whole(page), whole(file));
    let folder: Vec<Component<'_>> = page.parent().map_or_else(Vec::new, parts);
    let to = parts(&file);
    let shared = folder
        .iter()
        .zip(&to)
        .take_while(|(one, other)| one == other)
        .count();
    let up = folder[shared..].iter().map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to[shared..].iter().copied()).collect();
    let names = way
        .components()
        .map(|part| encoded(&part.as_os_str().to_string_lossy()));
    names.collect::<Vec<String>>().join("/")
}

fn parts(path: &Path) -> Vec<Component<'_>> {
    path.components().collect()
}

/// Percent-encodes a part of a URL.
fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_goes_from_the_page_to_the_file() {
        let from = |page: &str, file: &str| link(Path::new(page), Path::new(file));
        assert_eq!(from("page.html", "found/a.toml"), "found/a.toml");
        assert_eq!(
            from("out/page.html", "found/b c?.toml"),
            "../found/b%20c%3F.toml"
        );
        assert_eq!(from("/a/b/page.html", "/a/c.toml"), "../c.toml");
        // A colon must not make it a scheme.
        assert_eq!(from("page.html", "javascript:a/b"), "javascript%3Aa/b");
    }
}
