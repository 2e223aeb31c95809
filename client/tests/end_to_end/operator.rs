//! What an operator does with a server, with people around.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::keys::{accept, number};
use crate::process::Process;
use crate::test_server::TestServer;

#[test]
fn users_are_listed_shown_and_removed_without_a_server() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    server.stop();
    let listed = server.administer(&["users", "list", "--full"]).exits(0).out;
    let rows: Vec<Vec<_>> =
        listed.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0][..2], ["1", &anna.phone]);
    assert_eq!(rows[1][..2], ["2", &bert.phone]);
    assert_eq!(rows[1][rows[1].len() - 3], "1");
    server.administer(&["users", "show", &bert.phone]).exits(0).says("1 letter,");
    let removed = server.administer(&["users", "remove", "--yes", &bert.phone]).exits(0);
    removed.says("removed user 2").says("1 letter undelivered");
    server.start();
    bert.run(&["receive"]).exits(3);
    anna.receives_nothing();
    assert_eq!(anna.statuses(&bert), ["expired"]);
}

#[test]
fn a_phone_registered_anew_gets_another_id_and_its_old_pins_break_visibly() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    bert.receives(&["one"]);
    server.stop();
    server.administer(&["users", "remove", "--yes", &bert.phone]).exits(0);
    server.start();

    let anew = server.newcomer("anew", &bert.phone);
    anew.register().exits(0).says("as 3");
    anna.send(&anew, "two").exits(4).says("has changed");
    anew.receives_nothing();
    accept(&anna, &anew, &number(&anna, &anew, 4)).exits(0);
    anna.send(&anew, "three").exits(0);
    anew.receives(&["two", "three"]);
    // The old key is not good for anything.
    bert.run(&["receive"]).exits(3);
}

#[test]
fn the_fingerprint_that_an_operator_reads_out_is_the_one_that_clients_show() {
    let server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    let fingerprint = server.administer(&["key", "fingerprint"]).exits(0).out;
    let whoami = anna.run(&["whoami"]).exits(0).out;
    let shown = whoami.lines().find_map(|line| line.strip_prefix("server key")).unwrap();
    assert_eq!(shown.split_whitespace().collect::<String>(), fingerprint.trim());
    assert_eq!(fingerprint.trim().len(), 64);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_does_no_harm() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let second = server.administer(&["--listen", "127.0.0.1:0"]).exits(1);
    second.says("a waxwing-server is running on");
    anna.send(&bert, "one").exits(0);
    bert.receives(&["one"]);
}

#[test]
fn a_port_that_is_taken_exits_3() {
    let (server, mut other) = (TestServer::new(), TestServer::new());
    other.stop();
    other.administer(&["--listen", &server.address().to_string()]).exits(3);
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let mut server = TestServer::new();
    server.stop();
    let key = server.data().join("server.key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    server.administer(&["--listen", "127.0.0.1:0"]).exits(4).says("chmod 600");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    server.start();
}

#[test]
fn a_damaged_database_is_refused_and_left_as_it_was() {
    let mut server = TestServer::new();
    server.person("anna", "+4915112345601");
    server.stop();
    let file = server.data().join("waxwing.db");
    let mut bytes = fs::read(&file).unwrap();
    // The root page of the schema, behind the header.
    bytes[100..400].fill(0xa5);
    fs::write(&file, &bytes).unwrap();
    let refused = server.administer(&["--listen", "127.0.0.1:0"]).exits(74);
    assert!(refused.out.is_empty() && refused.err.contains("waxwing.db"), "{refused:?}");
    refused.says("--recover");
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_damaged_database_is_moved_aside_when_asked_for_and_a_sound_one_is_not() {
    let mut server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    server.stop();
    server.start_with_flag("--recover");
    anna.receives_nothing();
    server.stop();

    let file = server.data().join("waxwing.db");
    let mut bytes = fs::read(&file).unwrap();
    // The page with the phone, in the index of phones.
    let phone = anna.phone.as_bytes();
    let at = bytes.windows(phone.len()).rposition(|found| found == phone).unwrap();
    bytes[at] = b'-';
    fs::write(&file, &bytes).unwrap();
    server.start_with_flag("--recover");
    assert!(server.log().contains("waxwing.db.damaged-1"), "{}", server.log());
    let aside = fs::read(server.data().join("waxwing.db.damaged-1")).unwrap();
    assert_eq!(aside[at], b'-');
    server.administer(&["users", "show", "+4915112345601"]).exits(0);
    // Nobody gets an id that somebody may have had who could not be read.
    server.person("bert", "+4915112345602");
    server.administer(&["users", "show", "+4915112345602"]).exits(0).says("1002");
    server.stop();
    server.start();
}

#[test]
fn a_recovery_says_that_the_newest_backup_has_users_who_are_lost() {
    let backups = tempfile::tempdir().unwrap();
    let mut server = TestServer::with(&[("backup.directory", backups.path().to_str().unwrap())]);
    // The first one is made by the clock, before there is anybody, and two are not made at a time.
    server.process().wait_for_err("a backup was made");
    let (anna, _bert) = server.anna_and_bert();
    server.administer(&["backup", "create"]).exits(0);
    server.stop();
    let file = server.data().join("waxwing.db");
    let mut bytes = fs::read(&file).unwrap();
    // In the row of the user, before the index.
    let phone = anna.phone.as_bytes();
    let at = bytes.windows(phone.len()).position(|found| found == phone).unwrap();
    bytes[at] = b'-';
    fs::write(&file, bytes).unwrap();
    server.start_with_flag("--recover");
    let log = server.process().wait_for_err("in_backup=2 users=1");
    assert!(log.contains("the newest backup has users who are not in the recovered"), "{log}");
    assert!(log.contains(&format!("backup restore {}", backups.path().display())), "{log}");
}

#[test]
fn a_recovery_without_a_damaged_log_says_that_what_operators_decided_last_may_be_lost() {
    let mut server = TestServer::new();
    server.anna_and_bert();
    server.stop();
    server.start();
    server.administer(&["users", "suspend", "2"]).exits(0);
    server.kill();
    let log = server.data().join("waxwing.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    bytes[5] ^= 1;
    fs::write(&log, bytes).unwrap();
    server.administer(&["--listen", "127.0.0.1:0"]).exits(74).says("waxwing.db-wal is damaged");
    server.start_with_flag("--recover");
    let said =
        server.process().wait_for_err("suspensions, limits of users and bans that came last");
    assert!(said.contains("`waxwing-server audit show` has what was decided"), "{said}");
    assert!(server.administer(&["audit", "show"]).exits(0).out.contains("users suspend"));
}

#[test]
fn a_recovery_does_not_begin_a_server_without_users_and_says_what_does() {
    let mut server = TestServer::new();
    server.person("anna", "+4915112345601");
    server.stop();
    let file = server.data().join("waxwing.db");
    let sound = fs::read(&file).unwrap();
    for damaged in [
        {
            let mut bytes = sound.clone();
            bytes[100..8_192].fill(0xa5);
            bytes
        },
        Vec::new(),
    ] {
        fs::write(&file, &damaged).unwrap();
        let refused = server.administer(&["run", "--recover", "--listen", "127.0.0.1:0"]).exits(74);
        refused.says("backup restore").says("--new-database");
        assert_eq!(fs::read(&file).unwrap(), damaged);
    }
    let acts = server.administer(&["audit", "show"]).exits(0).out;
    assert!(acts.contains("failed") && !acts.contains("unknown"), "{acts}");
    for name in ["waxwing.db", "waxwing.db-generation"] {
        fs::remove_file(server.data().join(name)).unwrap();
    }
    server.start_with_flag("--new-database");
    server.administer(&["users", "show", "+4915112345601"]).exits(1);
}

#[test]
fn what_can_be_read_of_a_damaged_database_goes_on() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "kept").exits(0);
    server.stop();
    // What the index of phones says is not what the row says.
    let file = server.data().join("waxwing.db");
    let mut bytes = fs::read(&file).unwrap();
    let phone = anna.phone.as_bytes();
    let at = bytes.windows(phone.len()).rposition(|found| found == phone).unwrap();
    bytes[at] = b'-';
    fs::write(&file, bytes).unwrap();
    let refused = server.administer(&["--listen", "127.0.0.1:0"]).exits(74);
    refused.says("--recover").says("goes on with");
    server.start_with_flag("--recover");
    assert!(server.log().contains("waxwing.db.damaged-1"), "{}", server.log());
    bert.receives(&["kept"]);
    server.stop();
    server.start();
}

#[test]
fn in_band_codes_on_an_address_that_others_reach_need_to_be_allowed() {
    let mut server = TestServer::new();
    server.stop();
    server.administer(&["--listen", "0.0.0.0:0"]).exits(78).says("allow-unverified");
    let mut command = std::process::Command::new(crate::binaries::server());
    command.arg("--data").arg(server.data()).args(["--listen", "0.0.0.0:0", "--allow-unverified"]);
    let allowed = Process::start(&mut command);
    allowed.wait_for_out(|out| out.starts_with("listening on 0.0.0.0:") && out.ends_with('\n'));
    allowed.signal(rustix::process::Signal::TERM);
    allowed.finish().exits(0);
}

#[test]
fn whoever_comes_from_the_loopback_is_limited_and_told_no_code() {
    let server = TestServer::with_nothing_but(tempfile::tempdir().unwrap(), &[]);
    let anna = server.newcomer("anna", "+4915112345601");
    let mut registering = anna.start_registering(&[]);
    let log = server.process().wait_for_err("OTP for +49…01: ");
    let (_, code) = log.rsplit_once("OTP for +49…01: ").unwrap();
    registering.write(&format!("{}\n", &code[..6]));
    registering.finish().exits(0).says("registered");
    for number in 2..=10 {
        let other = server.newcomer(&format!("{number}"), &format!("+491511234560{number}"));
        assert_ne!(other.register().code, Some(5));
    }
    server.newcomer("last", "+4915112345611").register().exits(5);
    // Once, however many come, and with the way to raise it.
    server.newcomer("late", "+4915112345612").register().exits(5);
    let log = server.log();
    assert_eq!(log.matches("limits.registrations_per_prefix_per_hour").count(), 1, "{log}");
    assert!(log.contains("limits.exempt"), "{log}");
}
