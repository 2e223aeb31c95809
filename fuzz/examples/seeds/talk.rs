//! Conversations with a client. What the server says depends on what the client has drawn, so each
//! answer is made from what the client says to the script so far.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::crypto::{ReplyKey, SessionKey, SessionSeal, SharedTokens};
use waxwing_core::envelope::{self, Content};
use waxwing_core::id::{Nonce, Uid, UserId};
use waxwing_core::limits::{HEADER_LEN, MAX_LETTER, SIGNATURE_LEN};
use waxwing_core::wire::{
    BacklogSize, BacklogToken, ErrorCode, KeyAnswer, Op, OtpProof, Refusal, SessionGrant, Status,
    StatusToken, Statuses, Writer,
};
use waxwing_fuzz::Reached;
use waxwing_fuzz::client::{self, Human, NOW, Request};
use waxwing_fuzz::messenger::{self, Deed};
use waxwing_fuzz::script::{Other, Step, encode};
use waxwing_testkit::backend::{Backend, Glass};
use waxwing_testkit::packets::{NOBODY, id_of, unsigned, zero_signed};

use super::keep;

/// A code that comes in band: for 300 seconds, with 3 attempts, and 60 seconds before another.
const CODE: &[u8] = b"\x2c\x01\x03\x3c\x00\x06123456";
const TEXT: &Content<'_> = &Content::Text("Hello, Ann");

/// A script, and the server's half of the conversation that it is.
struct Talk {
    script: Vec<u8>,
    run: fn(&[u8]) -> (Reached, Vec<Vec<u8>>),
    seal: SessionSeal,
    /// What the server and the other person draw from.
    rng: ChaCha20Rng,
    letters: u8,
}

impl Talk {
    fn new(how: u8, run: fn(&[u8]) -> (Reached, Vec<Vec<u8>>)) -> Self {
        Self {
            script: vec![how],
            run,
            seal: SessionSeal::new(SessionKey::from_bytes(&[1; 32])),
            rng: ChaCha20Rng::from_seed([9; 32]),
            letters: 0,
        }
    }

    /// With a session, whose backlog has ended.
    fn in_session(how: u8, run: fn(&[u8]) -> (Reached, Vec<Vec<u8>>)) -> Self {
        let mut talk = Self::new(how, run);
        talk.grant(Op::SessionRenewed);
        talk.end_backlog();
        talk
    }

    fn keep(&self, target: &str, name: &str) {
        keep(target, name, &self.script);
    }

    /// The last packet with this op code that the client has said.
    fn heard(&self, op: Op) -> Vec<u8> {
        let said = (self.run)(&self.script).1;
        let is_it = |packet: &Vec<u8>| packet[HEADER_LEN - 3] == op.code();
        said.into_iter().rfind(is_it).unwrap_or_else(|| {
            let (reached, said) = (self.run)(&self.script);
            let said: Vec<_> = said.iter().map(|packet| packet[HEADER_LEN - 3]).collect();
            panic!("the client has said {said:?} and no {op}; it has reached {reached:?}")
        })
    }

    /// The nonce of the client's last 101 or 106.
    fn nonce(&self, request: Op) -> Nonce {
        let packet = self.heard(request);
        let payload = &packet[HEADER_LEN..packet.len() - SIGNATURE_LEN];
        let nonce = if request == Op::OtpProof {
            let (block, _) = OtpProof::split(payload).unwrap();
            return OtpProof::parse(&block[1..1 + usize::from(block[0])]).unwrap().nonce;
        } else if payload.len() == 256 {
            &payload[1..17]
        } else {
            &payload[16..32]
        };
        Nonce(nonce.try_into().unwrap())
    }

    fn other(&mut self, other: impl Other) {
        self.script.extend(encode(&[Step::Other(other)]));
    }

    fn wait(&mut self, seconds: u8) {
        self.script.extend(encode::<Request>(&[Step::Wait(seconds)]));
    }

    fn say(&mut self, packet: &[u8]) {
        for part in packet.chunks(60_000) {
            self.script.extend(encode::<Request>(&[Step::Bytes(0, part)]));
        }
    }

    /// A packet to the client, or to everybody.
    fn packet(&mut self, to: u16, op: Op, payload: &[u8]) {
        self.say(&zero_signed(unsigned(NOBODY, to, NOW, op.code(), payload)));
    }

    /// 200 or 150, under the reply key.
    fn reply(&mut self, op: Op, content: &[u8]) {
        let mut payload = [0; 256];
        let key = ReplyKey::from_bytes(&[5; 32]);
        let len = key.seal(&Glass, &mut self.rng, &mut payload, |writer| writer.put(content));
        self.packet(NOBODY, op, &payload[..len.unwrap()]);
    }

    /// 201 or 206, with the nonce that the client has drawn.
    fn grant(&mut self, op: Op) {
        let request = if op == Op::SessionIssued { Op::OtpProof } else { Op::ReconnectRequest };
        let session_key = SessionKey::from_bytes(&[1; 32]);
        self.seal = SessionSeal::new(session_key.clone());
        let mut payload = [0; 256];
        payload[0] = SessionGrant::LEN as u8;
        let grant = SessionGrant { session_key, nonce: self.nonce(request) };
        grant.emit(&mut Writer::new(&mut payload[1..])).unwrap();
        self.packet(1, op, &payload);
    }

    /// A sealed packet.
    fn sealed(&mut self, op: Op, content: &[u8]) {
        let mut payload = [0; 2_048];
        let len = self.seal.seal(&Glass, &mut self.rng, &mut payload, |writer| writer.put(content));
        self.packet(1, op, &payload[..len.unwrap()]);
    }

    /// A packet that many share.
    fn shared(&mut self, op: Op, block: [u8; 16]) {
        let mut payload = [0; 48];
        let mut tokens = SharedTokens::new(&mut self.rng, &mut payload).unwrap();
        for block in [[0xee; 16], block] {
            tokens.push(&Glass, self.seal.key(), block).unwrap();
        }
        self.packet(NOBODY, op, &payload);
    }

    fn end_backlog(&mut self) {
        self.sealed(Op::BacklogEnd, &0_u32.to_le_bytes());
    }

    /// What became of the client's last letter.
    fn status(&mut self, status: Status) {
        let letter = id_of(&self.heard(Op::Letter));
        let content = written(|writer| Statuses::emit(writer, &[(letter, status)]).unwrap());
        self.sealed(Op::Acknowledgment, &content);
    }

    /// The client's last packet with this op code is refused.
    fn refuse(&mut self, op: Op, code: ErrorCode) {
        let packet = Some(id_of(&self.heard(op)));
        let text = code.name();
        let refusal = Refusal { code: code.code(), op: op.code(), retry_after_s: 5, packet, text };
        let content = written(|writer| refusal.emit(writer).unwrap());
        match op {
            Op::ReconnectRequest => self.packet(NOBODY, Op::Refusal, &content),
            _ => self.sealed(Op::Refusal, &content),
        }
    }

    /// A 204: a key of the peer's, or of somebody else.
    fn key(&mut self, user: u16, at: usize) {
        let (user, phone) = (UserId::new(user).unwrap(), Human::peer().phone);
        let answer = KeyAnswer { user, phone, spki: Glass::key(at).0 };
        let content = written(|writer| answer.emit(writer).unwrap());
        self.sealed(Op::KeyAnswer, &content);
    }

    /// A letter of the peer's, which has another uid each time.
    fn letter(&mut self, content: &Content<'_>) {
        let (own, peer) = (Human::own(), Human::peer());
        self.letters += 1;
        let mut payload = vec![0; MAX_LETTER];
        let len = envelope::seal(
            &Glass,
            &mut self.rng,
            &peer.fingerprint(),
            &own.fingerprint(),
            &own.key,
            &Uid([self.letters; 16]),
            content,
            &mut payload,
        );
        self.raw_letter(peer.user, &payload[..len.unwrap()]);
    }

    fn raw_letter(&mut self, from: UserId, payload: &[u8]) {
        self.say(&zero_signed(unsigned(from.get(), 1, NOW, Op::Letter.code(), payload)));
    }
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; 2_048];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    writer.into_written().to_vec()
}

/// Seeds of `client_bytes`.
pub(super) fn client() {
    use client::begin::{CODE as ASK, LONG, PROOF, ROOMY, SHORT, WINDOW};
    let keep = |name: &str, talk: &Talk| talk.keep("client_bytes", name);

    let mut talk = Talk::new(ASK, client::talk);
    talk.reply(Op::OtpIssued, CODE);
    keep("code", &talk);

    let mut talk = Talk::new(ASK, client::talk);
    talk.reply(Op::RegistrationRejected, &[1]);
    keep("phone-taken", &talk);

    let mut talk = Talk::new(PROOF, client::talk);
    talk.grant(Op::SessionIssued);
    let nonce = talk.nonce(Op::OtpProof);
    talk.shared(Op::BacklogEnd, BacklogToken::block(&nonce, BacklogSize(0)));
    keep("registration", &talk);

    let mut talk = Talk::in_session(LONG | WINDOW | ROOMY, client::talk);
    talk.letter(TEXT);
    talk.other(Request::Acknowledge);
    talk.letter(&Content::ReadReceipt(Uid([7; 16])));
    talk.other(Request::Release);
    talk.letter(&Content::Unknown { kind: 9, body: b"later" });
    talk.other(Request::Acknowledge);
    talk.raw_letter(Human::peer().user, &[1, 1, 0, 0]);
    talk.other(Request::Acknowledge);
    talk.wait(2);
    keep("letters", &talk);

    let mut talk = Talk::in_session(LONG, client::talk);
    talk.other(Request::AskForKey);
    talk.key(2, 2);
    talk.other(Request::AskForKey);
    talk.key(3, 3);
    talk.other(Request::AskForKey);
    talk.refuse(Op::KeyQuestion, ErrorCode::UnknownUser);
    keep("keys", &talk);

    let mut talk = Talk::in_session(LONG, client::talk);
    talk.other(Request::Compose);
    talk.status(Status::Stored);
    talk.other(Request::AskForStatuses);
    talk.status(Status::Unknown);
    talk.other(Request::Resend);
    let letter = id_of(&talk.heard(Op::Letter)).prefix();
    let token = StatusToken { letter, status: Status::Delivered };
    talk.shared(Op::Acknowledgment, token.to_block());
    talk.other(Request::Leave);
    talk.sealed(Op::Close, &[1]);
    keep("composed", &talk);

    let mut talk = Talk::new(SHORT, client::talk);
    talk.grant(Op::SessionRenewed);
    talk.letter(&Content::Text(&"x".repeat(300)));
    talk.wait(20);
    keep("short-form", &talk);

    let mut talk = Talk::new(SHORT, client::talk);
    talk.refuse(Op::ReconnectRequest, ErrorCode::SessionUnknown);
    talk.grant(Op::SessionRenewed);
    talk.end_backlog();
    keep("short-form-refused", &talk);

    let mut talk = Talk::in_session(LONG | ROOMY, client::talk);
    talk.letter(&Content::Text(&"x".repeat(waxwing_core::limits::MAX_BODY)));
    keep("largest-letter", &talk);

    let mut talk = Talk::in_session(LONG, client::talk);
    talk.wait(255);
    talk.other(Request::AskForKey);
    talk.wait(20);
    talk.wait(20);
    keep("silence", &talk);
}

/// Seeds of `messenger_bytes`.
pub(super) fn messenger() {
    use messenger::begin::{ACQUAINTED, DEVICE, STRANGER};
    let keep = |name: &str, talk: &Talk| talk.keep("messenger_bytes", name);

    let mut talk = Talk::new(STRANGER, messenger::talk);
    talk.reply(Op::OtpIssued, CODE);
    talk.grant(Op::SessionIssued);
    talk.end_backlog();
    keep("registration", &talk);

    for (name, how) in [("contact", ACQUAINTED), ("contact-of-a-device", ACQUAINTED | DEVICE)] {
        let mut talk = Talk::in_session(how, messenger::talk);
        talk.letter(TEXT);
        talk.letter(&Content::ReadReceipt(Uid([7; 16])));
        talk.raw_letter(Human::peer().user, &[1, 1, 0, 0]);
        keep(name, &talk);
    }

    for (name, how) in [("unknown-sender", 0), ("unknown-sender-of-a-device", DEVICE)] {
        let mut talk = Talk::in_session(how, messenger::talk);
        talk.letter(TEXT);
        talk.key(2, 2);
        talk.letter(TEXT);
        keep(name, &talk);
    }

    let mut talk = Talk::in_session(0, messenger::talk);
    talk.letter(TEXT);
    talk.refuse(Op::KeyQuestion, ErrorCode::UnknownUser);
    keep("sender-that-nobody-knows", &talk);

    let mut talk = Talk::in_session(ACQUAINTED, messenger::talk);
    talk.other(Deed::Write);
    talk.key(2, 2);
    talk.status(Status::Stored);
    talk.status(Status::Delivered);
    keep("letter-delivered", &talk);

    let mut talk = Talk::in_session(ACQUAINTED, messenger::talk);
    talk.other(Deed::Write);
    talk.key(2, 2);
    talk.refuse(Op::Letter, ErrorCode::MailboxFull);
    talk.wait(200);
    keep("letter-put-off", &talk);

    let mut talk = Talk::in_session(ACQUAINTED, messenger::talk);
    talk.other(Deed::Write);
    talk.key(2, 3);
    talk.letter(TEXT);
    talk.other(Deed::AcceptKey);
    keep("changed-key", &talk);

    let mut talk = Talk::in_session(ACQUAINTED, messenger::talk);
    talk.letter(TEXT);
    talk.other(Deed::FillDisk);
    talk.letter(TEXT);
    talk.other(Deed::Die);
    talk.wait(255);
    talk.other(Deed::Connect);
    talk.grant(Op::SessionRenewed);
    talk.end_backlog();
    talk.letter(TEXT);
    talk.other(Deed::Delete);
    keep("full-disk", &talk);
}
