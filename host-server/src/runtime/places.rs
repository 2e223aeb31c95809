//! Whether a start would find the directories that it needs. Nothing is made or changed.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::access::{cannot_open, has_another_owner};
use crate::admin::control;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};

/// Looks at the places that a start uses.
///
/// # Errors
/// What a start would fail for.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    let data = &config.server.data;
    let is_there = match fs::metadata(data) {
        Err(error) if error.kind() == ErrorKind::NotFound && config.server.allow_first_start => {
            check_parent(data)?;
            false
        }
        _ => {
            DataDir::existing(data)?;
            check_writable(data)?;
            true
        }
    };
    let Some(socket) = config.server.control_socket()? else { return Ok(()) };
    // A start makes the data directory so that a socket can be in it.
    if is_there || socket.parent() != Some(data) {
        control::check_place(&socket)?;
    }
    Ok(())
}

/// As a start of the user that the data directory belongs to would. Whether that is this user: for
/// another one nothing can be said, and nothing was looked at.
///
/// # Errors
/// What a start would fail for.
pub fn check_as_owner(config: &Config) -> Result<bool, Failure> {
    if fs::metadata(&config.server.data).is_ok_and(|metadata| has_another_owner(&metadata)) {
        return Ok(false);
    }
    check(config).map(|()| true)
}

/// The nearest directory that is there has to take new ones.
fn check_parent(path: &Path) -> Result<(), Failure> {
    let above = path.ancestors().skip(1).map(|above| match above.as_os_str().is_empty() {
        true => Path::new("."),
        false => above,
    });
    let mut there = above.filter(|above| above.exists());
    there.next().map_or(Ok(()), check_writable)
}

fn check_writable(directory: &Path) -> Result<(), Failure> {
    access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| closed(directory, error))
}

/// The server may not write to this directory, and what to do about it.
fn closed(directory: &Path, error: Errno) -> Failure {
    let why = match error {
        Errno::ACCESS => cannot_open(directory, &error.into()),
        _ => format!("{error}; let server.data name another place, or give it the rights"),
    };
    let directory = directory.display();
    let message = format!(
        "{directory}: the server cannot make files there: {why}. Under systemd, a directory of your own needs a line \
         ReadWritePaths={directory} in the unit (systemctl edit waxwing)"
    );
    Failure::new(Exit::Storage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_data_directory_of_their_own_reads_what_the_unit_needs() {
        let refused = closed(Path::new("/srv/data"), Errno::ROFS);
        assert_eq!(refused.exit(), Exit::Storage);
        let said = refused.to_string();
        assert!(said.contains("Read-only") && said.contains("ReadWritePaths=/srv/data"), "{said}");
    }
}
