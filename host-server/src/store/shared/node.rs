//! The names of a data directory and of a process, among those of servers that share a database.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use getrandom::SysRng;
use rand_chacha::rand_core::TryRng;

use super::lease::{Instance, Node};

/// The name in this file; a new one if there is no file.
///
/// # Errors
/// When it cannot be read or made, or is no name.
pub fn node(path: &Path) -> io::Result<Node> {
    match fs::read_to_string(path) {
        Ok(text) => u128::from_str_radix(text.trim_end(), 16).map(Node).map_err(|_| {
            let why = format!("{} is no name of a server; remove it", path.display());
            io::Error::new(ErrorKind::InvalidData, why)
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(error) => Err(error),
    }
}

fn make(path: &Path) -> io::Result<Node> {
    let node = random()?;
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(file, "{node:032x}")?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(Node(node))
}

/// A name that no other process has had.
///
/// # Errors
/// When the system gives no random numbers.
pub fn new_instance() -> io::Result<Instance> {
    random().map(Instance)
}

fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_name_and_each_process_has_one_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node");
        let first = node(&path).unwrap();
        assert_eq!(node(&path).unwrap(), first);
        assert_ne!(node(&directory.path().join("other")).unwrap(), first);
        assert_ne!(new_instance().unwrap(), new_instance().unwrap());
        fs::write(&path, "waxwing").unwrap();
        let error = node(&path).unwrap_err().to_string();
        assert!(error.ends_with("is no name of a server; remove it"), "{error}");
    }
}
