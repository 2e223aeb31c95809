//! The work on backups lets others go first.

/// Makes this thread, and those that it begins, nicer to all others, on a scale to 19. The whole server is
/// not meant.
#[cfg(target_os = "linux")]
pub(super) fn be_nice(by: i32) {
    if let Err(error) = rustix::process::setpriority_process(None, by) {
        tracing::debug!(%error, "the priority of the backup stays as it is");
    }
}

/// Elsewhere it would be the whole process.
#[cfg(not(target_os = "linux"))]
pub(super) fn be_nice(_: i32) {}
