//! What is to go out: a queue of whole packets in the caller's buffer.

use crate::wire::Full;

/// Packets back to back. The last ones may be *composed*: written, and not yet free to go.
pub(super) struct Outbound<B> {
    buffer: B,
    /// What has gone out of the front already.
    start: usize,
    /// The end of what may go.
    free: usize,
    /// Where the packet begins that was written last.
    last: usize,
    /// The end of what is written.
    end: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Outbound<B> {
    pub(super) const fn new(buffer: B) -> Self {
        Self { buffer, start: 0, free: 0, last: 0, end: 0 }
    }

    /// What may go out.
    // Asked for in many places, and a call is shorter.
    #[inline(never)]
    pub(super) fn pending(&self) -> &[u8] {
        self.buffer.as_ref().get(self.start..self.free).unwrap_or_default()
    }

    /// So many bytes have gone out; gives back how many there were.
    pub(super) fn advance(&mut self, count: usize) -> usize {
        let count = count.min(self.free.saturating_sub(self.start));
        self.start = self.start.saturating_add(count);
        if self.start == self.end {
            (self.start, self.free, self.last, self.end) = (0, 0, 0, 0);
        }
        count
    }

    /// The room behind what is written; a packet written there is composed until
    /// [`Outbound::release`]. All of the buffer is room again when all that was written has gone.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.buffer.as_mut().get_mut(self.end..).unwrap_or_default()
    }

    /// Bytes of [`Outbound::room`].
    pub(super) fn spare(&self) -> usize {
        self.buffer.as_ref().len().saturating_sub(self.end)
    }

    /// So many bytes were written to the front of [`Outbound::room`].
    pub(super) fn compose(&mut self, count: usize) {
        self.last = self.end;
        self.end = self.end.saturating_add(count).min(self.buffer.as_ref().len());
    }

    /// Whether a packet is composed, and may not go yet.
    pub(super) const fn has_composed(&self) -> bool {
        self.free < self.end
    }

    /// What is composed: of several packets, the last.
    pub(super) fn composed(&self) -> &[u8] {
        let from = self.free.max(self.last);
        self.buffer.as_ref().get(from..self.end).unwrap_or_default()
    }

    /// What is composed may go.
    pub(super) fn release(&mut self) {
        self.free = self.end;
    }

    /// Removes the last packet that is composed.
    pub(super) fn discard_last(&mut self) {
        self.end = self.free.max(self.last);
    }

    /// Removes what is composed.
    pub(super) fn discard(&mut self) {
        self.end = self.free;
    }

    /// Appends a packet as it is.
    pub(super) fn push(&mut self, packet: &[u8]) -> Result<(), Full> {
        let place = self.room().get_mut(..packet.len()).ok_or(Full)?;
        for (to, from) in place.iter_mut().zip(packet) {
            *to = *from;
        }
        self.compose(packet.len());
        self.release();
        Ok(())
    }

    pub(super) fn into_buffer(self) -> B {
        self.buffer
    }
}
