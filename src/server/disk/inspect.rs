//! What a folder holds, for an operator who looks into it. Nothing is changed, and a server may use
//! the folder meanwhile.

use std::collections::BTreeMap;
use std::io;

use super::format::{CHECKSUM, File, Line, Owner, parse, write_record};
use super::load::{LoadError, Loaded};
use super::{DAMAGED, Damage, Disk, Read};
use crate::node::mistakes::Made;
use crate::protocol::peer::Update;

/// A file of a server's folder.
#[derive(Debug)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub kind: &'static str,
    /// Whether a server that starts reads it.
    pub is_read: bool,
    /// The number of its bytes.
    pub bytes: u64,
    /// The version of its format, and whose it is, if it begins with its header.
    pub header: Option<(u32, Owner)>,
    /// The number of its records. A client can have several.
    pub records: u64,
    /// The first damaged places.
    pub damages: Vec<Damage>,
    /// The number of damaged places.
    pub damaged: usize,
    /// Why a server would not start with it, whatever its settings.
    pub refused: Option<LoadError>,
}

/// All files of a server on a disk, in the order in which they were begun.
///
/// # Errors
///
/// If the folder can't be listed. A file that can't be read is damaged.
pub async fn inspect(disk: &dyn Disk) -> io::Result<Vec<FileReport>> {
    let mut reports = Vec::new();
    for (name, file) in files(disk).await? {
        let mut loaded = Loaded::default();
        let mut header = None;
        let refused = match disk.read(&name).await {
            // A server has replaced it since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                loaded.is_unreadable(&name, &error);
                None
            }
            Ok(content) => {
                header = header_of(&content);
                let taken = loaded.take((&name, true), &content, None, &Made::NONE);
                loaded.bytes = content.len() as u64;
                taken.err()
            }
        };
        let (kind, is_read) = match file {
            Some(File::Segment(_)) => ("log", true),
            Some(File::Snapshot(_)) => ("snapshot", true),
            Some(File::Unfinished(_)) => ("unfinished snapshot", false),
            None => ("replaced, kept since it is damaged", false),
        };
        reports.push(FileReport {
            name,
            kind,
            is_read,
            bytes: loaded.bytes,
            header,
            records: loaded.updates.len() as u64,
            damages: loaded.damages,
            damaged: loaded.damaged,
            refused,
        });
    }
    Ok(reports)
}

/// The lines of the newest record of each client, as between servers and by client, each with its
/// LF; and the number of damaged places that were left out.
///
/// # Errors
///
/// If the folder can't be listed, or a file is of another version of the format.
pub async fn newest(disk: &dyn Disk) -> Result<(Vec<u8>, usize), LoadError> {
    let loaded = super::load::read(disk, None, &Made::NONE).await?;
    let mut newest = BTreeMap::<Vec<u8>, Update>::new();
    for Read { update, .. } in loaded.updates {
        let held = newest.get(update.record.id());
        if held.is_none_or(|held| update.record.supersedes(&held.record)) {
            newest.insert(update.record.id().to_vec(), update);
        }
    }
    let mut lines = Vec::new();
    let mut line = Vec::new();
    for Update { record, hops, .. } in newest.values() {
        line.clear();
        write_record(&mut line, record, *hops);
        lines.extend_from_slice(&line[CHECKSUM..]);
    }
    Ok((lines, loaded.damaged))
}

/// Every line of every file, in order: the file's name, the offset of its first byte, and the line
/// without its LF.
///
/// # Errors
///
/// If the folder can't be listed, or a file can't be read.
pub async fn lines(disk: &dyn Disk) -> io::Result<Vec<(String, usize, Vec<u8>)>> {
    let mut lines = Vec::new();
    for (name, _) in files(disk).await? {
        let content = match disk.read(&name).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            content => content?,
        };
        let mut at = 0;
        for line in content.split_inclusive(|&byte| byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            lines.push((name.clone(), at, text.to_vec()));
            at += line.len();
        }
    }
    Ok(lines)
}

/// The files of a server, by number; files that it replaced and kept are at the end.
async fn files(disk: &dyn Disk) -> io::Result<Vec<(String, Option<File>)>> {
    let names = disk.list().await?.into_iter();
    let known = names.map(|name| (File::of(&name), name));
    let known = known.filter(|(file, name)| file.is_some() || name.starts_with(DAMAGED));
    let mut files: Vec<(String, Option<File>)> = known.map(|(file, name)| (name, file)).collect();
    files.sort_by_key(|(_, file)| (file.is_none(), file.map(|file| (file.number(), file))));
    Ok(files)
}

fn header_of(content: &[u8]) -> Option<(u32, Owner)> {
    let first = content.split(|&byte| byte == b'\n').next()?;
    match parse(first, &Made::NONE)? {
        Line::Header(header) => Some((header.version, header.owner)),
        Line::Record(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::format::write_header;
    use crate::disk::{Folder, Wrong};
    use crate::protocol::record::Record;

    fn line(client: &str, time: u32) -> Vec<u8> {
        let text = format!("Riley +0.500000000 {client} +1-1 {time}");
        let record = Record::parse(text.as_bytes()).expect("a record");
        let mut out = Vec::new();
        write_record(&mut out, &record, 0);
        out
    }

    fn header(server: &str) -> Vec<u8> {
        let [herd, server] = ["riley", server].map(str::to_owned);
        let mut out = Vec::new();
        write_header(&mut out, &Owner { herd, server });
        out
    }

    #[tokio::test]
    async fn each_file_is_reported_with_what_it_holds_and_lacks() {
        let above = tempfile::tempdir().expect("a folder");
        let folder = Folder::take(above.path()).expect("it is free");
        let mut changed = line("plum", 2);
        changed[20] ^= 1;
        let log = [
            header("Riley"),
            line("kiwi", 3),
            changed.clone(),
            line("fig", 1),
        ]
        .concat();
        let snapshot = [header("Riley"), line("kiwi", 1), line("plum", 1)].concat();
        let at = (header("Riley").len() + line("kiwi", 3).len()) as u64;
        for (name, held) in [
            ("log-00000002", &log),
            ("snapshot-00000001", &snapshot),
            ("snapshot-00000003.tmp", &snapshot),
            ("damaged-log-00000001", &changed),
            ("notes", &changed),
        ] {
            folder.append(name, held).await.expect("a file");
        }
        let files = inspect(&folder).await.expect("a list");
        let shown = files
            .iter()
            .map(|it| (&*it.name, it.is_read, it.records, it.damaged));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                ("snapshot-00000001", true, 2, 0),
                ("log-00000002", true, 2, 1),
                ("snapshot-00000003.tmp", false, 2, 0),
                ("damaged-log-00000001", false, 0, 1),
            ]
        );
        let damage = &files[1].damages[0];
        assert_eq!((damage.at, damage.bytes), (at, changed.len() as u64));
        assert!(matches!(damage.what, Wrong::Changed { .. }), "{damage}");
        let owner = files[1].header.as_ref().map(|(_, owner)| &*owner.server);
        assert_eq!(owner, Some("Riley"));
        let (lines, damaged) = newest(&folder).await.expect("one version");
        let told = "\
            AT Riley +0.500000000 fig +1-1 1 1\n\
            AT Riley +0.500000000 kiwi +1-1 3 1\n\
            AT Riley +0.500000000 plum +1-1 1 1\n";
        assert_eq!(
            (String::from_utf8_lossy(&lines).as_ref(), damaged),
            (told, 1)
        );
        let all = super::lines(&folder).await.expect("a list");
        let (name, at, text) = &all[5];
        assert_eq!((&**name, *at as u64), ("log-00000002", damage.at));
        assert_eq!(text, &changed[..changed.len() - 1]);
    }
}
