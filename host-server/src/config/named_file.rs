//! Files that an operator names: the configuration itself, and what it names.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::sandbox;
use crate::access;

/// The content of a plain file of at most `largest` bytes. `wrong` says what is wrong with those who can
/// read or change it. Nobody may be able to put another file in its place.
pub(super) fn read(
    path: &Path,
    largest: usize,
    wrong: impl FnOnce(&Metadata) -> Option<String>,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe that nobody writes to must not be waited for.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(|error| match sandbox::hides(path) {
            Some(why) => io::Error::new(error.kind(), format!("{error}: {why}; put it elsewhere")),
            None => error,
        })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    if let Some(what) = wrong(&metadata) {
        return Err(io::Error::other(what));
    }
    if let Some(open) = access::replaceable_in(path)? {
        let open = open.display();
        let what = format!("everybody can put another in its place; run: chmod o-w {open}");
        return Err(io::Error::other(what));
    }
    // Room for all of it at once: a vector that grows leaves copies behind.
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(largest);
    let mut content = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(largest as u64 + 1).read_to_end(&mut content)?;
    if content.len() > largest {
        return Err(io::Error::other(format!(
            "it is larger than {}, which is too much",
            in_words(largest)
        )));
    }
    Ok(content)
}

/// `1 MiB`.
fn in_words(bytes: usize) -> String {
    let bytes = bytes as u64;
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}

/// The same, as text.
pub(super) fn text(
    path: &Path,
    largest: usize,
    wrong: impl FnOnce(&Metadata) -> Option<String>,
) -> io::Result<String> {
    let content = read(path, largest, wrong)?;
    let text =
        std::str::from_utf8(&content).map_err(|_| io::Error::other("it is no UTF-8 text"))?;
    Ok(text.to_owned())
}
