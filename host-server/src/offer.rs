//! What is asked of another thread, and can be taken back as long as that has not begun with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::mpsc::Receiver;

/// Which of two is first: the thread that begins with something, or the one that asked and takes it back.
#[derive(Clone, Debug, Default)]
pub struct Offer(Arc<AtomicBool>);

impl Offer {
    /// Whether the caller is the first. It has to be then that this begins, or is never begun.
    #[must_use]
    pub fn claim(&self) -> bool {
        !self.0.swap(true, AcqRel)
    }
}

/// Something that was asked, and where the answer comes.
#[derive(Debug)]
pub struct Offered<T> {
    /// Takes it back, if it is not too late.
    pub offer: Offer,
    /// Disconnected when nobody will answer.
    pub answer: Receiver<T>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_is_not_begun_and_what_was_begun_is_not_taken_back() {
        let asked = Offer::default();
        let begun = asked.clone();
        assert!(begun.claim() && !asked.claim() && !begun.claim());
    }
}
