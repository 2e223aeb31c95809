//! Lines, and how each follows the one before.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use waxwing_core::crypto::Provider;
use waxwing_server::admin::audit::{AuditResult, FaultKind, MAX_LINE, MAX_TEXT};
use waxwing_server::backend::Backend;
use waxwing_server::exit::Exit;

use super::*;

fn sha256(line: &str) -> String {
    format!("{:?}", Backend::default().sha256(&[line.as_bytes()]))
}

#[test]
fn an_act_has_two_lines_and_each_names_the_one_before() {
    let (place, arguments) = (Place::new(), Arguments::new().with("id", 2));
    let log = place.log();
    let begun = log.begin(NOW, 1_000, "users remove", arguments).unwrap();
    assert_eq!(place.lines().len(), 1);
    log.end(NOW, begun, Outcome::failed("no room")).unwrap();
    log.note_shown(NOW, 0, "users show", Arguments::new().with("phone", "+4915112345617")).unwrap();

    let lines = place.lines();
    let time = "\"time\":\"2026-11-22T12:34:56Z\"";
    assert_eq!(
        lines,
        [
            format!(
                "{{\"number\":1,{time},\"uid\":1000,\"command\":\"users remove\",\
                 \"arguments\":{{\"id\":\"2\"}},\"before\":\"{}\"}}",
                "0".repeat(64)
            ),
            format!(
                "{{\"number\":2,{time},\"uid\":1000,\"command\":\"users remove\",\"of\":1,\
                 \"result\":\"failed\",\"detail\":\"no room\",\"before\":\"{}\"}}",
                sha256(&lines[0])
            ),
            format!(
                "{{\"number\":3,{time},\"uid\":0,\"command\":\"users show\",\
                 \"arguments\":{{\"phone\":\"+49…17\"}},\"result\":\"shown\",\"before\":\"{}\"}}",
                sha256(&lines[1])
            ),
        ]
    );
    let verified = holds(&log);
    assert_eq!((verified.files, verified.lines), (1, 3));
    assert_eq!((verified.first, verified.last), (Some(1), Some(3)));
    assert_eq!(verified.last_sha256, Some(sha256(&lines[2])));
    assert!(!verified.older_lines_gone && !verified.torn);
}

#[test]
fn a_log_that_is_not_there_holds_and_is_not_made_by_looking() {
    let place = Place::new();
    let verified = holds(&place.log());
    assert_eq!((verified.files, verified.lines, verified.first), (0, 0, None));
    assert!(entries(&place.log()).is_empty());
    assert!(!place.file().exists());
}

#[test]
fn a_line_that_the_server_has_noted_is_missed_and_the_next_line_follows_it() {
    let place = Place::new();
    assert_eq!(place.log().settle(NOW), Ok(0));
    act(&place.log(), 1);
    assert!(!place.path().join("audit.settled").exists());
    let server = place.log();
    holds(&server);
    act(&server, 2);
    server.note_end();
    let lines = place.lines().split_off(2);
    let fault = || place.log().verify().unwrap().fault.unwrap();
    for left in [&lines[..1], &[]] {
        place.write(left);
        assert!(fault().problem.contains("line number 4 is there, and"), "{:?}", fault());
        assert_eq!(fault().line, left.len() as u64);
    }
    place.write(&[lines[0].clone(), lines[1].replace("gone", "left")]);
    assert!(fault().problem.contains("with another SHA-256"), "{:?}", fault());
    fs::remove_file(place.file()).unwrap();
    assert!(fault().problem.contains("there is no line at all"), "{:?}", fault());

    act(&place.log(), 3);
    let next = &entries(&place.log())[0];
    assert_eq!((next.number, &next.before), (5, &sha256(&lines[1])));
    let verified = holds(&place.log());
    assert!(verified.older_lines_gone && !verified.rotated, "{verified:?}");
    let mut text = Vec::new();
    let said = verified.report(false, &mut text).unwrap_err();
    assert!(said.to_string().contains("the lines before number 5 are missing"), "{said}");
    assert!(said.to_string().contains("Put the files back from their copy"), "{said}");
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("the chain holds from number 5 on"), "{text}");
}

#[test]
fn a_note_that_does_not_fit_a_whole_log_accuses_nobody_and_says_how_to_tell() {
    let place = Place::new();
    let server = place.log();
    (1..=2).for_each(|id| act(&server, id));
    server.note_end();
    let note = place.path().join("audit.settled");
    let whole = fs::read_to_string(&note).unwrap();
    let digest = sha256(&place.lines()[3]);
    for (bad, line) in [
        (whole.replace(&digest, &"1".repeat(64)), 4),
        (whole.replace("\"number\":4", "\"number\":9"), 4),
        (whole.replace("\"number\":4", "\"number\":2"), 2),
    ] {
        assert_ne!(bad, whole);
        fs::write(&note, bad).unwrap();
        let verified = place.log().verify().unwrap();
        let fault = verified.fault.clone().unwrap();
        assert_eq!((fault.kind, fault.line), (FaultKind::Note, line));
        let mut text = Vec::new();
        let said = verified.report(false, &mut text).unwrap_err();
        assert_eq!(said.exit(), Exit::Failure);
        let said = said.to_string();
        assert!(
            said.contains("audit.settled was") && said.contains("that you have kept"),
            "{said}"
        );
        assert!(!said.contains("somebody"), "{said}");
        assert!(String::from_utf8(text).unwrap().contains("the chain holds\n"));
    }
    // As it says.
    fs::remove_file(&note).unwrap();
    assert!(holds(&place.log()).note_missing);
    assert_eq!(place.log().settle(NOW), Ok(0));
    assert_eq!(fs::read_to_string(&note).unwrap(), whole);
    assert!(!holds(&place.log()).note_missing);
}

#[test]
fn one_line_at_the_end_that_is_none_can_be_taken_out_as_it_is_said() {
    let place = Place::new();
    act(&place.log(), 1);
    let whole = fs::read(place.file()).unwrap();
    for rubbish in ["\n", "rubbish\n"] {
        fs::write(place.file(), [&whole[..], rubbish.as_bytes()].concat()).unwrap();
        let command = format!(
            "sed -i '$d' {} && rm -f {}",
            place.file().display(),
            place.path().join("audit.settled").display()
        );
        let refused = place.log().begin(NOW, 7, "next", Arguments::new()).unwrap_err().to_string();
        assert!(refused.contains("its last line, line 3, is not one"), "{refused}");
        assert!(refused.contains(&command), "{refused}");
        let verified = place.log().verify().unwrap();
        let wrong = verified.wrong().unwrap();
        assert!(wrong.contains("audit.jsonl, line 3: this is not a line"), "{wrong}");
        assert!(wrong.contains("rm -f audit.settled && sed -i '$d' audit.jsonl"), "{wrong}");
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
        assert_eq!(fs::read(place.file()).unwrap(), whole);
        assert_eq!(holds(&place.log()).wrong(), None);
    }
    // Of a line that the note is about, the same.
    place.log().note_end();
    let before = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    fs::write(place.file(), [&whole[..=before], b"rubbish\n"].concat()).unwrap();
    let refused = place.log().begin(NOW, 7, "next", Arguments::new()).unwrap_err().to_string();
    let command = refused[refused.find("sed -i").unwrap()..].split(';').next().unwrap();
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success());
    assert_eq!(holds(&place.log()).wrong(), None);
    act(&place.log(), 1);
    assert_eq!(holds(&place.log()).wrong(), None);
    // What is followed by lines is not taken out.
    fs::write(place.file(), [b"rubbish\n", &whole[..]].concat()).unwrap();
    assert_eq!(place.log().verify().unwrap().fault.unwrap().kind, FaultKind::Chain);
}

#[test]
fn a_note_of_the_last_line_that_cannot_be_read_is_told_and_written_anew() {
    let place = Place::new();
    let server = place.log();
    act(&server, 1);
    server.note_end();
    let note = place.path().join("audit.settled");
    let whole = fs::read_to_string(&note).unwrap();
    let long = "x".repeat(1 << 20);
    for bad in [
        "",
        "{}",
        "nonsense",
        &whole[..whole.len() - 1],
        &whole.replace("\"number\":2", "\"number\":0"),
        &long,
    ] {
        fs::write(&note, bad).unwrap();
        let verified = holds(&place.log());
        assert!(verified.note_problem.is_some());
        let said = verified.report(false, &mut Vec::new()).unwrap_err();
        assert!(said.to_string().contains("audit.settled: it is no note of a line"), "{said}");
        assert_eq!(place.log().settle(NOW), Ok(0));
        assert_eq!(holds(&place.log()).wrong(), None);
    }
}

#[test]
fn a_note_of_the_last_line_that_others_can_change_is_told_and_written_anew() {
    let place = Place::new();
    let server = place.log();
    act(&server, 1);
    server.note_end();
    let note = place.path().join("audit.settled");
    fs::set_permissions(&note, fs::Permissions::from_mode(0o666)).unwrap();
    let said = holds(&place.log()).wrong().unwrap();
    let help = format!("others can change it; run: chmod go-w {}", note.display());
    assert!(said.contains(&help), "{said}");
    assert_eq!(place.log().settle(NOW), Ok(0));
    assert_eq!(fs::metadata(&note).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(holds(&place.log()).wrong(), None);
}

#[test]
fn a_log_that_is_missing_beside_a_database_was_removed() {
    let place = Place::new();
    fs::write(place.data().database(), "").unwrap();
    let fault = place.log().verify().unwrap().fault.unwrap();
    assert!(fault.problem.starts_with("the file is missing"), "{fault:?}");
    assert_eq!(place.log().settle(NOW), Ok(0));
    assert_eq!(holds(&place.log()).lines, 0);
}

#[test]
fn wherever_the_last_line_was_cut_the_next_one_mends_it() {
    let place = Place::new();
    let log = place.log();
    act(&log, 1);
    act(&log, 2);
    let whole = fs::read(place.file()).unwrap();
    let lines = place.lines();
    let last = whole.len() - lines[3].len() - 1;
    // Everything of the file may be in its first line, too.
    for (from, to, left) in [(last, whole.len(), 3), (0, lines[0].len() + 1, 0)] {
        for cut in from..to {
            for tail in [&[][..], &[0; 5_000]] {
                fs::write(place.file(), [&whole[..cut], tail].concat()).unwrap();
                let verified = holds(&log);
                assert_eq!(verified.lines, left, "{cut}");
                assert_eq!(verified.torn, cut > from || !tail.is_empty(), "{cut}");
                // After a power cut it is another process.
                drop(place.log().begin(NOW, 7, "next", Arguments::new()).unwrap());
                assert_eq!(place.lines()[..left as usize], lines[..left as usize], "{cut}");
                assert_eq!(holds(&log).lines, left + 1, "{cut}");
            }
        }
    }
}

#[test]
fn a_last_line_of_which_the_beginning_or_the_middle_was_not_written_is_mended_by_the_next() {
    let place = Place::new();
    let log = place.log();
    act(&log, 1);
    let whole = fs::read(place.file()).unwrap();
    let lines = place.lines();
    let last = lines[0].len() + 1;
    for from in last..whole.len() - 1 {
        for to in [from + 1, whole.len() - 1] {
            let mut torn = whole.clone();
            torn[from..to].fill(0);
            fs::write(place.file(), &torn).unwrap();
            assert!(holds(&log).torn);
            drop(place.log().begin(NOW, 7, "next", Arguments::new()).unwrap());
            assert_eq!(place.lines()[0], lines[0]);
            assert_eq!(holds(&log).lines, 2);
        }
    }
}

/// Where the chain breaks, when the lines of a log are these.
#[track_caller]
fn breaks(place: &Place, lines: &[String]) -> (u64, String) {
    place.write(lines);
    let verified = place.log().verify().unwrap();
    assert!(!verified.holds);
    let fault = verified.fault.unwrap();
    assert_eq!(fault.file, "audit.jsonl");
    (fault.line, fault.problem)
}

#[test]
fn a_line_that_was_changed_removed_added_or_moved_is_found_with_its_place() {
    let place = Place::new();
    (1..=4).for_each(|id| act(&place.log(), id));
    let lines = place.lines();
    for at in 0..lines.len() {
        let line = at as u64 + 1;
        let is_last = at + 1 == lines.len();

        let mut changed = lines.clone();
        changed[at] = changed[at].replace("\"uid\":7", "\"uid\":8");
        assert_ne!(changed, lines);
        if is_last {
            // Nothing follows it yet. What follows it will name what is there then.
            place.write(&changed);
            assert!(place.log().verify().unwrap().holds);
        } else {
            assert_eq!(breaks(&place, &changed).0, line);
        }

        let mut unreadable = lines.clone();
        unreadable[at] = unreadable[at].replacen('{', "[", 1);
        let (found, problem) = breaks(&place, &unreadable);
        assert_eq!((found, problem.as_str()), (line, "this is not a line of the audit log"));

        let mut removed = lines.clone();
        removed.remove(at);
        match (at, is_last) {
            // The last one can be removed without a trace, and so can the first ones: other checks are
            // for these.
            (_, true) => {
                place.write(&removed);
                assert!(place.log().verify().unwrap().holds);
            }
            (0, _) => {
                place.write(&removed);
                let verified = place.log().verify().unwrap();
                assert!(verified.holds && verified.older_lines_gone && !verified.rotated);
            }
            _ => assert_eq!(breaks(&place, &removed).0, line),
        }

        let mut twice = lines.clone();
        twice.insert(at, lines[at].clone());
        assert_eq!(breaks(&place, &twice).0, line + 1);

        if !is_last {
            let mut swapped = lines.clone();
            swapped.swap(at, at + 1);
            // The first line may be any, if nothing is before it.
            assert_eq!(breaks(&place, &swapped).0, if at == 0 { 2 } else { line });
        }
    }
    let mut forged = lines.clone();
    forged[0] = forged[0].replace(&"0".repeat(64), &"1".repeat(64));
    assert_eq!(breaks(&place, &forged).0, 1);
}

#[test]
fn what_is_no_line_is_found_however_it_looks_and_nothing_is_written_behind_it() {
    let place = Place::new();
    let log = place.log();
    act(&log, 1);
    let lines = place.lines();
    for rubbish in [
        String::new(),
        "{}".to_owned(),
        "null".to_owned(),
        "x".repeat(MAX_LINE),
        "x".repeat(MAX_LINE + 1),
        "x".repeat(10 * MAX_LINE),
        lines[1].replace("\"number\":2", "\"number\":18446744073709551615"),
        lines[1].replace("\"number\":2", "\"number\":18446744073709551616"),
        lines[1].replace("\"number\":2", "\"number\":-2"),
    ] {
        let with = [lines.clone(), vec![rubbish]].concat();
        assert_eq!(breaks(&place, &with).0, 3);
        let before = fs::read(place.file()).unwrap();
        let refused = log.begin(NOW, 7, "next", Arguments::new()).unwrap_err();
        assert_eq!(refused.exit(), Exit::Storage);
        assert!(refused.to_string().contains("nothing was changed"), "{refused}");
        assert!(refused.to_string().contains("audit verify"), "{refused}");
        assert_eq!(fs::read(place.file()).unwrap(), before);
    }
    // Much without an end is no cut line, either; nor are two lines with zeros.
    let zeros = [place.lines()[0].as_bytes(), b"\n\0\n\0\n"].concat();
    let much = [b"x".repeat(MAX_LINE + 1), b"y".repeat(9 * MAX_LINE), zeros];
    for rubbish in much {
        fs::write(place.file(), &rubbish).unwrap();
        assert_eq!(log.begin(NOW, 7, "next", Arguments::new()).unwrap_err().exit(), Exit::Storage);
        assert_eq!(fs::read(place.file()).unwrap(), rubbish);
        assert!(!log.verify().unwrap().holds);
    }
}

#[test]
fn an_act_without_an_end_is_unknown_after_the_next_start_exactly_once() {
    let place = Place::new();
    let log = place.log();
    act(&log, 1);
    drop(log.begin(NOW, 7, "users remove", Arguments::new().with("id", 2)).unwrap());
    log.note_shown(NOW, 7, "users show", Arguments::new()).unwrap();
    drop(log.begin(NOW, 7, "sessions end", Arguments::new().with("id", 3)).unwrap());
    act(&log, 4);

    let later = NOW.shifted(60);
    assert_eq!(log.settle(later), Ok(2));
    for _ in 0..2 {
        assert_eq!(log.settle(later), Ok(0));
        let entries = entries(&log);
        assert_eq!(entries.len(), 9);
        for (line, of, command) in
            [(&entries[7], 3, "users remove"), (&entries[8], 5, "sessions end")]
        {
            assert_eq!((line.of, line.result), (Some(of), Some(AuditResult::Unknown)));
            assert_eq!(
                (line.command.as_str(), line.time.as_str()),
                (command, "2026-11-22T12:35:56Z")
            );
        }
        holds(&log);
    }
}

#[test]
fn a_start_makes_a_log_ready_and_mends_it() {
    let place = Place::new();
    let log = place.log();
    assert_eq!(log.settle(NOW), Ok(0));
    assert_eq!(fs::read(place.file()).unwrap(), b"");
    act(&log, 1);
    OpenOptions::new().append(true).open(place.file()).unwrap().write_all(b"{\"numb").unwrap();
    assert_eq!(log.settle(NOW), Ok(0));
    assert_eq!(place.lines().len(), 2);
    assert!(!holds(&log).torn);
}

#[test]
fn arguments_and_details_stay_one_line_whatever_they_hold() {
    let place = Place::new();
    let log = place.log();
    let nasty = "\"},\n{\r\t\0\u{1b}[2J\u{9b}\u{202e}\u{2028}\\";
    let long = "ä\n".repeat(1 << 19);
    let arguments = Arguments::new()
        .with("nasty", nasty)
        .with("long", &long)
        .with("mentions", "from +4915112345617 to +15550001111");
    let begun = log.begin(NOW, 7, nasty, arguments).unwrap();
    log.end(NOW, begun, Outcome::failed(&long)).unwrap();
    log.note_shown(NOW, 7, &long, Arguments::new()).unwrap();
    holds(&log);

    let bytes = fs::read(place.file()).unwrap();
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 3);
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || "\u{202e}\u{2028}".contains(c))));
    assert!(text.lines().all(|line| line.len() < 8 * MAX_TEXT));

    let entries = entries(&log);
    assert_eq!(entries[0].command, nasty);
    assert_eq!(entries[0].arguments["nasty"], nasty);
    assert_eq!(entries[0].arguments["mentions"], "from +49…17 to +15…11");
    let cut = &entries[0].arguments["long"];
    assert!(cut.len() <= MAX_TEXT && cut.ends_with('…') && long.starts_with(&cut[..cut.len() - 3]));
    assert_eq!(entries[1].detail.as_ref(), Some(cut));
    assert_eq!(&entries[2].command, cut);
}

#[test]
fn a_log_that_was_moved_away_under_a_server_goes_on_where_it_was_and_shows_the_gap() {
    let place = Place::new();
    let log = place.log();
    act(&log, 1);
    let before = place.lines();
    fs::rename(place.file(), place.path().join("elsewhere")).unwrap();
    act(&log, 2);
    let lines = entries(&log);
    assert_eq!((lines[0].number, &lines[0].before), (3, &sha256(&before[1])));
    let verified = holds(&log);
    assert!(verified.older_lines_gone && !verified.rotated);

    // An older copy was put back: the lines between are missing.
    place.write(&before);
    act(&log, 3);
    let fault = log.verify().unwrap().fault.unwrap();
    assert_eq!((fault.line, fault.problem.contains("number 5 follows number 2")), (3, true));

    // What somebody else has added is no gap.
    let other = place.log();
    act(&other, 4);
    act(&log, 5);
    assert_eq!(entries(&log).last().unwrap().number, 10);
}

#[test]
fn a_log_that_cannot_be_written_is_seen_without_writing() {
    let place = Place::new();
    let log = place.log();
    log.check().unwrap();
    assert!(!place.file().exists());
    act(&log, 1);
    log.check().unwrap();
    assert_eq!(place.lines().len(), 2);
    fs::write(place.file(), "no line\n").unwrap();
    assert!(log.check().unwrap_err().to_string().contains("audit verify"));
    fs::remove_file(place.file()).unwrap();
    fs::create_dir(place.file()).unwrap();
    assert!(log.check().unwrap_err().to_string().contains("has to be a plain file"));
}
