//! The binary: what it notes, and what it shows of it.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, getuid, kill_process};
use waxwing_server::admin::audit::AuditResult;
use waxwing_server::failpoint::Failpoint;
use waxwing_server::store::{SqliteOptions, SqliteStorage};

use super::support::{apply, create, insert};
use super::*;

/// With users 1 and 2, and a letter from each to the other.
fn with_users() -> Place {
    let place = Place::new();
    place.add_users();
    place
}

/// The same where a server has run.
pub(super) fn with_a_server() -> Place {
    let place = Place::new();
    place.start();
    place.add_users();
    place
}

impl Place {
    fn add_users(&self) {
        let database = self.data().database();
        let mut storage = SqliteStorage::open(&database, &SqliteOptions::default()).unwrap();
        apply(&mut storage, [create(1), create(2), insert(1, 1, 2, 18), insert(2, 2, 1, 18)])
            .unwrap();
    }

    fn users(&self) -> usize {
        stdout(&self.server(&["users", "list"])).lines().count() - 1
    }

    /// Starts the server, stops it as soon as it serves, and returns its log.
    pub(super) fn start(&self) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_waxwing-server"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.starts_with("listening on") {
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        }
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(child.wait().unwrap().success() && line.starts_with("listening on"), "{log}");
        log
    }
}

#[test]
fn a_removal_is_noted_before_and_after_and_shown() {
    let place = with_users();
    assert_eq!(place.server(&["users", "remove", "--yes", "9"]).status.code(), Some(1));
    assert!(!place.file().exists(), "nothing was about to change");
    let removed = place.server(&["users", "remove", "--yes", "+491510000002"]);
    assert_eq!(stdout(&removed), "removed user 2 (+49…02), 1 letter undelivered\n");

    let [first, second]: [Line; 2] = entries(&place.log()).try_into().unwrap();
    assert_eq!((first.command.as_str(), first.result), ("users remove", None));
    assert_eq!(first.uid, getuid().as_raw());
    assert_eq!(first.arguments["id"], "2");
    assert_eq!(first.arguments["phone"], "+49…02");
    assert_eq!((second.of, second.result), (Some(1), Some(AuditResult::Done)));
    assert_eq!(second.detail.as_deref(), Some("1 letter undelivered"));

    let shown = stdout(&place.server(&["audit", "show"]));
    let rows: Vec<_> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(rows[0], ["number", "time", "(UTC)", "uid", "result", "act"]);
    assert_eq!(rows[1][0], "1");
    assert_eq!(rows[1][3..7], ["done", "users", "remove", "id=2"]);
    assert_eq!(rows[1][7..], ["phone=+49…02:", "1", "letter", "undelivered"]);
    assert_eq!(rows.len(), 2);
    let json = stdout(&place.server(&["audit", "show", "--json"]));
    assert_eq!(json, fs::read_to_string(place.file()).unwrap());
}

#[test]
fn verify_says_that_the_chain_holds_or_where_it_does_not() {
    let place = with_users();
    let missing = place.server(&["audit", "verify"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(stdout(&missing), "lines      0; the chain does not hold\n");
    let said = "the audit log does not hold together: audit.jsonl: the file is missing";
    assert!(stderr(&missing).contains(said), "{}", stderr(&missing));
    place.server(&["users", "remove", "--yes", "1"]);
    place.server(&["users", "remove", "--yes", "2"]);
    let held = place.server(&["audit", "verify"]);
    assert!(held.status.success());
    let digest = holds(&place.log()).last_sha256.unwrap();
    let expected = format!(
        "lines      4, in 1 file; the chain holds\nnumbers    1 to 4\nlast line  {digest}\n\
         note       none: lines that are gone from the end do not show; the server notes the last line in \
         audit.settled when it starts or stops\n"
    );
    assert_eq!(stdout(&held), expected);
    // Behind it, a command that fails says that it does.
    let json = || -> serde_json::Value {
        let verified = stdout(&place.server(&["audit", "verify", "--json"]));
        serde_json::from_str(verified.lines().next().unwrap()).unwrap()
    };
    let expected = serde_json::json!({
        "holds": true, "files": 1, "lines": 4, "first": 1, "last": 4, "last_sha256": digest,
        "note_problem": null, "note_missing": true, "older_lines_gone": false, "rotated": false, "torn": false, "erased": 0, "fault": null,
    });
    assert_eq!(json(), expected);

    let mut lines = place.lines();
    lines[1] = lines[1].replace("\"done\"", "\"failed\"");
    place.write(&lines);
    let broken = place.server(&["audit", "verify"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(stderr(&broken).contains("audit.jsonl, line 2: "), "{}", stderr(&broken));
    let json = json();
    assert_eq!((&json["holds"], &json["fault"]["line"]), (&false.into(), &2.into()));

    lines[1] = "rubbish\u{1b}[2J".to_owned();
    place.write(&lines);
    for args in [&["audit", "show"][..], &["audit", "show", "--json"]] {
        let shown = place.server(args);
        assert_eq!(shown.status.code(), Some(1));
        assert!(stderr(&shown).contains("1 lines are not lines of the audit log"), "{shown:?}");
        assert!(stdout(&shown).contains("users remove") && !stdout(&shown).contains("rubbish"));
    }
}

#[test]
fn whoever_dies_between_line_and_act_leaves_an_act_that_is_unknown_after_the_next_start() {
    let (_, name) =
        Failpoint::ALL.into_iter().find(|(at, _)| *at == Failpoint::AfterAuditLine).unwrap();
    let place = with_a_server();
    let died = Command::new(env!("CARGO_BIN_EXE_waxwing-server"))
        .arg("--data")
        .arg(place.path())
        .args(["users", "remove", "--yes", "2"])
        .env("WAXWING_FAILPOINT", format!("{name}:1"))
        .output()
        .unwrap();
    assert_eq!(died.status.code(), None);
    assert_eq!((place.users(), entries(&place.log()).len()), (2, 1));
    let shown = stdout(&place.server(&["audit", "show"]));
    assert!(shown.contains("  open     users remove id=2"), "{shown}");

    let said = place.start();
    assert!(said.contains("nobody can say whether acts of an operator were done"), "{said}");
    let said = place.start();
    assert!(!said.contains("nobody can say"), "{said}");
    let shown = stdout(&place.server(&["audit", "show"]));
    assert!(shown.contains("  unknown  users remove id=2"), "{shown}");
    assert_eq!(entries(&place.log()).len(), 2);
    holds(&place.log());
}

#[test]
fn nothing_is_changed_when_it_cannot_be_noted_and_the_server_serves_all_the_same() {
    let place = with_a_server();
    fs::set_permissions(place.file(), Permissions::from_mode(0o622)).unwrap();
    let refused = place.server(&["users", "remove", "--yes", "2"]);
    assert_eq!(refused.status.code(), Some(74), "{refused:?}");
    assert!(stderr(&refused).contains("nothing was changed"), "{refused:?}");
    assert!(stderr(&refused).contains("chmod go-w"), "{refused:?}");
    assert_eq!(place.users(), 2);
    let is_said_once = || {
        let said = place.start();
        let errors: Vec<_> = said.lines().filter(|line| line.contains("ERROR")).collect();
        assert!(
            matches!(errors[..], [one] if one.contains("the audit log cannot be used")),
            "{said}"
        );
    };
    is_said_once();
    for args in [["audit", "show"], ["audit", "verify"]] {
        assert_eq!(place.server(&args).status.code(), Some(74));
    }
    fs::remove_file(place.file()).unwrap();
    fs::create_dir(place.file()).unwrap();
    is_said_once();
}

#[test]
fn a_log_of_many_files_is_shown_with_what_became_of_each_act() {
    let place = Place::new();
    let log = place.with_limits(1_000, 12);
    (1..=10).for_each(|id| act(&log, id));
    drop(log.begin(NOW, 7, "sessions\u{9b}end", Arguments::new()).unwrap());
    log.note_shown(NOW, 7, "users show", Arguments::new().with("id", 3)).unwrap();
    assert!(place.numbered(3).exists());
    let shown = stdout(&place.server(&["audit", "show"]));
    let rows: Vec<_> = shown.lines().skip(1).collect();
    assert_eq!(rows.len(), 12);
    for (id, row) in (1..=10).zip(&rows) {
        assert!(row.ends_with(&format!("  done     users remove id={id}: gone")), "{row}");
    }
    assert!(rows[10].ends_with("  open     sessions\\u{9b}end"), "{}", rows[10]);
    assert!(rows[11].ends_with("  shown    users show id=3"), "{}", rows[11]);
    // An act whose first line was rotated away is shown by its second.
    fs::remove_file(place.path().join("audit.jsonl.3")).unwrap();
    assert_eq!(place.server(&["audit", "show"]).status.code(), Some(0));
}

#[test]
fn lines_that_were_removed_and_not_rotated_away_are_a_failure() {
    let place = with_a_server();
    let log = place.log();
    act(&log, 1);
    fs::remove_file(place.file()).unwrap();
    act(&log, 2);
    let verified = place.server(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(1), "{}", stderr(&verified));
    assert!(
        stderr(&verified).contains("the lines before number 3 are missing"),
        "{}",
        stderr(&verified)
    );
    assert!(stdout(&verified).contains("the chain holds"), "{}", stdout(&verified));
}

#[test]
fn half_a_line_at_the_end_is_said_to_be_one_and_the_next_start_cuts_it_off() {
    let place = with_a_server();
    place.server(&["users", "remove", "--yes", "2"]);
    let file = place.file();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [&whole[..], &whole[..whole.len() / 3]].concat()).unwrap();
    let verified = place.server(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(0));
    let said = stdout(&verified);
    assert!(said.contains("half a line is at the end; the next line takes its place"), "{said}");
    let log = place.start();
    assert!(log.contains("half a line was cut off"), "{log}");
    let said = stdout(&place.server(&["audit", "verify"]));
    assert!(said.contains("the chain holds") && !said.contains("half a line"), "{said}");
}
