//! Who besides the server can change what it relies on.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// What is wrong with a file or directory that somebody else could change, and what to do about it.
/// The administrator of the machine, who can change everything, is nobody else.
pub(crate) fn others_can_change(path: &Path, metadata: &Metadata) -> Option<String> {
    let user = rustix::process::geteuid().as_raw();
    let path = path.display();
    let owner = metadata.uid();
    if owner != user && owner != 0 {
        return Some(format!(
            "it belongs to the user with number {owner}, who can change it; run: chown {user} {path}"
        ));
    }
    let can_write = metadata.permissions().mode() & 0o022 != 0;
    can_write.then(|| format!("others can change it; run: chmod go-w {path}"))
}
