//! How something that many share stays open to those who have nothing of it.

/// Something of which there is only so much, such as the room of a mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// How much there is.
    pub capacity: u64,
    /// How much of it is taken, by all together.
    pub taken: u64,
}

impl Room {
    /// The last of so many equal parts is not for those who have much already.
    const PARTS: u64 = 8;

    /// Whether somebody who has `held` of it may take `more`.
    ///
    /// In the last eighth nobody comes to hold more than is free. So a few with much leave
    /// room for all others, however much they want, and whoever has nothing finds some until as
    /// many as there are places have taken one.
    #[must_use]
    pub const fn has_room(self, held: u64, more: u64) -> bool {
        let free = self.capacity.saturating_sub(self.taken);
        if more > free || held == 0 {
            return more <= free;
        }
        let last_part = match self.capacity.checked_div(Self::PARTS) {
            Some(part) => part,
            None => 0,
        };
        free > last_part || held.saturating_add(more) <= free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `greedy` who never have enough leave of so many places.
    fn left_by(greedy: u64, capacity: u64) -> u64 {
        let mut held = std::vec![0; usize::try_from(greedy).unwrap()];
        loop {
            let before: u64 = held.iter().sum();
            for nth in 0..held.len() {
                let taken = held.iter().sum();
                if (Room { capacity, taken }).has_room(held[nth], 1) {
                    held[nth] += 1;
                }
            }
            if held.iter().sum::<u64>() == before {
                return capacity - before;
            }
        }
    }

    #[test]
    fn greedy_ones_leave_room_for_those_who_have_nothing() {
        assert_eq!(left_by(1, 960), 120);
        assert_eq!(left_by(14, 960), 64);
        assert!(left_by(10, 10_000) >= 900);
        assert!(left_by(100, 10_000) >= 90);
        assert!(left_by(900, 1_000) > 0);
    }

    #[test]
    fn before_the_last_eighth_everybody_takes_what_they_like() {
        let room = Room { capacity: 800, taken: 699 };
        assert!(room.has_room(699, 1));
        assert!(room.has_room(0, 101));
        assert!(!room.has_room(0, 102));
        assert!(!Room { taken: 700, ..room }.has_room(700, 1));
        assert!(Room { taken: 700, ..room }.has_room(99, 1));
        assert!(!Room { taken: 700, ..room }.has_room(99, 2));
    }

    #[test]
    fn what_is_too_small_for_eighths_is_shared_by_whoever_comes_first() {
        let room = Room { capacity: 3, taken: 2 };
        assert!(room.has_room(2, 1));
        assert!(!Room { taken: 3, ..room }.has_room(0, 1));
    }
}
