//! What a power cut leaves of files: what was synced, and of what was not, anything.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::{fs, io};

/// Disks write this many bytes together or not at all.
const SECTOR: usize = 512;

/// Files by path, as the platter has them.
#[derive(Debug, Default)]
pub(crate) struct Remains(BTreeMap<Box<Path>, File>);

#[derive(Debug, Default)]
struct File {
    /// `None` while the directory does not have it.
    durable: Option<Vec<u8>>,
    /// What has happened since, in order.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Create,
    Delete,
    Truncate(usize),
    Write { at: usize, bytes: Vec<u8> },
}

impl Change {
    fn apply(&self, content: &mut Option<Vec<u8>>) {
        match (self, content) {
            (Self::Create, content) => *content = Some(Vec::new()),
            (Self::Delete, content) => *content = None,
            (Self::Truncate(len), Some(content)) => content.truncate(*len),
            (Self::Write { at, bytes }, Some(content)) => {
                let end = at + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(bytes);
            }
            // Its file has not come into being.
            (_, None) => {}
        }
    }

    /// The sectors of a write that reach the disk.
    fn torn(&self, roll: &mut dyn FnMut(usize) -> usize) -> Vec<Self> {
        let Self::Write { at, bytes } = self else { return Vec::new() };
        let sectors = bytes.chunks(SECTOR).enumerate().filter(|_| roll(2) == 0);
        let write = |(number, sector): (usize, &[u8])| Self::Write {
            at: at + number * SECTOR,
            bytes: sector.to_vec(),
        };
        sectors.map(write).collect()
    }
}

impl Remains {
    /// A file is opened. What a file holds when it is first seen counts as durable.
    pub(crate) fn opened(&mut self, path: &Path, is_new: bool, content: impl FnOnce() -> Vec<u8>) {
        if is_new {
            self.change(path, Change::Create);
        } else if !self.0.contains_key(path) {
            let file = File { durable: Some(content()), pending: Vec::new() };
            self.0.insert(path.into(), file);
        }
    }

    pub(crate) fn written(&mut self, path: &Path, at: usize, bytes: &[u8]) {
        self.change(path, Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(crate) fn truncated(&mut self, path: &Path, len: usize) {
        self.change(path, Change::Truncate(len));
    }

    /// SQLite syncs the directory of a log with its first sync.
    pub(crate) fn synced(&mut self, path: &Path) {
        if let Some(file) = self.0.get_mut(path) {
            let File { durable, pending } = file;
            pending.drain(..).for_each(|change| change.apply(durable));
        }
    }

    /// What could not be synced is forgotten, as some file systems do. Says what the file holds.
    pub(crate) fn forgotten(&mut self, path: &Path) -> Option<&[u8]> {
        let File { durable, pending } = self.0.get_mut(path)?;
        // Its name is there as long as it is open.
        pending.retain(|change| matches!(change, Change::Create));
        Some(durable.as_deref().unwrap_or_default())
    }

    pub(crate) fn deleted(&mut self, path: &Path, is_durable: bool) {
        self.change(path, Change::Delete);
        if is_durable {
            self.synced(path);
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        self.0.entry(path.into()).or_default().pending.push(change);
    }

    /// Writes into another directory what is left.
    pub(crate) fn write(
        &self,
        from: &Path,
        into: &Path,
        roll: &mut dyn FnMut(usize) -> usize,
    ) -> io::Result<()> {
        for entry in fs::read_dir(from)? {
            let path = entry?.path();
            // The index of a log is no more than memory.
            let is_index = path.to_string_lossy().ends_with("-shm");
            if !is_index && !self.0.contains_key(&*path) {
                fs::copy(&path, into.join(name(&path)))?;
            }
        }
        for (path, file) in &self.0 {
            if let Some(content) = file.left(roll) {
                fs::write(into.join(name(path)), content)?;
            }
        }
        Ok(())
    }
}

impl File {
    fn left(&self, roll: &mut dyn FnMut(usize) -> usize) -> Option<Vec<u8>> {
        let mut content = self.durable.clone();
        // All of it, nothing of it, or some of it and of that some sectors.
        let luck = roll(4);
        for change in &self.pending {
            match luck {
                0 => {}
                1 => change.apply(&mut content),
                _ => match roll(3) {
                    0 => {}
                    1 => change.apply(&mut content),
                    _ => change.torn(roll).iter().for_each(|part| part.apply(&mut content)),
                },
            }
        }
        content
    }
}

fn name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}
