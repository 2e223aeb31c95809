//! Writes the named seeds of every target into `seeds/`: conversations and
//! files for a fuzzer to begin with. `cargo run --example seeds`

use std::fs;
use std::path::Path;

use pem_rfc7468::LineEnding;
use waxwing_core::crypto::PrivateKey;
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::Uid;
use waxwing_core::server::ConnId;
use waxwing_core::wire::{KeyQuestion, Op};
use waxwing_fuzz::client::NOW;
use waxwing_fuzz::decisions::{LARGE, step};
use waxwing_fuzz::private_key::{source, what};
use waxwing_fuzz::script::{Step, encode};
use waxwing_fuzz::server::{Network, world};
use waxwing_server::config::Config;
use waxwing_server::store::{SqliteOptions, SqliteStorage, Storage};
use waxwing_testkit::backend::{Backend, Glass};
use waxwing_testkit::packets::id_of;
use waxwing_testkit::person::Person;
use waxwing_testkit::simulation::Act;
use waxwing_testkit::world::Sim;

mod files;
mod talk;

fn main() {
    server();
    talk::client();
    talk::messenger();
    operations();
    letters();
    keys();
    private_keys();
    databases();
    files::settings();
    files::outbox();
    files::homes();
}

fn keep(target: &str, name: &str, data: &[u8]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), data).unwrap();
}

/// What is said to a server, as it is said.
struct Recorder {
    world: Sim<Glass>,
    conns: Vec<ConnId>,
    said: Vec<(u8, Vec<u8>)>,
}

impl Recorder {
    fn say(&mut self, person: &mut Person<Glass>, packet: Vec<u8>) {
        let at = self.conns.iter().position(|conn| *conn == person.conn).unwrap();
        self.world.send(person.conn, &packet);
        self.said.push((at as u8, packet));
        person.hear(&mut self.world);
    }

    fn come(&mut self, person: &mut Person<Glass>, at: usize) {
        person.conn = self.conns[at];
        let packet = person.long(&mut self.world);
        self.say(person, packet);
        let packet = person.confirmation(&mut self.world, 2);
        self.say(person, packet);
    }

    fn script(&self) -> Vec<u8> {
        let bytes = |(at, packet): &(u8, Vec<u8>)| encode::<Network>(&[Step::Bytes(*at, packet)]);
        self.said.iter().flat_map(bytes).collect()
    }
}

fn server() {
    let recorder = || {
        let (mut world, people) = world();
        let conns = (0..4).map(|_| world.connect()).collect();
        (Recorder { world, conns, said: Vec::new() }, people)
    };

    let (mut tape, mut people) = recorder();
    let [ann, ben, ..] = &mut people[..] else { return };
    tape.come(ann, 0);
    let letter = ann.letter(&mut tape.world, ben.id(), b"waits");
    tape.say(ann, letter.clone());
    tape.come(ben, 1);
    let held = ben.held(&mut tape.world, &[id_of(&letter)]);
    tape.say(ben, held);
    let question = ben.question(&mut tape.world, KeyQuestion::ByPhone(ann.phone));
    tape.say(ben, question);
    let query = ann.queries(&mut tape.world, &[(ben.id(), id_of(&letter))]);
    tape.say(ann, query);
    let close = ben.sealed(&mut tape.world, Op::Close, &[1]);
    tape.say(ben, close);
    keep("server_bytes", "letter-and-receipt", &tape.script());

    let (mut tape, _) = recorder();
    let mut newcomer = Person::<Glass>::new(5);
    newcomer.conn = tape.conns[0];
    let request = newcomer.request(&mut tape.world);
    tape.say(&mut newcomer, request);
    let code = newcomer.code(&tape.world);
    let proof = newcomer.proof(&mut tape.world, &code);
    tape.say(&mut newcomer, proof);
    let confirmation = newcomer.confirmation(&mut tape.world, 128);
    tape.say(&mut newcomer, confirmation);
    keep("server_bytes", "registration", &tape.script());

    let (mut tape, mut people) = recorder();
    tape.come(&mut people[0], 0);
    let mut script = tape.script();
    script.extend(encode(&[
        Step::Wait(60),
        Step::Other(Network::HangUp(0)),
        Step::Other(Network::Reconnect(1)),
        Step::Wait(255),
    ]));
    script.extend(tape.script());
    keep("server_bytes", "silence", &script);
}

/// Decisions of the simulation.
fn operations() {
    // People beyond two, hostile people, machines beyond one; then whether the network is bad, storage
    // is bad, lives are short, processes die, letters are large, and the server's key changes.
    let keep = |name: &str, setup: [u8; 9], steps: &[(Act, &[u8])]| {
        let steps = steps.iter().flat_map(|(act, choices)| step(*act, choices));
        keep("server_ops", name, &setup.into_iter().chain(steps).collect::<Vec<_>>());
    };
    let everybody_comes = [(Act::Connect, &[0][..]), (Act::Connect, &[1]), (Act::Connect, &[2])];
    let storage_works = [
        (Act::Travel, &[0, 0, 3][..]),
        (Act::Store, &[0]),
        (Act::TellOutcome, &[0]),
        (Act::Store, &[0, 1]),
        (Act::TellAnswer, &[0]),
        (Act::CarryMail, &[0]),
    ];
    let with = |steps: &[(Act, &'static [u8])]| {
        [&everybody_comes[..], steps, &storage_works, &[(Act::GoOn, &[1])]].concat()
    };
    let letter: (Act, &[u8]) = (Act::Write, &[0, 1, 1]);
    let to_nobody: (Act, &[u8]) = (Act::Write, &[1, 0, 1]);
    let large: (Act, &[u8]) = (Act::Write, &[1, 1, 7]);

    keep("letters", [0; 9], &with(&[letter, to_nobody, large]));
    let setup = [0, 0, 0, 0, 0, 0, 0, LARGE as u8 - 1, 0];
    keep("large-letters", setup, &with(&[large, letter, large]));
    keep("shards", [1, 0, 3, 1, 0, 0, 0, 0, 0], &with(&[letter, letter, large]));
    keep(
        "network",
        [0, 0, 0, 1, 0, 0, 0, 0, 0],
        &with(&[letter, (Act::Flip, &[0, 0, 9, 1]), (Act::HangUp, &[0]), (Act::Connect, &[0])]),
    );
    keep(
        "crashes",
        [0, 0, 0, 0, 0, 0, 1, 0, 0],
        &with(&[
            letter,
            (Act::FillDisk, &[1, 1]),
            (Act::Die, &[0, 1]),
            (Act::Connect, &[0]),
            (Act::Crash, &[0, 1]),
            (Act::UseAnotherProcess, &[0, 0]),
            letter,
        ]),
    );
    keep(
        "storage",
        [0, 0, 0, 0, 1, 0, 0, 0, 0],
        &with(&[(Act::RefuseWrites, &[0, 0]), letter, letter, (Act::RefuseQuestions, &[0, 0])]),
    );
    keep("short-lives", [0, 0, 0, 0, 0, 1, 0, 0, 0], &with(&[letter, (Act::Wait, &[0, 0, 39, 1])]));
    let misdeeds: Vec<Vec<u8>> = (0..9).map(|deed| vec![0, 0, 0, 1, 0, deed]).collect();
    let misdeeds = misdeeds.iter().map(|choices| (Act::Misbehave, &choices[..]));
    let hostile: Vec<_> = with(&[letter, letter, large]).into_iter().chain(misdeeds).collect();
    keep("hostile", [0, 1, 0, 0, 0, 0, 0, 0, 0], &hostile);
    keep("strangers", [0; 9], &[(Act::AskForCode, &[0, 0]), (Act::AskForCode, &[0, 1])]);
    keep("farewell", [0; 9], &with(&[(Act::GoOn, &[0]), (Act::Leave, &[0]), letter]));
}

fn letters() {
    let (mut world, people) = world();
    let fingerprint = |phone: &[u8], at: usize| {
        let phone = waxwing_core::phone::Phone::parse(phone).unwrap();
        Fingerprint::of(&Glass, &phone, people[at].key.spki())
    };
    let (from, to) = (fingerprint(b"+15550001111", 0), fingerprint(b"+15550002222", 1));
    let contents = [
        ("text", Content::Text("Hello, Ben")),
        ("receipt", Content::ReadReceipt(Uid([7; 16]))),
        ("unknown", Content::Unknown { kind: 9, body: b"later" }),
    ];
    for (name, content) in contents {
        let (key, mut out) = (people[1].key.clone(), [0; 1_024]);
        let len = envelope::seal(
            &Glass,
            &mut world.rng,
            &from,
            &to,
            &key,
            &Uid([1; 16]),
            &content,
            &mut out,
        );
        let sealed = &mut out[..len.unwrap()];
        keep("envelope_open", name, sealed);
        if name == "text" {
            keep("envelope_open", "text-cut", &sealed[..sealed.len() - 1]);
            sealed[1] = 2;
            keep("envelope_open", "another-suite", sealed);
            sealed[0] = 2;
            keep("envelope_open", "another-version", sealed);
        }
    }
}

fn keys() {
    let spki = Glass::key(0).0;
    keep("public_key", "sound", spki.as_bytes());
    let mut even = *spki.as_bytes();
    even[288] &= 0xfe;
    keep("public_key", "even", &even);
    keep("public_key", "truncated", &spki.as_bytes()[..293]);
}

fn private_keys() {
    let keep = |name: &str, what: u8, rest: &[u8]| {
        keep("private_key", name, &[&[what], rest].concat());
    };
    // The number of the key, how many of its numbers are from elsewhere, and which of them from where;
    // then what is done to its bytes.
    let changes: [(&str, &[u8]); 11] = [
        ("sound", &[0, 0]),
        ("exponent-3", &[0, 1, 1, source::THREE]),
        ("private-exponent-of-another", &[1, 1, 2, 2]),
        ("primes-of-another", &[1, 2, 3, 2, 4, 2]),
        ("crt-exponent-of-another", &[2, 1, 5, 3]),
        ("crt-coefficient-0", &[2, 1, 7, source::ZERO]),
        ("modulus-0", &[3, 1, 0, source::ZERO]),
        ("another-version", &[3, 0, 0, 0, 6, 1]),
        ("wrong-bit", &[4, 0, 1, 1, 200, 3]),
        ("byte-too-many", &[4, 0, 2, 0, 30, 0]),
        ("cut", &[5, 0, 3, 4, 0, 255]),
    ];
    for (name, changes) in changes {
        keep(name, what::CHANGES, changes);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/crypto/conformance/keys");
    for name in
        ["attributes", "bits-1024", "elliptic-curve", "encrypted", "pkcs1-not-pkcs8", "public"]
    {
        keep(name, what::DER, &fs::read(folder.join(name).with_extension("der")).unwrap());
    }
    let der = waxwing_core::testing::keys::pkcs8_der(0);
    keep("der", what::DER, der);
    let pem = |label| pem_rfc7468::encode_string(label, LineEnding::LF, der).unwrap();
    keep("file", what::FILE, pem("PRIVATE KEY").as_bytes());
    keep("file-of-zeros", what::FILE, &[0; 7]);
    keep("file-with-another-label", what::FILE, pem("RSA PRIVATE KEY").as_bytes());
    keep("file-without-end", what::FILE, &pem("PRIVATE KEY").as_bytes()[..1_000]);
}

fn databases() {
    keep("config_file", "example", Config::example().as_bytes());
    keep("config_file", "one-key", b"[log]\nlevel = \"debug\"\n");
    keep("config_file", "misspelt", b"[storrage]\ntidy_after = \"1x\"\n[log]\nlevel = 3\n");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("waxwing.db");
    let database = |letters: u64| {
        let _ = fs::remove_file(&path);
        let mut storage = SqliteStorage::open(&path, &SqliteOptions::default()).unwrap();
        if letters > 0 {
            storage.apply(&[std::sync::Arc::new(batch(letters))]).unwrap();
        }
        Box::new(storage).close().unwrap();
        fs::read(&path).unwrap()
    };
    keep("sqlite_open", "empty", &database(0));
    keep("sqlite_open", "letters", &database(3));
    keep("sqlite_open", "not-a-database", b"SQLite format 3\0 and then something else");
}

fn batch(letters: u64) -> waxwing_core::server::storage::Batch {
    use waxwing_core::server::storage::{Batch, PendingLetter, QueueId, Ticket, Write};
    let (mut world, mut people) = world();
    let recipient = people[1].id();
    let create = |person: &Person<Glass>| Write::CreateUser {
        id: person.id(),
        phone: person.phone,
        spki: std::sync::Arc::new(person.spki()),
    };
    let mut writes: Vec<_> = people.iter().map(create).collect();
    for n in 1..=letters {
        let sender = people[0].id();
        let packet = people[0].letter(&mut world, recipient, &[n as u8; 40]);
        writes.push(Write::InsertLetter(std::sync::Arc::new(PendingLetter {
            queue_id: QueueId(n),
            id: id_of(&packet),
            sender,
            recipient,
            accepted_at: NOW,
            packet: packet.into(),
        })));
    }
    Batch { ticket: Ticket(1), writes }
}
