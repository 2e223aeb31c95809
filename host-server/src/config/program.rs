//! The program that codes are handed to: whether it can be run, and who can change it.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::Access;

use super::{ConfigError, ExecConfig, sandbox};
use crate::access;

impl ExecConfig {
    /// Whether its program can be given codes.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let path = &self.program;
        check(path)
            .map_err(|why| ConfigError(format!("otp.exec.program: {} {why}", path.display())))
    }
}

/// Says why `program` cannot be given the codes of others.
fn check(program: &Path) -> Result<(), String> {
    if !program.is_absolute() {
        return Err("has to be a whole path, which begins with /".into());
    }
    let metadata = fs::metadata(program).map_err(|error| match sandbox::hides(program) {
        Some(why) => format!("cannot be found: {why}; put it elsewhere, such as below /usr/local"),
        None => format!("cannot be found: {error}; look at the path"),
    })?;
    if !metadata.is_file() {
        return Err("is no plain file".into());
    }
    rustix::fs::access(program, Access::EXEC_OK)
        .map_err(|error| format!("cannot be run: {}; try chmod +x", io::Error::from(error)))?;
    if let Some(what) = access::others_can_change(program, &metadata) {
        return Err(format!("is not safe, since others could make it show them the codes: {what}"));
    }
    let above = access::directories_above(program).map_err(|error| error.to_string())?;
    let open = above.iter().find(|(_, directory)| {
        access::everybody_can_replace(directory) || access::has_another_owner(directory)
    });
    match open {
        Some((directory, _)) => Err(format!(
            "lies below {}, a directory that others can change, who would learn the codes: let it \
             belong to root or to the user of the server, chmod o-w it, or move the program",
            directory.display()
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_program_that_others_can_change_or_nobody_can_run_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("send");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        for (mode, why) in [
            (0o644, Some("cannot be run")),
            (0o757, Some("others can change it")),
            (0o775, Some("others can change it")),
            (0o755, None),
            (0o700, None),
        ] {
            fs::set_permissions(&program, Permissions::from_mode(mode)).unwrap();
            let verdict = check(&program);
            match why {
                None => assert_eq!(verdict, Ok(()), "{mode:o}"),
                Some(why) => assert!(verdict.unwrap_err().contains(why), "{mode:o}"),
            }
        }
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(check(&program).unwrap_err().contains("directory that others can change"));
        fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(check(&program), Ok(()));
        // Only the administrator can give files away.
        if chown(directory.path(), Some(12_345), None).is_ok() {
            assert!(check(&program).unwrap_err().contains("directory that others can change"));
            chown(&program, Some(12_345), None).unwrap();
            assert!(
                check(&program).unwrap_err().contains("it belongs to the user with number 12345")
            );
        }
    }

    #[test]
    fn a_program_that_others_can_replace_on_the_way_to_it_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (open, below) = (directory.path().join("open"), directory.path().join("open/below"));
        fs::create_dir_all(&below).unwrap();
        let program = below.join("send");
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let link = directory.path().join("link");
        symlink(&program, &link).unwrap();
        for path in [&program, &link] {
            fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
            assert_eq!(check(path), Ok(()));
            fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
            let refused = check(path).unwrap_err();
            assert!(refused.contains(open.to_str().unwrap()), "{refused}");
        }
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(check(&directory.path().join("absent")).unwrap_err().contains("No such file"));
        assert!(check(directory.path()).unwrap_err().contains("no plain file"));
        assert!(check(Path::new("/dev/null")).unwrap_err().contains("no plain file"));
        assert!(check(Path::new("sh")).unwrap_err().contains("whole path"));
        assert_eq!(check(Path::new("/bin/sh")), Ok(()));
    }
}
