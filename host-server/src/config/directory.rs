//! A directory that the server writes to.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::sandbox;
use crate::access::{cannot_open, others_can_change};

/// How long a disk may take to say how a directory is. One that is behind a network may never do so.
const PATIENCE: Duration = Duration::from_secs(5);

/// The directories that a thread is looking at. One that hangs is looked at by one thread, however often somebody
/// asks for it.
static LOOKED_AT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static SEEN: Condvar = Condvar::new();

/// Whether the server can write files there, and nobody else can put others in their place. A directory whose
/// disk does not answer cannot be used.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    check_within(PATIENCE, path, look)
}

/// Whether its disk answers, whatever it says.
pub(crate) fn check_answers(path: &Path) -> Result<(), String> {
    check_within(PATIENCE, path, |path| {
        let _ = fs::metadata(path);
        Ok(())
    })
}

fn check_within(
    patience: Duration,
    path: &Path,
    look: impl FnOnce(&Path) -> Result<(), String> + Send + 'static,
) -> Result<(), String> {
    let is_looked_at = |looked_at: &mut BTreeSet<PathBuf>| looked_at.contains(path);
    let waited = SEEN.wait_timeout_while(looked_at(), patience, is_looked_at);
    let (mut looked_at_now, waited) = waited.unwrap_or_else(PoisonError::into_inner);
    if waited.timed_out() {
        return Err(silent(patience));
    }
    looked_at_now.insert(path.to_owned());
    drop(looked_at_now);
    let (tell, seen) = channel();
    let place = path.to_owned();
    let thread = Builder::new().name("waxwing-look".into()).spawn(move || {
        let found = look(&place);
        end_look(&place);
        // Whoever asked may wait no more.
        let _ = tell.send(found);
    });
    if let Err(error) = thread {
        end_look(path);
        return Err(error.to_string());
    }
    seen.recv_timeout(patience).unwrap_or_else(|_| Err(silent(patience)))
}

fn looked_at() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn end_look(path: &Path) {
    looked_at().remove(path);
    SEEN.notify_all();
}

fn silent(patience: Duration) -> String {
    format!(
        "its disk has not answered within {patience:?}: if it is that of another machine, see whether that one \
         can be reached, and mount it again",
    )
}

/// What is there, if that is a directory.
pub(crate) fn find(path: &Path) -> Result<Metadata, String> {
    let metadata = fs::metadata(path).map_err(|error| match sandbox::hides(path) {
        Some(why) => format!(
            "{why}; choose a directory elsewhere, such as /srv/backups. For that, run `systemctl edit waxwing` \
             and add the two lines `[Service]` and `ReadWritePaths=-/srv/backups`"
        ),
        None if error.kind() == ErrorKind::NotFound => format!(
            "there is no such directory; make it (install -d -o {} -m 700 {}), or mount its disk",
            geteuid().as_raw(),
            path.display()
        ),
        None if error.kind() == ErrorKind::NotADirectory => {
            "something above it in its path is a file and no directory: name another directory".into()
        }
        None => cannot_open(path, &error),
    })?;
    if !metadata.is_dir() {
        return Err("it is a file and no directory: name a directory".into());
    }
    Ok(metadata)
}

fn look(path: &Path) -> Result<(), String> {
    let metadata = find(path)?;
    if let Some(why) = others_can_change(path, &metadata) {
        return Err(why);
    }
    access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let own = geteuid().as_raw();
        let is_for_the_server = is_mounted(path, &metadata) || is_below_own(path, own);
        let owners = (metadata.uid(), own);
        closed(path, error, owners, is_for_the_server, &place_below(path, &metadata))
    })
}

/// A directory for the server alone, below this one if its user can get there, and nobody else has it.
fn place_below(path: &Path, metadata: &Metadata) -> PathBuf {
    let below = path.join("waxwing");
    let is_open = metadata.mode() & 0o001 != 0;
    if is_open && !path.starts_with("/etc") && !below.exists() {
        below
    } else {
        "/srv/waxwing".into()
    }
}

/// Whether this directory is in one of the server, so that nobody else has a use for it.
fn is_below_own(path: &Path, own: u32) -> bool {
    above(path).is_ok_and(|above| above.uid() == own)
}

/// Whether a disk is mounted at this directory, so that all of it is for what the operator has named.
fn is_mounted(path: &Path, metadata: &Metadata) -> bool {
    above(path).is_ok_and(|above| above.dev() != metadata.dev())
}

/// The directory above one that may be closed.
fn above(path: &Path) -> io::Result<Metadata> {
    let whole = fs::canonicalize(path)?;
    fs::metadata(whole.parent().unwrap_or(&whole))
}

/// The server, whose user is `own`, may not write to this directory of `owner`, and what to do about it. One
/// of root that is neither a disk of its own nor in a directory of the server may be one of the system, such as
/// /var/log, and stays root's.
fn closed(
    path: &Path,
    error: Errno,
    (owner, own): (u32, u32),
    is_for_the_server: bool,
    below: &Path,
) -> String {
    let shown = path.display();
    let whose = format!(
        "the server may not write there: it belongs to the user with number {owner}, and the server is the user \
         with number {own}"
    );
    match error {
        Errno::ROFS => read_only(path),
        // It belongs to root then: no other owner may be somebody else.
        Errno::ACCESS if owner != own && is_for_the_server => {
            format!("{whose}; run as root: chown {own} {shown}")
        }
        Errno::ACCESS if owner != own => {
            let below = below.display();
            format!(
                "{whose}. If a disk belongs there, mount it; else make a directory for the server alone (install -d \
                 -o {own} -m 700 {below}), and name that one"
            )
        }
        _ => format!("the server may not write there: {error}; run: chmod u+rwx {shown}"),
    }
}

/// Nobody may write to this directory, and what to do about it.
fn read_only(path: &Path) -> String {
    format!(
        "the server may not write there: its disk is mounted to be read only, or systemd allows it no more. \
         For systemd, run `systemctl edit waxwing` and add the two lines `[Service]` and `ReadWritePaths=-{}`",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_is_waited_for_a_while_and_by_one_thread() {
        let path = Path::new("/a/disk/that/hangs");
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(60));
        let (answer, hangs) = channel::<()>();
        let hang = move |_: &Path| {
            let _ = hangs.recv();
            Ok(())
        };
        let silent = check_within(short, path, hang).unwrap_err();
        assert!(silent.contains("has not answered within 1ms"), "{silent}");
        // Nobody looks again as long as it hangs, and other disks are none of its business.
        let again = check_within(short, path, |_| panic!("a second thread looks")).unwrap_err();
        assert_eq!(again, silent);
        assert_eq!(check_within(long, Path::new("/another"), |_| Ok(())), Ok(()));
        answer.send(()).unwrap();
        assert_eq!(check_within(long, path, |_| Err("full".into())), Err("full".into()));
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_called_one() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("backups");
        fs::write(&file, "").unwrap();
        let said = check(&file).unwrap_err();
        assert_eq!(said, "it is a file and no directory: name a directory");
        let below = check(&file.join("below")).unwrap_err();
        assert!(below.contains("something above it in its path is a file"), "{below}");
    }

    #[test]
    fn whoever_may_not_write_somewhere_reads_what_helps() {
        let path = Path::new("/srv/backups");
        for (error, owner, is_for_the_server, help) in [
            (Errno::ROFS, 7, true, "`ReadWritePaths=-/srv/backups`"),
            (
                Errno::ACCESS,
                0,
                true,
                "number 0, and the server is the user with number 7; run as root: chown 7 /srv/backups",
            ),
            (
                Errno::ACCESS,
                0,
                false,
                "(install -d -o 7 -m 700 /srv/backups/waxwing), and name that one",
            ),
            (Errno::ACCESS, 7, false, "run: chmod u+rwx /srv/backups"),
        ] {
            let said = closed(path, error, (owner, 7), is_for_the_server, &path.join("waxwing"));
            assert!(said.ends_with(help), "{said}");
        }
    }

    #[test]
    fn nobody_is_told_to_give_away_what_is_there_or_what_the_server_cannot_reach() {
        let place = |path: &str| place_below(Path::new(path), &fs::metadata(path).unwrap());
        assert_eq!(place("/etc"), Path::new("/srv/waxwing"));
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_str().unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(place(path), Path::new("/srv/waxwing"), "only its owner can enter it");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(place(path), root.path().join("waxwing"));
        fs::create_dir(root.path().join("waxwing")).unwrap();
        assert_eq!(place(path), Path::new("/srv/waxwing"), "it is there already");
    }

    #[test]
    fn a_directory_in_one_of_the_server_is_for_the_server() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("backups");
        fs::create_dir(&below).unwrap();
        let own = fs::metadata(root.path()).unwrap().uid();
        assert!(is_below_own(&below, own) && !is_below_own(&below, own + 1));
    }

    #[test]
    fn a_directory_of_the_system_is_no_disk_of_its_own() {
        let is_mounted = |path: &str| is_mounted(Path::new(path), &fs::metadata(path).unwrap());
        assert!(!is_mounted("/etc"));
        assert!(is_mounted("/proc"));
    }
}
