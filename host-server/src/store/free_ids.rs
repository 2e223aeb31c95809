//! Ids that nobody has.

use waxwing_core::id::UserId;

/// Ids that are none of the `known`, in the order in which a server gives them out: above all that it knows,
/// and then from the first on.
pub(super) fn next(known: &[UserId], count: usize) -> Vec<UserId> {
    let mut taken = vec![false; usize::from(u16::MAX) + 1];
    let mut last = 0;
    for id in known {
        last = last.max(id.get());
        taken[usize::from(id.get())] = true;
    }
    let all = (last..=u16::MAX).chain(1..=last).filter_map(UserId::new);
    all.filter(|id| !taken[usize::from(id.get())]).take(count).collect()
}

/// How many there are.
pub(super) fn count(known: &[UserId]) -> usize {
    usize::from(u16::MAX).saturating_sub(known.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_ids_are_those_that_a_server_would_give_out() {
        let ids = |ids: &[u16]| ids.iter().copied().filter_map(UserId::new).collect::<Vec<_>>();
        assert_eq!(next(&[], 3), ids(&[1, 2, 3]));
        assert_eq!(next(&ids(&[2, 5]), 3), ids(&[6, 7, 8]));
        let known = ids(&[2, 5, 7, 65_533]);
        assert_eq!(next(&known, 5), ids(&[65_534, 65_535, 1, 3, 4]));
        assert_eq!(next(&known, 0), []);
        assert_eq!(next(&known, 70_000).len(), 65_535 - 4);
        assert_eq!(count(&known), 65_535 - 4);
    }
}
