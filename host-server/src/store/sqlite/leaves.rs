//! Users of whom the database does not say any more where they stand: the page is damaged that leads to theirs.
//!
//! Rows stand in leaves of a tree ("B-tree Pages" in SQLite's documentation). Each page that may be such a leaf is made
//! the whole table of users, in a copy, and SQLite reads it. What was deleted is in none of them, since SQLite overwrites
//! it (`PRAGMA secure_delete`).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::{Connection, Row};
use waxwing_core::id::UserId;

use super::fault::Fault;
use super::open;

const PAGE: usize = 4_096;
/// The first byte of a leaf with rows.
const LEAF: u8 = 13;

/// The pages of a damaged database.
pub(super) struct Leaves<'a> {
    /// The database, as far as it can be read.
    pub(super) readable: &'a Path,
    /// Where a copy is to be, or is.
    pub(super) copy: &'a Path,
}

impl Leaves<'_> {
    /// Each row that may be one of a user, whether one was told of it before or not. What cannot be looked at is left
    /// out.
    pub(super) fn users(
        &self,
        mut take: impl FnMut(&Row<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Ok((copy, leaves)) = self.prepared() else { return Ok(()) };
        for leaf in leaves {
            let made = make_table(&copy, leaf);
            let select = "SELECT rowid, user_id, phone_number, rsa_public_key, aes_key, last_seen \
                 FROM users NOT INDEXED";
            let Some(mut select) = made.and_then(|()| copy.prepare(select)).ok() else {
                continue;
            };
            let mut rows = select.query([])?;
            while let Ok(Some(row)) = rows.next() {
                take(row)?;
            }
        }
        Ok(())
    }

    /// A copy whose schema can be written, and the pages that may be leaves with users.
    fn prepared(&self) -> io::Result<(Connection, Vec<u32>)> {
        if self.readable != self.copy {
            open::draft_file(self.copy)?;
            fs::copy(self.readable, self.copy)?;
            let log = open::beside(self.readable, "-wal");
            if log.exists() {
                fs::copy(log, open::beside(self.copy, "-wal"))?;
            }
        }
        let leaves = leaves(&OpenOptions::new().read(true).open(self.copy)?)?;
        let copy = open::connect(self.copy).and_then(|copy| {
            // Nobody needs it after a power cut.
            copy.pragma_update(None, "synchronous", "OFF")?;
            Ok(copy)
        });
        let copy = copy.map_err(io::Error::other)?;
        Ok((copy, leaves))
    }
}

/// Has the table of users begin at this page.
fn make_table(copy: &Connection, page: u32) -> rusqlite::Result<()> {
    let update = "UPDATE sqlite_schema SET rootpage = ? WHERE name = 'users'";
    copy.execute_batch("PRAGMA writable_schema = ON")?;
    copy.prepare_cached(update)?.execute([page])?;
    // Has SQLite read again where the tables are.
    copy.execute_batch("PRAGMA writable_schema = RESET")
}

/// The pages that look like leaves whose first row has the place of a user.
fn leaves(file: &File) -> io::Result<Vec<u32>> {
    let mut page = [0; PAGE];
    let mut leaves = Vec::new();
    for number in 1.. {
        match file.read_exact_at(&mut page, u64::from(number - 1) * PAGE as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            read => read?,
        }
        if page[0] == LEAF
            && first_place(&page).is_some_and(|place| {
                u16::try_from(place).is_ok_and(|place| UserId::new(place).is_some())
            })
        {
            leaves.push(number);
        }
    }
    Ok(leaves)
}

/// The place of the first row of a leaf: behind how many bytes the row has.
fn first_place(page: &[u8; PAGE]) -> Option<u64> {
    let row = page.get(usize::from(u16::from_be_bytes([page[8], page[9]]))..)?;
    let (_, rest) = varint(row)?;
    Some(varint(rest)?.0)
}

/// A number in SQLite's form, and what stands behind it. Longer ones than four bytes are none that matter here.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}
