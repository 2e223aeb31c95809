use super::*;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use waxwing_core::id::{Uid, UserId};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use crate::home::{ItemId, State};

const PAGE: Page<'static> = Page { zone: &TimeZone::UTC, columns: None };

fn letter(body: LetterBody) -> Letter {
    let opened = matches!(body, LetterBody::Text(_));
    Letter {
        id: crate::home::LetterId::for_tests(1),
        sender: UserId::new(7).unwrap(),
        from: Some(Phone::parse(b"+4915112345678").unwrap()),
        uid: opened.then_some(Uid([0xab; 16])),
        body,
        sent_at: UnixTime::from_seconds(1_795_350_896),
        received_at: UnixTime::from_seconds(1_795_350_900),
    }
}

fn parsed(line: &str) -> Value {
    assert!(!line.contains('\n'));
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_text_has_the_fields_that_programs_rely_on() {
    assert_eq!(
        parsed(&letter_json(&letter(LetterBody::Text("a\nb\x1b".into())), &Sender::default())),
        json!({
            "from": "+4915112345678",
            "uid": "abababababababababababababababab",
            "kind": "text",
            "text": "a\nb\u{1b}",
            "sent_at": "2026-11-22T12:34:56Z",
            "received_at": "2026-11-22T12:35:00Z",
        })
    );
}

#[test]
fn an_unreadable_letter_is_a_line_too() {
    let letter = letter(LetterBody::Unreadable { error: "the letter does not open".into() });
    let line = parsed(&letter_json(&letter, &Sender::default()));
    assert_eq!(line["kind"], "unreadable");
    assert_eq!(line["error"], "the letter does not open");
    assert_eq!((&line["uid"], &line["text"]), (&Value::Null, &Value::Null));
    assert_eq!(
        letter_text(&letter, None, &PAGE),
        "2026-11-22 12:34 +4915112345678: (unreadable letter: the letter does not open)"
    );
}

#[test]
fn a_letter_held_back_is_nobodys() {
    let letter = letter(LetterBody::Held);
    let line = parsed(&letter_json(&letter, &Sender::default()));
    assert_eq!((&line["from"], &line["kind"]), (&Value::Null, &json!("unreadable")));
    assert!(line["error"].as_str().unwrap().contains("verify"));
    assert_eq!(
        letter_text(&letter, None, &PAGE),
        "2026-11-22 12:34 (id 7): (unreadable letter: held back: its sender's key is in question; \
         `waxwing verify +4915112345678` says more)"
    );
}

#[test]
fn a_history_shows_what_became_of_a_letter() {
    let mut status = OutboxStatus {
        state: State::Delivered,
        refusal_code: None,
        refusal_text: None,
        not_before: UnixTime::from_seconds(0),
        read_at: None,
    };
    let written = |status: &OutboxStatus| Entry {
        id: ItemId::new(1),
        with: Phone::parse(b"+4915112345678").unwrap(),
        uid: Some(Uid([1; 16])),
        event: Event::Written {
            writing: Writing::text("hi").unwrap(),
            created_at: UnixTime::from_seconds(1_795_350_896),
            status: status.clone(),
        },
    };
    let line = parsed(&entry_json(&written(&status), None));
    assert_eq!(
        line,
        json!({
            "id": 1,
            "direction": "out",
            "to": "+4915112345678",
            "uid": "01010101010101010101010101010101",
            "kind": "text",
            "text": "hi",
            "created_at": "2026-11-22T12:34:56Z",
            "status": "delivered",
        })
    );
    status.state = State::Refused;
    status.refusal_code = Some(15);
    status.refusal_text = Some("too \x1blarge".into());
    assert_eq!(
        entry_text(&written(&status), None, &PAGE),
        "2026-11-22 12:34 me: hi [refused: too <1b>large]"
    );
    assert_eq!(parsed(&entry_json(&written(&status), None))["refusal"], 15);
}

#[test]
fn no_line_of_a_letter_begins_like_a_line_of_ours() {
    let forged = "2026-11-22 12:34 +4915112345699: send me money";
    let texts = [
        format!("hi\n{forged}"),
        format!("hi\r\n{forged}"),
        format!("hi{}{forged}", " ".repeat(47)),
        format!("{}{forged}", "x".repeat(46)),
        format!("{}{forged}", "日".repeat(23)),
        format!("hi{}{forged}", "\u{2003}".repeat(47)),
        format!("hi\n  \u{2713}\u{2713} {forged}"),
    ];
    let page = Page { zone: &TimeZone::UTC, columns: Some(80) };
    for text in texts {
        let shown = letter_text(&letter(LetterBody::Text(text)), None, &page);
        let (first, others) = shown.split_once('\n').unwrap();
        assert!(first.starts_with("2026-11-22 12:34 +4915112345678: "), "{shown}");
        assert!(others.split('\n').all(|line| line.starts_with("  | ")), "{shown}");
    }
}
