use waxwing::home::{Event, Fate, HandedOver, LetterBody, PacketName, State, Writing};
use waxwing_core::envelope::Content;
use waxwing_core::wire::Status;

use crate::{TestHome, at, packet_id, phone, uid, user};

#[test]
fn both_directions_are_merged_in_the_order_of_this_home() {
    let test = TestHome::new();
    let home = test.open();
    let receive = |byte: u8, from: u8| {
        let content = Content::Text(if from == 2 { "from two" } else { "from three" });
        let letter = HandedOver {
            packet_id: packet_id(byte),
            sender: user(7),
            // Its sender's clock is far ahead.
            sent_at: at(1_000_000),
            received_at: at(5),
            fate: Fate::Opened { from: phone(from), uid: uid(byte), content },
        };
        let _ = home.letters().record(&letter).unwrap();
    };
    let write = |byte: u8, to: u8| {
        let writing = Writing::text(format!("to {to}")).unwrap();
        home.outbox().queue(&uid(byte), &phone(to), &writing, at(5)).unwrap()
    };
    receive(1, 2);
    let second = write(2, 2);
    receive(3, 3);
    receive(4, 2);
    write(5, 3);
    write(6, 2);
    home.outbox().queue(&uid(7), &phone(2), &Writing::ReadReceipt(uid(1)), at(6)).unwrap();
    receive(8, 2);
    let begun = home.outbox().begin_sending(second, &packet_id(90), user(7), b"x", at(6));
    assert!(begun.unwrap());
    let told = [(PacketName::Full(packet_id(90)), Status::Delivered)];
    let _ = home.outbox().apply(&told, at(7)).unwrap();

    let history = test.open().history(&phone(2)).unwrap();
    let shown: Vec<(u8, Option<State>)> = history
        .iter()
        .map(|entry| {
            let state = match &entry.event {
                Event::Received { body, .. } => {
                    assert_eq!(*body, LetterBody::Text("from two".into()));
                    None
                }
                Event::Written { writing, status, .. } => {
                    assert_eq!(*writing, Writing::text("to 2").unwrap());
                    Some(status.state)
                }
            };
            (entry.uid.unwrap().0[0], state)
        })
        .collect();
    assert_eq!(
        shown,
        [(1, None), (2, Some(State::Delivered)), (4, None), (6, Some(State::Waiting)), (8, None),]
    );
    assert!(home.history(&phone(9)).unwrap().is_empty());
}
