//! A directory that the server writes to.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::access::others_can_change;

/// Whether the server can write files there, and nobody else can put others in their place.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!(
            "there is no such directory; make it (install -d -o {} -m 700 {}), or mount its disk",
            geteuid().as_raw(),
            path.display()
        ),
        _ => error.to_string(),
    })?;
    if !metadata.is_dir() {
        return Err("is no directory".into());
    }
    if let Some(why) = others_can_change(path, &metadata) {
        return Err(why);
    }
    access(path, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| closed(path, error, (metadata.uid(), geteuid().as_raw())))
}

/// The server, whose user is `own`, may not write to this directory of `owner`, and what to do about it.
fn closed(path: &Path, error: Errno, (owner, own): (u32, u32)) -> String {
    match error {
        Errno::ROFS => read_only(path),
        // It belongs to root then: no other owner may be somebody else.
        Errno::ACCESS if owner != own => {
            format!("the server may not write there; run: chown {own} {}", path.display())
        }
        _ => {
            format!("the server may not write there: {error}; run: chmod u+rwx {}", path.display())
        }
    }
}

/// Nobody may write to this directory, and what to do about it.
fn read_only(path: &Path) -> String {
    format!(
        "the server may not write there: its disk is mounted to be read only, or systemd allows it no more. \
         For systemd, run `systemctl edit waxwing` and add the two lines `[Service]` and `ReadWritePaths={}`",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_write_somewhere_reads_what_helps() {
        let path = Path::new("/srv/backups");
        for (error, owner, help) in [
            (Errno::ROFS, 7, "`ReadWritePaths=/srv/backups`"),
            (Errno::ACCESS, 0, "run: chown 7 /srv/backups"),
            (Errno::ACCESS, 7, "run: chmod u+rwx /srv/backups"),
        ] {
            let said = closed(path, error, (owner, 7));
            assert!(said.ends_with(help), "{said}");
        }
    }
}
