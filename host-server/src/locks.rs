//! Who has a file locked.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// The processes that Linux says have locked the file, as far as they can be seen from here; none
/// elsewhere. For a message: nobody is kept from anything by it.
#[must_use]
pub fn holders(file: &fs::Metadata) -> Vec<String> {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let of_file = format!(":{}", file.ino());
    let holder = |line: &str| {
        // 1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF; those who wait have an arrow.
        let mut fields = line.split_whitespace().skip(1);
        let (kind, pid) = (fields.next()?, fields.nth(2)?);
        let is_holder = kind == "FLOCK" && fields.next()?.ends_with(&of_file);
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        is_holder.then(|| format!("process {pid} ({})", name.trim_end().escape_debug()))
    };
    locks.lines().filter_map(holder).collect()
}
