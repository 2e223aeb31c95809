//! A thin driver over `embedded_io`: a UART on a device, a non-blocking socket on a host.

use embedded_io::{Read, ReadReady, Write, WriteReady};

use super::{Client, Env};
use crate::crypto::Provider;
use crate::time::Instant;

/// What a step has moved, and how long there is nothing to do when it moved nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Moved {
    /// Bytes that came from the server and lie in the machine.
    pub read: usize,
    /// Bytes that the stream has taken for the server.
    pub written: usize,
    /// When nothing has moved, and neither [`Client::poll`] nor the program found anything to do:
    /// wait until the stream is ready, or until this moment, and then drive again.
    pub wait_until: Option<Instant>,
}

impl Moved {
    /// Whether nothing went in either direction.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.read == 0 && self.written == 0
    }
}

/// The stream is over. What had come before may still lie in the machine: [`Client::poll`] gives it
/// out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriveError<E: core::fmt::Debug> {
    /// The server has closed the stream.
    #[error("the server closed the connection")]
    EndOfStream,
    /// The stream failed, with its own error.
    #[error("the stream failed: {0:?}")]
    Stream(E),
}

/// Moves bytes while the stream is ready and the machine has room, first out, then in, up to one
/// packet; then tells the machine the time. It never blocks: each direction is asked whether it is
/// ready. Afterwards call [`Client::poll`] until it gives nothing, also when this has failed.
///
/// # Errors
/// [`DriveError`] when the stream is over. That is no [`Ended`](super::Ended): the machine does not
/// know of it, and the program decides what comes next.
pub fn drive<P, B, S, const WINDOW: usize>(
    client: &mut Client<'_, P, B, WINDOW>,
    stream: &mut S,
    env: &mut Env<'_>,
) -> Result<Moved, DriveError<S::Error>>
where
    P: Provider,
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: Read + ReadReady + Write + WriteReady,
{
    let mut moved = Moved::default();
    while !client.transmit().is_empty() && stream.write_ready().map_err(DriveError::Stream)? {
        let count = stream.write(client.transmit()).map_err(DriveError::Stream)?;
        client.transmitted(count);
        moved.written = moved.written.saturating_add(count);
    }
    while !client.receive_buffer().is_empty() && stream.read_ready().map_err(DriveError::Stream)? {
        let count = stream.read(client.receive_buffer()).map_err(DriveError::Stream)?;
        if count == 0 {
            return Err(DriveError::EndOfStream);
        }
        client.received(count);
        moved.read = moved.read.saturating_add(count);
    }
    client.timeout(env);
    moved.wait_until = client.poll_timeout();
    Ok(moved)
}
