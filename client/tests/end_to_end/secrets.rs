//! What must not be found: in the server's files, in its log, on the wire.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::post::town_with_post;
use crate::proxy::Proxy;
use crate::town::{Person, Town};

const CANARY: &str = "the canary sings at dawn";

/// Bytes that must stay where they are, under a name for the failure.
struct Secret {
    name: String,
    bytes: Vec<u8>,
}

impl Secret {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    /// Pieces of the secret part of a private key in PKCS#8, behind its modulus.
    fn of_private_key(whose: &str, der: &[u8]) -> Vec<Self> {
        let pieces = der[320..].chunks_exact(24);
        pieces.map(|piece| Self::new(format!("private key of {whose}"), piece)).collect()
    }

    /// The ways in which a careless program writes bytes.
    fn spellings(&self) -> [Vec<u8>; 4] {
        let hex: String = self.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{:?}", self.bytes);
        [
            self.bytes.clone(),
            hex.to_uppercase().into(),
            hex.into(),
            list.trim_matches(['[', ']']).into(),
        ]
    }
}

/// The first of `secrets` that is spelt out in `place`. One pass for all of them.
fn find<'s>(secrets: &'s [Secret], place: &[u8]) -> Option<&'s Secret> {
    let mut by_beginning: HashMap<[u8; 6], Vec<(Vec<u8>, &Secret)>> = HashMap::new();
    for secret in secrets {
        for spelling in secret.spellings() {
            let beginning = *spelling.first_chunk().unwrap();
            by_beginning.entry(beginning).or_default().push((spelling, secret));
        }
    }
    place.windows(6).enumerate().find_map(|(at, beginning)| {
        let candidates = by_beginning.get(beginning)?;
        let spelt = |(spelling, _): &&(Vec<u8>, _)| place[at..].starts_with(spelling);
        candidates.iter().find(spelt).map(|(_, secret)| *secret)
    })
}

#[track_caller]
fn assert_absent(secrets: &[Secret], place: &str, content: &[u8]) {
    assert!(!content.is_empty(), "{place}");
    let found = find(secrets, content).map(|secret| &secret.name);
    assert_eq!(found, None, "in {place}");
}

/// What a home keeps for itself.
fn secrets_of(person: &Person) -> Vec<Secret> {
    let database = person.database();
    let keys = "SELECT private_key, reply_key, session_key FROM identity";
    let (private, reply, session): (Vec<u8>, Vec<u8>, Vec<u8>) =
        database.query_one(keys, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let mut secrets = Secret::of_private_key(&person.phone, &private);
    secrets.push(Secret::new("reply key", reply));
    secrets.push(Secret::new("session key", session));
    secrets
}

/// Every file of the server but its private key.
fn server_files(town: &Town) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(town.data()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "server.key.pem" {
            files.push((name, fs::read(path).unwrap()));
        }
    }
    files.retain(|(_, content)| !content.is_empty());
    files
}

/// The log without its times, whose digits could be anything.
fn log_without_times(town: &Town) -> Vec<u8> {
    let mut kept = String::new();
    for line in town.log().lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("timestamp").unwrap();
        kept.push_str(&line.to_string());
        kept.push('\n');
    }
    kept.into()
}

fn pem_body(path: &Path) -> Vec<Secret> {
    let pem = fs::read_to_string(path).unwrap();
    let (_, der) = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap();
    let lines = pem.lines().skip(7).filter(|line| line.len() == 64);
    let lines = lines.map(|line| Secret::new("server's private key in PEM", line));
    Secret::of_private_key("the server", &der).into_iter().chain(lines).collect()
}

fn check(town: &mut Town, proxy: &Proxy, people: &[&Person], codes: Vec<Secret>) {
    let [anna, bert] = people else { panic!() };
    let mut secrets = codes;
    secrets.push(Secret::new("text", CANARY));
    secrets.extend(pem_body(&town.data().join("server.key.pem")));

    anna.send(bert, CANARY).exits(0);
    // With the letter in the queue, then without, then after a crash and an orderly end.
    let mut look = |town: &Town| {
        // Sessions come and go.
        secrets.extend(people.iter().flat_map(|person| secrets_of(person)));
        let files = server_files(town);
        assert!(files.iter().any(|(name, _)| name == "waxwing.db"));
        for (name, content) in files {
            assert_absent(&secrets, &name, &content);
        }
        assert_absent(&secrets, "the log", &log_without_times(town));
        assert_absent(&secrets, "the capture", &proxy.captured());
    };
    look(town);
    bert.receives(&[CANARY]);
    bert.send(anna, CANARY).exits(0);
    look(town);
    town.kill();
    look(town);
    town.start();
    anna.receives(&[CANARY]);
    town.stop();
    look(town);

    let phones: Vec<_> = people.iter().map(|person| &person.phone[1..]).collect();
    for phone in phones {
        let phone = [Secret::new("phone", phone)];
        assert_absent(&phone, "the log", &log_without_times(town));
        assert_absent(&phone, "the capture", &proxy.captured());
        // The search finds what is there.
        assert!(find(&phone, &fs::read(town.data().join("waxwing.db")).unwrap()).is_some());
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
    let (mut town, post) = town_with_post(&LOUD);
    let proxy = Proxy::before(town.address());
    let person = |name: &str, phone: &str| {
        let mut person = town.newcomer(name, phone);
        person.server = proxy.address();
        let mut registering = person.start_registering(&[]);
        registering.wait_for_err("code sent");
        let code = post.code(phone, 1);
        registering.write(&format!("{code}\n"));
        registering.finish_without_input().exits(0);
        (person, Secret::new("code", code))
    };
    let (anna, annas) = person("anna", "+4915112345601");
    let (bert, berts) = person("bert", "+4915112345602");
    check(&mut town, &proxy, &[&anna, &bert], vec![annas, berts]);
}

#[test]
fn with_codes_in_band_nothing_secret_is_stored_logged_or_sent() {
    let mut town = Town::with(&LOUD);
    let proxy = Proxy::before(town.address());
    let person = |name: &str, phone: &str| {
        let mut person = town.newcomer(name, phone);
        person.server = proxy.address();
        person.register().exits(0);
        person
    };
    let (anna, bert) = (person("anna", "+4915112345601"), person("bert", "+4915112345602"));
    check(&mut town, &proxy, &[&anna, &bert], Vec::new());
}
