//! Good packets: parsed, verified, opened, compared; and made again, as far as a backend can.

use serde_json::{Value, json};
use waxwing_core::crypto::{
    OAEP_MAX, PrivateKey, PublicKey, RSA_LEN, ReplyKey, SessionKey, Spki, Unverified, Verified,
};
use waxwing_core::envelope::{self, Fingerprint};
use waxwing_core::limits::SIGNATURE_LEN;
use waxwing_core::wire::{OtpProof, Packet, ReconnectForm};

use super::{Chosen, Known, array, bytes, cases, fields, text};
use crate::backend::Backend;
use crate::packets;
use crate::told::Told;
use crate::vectors::json::{hex, unhex};

/// The files with whole packets.
pub const FILES: [&str; 8] = [
    "registration.json",
    "session.json",
    "letters.json",
    "acknowledgments.json",
    "directory.json",
    "backlog.json",
    "closing.json",
    "refusals.json",
];

/// Whether a backend's OAEP draws its seed from the generator that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// It does, so blocks can be made again.
    Taken,
    /// It has a generator of its own: blocks can be opened only.
    Own,
}

/// Every packet of every family.
pub fn check<P: Backend>(seeds: Seeds) {
    for case in FILES.into_iter().flat_map(cases) {
        let name = text(&case, "name");
        let bytes = bytes(&case, "packet");
        check_header(&case, &bytes);
        assert_eq!(found::<P>(&case, bytes.clone()), case["fields"], "{name}");
        check_signature::<P>(&case, &bytes);
        check_payload::<P>(&case, seeds);
    }
}

fn check_header(case: &Value, bytes: &[u8]) {
    let packet = Packet::parse(bytes).unwrap();
    let header = packet.header();
    let found = json!({
        "sender_id": header.sender.map_or(0, |id| id.get()),
        "recipient_id": header.recipient.map_or(0, |id| id.get()),
        "timestamp": header.timestamp.as_str(),
        "op_code": header.op_code,
        "payload_size": header.payload_size,
    });
    assert_eq!(found, case["header"]);
    assert_eq!(hex(packet.payload()), case["payload"]);
    assert_eq!(hex(packets::id_of(bytes).0), case["packet_id"]);
}

/// The same bytes signed again give the same packet.
fn check_signature<P: Backend>(case: &Value, bytes: &[u8]) {
    let (signed, signature) = bytes.split_at(bytes.len() - SIGNATURE_LEN);
    match case["signer"].as_str() {
        None => assert_eq!(signature, [0; SIGNATURE_LEN]),
        Some(signer) => {
            let key = Known::named(signer).private::<P>();
            let digest = P::default().sha256(&[signed]);
            assert_eq!(key.sign(&mut Told::new(&[]), &digest).unwrap(), signature);
        }
    }
}

fn verified<'a, P: Backend>(case: &Value, bytes: &'a mut [u8]) -> Verified<&'a mut [u8]> {
    let packet = Unverified::new(&P::default(), Packet::parse(bytes).unwrap());
    assert_eq!(hex(packet.id().0), case["packet_id"]);
    packet.verify(&Known::named(text(case, "signer")).public::<P>()).unwrap()
}

/// The fields that come out of a packet.
fn found<P: Backend>(case: &Value, mut packet: Vec<u8>) -> Value {
    let (provider, protection) = (P::default(), &case["protection"]);
    let kind = text(case, "kind");
    let content = |content: &[u8]| {
        assert_eq!(hex(content), case["content"]);
        fields::of(kind, content).unwrap()
    };
    match text(protection, "form") {
        "oaep" => {
            let payload = Packet::parse(&packet[..]).unwrap().payload().to_vec();
            let (block, behind) = payload.split_first_chunk::<RSA_LEN>().unwrap();
            let found = content(&opened::<P>(protection, block));
            if kind != "otp_proof" {
                assert!(behind.is_empty());
                return found;
            }
            let (_, spki) = OtpProof::split(&payload).unwrap();
            let spki = Spki::parse(spki).unwrap();
            assert_eq!(hex(provider.sha256(&[spki.as_bytes()]).0), found["spki_digest"]);
            fields::with_spki(found, &spki)
        }
        "reply" => {
            let key = ReplyKey::from_bytes(&array(protection, "reply_key"));
            content(key.open(&provider, verified::<P>(case, &mut packet)).unwrap())
        }
        "last_session" => {
            let packet = verified::<P>(case, &mut packet);
            let ReconnectForm::Short { iv, sealed } =
                ReconnectForm::parse(packet.payload()).unwrap()
            else {
                panic!("a short 106 is not the short form")
            };
            let mut blocks = *sealed;
            let key = array(protection, "session_key");
            let len = provider.cbc_decrypt(&key, iv, &mut blocks).unwrap();
            content(&blocks[..len])
        }
        "sealed" => {
            let payload = verified::<P>(case, &mut packet).payload().to_vec();
            let (iv, blocks) = payload.split_first_chunk().unwrap();
            let mut blocks = blocks.to_vec();
            let key = array(protection, "session_key");
            let len = provider.cbc_decrypt(&key, iv, &mut blocks).unwrap();
            let (seq, inside) = blocks[..len].split_first_chunk().unwrap();
            assert_eq!(u64::from(u32::from_le_bytes(*seq)), protection["seq"]);
            content(inside)
        }
        "shared" => {
            let key = SessionKey::from_bytes(&array(protection, "session_key"));
            let packet = verified::<P>(case, &mut packet);
            let blocks = key.open_tokens(&provider, packet).unwrap();
            let own = fields::of_tokens(kind, blocks, &Chosen::new().nonce);
            let own: Vec<_> = own.iter().filter(|fields| **fields == case["fields"]).collect();
            assert_eq!(own.len(), 1, "one token of the packet is for this session");
            own[0].clone()
        }
        "clear" => content(verified::<P>(case, &mut packet).payload()),
        "envelope" => letter::<P>(protection, verified::<P>(case, &mut packet)),
        form => panic!("no such form: {form}"),
    }
}

fn opened<P: Backend>(protection: &Value, block: &[u8; RSA_LEN]) -> Vec<u8> {
    let key = Known::named(text(protection, "key")).private::<P>();
    let (label, mut out) = (text(protection, "label").as_bytes(), [0; OAEP_MAX]);
    let len = key.oaep_open(&mut Told::new(&[]), label, block, &mut out).unwrap();
    out[..len].to_vec()
}

fn letter<P: Backend>(protection: &Value, packet: Verified<&mut [u8]>) -> Value {
    let provider = P::default();
    let print = |person: &Known| Fingerprint::of(&provider, &person.phone.unwrap(), &person.spki);
    let sender = Known::named(text(protection, "sender"));
    let recipient = Known::named(text(protection, "recipient"));
    let label = [&b"waxwing/1:102"[..], &print(&sender).0, &print(&recipient).0].concat();
    assert_eq!(hex(label), protection["label"]);
    let key = recipient.private::<P>();
    let (from, to) = (print(&sender), print(&recipient));
    let rng = &mut Told::new(&[]);
    fields::of_letter(&envelope::open(&provider, rng, &from, &to, &key, packet).unwrap())
}

/// Makes the payload again of its inputs.
fn check_payload<P: Backend>(case: &Value, seeds: Seeds) {
    let (provider, protection) = (P::default(), &case["protection"]);
    let content = bytes(case, "content");
    let cbc = |key: [u8; 32], message: &[u8]| {
        let (iv, mut buffer) = (array(protection, "iv"), [message, &[0; 16]].concat());
        let len = provider.cbc_encrypt(&key, &iv, &mut buffer, message.len()).unwrap();
        [&iv, &buffer[..len]].concat()
    };
    let oaep = |name: &str, label: &[u8], message: &[u8]| {
        let seed: [u8; 32] = array(protection, "seed");
        let key = Known::named(name).public::<P>();
        key.oaep_seal(&mut Told::new(&seed), label, message).unwrap()
    };
    let payload = match text(protection, "form") {
        "oaep" | "envelope" if seeds == Seeds::Own => return,
        "oaep" => {
            let label = text(protection, "label").as_bytes();
            let block = oaep(text(protection, "key"), label, &content);
            let behind = case["fields"]["spki"].as_str().map(unhex).unwrap_or_default();
            [&block[..], &behind].concat()
        }
        "envelope" => {
            let key: [u8; 32] = array(protection, "message_key");
            let label = bytes(protection, "label");
            let wrapped = oaep(text(protection, "recipient"), &label, &key);
            [&[1, 1], &wrapped[..], &cbc(key, &content)].concat()
        }
        "reply" => cbc(array(protection, "reply_key"), &content),
        "last_session" => cbc(array(protection, "session_key"), &content),
        "sealed" => {
            let seq = u32::try_from(protection["seq"].as_u64().unwrap()).unwrap();
            cbc(array(protection, "session_key"), &[&seq.to_le_bytes()[..], &content].concat())
        }
        "shared" => {
            let iv: [u8; 16] = array(protection, "iv");
            let tokens = protection["tokens"].as_array().unwrap().iter().flat_map(|token| {
                let mut block = array(token, "block");
                provider.encrypt_block(&array(token, "session_key"), &iv, &mut block);
                block
            });
            iv.into_iter().chain(tokens).collect()
        }
        _ => content,
    };
    assert_eq!(hex(payload), case["payload"], "{}", text(case, "name"));
}

/// The envelopes, each opened in a letter that its sender signs here.
pub fn check_envelopes<P: Backend>() {
    for case in cases("envelope.json") {
        let protection = &case["protection"];
        let sender = Known::named(text(protection, "sender"));
        let recipient = Known::named(text(protection, "recipient"));
        let id = |person: &Known| person.id.unwrap().get();
        let payload = bytes(&case, "envelope");
        let at = crate::vectors::cast::now();
        let letter = packets::unsigned(id(&sender), id(&recipient), at, 102, &payload);
        let mut bytes = packets::sign(letter, &sender.private::<P>(), &mut Told::new(&[]));
        let packet = Unverified::new(&P::default(), Packet::parse(&mut bytes[..]).unwrap());
        let packet = packet.verify(&sender.public::<P>()).unwrap();
        assert_eq!(self::letter::<P>(protection, packet), case["fields"]);
    }
}
