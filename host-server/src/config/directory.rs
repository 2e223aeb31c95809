//! A directory that the server writes to.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::sandbox;
use crate::access::others_can_change;

/// Whether the server can write files there, and nobody else can put others in their place.
pub(crate) fn check(path: &Path) -> Result<(), String> {
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
        None => error.to_string(),
    })?;
    if !metadata.is_dir() {
        return Err("is no directory".into());
    }
    if let Some(why) = others_can_change(path, &metadata) {
        return Err(why);
    }
    access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        closed(path, error, (metadata.uid(), geteuid().as_raw()), is_mounted(path, &metadata))
    })
}

/// Whether a disk is mounted at this directory, so that all of it is for what the operator has named.
fn is_mounted(path: &Path, metadata: &Metadata) -> bool {
    fs::metadata(path.join("..")).is_ok_and(|above| above.dev() != metadata.dev())
}

/// The server, whose user is `own`, may not write to this directory of `owner`, and what to do about it. One
/// of root that is no disk of its own may be one of the system, such as /var/log, and stays root's.
fn closed(path: &Path, error: Errno, (owner, own): (u32, u32), is_mounted: bool) -> String {
    let shown = path.display();
    match error {
        Errno::ROFS => read_only(path),
        // It belongs to root then: no other owner may be somebody else.
        Errno::ACCESS if owner != own && is_mounted => {
            format!(
                "the server may not write to the disk that is mounted there; run: chown {own} {shown}"
            )
        }
        Errno::ACCESS if owner != own => {
            let below = path.join("waxwing");
            let below = below.display();
            format!(
                "the server may not write there. If a disk belongs there, mount it; else make a directory for \
                 the server alone (install -d -o {own} -m 700 {below}), and name that one"
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
    use super::*;

    #[test]
    fn whoever_may_not_write_somewhere_reads_what_helps() {
        let path = Path::new("/srv/backups");
        for (error, owner, is_mounted, help) in [
            (Errno::ROFS, 7, true, "`ReadWritePaths=-/srv/backups`"),
            (Errno::ACCESS, 0, true, "the disk that is mounted there; run: chown 7 /srv/backups"),
            (
                Errno::ACCESS,
                0,
                false,
                "(install -d -o 7 -m 700 /srv/backups/waxwing), and name that one",
            ),
            (Errno::ACCESS, 7, false, "run: chmod u+rwx /srv/backups"),
        ] {
            let said = closed(path, error, (owner, 7), is_mounted);
            assert!(said.ends_with(help), "{said}");
        }
    }

    #[test]
    fn a_directory_of_the_system_is_no_disk_of_its_own() {
        let is_mounted = |path: &str| is_mounted(Path::new(path), &fs::metadata(path).unwrap());
        assert!(!is_mounted("/etc"));
        assert!(is_mounted("/proc"));
    }
}
