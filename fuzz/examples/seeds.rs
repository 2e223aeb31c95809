//! Writes the named seeds of every target into `corpus/`: well-formed packets, conversations and
//! files for a fuzzer to begin with. `cargo run --example seeds`

use std::fs;
use std::path::Path;

use waxwing_core::crypto::{PrivateKey, ReplyKey, SessionKey, SessionSeal};
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::{Nonce, Uid};
use waxwing_core::server::ConnId;
use waxwing_core::wire::{BacklogSize, KeyQuestion, Op, SessionGrant, Writer};
use waxwing_fuzz::client::NOW;
use waxwing_fuzz::script::{Step, encode};
use waxwing_fuzz::server::world;
use waxwing_server::config::Config;
use waxwing_server::store::{SqliteOptions, SqliteStorage, Storage};
use waxwing_testkit::backend::{Backend, Glass};
use waxwing_testkit::packets::{id_of, sign, unsigned, zero_signed};
use waxwing_testkit::person::Person;
use waxwing_testkit::world::{SERVER_KEY, Sim};

fn main() {
    server();
    client();
    operations();
    letters();
    keys();
    files();
}

fn keep(target: &str, name: &str, data: &[u8]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(format!("{name}.seed")), data).unwrap();
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
        let bytes = |(at, packet): &(u8, Vec<u8>)| encode(&[Step::Bytes(*at, packet)]);
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
    script.extend(encode(&[Step::Wait(60), Step::HangUp(0), Step::Reconnect(1), Step::Wait(255)]));
    script.extend(tape.script());
    keep("server_bytes", "silence", &script);
}

fn client() {
    let server = Glass::key(SERVER_KEY);
    let rng = &mut Sim::<Glass>::new(waxwing_core::server::Config::default()).rng;
    let mut packet = |to: u16, op: Op, payload: &[u8]| {
        sign(unsigned(0, to, NOW, op.code(), payload), &server, rng)
    };
    let oaep = |block: &[u8]| {
        let mut sealed = [0; 256];
        sealed[0] = block.len() as u8;
        sealed[1..=block.len()].copy_from_slice(block);
        sealed
    };
    // With this provider the nonce that the client draws can be anything that its own generator
    // gives; a fuzzer finds it by comparison.
    let grant =
        SessionGrant { session_key: SessionKey::from_bytes(&[1; 32]), nonce: Nonce([0; 16]) };
    let mut block = [0; SessionGrant::LEN];
    grant.emit(&mut Writer::new(&mut block)).unwrap();
    let renewed = packet(1, Op::SessionRenewed, &oaep(&block));
    let mut seal = SessionSeal::new(SessionKey::from_bytes(&[1; 32]));
    let mut room = [0; 256];
    let other = &mut Sim::<Glass>::new(waxwing_core::server::Config::default()).rng;
    let len = seal.seal(&Glass, other, &mut room, |writer| BacklogSize(0).emit(writer)).unwrap();
    let end = packet(1, Op::BacklogEnd, &room[..len]);
    let letter = zero_signed(unsigned(2, 1, NOW, 102, &[1, 1, 0, 0]));
    let large = zero_signed(unsigned(2, 1, NOW, 102, &[0; 3_000]));
    let all = [
        Step::Bytes(0, &renewed),
        Step::Bytes(0, &end),
        Step::Bytes(0, &letter),
        Step::Reconnect(0),
        Step::Bytes(0, &large),
        Step::HangUp(0),
        Step::HangUp(1),
        Step::Wait(20),
    ];
    keep("client_bytes", "session", &[&[3][..], &encode(&all)].concat());
    keep("client_bytes", "short-session", &[&[2 | 8][..], &encode(&all)].concat());

    let len = ReplyKey::from_bytes(&[5; 32])
        .seal(&Glass, other, &mut room, |writer| writer.put(b"\x2c\x01\x03\x3c\x00\x06123456"))
        .unwrap();
    let issued = packet(0, Op::OtpIssued, &room[..len]);
    let refusal = packet(0, Op::Refusal, b"\x0b\x00\x64\x05\x00\x00\x00");
    let steps = [Step::Bytes(0, &issued), Step::Bytes(0, &refusal), Step::HangUp(2)];
    keep("client_bytes", "code", &[&[0][..], &encode(&steps)].concat());
}

/// Decisions of the simulation.
fn operations() {
    let decision = |value: u16| value.to_be_bytes();
    let cycle = |kinds: &[u16]| -> Vec<u8> {
        let steps =
            (0..120_u16).flat_map(|n| [n % 3, kinds[usize::from(n) % kinds.len()], n, n / 7]);
        steps.flat_map(decision).collect()
    };
    keep(
        "server_ops",
        "letters",
        &[&[1, 0, 0, 0][..], &cycle(&[23, 0, 40, 63, 74, 82, 56, 11])].concat(),
    );
    keep(
        "server_ops",
        "crashes",
        &[&[2, 1, 1, 9][..], &cycle(&[23, 0, 56, 63, 93, 35, 40, 74, 95])].concat(),
    );
    keep(
        "server_ops",
        "storage",
        &[&[0, 2, 3, 2][..], &cycle(&[23, 0, 98, 63, 74, 82, 99, 90])].concat(),
    );
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
        keep("envelope_open", name, &out[..len.unwrap()]);
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

fn files() {
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
