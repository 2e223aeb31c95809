//! How many letters count somewhere, of how many bytes, and how full that makes it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeBounds;

use hashbrown::HashMap;

use super::output::Limit;
use super::report::Fullness;
use super::storage::SenderUsage;
use crate::id::UserId;

/// Pending letters, of one sender or of all together, in one mailbox or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) letters: u32,
    pub(super) bytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, bytes: u64) {
        self.letters = self.letters.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn remove(&mut self, bytes: u64) {
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether there is room for another letter. If not, it is the first of `limits` that does not let so many
    /// letters in, or the second one that does not let so many bytes in.
    pub(super) const fn admits(
        self,
        bytes: u64,
        (letters_max, bytes_max): Most,
        [letters, all_bytes]: [Limit; 2],
    ) -> Result<(), Limit> {
        if self.letters >= letters_max {
            Err(letters)
        } else if self.bytes.saturating_add(bytes) > bytes_max {
            Err(all_bytes)
        } else {
            Ok(())
        }
    }
}

/// What each sender has pending, in one mailbox or in all.
#[derive(Debug, Default)]
pub(super) struct BySender {
    /// Nobody who has nothing pending.
    senders: HashMap<UserId, Count>,
}

impl FromIterator<SenderUsage> for BySender {
    fn from_iter<I: IntoIterator<Item = SenderUsage>>(usage: I) -> Self {
        let count = |SenderUsage { sender, letters, bytes }| (sender, Count { letters, bytes });
        Self { senders: usage.into_iter().map(count).collect() }
    }
}

impl BySender {
    /// What this sender has pending.
    pub(super) fn of(&self, sender: UserId) -> Count {
        self.senders.get(&sender).copied().unwrap_or_default()
    }

    /// Counts a letter in.
    pub(super) fn add(&mut self, sender: UserId, bytes: u64) {
        self.senders.entry(sender).or_default().add(bytes);
    }

    /// Counts a letter out.
    pub(super) fn remove(&mut self, sender: UserId, bytes: u64) {
        if let Some(count) = self.senders.get_mut(&sender) {
            count.remove(bytes);
            if count.letters == 0 {
                self.senders.remove(&sender);
            }
        }
    }

    /// Whether this sender has something pending.
    pub(super) fn contains(&self, sender: UserId) -> bool {
        self.senders.contains_key(&sender)
    }

    /// Everybody who has something pending, and what.
    pub(super) fn iter(&self) -> impl Iterator<Item = (UserId, Count)> {
        self.senders.iter().map(|(sender, count)| (*sender, *count))
    }

    /// How many senders have something pending.
    #[cfg(feature = "testing")]
    pub(super) fn len(&self) -> usize {
        self.senders.len()
    }
}

/// How many letters something may hold, and of how many bytes.
pub(super) type Most = (u32, u64);

/// Those of one kind that are at least half full, by what names them. Only they are kept, so that a letter
/// costs hardly anything as long as there is room, and nobody has to look at all of them to count them.
#[derive(Debug)]
pub(super) struct Filling<K> {
    known: BTreeMap<K, (Count, u8)>,
    /// How many of them are how full, in percent from [`HALF`] on.
    by_percent: [usize; 51],
}

/// From here on it is worth keeping how full something is, in percent.
const HALF: u8 = 50;

impl<K: Copy + Ord> Default for Filling<K> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), by_percent: [0; 51] }
    }
}

impl<K: Copy + Ord> Filling<K> {
    /// Something holds so much now.
    pub(super) fn note(&mut self, key: K, count: Count, most: Most) {
        let percent = percent(count, most);
        let before = if percent >= HALF {
            self.known.insert(key, (count, percent))
        } else {
            self.known.remove(&key)
        };
        if let Some((_, before)) = before {
            self.at(before, |count| count.saturating_sub(1));
        }
        if percent >= HALF {
            self.at(percent, |count| count.saturating_add(1));
        }
    }

    /// A letter has left something of which nobody knows any more what it holds in all.
    pub(super) fn removed(&mut self, key: K, bytes: u64, most: Most) {
        if let Some((mut count, _)) = self.known.get(&key).copied() {
            count.remove(bytes);
            self.note(key, count, most);
        }
    }

    /// Something is no more.
    pub(super) fn forget(&mut self, key: K) {
        self.note(key, Count::default(), (1, 1));
    }

    /// What is kept of these.
    pub(super) fn among(&self, keys: impl RangeBounds<K>) -> Vec<K> {
        self.known.range(keys).map(|(key, _)| *key).collect()
    }

    /// Each may hold something else now. What is less than half full is looked at when it changes.
    pub(super) fn judge_again(&mut self, most: impl Fn(&K) -> Most) {
        let all: Vec<_> = self.known.iter().map(|(key, (count, _))| (*key, *count)).collect();
        for (key, count) in all {
            self.note(key, count, most(&key));
        }
    }

    /// In numbers.
    pub(super) fn fullness(&self) -> Fullness {
        let taken = (HALF..).zip(self.by_percent).filter(|(_, count)| *count > 0);
        Fullness {
            fullest_percent: taken.clone().map(|(percent, _)| percent).last().unwrap_or_default(),
            nearly_full: taken
                .filter(|(percent, _)| *percent >= Fullness::NEARLY)
                .map(|(_, n)| n)
                .sum(),
        }
    }

    fn at(&mut self, percent: u8, change: impl Fn(usize) -> usize) {
        let place = usize::from(percent.saturating_sub(HALF));
        if let Some(count) = self.by_percent.get_mut(place) {
            *count = change(*count);
        }
    }
}

/// How full it is, by letters or by bytes, whichever is more.
fn percent(count: Count, (letters, bytes): Most) -> u8 {
    let of = |held: u64, most: u64| match held {
        0 => 0,
        held => held.saturating_mul(100).checked_div(most).map_or(100, |percent| percent.min(100)),
    };
    let percent = of(count.letters.into(), letters.into()).max(of(count.bytes, bytes));
    u8::try_from(percent).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = (10, 1_000);

    fn held(letters: u32, bytes: u64) -> Count {
        Count { letters, bytes }
    }

    fn fullness(filling: &Filling<u8>) -> (u8, usize) {
        let Fullness { fullest_percent, nearly_full } = filling.fullness();
        (fullest_percent, nearly_full)
    }

    #[test]
    fn what_is_at_least_half_full_by_letters_or_by_bytes_is_known() {
        let mut filling = Filling::default();
        filling.note(1, held(4, 499), MOST);
        assert_eq!(fullness(&filling), (0, 0));
        filling.note(1, held(5, 499), MOST);
        assert_eq!(fullness(&filling), (50, 0));
        filling.note(2, held(1, 799), MOST);
        assert_eq!(fullness(&filling), (79, 0));
        filling.note(2, held(2, 800), MOST);
        filling.note(3, held(10, 10), MOST);
        assert_eq!(fullness(&filling), (100, 2));
        filling.removed(3, 1, MOST);
        assert_eq!(fullness(&filling), (90, 2));
        filling.forget(3);
        filling.note(2, held(0, 0), MOST);
        assert_eq!(fullness(&filling), (50, 0));
        filling.removed(9, 1, MOST);
        assert_eq!(filling.among(..), [1]);
    }

    #[test]
    fn with_other_limits_the_same_is_another_share() {
        let mut filling = Filling::default();
        (1..=3).for_each(|key| filling.note(key, held(9, 0), MOST));
        filling.judge_again(|key| (if *key == 1 { 100 } else { 9 }, 1_000));
        assert_eq!(fullness(&filling), (100, 2));
        assert_eq!(filling.among(..), [2, 3]);
    }

    #[test]
    fn what_may_hold_nothing_and_holds_something_is_full() {
        assert_eq!(percent(held(1, 1), (0, 0)), 100);
        assert_eq!(percent(held(0, 0), (0, 0)), 0);
        assert_eq!(percent(held(u32::MAX, u64::MAX), (1, 1)), 100);
    }
}
