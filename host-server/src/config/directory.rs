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
    let metadata = fs::metadata(path).map_err(|error| match hidden(path, is_service()) {
        Some(why) => why,
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
    access(path, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| closed(path, error, (metadata.uid(), geteuid().as_raw())))
}

/// Whether systemd has started this process itself, and not one that has started it.
fn is_service() -> bool {
    let started = std::env::var("SYSTEMD_EXEC_PID");
    started.is_ok_and(|pid| pid == std::process::id().to_string())
}

/// Why a service cannot see a directory that others see, if that is so for every service with our unit.
fn hidden(path: &Path, is_service: bool) -> Option<String> {
    let hides = |setting: &'static str, below: &[&str]| {
        below
            .iter()
            .find(|above| path.starts_with(above))
            .map(|above| (setting, (*above).to_owned()))
    };
    let (setting, above) = hides("ProtectHome=", &["/home", "/root", "/run/user"])
        .or_else(|| hides("PrivateTmp=", &["/tmp", "/var/tmp"]))
        .filter(|_| is_service)?;
    Some(format!(
        "systemd hides what is below {above} from the server ({setting} in its unit); choose a directory \
         elsewhere, such as /srv/backups. For that, run `systemctl edit waxwing` and add the two lines \
         `[Service]` and `ReadWritePaths=/srv/backups`"
    ))
}

/// The server, whose user is `own`, may not write to this directory of `owner`, and what to do about it.
fn closed(path: &Path, error: Errno, (owner, own): (u32, u32)) -> String {
    match error {
        Errno::ROFS => read_only(path),
        // It belongs to root then: no other owner may be somebody else.
        Errno::ACCESS if owner != own => {
            let path = path.display();
            format!(
                "the server may not write there; is its disk mounted? If it is, run: chown {own} {path}"
            )
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
    fn what_systemd_hides_from_services_is_told_to_services() {
        for (path, setting) in [
            ("/home/anna/backups", "/home from the server (ProtectHome="),
            ("/root/backups", "/root from the server (ProtectHome="),
            ("/tmp/backups", "/tmp from the server (PrivateTmp="),
            ("/var/tmp/x", "/var/tmp from the server (PrivateTmp="),
        ] {
            let said = hidden(Path::new(path), true).unwrap();
            assert!(said.contains(setting), "{said}");
            assert_eq!(hidden(Path::new(path), false), None);
        }
        for path in ["/srv/backups", "/homes/anna", "/var/lib/waxwing/backups"] {
            assert_eq!(hidden(Path::new(path), true), None);
        }
    }

    #[test]
    fn whoever_may_not_write_somewhere_reads_what_helps() {
        let path = Path::new("/srv/backups");
        for (error, owner, help) in [
            (Errno::ROFS, 7, "`ReadWritePaths=/srv/backups`"),
            (Errno::ACCESS, 0, "is its disk mounted? If it is, run: chown 7 /srv/backups"),
            (Errno::ACCESS, 7, "run: chmod u+rwx /srv/backups"),
        ] {
            let said = closed(path, error, (owner, 7));
            assert!(said.ends_with(help), "{said}");
        }
    }
}
