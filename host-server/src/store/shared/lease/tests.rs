use super::*;

const LEASE: Duration = Duration::from_secs(5);
const HERE: Node = Node(1);
const THERE: Node = Node(2);
const ME: Instance = Instance(11);

fn mark(epoch: u64, group: u64) -> Mark {
    Mark { epoch: Epoch(epoch), group }
}

/// A node has the lease in an epoch, and these are the newest marks.
fn seen(node: Node, epoch: u64, marks: [Mark; 2]) -> Seen {
    Seen {
        lease: LeaseRow { epoch: Epoch(epoch), holder: Some((node, Instance(22))) },
        last: marks[1],
        before_last: Some(marks[0]),
        oldest: 1,
        at_witnessed: None,
        is_doubtful: false,
    }
}

fn busy(group: u64) -> Seen {
    seen(THERE, 3, [mark(3, group - 1), mark(3, group)])
}

#[test]
fn a_standby_takes_over_after_the_whole_lease_without_a_change() {
    let mut standby = Standby::new(HERE, LEASE, Instant::default());
    let mut now = standby.poll_timeout();
    for _ in 0..5 {
        assert_eq!(standby.saw(&busy(7), None, now), Verdict::Wait, "too early");
        now = standby.poll_timeout();
    }
    assert_eq!(now.since(Instant::default()), LEASE);
    assert_eq!(standby.saw(&busy(7), None, now), Verdict::Take);
}

#[test]
fn whatever_the_holder_does_starts_the_count_anew() {
    let renewed = seen(THERE, 4, [mark(3, 6), mark(3, 7)]);
    for change in [Some(busy(8)), Some(renewed), None] {
        let begin = Instant::default();
        let mut standby = Standby::new(HERE, LEASE, begin);
        assert_eq!(standby.saw(&busy(7), None, begin), Verdict::Wait);
        let later = begin.after(LEASE - Duration::from_millis(1));
        match change {
            Some(change) => assert_eq!(standby.saw(&change, None, later), Verdict::Wait),
            None => standby.saw_nothing(later),
        }
        let now = standby.saw(&change.unwrap_or(busy(7)), None, begin.after(LEASE));
        assert_eq!(now, Verdict::Wait, "{change:?}");
    }
}

#[test]
fn a_lease_that_was_given_back_or_is_of_the_same_node_is_taken_at_once() {
    let own = seen(HERE, 3, [mark(3, 6), mark(3, 7)]);
    let free = Seen { lease: LeaseRow { holder: None, ..own.lease }, ..own };
    for at_once in [own, free] {
        let mut standby = Standby::new(HERE, LEASE, Instant::default());
        assert_eq!(standby.saw(&at_once, None, Instant::default()), Verdict::Take);
    }
}

#[test]
fn nobody_takes_over_a_storage_that_has_lost_something() {
    let here = seen(HERE, 3, [mark(3, 6), mark(3, 7)]);
    let verdict = |seen: Seen, witnessed| {
        Standby::new(HERE, LEASE, Instant::default()).saw(&seen, witnessed, Instant::default())
    };
    assert_eq!(verdict(here, Some(mark(3, 8))), Verdict::Lost);
    assert_eq!(verdict(Seen { is_doubtful: true, ..here }, None), Verdict::Lost);
    let other = Seen { at_witnessed: Some(mark(3, 6)), ..here };
    assert_eq!(verdict(other, Some(mark(2, 6))), Verdict::Lost, "it has gone another way");
    assert_eq!(verdict(other, Some(mark(3, 6))), Verdict::Take);
    let later = Seen { oldest: 7, ..here };
    assert_eq!(verdict(later, Some(mark(2, 6))), Verdict::Take, "too old to be kept");
}

#[test]
fn what_was_witnessed_before_an_adoption_is_not_missed_after_it() {
    let witnessed = mark(9, 80);
    let adopted = Epoch(3).adopted(Some(witnessed));
    let here = seen(HERE, adopted.0, [mark(3, 6), mark(3, 7)]);
    assert!(!here.lacks(witnessed));
    assert_eq!(here.to_witness(Some(witnessed)), Some(mark(3, 6)));
    let before = seen(HERE, 3, [mark(3, 6), mark(3, 7)]);
    let since = Mark { epoch: adopted.next(), group: 7 };
    assert!(before.lacks(since), "an older copy from before the adoption");
    assert!(Epoch(3).adopted(Some(since)) > since.epoch);
}

#[test]
fn what_was_witnessed_of_a_storage_is_not_missed_in_one_that_was_filled_later() {
    let at = |seconds: i64| UnixTime::from_seconds(1_790_000_000 + seconds);
    let before = Epoch::of_copy(at(0));
    let witnessed = Mark { epoch: before.adopted(None).next(), group: 80 };
    let here = seen(HERE, Epoch::of_copy(at(9)).0, [mark(0, 0), mark(0, 1)]);
    assert!(!here.lacks(witnessed));
    let there = seen(HERE, before.0, [mark(0, 0), mark(0, 1)]);
    assert!(there.lacks(Mark { epoch: Epoch::of_copy(at(9)), group: 1 }), "the one before");
    assert!(
        i64::try_from(Epoch::of_copy(UnixTime::from_seconds(i64::MAX)).adopted(None).0).is_ok()
    );
}

#[test]
fn a_standby_witnesses_the_mark_before_the_last_and_never_an_older_one() {
    assert_eq!(busy(7).to_witness(None), Some(mark(3, 6)));
    assert_eq!(busy(7).to_witness(Some(mark(3, 5))), Some(mark(3, 6)));
    for newer in [6, 7] {
        assert_eq!(busy(7).to_witness(Some(mark(3, newer))), None);
    }
}

#[test]
fn a_renewed_lease_says_what_has_become_of_the_group() {
    let verdict = |is_unclear: bool, found: Option<Renewed>| {
        let mut holder = Holder::new(ME, Renewed { epoch: Epoch(3), last: mark(2, 40) });
        assert_eq!(holder.fence().mark(), mark(3, 41));
        if is_unclear {
            holder.lost_the_answer();
        }
        let renewal = holder.renewed(found);
        (renewal, holder.fence().epoch.0, holder.fence().last)
    };
    let found = |epoch, last| Some(Renewed { epoch: Epoch(epoch), last });
    let done = (Renewal::Done, 4, mark(3, 41));
    assert_eq!(verdict(true, found(4, mark(3, 41))), done);
    assert_eq!(verdict(true, found(6, mark(3, 41))), (Renewal::Done, 6, mark(3, 41)));
    for is_unclear in [true, false] {
        let not_done = (Renewal::NotDone, 4, mark(2, 40));
        assert_eq!(verdict(is_unclear, found(4, mark(2, 40))), not_done);
    }
    assert_eq!(verdict(true, None).0, Renewal::Fenced);
    for (is_unclear, lost) in [
        (true, found(4, mark(2, 39))),
        (true, found(3, mark(3, 41))),
        (true, found(3, mark(2, 40))),
        (true, found(4, mark(3, 42))),
        (true, found(4, mark(2, 41))),
        (false, found(4, mark(2, 39))),
        (false, found(4, mark(3, 41))),
    ] {
        assert_eq!(verdict(is_unclear, lost).0, Renewal::Lost, "{is_unclear} {lost:?}");
    }
}

#[test]
fn a_holder_goes_on_behind_the_last_group_that_has_happened() {
    let mut holder = Holder::new(ME, Renewed { epoch: Epoch(3), last: mark(2, 40) });
    holder.done();
    assert_eq!(holder.fence().last, mark(3, 41));
    holder.lost_the_answer();
    let found = Renewed { epoch: Epoch(4), last: mark(3, 42) };
    assert_eq!(holder.renewed(Some(found)), Renewal::Done);
    assert_eq!(holder.fence().mark(), mark(4, 43));
    let found = Renewed { epoch: Epoch(5), last: mark(3, 42) };
    assert_eq!(holder.renewed(Some(found)), Renewal::NotDone, "nothing was unclear any more");
}
