//! What the event handler does within a turn.

use crate::run::{Options, Run};

#[test]
fn letters_are_written_before_the_signatures_at_the_end_of_a_turn() {
    for shards in [1, 2] {
        let mut run = Run::new(Options::calm(2, shards));
        run.write(0, 1);
        run.until_all_has_come();
        // They know each other's keys now, so this one goes straight through.
        let before = run.process().early_letters();
        run.write(0, 1);
        run.until_all_has_come();
        assert_eq!(run.process().early_letters(), before + 1, "with {shards} shards");
    }
}

#[test]
fn a_client_is_not_read_from_while_its_request_to_reconnect_waits() {
    let mut run = Run::new(Options::calm(1, 1));
    run.until_all_are_there();
    assert_eq!(run.process().pauses(), 1);
}
