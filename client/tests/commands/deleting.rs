//! What is taken away for ever, and what has to be said before that.

use clap::Parser;
use waxwing::args::Args;
use waxwing::home::{Begin, Fate, HandedOver, Recorded, Writing};
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid};

use crate::{OTHER, TestHome, at, phone, receive, shown, user};

#[test]
fn receipts_do_not_count_as_letters_that_were_deleted() {
    let test = TestHome::new();
    let writing = Writing::text("hi").unwrap();
    let outbox = test.home.outbox();
    let read = Writing::ReadReceipt(Uid([1; 16]));
    for (uid, writing) in [(2, &writing), (3, &read)] {
        let _ = outbox.queue(&Uid([uid; 16]), &phone(OTHER), writing, at(0)).unwrap();
        let _ = outbox.give_up(&Uid([uid; 16])).unwrap();
    }
    let _ = outbox.queue(&Uid([4; 16]), &phone(OTHER), &read, at(0)).unwrap();
    for (uid, content) in [(1, Content::Text("hello")), (5, Content::ReadReceipt(Uid([2; 16])))] {
        let fate = Fate::Opened { from: phone(OTHER), uid: Uid([uid; 16]), content };
        let packet_id = PacketId([uid; 16]);
        let (sender, sent_at, received_at) = (user(9), at(0), at(0));
        let letter = HandedOver { packet_id, sender, sent_at, received_at, fate };
        let _ = test.home.letters().record(&letter).unwrap();
    }
    let ran = test.run_by_program(&["delete", OTHER, "--all", "--yes"]);
    assert_eq!(ran.output, "deleted: 1 letter received and 1 letter written here\n");
    assert_eq!(ran.remarks, "");
}

#[test]
fn what_cannot_be_taken_back_is_done_after_a_yes_alone() {
    let test = TestHome::new();
    for (at, text) in [(1, "one"), (2, "two")] {
        let _ = receive(&test, OTHER, at, text);
    }
    assert!(test.run_by_program(&["name", OTHER, "Ann"]).failure.is_none());
    let writing = Writing::text("mine").unwrap();
    let _ = test.home.outbox().queue(&Uid([3; 16]), &phone(OTHER), &writing, at(0)).unwrap();
    let _ = test.home.outbox().give_up(&Uid([3; 16])).unwrap();
    test.home.consumers().begin("bot", Begin::Oldest).unwrap();
    let uid = Uid([1; 16]).to_string();
    for words in [
        &["delete", "Ann", "--all"][..],
        &["delete", "Ann", "--before", "2030-01-01"],
        &["delete", "Ann", "--letter", &uid],
        &["delete", "--strangers"],
        &["delete", "--unreadable"],
        &["consumers", "remove", "bot"],
    ] {
        // A program is not asked, so it has to say that it means it.
        let failure = test.run(words, "y\n", false).failure.unwrap();
        assert_eq!(failure.code(), 2, "{words:?}");
        assert!(failure.to_string().contains("--yes"), "{failure}");
    }
    let all = &["delete", "Ann", "--all"];
    for no in ["", "\n", "n\n", "all\n"] {
        let ran = test.run(all, no, true);
        let question = format!(
            "Delete 0 letters from Ann, {OTHER}, and 1 letter to them, for good? 2 more stay, since a \
             program is not done with them. [y/N] "
        );
        assert_eq!(ran.remarks, question);
        assert_eq!(ran.failure.unwrap().code(), 1);
        let ran = test.run(&["consumers", "remove", "bot"], no, true);
        assert!(ran.remarks.contains("not done with (2)"), "{}", ran.remarks);
        assert_eq!(ran.failure.unwrap().code(), 1);
    }
    assert_eq!(
        shown(&test),
        serde_json::json!([["text", "one"], ["text", "two"], ["text", "mine"]])
    );
    assert_eq!(test.home.consumers().all().unwrap().len(), 1);
    assert!(test.run(&["consumers", "remove", "bot"], "yes\n", true).failure.is_none());
    let ran = test.run(all, "y\n", true);
    assert_eq!(ran.output, "deleted: 2 letters received and 1 letter written here\n");
    // Where there is nothing to delete, there is nothing to ask.
    let ran = test.run(all, "", true);
    assert_eq!((ran.remarks.as_str(), ran.failure.is_none()), ("", true));
}

#[test]
fn one_letter_is_deleted_by_its_uid_in_its_conversation_alone() {
    let test = TestHome::new();
    let _ = receive(&test, OTHER, 1, "one");
    let _ = receive(&test, OTHER, 2, "two");
    let uid = Uid([1; 16]).to_string();
    let delete = |who, uid: &str| test.run_by_program(&["delete", who, "--letter", uid, "--yes"]);
    assert_eq!(delete("+4915112345603", &uid).failure.unwrap().code(), 1);
    let ran = delete(OTHER, &uid);
    assert!(ran.output.starts_with("deleted: 1 letter received"), "{}", ran.output);
    assert_eq!(shown(&test), serde_json::json!([["text", "two"]]));
    // It does not come back.
    assert_eq!(receive(&test, OTHER, 1, "one"), Recorded::Duplicate);

    // One that is on its way stays, and the command says so.
    let writing = Writing::text("mine").unwrap();
    let _ = test.home.outbox().queue(&Uid([3; 16]), &phone(OTHER), &writing, at(0)).unwrap();
    let uid = Uid([3; 16]).to_string();
    let failure = delete(OTHER, &uid).failure.unwrap();
    assert_eq!(failure.code(), 1);
    assert!(failure.to_string().contains("waxwing outbox drop"), "{failure}");
    let error =
        Args::try_parse_from(["waxwing", "delete", OTHER, "--letter", "xyz"]).err().unwrap();
    assert!(error.to_string().contains("waxwing history --json"), "{error}");
}

#[test]
fn what_a_program_is_not_done_with_stays_and_the_command_says_why() {
    let test = TestHome::new();
    for (at, text) in [(1, "one"), (2, "two"), (3, "three")] {
        let _ = receive(&test, OTHER, at, text);
    }
    test.home.consumers().begin("bot", Begin::Oldest).unwrap();
    let taken = test.home.consumers().next("bot", 9).unwrap();
    assert!(test.home.consumers().ack("bot", taken[0].id, at(9)).unwrap());
    // Another program waits for a letter of somebody else, which is none of those.
    test.home.consumers().begin("of others", Begin::Next).unwrap();
    let _ = receive(&test, "+4915112345603", 4, "of somebody else");
    let uid = Uid([2; 16]).to_string();
    let failure = test.run_by_program(&["delete", OTHER, "--letter", &uid, "--yes"]).failure;
    let failure = failure.unwrap();
    assert_eq!(failure.code(), 1);
    assert!(failure.to_string().contains("`waxwing consumers remove bot`"), "{failure}");
    let ran = test.run_by_program(&["delete", OTHER, "--all", "--yes"]);
    assert_eq!(ran.output, "deleted: 1 letter received and 0 letters written here\n");
    let said = "2 letters that came are not deleted: a program is not done with them (bot)";
    assert!(ran.remarks.contains(said), "{}", ran.remarks);
    assert_eq!(test.home.consumers().next("bot", 2).unwrap(), taken[1..]);
    let ran = test.run_by_program(&["delete", OTHER, "--all", "--yes", "--json"]);
    assert!(ran.output.contains("\"received\":0") && ran.output.contains("\"for_programs\":2"));
    assert!(test.home.consumers().ack("bot", taken[2].id, at(9)).unwrap());
    let ran = test.run_by_program(&["delete", OTHER, "--all", "--yes"]);
    assert!(ran.output.starts_with("deleted: 2 letters received"), "{}", ran.output);
}
