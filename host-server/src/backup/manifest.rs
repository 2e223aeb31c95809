//! What stands beside a backup, in `FILE.json`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use waxwing_core::crypto::{Digest, Hasher, Provider};
use waxwing_core::time::{Timestamp, UnixTime};

use super::failure;
use super::place::{beside, sync_directory};
use crate::access;
use crate::backend::Backend;
use crate::clock;
use crate::exit::Failure;
use crate::key::{self, Fingerprints};
use crate::store::Contents;

/// What follows the name of a backup in that of its manifest.
pub(super) const MANIFEST: &str = ".json";
/// Of this form.
const FORMAT: u32 = 1;
/// Of a manifest, in bytes. It is much shorter.
const LONGEST: u64 = 64 << 10;
/// What is read of a file at once.
const CHUNK: usize = 1 << 20;

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Manifest {
    format: u32,
    /// When the copy was begun, in UTC.
    pub made: String,
    /// Whether the clock has made it. Then it is deleted when there are newer ones enough.
    #[serde(default)]
    pub scheduled: bool,
    /// The version of the server that has made it.
    pub version: String,
    /// The version of the form of the storage.
    pub schema: i64,
    /// The fingerprint of the server's key; nothing for a storage that belongs to none yet.
    pub key: Option<String>,
    /// How many users are in it, without accounts of the server itself.
    pub users: u64,
    /// How many accounts of the canary are in it. Older manifests count them as users.
    #[serde(default)]
    pub canary_accounts: u64,
    /// How many letters wait for them.
    pub letters: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Manifest {
    pub(super) fn new(
        (made, scheduled): (UnixTime, bool),
        contents: &Contents,
        content: &Content,
    ) -> Self {
        let Contents { schema, key, users, own_accounts, letters, free_ids: _ } = contents;
        Self {
            format: FORMAT,
            made: clock::written(made),
            scheduled,
            version: env!("CARGO_PKG_VERSION").into(),
            schema: *schema,
            key: key.map(hexadecimal),
            users: *users,
            canary_accounts: *own_accounts,
            letters: *letters,
            bytes: content.bytes,
            sha256: hexadecimal(content.digest),
        }
    }

    /// When the copy was begun.
    pub(super) fn moment(&self) -> Option<UnixTime> {
        let text = self.made.strip_suffix('Z')?.replace('T', " ");
        Some(Timestamp::parse(text.as_bytes().try_into().ok()?).ok()?.to_unix())
    }

    /// Whether the backup belongs to the server that has, or had, one of these keys.
    #[must_use]
    pub fn is_of(&self, keys: &Fingerprints) -> bool {
        let key = self.key.as_deref().and_then(key::parse);
        key.is_some_and(|key| keys.has(&key))
    }

    /// Whether it says what is in the file.
    pub(super) fn fits(&self, contents: &Contents) -> bool {
        let key = contents.key.map(hexadecimal);
        let accounts = self.users.checked_add(self.canary_accounts);
        (self.schema, self.letters) == (contents.schema, contents.letters)
            && accounts == contents.users.checked_add(contents.own_accounts)
            && self.key == key
    }

    /// The manifest of the backup in `file`.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let path = manifest_of(file);
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
        read.map_err(|error| match error.kind() {
            ErrorKind::NotFound => failure(
                file,
                format!(
                    "{} is missing, which says what has to be in the backup: put it back beside it. If there is no \
                     copy of it, the backup cannot be used: delete it",
                    path.display()
                ),
            ),
            ErrorKind::InvalidData => failure(&path, "it is not what belongs to a backup"),
            _ => failure(&path, access::cannot_open(&path, &error)),
        })?;
        let manifest: Self = serde_json::from_str(&text).map_err(|error| {
            failure(&path, format!("it is not what belongs to a backup: {error}"))
        })?;
        if manifest.format != FORMAT {
            let format = manifest.format;
            let why = format!(
                "its form is {format}, which this version does not know; use the version that has made \
                 the backup, or a later one"
            );
            return Err(failure(&path, why));
        }
        Ok(manifest)
    }

    /// Writes it beside the backup in `file`, durably.
    pub(super) fn write(&self, file: &Path) -> io::Result<()> {
        let path = manifest_of(file);
        let draft = beside(&path, ".new");
        // What an attempt that was cut short has left.
        let _ = fs::remove_file(&draft);
        let written = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            // Nothing in it can fail to be written.
            let text = serde_json::to_string_pretty(self).unwrap_or_default();
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        written().inspect_err(|_| _ = fs::remove_file(&draft))?;
        sync_directory(&path)
    }
}

/// Where the manifest of a backup is.
#[must_use]
pub fn manifest_of(file: &Path) -> PathBuf {
    beside(file, MANIFEST)
}

/// The bytes of a file.
pub(super) struct Content {
    pub(super) bytes: u64,
    pub(super) digest: Digest,
}

impl Content {
    /// Reads all of it, and hands over each piece.
    pub(super) fn read(
        mut from: impl Read,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut hasher = Backend::default().hasher();
        let (mut chunk, mut bytes) = (vec![0; CHUNK], 0);
        loop {
            match from.read(&mut chunk) {
                Ok(0) => return Ok(Self { bytes, digest: hasher.finish() }),
                Ok(length) => {
                    let piece = chunk.get(..length).unwrap_or_default();
                    hasher.update(piece);
                    each(piece)?;
                    bytes += length as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether it is what the manifest says.
    pub(super) fn fits(&self, manifest: &Manifest) -> bool {
        self.bytes == manifest.bytes && hexadecimal(self.digest) == manifest.sha256
    }
}

fn hexadecimal(digest: Digest) -> String {
    format!("{digest:?}")
}
