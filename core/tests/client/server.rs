//! A server that makes any packet by hand, with the true key.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::crypto::{
    BLOCK_LEN, CryptoRng, Digest, PrivateKey, Provider, PublicKey, ReplyKey, RustCrypto,
    RustCryptoKey, RustCryptoPublicKey, SessionKey, SessionSeal, SharedTokens, Unverified,
};
use waxwing_core::id::{Nonce, PacketId, UserId};
use waxwing_core::limits::{HEADER_LEN, SIGNATURE_LEN};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{
    BacklogSize, BacklogToken, ErrorCode, Header, Op, OtpProof, Packet, Refusal, SessionGrant,
    Status, StatusToken, Statuses, Writer,
};

use crate::keys::{self, CLIENT, SERVER, SERVER_PUBLIC};

/// The id of the client under test.
pub(crate) const US: u16 = 7;
/// Somebody else's.
pub(crate) const FRIEND: u16 = 8;
pub(crate) const NOBODY: u16 = 0;
/// The key of the session before.
pub(crate) const LAST_KEY: [u8; 32] = [0x3c; 32];

/// What lies in the header of a packet by hand.
#[derive(Clone, Copy)]
pub(crate) struct From {
    pub(crate) sender: u16,
    pub(crate) recipient: u16,
    pub(crate) op_code: u8,
}

/// From the server, to this id.
pub(crate) fn to(recipient: u16, op_code: u8) -> From {
    From { sender: NOBODY, recipient, op_code }
}

pub(crate) struct Server {
    pub(crate) rng: ChaCha20Rng,
    pub(crate) clock: UnixTime,
    /// The server's side of the session.
    pub(crate) seal: SessionSeal,
    pub(crate) nonce: Nonce,
    pub(crate) reply_key: ReplyKey,
}

/// A packet of the client's, understood.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: PacketId,
    pub(crate) header: Header,
    /// What was sealed in it, or its payload when nothing was.
    pub(crate) content: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
}

impl Server {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let seal = SessionSeal::new(SessionKey::generate(&mut rng));
        let reply_key = ReplyKey::generate(&mut rng);
        let clock = UnixTime::from_seconds(1_795_350_896);
        Self { rng, clock, seal, nonce: Nonce([0; 16]), reply_key }
    }

    /// A packet that the server has signed.
    pub(crate) fn packet(&mut self, from: From, payload: &[u8]) -> Vec<u8> {
        signed(&SERVER, self.clock, from, payload)
    }

    /// A letter that somebody has signed.
    pub(crate) fn letter(&mut self, sender: u16, recipient: u16, payload: &[u8]) -> Vec<u8> {
        let from = From { sender, recipient, op_code: 102 };
        signed(&keys::FRIEND, self.clock, from, payload)
    }

    /// The next sealed packet to the client.
    pub(crate) fn sealed(&mut self, op: Op, content: &[u8]) -> Vec<u8> {
        let payload = self.sealed_payload(content);
        self.packet(to(US, op.code()), &payload)
    }

    pub(crate) fn sealed_payload(&mut self, content: &[u8]) -> Vec<u8> {
        let mut out = [0; 2_048];
        let len = self
            .seal
            .seal(&RustCrypto, &mut self.rng, &mut out, |writer| writer.put(content))
            .unwrap();
        out[..len].to_vec()
    }

    /// `IV ‖ CBC(reply_key; content)`, to nobody.
    pub(crate) fn answer(&mut self, op: Op, content: &[u8]) -> Vec<u8> {
        let mut out = [0; 1_024];
        let reply_key = self.reply_key.clone();
        let len = reply_key
            .seal(&RustCrypto, &mut self.rng, &mut out, |writer| writer.put(content))
            .unwrap();
        self.packet(to(NOBODY, op.code()), &out[..len])
    }

    pub(crate) fn otp_issued(&mut self) -> Vec<u8> {
        self.answer(Op::OtpIssued, b"\x2c\x01\x03\x3c\x00\x06123456")
    }

    /// 201 or 206 with the nonce of the last request.
    pub(crate) fn grant(&mut self, op: Op) -> Vec<u8> {
        let grant = SessionGrant { session_key: self.seal.key().clone(), nonce: self.nonce };
        let block = written(|writer| grant.emit(writer).unwrap());
        self.grant_of(op, op.oaep_label(), &block)
    }

    pub(crate) fn grant_of(&mut self, op: Op, label: &[u8], block: &[u8]) -> Vec<u8> {
        let key = RustCrypto.public_key(CLIENT.spki()).unwrap();
        let sealed = key.oaep_seal(&mut self.rng, label, block).unwrap();
        self.packet(to(US, op.code()), &sealed)
    }

    /// A packet of tokens, each under its key.
    pub(crate) fn shared(&mut self, op: Op, tokens: &[(SessionKey, [u8; BLOCK_LEN])]) -> Vec<u8> {
        let mut out = [0; 2_048];
        let mut packet = SharedTokens::new(&mut self.rng, &mut out).unwrap();
        for (key, block) in tokens {
            packet.push(&RustCrypto, key, *block).unwrap();
        }
        let len = packet.payload_len();
        self.packet(to(NOBODY, op.code()), &out[..len])
    }

    pub(crate) fn shared_statuses(&mut self, tokens: &[StatusToken]) -> Vec<u8> {
        let key = self.seal.key().clone();
        let tokens: Vec<_> = tokens.iter().map(|token| (key.clone(), token.to_block())).collect();
        self.shared(Op::Acknowledgment, &tokens)
    }

    pub(crate) fn shared_backlog_end(&mut self, nonce: &Nonce, count: u32) -> Vec<u8> {
        let key = self.seal.key().clone();
        let block = BacklogToken::block(nonce, BacklogSize(count));
        self.shared(Op::BacklogEnd, &[(key, block)])
    }

    pub(crate) fn sealed_statuses(&mut self, statuses: &[(PacketId, Status)]) -> Vec<u8> {
        let content = written(|writer| Statuses::emit(writer, statuses).unwrap());
        self.sealed(Op::Acknowledgment, &content)
    }

    pub(crate) fn clear_refusal(&mut self, code: ErrorCode, packet: Option<PacketId>) -> Vec<u8> {
        let body = refusal(code.code(), packet);
        self.packet(to(NOBODY, 244), &body)
    }

    pub(crate) fn sealed_refusal(&mut self, code: ErrorCode, packet: Option<PacketId>) -> Vec<u8> {
        let body = refusal(code.code(), packet);
        self.sealed(Op::Refusal, &body)
    }

    /// The client's packets in these bytes, each signed as it must be. Remembers the nonce of
    /// the last request for a session.
    pub(crate) fn understand(&mut self, mut stream: &[u8]) -> Vec<Sent> {
        let client = RustCrypto.public_key(CLIENT.spki()).unwrap();
        let mut packets = Vec::new();
        while !stream.is_empty() {
            let header = Header::parse(stream.first_chunk::<HEADER_LEN>().unwrap()).unwrap();
            let (bytes, rest) = stream.split_at(header.packet_len());
            stream = rest;
            let mut copy = bytes.to_vec();
            let packet = Unverified::new(&RustCrypto, Packet::parse(&mut copy[..]).unwrap());
            let id = packet.id();
            let mut content = packet.packet().payload().to_vec();
            let op = Op::from_code(header.op_code).unwrap();
            if op == Op::RegistrationRequest {
                assert_eq!(packet.packet().signature(), &[0; SIGNATURE_LEN]);
                content = opened(op, &content);
            } else {
                let packet = packet.verify(&client).expect("signed by the client");
                match op {
                    Op::OtpProof => {
                        content = opened(op, &content[..256]);
                        self.nonce = OtpProof::parse(&content).unwrap().nonce;
                    }
                    Op::ReconnectRequest if content.len() == 256 => {
                        content = opened(op, &content);
                        self.nonce = Nonce(content[..].try_into().unwrap());
                    }
                    Op::ReconnectRequest => {
                        let (iv, blocks) = content.split_first_chunk_mut().unwrap();
                        let len = RustCrypto.cbc_decrypt(&LAST_KEY, iv, blocks).unwrap();
                        self.nonce = Nonce(blocks[..len].try_into().unwrap());
                    }
                    Op::Letter => {}
                    _ => content = self.seal.open(&RustCrypto, packet).unwrap().to_vec(),
                }
            }
            packets.push(Sent { id, header, content, bytes: bytes.to_vec() });
        }
        packets
    }
}

fn opened(op: Op, sealed: &[u8]) -> Vec<u8> {
    let question = RustCrypto.sha256(&[op.oaep_label(), sealed]);
    remembered(question, |rng| {
        let mut block = [0; 190];
        let sealed = sealed.try_into().unwrap();
        let len = SERVER.oaep_open(rng, op.oaep_label(), sealed, &mut block).unwrap();
        block[..len].to_vec()
    })
}

/// The result of a private-key operation. Most tests begin alike, so most of them are done once.
fn remembered(question: Digest, work: impl FnOnce(&mut dyn CryptoRng) -> Vec<u8>) -> Vec<u8> {
    static DONE: LazyLock<Mutex<HashMap<Digest, Vec<u8>>>> = LazyLock::new(Mutex::default);
    if let Some(done) = DONE.lock().unwrap().get(&question) {
        return done.clone();
    }
    let done = work(&mut ChaCha20Rng::seed_from_u64(3));
    DONE.lock().unwrap().insert(question, done.clone());
    done
}

pub(crate) fn signed(key: &RustCryptoKey, at: UnixTime, from: From, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(from.sender.to_le_bytes());
    bytes.extend(from.recipient.to_le_bytes());
    bytes.extend(Timestamp::from_unix(at).as_bytes());
    bytes.push(from.op_code);
    bytes.extend(u16::try_from(payload.len()).unwrap().to_le_bytes());
    bytes.extend(payload);
    let digest = RustCrypto.sha256(&[&bytes]);
    let question = RustCrypto.sha256(&[key.spki().as_bytes(), &digest.0]);
    bytes.extend(remembered(question, |rng| key.sign(rng, &digest).unwrap().to_vec()));
    bytes
}

pub(crate) fn id_of(packet: &[u8]) -> PacketId {
    PacketId::of(&RustCrypto.sha256(&[&packet[..packet.len() - SIGNATURE_LEN]]))
}

pub(crate) fn refusal(code: u16, packet: Option<PacketId>) -> Vec<u8> {
    let refusal = Refusal { code, op: 0, retry_after_s: 5, packet, text: "no" };
    written(|writer| refusal.emit(writer).unwrap())
}

pub(crate) fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; 2_048];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    writer.into_written().to_vec()
}

pub(crate) fn user(id: u16) -> UserId {
    UserId::new(id).unwrap()
}

/// The pinned key, for the client.
pub(crate) fn pinned() -> &'static RustCryptoPublicKey {
    &SERVER_PUBLIC
}
