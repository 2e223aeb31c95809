//! Payload of 222 (PROTOCOL.md, "Closing").

use super::{Full, Malformed, Reader, Writer};

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum CloseReason {
    /// The sender is leaving.
    Leaving = 1,
    /// The server stops; come back, with jitter.
    ServerStopping = 2,
    /// A newer session took over; do not come back unasked.
    TakenOver = 3,
    /// Letters were handed over and none was acknowledged.
    NoProgress = 4,
}

impl CloseReason {
    /// Reads the content.
    ///
    /// # Errors
    /// [`Malformed`] unless it is one known byte.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        let reason = match reader.u8()? {
            1 => Self::Leaving,
            2 => Self::ServerStopping,
            3 => Self::TakenOver,
            4 => Self::NoProgress,
            _ => return Err(Malformed),
        };
        reader.finish()?;
        Ok(reason)
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u8(self as u8)
    }
}
