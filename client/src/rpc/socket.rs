//! Programs of the same user on a socket.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::Mode;

use super::offices::Offices;
use super::reception;
use crate::exit::Failure;
use crate::system;

/// Programs that are served at once.
const PROGRAMS: usize = 32;

/// How long to wait when nobody can be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket in its place. Dropped, it is removed.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number: whether what is there is still this one.
    itself: (u64, u64),
}

impl SocketFile {
    /// Makes a socket for its owner alone, and listens on it.
    ///
    /// # Errors
    /// [`Failure::Config`], with what to do.
    pub(super) fn bind(path: &Path) -> Result<(UnixListener, Self), Failure> {
        check_place(path)?;
        remove_dead(path)?;
        // What is made meanwhile elsewhere in this process is for its owner alone, too.
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = bound.map_err(|error| unmade(path, error))?;
        let made = fs::set_permissions(path, Permissions::from_mode(0o600))
            .and_then(|()| fs::symlink_metadata(path));
        let metadata = made.map_err(|error| unmade(path, error))?;
        let itself = (metadata.dev(), metadata.ino());
        Ok((listener, Self { path: path.to_owned(), itself }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another may have been put there since.
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.itself) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whoever can write to the directory could put a socket of their own in the place of this one.
fn check_place(path: &Path) -> Result<(), Failure> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let metadata = fs::metadata(dir).map_err(|error| unmade(path, error))?;
    let (is_open, is_sticky) = (metadata.mode() & 0o022 != 0, metadata.mode() & 0o1000 != 0);
    if is_open && !is_sticky {
        return Err(Failure::Config(format!(
            "{}: others can write to its directory, and could put a socket of theirs there; name a place \
             in a directory that is yours alone, such as $XDG_RUNTIME_DIR",
            path.display()
        )));
    }
    Ok(())
}

/// A process that was killed has left its socket.
fn remove_dead(path: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unmade(path, error)),
        Ok(metadata) if !metadata.file_type().is_socket() => Err(Failure::Config(format!(
            "{}: there is something else in the place of the socket; name another place, or remove it",
            path.display()
        ))),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(Failure::Config(format!(
                "{}: another process listens there; connect to it, or name another place",
                path.display()
            ))),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(|error| unmade(path, error))
            }
            Err(error) => Err(unmade(path, error)),
        },
    }
}

fn unmade(path: &Path, error: io::Error) -> Failure {
    Failure::Config(format!(
        "{}: the socket cannot be made: {}",
        path.display(),
        system::of_file(&error)
    ))
}

/// Serves whoever connects.
pub(super) fn accept(listener: &UnixListener, offices: &Arc<Offices>) {
    let served = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // It is gone already, or this process has no descriptor left for it.
            thread::sleep(PAUSE);
            continue;
        };
        if !is_of_same_user(&stream) || served.load(Ordering::SeqCst) >= PROGRAMS {
            continue;
        }
        served.fetch_add(1, Ordering::SeqCst);
        let (offices, counted) = (offices.clone(), served.clone());
        let serve = move || {
            serve(&stream, &offices);
            counted.fetch_sub(1, Ordering::SeqCst);
        };
        if thread::Builder::new().name("program".into()).spawn(serve).is_err() {
            served.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn serve(stream: &UnixStream, offices: &Arc<Offices>) {
    if let (Ok(input), Ok(output)) = (stream.try_clone(), stream.try_clone()) {
        // The program sees the end of the stream.
        let inbox = offices.usual.board.listen();
        let _ = reception::serve(offices, &inbox, input, output);
    }
    let _ = stream.shutdown(Shutdown::Both);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_of_same_user(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == own)
}

/// Other systems do not say it in a way that is open to safe code, and who is not known is not served.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_of_same_user(_stream: &UnixStream) -> bool {
    false
}
