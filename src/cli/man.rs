//! `herd man`: the command's manual pages.

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::{Cli, Exit, Failure, print};

/// Print the manual page of this command, or write those of all its subcommands
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd man | man -l -
  herd man --out ~/.local/share/man/man1 && man herd-run")]
pub(super) struct Args {
    /// Write `herd.1` and a page for each subcommand (`herd-run.1` and so on) into this folder,
    /// which is created if it does not exist
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.out else {
        print(&String::from_utf8_lossy(&page(command)?))?;
        return Ok(Exit::Passed);
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    write(&command, folder)?;
    Ok(Exit::Passed)
}

/// Writes the page of a command, and those of its subcommands.
fn write(command: &clap::Command, folder: &Path) -> Result<(), Failure> {
    // Once it is built, a subcommand's display name is its whole name with dashes.
    let name = command.get_display_name().unwrap_or(command.get_name());
    let file = folder.join(format!("{name}.1"));
    std::fs::write(&file, page(command.clone())?).map_err(|error| cannot(&file, &error))?;
    let subcommands = command.get_subcommands();
    let mut shown = subcommands.filter(|command| !command.is_hide_set());
    shown.try_for_each(|command| write(command, folder))
}

fn cannot(file: &Path, error: &io::Error) -> Failure {
    Failure::Input(format!("can't write {}: {error}", file.display()))
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let rendered = Man::new(command).render(&mut page);
    rendered.map_err(|error| Failure::Internal(error.to_string()))?;
    Ok(page)
}
