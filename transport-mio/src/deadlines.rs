//! Which connection must have made progress by when.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::slab::Token;

/// Sorted by time. A connection has at most one entry, removed with it, so nothing piles up.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(BTreeSet<(Instant, Token)>);

impl Deadlines {
    /// Replaces the deadline `old` of the connection by `new`.
    pub(crate) fn change(&mut self, token: Token, old: Option<Instant>, new: Option<Instant>) {
        if let Some(at) = old {
            self.0.remove(&(at, token));
        }
        if let Some(at) = new {
            self.0.insert((at, token));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Token> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, token)| token)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::slab::Slab;

    #[test]
    fn due_in_order_and_replaceable() {
        let mut slab = Slab::new();
        let [a, b, c] = [(); 3].map(|()| slab.insert_with(|_| Some(())).unwrap());
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));

        let mut deadlines = Deadlines::default();
        deadlines.change(a, None, at(3));
        deadlines.change(b, None, at(1));
        deadlines.change(c, None, at(2));
        deadlines.change(c, at(2), None);
        deadlines.change(a, at(3), at(2));

        assert_eq!(deadlines.next(), at(1));
        assert_eq!(deadlines.take_due(start), None);
        let late = start + Duration::from_secs(9);
        assert_eq!(deadlines.take_due(late), Some(b));
        assert_eq!(deadlines.take_due(late), Some(a));
        assert_eq!(deadlines.take_due(late), None);
    }
}
