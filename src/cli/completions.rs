//! `herd completions`: scripts with which shells complete the command line.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Exit, Failure, print};

/// Print a script with which a shell completes this command's names, flags and values
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  source <(herd completions bash)
  herd completions zsh > ~/.zfunc/_herd
  herd completions fish > ~/.config/fish/completions/herd.fish")]
pub(super) struct Args {
    /// The shell that the script is for
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "herd", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Passed)
}
