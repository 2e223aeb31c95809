//! Who besides the server can change what it relies on.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

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

/// What is wrong with something that could not be opened, and what to do if it is closed to this user.
pub(crate) fn cannot_open(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error.to_string();
    }
    // Of what is behind a closed directory, that directory is all that can be seen.
    let owner = path.ancestors().find_map(|seen| fs::metadata(seen).ok()).map(|seen| seen.uid());
    match owner.filter(|owner| *owner != geteuid().as_raw()) {
        Some(owner) => format!(
            "it is closed to this user: do this as the user to whom it belongs, \
             sudo -u '#{owner}' waxwing-server ..."
        ),
        None => format!("{error}; run: chmod u+rX {}", path.display()),
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
