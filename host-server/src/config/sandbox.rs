//! What systemd hides from a service with the unit of the package.

use std::path::Path;

/// Why this process cannot see something that others see, if systemd has started it itself.
pub(super) fn hides(path: &Path) -> Option<String> {
    is_service().then(|| hidden(path)).flatten()
}

/// Whether systemd has started this process itself, and not one that has started it.
fn is_service() -> bool {
    let started = std::env::var("SYSTEMD_EXEC_PID");
    started.is_ok_and(|pid| pid == std::process::id().to_string())
}

/// The same for every service.
fn hidden(path: &Path) -> Option<String> {
    let below = |setting: &'static str, hidden: &[&'static str]| {
        let above = hidden.iter().find(|above| path.starts_with(above));
        above.map(|above| (setting, *above))
    };
    let (setting, above) = below("ProtectHome=", &["/home", "/root", "/run/user"])
        .or_else(|| below("PrivateTmp=", &["/tmp", "/var/tmp"]))?;
    Some(format!("systemd hides what is below {above} from the server ({setting} in its unit)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_hides_from_services_is_named_with_its_setting() {
        for (path, why) in [
            ("/home/anna/backups", "/home from the server (ProtectHome="),
            ("/root/backups", "/root from the server (ProtectHome="),
            ("/tmp/send-code", "/tmp from the server (PrivateTmp="),
            ("/var/tmp/x", "/var/tmp from the server (PrivateTmp="),
        ] {
            let said = hidden(Path::new(path)).unwrap();
            assert!(said.contains(why), "{said}");
        }
        for path in ["/srv/backups", "/homes/anna", "/var/lib/waxwing/backups"] {
            assert_eq!(hidden(Path::new(path)), None);
        }
        // No test is a service.
        assert_eq!(hides(Path::new("/tmp/send-code")), None);
    }
}
