//! `waxwing packet`, on packets of the test vectors, word for word.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use jiff::tz::TimeZone;
use pem_rfc7468::{LineEnding, encode_string};
use serde_json::Value;
use tempfile::TempDir;
use waxwing::args::Args;
use waxwing::commands::{Console, run};
use waxwing::console::Remarks;
use waxwing::keylog::{hex, unhex};
use waxwing::settings::Settings;

/// The values of PROTOCOL.md, "Test values".
const KEYLOG: &str = "\
SESSION 9 00000000000000000000000000000000 \
    ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
SESSION 7 404142434445464748494a4b4c4d4e4f \
    000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
REPLY 606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f
";

struct Bench {
    dir: TempDir,
}

struct Ran {
    code: u8,
    output: String,
    said: String,
}

impl Bench {
    /// A directory with the keys of the vectors, and a key log.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for key in vectors("keys.json", "keys") {
            let name = key["name"].as_str().unwrap();
            for (member, label, file) in
                [("spki", "PUBLIC KEY", "pub.pem"), ("pkcs8", "PRIVATE KEY", "key.pem")]
            {
                let der = unhex(key[member].as_str().unwrap()).unwrap();
                let pem = encode_string(label, LineEnding::LF, &der).unwrap();
                fs::write(dir.path().join(format!("{name}.{file}")), pem).unwrap();
            }
        }
        let bench = Self { dir };
        fs::write(bench.path("keys.log"), KEYLOG).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, words: &[&str], input: &[u8]) -> Ran {
        let words = words.iter().map(|word| match word.strip_prefix('@') {
            Some(file) => self.path(file).into_os_string(),
            None => word.into(),
        });
        let words = ["waxwing".into(), "packet".into()].into_iter().chain(words);
        let mut output = Vec::new();
        let mut console = Console {
            input: &mut &input[..],
            output: &mut output,
            remarks: Remarks::new(std::io::sink()),
            interactive: false,
            columns: || None,
            zone: TimeZone::UTC,
        };
        let failure = run(&Args::parse_from(words), &Settings::default(), &mut console).err();
        Ran {
            code: failure.as_ref().map_or(0, waxwing::exit::Failure::code),
            output: String::from_utf8(output).unwrap(),
            said: failure.map(|failure| failure.to_string()).unwrap_or_default(),
        }
    }

    fn explain(&self, packet: &[u8]) -> Ran {
        self.run(&["explain", "--server-key", "@server.pub.pem", "--keylog", "@keys.log"], packet)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn vectors(file: &str, member: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join("vectors").join(file)).unwrap();
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(whole[member].take()).unwrap()
}

fn packet(file: &str, name: &str) -> Vec<u8> {
    let case = vectors(file, "cases").into_iter().find(|case| case["name"] == name);
    unhex(case.unwrap()["packet"].as_str().unwrap()).unwrap()
}

fn flipped(mut packet: Vec<u8>, at: usize) -> Vec<u8> {
    packet[at] ^= 1;
    packet
}

#[test]
fn a_sealed_packet_is_opened_and_its_signature_checked() {
    let ran = Bench::new().explain(&packet("acknowledgments.json", "203, one letter is stored"));
    assert_eq!(ran.output, "\
203 acknowledgment, 330 bytes at 0
      0  0000                  sender_id           0: the server, somebody without an id, or everybody
      2  0700                  recipient_id        user 7
      4  32303236… 19 bytes    timestamp           2026-03-14 09:26:53
     23  cb                    op_code             203, acknowledgment
     24  3000                  payload_size        48 bytes
     26  20212223… 48 bytes    payload
     26  20212223… 16 bytes      IV
     42  0b1846c7… 32 bytes      CBC               under the session_key: seq, content
                                 opened: seq 0
      0  0100                      count           1
      2  b0b1b2b3… 16 bytes        packet_id       b0b1b2b3b4b5b6b7b8b9babbbcbdbebf
     18  01                        status          1, stored
     74  737d9f1b… 256 bytes   signature           with the server's key
                                 packet id 46bc13c0f88ba5fe2f76dd80ef0f3e1d
                                 holds
");
    assert_eq!(ran.code, 0);
}

#[test]
fn without_keys_a_packet_is_shown_as_far_as_it_can_be_seen() {
    let ran = Bench::new().run(&["explain"], &packet("letters.json", "a short text"));
    assert_eq!(
        ran.output,
        "\
102 letter, 588 bytes at 0
      0  0700                  sender_id           user 7
      2  2c01                  recipient_id        user 300
      4  32303236… 19 bytes    timestamp           2026-03-14 09:26:53
     23  66                    op_code             102, letter
     24  3201                  payload_size        306 bytes
     26  0101468b… 306 bytes   payload
     26  01                      version           1
     27  01                      suite             1
     28  468b04c2… 256 bytes     OAEP              to the recipient: message_key
    284  20212223… 16 bytes      IV
    300  3f43d9ce… 32 bytes      CBC               under the message_key: uid, kind, body
    332  24fca022… 256 bytes   signature           with the key of user 7
                                 packet id 1304686033f944301ce49978fbbee342
                                 not checked: the key is not known here
"
    );
    assert_eq!(ran.code, 0);
}

#[test]
fn tokens_of_known_sessions_are_opened_and_the_rest_is_noise() {
    let bench = Bench::new();
    let shared = packet("acknowledgments.json", "203 shared, the second of three");
    let tokens = |packet: &[u8]| {
        let output = bench.explain(packet).output;
        output.lines().filter(|line| line.contains(" token")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        tokens(&shared),
        [
            "     42  e0c53ee7… 16 bytes      token",
            "     58  db947074… 16 bytes      token             if for user 7: letter \
         b0b1b2b3b4b5b6b7b8b9babbbcbdbe… is delivered",
            "     74  aa6109b3… 16 bytes      token",
        ]
    );
    let backlog = packet("backlog.json", "255 shared, the first of 127");
    let lines = tokens(&backlog);
    assert_eq!(lines.len(), 127);
    assert!(lines[0].ends_with("for user 7: 3 letters were pending"), "{}", lines[0]);
    assert!(lines[1..].iter().all(|line| line.ends_with("token")), "{lines:?}");
}

#[test]
fn the_key_in_a_101_checks_its_signature_and_is_judged() {
    let bench = Bench::new();
    let proof = packet("registration.json", "101 for an ordinary phone");
    let ran = bench.run(&["explain"], &proof);
    assert!(ran.output.ends_with("    holds\n"), "{}", ran.output);
    assert_eq!(ran.code, 0);
    // Its modulus becomes even, and so no key that could have signed this.
    let ran = bench.run(&["explain"], &flipped(proof, 26 + 256 + 288));
    assert!(ran.output.contains("! not an RSA key of 2048 bits"), "{}", ran.output);
    assert_eq!(ran.code, 1);
}

#[test]
fn the_packets_of_a_stream_are_told_one_by_one() {
    let confirmation = packet("session.json", "203 kind 0, the window of a host");
    let letter = packet("letters.json", "a read receipt");
    let cut = &letter[..100];
    let stream = [&confirmation[..], &letter, cut].concat();
    let ran = Bench::new().explain(&stream);
    let titles: Vec<&str> =
        ran.output.lines().filter(|line| line.starts_with(char::is_numeric)).collect();
    assert_eq!(
        titles,
        [
            "203 acknowledgment, 314 bytes at 0",
            "102 letter, 604 bytes at 314",
            "102 letter, 604 bytes at 918",
        ]
    );
    assert!(ran.output.ends_with("! the packet is cut off: 504 bytes are missing\n"));
    assert_eq!((ran.code, ran.said.as_str()), (1, "one thing is wrong"));
}

#[test]
fn what_is_wrong_is_named() {
    let bench = Bench::new();
    let good = packet("closing.json", "222, no progress");
    let op_of = |packet: &[u8], op: u8| [&packet[..23], &[op], &packet[24..]].concat();
    for (packet, fault) in [
        (flipped(good.clone(), 8), "! not YYYY-MM-DD HH:MM:SS of a real date"),
        (flipped(good.clone(), good.len() - 1), "! does not hold"),
        (op_of(&good, 104), "! the op 104 does not exist"),
        (op_of(&good, 105), "! a packet of this op has other ids"),
        (good[..20].to_vec(), "! a header has 26 bytes"),
        (Vec::new(), "! there are no bytes"),
        (
            flipped(packet("registration.json", "100 for an ordinary phone"), 500),
            "! a 100 has no signature",
        ),
    ] {
        let ran = bench.explain(&packet);
        assert!(ran.output.contains(fault), "{fault} is not in\n{}", ran.output);
        assert_eq!(ran.code, 1);
    }
}

#[test]
fn every_packet_that_the_vectors_call_good_is_explained_without_a_fault() {
    let bench = Bench::new();
    for file in [
        "registration.json",
        "session.json",
        "letters.json",
        "acknowledgments.json",
        "directory.json",
        "backlog.json",
        "closing.json",
        "refusals.json",
    ] {
        for case in vectors(file, "cases") {
            // In hexadecimal, as people paste it.
            let ran = bench.explain(case["packet"].as_str().unwrap().as_bytes());
            assert_eq!(
                (ran.code, ran.said),
                (0, String::new()),
                "{}\n{}",
                case["name"],
                ran.output
            );
            if case["protection"]["form"] == "sealed" {
                let seq = format!("opened: seq {}", case["protection"]["seq"]);
                assert!(ran.output.contains(&seq), "{}\n{}", case["name"], ran.output);
            }
        }
    }
}

#[test]
fn verify_tells_a_signature_that_holds_from_one_that_does_not() {
    let bench = Bench::new();
    let closing = packet("closing.json", "222, no progress");
    let by_server = |packet: &[u8]| bench.run(&["verify", "--key", "@server.pub.pem"], packet);
    let ran = by_server(&closing);
    assert_eq!(ran.output, "199d3580168d06f6b6b33dc6a76099e5 222 holds\n");
    assert_eq!(ran.code, 0);

    let letter = packet("letters.json", "a short text");
    let ran = by_server(&[&closing[..], &letter].concat());
    assert_eq!(
        ran.output,
        "\
199d3580168d06f6b6b33dc6a76099e5 222 holds
1304686033f944301ce49978fbbee342 102 does not hold
"
    );
    assert_eq!(ran.code, 4);
    assert_eq!(bench.run(&["verify", "--key", "@ann.pub.pem"], &letter).code, 0);

    let ran = by_server(&letter[..100]);
    assert_eq!((ran.code, ran.said.as_str()), (1, "no whole packet at byte 0"));
    assert_eq!(by_server(b"").code, 1);
    assert_eq!(bench.run(&["verify", "--key", "@nobody.pub.pem"], &letter).code, 78);
    assert_eq!(bench.run(&["verify", "--key", "@ann.key.pem"], &letter).code, 78);
}

#[test]
fn the_example_builds_the_packet_that_the_vectors_have() {
    let bench = Bench::new();
    let example = fs::read_to_string(root().join("docs/packet.toml")).unwrap();
    let expected = packet("directory.json", "105 by phone");
    let unsigned = bench.run(&["build", "-"], example.as_bytes());
    assert_eq!((unsigned.code, unsigned.said.as_str()), (0, ""));
    let zeros = [&expected[..expected.len() - 256], &[0; 256]].concat();
    assert_eq!(unsigned.output, format!("{}\n", hex(&zeros)));

    let key = bench.path("ann.key.pem");
    let signed = format!("sign_with = {key:?}\n{example}");
    fs::write(bench.path("signed.toml"), signed).unwrap();
    let signed = bench.run(&["build", "@signed.toml"], b"");
    assert_eq!(signed.output, format!("{}\n", hex(&expected)));
}

#[test]
fn every_part_and_protection_is_built() {
    let bench = Bench::new();
    let carol = bench.path("carol.key.pem");
    let server = bench.path("server.pub.pem");
    let proof = format!(
        "op = 101
         content = [
             {{ hex = '{key}' }}, {{ text = '123456' }}, {{ hex = '{nonce}' }},
             {{ spki_digest = {carol:?} }}, {{ phone = '+33612345678' }},
         ]
         protection.oaep = {{ key = {server:?}, label = 'waxwing/1:101' }}
         behind = [{{ spki = {carol:?} }}]
         sign_with = {carol:?}",
        key = "60".repeat(32),
        nonce = "40".repeat(16),
    );
    let built = bench.run(&["build", "-"], proof.as_bytes());
    assert_eq!((built.code, built.said.as_str()), (0, ""));
    let ran = bench.run(&["explain"], built.output.as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.output);
    assert!(ran.output.contains("101 code and public key, 832 bytes"), "{}", ran.output);

    let key = "61".repeat(32);
    let numbers = format!(
        "op = 200
         timestamp = '0000-00-00 00:00:00'
         payload_size = 7
         signature = '{}'
         content = [{{ u16 = 300 }}, {{ u8 = 3 }}, {{ u32 = 67305985 }}]
         protection.cbc = {{ key = '{key}', iv = '{}' }}",
        "5a".repeat(256),
        "00".repeat(16),
    );
    let built = unhex(bench.run(&["build", "-"], numbers.as_bytes()).output.trim_end()).unwrap();
    assert_eq!(&built[..26], b"\0\0\0\x000000-00-00 00:00:00\xc8\x07\0");
    assert_eq!((built.len(), built[26 + 32]), (26 + 32 + 256, 0x5a));
}

#[test]
fn a_description_that_makes_no_sense_is_bad_configuration() {
    let bench = Bench::new();
    for description in [
        "sender_id = 7",
        "op = 256",
        "op = 102\nrecipient = 7",
        "op = 102\ntimestamp = 'now'",
        "op = 102\ncontent = [{ u8 = 256 }]",
        "op = 102\ncontent = [{ hex = '0' }]",
        "op = 102\nsign_with = '/nowhere'",
        "op = 102\nprotection.cbc = { key = '00' }",
    ] {
        let ran = bench.run(&["build", "-"], description.as_bytes());
        assert_eq!((ran.code, ran.output.as_str()), (78, ""), "{description}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_what_to_do() {
    let bench = Bench::new();
    fs::write(bench.path("empty.toml"), "op = ").unwrap();
    for (words, file, help) in [
        (&["build", "@none.toml"][..], "none.toml", "look how it is written"),
        (&["build", "@"], "", "it is a directory; name a file"),
        (&["build", "@empty.toml"], "empty.toml: ", "line 1"),
        (&["explain", "--keylog", "@none.log"], "none.log", "look how it is written"),
        (&["verify", "--key", "@none.pem"], "none.pem", "look how it is written"),
    ] {
        let ran = bench.run(words, b"");
        let is_said = ran.said.contains(file) && ran.said.contains(help);
        assert!(ran.code == 78 && is_said && !ran.said.contains("os error"), "{}", ran.said);
    }
}

#[test]
fn a_key_log_with_a_broken_line_is_bad_configuration() {
    let bench = Bench::new();
    fs::write(bench.path("keys.log"), "REPLY 00\n").unwrap();
    let ran = bench.explain(b"00");
    assert_eq!(ran.code, 78);
    assert!(ran.said.contains("line 1"), "{}", ran.said);
}

#[test]
fn packets_can_be_in_a_file_and_a_packet_in_the_place_of_its_name_is_told_where_it_goes() {
    let bench = Bench::new();
    let packet = packet("acknowledgments.json", "203, one letter is stored");
    let expected = bench.explain(&packet).output;
    for (name, bytes) in [("raw", packet.clone()), ("text", hex(&packet).into_bytes())] {
        fs::write(bench.path(name), bytes).unwrap();
        let words = ["explain", "--server-key", "@server.pub.pem", "--keylog", "@keys.log"];
        let ran = bench.run(&[&words[..], &[&format!("@{name}")]].concat(), b"");
        assert_eq!((ran.code, ran.output), (0, expected.clone()), "{}", ran.said);
        let ran = bench.run(&["verify", "--key", "@server.pub.pem", &format!("@{name}")], b"");
        assert_eq!((ran.code, ran.output.ends_with(" holds\n")), (0, true), "{}", ran.said);
    }
    for words in [&["explain"][..], &["verify", "--key", "@server.pub.pem"]] {
        let ran = bench.run(&[words, &["cb002c01"]].concat(), b"");
        assert_eq!(ran.code, 78);
        assert!(ran.said.contains("A packet itself goes to standard input"), "{}", ran.said);
    }
}
