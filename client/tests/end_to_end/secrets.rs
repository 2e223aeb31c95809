//! What must not be found: in the server's files, in its log, on the wire, in what clients print.

use std::fs;
use std::process::Command;

use tempfile::TempDir;
use waxwing::backend::load_key;
use waxwing_core::crypto::PrivateKey;
use waxwing_core::testing::keys::pkcs8_der;

use crate::canaries::{
    Secret, assert_absent, find, log_without_times, pem_body, secrets_of, server_files,
};
use crate::keys::replace_key;
use crate::process::{Process, Ran};
use crate::proxy::Proxy;
use crate::registration::another;
use crate::sent_codes::server_and_sent_codes;
use crate::test_server::{Person, TestServer};

const CANARY: &str = "the canary sings at dawn";

fn check(server: &mut TestServer, proxy: &Proxy, people: &[&Person], codes: Vec<Secret>) {
    let [anna, bert] = people else { panic!() };
    let mut secrets = codes;
    secrets.push(Secret::new("text", CANARY));
    secrets.extend(pem_body(&server.data().join("server.key.pem")));

    anna.send(bert, CANARY).exits(0);
    // With the letter in the queue, then without, then after a crash and an orderly end.
    let mut look = |server: &TestServer| {
        // Sessions come and go.
        secrets.extend(people.iter().flat_map(|person| secrets_of(person)));
        let files = server_files(server);
        assert!(files.iter().any(|(name, _)| name == "waxwing.db"));
        for (name, content) in files {
            assert_absent(&secrets, &name, &content);
        }
        assert_absent(&secrets, "the log", &log_without_times(server));
        assert_absent(&secrets, "the capture", &proxy.captured());
    };
    look(server);
    bert.receives(&[CANARY]);
    bert.send(anna, CANARY).exits(0);
    look(server);
    server.kill();
    look(server);
    server.start();
    anna.receives(&[CANARY]);
    server.stop();
    look(server);

    let phones: Vec<_> = people.iter().map(|person| &person.phone[1..]).collect();
    for phone in phones {
        let phone = [Secret::new("phone", phone)];
        assert_absent(&phone, "the log", &log_without_times(server));
        assert_absent(&phone, "the capture", &proxy.captured());
        // The search finds what is there.
        assert!(find(&phone, &fs::read(server.data().join("waxwing.db")).unwrap()).is_some());
    }
    let home = fs::read(anna.home.join("waxwing.db")).unwrap();
    let wal = fs::read(anna.home.join("waxwing.db-wal")).unwrap_or_default();
    let home = [home, wal].concat();
    assert!(find(&secrets_of(anna)[..1], &home).is_some());
    for op in [100, 200, 101, 201, 102, 105, 106, 203, 204, 206, 222, 255] {
        assert!(proxy.ops().iter().any(|(_, seen)| *seen == op), "no {op} was captured");
    }
}

const LOUD: [(&str, &str); 2] = [("log.level", "trace"), ("log.format", "json")];

#[test]
fn with_codes_by_post_nothing_secret_is_stored_logged_or_sent() {
    let (mut server, sent) = server_and_sent_codes(&LOUD);
    let proxy = Proxy::before(server.address());
    let person = |name: &str, phone: &str| {
        let mut person = server.newcomer(name, phone);
        person.server = proxy.address();
        let mut registering = person.start_registering(&[]);
        registering.wait_for_err("code sent");
        let code = sent.code(phone, 1);
        registering.write(&format!("{code}\n"));
        registering.finish_without_input().exits(0);
        (person, Secret::new("code", code))
    };
    let (anna, annas) = person("anna", "+4915112345601");
    let (bert, berts) = person("bert", "+4915112345602");
    check(&mut server, &proxy, &[&anna, &bert], vec![annas, berts]);
}

#[test]
fn with_codes_in_band_nothing_secret_is_stored_logged_or_sent() {
    let mut server = TestServer::with(&LOUD);
    let proxy = Proxy::before(server.address());
    let person = |name: &str, phone: &str| {
        let mut person = server.newcomer(name, phone);
        person.server = proxy.address();
        person.register().exits(0);
        person
    };
    let (anna, bert) = (person("anna", "+4915112345601"), person("bert", "+4915112345602"));
    check(&mut server, &proxy, &[&anna, &bert], Vec::new());
}

/// Clients that log all they can, and everything that they have printed.
struct Loud {
    temporary: TempDir,
    told: String,
}

impl Loud {
    fn run(&mut self, person: &Person, args: &[&str]) -> Ran {
        let mut command: Command = person.command(&["--verbose"]);
        command.args(args).env("TMPDIR", self.temporary.path());
        let ran = Process::start(&mut command).finish_without_input();
        // What was received belongs on standard output, and nowhere else.
        let is_shown = matches!(args[0], "receive" | "history");
        self.told.push_str(if is_shown { "" } else { &ran.out });
        self.told.push_str(&ran.err);
        ran
    }

    fn register(&mut self, person: &Person, more: &[&str]) -> Ran {
        let (server, key) = (person.server.to_string(), person.server_key.to_str().unwrap());
        let args = ["register", "--server", &server, "--server-key", key, &person.phone];
        self.run(person, &[&args, more].concat())
    }
}

#[test]
fn nothing_secret_is_told_while_everything_goes_wrong() {
    // A lookup before the crash counts after it.
    let limits = [("limits.lookups_per_user_per_day", "3"), ("limits.exempt", "")];
    let (mut server, sent) = server_and_sent_codes(&[&LOUD[..], &limits].concat());
    let mut loud = Loud { temporary: tempfile::tempdir().unwrap(), told: String::new() };
    let server_tmp = tempfile::tempdir().unwrap();
    let tmp = Some(("TMPDIR", server_tmp.path().to_str().unwrap()));
    server.stop();
    server.start_with(tmp);
    let mut secrets = pem_body(&server.data().join("server.key.pem"));
    secrets.push(Secret::new("text", CANARY));

    // Wrong codes before the right one; then somebody else wants the phone.
    let (anna, bert) =
        (server.newcomer("anna", "+4915112345601"), server.newcomer("bert", "+4915112345602"));
    for person in [&anna, &bert] {
        loud.register(person, &[]).exits(6);
        let code = sent.code(&person.phone, 1);
        loud.register(person, &["--otp", &another(&code)]).exits(6);
        loud.register(person, &["--otp", &code]).exits(0);
        secrets.push(Secret::new("code", code));
    }
    loud.register(&server.newcomer("mallory", &anna.phone), &[]).exits(3);

    // A letter across a crash; refusals; a limit.
    loud.run(&anna, &["send", &bert.phone, CANARY]).exits(0);
    secrets.extend([&anna, &bert].into_iter().flat_map(secrets_of));
    server.kill();
    loud.run(&bert, &["receive"]).exits(3);
    server.start_with(tmp);
    loud.run(&bert, &["receive"]).exits(0).says(CANARY);
    loud.run(&anna, &["send", "+4915112345609", CANARY]).exits(3);
    loud.run(&anna, &["send", "+4915112345608", CANARY]).exits(3);
    loud.run(&anna, &["send", "+4915112345607", CANARY]).exits(5);

    // A server that lies, and a user whom it does not know any more.
    let false_key = load_key(pkcs8_der(0)).unwrap().spki().as_bytes().to_vec();
    secrets.extend([&anna, &bert].into_iter().flat_map(secrets_of));
    replace_key(&mut server, &anna, &false_key);
    loud.run(&bert, &["verify", &anna.phone]).exits(4);
    loud.run(&bert, &["send", &anna.phone, CANARY]).exits(4);
    loud.run(&anna, &["receive"]).exits(3);
    secrets.extend([&anna, &bert].into_iter().flat_map(secrets_of));
    server.stop();

    for (name, content) in server_files(&server) {
        assert_absent(&secrets, &name, &content);
    }
    let phones = [&anna, &bert].map(|person| Secret::new("phone", &person.phone[1..]));
    let log = log_without_times(&server);
    assert_absent(&secrets, "the server's log", &log);
    assert_absent(&phones, "the server's log", &log);
    for word in ["OtpWrong", "BadSignature", "RateLimited"] {
        assert!(server.log().contains(word), "{word} did not happen");
    }
    assert_absent(&secrets, "what clients print", loud.told.as_bytes());
    for directory in [&loud.temporary, &server_tmp] {
        assert_eq!(fs::read_dir(directory).unwrap().count(), 0, "temporary files");
    }
}
