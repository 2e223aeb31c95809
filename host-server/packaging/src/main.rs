//! Writes the manual pages of server and client, and what makes shells complete their commands, into a
//! folder. Both come from the definitions that `--help` prints; what the manual of the server says besides is in
//! `waxwing_server::manual`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::{Command, CommandFactory, Parser};
use clap_complete::aot::{Bash, Fish, Zsh, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use waxwing_server::cli::Cli;
use waxwing_server::manual::{self, Section};

/// Write manual pages and completions of server and client.
#[derive(Parser)]
struct Args {
    /// The folder to write to, such as target/packaging
    folder: PathBuf,
}

fn main() -> ExitCode {
    let Args { folder } = Args::parse();
    let client = <waxwing::args::Args as CommandFactory>::command();
    let written = write_server(&folder.join("server"))
        .and_then(|()| write(client, &[], &folder.join("client")));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write_server(folder: &Path) -> io::Result<()> {
    // The pages have a section for what stands below the long help.
    let command = <Cli as CommandFactory>::command().after_long_help(None);
    write(command, &manual::sections(), folder)
}

fn write(mut command: Command, more: &[Section], folder: &Path) -> io::Result<()> {
    let manual = folder.join("man");
    fs::create_dir_all(&manual)?;
    let mut whole = command.clone().disable_help_subcommand(true);
    whole.build();
    write_pages(&whole, more, &manual)?;
    let name = command.get_name().to_owned();
    generate_to(Bash, &mut command, &name, folder)?;
    generate_to(Zsh, &mut command, &name, folder)?;
    generate_to(Fish, &mut command, &name, folder)?;
    Ok(())
}

/// A manual page for a command, and one for each command below it. `more` stands at the end of each.
fn write_pages(command: &Command, more: &[Section], folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below, more, folder)?;
    }
    let path = Man::new(command.clone()).generate_to(folder)?;
    let mut page = fs::OpenOptions::new().append(true).open(path)?;
    sections(more).to_writer(&mut page)?;
    page.flush()
}

fn sections(listed: &[Section]) -> Roff {
    let mut roff = Roff::new();
    for Section { title, entries } in listed {
        roff.control("SH", [*title]);
        for entry in entries {
            roff.control("TP", []);
            roff.text([bold(entry.name.as_str())]);
            roff.text([roman(entry.about)]);
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_of_the_server_says_what_exit_codes_files_and_variables_there_are() {
        let folder = tempfile::tempdir().unwrap();
        write_server(folder.path()).unwrap();
        let pages: Vec<_> = fs::read_dir(folder.path().join("man")).unwrap().collect();
        assert!(pages.len() > 40, "{} pages", pages.len());
        for page in pages {
            let path = page.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains(".SH EXTRA"), "{}", path.display());
            for heading in ["NAME", "SYNOPSIS", "EXIT STATUS", "FILES", "ENVIRONMENT", "SEE ALSO"] {
                let heading =
                    if heading.contains(' ') { format!("\"{heading}\"") } else { heading.into() };
                let count = text.matches(&format!("\n.SH {heading}\n")).count();
                assert_eq!(count, 1, "{heading} in {}", path.display());
            }
            for words in
                ["bad configuration", "audit.jsonl", "WAXWING_SECTION__KEY", "OPERATING.md"]
            {
                assert!(text.contains(words), "{words} in {}", path.display());
            }
        }
    }
}
