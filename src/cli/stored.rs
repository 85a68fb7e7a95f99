//! The folder of a server's records, as `herd serve` opens it.

use std::io;
use std::sync::Arc;

use super::Failure;
use crate::disk::{Data, Folder, FolderError, LoadError, Stored};
use crate::herd::{Herd, ServerId};
use crate::settings::Settings;

/// Takes the folder, and reads what it holds; `None` without a folder.
pub(super) async fn open(
    settings: &Settings,
    herd: &Herd,
    me: ServerId,
) -> Result<Option<Stored>, Failure> {
    let settings = &settings.data;
    let Some(folder) = &settings.dir else {
        return Ok(None);
    };
    let disk = Folder::take(folder).map_err(|error| not_taken(&error))?;
    let data = Data {
        disk: Arc::new(disk),
        durability: settings.durability,
        sync_every: settings.sync_every,
        snapshot_after: settings.snapshot_after as u64,
        strict: settings.strict,
    };
    let owner = (&**herd.name(), &*herd.server(me).name);
    let opened = data.load(owner).await;
    opened.map(Some).map_err(|error| {
        let why = format!("{error} ({})\nhelp: {}", folder.display(), error.help());
        match error {
            LoadError::Folder(error) if !is_unusable(&error) => Failure::Failed(why),
            _ => Failure::Input(why),
        }
    })
}

fn not_taken(error: &FolderError) -> Failure {
    let why = format!("{error}\nhelp: {}", error.help());
    match error {
        FolderError::Io(error) if !is_unusable(error) => Failure::Failed(why),
        _ => Failure::Input(why),
    }
}

/// Whether another start will not help; other errors are the disk's, and may pass.
fn is_unusable(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::NotFound
            | Kind::PermissionDenied
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::AlreadyExists
            | Kind::ReadOnlyFilesystem
            | Kind::Unsupported
    )
}
