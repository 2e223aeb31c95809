//! Reading and writing that ends in time.
//!
//! Sockets here do not block. Their own time limits would be for one call each, and whoever takes or
//! gives a byte now and then would make a line last for ever.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The end of what begins now and may take so long.
pub(super) fn deadline(patience: Duration) -> Instant {
    let now = Instant::now();
    // Whoever wants to wait longer than clocks go does not mean it.
    now.checked_add(patience).unwrap_or(now + Duration::from_hours(24))
}

/// Reads what is there, or waits for it. Nothing is the end of the stream.
pub(super) fn read<'s, S: AsFd>(
    mut stream: &'s S,
    into: &mut [u8],
    deadline: Instant,
) -> io::Result<usize>
where
    &'s S: Read,
{
    loop {
        match stream.read(into) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                until_ready(stream, PollFlags::IN, deadline)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Writes all of it.
pub(super) fn write<'s, S: AsFd>(
    mut stream: &'s S,
    mut bytes: &[u8],
    deadline: Instant,
) -> io::Result<()>
where
    &'s S: Write,
{
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                until_ready(stream, PollFlags::OUT, deadline)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until the deadline, or until the connection has ended, which is said by an error. A peer that
/// has only stopped writing is still there.
pub(super) fn while_open(stream: &impl AsFd, deadline: Instant) -> io::Result<()> {
    match until_ready(stream, PollFlags::empty(), deadline) {
        Ok(()) => Err(ErrorKind::BrokenPipe.into()),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(()),
        Err(error) => Err(error),
    }
}

fn until_ready(stream: &impl AsFd, what: PollFlags, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left_for_poll = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(stream, what)], Some(&left_for_poll)) {
            Ok(0) if left.is_zero() => return Err(ErrorKind::TimedOut.into()),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
