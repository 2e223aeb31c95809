//! A thin driver over `embedded_io`: a UART on a device, a non-blocking socket on a host.

use embedded_io::{Read, ReadReady, Write, WriteReady};

use super::Client;
use crate::crypto::Provider;

/// How many bytes a step moved. Nothing in either direction means that there is time to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Moved {
    /// From the server.
    pub read: usize,
    /// To the server.
    pub written: usize,
}

/// The stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriveError<E: core::fmt::Debug> {
    /// The server has closed it.
    #[error("the server closed the connection")]
    EndOfStream,
    /// It failed.
    #[error("the stream failed: {0:?}")]
    Stream(E),
}

/// Moves bytes while the stream is ready and the machine has room, first out, then in, up to one
/// packet. It never blocks: each direction is asked whether it is ready.
///
/// # Errors
/// [`DriveError`] when the stream is over.
pub fn drive<P, B, S, const WINDOW: usize>(
    client: &mut Client<'_, P, B, WINDOW>,
    stream: &mut S,
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
    Ok(moved)
}
