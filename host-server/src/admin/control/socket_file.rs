//! The socket as a file: made so that it is never open to others, and removed at the end.

use std::fs::{self, DirBuilder, FileType, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connection::dial;
use crate::access;
use crate::exit::{Exit, Failure};

/// The name of a socket that is not in its place yet.
const UNPLACED: &str = "s";

const HINT: &str = "server.control in the configuration can name another place";

/// How long a server that is there may take to accept.
const ALIVE: Duration = Duration::from_secs(1);

/// A socket in its place. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number: whether what is there is still this one.
    itself: (u64, u64),
}

impl SocketFile {
    /// Makes a socket at `path`, for its owner alone or for `group` besides, and listens on it.
    pub(super) fn bind(path: &Path, group: Option<u32>) -> Result<(UnixListener, Self), Failure> {
        check_place(path)?;
        check_replaceable(path)?;
        let directory = directory_of(path);
        if let Some(group) = group {
            warn_of_closed_doors(directory, group);
        }
        // A socket has the mode that the umask leaves it when it is made. In a directory of its own
        // nobody reaches it before it has its own.
        let mut nest = path.as_os_str().to_owned();
        nest.push(".new");
        let unmade = |error: io::Error| {
            failure(path, format!("the control socket cannot be made: {error}; {HINT}"))
        };
        let nest = Nest::make(nest.into()).map_err(unmade)?;
        let made = nest.socket();
        let listener = UnixListener::bind(&made).map_err(unmade)?;
        if let Some(group) = group {
            chown(&made, None, Some(group)).map_err(|error| {
                let why = format!(
                    "the control socket cannot be given to the group {group} of server.control_group: \
                     {error}; the user of the server has to be in that group"
                );
                failure(path, why)
            })?;
        }
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        let placed = fs::set_permissions(&made, Permissions::from_mode(mode))
            .and_then(|()| fs::symlink_metadata(&made))
            .and_then(|metadata| {
                fs::rename(&made, path)?;
                Ok((metadata.dev(), metadata.ino()))
            });
        let itself = placed.map_err(unmade)?;
        Ok((listener, Self { path: path.to_owned(), itself }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another may have been put there since, and is somebody else's.
        let is_itself = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.itself);
        if is_itself && let Err(error) = fs::remove_file(&self.path) {
            let path = self.path.display();
            tracing::warn!(name: "control_socket_left", %error, %path, "the control socket could not be removed");
        }
    }
}

/// A directory for a moment, which nobody else can enter.
struct Nest {
    path: PathBuf,
}

impl Nest {
    fn make(path: PathBuf) -> io::Result<Self> {
        let make = || DirBuilder::new().mode(0o700).create(&path);
        match make() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // A server that died here has left it.
                clear(&path).map_err(|error| {
                    io::Error::other(format!("{} is in the way: {error}", path.display()))
                })?;
                make()?;
            }
            other => other?,
        }
        let nest = Self { path };
        // The umask may have taken the owner's own rights.
        fs::set_permissions(&nest.path, Permissions::from_mode(0o700))?;
        Ok(nest)
    }

    fn socket(&self) -> PathBuf {
        self.path.join(UNPLACED)
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.path) {
            let path = self.path.display();
            tracing::debug!(%error, %path, "a directory could not be removed");
        }
    }
}

/// Removes a directory with nothing but a socket of this server in it.
fn clear(nest: &Path) -> io::Result<()> {
    let socket = nest.join(UNPLACED);
    match fs::symlink_metadata(&socket) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(socket)?,
        _ => {}
    }
    fs::remove_dir(nest)
}

/// The directory that `path` is in.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whoever can write to the directory can put another socket in the place of the server's, and be given
/// what the operator asks of it.
fn check_directory(directory: &Path) -> Result<(), Failure> {
    let metadata = fs::metadata(directory).map_err(|error| {
        let why = format!("the directory of the control socket cannot be used: {error}");
        failure(directory, format!("{why}; make it, or let server.control name another place"))
    })?;
    if !metadata.is_dir() {
        return Err(failure(directory, format!("is no directory for the control socket; {HINT}")));
    }
    let above = access::replaceable_in(directory).map_err(|error| failure(directory, error))?;
    let why = access::others_can_change(directory, &metadata).or_else(|| {
        let open = above?;
        let open = open.display();
        Some(format!("everybody can put another in its place; run: chmod o-w {open}"))
    });
    match why {
        Some(why) => {
            let what = "the directory of the control socket is not safe";
            Err(failure(directory, format!("{what}: {why}; or {HINT}")))
        }
        None => Ok(()),
    }
}

/// Whether a control socket can be at `path`, as far as that can be seen without making one: its
/// directory is safe, and nothing but a socket is in its place.
///
/// # Errors
/// When that is not so.
pub fn check_place(path: &Path) -> Result<(), Failure> {
    check_directory(directory_of(path))?;
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(()),
        Ok(metadata) => {
            let there = name(metadata.file_type());
            let what = format!("{there} is in the place of the control socket");
            Err(failure(path, format!("{what}; move it away, or {HINT}")))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failure(path, error)),
    }
}

/// Nothing but the socket of a server that has ended is replaced.
fn check_replaceable(path: &Path) -> Result<(), Failure> {
    let (exit, what) = match dial(path, ALIVE) {
        // There is none, or the server that it belonged to has ended.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            return Ok(());
        }
        Ok(_) => {
            (Exit::Failure, "another server listens on the control socket; stop it".to_owned())
        }
        Err(error) => {
            let what = "the socket that is in the place of the control socket cannot be looked at";
            (Exit::Storage, format!("{what}: {error}; remove it if no server uses it"))
        }
    };
    let what = format!("{}: {what}, or let server.control name another place", path.display());
    Err(Failure::new(exit, what))
}

fn name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_file() => "a plain file",
        _ if kind.is_dir() => "a directory",
        _ if kind.is_symlink() => "a link",
        _ => "something that is no socket",
    }
}

/// Tells the operator when a group may use the socket and cannot reach it.
fn warn_of_closed_doors(directory: &Path, group: u32) {
    if let Ok(Some(closed)) = closed_to(directory, group) {
        tracing::warn!(
            name: "control_socket_closed_to_group",
            group,
            directory = %closed.display(),
            "the group of server.control_group may use the control socket, but cannot enter this \
             directory above it; let server.control name a place in a directory that the group can \
             enter, such as /run/waxwing"
        );
    }
}

/// What keeps the members of a group from the files in `directory`: itself, or one above it.
fn closed_to(directory: &Path, group: u32) -> io::Result<Option<PathBuf>> {
    let itself = (directory.to_owned(), fs::metadata(directory)?);
    let mut all = std::iter::once(itself).chain(access::directories_above(directory)?);
    let closed = all.find(|(_, metadata)| {
        let needed = if metadata.gid() == group { 0o010 } else { 0o001 };
        metadata.mode() & needed == 0
    });
    Ok(closed.map(|(closed, _)| closed))
}

fn failure(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Storage, format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_a_group_cannot_enter_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let outer = directory.path();
        let inner = outer.join("inner");
        fs::create_dir(&inner).unwrap();
        let own = fs::metadata(&inner).unwrap().gid();
        let other = own + 1;
        for (outer_mode, inner_mode, group, closed) in [
            (0o711, 0o710, own, None),
            (0o711, 0o710, other, Some(&*inner)),
            (0o711, 0o701, own, Some(&*inner)),
            (0o711, 0o701, other, None),
            (0o700, 0o711, own, Some(outer)),
            (0o700, 0o711, other, Some(outer)),
        ] {
            fs::set_permissions(outer, Permissions::from_mode(outer_mode)).unwrap();
            fs::set_permissions(&inner, Permissions::from_mode(inner_mode)).unwrap();
            let found = closed_to(&inner, group).unwrap();
            assert_eq!(found.as_deref(), closed, "{outer_mode:o} {inner_mode:o} {group}");
        }
    }
}
