//! What stands in a write-ahead log, read without SQLite ("WAL-mode File Format").

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEADER: u64 = 32;
const FRAME_HEADER: usize = 24;

/// Whether page `page` is among the first `count` pages of the log. That so many of them are good is
/// what SQLite has found.
pub(super) fn hold(log: &Path, page: u32, count: u64) -> io::Result<bool> {
    let file = File::open(log)?;
    let mut header = [0; HEADER as usize];
    file.read_exact_at(&mut header, 0)?;
    let page_size = u64::from(big_endian(&header, 8));
    let frame_size = page_size + FRAME_HEADER as u64;
    let mut frame = [0; FRAME_HEADER];
    for number in 0..count {
        file.read_exact_at(&mut frame, HEADER + number * frame_size)?;
        if big_endian(&frame, 0) == page {
            return Ok(true);
        }
    }
    Ok(false)
}

fn big_endian(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
