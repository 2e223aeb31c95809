//! What may happen often, and is told at first and then from time to time.

use std::time::Duration;

use waxwing_core::time::Instant;

/// How often it has happened, and when that was last told.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    times: u64,
    told: Option<Instant>,
}

impl Repeated {
    /// Between two lines about the same.
    const PAUSE: Duration = Duration::from_mins(10);

    /// It has happened again. How often in all, if that is to be told now.
    pub(super) fn again(&mut self, now: Instant) -> Option<u64> {
        self.times += 1;
        let is_due = self.told.is_none_or(|told| now.since(told) >= Self::PAUSE);
        is_due.then(|| {
            self.told = Some(now);
            self.times
        })
    }

    /// It is over. How often it has happened, if it was told.
    pub(super) fn over(&mut self) -> Option<u64> {
        let Self { times, told } = std::mem::take(self);
        told.map(|_| times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once_and_again_after_a_while_and_so_is_its_end() {
        let at = |minutes| Instant::default().after(Duration::from_mins(minutes));
        let mut trouble = Repeated::default();
        assert_eq!(trouble.over(), None);
        assert_eq!(trouble.again(at(0)), Some(1));
        for minute in 1..10 {
            assert_eq!(trouble.again(at(minute)), None);
        }
        assert_eq!(trouble.again(at(10)), Some(11));
        assert_eq!(trouble.over(), Some(11));
        assert_eq!(trouble.over(), None);
    }
}
