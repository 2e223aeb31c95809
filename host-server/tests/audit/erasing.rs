//! Names that are taken out of the log.

use std::fs;

use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;

use waxwing_server::exit::Failure;
use waxwing_server::failpoint::Failpoint;

use super::commands::with_a_server;
use super::*;

fn phone(end: u16) -> Phone {
    Phone::parse(format!("+491512{end:05}").as_bytes()).unwrap()
}

fn user(id: u16) -> UserId {
    UserId::new(id).unwrap()
}

fn about(id: u16) -> Arguments {
    Arguments::about(user(id), &phone(id))
}

/// Removes a user as it is done, and erases them. How many lines say so.
fn erase(log: &AuditLog, id: u16) -> u64 {
    let begun = log.begin(NOW, 7, "users remove", Arguments::of_erasure(user(id))).unwrap();
    let lines = log.erase(user(id), begun.number()).unwrap();
    log.end_erasure(NOW, begun, lines, Outcome::done("")).unwrap();
    lines
}

/// Lines that name somebody, all in all.
fn named(place: &Place, id: u16) -> usize {
    let files = fs::read_dir(place.path()).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let ends = format!("{:?}", phone(id));
    texts.map(|text| text.lines().filter(|line| line.contains(&ends)).count()).sum()
}

fn suspend(log: &AuditLog, id: u16) {
    let arguments = about(id).with("reason", format!("secret {id}"));
    let begun = log.begin(NOW, 7, "users suspend", arguments).unwrap();
    log.end(NOW, begun, Outcome::done(format!("result {id}"))).unwrap();
    log.note_shown(NOW, 8, "users show --full", about(id)).unwrap();
}

#[test]
fn nothing_names_a_user_who_is_erased_and_the_chain_holds() {
    let place = Place::new();
    let log = place.log();
    [2, 3, 2].into_iter().for_each(|id| suspend(&log, id));
    let before = place.lines();
    assert_eq!(erase(&log, 2), 6);

    let text = fs::read_to_string(place.file()).unwrap();
    for gone in ["secret 2", "result 2", "+49…02"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    let verified = holds(&log);
    assert_eq!((verified.lines, verified.erased), (11, 6));
    // What was done, when and by whom stays, and so do the lines of others.
    let lines = entries(&log);
    let line = &lines[0];
    assert_eq!((line.number, line.uid, &*line.command), (1, 7, "users suspend"));
    assert_eq!(line.erased.as_ref().unwrap().by, 10);
    assert_eq!(place.lines()[3..6], before[3..6]);
    let shown = stdout(&place.server(&["audit", "show"]));
    assert!(
        shown.contains("users suspend (erased by 10)") && shown.contains("secret 3"),
        "{shown}"
    );
    let verified = stdout(&place.server(&["audit", "verify"]));
    assert!(verified.contains("erased     6 lines"), "{verified}");
    // Other values of the log go on behind it, also when its last line is one that was erased.
    suspend(&place.log(), 3);
    holds(&place.log());
}

#[test]
fn who_had_the_id_before_is_somebody_else_and_so_is_who_has_it_later() {
    let place = Place::new();
    let log = place.log();
    suspend(&log, 2);
    act(&log, 2);
    suspend(&log, 2);
    assert_eq!(erase(&log, 2), 3);
    assert_eq!(named(&place, 2), 2);
    suspend(&log, 2);
    assert_eq!(about_user(&log, 2), [11, 12, 13]);
    holds(&log);
}

/// The numbers of the lines that are about a user.
fn about_user(log: &AuditLog, id: u16) -> Vec<u64> {
    let mut about = Vec::new();
    log.about(user(id), |line| -> Result<(), Failure> {
        about.extend(line.map(|line| line.number));
        Ok(())
    })
    .unwrap();
    about
}

#[test]
fn what_may_be_about_another_person_is_not_shown_and_is_erased_all_the_same() {
    let unknown = Outcome::unknown("");
    for (command, arguments, outcome, is_an_end) in [
        ("users remove", about(2), unknown.clone(), true),
        ("users remove", about(2), Outcome::failed(""), false),
        ("users remove", about(3), Outcome::done(""), false),
        ("backup restore", Arguments::new(), Outcome::done(""), true),
        ("backup restore", Arguments::new(), Outcome::failed(""), false),
        ("backup restore --undo", Arguments::new(), unknown, true),
    ] {
        let place = Place::new();
        let log = place.log();
        suspend(&log, 2);
        let begun = log.begin(NOW, 7, command, arguments).unwrap();
        log.end(NOW, begun, outcome).unwrap();
        suspend(&log, 2);
        let shown = about_user(&log, 2);
        assert!(shown.ends_with(&[6, 7, 8]), "{command}: {shown:?}");
        assert_eq!(shown.contains(&1), !is_an_end, "{command}: {shown:?}");
        erase(&log, 2);
        assert_eq!(named(&place, 2), 0, "{command}");
        holds(&log);
    }
}

#[test]
fn an_erasure_that_was_interrupted_goes_on_and_counts_all_of_its_lines() {
    let place = Place::new();
    let log = place.with_limits(1_500, 12);
    (0..5).for_each(|_| suspend(&log, 2));
    assert!(place.numbered(2).exists());
    let begun = log.begin(NOW, 7, "users remove", Arguments::of_erasure(user(2))).unwrap();
    // One file is as it was before.
    let old = fs::read(place.numbered(1)).unwrap();
    assert_eq!(log.erase(user(2), begun.number()).unwrap(), 15);
    fs::write(place.numbered(1), old).unwrap();
    assert!(named(&place, 2) > 0);
    let open = log.open_erasures().unwrap();
    assert_eq!(
        open.iter().map(|(begun, user)| (begun.number(), user.get())).collect::<Vec<_>>(),
        [(16, 2)]
    );
    assert_eq!(log.erase(user(2), begun.number()).unwrap(), 15);
    log.end_erasure(NOW, begun, 15, Outcome::done("")).unwrap();
    assert_eq!(named(&place, 2), 0);
    assert!(log.open_erasures().unwrap().is_empty());
    assert_eq!(holds(&log).erased, 15);
    assert!(!place.path().join("audit.jsonl.draft").exists());
}

#[test]
fn a_line_that_nobody_has_erased_cannot_pass_for_one() {
    let place = Place::new();
    let log = place.log();
    (2..4).for_each(|id| suspend(&log, id));
    assert_eq!(erase(&log, 2), 3);
    let lines = place.lines();
    // As the other three lines, and with the right hash.
    let marked = |at: usize, by: u64| {
        let mut forged = lines.clone();
        let mut line: serde_json::Value = serde_json::from_str(&forged[at]).unwrap();
        let next: serde_json::Value = serde_json::from_str(&forged[at + 1]).unwrap();
        let line = line.as_object_mut().unwrap();
        line.remove("arguments");
        line.insert("erased".into(), serde_json::json!({ "by": by, "sha256": next["before"] }));
        forged[at] = serde_json::Value::Object(line.clone()).to_string();
        place.write(&forged);
        place.log().verify().unwrap()
    };
    for by in [7, 8, 6, 100] {
        let verified = marked(3, by);
        assert!(!verified.holds, "{by}: {verified:?}");
    }
    place.write(&lines);
    holds(&place.log());
}

#[test]
fn two_lines_about_one_user_have_hashes_that_nobody_can_guess() {
    let place = Place::new();
    let log = place.log();
    suspend(&log, 2);
    suspend(&log, 2);
    let salts: Vec<_> =
        entries(&log).iter().filter_map(|l| l.arguments.get("salt").cloned()).collect();
    assert_eq!(salts.len(), 4);
    assert!(salts.iter().all(|salt| salt.len() == 32));
    assert!((1..4).all(|at| salts[..at].iter().all(|other| *other != salts[at])));
}

#[test]
fn an_erasure_that_cannot_be_finished_is_tried_again_at_each_start_and_holds_up_no_other() {
    let place = with_a_server();
    suspend(&place.log(), 1);
    // No line of the log can be changed, but new ones can be written.
    let draft = place.path().join("audit.jsonl.draft");
    fs::create_dir(&draft).unwrap();
    let refused = place.server(&["users", "remove", "1", "--erase", "--yes"]);
    assert_eq!(refused.status.code(), Some(74), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("the next start of the server goes on"),
        "{}",
        stderr(&refused)
    );
    let point = Failpoint::ALL.into_iter().find(|(point, _)| *point == Failpoint::BeforeErasing);
    let mut killed = place.command(&["users", "remove", "2", "--erase", "--yes"]);
    killed.env("WAXWING_FAILPOINT", format!("{}:1", point.unwrap().1));
    assert!(!killed.output().unwrap().status.success());
    let open = || -> Vec<u16> {
        place.log().open_erasures().unwrap().iter().map(|(_, user)| user.get()).collect()
    };
    assert_eq!(open(), [1, 2]);
    for _ in 0..2 {
        let said = place.start();
        assert!(said.contains("the next start tries again"), "{said}");
        assert_eq!(open(), [1]);
        assert!(fs::read_to_string(place.file()).unwrap().contains("secret"));
    }
    fs::remove_dir(&draft).unwrap();
    let said = place.start();
    assert!(!said.contains("ERROR"), "{said}");
    assert_eq!(open(), [] as [u16; 0]);
    assert!(!fs::read_to_string(place.file()).unwrap().contains("secret"));
    holds(&place.log());
}
