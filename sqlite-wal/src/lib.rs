//! Reads the write-ahead log of an SQLite database without SQLite ("WAL-mode File Format" in SQLite's documentation).
//!
//! A log is a header, and then pages of the database, each behind a header of its own. The last page of a
//! transaction says how long the database is after it. After a crash, SQLite takes the first page that is not whole
//! for the end of the log. [`Log::damage`] says whether that is right.
//!
//! Nothing is written, and nothing is locked: the log may be in use.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes before the first page.
pub const HEADER: usize = 32;
/// Bytes before each page that say which one it is.
pub const FRAME_HEADER: usize = 24;
/// The first bytes of a log. The last bit says that checksums take bytes for big-endian numbers.
const MAGIC: u32 = 0x377f_0682;
const LARGEST_PAGE: usize = 65_536;
const SMALLEST_PAGE: usize = 512;
/// Where nobody knows the size of the pages, they have the one that SQLite gives them.
const USUAL_PAGE: usize = 4_096;

/// A log, open for reading.
#[derive(Debug)]
pub struct Log {
    file: File,
    header: [u8; HEADER],
    page_size: usize,
}

/// Something in a log has changed since it was written, and hides transactions that were committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// How many pages are whole before it.
    pub whole_pages: u64,
    /// How many transactions end at it or behind it.
    pub hidden: u64,
}

impl Log {
    /// Opens a log. A file that is no log, or is shorter than a header, counts as a log without pages.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::read(File::open(path)?)
    }

    fn read(file: File) -> io::Result<Self> {
        let mut header = [0; HEADER];
        match file.read_exact_at(&mut header, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            read => read?,
        }
        let page_size = usize::try_from(number_at(&header, 8)).unwrap_or(LARGEST_PAGE);
        Ok(Self { file, header, page_size: page_size.min(LARGEST_PAGE) })
    }

    /// Whether page `page` of the database is among the first `count` pages of the log. That so many of them are
    /// good is what SQLite has found.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_page(&self, page: u32, count: u64) -> io::Result<bool> {
        let mut frame = [0; FRAME_HEADER];
        for number in 0..count {
            if !self.fill(&mut frame, number)? {
                return Ok(false);
            }
            if number_at(&frame, 0) == page {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether these bytes are in one of these pages of the database, as far as transactions in the log are whole.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_bytes(&self, pages: [u32; 2], bytes: &[u8]) -> io::Result<bool> {
        let mut frame = self.frame();
        for number in 0..self.committed()? {
            if !self.fill(&mut frame, number)? {
                return Ok(false);
            }
            let (head, page) = frame.split_at(FRAME_HEADER);
            if pages.contains(&number_at(head, 0))
                && page.windows(bytes.len()).any(|at| at == bytes)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many pages of the log belong to transactions that are whole: what SQLite would find after a crash.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn committed(&self) -> io::Result<u64> {
        Ok(self.whole()?.committed)
    }

    /// Whether something in the log has changed since it was written, and hides transactions that were committed.
    ///
    /// What a power cut has torn, or a full disk has not taken, is a part of the last transaction, if each one is
    /// synced before the next begins (`PRAGMA synchronous = FULL`). So a log is damaged if a whole transaction follows
    /// one that ends at a page that is not whole, or behind it. A change in the last transaction cannot be told from a
    /// power cut. The header of the log is shorter than what a disk writes at once, and synced before the first
    /// transaction; so a log is damaged, too, if its header has changed and a transaction ends behind it. That is not so
    /// where a full disk has taken a part of the next header, in the place of this one.
    ///
    /// Where another program writes to the log meanwhile, a page may be seen before all of it is there. So what looks
    /// like damage is looked at again.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn damage(&self) -> io::Result<Option<Damage>> {
        let Some(first) = self.look_for_damage()? else { return Ok(None) };
        let again = Self::read(self.file.try_clone()?)?;
        let is_same_log = again.header == self.header;
        let second = again.look_for_damage()?;
        Ok(second.filter(|second| is_same_log && second.whole_pages == first.whole_pages))
    }

    fn look_for_damage(&self) -> io::Result<Option<Damage>> {
        if !self.has_good_header() {
            return self.behind_a_bad_header();
        }
        let whole_pages = self.whole()?.pages;
        let mut frame = self.frame();
        let mut before: Option<Checksum> = None;
        // Whether a transaction has ended, and all pages since are whole.
        let mut follows = false;
        let (mut is_damaged, mut hidden) = (false, 0);
        for number in whole_pages.. {
            if !self.fill(&mut frame, number)? {
                break;
            }
            let (head, page) = frame.split_at(FRAME_HEADER);
            // Each page says what the checksum is up to its end, so the next can be judged without those before.
            let is_whole = before.is_some_and(|mut checksum| {
                checksum.add(&head[..8]);
                checksum.add(page);
                self.has(head) && checksum.is(&head[16..24])
            });
            let is_end = self.has(head) && is_last(head);
            is_damaged |= follows && is_whole && is_end;
            hidden += u64::from(is_end);
            follows = (follows && is_whole) || is_end;
            before = self.has(head).then(|| self.checksum_at(&head[16..24]));
        }
        Ok(is_damaged.then_some(Damage { whole_pages, hidden }))
    }

    /// What a header hides that has changed. One that was never written hides nothing.
    fn behind_a_bad_header(&self) -> io::Result<Option<Damage>> {
        if self.header == [0; HEADER] {
            return Ok(None);
        }
        let size = usize::try_from(number_at(&self.header, 8)).unwrap_or(usize::MAX);
        let is_possible = size.is_power_of_two() && (SMALLEST_PAGE..=LARGEST_PAGE).contains(&size);
        let page_size = if is_possible { size } else { USUAL_PAGE };
        let log = Self { file: self.file.try_clone()?, header: self.header, page_size };
        let mut frame = log.frame();
        if !log.fill(&mut frame, 0)? {
            return Ok(None);
        }
        if self.is_half_begun(&frame) {
            return Ok(None);
        }
        // What is behind those of this log was written to one before it.
        let of_this_log = frame[8..16].to_vec();
        let mut hidden = 0;
        for number in 0.. {
            if !log.fill(&mut frame, number)? || frame[8..16] != of_this_log {
                break;
            }
            hidden += u64::from(is_last(&frame));
        }
        Ok((hidden > 0).then_some(Damage { whole_pages: 0, hidden }))
    }

    /// Whether the header is a part of one that was to follow that of this first page. SQLite begins a log anew, when all
    /// of it is in the database, by counting two numbers in the header on by one, and writing over it.
    fn is_half_begun(&self, first_page: &[u8]) -> bool {
        let former = |at| number_at(&self.header, at).wrapping_sub(1);
        let mut header = self.header;
        header[12..16].copy_from_slice(&former(12).to_be_bytes());
        is_good(&header) || number_at(first_page, 8) == former(16)
    }

    fn whole(&self) -> io::Result<Whole> {
        let mut whole = Whole::default();
        if !self.has_good_header() {
            return Ok(whole);
        }
        let mut checksum = self.checksum();
        let mut frame = self.frame();
        for number in 0.. {
            if !self.fill(&mut frame, number)? {
                break;
            }
            let (head, page) = frame.split_at(FRAME_HEADER);
            checksum.add(&head[..8]);
            checksum.add(page);
            if !self.has(head) || !checksum.is(&head[16..24]) {
                break;
            }
            whole.pages = number + 1;
            if is_last(head) {
                whole.committed = whole.pages;
            }
        }
        Ok(whole)
    }

    /// Room for a page and what is before it.
    fn frame(&self) -> Vec<u8> {
        vec![0; FRAME_HEADER + self.page_size]
    }

    /// Reads what stands where this page begins; false where the file ends before it does.
    fn fill(&self, bytes: &mut [u8], number: u64) -> io::Result<bool> {
        let offset = HEADER as u64 + number * (FRAME_HEADER + self.page_size) as u64;
        match self.file.read_exact_at(bytes, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|()| true),
        }
    }

    /// Whether a page was written to this log, and not to one before it in the same file.
    fn has(&self, head: &[u8]) -> bool {
        head[8..16] == self.header[16..24]
    }

    /// Of the header, from where that of the pages goes on.
    fn checksum(&self) -> Checksum {
        checksum_of(&self.header)
    }

    /// The one that was written there.
    fn checksum_at(&self, written: &[u8]) -> Checksum {
        let is_big_endian = is_big_endian(&self.header);
        Checksum { is_big_endian, first: number_at(written, 0), second: number_at(written, 4) }
    }

    fn has_good_header(&self) -> bool {
        is_good(&self.header)
    }
}

fn is_good(header: &[u8; HEADER]) -> bool {
    number_at(header, 0) & !1 == MAGIC && checksum_of(header).is(&header[24..])
}

fn is_big_endian(header: &[u8; HEADER]) -> bool {
    number_at(header, 0) & 1 == 1
}

fn checksum_of(header: &[u8; HEADER]) -> Checksum {
    let is_big_endian = is_big_endian(header);
    let mut checksum = Checksum { is_big_endian, first: 0, second: 0 };
    checksum.add(&header[..24]);
    checksum
}

/// How far a log is what was written.
#[derive(Default)]
struct Whole {
    /// Pages until the first that is not whole.
    pages: u64,
    /// Those of transactions that are whole.
    committed: u64,
}

/// Only the last page of a transaction says how long the database is.
fn is_last(head: &[u8]) -> bool {
    number_at(head, 4) != 0
}

struct Checksum {
    is_big_endian: bool,
    first: u32,
    second: u32,
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let (pairs, _) = bytes.as_chunks::<8>();
        for [a, b, c, d, e, f, g, h] in pairs {
            let number = |bytes| match self.is_big_endian {
                true => u32::from_be_bytes(bytes),
                false => u32::from_le_bytes(bytes),
            };
            let (one, other) = (number([*a, *b, *c, *d]), number([*e, *f, *g, *h]));
            self.first = self.first.wrapping_add(one).wrapping_add(self.second);
            self.second = self.second.wrapping_add(other).wrapping_add(self.first);
        }
    }

    fn is(&self, written: &[u8]) -> bool {
        (self.first, self.second) == (number_at(written, 0), number_at(written, 4))
    }
}

/// The big-endian number at this offset, as all in a log's headers are; 0 where the bytes end before it does.
#[must_use]
pub fn number_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// A log of some transactions, and how many pages SQLite says that it has.
    fn log(directory: &Path) -> (std::path::PathBuf, u64) {
        let path = directory.join("test.db");
        let database = Connection::open(&path).unwrap();
        // What is closed is brought in, and what is not closed stays.
        let database = Box::leak(Box::new(database));
        database.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE words (word)").unwrap();
        for length in [10, 9_000, 100] {
            database.execute("INSERT INTO words VALUES (zeroblob(?))", [length]).unwrap();
        }
        let pages = database
            .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get::<_, u32>(1))
            .unwrap();
        (directory.join("test.db-wal"), pages.into())
    }

    #[test]
    fn what_is_committed_is_what_sqlite_finds() {
        let directory = tempfile::tempdir().unwrap();
        let (path, pages) = log(directory.path());
        assert!(pages > 5);
        assert_eq!(Log::open(&path).unwrap().committed().unwrap(), pages);
        let opened = Log::open(&path).unwrap();
        assert!(opened.has_page(1, pages).unwrap());
        assert!(!opened.has_page(9_999, pages).unwrap());
        assert!(!opened.has_page(9_999, pages + 1).unwrap(), "it is shorter");
        Log::open(directory.path()).expect_err("no file can be read there");
    }

    #[test]
    fn a_page_that_is_not_whole_ends_the_log_at_the_transaction_before() {
        let directory = tempfile::tempdir().unwrap();
        let (path, pages) = log(directory.path());
        let whole = std::fs::read(&path).unwrap();
        let copy = directory.path().join("copy");
        for cut in [1, 4_000, 4_119] {
            std::fs::write(&copy, &whole[..whole.len() - cut]).unwrap();
            assert!(Log::open(&copy).unwrap().committed().unwrap() < pages);
        }
        for at in [whole.len() - 1, whole.len() - 4_110, 40, 28, 20, 0] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&copy, damaged).unwrap();
            assert!(Log::open(&copy).unwrap().committed().unwrap() < pages, "byte {at}");
        }
        std::fs::write(&copy, "").unwrap();
        assert_eq!(Log::open(&copy).unwrap().committed().unwrap(), 0);
    }

    #[test]
    fn damage_is_told_from_a_transaction_that_a_power_cut_has_torn() {
        let directory = tempfile::tempdir().unwrap();
        let (path, pages) = log(directory.path());
        let whole = std::fs::read(&path).unwrap();
        let copy = directory.path().join("copy");
        let damage_of = |bytes: &[u8]| {
            std::fs::write(&copy, bytes).unwrap();
            let damage = Log::open(&copy).unwrap().damage().unwrap();
            damage.map(|damage| (damage.whole_pages, damage.hidden))
        };
        let frame = FRAME_HEADER + 4_096;
        let ends: Vec<_> = whole[HEADER..].chunks(frame).map(is_last).collect();
        let last = ends[..ends.len() - 1].iter().rposition(|is_last| *is_last).unwrap();
        assert_eq!(damage_of(&whole), None);
        for number in 0..usize::try_from(pages).unwrap() {
            let mut changed = whole.clone();
            changed[HEADER + number * frame + 1_000] ^= 1;
            let hidden = ends[number..].iter().filter(|is_last| **is_last).count() as u64;
            let expected = (number <= last).then_some((number as u64, hidden));
            assert_eq!(damage_of(&changed), expected, "page {number}");
            // What is cut off is no damage within.
            assert_eq!(damage_of(&whole[..HEADER + number * frame + 1_000]), None, "page {number}");
        }
        // A header is written at once, and before all pages.
        let all = ends.iter().filter(|is_last| **is_last).count() as u64;
        for at in 0..HEADER {
            let mut changed = whole.clone();
            changed[at] ^= 0x40;
            assert_eq!(damage_of(&changed), Some((0, all)), "byte {at}");
            assert_eq!(damage_of(&changed[..HEADER + frame - 1]), None, "byte {at}");
        }
        let mut never_written = whole.clone();
        never_written[..HEADER].fill(0);
        assert_eq!(damage_of(&never_written), None);
        assert_eq!(damage_of(&[]), None);
        Log::open(&directory.path().join("none")).expect_err("there is none");
    }

    #[test]
    fn a_header_of_which_a_full_disk_has_taken_a_part_hides_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (path, _) = log(directory.path());
        let former = std::fs::read(&path).unwrap();
        let database = Connection::open(directory.path().join("test.db")).unwrap();
        database.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
        database.execute("INSERT INTO words VALUES (1)", []).unwrap();
        let next = std::fs::read(&path).unwrap();
        assert!(
            next[..HEADER] != former[..HEADER] && next.len() == former.len(),
            "it was begun anew"
        );
        let copy = directory.path().join("copy");
        for taken in 0..=HEADER {
            std::fs::write(&copy, [&next[..taken], &former[taken..]].concat()).unwrap();
            assert_eq!(Log::open(&copy).unwrap().damage().unwrap(), None, "{taken} bytes");
        }
    }

    /// The same log as a machine would have written it whose numbers begin with the highest byte.
    fn as_big_endian(log: &[u8]) -> Vec<u8> {
        let sum = |(mut first, mut second): (u32, u32), bytes: &[u8]| {
            for pair in bytes.chunks(8) {
                first = first.wrapping_add(number_at(pair, 0)).wrapping_add(second);
                second = second.wrapping_add(number_at(pair, 4)).wrapping_add(first);
            }
            (first, second)
        };
        let written =
            |(first, second): (u32, u32)| [first.to_be_bytes(), second.to_be_bytes()].concat();
        let (header, frames) = log.split_at(HEADER);
        let mut header = header.to_vec();
        header[3] |= 1;
        let mut checksum = sum((0, 0), &header[..24]);
        header[24..].copy_from_slice(&written(checksum));
        let mut all = header.clone();
        for frame in frames.chunks(FRAME_HEADER + number_at(&header, 8) as usize) {
            let (head, page) = frame.split_at(FRAME_HEADER);
            checksum = sum(sum(checksum, &head[..8]), page);
            all.extend([&head[..16], &written(checksum), page].concat());
        }
        all
    }

    #[test]
    fn a_log_of_a_machine_with_another_order_of_bytes_is_read_too() {
        let directory = tempfile::tempdir().unwrap();
        let (path, pages) = log(directory.path());
        let whole = std::fs::read(&path).unwrap();
        let copy = directory.path().join("copy");
        std::fs::write(&copy, as_big_endian(&whole)).unwrap();
        assert_eq!(Log::open(&copy).unwrap().committed().unwrap(), pages);
        // The bit alone does not make it one.
        let mut other = whole;
        other[3] ^= 1;
        std::fs::write(&copy, other).unwrap();
        assert_eq!(Log::open(&copy).unwrap().committed().unwrap(), 0);
    }
}
