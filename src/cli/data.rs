//! `herd data`: looks into the folder where a server keeps its records.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Exit, Failure, print, stderr};
use crate::disk::{self, FileReport, Folder, Owner};
use crate::protocol::escape;

/// Look into a folder where a server keeps its records
///
/// Nothing is changed there, and the server may run. A line that it is just writing then looks as if
/// the file ended in the midst of it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd data verify /var/lib/herd/Riley
  herd data dump /var/lib/herd/Riley | grep kiwi")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Verify(Verify),
    Dump(Dump),
}

/// Verify each file: its header, its records, and what is damaged
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd data verify /var/lib/herd/Riley
  herd data verify records/Riley --json

Exit codes:
  0  every file is whole
  1  something is damaged, or a server would not start with these files
  2  the folder can't be read, or holds no server's records")]
struct Verify {
    /// The folder that `--data-dir` names
    dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Print the newest record of each client, as servers send it to each other
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd data dump /var/lib/herd/Riley
  herd data dump records/Riley --all | grep kiwi

Exit codes:
  0  everything was printed
  1  something is damaged, and was left out
  2  the folder can't be read, or holds no server's records")]
struct Dump {
    /// The folder that `--data-dir` names
    dir: PathBuf,
    /// Print every line of every file as it stands there, behind the file's name and the line's
    /// offset in bytes
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    runtime.block_on(async {
        match &args.what {
            What::Verify(verify) => verify.run().await,
            What::Dump(dump) => dump.run().await,
        }
    })
}

/// The files of a folder, of which there is at least one.
async fn files(dir: &Path) -> Result<(Folder, Vec<FileReport>), Failure> {
    let folder = Folder::look(dir);
    let files = disk::inspect(&folder).await;
    let files = files.map_err(|error| Failure::Input(error.to_string()))?;
    if files.is_empty() {
        return Err(Failure::Input(format!(
            "{} holds no server's records\n\
             help: give the folder that `--data-dir` names; `herd up` has one for each server below it",
            dir.display()
        )));
    }
    Ok((folder, files))
}

impl Verify {
    async fn run(&self) -> Result<Exit, Failure> {
        let (_, files) = files(&self.dir).await?;
        let owners = owners(&files);
        let refused = files.iter().any(|file| file.refused.is_some()) || owners.len() > 1;
        let damaged: usize = read(&files).map(|file| file.damaged).sum();
        let text = if self.json {
            json(&files, damaged, refused)
        } else {
            let mut text: String = files.iter().map(described).collect();
            text += &verdict(damaged, &owners);
            text
        };
        print(&text)?;
        Ok(if damaged > 0 || refused {
            Exit::Failed
        } else {
            Exit::Passed
        })
    }
}

impl Dump {
    async fn run(&self) -> Result<Exit, Failure> {
        let (folder, files) = files(&self.dir).await?;
        if self.all {
            let lines = disk::lines(&folder).await;
            let lines = lines.map_err(|error| Failure::Failed(error.to_string()))?;
            let shown = lines
                .iter()
                .map(|(file, at, line)| format!("{file}:{at} {}\n", escape(line)));
            print(&shown.collect::<String>())?;
            let damaged = read(&files).any(|file| file.damaged > 0);
            return Ok(if damaged { Exit::Failed } else { Exit::Passed });
        }
        let newest = disk::newest(&folder).await;
        let (lines, damaged) = newest.map_err(|error| Failure::Input(error.to_string()))?;
        // No record has a byte that a line can't show.
        print(&String::from_utf8_lossy(&lines))?;
        if damaged == 0 {
            return Ok(Exit::Passed);
        }
        stderr::warning(&format!(
            "{} in {}, left out: `herd data verify` says where",
            places(damaged),
            self.dir.display()
        ));
        Ok(Exit::Failed)
    }
}

/// The files that a server reads when it starts.
fn read(files: &[FileReport]) -> impl Iterator<Item = &FileReport> {
    files.iter().filter(|file| file.is_read)
}

/// Whose files they are, in words.
fn owners(files: &[FileReport]) -> BTreeSet<String> {
    let owners = read(files).filter_map(|file| file.header.as_ref());
    owners.map(|(_, owner)| whose(owner)).collect()
}

fn whose(owner: &Owner) -> String {
    let [server, herd] = [&owner.server, &owner.herd].map(|name| escape(name.as_bytes()));
    format!("{server} of the herd {herd}")
}

fn places(damaged: usize) -> String {
    let plural = if damaged == 1 { "" } else { "s" };
    format!("{damaged} damaged place{plural}")
}

fn described(file: &FileReport) -> String {
    let FileReport {
        name,
        kind,
        bytes,
        records,
        damages,
        damaged,
        ..
    } = file;
    let plural = if *records == 1 { "" } else { "s" };
    let header = match &file.header {
        Some((version, owner)) => format!("version {version}, {}", whose(owner)),
        None => "no header".to_owned(),
    };
    let mut text = format!("{name}: {kind}, {header}, {bytes} bytes, {records} record{plural}\n");
    for damage in damages {
        let _ = writeln!(text, "  damaged: {damage}");
    }
    if *damaged > damages.len() {
        let _ = writeln!(text, "  and {} more", places(damaged - damages.len()));
    }
    if let Some(refused) = &file.refused {
        let _ = writeln!(text, "  a server does not start: {refused}");
    }
    text
}

fn verdict(damaged: usize, owners: &BTreeSet<String>) -> String {
    let mut text = String::new();
    if owners.len() > 1 {
        let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
        let _ = writeln!(
            text,
            "a server does not start: these are files of {}",
            owners.join(" and of ")
        );
    }
    text + &match damaged {
        0 => "nothing is damaged\n".to_owned(),
        damaged => format!("{}: a server leaves them out\n", places(damaged)),
    }
}

fn json(files: &[FileReport], damaged: usize, refused: bool) -> String {
    let files = files.iter().map(|file| {
        let damages = file.damages.iter().map(|damage| {
            serde_json::json!({
                "at": damage.at,
                "bytes": damage.bytes,
                "what": damage.to_string(),
            })
        });
        let mut json = serde_json::json!({
            "file": file.name,
            "kind": file.kind,
            "is_read": file.is_read,
            "bytes": file.bytes,
            "records": file.records,
            "damaged": file.damaged,
            "damages": damages.collect::<Vec<_>>(),
        });
        if let Some((version, owner)) = &file.header {
            json["version"] = (*version).into();
            json["herd"] = owner.herd.clone().into();
            json["server"] = owner.server.clone().into();
        }
        if let Some(refused) = &file.refused {
            json["refused"] = refused.to_string().into();
        }
        json
    });
    let files: Vec<serde_json::Value> = files.collect();
    let json = serde_json::json!({ "damaged": damaged, "refused": refused, "files": files });
    json.to_string() + "\n"
}
