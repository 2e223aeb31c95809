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
    /// The last of so many equal parts is for those who have little.
    const PARTS: u64 = 8;
    /// Little is one of so many equal parts.
    const LITTLE: u64 = 1_024;

    /// Whether somebody who has `held` of it may take `more`.
    ///
    /// In the last eighth nobody comes to hold more than a 1,024th of the whole, or takes once. So
    /// however much some have, and in whatever order they came, it takes more than a hundred of
    /// them to leave nothing to whoever has nothing.
    #[must_use]
    pub const fn has_room(self, held: u64, more: u64) -> bool {
        let free = self.capacity.saturating_sub(self.taken);
        let begins_last_part = free <= self.capacity / Self::PARTS;
        let has_little = held == 0 || held.saturating_add(more) <= self.capacity / Self::LITTLE;
        more <= free && (!begins_last_part || has_little)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What so many who never have enough leave, one after the other.
    fn left_by(greedy: u64, most: u64, capacity: u64) -> u64 {
        let mut taken = 0;
        for _ in 0..greedy {
            let mut held = 0;
            while held < most && (Room { capacity, taken }).has_room(held, 1) {
                (held, taken) = (held + 1, taken + 1);
            }
        }
        capacity - taken
    }

    #[test]
    fn greedy_ones_leave_room_for_those_who_have_nothing() {
        assert_eq!(left_by(1, 960, 960), 120);
        assert_eq!(left_by(14, 200, 960), 120 - 9);
        assert_eq!(left_by(10, 1_000, 10_000), 1_250 - 9);
        assert_eq!(left_by(100, 1_000, 10_000), 1_250 - 91 * 9);
    }

    #[test]
    fn before_the_last_eighth_everybody_takes_what_they_like() {
        let room = Room { capacity: 8_192, taken: 7_167 };
        assert!(room.has_room(7_167, 1));
        assert!(room.has_room(0, 1_025));
        assert!(!room.has_room(0, 1_026));
        let room = Room { taken: 7_168, ..room };
        assert!(room.has_room(0, 1_024));
        assert!(room.has_room(7, 1));
        assert!(!room.has_room(7, 2));
        assert!(!room.has_room(8, 1));
    }

    #[test]
    fn what_is_too_small_for_eighths_is_shared_by_whoever_comes_first() {
        let room = Room { capacity: 3, taken: 2 };
        assert!(room.has_room(2, 1));
        assert!(!Room { taken: 3, ..room }.has_room(0, 1));
    }
}
