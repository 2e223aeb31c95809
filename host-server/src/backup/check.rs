//! Whether a backup is what was written.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use super::manifest::{Content, Manifest};
use super::{failure, unusable};
use crate::access;
use crate::exit::Failure;
use crate::store::{self, Contents, Interrupt};

/// Reads the backup in `file` from end to end, and returns what is in it. Nothing is changed.
///
/// # Errors
/// When it is not what was written, its manifest is missing or another's, or it is of a later version.
pub fn check(file: &Path, interrupt: &Interrupt) -> Result<Manifest, Failure> {
    let mut opened = open(file)?;
    let manifest = Manifest::read(file)?;
    let content = Content::read(&mut opened, |_| Ok(())).map_err(|error| failure(file, error))?;
    check_content(file, &content, &manifest)?;
    check_contents((file, file), &manifest, interrupt)?;
    Ok(manifest)
}

/// The file of a backup, to read.
pub(super) fn open(file: &Path) -> Result<File, Failure> {
    let metadata = fs::metadata(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => unusable(
            file,
            "there is no such backup; `waxwing-server backup list` shows those that are",
        ),
        _ => unusable(file, access::cannot_open(file, &error)),
    })?;
    if !metadata.is_file() {
        return Err(unusable(file, "it is no file"));
    }
    File::open(file).map_err(|error| unusable(file, access::cannot_open(file, &error)))
}

/// Whether these are the bytes that the manifest means.
pub(super) fn check_content(
    file: &Path,
    content: &Content,
    manifest: &Manifest,
) -> Result<(), Failure> {
    if content.fits(manifest) {
        return Ok(());
    }
    let what = if content.bytes == manifest.bytes {
        "it is damaged: its bytes are not those that were written".to_owned()
    } else {
        format!("it has {} bytes, and {} were written", content.bytes, manifest.bytes)
    };
    let why = format!(
        "{what}. Or {} belongs to another backup. Use another backup, or another copy of this one",
        super::manifest_of(file).display()
    );
    Err(failure(file, why))
}

/// What is in `copy`, which is the backup in `file` or a copy of it: what the manifest says, and all of it
/// makes sense.
pub(super) fn check_contents(
    (copy, file): (&Path, &Path),
    manifest: &Manifest,
    interrupt: &Interrupt,
) -> Result<Contents, Failure> {
    let contents = store::examine(copy, file, interrupt)?;
    if manifest.fits(&contents) {
        return Ok(contents);
    }
    let why = "it says something else than what is in the backup: it belongs to another one, or was \
               changed";
    Err(failure(&super::manifest_of(file), why))
}
