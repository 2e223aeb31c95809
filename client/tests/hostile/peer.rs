//! Somebody who makes every packet by hand, and checks everything that the server says.

mod listening;

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use waxwing::backend::{BackendKey, load_key, provider, rng};
use waxwing::clock;
use waxwing_core::crypto::{PrivateKey, Provider, PublicKey, ReplyKey, SessionKey, SessionSeal};
use waxwing_core::id::{Nonce, PacketId, UserId};
use waxwing_core::limits::MAX_SEALED;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::testing::keys;
use waxwing_core::wire::{
    ClientReport, CloseReason, KeyQuestion, Op, OtpProof, StatusQuery, Writer,
};
use waxwing_testkit::packets::{self, NOBODY};
use waxwing_testkit::person::Said;

use crate::line::{Door, Line};

pub(crate) struct Peer {
    door: &'static Door,
    key: BackendKey,
    pub(crate) from: Ipv4Addr,
    /// What a proxy says at the beginning of each connection.
    introduction: Vec<u8>,
    pub(crate) phone: Phone,
    pub(crate) id: Option<UserId>,
    pub(crate) reply_key: ReplyKey,
    /// Those of requests that have no answer yet, after that of the session.
    nonces: Vec<Nonce>,
    seal: Option<SessionSeal>,
    /// The key of the last session that was confirmed.
    last_key: Option<SessionKey>,
    /// Letters sent: what shared acknowledgments are looked up in.
    sent: Vec<PacketId>,
    line: Option<Line>,
    heard: VecDeque<Said>,
}

impl Peer {
    /// With one of the eight keys that need not be made.
    pub(crate) fn new(door: &'static Door, at: usize) -> Self {
        assert!(at < keys::COUNT, "two people with one key");
        Self::with_key(door, at, load_key(keys::pkcs8_der(at)).unwrap())
    }

    pub(crate) fn with_key(door: &'static Door, at: usize, key: BackendKey) -> Self {
        Self {
            door,
            key,
            from: Ipv4Addr::LOCALHOST,
            introduction: Vec::new(),
            phone: Phone::parse(format!("+4915300{at:04}").as_bytes()).unwrap(),
            id: None,
            reply_key: ReplyKey::generate(&mut rng()),
            nonces: Vec::new(),
            seal: None,
            last_key: None,
            sent: Vec::new(),
            line: None,
            heard: VecDeque::new(),
        }
    }

    /// With an account and a session.
    pub(crate) fn with_session(door: &'static Door, at: usize) -> Self {
        Self::new(door, at).registered()
    }

    pub(crate) fn registered(mut self) -> Self {
        self.register();
        self
    }

    /// Somebody in another address prefix for every `network`.
    pub(crate) fn at(mut self, network: u8) -> Self {
        self.from = Ipv4Addr::new(127, 1, network, 1);
        self
    }

    /// Somebody whom a proxy introduces as one from this address.
    pub(crate) fn introduced(mut self, [a, b, c, d]: [u8; 4]) -> Self {
        self.introduction = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
        self.introduction.extend([a, b, c, d, 198, 51, 100, 1, 0xc0, 0x01, 0x24, 0x4f]);
        self
    }

    pub(crate) fn id(&self) -> UserId {
        self.id.unwrap()
    }
}

/// Packets, good ones for what they are given.
impl Peer {
    pub(crate) fn request(&self) -> Vec<u8> {
        self.request_for(self.phone.as_bytes())
    }

    pub(crate) fn request_for(&self, phone: &[u8]) -> Vec<u8> {
        let content = written(|writer| {
            writer.put(self.reply_key.expose()).unwrap();
            writer.u8(phone.len().try_into().unwrap()).unwrap();
            writer.put(phone).unwrap();
        });
        self.request_with(&content)
    }

    /// A 100 with any content in its block.
    pub(crate) fn request_with(&self, content: &[u8]) -> Vec<u8> {
        let block = self.oaep(Op::RegistrationRequest, content);
        packets::zero_signed(packets::unsigned(NOBODY, NOBODY, clock::now(), 100, &block))
    }

    pub(crate) fn proof(&mut self, code: &str) -> Vec<u8> {
        let nonce = self.draw_nonce();
        let (otp, spki) = (Otp::parse(code.as_bytes()).unwrap(), self.key.spki());
        let digest = provider().sha256(&[spki.as_bytes()]);
        let content = written(|writer| {
            OtpProof::emit(writer, &self.reply_key, &otp, &nonce, &digest, &self.phone).unwrap();
        });
        let payload = [&self.oaep(Op::OtpProof, &content)[..], spki.as_bytes()].concat();
        self.packet_as(NOBODY, NOBODY, 101, &payload)
    }

    /// The long form of 106.
    pub(crate) fn long(&mut self) -> Vec<u8> {
        let nonce = self.draw_nonce();
        let block = self.oaep(Op::ReconnectRequest, &nonce.0);
        self.packet(106, &block)
    }

    /// The short form of 106, under the key of the last session.
    pub(crate) fn short(&mut self) -> Vec<u8> {
        let nonce = self.draw_nonce();
        let iv = Nonce::generate(&mut rng()).0;
        let mut blocks = [0; 32];
        blocks[..16].copy_from_slice(&nonce.0);
        let key = self.last_key.as_ref().unwrap();
        assert_eq!(provider().cbc_encrypt(key.expose(), &iv, &mut blocks, 16), Ok(32));
        self.packet(106, &[&iv[..], &blocks].concat())
    }

    fn draw_nonce(&mut self) -> Nonce {
        let nonce = Nonce::generate(&mut rng());
        self.nonces.push(nonce);
        nonce
    }

    pub(crate) fn queries(&mut self, of: &[StatusQuery]) -> Vec<u8> {
        let content = written(|writer| ClientReport::emit_queries(writer, of).unwrap());
        self.sealed(203, &content)
    }

    fn oaep(&self, op: Op, content: &[u8]) -> [u8; 256] {
        self.door.key.oaep_seal(&mut rng(), op.oaep_label(), content).unwrap()
    }

    /// A signed packet to the server.
    pub(crate) fn packet(&self, op_code: u8, payload: &[u8]) -> Vec<u8> {
        self.packet_as(UserId::wire(self.id), NOBODY, op_code, payload)
    }

    pub(crate) fn packet_as(
        &self,
        sender: u16,
        recipient: u16,
        op_code: u8,
        payload: &[u8],
    ) -> Vec<u8> {
        self.sign(packets::unsigned(sender, recipient, clock::now(), op_code, payload))
    }

    /// Header and payload, whatever they are, with this peer's signature.
    pub(crate) fn sign(&self, bytes: Vec<u8>) -> Vec<u8> {
        packets::sign(bytes, &self.key, &mut rng())
    }

    /// A sealed packet to the server.
    pub(crate) fn sealed(&mut self, op_code: u8, content: &[u8]) -> Vec<u8> {
        let mut payload = [0; MAX_SEALED];
        let seal = self.seal.as_mut().unwrap();
        let put = |writer: &mut Writer<'_>| writer.put(content);
        let len = seal.seal(&provider(), &mut rng(), &mut payload, put).unwrap();
        self.packet(op_code, &payload[..len])
    }

    pub(crate) fn confirmation(&mut self, window: u8) -> Vec<u8> {
        self.sealed(203, &[0, window])
    }

    pub(crate) fn held(&mut self, ids: &[PacketId]) -> Vec<u8> {
        let content = written(|writer| ClientReport::emit_held(writer, ids).unwrap());
        self.sealed(203, &content)
    }

    pub(crate) fn question(&mut self, question: KeyQuestion) -> Vec<u8> {
        let content = written(|writer| question.emit(writer).unwrap());
        self.sealed(105, &content)
    }

    /// A letter, remembered as sent. The server does not look into it, so anything will do.
    pub(crate) fn letter(&mut self, to: UserId, text: &[u8]) -> Vec<u8> {
        let letter = self.packet_as(UserId::wire(self.id), to.get(), 102, text);
        self.sent.push(packets::id_of(&letter));
        letter
    }
}

/// What one does.
impl Peer {
    pub(crate) fn connect(&mut self) {
        self.heard.clear();
        self.line = Some(Line::open(self.door.address, self.from));
        let introduction = self.introduction.clone();
        self.send(&introduction);
    }

    pub(crate) fn line(&mut self) -> &mut Line {
        self.line.as_mut().unwrap()
    }

    /// Gives the connection away; its session lives as long as it does.
    pub(crate) fn hang_up(&mut self) -> Line {
        self.line.take().unwrap()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.line().send(bytes);
    }

    /// Says one thing on a connection of its own.
    #[track_caller]
    pub(crate) fn call(&mut self, bytes: &[u8]) -> Option<Said> {
        self.connect();
        self.send(bytes);
        self.hear()
    }

    /// Gets a code in band, an account and a session.
    #[track_caller]
    pub(crate) fn register(&mut self) {
        let said = self.call(&self.request());
        let Some(Said::CodeIssued { code: Some(code), .. }) = said else { panic!("{said:?}") };
        let proof = self.proof(str::from_utf8(&code).unwrap());
        self.send(&proof);
        assert_eq!(self.hear(), Some(Said::SessionOffered(Op::SessionIssued)));
        self.confirm(128);
    }

    /// Connects, up to the 206.
    #[track_caller]
    pub(crate) fn reconnect(&mut self) {
        let long = self.long();
        assert_eq!(self.call(&long), Some(Said::SessionOffered(Op::SessionRenewed)));
    }

    /// The 206 to a 106 that was sent, and what follows.
    #[track_caller]
    pub(crate) fn hear_session(&mut self) {
        assert_eq!(self.hear(), Some(Said::SessionOffered(Op::SessionRenewed)));
        self.confirm(128);
    }

    /// Confirms, to what is known to be an empty mailbox.
    #[track_caller]
    pub(crate) fn confirm(&mut self, window: u8) {
        let confirmation = self.confirmation(window);
        self.send(&confirmation);
        assert_eq!(self.hear(), Some(Said::BacklogEnd(0)));
    }

    #[track_caller]
    pub(crate) fn come(&mut self) {
        self.reconnect();
        self.confirm(128);
    }

    #[track_caller]
    pub(crate) fn leave(&mut self) {
        let close = self.sealed(222, &[1]);
        self.send(&close);
        assert_eq!(self.hear(), Some(Said::Closed(CloseReason::Leaving)));
        assert_eq!(self.hear(), None);
    }

    /// Sends a letter, and returns it.
    pub(crate) fn write(&mut self, to: UserId, text: &[u8]) -> Vec<u8> {
        let letter = self.letter(to, text);
        self.send(&letter);
        letter
    }

    pub(crate) fn acknowledge(&mut self, letter: &[u8]) {
        let held = self.held(&[packets::id_of(letter)]);
        self.send(&held);
    }

    /// Whether the session serves: a question about oneself is always answered.
    #[track_caller]
    pub(crate) fn is_served(&mut self) {
        let question = self.question(KeyQuestion::ById(self.id()));
        self.send(&question);
        let said = self.hear();
        let Some(Said::Key(answer)) = said else { panic!("{said:?}") };
        assert_eq!((answer.user, answer.phone), (self.id(), self.phone));
    }
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; MAX_SEALED];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    writer.into_written().to_vec()
}
