//! The shim: SQLite's own VFS, with a question before every call that can fail.
//!
//! See "The SQLite OS Interface or VFS" and "The Virtual Filesystem" in SQLite's documentation. A
//! file of ours is followed in memory by the file of the VFS beneath, which does the work. The
//! shared memory of a log's index is that one's, too; pages are not mapped (`iVersion` is 2).
#![allow(unsafe_code, reason = "SQLite's VFS is an interface in C")]

use std::cell::Cell;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::{ptr, slice};

use rusqlite::ffi;

use crate::call::Call;
use crate::disk::{self, Shared};

const NAME: &CStr = c"waxwing-testkit";

/// The VFS beneath. It lives as long as the process.
struct Beneath(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite itself uses a VFS from any thread.
unsafe impl Send for Beneath {}
// SAFETY: as above.
unsafe impl Sync for Beneath {}

static BENEATH: OnceLock<Beneath> = OnceLock::new();

/// Makes the shim the default VFS of this process.
pub(crate) fn register() {
    BENEATH.get_or_init(|| {
        // SAFETY: a default VFS exists on every platform that SQLite builds for, and a VFS that
        // is a copy of it, with a larger file and some of its methods replaced, is one too. It is
        // leaked, because connections may outlive any owner.
        unsafe {
            let beneath = ffi::sqlite3_vfs_find(ptr::null());
            assert!(!beneath.is_null(), "SQLite has no default VFS");
            let mut shim = *beneath;
            shim.zName = NAME.as_ptr();
            shim.szOsFile += size_of::<File>() as c_int;
            shim.pNext = ptr::null_mut();
            shim.xOpen = Some(open);
            shim.xDelete = Some(delete);
            shim.xAccess = Some(access);
            shim.xSleep = Some(sleep);
            let code = ffi::sqlite3_vfs_register(Box::leak(Box::new(shim)), 1);
            assert_eq!(code, ffi::SQLITE_OK);
            Beneath(beneath)
        }
    });
}

fn beneath() -> *mut ffi::sqlite3_vfs {
    BENEATH.get().expect("methods are called after the registration").0
}

/// An open file; the file of the VFS beneath follows it in memory.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// The disk and the path, unless the file is nobody's concern.
    held: Option<Box<Held>>,
}

struct Held {
    disk: Shared,
    path: Box<Path>,
    sync_has_failed: Cell<bool>,
}

impl File {
    /// # Safety
    /// `file` is one that [`open`] has filled in and that is not closed.
    unsafe fn of<'a>(file: *mut ffi::sqlite3_file) -> &'a Self {
        // SAFETY: `base` comes first in a `File`.
        unsafe { &*file.cast() }
    }

    /// # Safety
    /// `file` points to `szOsFile` bytes of the shim.
    unsafe fn beneath(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
        // SAFETY: the file beneath lies behind the `File`, whose size keeps it aligned.
        unsafe { file.cast::<Self>().add(1).cast() }
    }

    /// How this call fails, if it does.
    fn verdict(&self, call: Call) -> Option<c_int> {
        disk::locked(&self.held.as_ref()?.disk).verdict(call)
    }
}

/// A method that asks, and then passes the call on.
macro_rules! passed_on {
    ($name:ident, $method:ident, $call:expr $(, $argument:ident: $type:ty)*) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> c_int {
            let call: Option<Call> = $call;
            // SAFETY: SQLite passes a file of `open` and the arguments that the method takes; the
            // file beneath is open as long as this one, and has all methods of version 2.
            unsafe {
                if let Some(code) = call.and_then(|call| File::of(file).verdict(call)) {
                    return code;
                }
                let beneath = File::beneath(file);
                (*(*beneath).pMethods).$method.unwrap_unchecked()(beneath $(, $argument)*)
            }
        }
    };
}

passed_on!(file_size, xFileSize, Some(Call::Size), size: *mut i64);
passed_on!(lock, xLock, Some(Call::Lock), level: c_int);
passed_on!(unlock, xUnlock, None, level: c_int);
passed_on!(check_reserved_lock, xCheckReservedLock, Some(Call::Lock), is_held: *mut c_int);
passed_on!(file_control, xFileControl, None, op: c_int, argument: *mut c_void);
passed_on!(sector_size, xSectorSize, None);
passed_on!(device_characteristics, xDeviceCharacteristics, None);
passed_on!(shm_map, xShmMap, Some(Call::Map), page: c_int, size: c_int, extend: c_int,
    mapped: *mut *mut c_void);
passed_on!(shm_unmap, xShmUnmap, None, delete: c_int);
passed_on!(read, xRead, Some(Call::Read), buffer: *mut c_void, len: c_int, at: i64);
passed_on!(write_beneath, xWrite, None, buffer: *const c_void, len: c_int, at: i64);
passed_on!(truncate_beneath, xTruncate, None, len: i64);
passed_on!(sync_beneath, xSync, None, flags: c_int);
passed_on!(close_beneath, xClose, None);
passed_on!(shm_lock_beneath, xShmLock, None, offset: c_int, count: c_int, flags: c_int);

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as in `passed_on`.
    unsafe {
        let beneath = File::beneath(file);
        (*(*beneath).pMethods).xShmBarrier.unwrap_unchecked()(beneath);
    }
}

/// Locks can fail; a release cannot, and SQLite does not look.
unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: as in `passed_on`.
    unsafe {
        if flags & ffi::SQLITE_SHM_LOCK != 0
            && let Some(code) = File::of(file).verdict(Call::MapLock)
        {
            return code;
        }
        shm_lock_beneath(file, offset, count, flags)
    }
}

/// A write that fails has got half-way.
unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    len: c_int,
    at: i64,
) -> c_int {
    // SAFETY: as in `passed_on`; `buffer` holds `len` bytes.
    unsafe {
        let verdict = File::of(file).verdict(Call::Write);
        let done = if verdict.is_some() { len / 2 } else { len };
        let code = write_beneath(file, buffer, done, at);
        if let Some(held) = &File::of(file).held {
            let bytes = slice::from_raw_parts(buffer.cast(), done as usize);
            disk::locked(&held.disk).remains.written(&held.path, at as usize, bytes);
        }
        verdict.unwrap_or(code)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    // SAFETY: as in `passed_on`.
    unsafe {
        if let Some(code) = File::of(file).verdict(Call::Truncate) {
            return code;
        }
        if let Some(held) = &File::of(file).held {
            disk::locked(&held.disk).remains.truncated(&held.path, len as usize);
        }
        truncate_beneath(file, len)
    }
}

/// Durable is what the disk's own book says; the real disk is spared. What cannot be synced is
/// lost from memory, too: some file systems forget it, and none promises not to.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: as in `passed_on`; what the file is to hold stays where it is during the call.
    unsafe {
        let Some(held) = &File::of(file).held else {
            return sync_beneath(file, flags);
        };
        let mut disk = disk::locked(&held.disk);
        let verdict = disk.verdict(Call::Sync);
        if held.sync_has_failed.get() {
            disk.retried_syncs.push(held.path.clone());
        }
        let Some(code) = verdict else {
            disk.remains.synced(&held.path);
            return ffi::SQLITE_OK;
        };
        held.sync_has_failed.set(true);
        if let Some(durable) = disk.remains.forgotten(&held.path) {
            write_beneath(file, durable.as_ptr().cast(), durable.len() as c_int, 0);
            truncate_beneath(file, durable.len() as i64);
        }
        code
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as in `passed_on`; SQLite does not use the file afterwards.
    unsafe {
        let code = close_beneath(file);
        ptr::drop_in_place(file.cast::<File>());
        code
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The path of a file that has a name.
///
/// # Safety
/// `name` is null or a string in C that stays where it is.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    // SAFETY: said above.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })?;
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a name or null, and `szOsFile` bytes for the file. Methods that are
    // null tell it that there is nothing to be closed.
    unsafe {
        (*file).pMethods = ptr::null();
        let held = path(name).and_then(|path| {
            let (disk, path) = (disk::holding(path)?, path.into());
            Some(Box::new(Held { disk, path, sync_has_failed: Cell::new(false) }))
        });
        let mut is_new = false;
        if let Some(held) = &held {
            if let Some(code) = disk::locked(&held.disk).verdict(Call::Open) {
                return code;
            }
            is_new = !held.path.exists();
        }
        let below = File::beneath(file);
        let open = (*beneath()).xOpen.unwrap_unchecked();
        let code = open(beneath(), name, below, flags, out_flags);
        if code != ffi::SQLITE_OK {
            if !(*below).pMethods.is_null() {
                (*(*below).pMethods).xClose.unwrap_unchecked()(below);
            }
            return code;
        }
        let base = ffi::sqlite3_file { pMethods: &raw const METHODS };
        file.cast::<File>().write(File { base, held });
        if let Some(held) = &File::of(file).held {
            let content = || content(file);
            disk::locked(&held.disk).remains.opened(&held.path, is_new, content);
        }
        code
    }
}

/// Everything in a file. It is read through SQLite's own VFS, because the locks of a process end
/// when it closes any descriptor of a file.
///
/// # Safety
/// `file` is one of [`open`]'s.
unsafe fn content(file: *mut ffi::sqlite3_file) -> Vec<u8> {
    // SAFETY: as in `passed_on`; there is room for what is read.
    unsafe {
        let beneath = File::beneath(file);
        let methods = (*beneath).pMethods;
        let mut len = 0;
        (*methods).xFileSize.unwrap_unchecked()(beneath, &raw mut len);
        let mut content = vec![0; len as usize];
        let into = content.as_mut_ptr().cast();
        (*methods).xRead.unwrap_unchecked()(beneath, into, len as c_int, 0);
        content
    }
}

unsafe extern "C" fn delete(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_directory: c_int,
) -> c_int {
    // SAFETY: SQLite passes a name; the VFS beneath is there.
    unsafe {
        let path = path(name);
        let disk = path.and_then(disk::holding);
        let delete = (*beneath()).xDelete.unwrap_unchecked();
        let (Some(path), Some(disk)) = (path, disk) else {
            return delete(beneath(), name, sync_directory);
        };
        let mut disk = disk::locked(&disk);
        if let Some(code) = disk.verdict(Call::Delete) {
            return code;
        }
        let code = delete(beneath(), name, 0);
        if code == ffi::SQLITE_OK {
            disk.remains.deleted(path, sync_directory != 0);
        }
        code
    }
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: as in `delete`; `result` is where the answer goes.
    unsafe {
        let disk = path(name).and_then(disk::holding);
        if let Some(code) = disk.and_then(|disk| disk::locked(&disk).verdict(Call::Access)) {
            return code;
        }
        (*beneath()).xAccess.unwrap_unchecked()(beneath(), name, flags, result)
    }
}

/// Nobody waits for locks: those of these disks do not change meanwhile.
unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}
