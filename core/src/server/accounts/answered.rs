//! Which 106s were answered: none is answered twice.

use alloc::collections::VecDeque;

use hashbrown::HashSet;

use crate::id::PacketId;

/// The ids of 106s that were answered: such a one is not answered again.
#[derive(Debug, Default)]
pub(super) struct AnsweredReconnects {
    ids: HashSet<PacketId>,
    order: VecDeque<PacketId>,
}

impl AnsweredReconnects {
    const CAPACITY: usize = 16_384;

    pub(super) fn contains(&self, id: PacketId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn note(&mut self, id: PacketId) {
        self.ids.insert(id);
        self.order.push_back(id);
        if self.order.len() > Self::CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_answered_106s_are_remembered_as_there_is_room_for() {
        let id = |n: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(n as u64).to_le_bytes());
            PacketId(id)
        };
        let full = AnsweredReconnects::CAPACITY;
        let mut answered = AnsweredReconnects::default();
        (0..full).for_each(|n| answered.note(id(n)));
        assert!((0..full).all(|n| answered.contains(id(n))));
        answered.note(id(full));
        assert!(!answered.contains(id(0)), "the oldest goes");
        assert!((1..=full).all(|n| answered.contains(id(n))));
    }
}
