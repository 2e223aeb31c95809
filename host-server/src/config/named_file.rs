//! Files that an operator names: the configuration itself, and what it names.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::{getegid, geteuid};
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
            None if error.kind() == io::ErrorKind::PermissionDenied => {
                io::Error::new(error.kind(), not_permitted(path, &error))
            }
            None if error.kind() == io::ErrorKind::NotFound => io::Error::new(
                error.kind(),
                "there is no such file; make it, mount its disk, or name another one",
            ),
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

/// What to do about a file that this process may not read. One of root's stays that, so that the server cannot
/// change it.
fn not_permitted(path: &Path, error: &io::Error) -> String {
    let own = geteuid();
    match fs::metadata(path) {
        Ok(metadata) if metadata.uid() == 0 && !own.is_root() => {
            let (own, path) = (own.as_raw(), path.display());
            let group = getegid().as_raw();
            format!(
                "{error}: it belongs to root, and this process is the user with number {own}; run as root: \
                 chgrp {group} {path}; chmod 640 {path}"
            )
        }
        _ => access::cannot_open(path, error),
    }
}

/// What is in a file that nobody but the server can read, without the end of its line.
pub(super) fn secret(path: &Path, largest: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut secret = read(path, largest, |metadata| others_can_read(path, metadata))?;
    while secret.last().is_some_and(u8::is_ascii_whitespace) {
        secret.pop();
    }
    Ok(secret)
}

/// A file of root's may be read by a group, as packages make them; one of the server's own by nobody else.
fn others_can_read(path: &Path, metadata: &Metadata) -> Option<String> {
    let of_another = metadata.uid() != geteuid().as_raw();
    let too_open = if of_another { 0o007 } else { 0o077 };
    access::others_can_change(path, metadata).or_else(|| {
        let readable = metadata.mode() & too_open != 0;
        readable.then(|| {
            format!("others can read it; run: chmod {} {}", mode(of_another), path.display())
        })
    })
}

const fn mode(of_another: bool) -> &'static str {
    if of_another { "640" } else { "600" }
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
