//! Output files, checked before a command works: one that cannot be written is reported at once,
//! and no input is overwritten, whatever name or link leads to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::files;

/// Fails unless all these files can be written, differ from each other, and are none that this
/// process has read. Each comes with the flag that names it. Call this after all inputs are read,
/// since only those are protected.
pub(super) fn check(outputs: &[(&str, Option<&Path>)]) -> Result<(), Failure> {
    let outputs: Vec<(&str, &Path)> = (outputs.iter())
        .filter_map(|(flag, file)| Some((*flag, (*file)?)))
        .collect();
    for (at, (flag, file)) in outputs.iter().enumerate() {
        let name = file.display();
        spare(flag, file)?;
        if let Some((other, _)) = outputs[..at].iter().find(|(_, other)| is_same(other, file)) {
            return Err(Failure::Input(format!(
                "{other} and {flag} name the same file, {name}: name two"
            )));
        }
        writable(file).map_err(|error| cannot(file, &error))?;
    }
    Ok(())
}

/// Fails if the file was read by this process.
fn spare(what: &str, file: &Path) -> Result<(), Failure> {
    if files::was_read(file) {
        let name = file.display();
        return Err(Failure::Input(format!(
            "{what} would overwrite {name}, which is read: name another file"
        )));
    }
    Ok(())
}

/// Writes a file atomically: a temporary file beside it is renamed. Readers see the old or the new
/// content, and the old one stays if the disk is full.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    spare("the output", file)?;
    put(file, text.as_bytes()).map_err(|error| cannot(file, &error))
}

fn put(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = fs::metadata(file).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        // A pipe or a terminal cannot be replaced by a renamed file.
        return fs::write(file, bytes);
    }
    // A symbolic link stays, and its target is replaced.
    let place = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let Some((beside, mut new)) = begin_beside(&place) else {
        return fs::write(file, bytes);
    };
    let written = new.write_all(bytes).and_then(|()| match &before {
        Some(before) => new.set_permissions(before.permissions()),
        None => Ok(()),
    });
    let moved = written.and_then(|()| fs::rename(&beside, &place));
    if moved.is_err() {
        // The first error is the one to report, so an error of removing is ignored.
        let _ = fs::remove_file(&beside);
    }
    moved
}

/// Creates an empty temporary file in the same folder. `None` if that is not allowed, although the
/// file itself may be writable.
fn begin_beside(place: &Path) -> Option<(PathBuf, File)> {
    let mut name = std::ffi::OsString::from(".");
    name.push(place.file_name()?);
    name.push(format!(".{}", std::process::id()));
    let beside = place.with_file_name(name);
    let options = OpenOptions::new().write(true).create_new(true).clone();
    let new = options.open(&beside).ok()?;
    Some((beside, new))
}

/// Fails unless files can be written into this folder, which is created if it does not exist.
pub(super) fn check_folder(folder: Option<&PathBuf>) -> Result<(), Failure> {
    let Some(folder) = folder else {
        return Ok(());
    };
    let made = fs::create_dir_all(folder);
    let tried = made.and_then(|()| writable(&folder.join(".herd")));
    tried.map_err(|error| cannot(folder, &error))
}

/// Whether two paths lead to the same file, even if it does not exist yet. Special files such as
/// `/dev/null` can be named twice.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let is_special = |path: &Path| fs::metadata(path).is_ok_and(|found| !found.is_file());
    let is_one_place = || place(one).is_some_and(|of_one| Some(of_one) == place(other));
    !is_special(one) && (files::is_one(one, other) || is_one_place())
}

fn place(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    })
}

/// Fails unless the file could be written. The file is left as it is, or absent.
fn writable(file: &Path) -> io::Result<()> {
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if found.is_file() => OpenOptions::new().append(true).open(file).map(drop),
        // A pipe may not tolerate being opened twice, so it is not tried.
        Ok(_) => Ok(()),
        Err(_) => {
            let options = OpenOptions::new().append(true).create_new(true).clone();
            drop(options.open(file)?);
            fs::remove_file(file)
        }
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::Input(format!("can't write {}: {error}", path.display()))
}
