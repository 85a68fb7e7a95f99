//! `herd certs`: certificates for trying out TLS between servers.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Exit, Failure, print, warn};
use crate::certs::Authority;
use crate::herd::Herd;
use crate::net::Net as _;
use crate::net::tokio::TokioNet;

const ABOUT_FILES: &str = "\
Makes in DIR:
  authority.pem          what every server trusts
  NAME.pem, NAME.key     for each server: its certificate, and its private key (readable by you alone)
  clients.pem, .key      with --clients: for the ports that clients connect to, at localhost and the herd's hosts

The authority's own key is not kept, so nobody can make further certificates with it.

Examples:
  herd certs --out certs
  herd certs --herd my/herd.toml --days 365 --clients --out certs";

/// Make a test authority, and a certificate and key for each server of a herd
#[derive(clap::Args)]
#[command(after_help = ABOUT_FILES)]
pub(super) struct Args {
    /// A built-in herd's name, or a herd file
    #[arg(long, default_value = "riley")]
    herd: String,
    /// Write the files to this folder, which is created if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Days until the certificates expire
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Also make a certificate for the ports that clients connect to
    #[arg(long)]
    clients: bool,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// A file to be made.
struct ToMake {
    name: String,
    text: String,
    is_private: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (herd, warnings) = Herd::load(&args.herd, Some(Path::new(".")))?;
    warn(&warnings);
    let files = issue(&herd, args).map_err(|error| Failure::Input(error.to_string()))?;
    let in_the_way = files.iter().map(|file| args.out.join(&file.name));
    let in_the_way = in_the_way.filter(|path| path.symlink_metadata().is_ok());
    if let (false, Some(path)) = (args.force, in_the_way.into_iter().next()) {
        return Err(Failure::Input(format!(
            "{} is there already, and nothing was written; --force replaces it",
            path.display()
        )));
    }
    let failed = |path: &Path, error: &io::Error| {
        Failure::Input(format!("can't write {}: {error}", path.display()))
    };
    fs::create_dir_all(&args.out).map_err(|error| failed(&args.out, &error))?;
    // All files are written completely before the first is renamed, because files of two
    // authorities do not work together.
    let mut beside = Vec::new();
    for file in &files {
        let path = args.out.join(&file.name);
        let new = write_beside(&args.out, file).map_err(|error| failed(&path, &error))?;
        beside.push((new, path));
    }
    for (new, path) in beside {
        fs::rename(&new.0, &path).map_err(|error| failed(&path, &error))?;
    }
    print(&describe(&herd, args, &files))?;
    Ok(Exit::Passed)
}

fn issue(herd: &Herd, args: &Args) -> Result<Vec<ToMake>, Box<dyn std::error::Error>> {
    let lifetime = Duration::from_hours(24) * args.days;
    let authority = Authority::new(herd.name(), TokioNet.now(), lifetime)?;
    let mut files = vec![ToMake {
        name: "authority.pem".to_owned(),
        text: authority.certificate(),
        is_private: false,
    }];
    let mut issued = Vec::new();
    for name in herd.server_names() {
        issued.push((name, authority.server(name)?));
    }
    if args.clients {
        let mut hosts = vec!["localhost", "127.0.0.1", "::1"];
        for server in herd.servers() {
            let host = server.client.host.as_str();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        issued.push(("clients", authority.clients(&hosts)?));
    }
    for (name, issued) in issued {
        for (end, text, is_private) in [
            ("pem", issued.certificate, false),
            ("key", issued.key, true),
        ] {
            let name = format!("{name}.{end}");
            // Some file systems ignore case.
            if files
                .iter()
                .any(|file| file.name.eq_ignore_ascii_case(&name))
            {
                return Err(format!("two files would be called {name}; rename that server").into());
            }
            files.push(ToMake {
                name,
                text,
                is_private,
            });
        }
    }
    Ok(files)
}

/// A temporary file beside its final place. Dropping it removes the file unless it was renamed.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // If it was renamed, there is nothing to remove.
        let _ = fs::remove_file(&self.0);
    }
}

/// Writes a new temporary file. An existing file could have wider permissions, or be open to
/// another reader.
fn write_beside(folder: &Path, file: &ToMake) -> io::Result<Beside> {
    let path = folder.join(format!(".{}.{}", file.name, std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if file.is_private {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut new = options.open(&path)?;
    let beside = Beside(path);
    new.write_all(file.text.as_bytes())?;
    Ok(beside)
}

fn describe(herd: &Herd, args: &Args, files: &[ToMake]) -> String {
    let (out, days) = (args.out.display(), args.days);
    let mut text = format!(
        "herd {}: an authority and {} certificates, good for {days} days, in {out}\n",
        herd.name(),
        files.len() / 2,
    );
    for file in files {
        let what = match (file.is_private, file.name.as_str()) {
            (true, _) => "private key, for its server only",
            (false, "authority.pem") => "what every server trusts",
            (false, "clients.pem") => "certificate for the clients' ports",
            (false, _) => "certificate to show to other servers",
        };
        let _ = writeln!(text, "  {:<20}  {what}", file.name);
    }
    text.push_str(
        "Give each server authority.pem, its own certificate and its own key. To renew, make new ones in another\n\
         folder, let every server trust both authorities (one file after the other in one authority.pem),\n\
         then give each its new certificate and key.\n",
    );
    text
}
