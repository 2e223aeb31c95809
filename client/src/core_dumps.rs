//! No core dumps: the memory of this process holds a person's key and letters.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids them to this process and to what it starts.
///
/// A limit of 0 keeps Linux from writing a file. One of 1, too small for any file, also keeps it from
/// piping the dump to a program.
pub fn forbid() {
    let none = Rlimit { current: Some(1), maximum: Some(1) };
    // Refused where not even that much is allowed, and then no file is written either.
    let _ = setrlimit(Resource::Core, none);
}
