//! Exit codes, as programs see them.

use crate::test_server::TestServer;

#[test]
fn arguments_that_make_no_sense_exit_2() {
    let server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    for args in [
        &["send"][..],
        &["send", "12345", "hi"],
        &["receive", "--timeout", "soon"],
        &["dance"],
        &["send", &anna.phone, "to myself"],
    ] {
        let ran = anna.run(args).exits(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{ran:?}");
    }
}

#[test]
fn a_server_with_another_key_than_the_pinned_one_exits_4() {
    let (server, other) = (TestServer::new(), TestServer::new());
    let mut anna = server.newcomer("anna", "+4915112345601");
    anna.server_key = other.public_key();
    for code in [&[][..], &["--otp", "123456"]] {
        let ran = anna.register_with(code).exits(4).says("has another key than the one in");
        ran.says(&server.address().to_string()).says("Nobody is registered");
        anna.run(&["history", "+4915112345602"]).exits(1).says("nobody is registered here");
        // Nothing waits there that would go out under the number of whoever registers.
        anna.run(&["rpc"]).exits(1).says("nobody is registered here");
    }
}

#[test]
fn a_phone_that_nobody_has_exits_3() {
    let server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    let ran = anna.run(&["send", "+4915112345609", "hi"]).exits(3);
    assert!(ran.out.starts_with("refused "), "{ran:?}");
    ran.says("the server knows nobody with this phone");
    // It is not tried again behind the person's back.
    server.person("bert", "+4915112345609").receives_nothing();
    anna.receives_nothing();
}

#[test]
fn files_that_are_not_what_was_meant_are_named_with_what_to_do() {
    let server = TestServer::new();
    let mut anna = server.newcomer("anna", "+4915112345601");
    let right = std::mem::replace(&mut anna.server_key, anna.home.join("absent"));
    anna.register().exits(78).says("cannot be read").says("ask the server's operator");
    (anna.server_key, anna.home) = (right.clone(), right);
    for args in [&["whoami"][..], &["contacts"]] {
        anna.run(args).exits(74).says("is not a directory; name another place").says("--home");
    }
    anna.register().exits(74).says("is not a directory; name another place");
}

#[test]
fn verifying_a_phone_that_nobody_has_exits_3() {
    let mut server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    let ran = anna.run(&["verify", "+4915112345609"]).exits(3);
    ran.says("the server knows nobody with this phone").says("check the number");
    // What the server has not said is not known.
    server.stop();
    let ran = anna.run(&["verify", "+4915112345609"]).exits(1);
    ran.says("no key of +4915112345609 is known yet").says("when the server can be reached");
}

#[test]
fn no_server_exits_3() {
    let mut server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    server.stop();
    anna.run(&["receive"]).exits(3).says("cannot reach");
    let bert = server.newcomer("bert", "+4915112345602");
    bert.register().exits(3).says("cannot reach");
}

#[test]
fn nothing_received_exits_7() {
    let server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    anna.run(&["receive"]).exits(7);
    anna.run(&["receive", "--timeout", "1"]).exits(7);
    anna.run(&["receive", "--follow", "--timeout", "1"]).exits(7);
}

#[test]
fn too_many_lookups_exit_5_and_say_how_long_to_wait() {
    let server =
        TestServer::with(&[("limits.lookups_per_user_per_day", "1"), ("limits.exempt", "")]);
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hi").exits(0);
    let ran = anna.run(&["send", "+4915112345609", "hi"]).exits(5);
    assert!(ran.out.starts_with("queued "), "{ran:?}");
    // The letter goes out then: nobody has to try again.
    assert_says_a_positive_number_of_seconds("tried again by itself in ", &ran.err);
    assert!(!ran.err.contains("try again"), "{ran:?}");
}

#[test]
fn too_many_registrations_exit_5_and_say_how_long_to_wait() {
    let limit = ("limits.registrations_per_prefix_per_hour", "1");
    let server = TestServer::with(&[limit, ("limits.exempt", "")]);
    server.person("anna", "+4915112345601");
    let ran = server.newcomer("bert", "+4915112345602").register().exits(5);
    assert_says_a_positive_number_of_seconds("try again in ", &ran.err);
}

fn assert_says_a_positive_number_of_seconds(before: &str, err: &str) {
    let said = err.split_once(before).and_then(|(_, rest)| rest.split_once(" s"));
    let seconds: u32 = said.unwrap_or_else(|| panic!("{err}")).0.parse().unwrap();
    assert!(seconds > 0, "{err}");
}

#[test]
fn a_home_that_others_can_read_is_refused_with_74() {
    use std::os::unix::fs::PermissionsExt;

    let server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&anna.home, mode(0o755)).unwrap();
    anna.run(&["receive"]).exits(74);
    std::fs::set_permissions(&anna.home, mode(0o700)).unwrap();
    anna.receives_nothing();
}
