//! `waxwing packet`: packets for whoever writes an implementation, or wonders what went over a wire.
//! Nothing here needs a home or a connection.

mod build;
mod content;
mod explain;
mod input;
mod payload;
mod tree;
mod verify;

use std::fs;
use std::io;
use std::path::Path;

use super::Console;
use crate::args::Packet;
use crate::exit::Failure;
use crate::system;

pub(super) fn run(packet: &Packet, console: &mut Console<'_>) -> Result<(), Failure> {
    match packet {
        Packet::Explain(explain) => explain::run(explain, console),
        Packet::Build(build) => build::run(build, console),
        Packet::Verify { file, key } => verify::run(file, key, console),
    }
}

/// The bytes that a file stands for, or standard input.
fn read_packets(file: &Path, console: &mut Console<'_>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        let read = console.input.read_to_end(&mut bytes);
        read.map_err(|error| unread(&error))?;
    } else {
        bytes = fs::read(file).map_err(|error| {
            Failure::Config(format!(
                "{} cannot be read: {}. A packet itself goes to standard input",
                file.display(),
                system::of_file(&error)
            ))
        })?;
    }
    Ok(input::decoded(bytes))
}

fn unread(error: &io::Error) -> Failure {
    Failure::General(format!("standard input cannot be read: {}", system::of_file(error)))
}

/// A file that the command line names.
fn read_file(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        Failure::Config(format!("{} cannot be read: {}", path.display(), system::of_file(&error)))
    })
}
