//! A log of session keys, for looking into recorded traffic. Clients only, and only when a person
//! asks for it: whoever reads the log reads the sealed packets of its sessions.
//!
//! ```text
//! SESSION <user id> <nonce, hex> <session key, hex>
//! REPLY <reply key, hex>
//! ```
//!
//! `waxwing packet explain` and the dissector for Wireshark read it. Letters stay closed: their keys
//! are never written.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use waxwing_core::crypto::{ReplyKey, SessionKey};
use waxwing_core::id::{Nonce, UserId};

use crate::system;

/// The variable that names the log.
pub const VARIABLE: &str = "WAXWING_KEYLOG";

/// The log cannot be written: which one, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyLogError(String);

/// The file to which keys are appended.
pub struct KeyLog {
    file: File,
}

impl KeyLog {
    /// The log that the environment asks for.
    ///
    /// # Errors
    /// [`KeyLogError`] when there is one and it cannot be written.
    pub fn from_environment() -> Result<Option<Self>, KeyLogError> {
        named().map(|path| Self::open(&path)).transpose()
    }

    /// Refuses a log among the files of `home`, which are not for that. Before anything is made.
    ///
    /// # Errors
    /// [`KeyLogError`].
    pub fn keep_out_of(home: &Path) -> Result<(), KeyLogError> {
        let Some(path) = named() else { return Ok(()) };
        // What does not exist yet contains nothing.
        let (Ok(home), Some(parent)) = (home.canonicalize(), path.parent()) else { return Ok(()) };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        if parent.canonicalize().is_ok_and(|parent| parent.starts_with(home)) {
            return Err(refused(&path, "it is among the files of the home; name a file elsewhere"));
        }
        Ok(())
    }

    fn open(path: &Path) -> Result<Self, KeyLogError> {
        // Whatever is there, opening it neither waits nor follows a link.
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let open = || -> io::Result<Result<File, &'static str>> {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .read(true)
                .mode(0o600)
                .custom_flags(flags.bits().cast_signed())
                .open(path)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Ok(Err("it is not a plain file"));
            }
            // It may have been there before.
            if metadata.permissions().mode() & 0o077 != 0 {
                return Ok(Err("others may read it; its mode must be 0600"));
            }
            if !is_key_log(&mut file)? {
                return Ok(Err("it holds something else than keys; name a new file"));
            }
            Ok(Ok(file))
        };
        let file = match open() {
            Ok(Ok(file)) => file,
            Ok(Err(why)) => return Err(refused(path, why)),
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                return Err(refused(path, "it is a link; name the file that it leads to"));
            }
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                return Err(refused(path, "it is not a plain file"));
            }
            Err(error) => return Err(refused(path, system::of_file(&error))),
        };
        Ok(Self { file })
    }

    /// Notes the key of a session that the server has offered.
    ///
    /// # Errors
    /// [`KeyLogError`] when it cannot be written.
    pub fn session(
        &mut self,
        user: UserId,
        nonce: &Nonce,
        key: &SessionKey,
    ) -> Result<(), KeyLogError> {
        self.line(&format!("SESSION {user} {} {}\n", hex(&nonce.0), hex(key.expose())))
    }

    /// Notes the key that opens the answer to a 100.
    ///
    /// # Errors
    /// [`KeyLogError`] when it cannot be written.
    pub fn reply(&mut self, key: &ReplyKey) -> Result<(), KeyLogError> {
        self.line(&format!("REPLY {}\n", hex(key.expose())))
    }

    /// In one write, so that processes which share the log do not mix their lines.
    fn line(&mut self, line: &str) -> Result<(), KeyLogError> {
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|error| KeyLogError(format!("{VARIABLE}: {}", system::of_file(&error))))
    }
}

fn named() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

fn refused(path: &Path, why: impl fmt::Display) -> KeyLogError {
    KeyLogError(format!("{VARIABLE}={}: {why}", path.display()))
}

/// Whether a file is empty or begins as a log does.
fn is_key_log(file: &mut File) -> io::Result<bool> {
    // Longer than any line of a log.
    let mut begin = Vec::new();
    file.take(1_024).read_to_end(&mut begin)?;
    let first = begin.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_line = |line: &str| LoggedKeys::parse(line).is_ok();
    Ok(begin.is_empty() || std::str::from_utf8(first).is_ok_and(is_line))
}

/// The keys of a log.
#[derive(Default)]
pub struct LoggedKeys {
    /// Those of sessions, oldest first.
    pub sessions: Vec<LoggedSession>,
    /// Those of answers to 100.
    pub replies: Vec<ReplyKey>,
}

/// The key of a session, and what it belongs to.
pub struct LoggedSession {
    /// The id of the user whose session it was.
    pub user: UserId,
    /// The nonce of its 101 or 106.
    pub nonce: Nonce,
    /// The key of the session.
    pub key: SessionKey,
}

impl LoggedKeys {
    /// Reads a log. Empty lines, and those that begin with `#`, mean nothing.
    ///
    /// # Errors
    /// The number of the first line that is none.
    pub fn parse(text: &str) -> Result<Self, usize> {
        let mut keys = Self::default();
        for (at, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            keys.take(line).ok_or(at + 1)?;
        }
        Ok(keys)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["SESSION", user, nonce, key] => self.sessions.push(LoggedSession {
                user: UserId::new(user.parse().ok()?)?,
                nonce: Nonce(unhex(nonce)?.try_into().ok()?),
                key: SessionKey::from_bytes(&unhex(key)?.try_into().ok()?),
            }),
            ["REPLY", key] => {
                self.replies.push(ReplyKey::from_bytes(&unhex(key)?.try_into().ok()?));
            }
            _ => return None,
        }
        Some(())
    }
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that some hexadecimal stands for; `None` when it is none.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let user = UserId::new(7).unwrap();
        for byte in [1, 2] {
            let mut log = KeyLog::open(&path).unwrap();
            log.session(user, &Nonce([byte; 16]), &SessionKey::from_bytes(&[byte; 32])).unwrap();
            log.reply(&ReplyKey::from_bytes(&[byte; 32])).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let one = format!("SESSION 7 {0} {0}{0}\nREPLY {0}{0}\n", "01".repeat(16));
        assert_eq!(text, format!("{one}{}", one.replace("01", "02")));
        let keys = LoggedKeys::parse(&format!("# a note\n\n{text}")).unwrap();
        assert_eq!((keys.sessions.len(), keys.replies.len()), (2, 2));
        assert_eq!(keys.sessions[1].key, SessionKey::from_bytes(&[2; 32]));
    }

    #[test]
    fn nobody_else_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        drop(KeyLog::open(&path).unwrap());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let Err(KeyLogError(said)) = KeyLog::open(&path) else { panic!("a wide log was taken") };
        assert!(said.contains("0600"), "{said}");
    }

    #[test]
    fn what_is_no_log_is_refused_at_once_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let refused = |path: &Path| match KeyLog::open(path) {
            Err(KeyLogError(said)) => said,
            _ => panic!("{} was taken", path.display()),
        };
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(refused(&path).contains("plain file"));
        assert!(refused(Path::new("/dev/null")).contains("plain file"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("new"), &link).unwrap();
        assert!(refused(&link).contains("link"));
        let other = dir.path().join("waxwing.db");
        for content in [&b"SQLite format 3\0..."[..], b"hello\nSESSION", &[0xff; 2_000]] {
            std::fs::write(&other, content).unwrap();
            std::fs::set_permissions(&other, PermissionsExt::from_mode(0o600)).unwrap();
            assert!(refused(&other).contains("something else"));
            assert_eq!(std::fs::read(&other).unwrap(), content);
        }
        std::fs::write(&other, "# mine\n").unwrap();
        assert!(KeyLog::open(&other).is_ok());
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let nonce = "01".repeat(16);
        for line in ["SESSION", "REPLY 01", &format!("SESSION 0 {nonce} {nonce}{nonce}"), "KEY 1"] {
            assert_eq!(LoggedKeys::parse(&format!("# one\n{line}\n")).err(), Some(2), "{line}");
        }
        assert_eq!(unhex("0g"), None);
        assert_eq!(unhex("+1"), None);
        assert_eq!(unhex("012"), None);
    }
}
