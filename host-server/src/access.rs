//! Who besides the server can change what it relies on.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::geteuid;

/// What is wrong with a file or directory that somebody else could change, and what to do about it.
/// The administrator of the machine, who can change everything, is nobody else.
pub(crate) fn others_can_change(path: &Path, metadata: &Metadata) -> Option<String> {
    let path = path.display();
    if has_another_owner(metadata) {
        let (owner, user) = (metadata.uid(), geteuid().as_raw());
        // Where a server has a user of its own, root is who gives commands.
        let other_way = match user {
            0 => format!(" or do this as that user: sudo -u '#{owner}' waxwing-server ..."),
            _ => String::new(),
        };
        return Some(format!(
            "it belongs to the user with number {owner}, who can change it; run: chown {user} {path}\
             {other_way}"
        ));
    }
    let can_write = metadata.permissions().mode() & 0o022 != 0;
    if can_write && metadata.is_dir() && metadata.mode() & 0o1000 != 0 {
        // It is meant to be so, and many depend on it.
        return Some(format!(
            "others can change it, as it is meant for everybody: name a directory of its own in it, and \
             leave {path} as it is"
        ));
    }
    can_write.then(|| format!("others can change it; run: chmod go-w {path}"))
}

/// What to do about a data directory of another user. A server of that user may use it, and could not any more if
/// it belonged to somebody else; so this does not say how its owner is changed.
pub(crate) fn is_for_its_owner(metadata: &Metadata) -> Option<String> {
    has_another_owner(metadata).then(|| {
        let owner = metadata.uid();
        format!(
            "it belongs to the user with number {owner}: do this as that user, \
             sudo -u '#{owner}' waxwing-server ..."
        )
    })
}

/// What is wrong with something that could not be opened, made or written, and what to do. Where its permissions are in
/// the way, whose it is, who this process is, and the command that helps.
pub(crate) fn cannot_open(path: &Path, error: &io::Error) -> String {
    let directory = path.ancestors().find(|above| above.is_dir()).unwrap_or(path).display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {}
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            return format!(
                "{error}: make room there; `df {directory}` shows how full the disk is"
            );
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            return format!(
                "{error}: `findmnt -T {directory}` shows the disk, and the log of the system may say why it takes no \
                 writes; let it be mounted for writing"
            );
        }
        _ => return error.to_string(),
    }
    let is_by_mode = Errno::from_io_error(error) != Some(Errno::PERM);
    let closed = Closed::in_the_way_of(path);
    closed.map_or_else(
        || error.to_string(),
        |closed| format!("{error}: {}", closed.explain(is_by_mode)),
    )
}

/// What this process may not open, or in which it may not make a file.
#[derive(Debug)]
struct Closed {
    path: PathBuf,
    owner: u32,
    mode: u32,
    is_directory: bool,
    /// The owner of the directory in which it is.
    above: u32,
    /// The user that this process is.
    own: u32,
}

impl Closed {
    /// The first directory on the way that cannot be entered; else what is at `path`, or where it is to be.
    fn in_the_way_of(path: &Path) -> Option<Self> {
        let whole = std::path::absolute(path).ok()?;
        let mut way: Vec<_> = whole.ancestors().collect();
        way.reverse();
        let is_shut = |place: &&&Path| access(**place, Access::EXEC_OK) == Err(Errno::ACCESS);
        let directories = way.iter().take(way.len().saturating_sub(1));
        let shut = directories.clone().find(is_shut);
        let closed = shut.or_else(|| way.last().filter(|path| path.exists()));
        let closed = *closed.or_else(|| directories.clone().next_back())?;
        let metadata = fs::metadata(closed).ok()?;
        Some(Self {
            path: closed.to_owned(),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o777,
            is_directory: metadata.is_dir(),
            above: fs::metadata(closed.parent().unwrap_or(closed)).ok()?.uid(),
            own: geteuid().as_raw(),
        })
    }

    /// What is in the way. What the system does not permit, whatever the mode, is no matter of it.
    fn explain(&self, is_by_mode: bool) -> String {
        let Self { path, owner, mode, is_directory, above, own } = self;
        let path = path.display();
        let (rights, needed) = if *is_directory { ("rwx", 0o700) } else { ("rw", 0o600) };
        let allows = *own == 0 || (owner == own && mode & needed == needed);
        if allows || (owner == own && !is_by_mode) {
            return format!(
                "owner and mode of {path} allow it, so something else forbids it: `lsattr -d {path}` shows whether \
                 it has the attribute i or a; run as root: chattr -i -a {path}"
            );
        }
        if owner == own {
            return format!("its mode is {mode:o}; run: chmod u+{rights} {path}");
        }
        let whose = format!(
            "{path} belongs to the user with number {owner}, and this process is the user with number {own}"
        );
        // Whoever has given a command as root may have left something among what is the server's.
        if above == own || (*owner == 0 && !is_directory) {
            return format!("{whose}; run as root: chown {own} {path}");
        }
        let as_owner = format!(
            "{whose}; do this as the one to whom it belongs: sudo -u '#{owner}' waxwing-server ..."
        );
        // It may be root's because root has a server, or because it was made so by mistake.
        if *owner == 0 {
            return format!(
                "{as_owner}, or, if this is to be a server with user {own}, run as root: chown {own} {path}"
            );
        }
        as_owner
    }
}

/// Whether this belongs neither to the user of the server nor to the administrator.
pub(crate) fn has_another_owner(metadata: &Metadata) -> bool {
    let owner = metadata.uid();
    owner != 0 && owner != geteuid().as_raw()
}

/// The directories above `path`, and above what it leads to when there are links on the way. Whoever
/// can change one of them can put something else in the place of `path`.
pub(crate) fn directories_above(path: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let places = [std::path::absolute(path)?, fs::canonicalize(path)?];
    let above = places.iter().flat_map(|place| place.ancestors().skip(1));
    above.map(|directory| Ok((directory.to_owned(), fs::metadata(directory)?))).collect()
}

/// A directory above `path` in which everybody on the machine can put something else in its place.
pub(crate) fn replaceable_in(path: &Path) -> io::Result<Option<PathBuf>> {
    let above = directories_above(path)?;
    let open = above.into_iter().find(|(_, directory)| everybody_can_replace(directory));
    Ok(open.map(|(directory, _)| directory))
}

/// In a sticky directory only the owner of a file can put another in its place.
pub(crate) fn everybody_can_replace(directory: &Metadata) -> bool {
    directory.mode() & 0o1002 == 0o002
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(owner: u32, above: u32, own: u32, mode: u32) -> Closed {
        let path = PathBuf::from("/data/lock");
        Closed { path, owner, mode, is_directory: false, above, own }
    }

    #[test]
    fn what_another_user_has_left_among_the_own_is_taken_back_and_else_the_other_does_it() {
        let left = closed(0, 7, 7, 0o600).explain(true);
        assert_eq!(
            left,
            "/data/lock belongs to the user with number 0, and this process is the user with number 7; run as \
             root: chown 7 /data/lock"
        );
        let of_root = closed(0, 0, 7, 0o600).explain(true);
        assert!(of_root.ends_with("run as root: chown 7 /data/lock"), "{of_root}");
        let place = Closed { is_directory: true, ..closed(0, 0, 7, 0o700) }.explain(true);
        let both = "sudo -u '#0' waxwing-server ..., or, if this is to be a server with user 7, run as root: chown 7 /";
        assert!(place.contains(both), "{place}");
        let of_another = closed(8, 8, 7, 0o600).explain(true);
        assert!(of_another.ends_with("sudo -u '#8' waxwing-server ..."), "{of_another}");
        let own = closed(7, 0, 7, 0o400).explain(true);
        assert_eq!(own, "its mode is 400; run: chmod u+rw /data/lock");
    }

    #[test]
    fn what_owner_and_mode_allow_is_forbidden_by_an_attribute() {
        for (found, is_by_mode) in [
            (closed(7, 7, 7, 0o600), true),
            (closed(7, 7, 7, 0o400), false),
            // To root, owner and mode do not matter.
            (closed(7, 7, 0, 0o000), false),
        ] {
            let said = found.explain(is_by_mode);
            assert!(said.contains("`lsattr -d /data/lock`"), "{said}");
            assert!(!said.contains("chmod") && !said.contains("chown"), "{said}");
        }
        let directory = Closed { is_directory: true, ..closed(7, 7, 7, 0o600) }.explain(true);
        assert!(directory.ends_with("chmod u+rwx /data/lock"), "{directory}");
    }

    #[test]
    fn what_is_in_the_way_is_the_file_or_where_it_is_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let whole = fs::canonicalize(directory.path()).unwrap();
        let file = whole.join("file");
        let in_the_way = |path: &Path| Closed::in_the_way_of(path).unwrap().path;
        assert_eq!(in_the_way(&file), whole);
        fs::write(&file, "").unwrap();
        assert_eq!(in_the_way(&file), file);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told_with_what_helps() {
        let said = |kind: io::ErrorKind| cannot_open(Path::new("/proc/file"), &kind.into());
        for full in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert!(said(full).contains("make room there"), "{}", said(full));
            assert!(said(full).contains("`df /proc`"), "{}", said(full));
        }
        let read_only = said(io::ErrorKind::ReadOnlyFilesystem);
        assert!(read_only.contains("`findmnt -T /proc`"), "{read_only}");
    }

    #[test]
    fn a_directory_that_is_shut_is_in_the_way_of_what_is_in_it() {
        // Root may enter everything.
        if geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let shut = fs::canonicalize(directory.path()).unwrap().join("shut");
        fs::create_dir(&shut).unwrap();
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
        let said = cannot_open(&shut.join("file"), &io::ErrorKind::PermissionDenied.into());
        assert!(said.ends_with(&format!("chmod u+rwx {}", shut.display())), "{said}");
    }
}
