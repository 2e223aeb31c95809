//! The bytes a connection still has to send.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;

/// A queue of owned and shared buffers. Empty, it holds no memory.
#[derive(Debug, Default)]
pub(crate) struct Output {
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that are sent already.
    sent: usize,
    unsent: usize,
}

#[derive(Debug)]
enum Chunk {
    Owned(Vec<u8>),
    Shared(Arc<[u8]>),
}

/// Why writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Everything is sent.
    Empty,
    /// The socket takes no more for now.
    Blocked,
    /// The budget is used up; the socket may take more.
    Spent,
}

impl Output {
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unsent == 0
    }

    /// Queues a copy. Small pieces are collected, so that a queue of many is not mostly overhead.
    pub(crate) fn push_copy(&mut self, bytes: &[u8]) {
        self.unsent += bytes.len();
        if let Some(Chunk::Owned(last)) = self.chunks.back_mut()
            && last.len() + bytes.len() <= COLLECT
        {
            last.extend_from_slice(bytes);
        } else {
            self.push(Chunk::Owned(bytes.to_vec()));
        }
    }

    pub(crate) fn push_owned(&mut self, bytes: Vec<u8>) {
        self.unsent += bytes.len();
        self.push(Chunk::Owned(bytes));
    }

    pub(crate) fn push_shared(&mut self, bytes: Arc<[u8]>) {
        self.unsent += bytes.len();
        self.push(Chunk::Shared(bytes));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes until all is sent, the socket blocks, or `budget` bytes have gone.
    pub(crate) fn write_to(&mut self, to: &mut impl Write, budget: usize) -> io::Result<Progress> {
        let mut left = budget;
        while !self.is_empty() {
            if left == 0 {
                return Ok(Progress::Spent);
            }
            match self.write_once(to, left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.advance(n);
                    left = left.saturating_sub(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(e) => return Err(e),
            }
        }
        Ok(Progress::Empty)
    }

    fn write_once(&self, to: &mut impl Write, limit: usize) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        let mut left = limit;
        let mut skip = self.sent;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            let bytes = chunk.bytes().get(skip..).unwrap_or_default();
            skip = 0;
            let bytes = bytes.get(..left).unwrap_or(bytes);
            *slice = IoSlice::new(bytes);
            used += 1;
            left -= bytes.len();
            if left == 0 {
                break;
            }
        }
        to.write_vectored(slices.get(..used).unwrap_or_default())
    }

    fn push(&mut self, chunk: Chunk) {
        // An empty chunk would make a write of nothing, which looks like a dead socket.
        if !chunk.bytes().is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    fn advance(&mut self, n: usize) {
        self.unsent = self.unsent.saturating_sub(n);
        self.sent += n;
        while let Some(first) = self.chunks.front() {
            let len = first.bytes().len();
            if self.sent < len {
                return;
            }
            self.sent -= len;
            self.chunks.pop_front();
        }
        self.clear();
    }
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Buffers handed to the kernel in one call.
const SLICES: usize = 64;
/// Copies are appended to the last buffer up to this size.
const COLLECT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time, with an interruption before each and a block every third.
    #[derive(Default)]
    struct Reluctant {
        taken: Vec<u8>,
        calls: usize,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                1 => Err(io::ErrorKind::Interrupted.into()),
                _ => {
                    let n = bytes.len().min(7);
                    self.taken.extend_from_slice(&bytes[..n]);
                    Ok(n)
                }
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn order_survives_partial_writes() {
        let mut output = Output::default();
        let mut expected = Vec::new();
        for n in 0..100u8 {
            let bytes = vec![n; usize::from(n)];
            expected.extend_from_slice(&bytes);
            match n % 3 {
                0 => output.push_copy(&bytes),
                1 => output.push_owned(bytes),
                _ => output.push_shared(bytes.into()),
            }
        }
        assert_eq!(output.unsent(), expected.len());

        let mut socket = Reluctant::default();
        while output.write_to(&mut socket, 1000).unwrap() != Progress::Empty {}
        assert_eq!(socket.taken, expected);
        assert_eq!((output.unsent(), output.chunks.capacity()), (0, 0));
    }

    #[test]
    fn the_budget_ends_a_turn() {
        let mut output = Output::default();
        output.push_owned(vec![1; 100]);
        output.push_owned(vec![2; 100]);
        let mut socket = Vec::new();
        assert_eq!(output.write_to(&mut socket, 130).unwrap(), Progress::Spent);
        assert_eq!((socket.len(), output.unsent()), (130, 70));
        assert_eq!(output.write_to(&mut socket, 130).unwrap(), Progress::Empty);
        assert_eq!(socket, [[1; 100], [2; 100]].concat());
    }

    #[test]
    fn small_copies_are_collected() {
        let mut output = Output::default();
        for _ in 0..COLLECT {
            output.push_copy(b"x");
        }
        assert_eq!(output.chunks.len(), 1);
        output.push_copy(b"x");
        assert_eq!(output.chunks.len(), 2);
    }
}
