//! The folder of a run: herd files, settings, logs, records on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::LiveError;

/// The number of folders that this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A folder that is removed with all that is in it, unless the user named it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    stays: bool,
}

impl Folder {
    pub(super) fn new(named: Option<&Path>) -> Result<Self, LiveError> {
        let stays = named.is_some();
        let path = named.map_or_else(
            || {
                let number = MADE.fetch_add(1, Ordering::Relaxed);
                std::env::temp_dir().join(format!("herd-live-{}-{number}", process::id()))
            },
            Path::to_owned,
        );
        let what = format!("make the folder {}", path.display());
        fs::create_dir_all(&path).map_err(LiveError::system(what))?;
        // Servers may work elsewhere.
        let what = format!("find the folder {}", path.display());
        let path = path.canonicalize().map_err(LiveError::system(what))?;
        Ok(Self { path, stays })
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, LiveError> {
        let path = self.file(name);
        let what = format!("write {}", path.display());
        fs::write(&path, text).map_err(LiveError::system(what))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.stays {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
