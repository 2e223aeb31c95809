//! What an operator does with a server, with people around.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::keys::{accept, number};
use crate::process::Process;
use crate::town::Town;

#[test]
fn users_are_listed_and_shown_while_the_server_runs_and_removed_when_it_does_not() {
    let mut town = Town::new();
    let (anna, bert) = town.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    let listed = town.administer(&["users", "list"]).exits(0).out;
    let rows: Vec<Vec<_>> =
        listed.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0][..2], ["1", &anna.phone]);
    assert_eq!(rows[1][..2], ["2", &bert.phone]);
    assert_eq!(rows[1][rows[1].len() - 2], "1");
    town.administer(&["users", "show", &bert.phone]).exits(0).says("1 letters");
    let refused = town.administer(&["users", "remove", "2"]).exits(1);
    refused.says("a waxwing-server is running");

    town.stop();
    let removed = town.administer(&["users", "remove", &bert.phone]).exits(0);
    removed.says("removed user 2").says("1 letters undelivered");
    town.start();
    bert.run(&["receive"]).exits(3);
    anna.receives_nothing();
    assert_eq!(anna.statuses(&bert), ["expired"]);
}

#[test]
fn a_phone_registered_anew_gets_another_id_and_its_old_pins_break_visibly() {
    let mut town = Town::new();
    let (anna, bert) = town.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    bert.receives(&["one"]);
    town.stop();
    town.administer(&["users", "remove", &bert.phone]).exits(0);
    town.start();

    let anew = town.newcomer("anew", &bert.phone);
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
    let town = Town::new();
    let anna = town.person("anna", "+4915112345601");
    let fingerprint = town.administer(&["key", "fingerprint"]).exits(0).out;
    let whoami = anna.run(&["whoami"]).exits(0).out;
    let shown = whoami.lines().find_map(|line| line.strip_prefix("server key")).unwrap();
    assert_eq!(shown.split_whitespace().collect::<String>(), fingerprint.trim());
    assert_eq!(fingerprint.trim().len(), 64);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_does_no_harm() {
    let town = Town::new();
    let (anna, bert) = town.anna_and_bert();
    let second = town.administer(&["--listen", "127.0.0.1:0"]).exits(1);
    second.says("a waxwing-server is running on");
    anna.send(&bert, "one").exits(0);
    bert.receives(&["one"]);
}

#[test]
fn a_port_that_is_taken_exits_3() {
    let (town, mut other) = (Town::new(), Town::new());
    other.stop();
    other.administer(&["--listen", &town.address().to_string()]).exits(3);
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let mut town = Town::new();
    town.stop();
    let key = town.data().join("server.key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    town.administer(&["--listen", "127.0.0.1:0"]).exits(4).says("chmod 600");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    town.start();
}

#[test]
fn a_damaged_database_is_refused_and_left_as_it_was() {
    let mut town = Town::new();
    town.person("anna", "+4915112345601");
    town.stop();
    let file = town.data().join("waxwing.db");
    let mut bytes = fs::read(&file).unwrap();
    // The root page of the schema, behind the header.
    bytes[100..400].fill(0xa5);
    fs::write(&file, &bytes).unwrap();
    let refused = town.administer(&["--listen", "127.0.0.1:0"]).exits(74);
    assert!(refused.out.is_empty() && refused.err.contains("waxwing.db"), "{refused:?}");
    refused.says("--recover");
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_damaged_database_is_moved_aside_when_asked_for_and_a_sound_one_is_not() {
    let mut town = Town::new();
    let anna = town.person("anna", "+4915112345601");
    town.stop();
    town.start_with_flag("--recover");
    anna.receives_nothing();
    town.stop();

    let file = town.data().join("waxwing.db");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100..400].fill(0xa5);
    fs::write(&file, &bytes).unwrap();
    town.start_with_flag("--recover");
    assert!(town.log().contains("waxwing.db.damaged-1"), "{}", town.log());
    assert_eq!(fs::read(town.data().join("waxwing.db.damaged-1")).unwrap(), bytes);
    town.administer(&["users", "show", "+4915112345601"]).exits(1);
    town.person("bert", "+4915112345602");
    town.stop();
    town.start();
}

#[test]
fn what_can_be_read_of_a_damaged_database_goes_on() {
    let mut town = Town::new();
    let (anna, bert) = town.anna_and_bert();
    anna.send(&bert, "kept").exits(0);
    town.stop();
    // What the index of phones says is not what the row says.
    let file = town.data().join("waxwing.db");
    let mut bytes = fs::read(&file).unwrap();
    let phone = anna.phone.as_bytes();
    let at = bytes.windows(phone.len()).rposition(|found| found == phone).unwrap();
    bytes[at] = b'-';
    fs::write(&file, bytes).unwrap();
    let refused = town.administer(&["--listen", "127.0.0.1:0"]).exits(74);
    refused.says("--recover").says("goes on with");
    town.start_with_flag("--recover");
    assert!(town.log().contains("waxwing.db.damaged-1"), "{}", town.log());
    bert.receives(&["kept"]);
    town.stop();
    town.start();
}

#[test]
fn in_band_codes_on_an_address_that_others_reach_need_to_be_allowed() {
    let mut town = Town::new();
    town.stop();
    town.administer(&["--listen", "0.0.0.0:0"]).exits(78).says("allow-unverified");
    let mut command = std::process::Command::new(crate::binaries::server());
    command.arg("--data").arg(town.data()).args(["--listen", "0.0.0.0:0", "--allow-unverified"]);
    let allowed = Process::start(&mut command);
    allowed.wait_for_out(|out| out.starts_with("listening on 0.0.0.0:") && out.ends_with('\n'));
    allowed.signal(rustix::process::Signal::TERM);
    allowed.finish().exits(0);
}

#[test]
fn whoever_comes_from_the_loopback_is_limited_and_told_no_code() {
    let town = Town::with_nothing_but(tempfile::tempdir().unwrap(), &[]);
    let anna = town.newcomer("anna", "+4915112345601");
    let mut registering = anna.start_registering(&[]);
    let log = town.server().wait_for_err("OTP for +49…01: ");
    let (_, code) = log.rsplit_once("OTP for +49…01: ").unwrap();
    registering.write(&format!("{}\n", &code[..6]));
    registering.finish().exits(0).says("registered");
    for number in 2..=10 {
        let other = town.newcomer(&format!("{number}"), &format!("+491511234560{number}"));
        assert_ne!(other.register().code, Some(5));
    }
    town.newcomer("last", "+4915112345611").register().exits(5);
    // Once, however many come, and with the way to raise it.
    town.newcomer("late", "+4915112345612").register().exits(5);
    let log = town.log();
    assert_eq!(log.matches("limits.registrations_per_prefix_per_hour").count(), 1, "{log}");
    assert!(log.contains("limits.exempt"), "{log}");
}
