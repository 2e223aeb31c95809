//! Room for connections in the process: each is a descriptor.

use std::fs::File;
use std::io;
use std::sync::OnceLock;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use waxwing_transport_mio::Config;

/// For the listeners, the database, operators, those who read numbers, and what else is open.
const OTHERS: u64 = 64;

/// The limit of the process before it was raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// How many connections a process with so many descriptors serves at once.
#[must_use]
pub fn places(granted: u64) -> usize {
    let places = granted.saturating_sub(OTHERS.min(granted / 2));
    usize::try_from(places).unwrap_or(usize::MAX).min(Config::default().max_connections)
}

/// Takes all the descriptors that the system grants, has the kernel make room for them, and says
/// how many they are.
///
/// Has to be called before there are threads. A kernel that enlarges the table of a process with
/// several stops whoever wanted the descriptor for about ten milliseconds, and with an event loop
/// everybody it serves.
pub fn make_room() -> u64 {
    let before = getrlimit(Resource::Nofile);
    let Rlimit { current, maximum } = before;
    // The first call knows what the process was given.
    let _ = BEFORE.set(before);
    let raised = if current < maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    } else {
        Ok(())
    };
    let granted = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = u64::try_from(Config::default().max_connections).unwrap_or(u64::MAX);
    let enough = connections.saturating_add(OTHERS);
    let reached = reach(granted.min(enough).saturating_sub(1));
    // The first line of the log starts a thread.
    if let Err(error) = raised {
        tracing::warn!(name: "open_files_limited", %error, "the limit of open files could not be raised: fewer connections can be served");
    }
    if let Err(error) = reached {
        tracing::debug!(%error, "no room was made for open files");
    }
    granted
}

/// Gives a program that this process has started what this process was given. Some programs go through
/// all descriptors that they may have.
pub fn lower_again(program: Pid) {
    #[cfg(target_os = "linux")]
    if let Some(before) = BEFORE.get() {
        // One that has ended needs it no more.
        let _ = rustix::process::prlimit(Some(program), Resource::Nofile, *before);
    }
}

/// Opens a descriptor with a number of at least this and closes it. The table keeps its size.
fn reach(number: u64) -> io::Result<()> {
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    fcntl_dupfd_cloexec(File::open("/dev/null")?, number)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_not_for_connections() {
        assert_eq!(places(64), 32);
        assert_eq!(places(1_024), 960);
        assert_eq!(places(u64::MAX), 65_536);
    }
}
