//! Writes the manual pages of server and client, and what makes shells complete their commands, into a
//! folder. Both come from the definitions that `--help` prints.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use clap::CommandFactory;
use clap_complete::aot::{Bash, Fish, Zsh, generate_to};
use waxwing::args::Args;
use waxwing_server::cli::Cli;

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("name the folder to write to, as in: waxwing-packaging target/packaging");
        return ExitCode::from(2);
    };
    let folder = Path::new(&folder);
    let written = write(<Cli as CommandFactory>::command(), &folder.join("server"))
        .and_then(|()| write(<Args as CommandFactory>::command(), &folder.join("client")));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(mut command: clap::Command, folder: &Path) -> io::Result<()> {
    let manual = folder.join("man");
    fs::create_dir_all(&manual)?;
    clap_mangen::generate_to(command.clone(), &manual)?;
    let name = command.get_name().to_owned();
    generate_to(Bash, &mut command, &name, folder)?;
    generate_to(Zsh, &mut command, &name, folder)?;
    generate_to(Fish, &mut command, &name, folder)?;
    Ok(())
}
