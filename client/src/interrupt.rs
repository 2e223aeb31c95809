//! Whether the person wants to stop. It counts from the moment at which the command begins to
//! watch, whatever it does meanwhile: while it works, nobody looks at what wakes it when it waits.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a person, or the system, sends to end a command.
pub(crate) const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

static HAS_COME: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Begins to watch. From here on the signals do not end the process by themselves.
///
/// # Errors
/// When the system refuses.
pub(crate) fn watch() -> io::Result<()> {
    for signal in SIGNALS {
        flag::register(signal, HAS_COME.clone())?;
    }
    Ok(())
}

/// Whether one of them has come.
pub(crate) fn has_come() -> bool {
    HAS_COME.load(Ordering::SeqCst)
}
