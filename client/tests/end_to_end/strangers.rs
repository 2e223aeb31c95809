//! People whose letters one does not want, and letters that one does not want any more.

use crate::test_server::TestServer;

#[test]
fn letters_of_somebody_who_is_blocked_are_not_shown_and_the_sender_does_not_learn_it() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    bert.send(&anna, "hello").exits(0);
    anna.receives(&["hello"]);

    anna.run(&["block", &bert.phone]).exits(0).says("is blocked");
    anna.run(&["block", &bert.phone]).exits(0).says("was blocked already");
    anna.run(&["contacts"]).exits(0).says("not verified; blocked");
    bert.send(&anna, "are you there?").exits(0);
    anna.receives_nothing();
    bert.run(&["receive"]).exits(7);
    assert_eq!(bert.statuses(&anna), ["delivered", "delivered"]);
    // An answer to what she wrote would be discarded.
    let unblock = format!("waxwing unblock {}", bert.phone);
    anna.send(&bert, "no").exits(1).says(&unblock);
    anna.run(&["chat", &bert.phone]).exits(1).says(&unblock);

    anna.run(&["unblock", &bert.phone]).exits(0).says("not blocked any more");
    anna.run(&["unblock", &bert.phone]).exits(0).says("was not blocked");
    bert.send(&anna, "once more").exits(0);
    anna.receives(&["once more"]);
    assert_eq!(anna.history(&bert).len(), 2);
}

#[test]
fn somebody_of_whom_nothing_is_known_yet_can_be_blocked() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.run(&["block", &bert.phone]).exits(0);
    anna.run(&["contacts"]).exits(0).says("no key is known  blocked");
    bert.send(&anna, "hello").exits(0);
    anna.receives_nothing();
    anna.run(&["block", &anna.phone]).exits(2).says("your own phone number");
}

#[test]
fn what_is_deleted_is_in_no_history_and_is_not_received_again() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    bert.send(&anna, "one").exits(0);
    bert.send(&anna, "two").exits(0);
    anna.receives(&["one", "two"]);
    anna.send(&bert, "three").exits(0);

    anna.run(&["delete", &bert.phone]).exits(2).says("--all");
    anna.run(&["delete", &bert.phone, "--before", "31.1.2026"]).exits(2).says("YYYY-MM-DD");
    anna.run(&["delete"]).exits(2);
    let before = anna.run(&["delete", &bert.phone, "--before", "2026-01-31", "--yes"]).exits(0);
    assert_eq!(before.out, "deleted: 0 letters received and 0 letters written here\n");
    assert_eq!(anna.history(&bert).len(), 3);
    let all = anna.run(&["delete", &bert.phone, "--all", "--yes"]).exits(0);
    assert_eq!(all.out, "deleted: 2 letters received and 1 letter written here\n");
    assert_eq!(anna.history(&bert).len(), 0);

    bert.send(&anna, "four").exits(0);
    anna.receives(&["four"]);
    let strangers = anna.run(&["delete", "--strangers", "--yes"]).exits(0);
    assert_eq!(strangers.out, "deleted: 0 letters received\n");
    bert.run(&["receive"]).exits(0);
    let strangers = bert.run(&["delete", "--unreadable", "--yes"]).exits(0);
    assert_eq!(strangers.out, "deleted: 0 letters received\n");
}

#[test]
fn letters_are_deleted_while_another_process_holds_the_session() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    bert.send(&anna, "one").exits(0);
    let following = anna.start(&["receive", "--follow"]);
    following.wait_for_out(|out| out.contains("one"));
    let deleted = anna.run(&["delete", "--strangers", "--yes"]).exits(0);
    assert_eq!(deleted.out, "deleted: 1 letter received\n");
    anna.run(&["block", &bert.phone]).exits(0);
    bert.send(&anna, "two").exits(0);
    bert.run(&["send", &anna.phone, "three", "--wait", "delivered"]).exits(0);
    anna.run(&["unblock", &bert.phone]).exits(0);
    bert.send(&anna, "four").exits(0);
    let out = following.wait_for_out(|out| out.contains("four"));
    assert!(!out.contains("two") && !out.contains("three"), "{out}");
}

#[test]
fn letters_for_which_there_was_no_room_are_told_of_once() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let counts = "INSERT INTO discarded (quota, letters) \
                  VALUES ('stranger', 1), ('held', 37), ('unreadable', 2)";
    anna.database().execute(counts, []).unwrap();
    bert.send(&anna, "hello").exits(0);
    let received = anna.run(&["receive"]).exits(0);
    assert_eq!(received.out.lines().count(), 1, "{received:?}");
    received
        .says("1 letter was discarded, from people to whom you have never written")
        .says("`waxwing delete --strangers`")
        .says("37 letters were discarded that are not signed with the keys that are known")
        .says("2 letters were discarded that nobody is known to have signed")
        .says("`waxwing delete --unreadable`");
    let again = anna.run(&["receive"]).exits(7);
    assert!(!again.err.contains("discarded"), "{again:?}");
    anna.database().execute("UPDATE discarded SET letters = letters + 1", []).unwrap();
    let following = anna.run(&["receive", "--follow", "--timeout", "1"]).exits(7);
    following.says("1 letter was discarded that nobody is known to have signed");
}
