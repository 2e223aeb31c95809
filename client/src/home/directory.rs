//! The directory of a home: whose it is, and who else may look.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::HomeError;

/// Makes the directory, and those above it, if it is not there.
pub(super) fn ensure(dir: &Path) -> Result<(), HomeError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        // Something else is there, which the check below names.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made.map_err(|source| io(dir, source))?,
    }
    check(dir)
}

/// Refuses a directory that somebody else can read or change.
pub(super) fn check(dir: &Path) -> Result<(), HomeError> {
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(HomeError::Missing { dir: dir.to_owned() });
        }
        Err(source) => return Err(io(dir, source)),
    };
    if !metadata.is_dir() {
        return Err(HomeError::NoDirectory { path: dir.to_owned() });
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(HomeError::ForeignOwner { dir: dir.to_owned(), owner: metadata.uid() });
    }
    match metadata.mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(HomeError::TooWide { dir: dir.to_owned(), mode }),
        _ => Ok(()),
    }
}

/// Where a home is unless the person says otherwise, given the two variables that decide.
pub(super) fn default_from(
    xdg_data_home: Option<PathBuf>,
    home: Option<PathBuf>,
) -> Result<PathBuf, HomeError> {
    // The XDG specification has relative paths ignored.
    let named = xdg_data_home.filter(|path| path.is_absolute());
    let usual =
        || home.filter(|path| !path.as_os_str().is_empty()).map(|home| home.join(".local/share"));
    let data = named.or_else(usual).ok_or(HomeError::NoDefault)?;
    Ok(data.join("waxwing"))
}

pub(super) fn io(path: &Path, source: io::Error) -> HomeError {
    HomeError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_follows_xdg_then_home() {
        let path = |text: &str| Some(PathBuf::from(text));
        let cases = [
            (path("/data"), path("/home/a"), "/data/waxwing"),
            (None, path("/home/a"), "/home/a/.local/share/waxwing"),
            (path("relative"), path("/home/a"), "/home/a/.local/share/waxwing"),
            (path(""), path("/home/a"), "/home/a/.local/share/waxwing"),
        ];
        for (xdg, home, expected) in cases {
            assert_eq!(default_from(xdg, home).unwrap(), Path::new(expected));
        }
        assert!(matches!(default_from(None, None), Err(HomeError::NoDefault)));
        assert!(matches!(default_from(None, path("")), Err(HomeError::NoDefault)));
    }
}
