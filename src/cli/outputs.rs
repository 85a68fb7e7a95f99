//! What a command is to write, looked at before it works: what can't be written is told at once, and nothing that is read is
//! overwritten.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::Failure;

/// Whether all these files can be written, and each is none of those that are read and no other that is written. Each comes with
/// the flag that names it.
pub(super) fn check(inputs: &[&PathBuf], outputs: &[(&str, Option<&Path>)]) -> Result<(), Failure> {
    let outputs: Vec<(&str, &Path)> = (outputs.iter())
        .filter_map(|(flag, file)| Some((*flag, (*file)?)))
        .collect();
    for (at, (flag, file)) in outputs.iter().enumerate() {
        let name = file.display();
        if inputs.iter().any(|input| is_same(input, file)) {
            return Err(Failure::Input(format!(
                "{flag} would overwrite {name}, which is read: name another file"
            )));
        }
        if let Some((other, _)) = outputs[..at].iter().find(|(_, other)| is_same(other, file)) {
            return Err(Failure::Input(format!(
                "{other} and {flag} name the same file, {name}: name two"
            )));
        }
        writable(file).map_err(|error| cannot(file, &error))?;
    }
    Ok(())
}

/// Whether files can be written into this folder, which is made if need be.
pub(super) fn check_folder(folder: Option<&PathBuf>) -> Result<(), Failure> {
    let Some(folder) = folder else {
        return Ok(());
    };
    let made = fs::create_dir_all(folder);
    let tried = made.and_then(|()| writable(&folder.join(".herd")));
    tried.map_err(|error| cannot(folder, &error))
}

/// Whether two paths lead to one file, though it may not be there yet. What is no file, such as `/dev/null`, can be named twice.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let is_special = |path: &Path| fs::metadata(path).is_ok_and(|found| !found.is_file());
    !is_special(one) && place(one).is_some_and(|place_of_one| Some(place_of_one) == place(other))
}

fn place(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    })
}

/// Whether a file could be written. It is left as it is, or as absent.
fn writable(file: &Path) -> io::Result<()> {
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if found.is_file() => OpenOptions::new().append(true).open(file).map(drop),
        // Something like a pipe, which may mind being opened twice.
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
