//! `waxwing chat` through pipes.

use crate::town::Town;

#[test]
fn a_chat_shows_ticks_and_what_the_other_says_until_its_input_ends() {
    let town = Town::new();
    let (anna, bert) = town.anna_and_bert();
    let mut annas = anna.start(&["chat", &bert.phone]);
    annas.write("anybody home?\n");
    annas.wait_for_out(|out| out.contains("  ✓ anybody home?\n"));

    let mut berts = bert.start(&["chat", &anna.phone]);
    berts.wait_for_out(|out| out.contains(": anybody home?\n"));
    annas.wait_for_out(|out| out.contains("  ✓✓ anybody home?\n"));
    berts.write("yes\n");
    let out = annas.wait_for_out(|out| out.contains(": yes\n"));
    assert!(out.contains(&bert.phone));
    berts.wait_for_out(|out| out.contains("  ✓✓ yes\n"));

    annas.finish_without_input().exits(0);
    berts.finish_without_input().exits(0);
    // What a chat has shown is not printed again.
    bert.receives_nothing();
    anna.receives_nothing();
}

#[test]
fn what_was_typed_before_the_end_of_input_still_goes_out() {
    let town = Town::new();
    let (anna, bert) = town.anna_and_bert();
    let mut chat = anna.start(&["chat", &bert.phone]);
    chat.write("one\n\ntwo");
    let ran = chat.finish_without_input().exits(0);
    assert!(ran.out.contains("✓ one") && ran.out.contains("✓ two"), "{ran:?}");
    bert.receives(&["one", "two"]);
}

#[test]
fn a_chat_without_a_server_keeps_what_was_typed() {
    let mut town = Town::new();
    let (anna, bert) = town.anna_and_bert();
    town.stop();
    let mut chat = anna.start(&["chat", &bert.phone]);
    chat.write("kept\n");
    chat.finish_without_input().exits(0).says("they go out next time");
    town.start();
    anna.receives_nothing();
    bert.receives(&["kept"]);
}
