use rusqlite::Connection;
use waxwing::home::{
    Begin, Deleted, Deletion, Event, Fate, HandedOver, Home, Quota, Recorded, Relation, Writing,
};
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use crate::judging::judge;
use crate::{TestHome, at, phone, spki, uid, user};

const MIB: usize = 1_024 * 1_024;

fn numbered(n: usize) -> [u8; 16] {
    let mut id = [0x3a; 16];
    id[..8].copy_from_slice(&(n as u64).to_le_bytes());
    id
}

fn handed(n: usize, fate: Fate<'_>) -> HandedOver<'_> {
    HandedOver {
        packet_id: PacketId(numbered(n)),
        sender: user(7),
        sent_at: at(0),
        received_at: at(i64::try_from(n).unwrap()),
        fate,
    }
}

fn text(from: Phone, n: usize, text: &str) -> Fate<'_> {
    Fate::Opened { from, uid: Uid(numbered(n)), content: Content::Text(text) }
}

fn unreadable(packet: &[u8]) -> Fate<'_> {
    Fate::Unreadable { from: None, error: "why", is_signed: false, packet }
}

/// Records letters `from` on, and returns how many were kept.
fn kept<'f>(
    home: &Home,
    numbers: std::ops::Range<usize>,
    fate: impl Fn(usize) -> Fate<'f>,
) -> usize {
    let letters: Vec<_> = numbers.map(|n| handed(n, fate(n))).collect();
    let recorded = crate::record_all(home, &letters);
    recorded.iter().filter(|one| matches!(one, Recorded::Stored(_))).count()
}

fn print_all(home: &Home) {
    let ids: Vec<_> =
        home.letters().unprinted(9_999).unwrap().into_iter().map(|letter| letter.id).collect();
    home.letters().mark_printed(&ids).unwrap();
}

fn write_to(home: &Home, to: Phone) {
    let writing = Writing::text("hello").unwrap();
    home.outbox().queue(&uid(1), &to, &writing, at(0)).unwrap();
}

fn history_len(home: &Home, with: Phone) -> usize {
    home.history(&with).unwrap().len()
}

#[test]
fn a_stranger_has_room_for_a_thousand_unread_letters_and_the_rest_are_counted() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(kept(&home, 0..1_003, |n| text(phone(2), n, "spam")), 1_000);
    assert_eq!(home.letters().take_discarded().unwrap(), [(Quota::Stranger, 3)]);
    assert_eq!(home.letters().take_discarded().unwrap(), []);
    // Another one has room of his own.
    assert_eq!(kept(&home, 2_000..2_001, |n| text(phone(3), n, "hello")), 1);
    // What had no room is new when it comes again and there is room.
    print_all(&home);
    assert_eq!(kept(&home, 1_000..1_001, |n| text(phone(2), n, "spam")), 1);
    totals_are_right(&test);
}

#[test]
fn a_stranger_has_room_for_four_mib() {
    let test = TestHome::new();
    let home = test.open();
    let large = "x".repeat(MIB / 32);
    assert_eq!(kept(&home, 0..130, |n| text(phone(2), n, &large)), 4 * 32);
    assert_eq!(kept(&home, 200..201, |n| text(phone(2), n, "")), 1);
}

#[test]
fn all_strangers_together_have_room_for_sixteen_mib_and_four_thousand_letters() {
    let test = TestHome::new();
    let home = test.open();
    let large = "x".repeat(MIB / 32);
    let from = |n: usize| phone(u8::try_from(n / 100).unwrap());
    assert_eq!(kept(&home, 200..800, |n| text(from(n), n, &large)), 16 * 32);

    let test = TestHome::new();
    let home = test.open();
    let from = |n: usize| phone(u8::try_from(n / 800).unwrap());
    assert_eq!(kept(&home, 0..4_800, |n| text(from(n), n, "short")), 4_000);
}

#[test]
fn whoever_prints_what_comes_loses_nothing_and_shows_nothing_twice() {
    let test = TestHome::new();
    let home = test.open();
    for hundred in 0..15 {
        let some = hundred * 100..(hundred + 1) * 100;
        assert_eq!(kept(&home, some, |n| text(phone(2), n, "measured")), 100);
        print_all(&home);
    }
    assert_eq!(home.letters().take_discarded().unwrap(), []);
    assert_eq!(history_len(&home, phone(2)), 1_000);
    // Those that went are recognised as well as those that stayed.
    assert_eq!(kept(&home, 0..1_500, |n| text(phone(2), n, "measured")), 0);
    assert_eq!(home.letters().take_discarded().unwrap(), []);
    totals_are_right(&test);
}

#[test]
fn letters_of_people_who_are_known_have_no_bound() {
    let test = TestHome::new();
    let home = test.open();
    write_to(&home, phone(2));
    assert_eq!(kept(&home, 0..1_500, |n| text(phone(2), n, "hello")), 1_500);
    // Verified.
    let answer = waxwing_core::wire::KeyAnswer { user: user(9), phone: phone(3), spki: spki(2) };
    let _ = judge(&home, &answer, at(0));
    assert_eq!(home.relations().with(&phone(3)).unwrap(), Relation::Stranger);
    assert!(home.contacts().mark_verified(&phone(3), &spki(2)).unwrap());
    assert_eq!(home.relations().with(&phone(3)).unwrap(), Relation::Known);
    assert_eq!(kept(&home, 2_000..3_500, |n| text(phone(3), n, "hello")), 1_500);
    // One that cannot be opened, and is signed.
    let later = |_| Fate::Unreadable {
        from: Some(phone(2)),
        error: "of a later version",
        is_signed: true,
        packet: &[9; 300],
    };
    assert_eq!(kept(&home, 5_000..5_300, later), 300);
}

#[test]
fn a_stranger_to_whom_one_writes_is_one_no_more() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(kept(&home, 0..1_001, |n| text(phone(2), n, "hello")), 1_000);
    write_to(&home, phone(2));
    assert_eq!(home.relations().with(&phone(2)).unwrap(), Relation::Known);
    assert_eq!(kept(&home, 2_000..2_500, |n| text(phone(2), n, "hello")), 500);
    // What was a stranger's letter is not deleted with those of strangers.
    assert_eq!(home.delete(&Deletion::Strangers).unwrap(), Deleted::default());
    totals_are_right(&test);
}

#[test]
fn letters_that_nobody_signed_have_room_for_256_and_four_mib() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(kept(&home, 0..300, |_| unreadable(b"raw")), 256);
    assert_eq!(home.letters().take_discarded().unwrap(), [(Quota::Unreadable, 44)]);
    print_all(&home);
    // Those that were shown make room, the oldest first.
    assert_eq!(kept(&home, 1_000..1_100, |_| unreadable(b"raw")), 100);

    let large = vec![0; MIB / 16];
    assert_eq!(kept(&TestHome::new().open(), 0..65, |_| unreadable(&large)), 64);
    totals_are_right(&test);
}

#[test]
fn letters_under_a_changed_key_have_a_bound_and_lose_it_when_the_key_is_accepted() {
    let test = TestHome::new();
    let home = test.open();
    write_to(&home, phone(2));
    let held = |_| Fate::Held { from: phone(2), packet: b"raw", signed_with: None };
    assert_eq!(kept(&home, 0..1_002, held), 1_000);
    assert_eq!(home.letters().take_discarded().unwrap(), [(Quota::Held, 2)]);
    // That they are there was printed, and not what they say.
    print_all(&home);
    assert_eq!(kept(&home, 1_002..1_003, held), 0);
    for (n, letter) in home.letters().held_from(&phone(2)).unwrap().into_iter().enumerate() {
        let _ = home.letters().release(letter.id, &text(phone(2), n, "hello"), at(0)).unwrap();
    }
    assert_eq!(kept(&home, 2_000..2_100, |n| text(phone(2), n, "hello")), 100);
    assert_eq!(history_len(&home, phone(2)), 1_101);
    totals_are_right(&test);
}

#[test]
fn a_flood_that_is_discarded_or_known_takes_no_room_on_the_disk() {
    let test = TestHome::new();
    let home = test.open();
    let large = "x".repeat(MIB / 32);
    let size = || {
        let files = std::fs::read_dir(test.dir()).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    kept(&home, 0..200, |n| text(phone(2), n, &large));
    let before = size();
    for _ in 0..20 {
        assert_eq!(kept(&home, 0..400, |n| text(phone(2), n, &large)), 0);
    }
    assert!(size() < before + MIB as u64, "{before} became {}", size());
}

#[test]
fn nothing_of_somebody_who_is_blocked_is_kept_or_counted() {
    let test = TestHome::new();
    let home = test.open();
    assert_eq!(kept(&home, 0..2, |n| text(phone(2), n, "before")), 2);
    assert!(home.relations().block(&phone(2)).unwrap());
    assert!(!test.open().relations().block(&phone(2)).unwrap());
    assert_eq!(home.relations().blocked().unwrap(), [phone(2)]);
    // What nobody has printed is not printed any more.
    assert!(home.letters().unprinted(9).unwrap().is_empty());
    let fates = |n| match n % 3 {
        0 => text(phone(2), n, "no"),
        1 => Fate::Held { from: phone(2), packet: b"raw", signed_with: None },
        _ => {
            Fate::Unreadable { from: Some(phone(2)), error: "", is_signed: n == 5, packet: b"raw" }
        }
    };
    assert_eq!(kept(&home, 3..9, fates), 0);
    assert_eq!(kept(&home, 10..11, |n| text(phone(3), n, "from another")), 1);
    assert_eq!(home.letters().take_discarded().unwrap(), []);
    assert_eq!(history_len(&home, phone(2)), 2);

    assert!(home.relations().unblock(&phone(2)).unwrap());
    assert!(!home.relations().unblock(&phone(2)).unwrap());
    assert_eq!(kept(&home, 3..4, |n| text(phone(2), n, "again")), 1);
}

#[test]
fn whoever_was_known_is_known_after_having_been_blocked() {
    let test = TestHome::new();
    let home = test.open();
    write_to(&home, phone(2));
    assert!(home.relations().block(&phone(2)).unwrap());
    assert_eq!(home.relations().with(&phone(2)).unwrap(), Relation::Blocked);
    assert!(home.relations().unblock(&phone(2)).unwrap());
    assert_eq!(home.relations().with(&phone(2)).unwrap(), Relation::Known);
}

#[test]
fn what_is_deleted_is_gone_from_the_disk_and_never_shown_again() {
    let test = TestHome::new();
    let home = test.open();
    let secret = "a canary that sings ".repeat(3_000);
    write_to(&home, phone(2));
    assert_eq!(kept(&home, 0..40, |n| text(phone(2), n, &secret)), 40);
    assert_eq!(kept(&home, 50..51, |n| text(phone(3), n, "another's")), 1);
    let everything = Deletion::With(phone(2), UnixTime::from_seconds(i64::MAX));
    let deleted = home.delete(&everything).unwrap();
    assert_eq!(deleted, Deleted { received: 40, on_their_way: 1, ..Deleted::default() });
    assert!(home.give_back_room());

    let mut size = 0;
    for file in std::fs::read_dir(test.dir()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        // Room that the home keeps is none that the letters take.
        size += if path.ends_with("reserve") { 0 } else { bytes.len() };
        assert!(!bytes.windows(8).any(|window| window == b"a canary"));
    }
    assert!(size < MIB, "{size}");
    assert_eq!(kept(&test.open(), 0..40, |n| text(phone(2), n, &secret)), 0);
    assert_eq!(history_len(&home, phone(2)), 1);
    assert_eq!(history_len(&home, phone(3)), 1);
}

#[test]
fn letters_before_a_day_are_deleted_both_ways_and_later_ones_stay() {
    let test = TestHome::new();
    let home = test.open();
    let writing = Writing::text("out").unwrap();
    for (byte, second) in [(1, 5), (2, 15)] {
        let letter = home.outbox().queue(&uid(byte), &phone(2), &writing, at(second)).unwrap();
        let _ = home.outbox().refuse(letter, None, "no").unwrap();
    }
    assert_eq!(kept(&home, 0..20, |n| text(phone(2), n, "in")), 20);
    let deleted = home.delete(&Deletion::With(phone(2), at(10))).unwrap();
    assert_eq!(deleted, Deleted { received: 10, written: 1, ..Deleted::default() });
    let left = home.history(&phone(2)).unwrap();
    assert_eq!(left.len(), 11);
    let is_late = |event: &Event| match event {
        Event::Received { received_at, .. } => *received_at >= at(10),
        Event::Written { created_at, .. } => *created_at >= at(10),
    };
    assert!(left.iter().all(|entry| is_late(&entry.event)));
}

#[test]
fn unreadable_letters_and_those_of_strangers_can_be_deleted_and_no_others() {
    let test = TestHome::new();
    let home = test.open();
    write_to(&home, phone(2));
    kept(&home, 0..3, |n| text(phone(2), n, "of a friend"));
    kept(&home, 10..14, |n| text(phone(3), n, "of a stranger"));
    kept(&home, 20..25, |_| unreadable(b"raw"));
    let deleted = |which| home.delete(&which).unwrap().received;
    assert_eq!(deleted(Deletion::Unreadable), 5);
    assert_eq!(deleted(Deletion::Strangers), 4);
    assert_eq!(home.letters().unprinted(99).unwrap().len(), 3);
    totals_are_right(&test);
}

#[test]
fn the_place_of_a_letter_that_is_deleted_is_not_given_to_another() {
    let test = TestHome::new();
    let home = test.open();
    kept(&home, 0..3, |n| text(phone(2), n, "old"));
    let being_printed = home.letters().unprinted(9).unwrap().into_iter().map(|letter| letter.id);
    let being_printed: Vec<_> = being_printed.collect();
    let _ = home.delete(&Deletion::Strangers).unwrap();
    kept(&home, 10..11, |n| text(phone(2), n, "new"));
    home.letters().mark_printed(&being_printed).unwrap();
    assert_eq!(home.letters().unprinted(9).unwrap().len(), 1);
}

#[test]
fn no_deletion_and_no_flood_takes_what_a_program_is_not_done_with() {
    let test = TestHome::new();
    let home = test.open();
    home.consumers().begin("bot", Begin::Oldest).unwrap();
    kept(&home, 0..3, |n| text(phone(3), n, "of a stranger"));
    kept(&home, 10..11, |_| Fate::Unreadable {
        from: Some(phone(3)),
        error: "why",
        is_signed: false,
        packet: b"raw",
    });
    let everything = UnixTime::from_seconds(i64::MAX);
    for (which, stay) in [
        (Deletion::With(phone(3), everything), 4),
        (Deletion::Strangers, 3),
        (Deletion::Unreadable, 1),
        (Deletion::Letter(phone(3), Uid(numbered(1))), 1),
    ] {
        let stays = Deleted { for_programs: stay, ..Deleted::default() };
        assert_eq!(home.would_delete(&which).unwrap(), stays);
        assert_eq!(home.delete(&which).unwrap(), stays);
    }
    // What a person has seen makes no room while the program waits for it.
    print_all(&home);
    assert_eq!(kept(&home, 100..1_200, |n| text(phone(3), n, "spam")), 997);
    print_all(&home);
    assert_eq!(kept(&home, 2_000..2_001, |n| text(phone(3), n, "spam")), 0);
    let taken = home.consumers().next("bot", 9_999).unwrap();
    assert_eq!(taken.len(), 1_001);
    assert!(home.consumers().ack("bot", taken[1].id, at(0)).unwrap());
    assert_eq!(kept(&home, 2_000..2_005, |n| text(phone(3), n, "spam")), 2);
    assert_eq!(home.delete(&Deletion::Unreadable).unwrap().for_programs, 1);
    totals_are_right(&test);
}

#[test]
fn a_program_that_takes_what_comes_loses_nothing_although_nobody_reads() {
    let test = TestHome::new();
    let home = test.open();
    home.consumers().begin("bot", Begin::Oldest).unwrap();
    let mut taken = 0;
    for hundred in 0..12 {
        let some = hundred * 100..(hundred + 1) * 100;
        assert_eq!(kept(&home, some, |n| text(phone(2), n, "measured")), 100);
        let entries = home.consumers().next("bot", 9_999).unwrap();
        taken += entries.len();
        assert!(home.consumers().ack("bot", entries.last().unwrap().id, at(0)).unwrap());
    }
    assert_eq!(taken, 1_200);
    assert_eq!(home.letters().take_discarded().unwrap(), []);
}

/// What is counted as it comes and goes is what there is.
fn totals_are_right(test: &TestHome) {
    let database = Connection::open(test.dir().join("waxwing.db")).unwrap();
    let all = |sql: &str| -> Vec<(String, String, i64, i64)> {
        let mut select = database.prepare(sql).unwrap();
        let rows =
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let kept = all("SELECT quota, sender, letters, bytes FROM quota_totals ORDER BY quota, sender");
    let counted = all(
        "SELECT quota, '', count(*), sum(bytes) FROM letters WHERE quota IS NOT NULL GROUP BY quota \
         UNION ALL SELECT quota, sender, count(*), sum(bytes) FROM letters \
         WHERE quota IS NOT NULL AND sender IS NOT NULL GROUP BY quota, sender ORDER BY 1, 2",
    );
    assert_eq!(kept, counted);
}
