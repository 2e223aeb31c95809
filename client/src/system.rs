//! Why the system refuses something, in words that say what to do about it.

use std::env;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Why a file or directory cannot be used, for a sentence that has named it.
pub(crate) fn of_file(error: &io::Error) -> String {
    let words = match error.kind() {
        ErrorKind::NotFound => {
            "there is nothing at this path; look how it is written, and whether its directory is there"
        }
        ErrorKind::PermissionDenied => {
            "its permissions, or those of a directory above it, forbid that; `ls -ld` shows them"
        }
        ErrorKind::IsADirectory => "it is a directory; name a file",
        ErrorKind::NotADirectory => "a part of the path is no directory; look how it is written",
        ErrorKind::InvalidData => "it is not text in UTF-8; is it the right file?",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "its disk is full; make room on it",
        ErrorKind::ReadOnlyFilesystem => "it is on a read-only file system; name another place",
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// The file of a program. A name without a folder is looked for as the system does it.
pub(crate) fn find_program(program: &OsStr) -> Option<PathBuf> {
    let is_there = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(program)).filter(|path| is_there(path));
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| is_there(path))
}

/// Why a program cannot be started, for a sentence that has named it.
pub(crate) fn of_program(program: &OsStr, error: &io::Error) -> String {
    let words = match error.kind() {
        // The system says the same of the program that is to run a script.
        ErrorKind::NotFound if find_program(program).is_some() => {
            "it is there, and the program that is to run it is not: the first line of a script names that, such \
             as #!/bin/sh"
        }
        ErrorKind::NotFound => "there is no such program; name one in PATH, or the path of a file",
        ErrorKind::PermissionDenied => "it may not be run; `chmod +x` lets a file be run",
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            "it is no program; a script needs a first line such as #!/bin/sh"
        }
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// Why this machine has no room for something that every program needs.
pub(crate) fn of_machine(error: &io::Error) -> String {
    format!(
        "{error}; try again, and look with `ulimit -a` how many processes, files and how much memory this \
         user may have"
    )
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_people_meet_has_an_advice_and_no_number_of_the_system() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, b"\xff").unwrap();
        for (error, help) in [
            (fs::read(root.path().join("none")).unwrap_err(), "look how it is written"),
            (fs::read(file.join("below")).unwrap_err(), "no directory"),
            (fs::read(root.path()).unwrap_err(), "name a file"),
            (fs::read_to_string(&file).unwrap_err(), "not text"),
            (io::Error::from(ErrorKind::PermissionDenied), "`ls -ld`"),
            (io::Error::from_raw_os_error(28), "make room"),
        ] {
            let words = of_file(&error);
            assert!(words.contains(help) && !words.contains("os error"), "{words}");
        }
        let file = root.path().join("script");
        drop(File::create(&file).unwrap());
        let orphan = root.path().join("orphan");
        fs::write(&orphan, "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(&orphan, Permissions::from_mode(0o700)).unwrap();
        for (program, help) in [
            (root.path().join("none"), "no such program"),
            (file, "chmod +x"),
            (orphan, "it is there, and the program that is to run it is not"),
        ] {
            let words =
                of_program(program.as_os_str(), &Command::new(&program).spawn().unwrap_err());
            assert!(words.contains(help) && !words.contains("os error"), "{words}");
        }
    }
}
