//! Deleting an old backup so that letters do not have to wait for it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::manifest::manifest_of;
use super::place::beside;

/// So much is freed at a time. Whoever syncs a file waits until the file system has freed what another one
/// gives back, and that takes a fifth of a second and more for a large backup.
const STEP: u64 = 16 << 20;

/// Deletes a backup and its manifest. If it ends before its time, what is left has the name of a draft,
/// which is deleted before the next backup is made.
///
/// # Errors
/// When that cannot be done.
pub(super) fn delete(file: &Path) -> io::Result<()> {
    let draft = beside(file, ".new");
    fs::rename(file, &draft)?;
    fs::remove_file(manifest_of(file))?;
    shrink(&draft)?;
    fs::remove_file(&draft)
}

/// Gives back the space of a file bit by bit, if nobody has it under another name.
fn shrink(file: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(file)?;
    if !found.is_file() || found.nlink() > 1 {
        return Ok(());
    }
    let open = OpenOptions::new().write(true).open(file)?;
    let mut left = found.len();
    while left > STEP {
        left -= STEP;
        open.set_len(left)?;
        open.sync_data()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_has_another_name_stays_whole_there() {
        let directory = tempfile::tempdir().unwrap();
        let [file, copy, other] =
            ["old.db", "copy.db", "other.db"].map(|name| directory.path().join(name));
        let size = 2 * STEP + 1;
        for file in [&file, &other] {
            fs::File::create_new(file).unwrap().set_len(size).unwrap();
            fs::write(manifest_of(file), "{}").unwrap();
        }
        fs::hard_link(&file, &copy).unwrap();
        delete(&file).unwrap();
        delete(&other).unwrap();
        let names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["copy.db"]);
        assert_eq!(fs::metadata(copy).unwrap().len(), size);
    }

    #[test]
    fn space_is_given_back_in_steps_until_little_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("old.db.new");
        fs::File::create_new(&file).unwrap().set_len(3 * STEP + 7).unwrap();
        shrink(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), 7);
    }
}
