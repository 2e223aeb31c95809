//! One process of a home holds its session, and the others work through it.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use waxwing::home::{Begin, Fate, HandedOver, Home, HomeError, Recorded};
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;

use crate::disk::SmallDisk;
use crate::process::{Process, eventually};
use crate::test_server::{TestServer, numbered};

#[test]
fn a_command_beside_the_holder_of_the_session_works_through_it() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    let mut holder = bert.start(&["receive", "--follow"]);
    holder.wait_for_out(|out| out.contains(": one"));

    bert.send(&anna, "through the holder").exits(0).says("stored");
    anna.receives(&["through the holder"]);
    anna.send(&bert, "two").exits(0);
    holder.wait_for_out(|out| out.contains(": two"));
    // Had the other command opened a session of its own, this one would be over.
    assert!(holder.is_running());
    assert!(!server.log().contains("TakenOver"));
    holder.signal(Signal::INT);
    holder.finish().exits(0);
}

#[test]
fn a_command_takes_the_session_over_when_its_holder_ends() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    let first = bert.start(&["receive", "--follow"]);
    first.wait_for_out(|out| out.contains(": one"));
    let mut second = bert.start(&["chat", &anna.phone]);
    second.write("hello\n");
    second.wait_for_out(|out| out.contains("✓ hello"));
    first.kill();
    second.write("still here\n");
    second.wait_for_out(|out| out.contains("✓ still here"));
    second.finish_without_input().exits(0);
    anna.receives(&["hello", "still here"]);
}

#[test]
fn whoever_loses_the_session_for_good_hears_what_became_of_the_letters() {
    let server = TestServer::with(&[("limits.letters_per_pair", "1")]);
    let (anna, bert) = server.anna_and_bert();
    let double = server.copy_of(&anna);

    let waiting = anna.start(&["send", "--wait", "delivered", &bert.phone, "one"]);
    eventually("it is stored", || (anna.statuses(&bert) == ["stored"]).then_some(()));
    double.run(&["receive"]).exits(7);
    let ran = waiting.finish_without_input().exits(3).says("took over");
    assert!(ran.out.starts_with("stored "), "{ran:?}");

    let mut chat = anna.start(&["chat", &bert.phone]);
    chat.write("two\n");
    chat.wait_for_out(|out| out.contains("not taken yet"));
    double.run(&["receive"]).exits(7);
    chat.finish().exits(3).says("took over").says("1 letter to");
}

#[test]
fn letters_that_another_command_fetched_are_printed_by_the_next_receive() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    for text in ["one", "two"] {
        anna.send(&bert, text).exits(0);
    }
    // Stays until everything that was pending is stored.
    bert.run(&["verify", &anna.phone]).exits(0);
    server.kill();
    bert.receives(&["one", "two"]);
    bert.run(&["receive"]).exits(3);
}

#[test]
fn of_several_that_receive_at_once_each_letter_is_printed_by_one() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let texts: Vec<_> = numbered(1..=60);
    let mut chat = anna.start(&["chat", &bert.phone]);
    chat.write(&texts.join("\n"));
    chat.finish_without_input().exits(0);
    // Stays until everything that was pending is stored.
    bert.run(&["verify", &anna.phone]).exits(0);
    server.kill();
    let receivers = [(); 6].map(|()| bert.start(&["receive", "--json", "--timeout", "5"]));
    let mut printed: Vec<String> = Vec::new();
    for receiver in receivers {
        let ran = receiver.finish_without_input();
        printed.extend(crate::test_server::texts(&ran.out).into_iter().flatten());
    }
    printed.sort_by_key(|text| texts.iter().position(|sent| sent == text));
    assert_eq!(printed, texts);
}

#[test]
fn while_one_prints_another_that_receives_prints_nothing() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    // More than a pipe takes that nobody reads.
    let texts: Vec<_> = ["a", "b", "c"].iter().map(|letter| letter.repeat(50_000)).collect();
    for text in &texts {
        anna.send(&bert, text).exits(0);
    }
    let mut first = bert.command(&["receive", "--json"]);
    let mut first = first.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = first.stdout.take().unwrap();
    let mut printed = vec![0];
    out.read_exact(&mut printed).unwrap();

    let second = bert.run(&["receive"]);
    assert!(second.code != Some(0) && second.out.is_empty(), "{second:?}");
    out.read_to_end(&mut printed).unwrap();
    assert!(first.wait().unwrap().success());
    let printed = crate::test_server::texts(&String::from_utf8(printed).unwrap());
    assert_eq!(printed, texts.into_iter().map(Some).collect::<Vec<_>>());
    bert.receives_nothing();
}

#[test]
fn a_home_cannot_register_twice_at_once() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let holder = bert.start(&["receive", "--follow"]);
    anna.send(&bert, "one").exits(0);
    holder.wait_for_out(|out| out.contains(": one"));
    bert.register().exits(1).says("another waxwing is at work").says("`ps -p ");
}

#[test]
fn a_home_that_cannot_be_written_is_read() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    // In the log alone, as a command that was killed leaves it.
    let open = anna.database();
    open.execute_batch("UPDATE outbox SET read_at = 1").unwrap();

    // Nothing stops root, so that the home becomes somebody else's, who may only read it.
    let nobody = rustix::process::geteuid().is_root().then_some(65_534);
    let binary = anna.home.with_file_name("client");
    fs::copy(crate::binaries::client(), &binary).unwrap();
    let root = anna.home.parent().unwrap();
    fs::set_permissions(root, Permissions::from_mode(0o711)).unwrap();
    let entries = fs::read_dir(&anna.home).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.chain([anna.home.clone()]) {
        let mode = if path == anna.home { 0o500 } else { 0o400 };
        chown(&path, nobody, None).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    let run = |args: &[&str]| {
        let mut command = Command::new(&binary);
        command.arg("--home").arg(&anna.home).args(args);
        if let Some(uid) = nobody {
            command.uid(uid);
        }
        Process::start(&mut command).finish_without_input()
    };
    run(&["whoami"]).exits(0).says(&anna.phone);
    run(&["contacts"]).exits(0).says(&bert.phone);
    run(&["history", &bert.phone]).exits(0).says("me: hello [stored, read]");
    run(&["outbox"]).exits(0).says("no letter waits");
    for args in [&["send", &bert.phone, "more"][..], &["receive"], &["chat", &bert.phone]] {
        run(args).exits(74).says("cannot be written");
    }
    drop(open);
    fs::set_permissions(&anna.home, Permissions::from_mode(0o700)).unwrap();
}

/// Puts long letters of somebody into a home, and their words into its index.
fn fill(home: &Home, from: &str, letters: std::ops::Range<u8>) {
    let from = Phone::parse(from.as_bytes()).unwrap();
    home.relations().accept(&from).unwrap();
    for at in letters {
        let text: String =
            (0..2_000).map(|word| format!("{:x} ", word * 7_919 + usize::from(at))).collect();
        let letter = HandedOver {
            packet_id: PacketId([at; 16]),
            sender: UserId::new(7).unwrap(),
            sent_at: UnixTime::from_seconds(0),
            received_at: UnixTime::from_seconds(0),
            fate: Fate::Opened { from, uid: Uid([at; 16]), content: Content::Text(&text) },
        };
        assert!(matches!(home.letters().record(&letter).unwrap(), Recorded::Stored(_)));
    }
    while home.index_more(10).unwrap() {}
}

/// What the home keeps for deleting is a part of the disk, and on this one too little.
#[test]
fn on_a_tiny_full_disk_what_only_reads_works_and_no_advice_goes_in_a_circle() {
    let server = TestServer::new();
    let (anna, bert) =
        (server.newcomer("anna", "+4915112345601"), server.person("bert", "+4915112345602"));
    fs::create_dir(&anna.home).unwrap();
    let Some(disk) = SmallDisk::over(&anna.home, "600k") else {
        let _ = writeln!(io::stderr(), "a full disk: SKIPPED: only root can mount a small one");
        return;
    };
    anna.register().exits(0);
    anna.send(&bert, "hello").exits(0);
    disk.fill();
    anna.run(&["whoami"]).exits(0).says(&anna.phone);
    for command in [&["history", &bert.phone][..], &["search", "hello"]] {
        anna.run(command).exits(0).says("hello");
    }
    for command in ["contacts", "conversations", "requests", "outbox"] {
        anna.run(&[command]).exits(0);
    }
    anna.run(&["receive"]).exits(74).says("`waxwing delete` can work all the same");
    let delete = ["delete", &bert.phone, "--all", "--yes"];
    let ran = anna.run(&delete).exits(74).says("nothing was deleted. Make 1 MiB free");
    assert!(!ran.err.contains("waxwing delete"), "{ran:?}");
    disk.make_room();
    anna.run(&delete).exits(0);
}

#[test]
fn on_a_full_disk_letters_can_be_deleted_and_their_room_is_given_back() {
    let server = TestServer::new();
    let (anna, bert) =
        (server.newcomer("anna", "+4915112345601"), server.person("bert", "+4915112345602"));
    fs::create_dir(&anna.home).unwrap();
    let Some(disk) = SmallDisk::over(&anna.home, "24m") else {
        let _ = writeln!(io::stderr(), "a full disk: SKIPPED: only root can mount a small one");
        return;
    };
    anna.register().exits(0);
    anna.send(&bert, "hello").exits(0);
    let home = Home::open(&anna.home).unwrap();
    fill(&home, &bert.phone, 0..200);
    drop(home);
    let file = anna.home.join("waxwing.db");
    let before = fs::metadata(&file).unwrap().len();
    assert!(before > 4 * 1_024 * 1_024, "{before}");
    // Others have taken all of it, and the home's own programs have ended.
    disk.fill();
    let many = "words ".repeat(10_000);
    let refused = (0..50).map(|_| anna.send(&bert, &many)).find(|ran| ran.code != Some(0));
    refused.expect("the disk is full").exits(74).says("`waxwing delete` can work all the same");
    anna.run(&["delete", &bert.phone, "--all", "--yes"])
        .exits(0)
        .says("deleted: 200 letters received");
    let after = fs::metadata(&file).unwrap().len();
    assert!(after < before / 4, "{before} {after}");
    // What others said is found as before.
    anna.run(&["search", "nothing like it"]).exits(0);
    // There is room again, for letters and for the next time.
    bert.send(&anna, "are you there?").exits(0);
    anna.receives(&["are you there?"]);
    disk.fill();
    anna.run(&["delete", &bert.phone, "--all", "--yes"]).exits(0);
    // What is deleted by its age is so on a full disk, too.
    disk.make_room();
    let home = Home::open(&anna.home).unwrap();
    fill(&home, &bert.phone, 200..250);
    let letters = home.letters().unprinted(99).unwrap();
    home.letters()
        .mark_printed(&letters.iter().map(|letter| letter.id).collect::<Vec<_>>())
        .unwrap();
    drop(home);
    disk.fill();
    let home = Home::open(&anna.home).unwrap();
    let (day, now) = (Duration::from_hours(24), UnixTime::from_seconds(1_000_000));
    let forgotten: Vec<_> = (0..9).map(|_| home.forget_older(day, now).unwrap()).collect();
    assert_eq!(forgotten.iter().sum::<usize>(), 50, "{forgotten:?}");
}

#[test]
fn on_a_very_small_full_disk_all_letters_are_deleted() {
    let server = TestServer::new();
    let (anna, bert) =
        (server.newcomer("anna", "+4915112345601"), server.person("bert", "+4915112345602"));
    fs::create_dir(&anna.home).unwrap();
    let Some(disk) = SmallDisk::over(&anna.home, "700k") else {
        let _ = writeln!(io::stderr(), "a full disk: SKIPPED: only root can mount a small one");
        return;
    };
    anna.register().exits(0);
    let text = "words ".repeat(500);
    let refused = (0..200).map(|_| anna.send(&bert, &text)).find(|ran| ran.code != Some(0));
    let refused = refused.expect("the disk is full").exits(74);
    // It says one thing: the letter is kept, or it is not.
    let is_said_to_be_lost = refused.err.contains("nothing of this was stored");
    assert_eq!(refused.out.is_empty(), is_said_to_be_lost, "{refused:?}");
    assert!(anna.statuses(&bert).len() > 20);
    anna.run(&["delete", &bert.phone, "--all", "--yes"]).exits(0);
    // One may be on its way.
    assert!(anna.statuses(&bert).len() <= 1, "{:?}", anna.statuses(&bert));
    drop(disk);
}

#[test]
fn on_a_full_disk_nothing_but_deleting_takes_the_room_that_is_kept_for_it() {
    let server = TestServer::new();
    let (anna, bert) =
        (server.newcomer("anna", "+4915112345601"), server.person("bert", "+4915112345602"));
    fs::create_dir(&anna.home).unwrap();
    let Some(disk) = SmallDisk::over(&anna.home, "4m") else {
        let _ = writeln!(io::stderr(), "a full disk: SKIPPED: only root can mount a small one");
        return;
    };
    anna.register().exits(0);
    anna.send(&bert, "hello").exits(0);
    let home = Home::open(&anna.home).unwrap();
    fill(&home, &bert.phone, 0..20);
    home.consumers().begin("bot", Begin::Oldest).unwrap();
    drop(home);
    disk.fill();
    let kept = || fs::metadata(anna.home.join("reserve")).unwrap().len();
    let before = kept();
    for _ in 0..20 {
        anna.run(&["history", &bert.phone]).exits(0).says("hello");
        for words in [&["send", &bert.phone, &"words ".repeat(5_000)][..], &["receive"]] {
            let code = anna.run(words).code;
            assert!(matches!(code, Some(0 | 74)), "{words:?} {code:?}");
        }
        // Others take what is free at any moment.
        disk.fill();
    }
    assert_eq!(kept(), before);
    // A program that is done with letters lets them be deleted.
    let home = Home::open(&anna.home).unwrap();
    let new = (0..20_000).map(|at| home.consumers().begin(&format!("bot{at}"), Begin::Next));
    let refused = new.filter_map(Result::err).next().unwrap();
    assert!(matches!(refused, HomeError::Full { .. }), "{refused}");
    let last = home.consumers().next("bot", 99).unwrap().pop().unwrap().id;
    assert!(home.consumers().ack("bot", last, UnixTime::from_seconds(0)).unwrap());
    drop(home);
    anna.run(&["delete", &bert.phone, "--all", "--yes"])
        .exits(0)
        .says("deleted: 20 letters received");
    anna.send(&bert, "there is room again").exits(0);
    drop(disk);
}

#[test]
fn on_a_full_disk_whoever_follows_says_so_and_goes_on_when_there_is_room() {
    let server = TestServer::new();
    let (anna, bert) =
        (server.newcomer("anna", "+4915112345601"), server.person("bert", "+4915112345602"));
    fs::create_dir(&anna.home).unwrap();
    let Some(disk) = SmallDisk::over(&anna.home, "4m") else {
        let _ = writeln!(io::stderr(), "a full disk: SKIPPED: only root can mount a small one");
        return;
    };
    anna.register().exits(0);
    bert.send(&anna, "before").exits(0);
    let following = anna.start(&["receive", "--follow", "--json"]);
    following.wait_for_out(|out| out.contains("before"));
    disk.fill();
    let full = "is full: what comes waits at the server until there is room";
    let mut sent = 0;
    while !following.err().contains(full) {
        assert!(sent < 100, "the disk is never full");
        sent += 1;
        // One that waits at the server is stored there.
        bert.send(&anna, &format!("{} end-{sent}", "words ".repeat(5_000))).exits(0);
    }
    disk.make_room();
    following.wait_for_err("connected again");
    let last = format!("end-{sent}\"");
    following.wait_for_out(|out| out.contains(&last));
    following.signal(Signal::INT);
    let ran = following.finish().exits(0);
    for at in 1..=sent {
        assert_eq!(ran.out.matches(&format!(" end-{at}\"")).count(), 1, "{at}");
    }
    assert_eq!(ran.err.matches(full).count(), 1, "{}", ran.err);
    anna.receives_nothing();
}

#[test]
fn registering_on_a_disk_that_is_too_small_goes_on_when_there_is_room() {
    let server = TestServer::new();
    let mut failed = 0;
    for (at, size) in ["4k", "60k", "160k", "200k", "220k", "240k", "300k"].iter().enumerate() {
        let person = server.newcomer(&format!("person {at}"), &format!("+491511234560{at}"));
        fs::create_dir(&person.home).unwrap();
        let Some(disk) = SmallDisk::over(&person.home, size) else {
            let _ = writeln!(
                io::stderr(),
                "a home on a small disk: SKIPPED: only root can mount a small one"
            );
            return;
        };
        let ran = person.register();
        if ran.code != Some(0) {
            failed += 1;
            ran.exits(74).says("Make 1 MiB free on it, and run `waxwing register` again");
            assert!(!person.home.join("waxwing.db.new").exists());
        }
        disk.resize("4m");
        person.register().exits(0);
        person.run(&["whoami"]).exits(0).says(&person.phone);
        person.receives_nothing();
    }
    assert!((3..7).contains(&failed), "{failed}");
}
