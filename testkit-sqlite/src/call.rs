//! What SQLite asks of the operating system, and how that fails.

use rusqlite::ffi;

/// A kind of call that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// A file is opened.
    Open,
    /// A file is deleted.
    Delete,
    /// Whether a file exists.
    Access,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// A file is cut off.
    Truncate,
    /// What was written is made durable.
    Sync,
    /// How long a file is.
    Size,
    /// The database file is locked.
    Lock,
    /// A part of the log's index is mapped.
    Map,
    /// The log's index is locked.
    MapLock,
}

impl Call {
    /// Every kind of call.
    pub const ALL: [Self; 11] = [
        Self::Open,
        Self::Delete,
        Self::Access,
        Self::Read,
        Self::Write,
        Self::Truncate,
        Self::Sync,
        Self::Size,
        Self::Lock,
        Self::Map,
        Self::MapLock,
    ];

    /// What SQLite's own VFS says when the system fails it.
    pub(crate) const fn io_error(self) -> i32 {
        match self {
            Self::Open => ffi::SQLITE_CANTOPEN,
            Self::Delete => ffi::SQLITE_IOERR_DELETE,
            Self::Access => ffi::SQLITE_IOERR_ACCESS,
            Self::Read => ffi::SQLITE_IOERR_READ,
            Self::Write => ffi::SQLITE_IOERR_WRITE,
            Self::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Self::Sync => ffi::SQLITE_IOERR_FSYNC,
            Self::Size => ffi::SQLITE_IOERR_FSTAT,
            Self::Lock => ffi::SQLITE_IOERR_LOCK,
            Self::Map => ffi::SQLITE_IOERR_SHMMAP,
            Self::MapLock => ffi::SQLITE_IOERR_SHMLOCK,
        }
    }
}

/// What goes wrong, and at which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The n-th call fails, and no other.
    Once(u64),
    /// The n-th call and all after it fail.
    From(u64),
    /// From the n-th write on, there is no room.
    Full(u64),
    /// From the n-th write on, the system takes no more bytes, for a reason that SQLite does not know
    /// for a full disk: a quota, a limit of file sizes.
    Denied(u64),
    /// From the n-th lock on, somebody else holds it.
    Busy(u64),
}

impl Fault {
    /// Whether its number counts this call.
    pub(crate) const fn counts(self, call: Call) -> bool {
        match self {
            Self::Once(_) | Self::From(_) => true,
            Self::Full(_) | Self::Denied(_) => matches!(call, Call::Write),
            Self::Busy(_) => matches!(call, Call::Lock | Call::MapLock),
        }
    }

    /// What a call says that is the n-th of those that count, if it fails.
    pub(crate) fn verdict(self, call: Call, number: u64) -> Option<i32> {
        let (is_hit, code) = match self {
            Self::Once(at) => (number == at, call.io_error()),
            Self::From(at) => (number >= at, call.io_error()),
            Self::Full(at) => (number >= at, ffi::SQLITE_FULL),
            Self::Denied(at) => (number >= at, ffi::SQLITE_IOERR_WRITE),
            Self::Busy(at) => (number >= at, ffi::SQLITE_BUSY),
        };
        is_hit.then_some(code)
    }
}
