//! A client of the tests, built from the wire's primitives. It checks the server's signature on
//! everything, opens what is sealed or shared, and can be told to send anything at all.

use waxwing_core::crypto::{
    PrivateKey, PublicKey, ReplyKey, SessionKey, SessionSeal, Spki, Unverified, Verified,
};
use waxwing_core::id::{Nonce, PacketId, PacketIdPrefix, UserId};
use waxwing_core::limits::MAX_UNACKNOWLEDGED_BYTES;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::server::ConnId;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{
    BacklogSize, BacklogToken, ClientReport, CloseReason, ErrorCode, KeyAnswer, KeyQuestion, Op,
    OtpGrant, OtpProof, Packet, Refusal, RegistrationRejected, RegistrationRequest, SessionGrant,
    Status, StatusQuery, StatusToken, Statuses, Successor, Writer,
};

use crate::backend::Backend;
use crate::packets::{self, NOBODY};
use crate::world::Sim;

/// What the server has said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// 200.
    CodeIssued { attempts: u8, ttl_s: u16, code: Option<Vec<u8>> },
    /// 150.
    PhoneTaken,
    /// 201 or 206.
    SessionOffered(Op),
    /// 102, byte for byte.
    Letter(Vec<u8>),
    /// 203: one entry, sealed or shared.
    Fate(PacketId, Status),
    /// 204.
    Key(Box<KeyAnswer>),
    /// 204 about the server.
    Successor(Box<Successor>),
    /// 255.
    BacklogEnd(u32),
    /// 222.
    Closed(CloseReason),
    /// 244.
    Refused(No),
}

/// What a refusal says.
#[derive(Debug, PartialEq, Eq)]
pub struct No {
    pub code: ErrorCode,
    pub op: u8,
    pub retry_after_s: u16,
    pub packet: Option<PacketId>,
}

impl Said {
    /// A letter is stored.
    pub fn stored(letter: &[u8]) -> Self {
        Self::Fate(packets::id_of(letter), Status::Stored)
    }

    /// A letter is delivered.
    pub fn delivered(letter: &[u8]) -> Self {
        Self::Fate(packets::id_of(letter), Status::Delivered)
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(no) => Some(no.code),
            _ => None,
        }
    }
}

pub struct Person<P: Backend> {
    pub key: P::PrivateKey,
    pub phone: Phone,
    pub id: Option<UserId>,
    pub reply_key: ReplyKey,
    pub conn: ConnId,
    pub nonce: Nonce,
    pub seal: Option<SessionSeal>,
    /// Letters sent: what shared acknowledgments are looked up in.
    pub sent: Vec<PacketId>,
    /// The window that the last confirmation named, and the letters heard since that no
    /// acknowledgment was made for.
    pub window: u8,
    pub given: Vec<(PacketId, usize)>,
}

impl<P: Backend> Person<P> {
    pub fn new(at: usize) -> Self {
        Self::with_key(at, P::key(at))
    }

    pub fn with_key(at: usize, key: P::PrivateKey) -> Self {
        Self {
            key,
            phone: Phone::parse(format!("+4915112345{at:02}").as_bytes()).unwrap(),
            id: None,
            reply_key: ReplyKey::from_bytes(&[at as u8 + 1; 32]),
            conn: ConnId(0),
            nonce: Nonce([0; 16]),
            seal: None,
            sent: Vec::new(),
            window: 0,
            given: Vec::new(),
        }
    }

    pub fn id(&self) -> UserId {
        self.id.unwrap()
    }

    pub fn spki(&self) -> Spki {
        self.key.spki().clone()
    }

    // Packets.

    /// A 100 for this person's phone.
    pub fn request(&self, world: &mut Sim<P>) -> Vec<u8> {
        self.request_for(world, self.phone.as_bytes())
    }

    pub fn request_for(&self, world: &mut Sim<P>, phone: &[u8]) -> Vec<u8> {
        let mut block = [0; RegistrationRequest::MAX_LEN];
        let mut writer = Writer::new(&mut block);
        writer.put(self.reply_key.expose()).unwrap();
        writer.u8(phone.len() as u8).unwrap();
        writer.put(phone).unwrap();
        let block = self.oaep(world, Op::RegistrationRequest, writer.into_written());
        let at = world.now.unix;
        packets::zero_signed(packets::unsigned(NOBODY, NOBODY, at, 100, &block))
    }

    /// A 101 with this code.
    pub fn proof(&mut self, world: &mut Sim<P>, code: &[u8]) -> Vec<u8> {
        self.nonce = Nonce::generate(&mut world.rng);
        let spki = self.spki();
        let digest = P::default().sha256(&[spki.as_bytes()]);
        let mut block = [0; OtpProof::MAX_LEN];
        let mut writer = Writer::new(&mut block);
        let otp = Otp::parse(code).unwrap();
        OtpProof::emit(&mut writer, &self.reply_key, &otp, &self.nonce, &digest, &self.phone)
            .unwrap();
        let block = self.oaep(world, Op::OtpProof, writer.into_written());
        let payload = [&block[..], spki.as_bytes()].concat();
        self.packet_as(world, NOBODY, NOBODY, 101, &payload)
    }

    /// The long form of 106.
    pub fn long(&mut self, world: &mut Sim<P>) -> Vec<u8> {
        self.nonce = Nonce::generate(&mut world.rng);
        let block = self.oaep(world, Op::ReconnectRequest, &self.nonce.0);
        self.packet(world, Op::ReconnectRequest.code(), &block)
    }

    /// The short form of 106, under the key of the last session.
    pub fn short(&mut self, world: &mut Sim<P>) -> Vec<u8> {
        let key = self.seal.as_ref().unwrap().key().clone();
        self.short_under(world, &key)
    }

    pub fn short_under(&mut self, world: &mut Sim<P>, key: &SessionKey) -> Vec<u8> {
        self.nonce = Nonce::generate(&mut world.rng);
        let mut payload = [0; 48];
        payload[..16].copy_from_slice(&Nonce::generate(&mut world.rng).0);
        payload[16..32].copy_from_slice(&self.nonce.0);
        let (iv, blocks) = payload.split_at_mut(16);
        let iv: &[u8; 16] = (&*iv).try_into().unwrap();
        assert_eq!(P::default().cbc_encrypt(key.expose(), iv, blocks, 16), Ok(32));
        self.packet(world, Op::ReconnectRequest.code(), &payload)
    }

    pub fn oaep(&self, world: &mut Sim<P>, op: Op, block: &[u8]) -> [u8; 256] {
        let key = world.public_key();
        key.oaep_seal(&mut world.rng, op.oaep_label(), block).unwrap()
    }

    /// A signed packet to the server.
    pub fn packet(&self, world: &mut Sim<P>, op_code: u8, payload: &[u8]) -> Vec<u8> {
        self.packet_as(world, UserId::wire(self.id), NOBODY, op_code, payload)
    }

    pub fn packet_as(
        &self,
        world: &mut Sim<P>,
        sender: u16,
        recipient: u16,
        op_code: u8,
        payload: &[u8],
    ) -> Vec<u8> {
        let bytes = packets::unsigned(sender, recipient, world.now.unix, op_code, payload);
        packets::sign(bytes, &self.key, &mut world.rng)
    }

    /// A sealed packet to the server.
    pub fn sealed(&mut self, world: &mut Sim<P>, op: Op, content: &[u8]) -> Vec<u8> {
        let payload = self.seal_up(world, content);
        self.packet(world, op.code(), &payload)
    }

    pub fn seal_up(&mut self, world: &mut Sim<P>, content: &[u8]) -> Vec<u8> {
        let mut payload = [0; 2_048];
        let seal = self.seal.as_mut().unwrap();
        let len = seal
            .seal(&P::default(), &mut world.rng, &mut payload, |writer| writer.put(content))
            .unwrap();
        payload[..len].to_vec()
    }

    pub fn confirmation(&mut self, world: &mut Sim<P>, window: u8) -> Vec<u8> {
        self.window = window;
        self.given.clear();
        self.sealed(world, Op::Acknowledgment, &[0, window])
    }

    pub fn held(&mut self, world: &mut Sim<P>, ids: &[PacketId]) -> Vec<u8> {
        for id in ids {
            if let Some(at) = self.given.iter().position(|(given, _)| given == id) {
                self.given.remove(at);
            }
        }
        let content = written(|writer| ClientReport::emit_held(writer, ids).unwrap());
        self.sealed(world, Op::Acknowledgment, &content)
    }

    pub fn queries(&mut self, world: &mut Sim<P>, of: &[(UserId, PacketId)]) -> Vec<u8> {
        let of: Vec<_> = of.iter().map(|(recipient, letter)| query(*recipient, *letter)).collect();
        let content = written(|writer| ClientReport::emit_queries(writer, &of).unwrap());
        self.sealed(world, Op::Acknowledgment, &content)
    }

    pub fn question(&mut self, world: &mut Sim<P>, question: KeyQuestion) -> Vec<u8> {
        let content = written(|writer| question.emit(writer).unwrap());
        self.sealed(world, Op::KeyQuestion, &content)
    }

    /// A letter, remembered as sent.
    pub fn letter(&mut self, world: &mut Sim<P>, to: UserId, payload: &[u8]) -> Vec<u8> {
        self.letter_at(world, world.now.unix, to, payload)
    }

    pub fn letter_at(
        &mut self,
        world: &mut Sim<P>,
        at: UnixTime,
        to: UserId,
        payload: &[u8],
    ) -> Vec<u8> {
        let bytes = packets::unsigned(self.id().get(), to.get(), at, 102, payload);
        let letter = packets::sign(bytes, &self.key, &mut world.rng);
        self.sent.push(packets::id_of(&letter));
        letter
    }

    // Steps.

    /// Registers and confirms with the code that comes in band or to the phone.
    pub fn register(&mut self, world: &mut Sim<P>) {
        self.conn = world.connect();
        let request = self.request(world);
        world.send(self.conn, &request);
        let said = self.hear(world);
        let [Said::CodeIssued { code, .. }] = &said[..] else { panic!("{said:?}") };
        let code = code.clone().unwrap_or_else(|| self.code(world));
        let proof = self.proof(world, &code);
        world.send(self.conn, &proof);
        assert_eq!(self.hear(world), [Said::SessionOffered(Op::SessionIssued)]);
        self.confirm(world, 128);
        assert_eq!(self.hear(world), [Said::BacklogEnd(0)]);
    }

    /// The last code that was delivered to this phone.
    pub fn code(&self, world: &Sim<P>) -> Vec<u8> {
        let mine = world.codes.iter().rev().find(|(_, phone, _)| *phone == self.phone);
        mine.expect("a code was delivered").2.expose().to_vec()
    }

    /// Connects and sends a long 106, up to the 206.
    pub fn knock(&mut self, world: &mut Sim<P>) {
        self.conn = world.connect();
        let long = self.long(world);
        world.send(self.conn, &long);
        world.bring(self.conn);
        assert_eq!(self.hear(world), [Said::SessionOffered(Op::SessionRenewed)]);
    }

    pub fn confirm(&mut self, world: &mut Sim<P>, window: u8) {
        let confirmation = self.confirmation(world, window);
        world.send(self.conn, &confirmation);
    }

    /// Connects and confirms.
    pub fn come(&mut self, world: &mut Sim<P>, window: u8) {
        self.knock(world);
        self.confirm(world, window);
    }

    /// Connects to what is known to be an empty mailbox.
    pub fn come_to_nothing(&mut self, world: &mut Sim<P>) {
        self.come(world, 128);
        assert_eq!(self.hear(world), [Said::BacklogEnd(0)]);
    }

    pub fn send(&mut self, world: &mut Sim<P>, to: UserId, payload: &[u8]) -> Vec<u8> {
        let letter = self.letter(world, to, payload);
        world.send(self.conn, &letter);
        letter
    }

    pub fn acknowledge(&mut self, world: &mut Sim<P>, ids: &[PacketId]) {
        let held = self.held(world, ids);
        world.send(self.conn, &held);
    }

    pub fn ask(&mut self, world: &mut Sim<P>, question: KeyQuestion) {
        let question = self.question(world, question);
        world.send(self.conn, &question);
    }

    pub fn leave(&mut self, world: &mut Sim<P>) {
        let close = self.sealed(world, Op::Close, &[1]);
        world.send(self.conn, &close);
    }

    pub fn is_closed(&self, world: &Sim<P>) -> bool {
        world.is_closed(self.conn)
    }

    // Listening.

    /// Everything that has come since the last look.
    pub fn hear(&mut self, world: &mut Sim<P>) -> Vec<Said> {
        let packets = world.packets(self.conn);
        self.read(world, packets)
    }

    /// What these packets say that the server has sent to this person.
    pub fn read(&mut self, world: &mut Sim<P>, packets: Vec<Vec<u8>>) -> Vec<Said> {
        packets.into_iter().flat_map(|packet| self.understand(world, packet)).collect()
    }

    /// The one thing that has come.
    pub fn hear_one(&mut self, world: &mut Sim<P>) -> Said {
        let mut said = self.hear(world);
        assert_eq!(said.len(), 1, "{said:?}");
        said.remove(0)
    }

    /// The codes of the refusals that have come, and nothing else has.
    pub fn hear_refusals(&mut self, world: &mut Sim<P>) -> Vec<ErrorCode> {
        let said = self.hear(world);
        let codes: Vec<_> = said.iter().filter_map(Said::code).collect();
        assert_eq!(codes.len(), said.len(), "{said:?}");
        codes
    }

    /// The letters that have come, and nothing else has.
    pub fn hear_letters(&mut self, world: &mut Sim<P>) -> Vec<Vec<u8>> {
        let only_letters = |said| match said {
            Said::Letter(letter) => letter,
            other => panic!("{other:?}"),
        };
        self.hear(world).into_iter().map(only_letters).collect()
    }

    fn understand(&mut self, world: &mut Sim<P>, mut bytes: Vec<u8>) -> Vec<Said> {
        let header = *Packet::parse(&bytes[..]).unwrap().header();
        let op = Op::from_code(header.op_code).unwrap();
        if op == Op::Letter {
            assert_eq!(header.recipient, self.id, "another's letter");
            self.count_in(&bytes);
            return vec![Said::Letter(bytes)];
        }
        assert_eq!(header.sender, None);
        assert!(header.timestamp.to_unix() <= world.now.unix);
        let key = world.key_of(&bytes);
        let packet = Packet::parse(&mut bytes[..]).unwrap();
        let packet = Unverified::new(&P::default(), packet).verify(&key).expect("signed");
        if header.recipient.is_some() && op != Op::SessionIssued {
            assert_eq!(header.recipient, self.id, "another's packet");
        }
        match (op, header.recipient) {
            (Op::OtpIssued, None) => {
                let content = self.reply_key.open(&P::default(), packet).unwrap();
                let OtpGrant { ttl_s, attempts, otp, .. } = OtpGrant::parse(content).unwrap();
                let code = otp.map(|otp| otp.expose().to_vec());
                vec![Said::CodeIssued { attempts, ttl_s, code }]
            }
            (Op::RegistrationRejected, None) => {
                let content = self.reply_key.open(&P::default(), packet).unwrap();
                assert_eq!(RegistrationRejected::parse(content), Ok(RegistrationRejected));
                vec![Said::PhoneTaken]
            }
            (Op::SessionIssued | Op::SessionRenewed, Some(id)) => {
                self.id = Some(id);
                vec![self.session_offered(world, op, &packet)]
            }
            (Op::Acknowledgment, None) => self.shared_fates(packet),
            (Op::BacklogEnd, None) => {
                let key = self.seal.as_ref().unwrap().key();
                let provider = P::default();
                let tokens = key.open_tokens(&provider, packet).unwrap().iter();
                let mine = tokens.filter_map(|token| BacklogToken::parse(token, &self.nonce));
                let mine: Vec<_> = mine.map(|size| Said::BacklogEnd(size.0)).collect();
                assert_eq!(mine.len(), 1, "a shared 255 went to one whom it does not name");
                mine
            }
            (Op::Refusal, None) => vec![refusal(packet.payload())],
            (_, Some(_)) => {
                let seal = self.seal.as_mut().unwrap();
                let content = seal.open(&P::default(), packet).expect("in sequence");
                match op {
                    Op::Acknowledgment => Statuses::parse(content)
                        .unwrap()
                        .map(|(id, status)| Said::Fate(id, status))
                        .collect(),
                    Op::KeyAnswer if content.starts_with(&[0, 0]) => {
                        vec![Said::Successor(Box::new(Successor::parse(content).unwrap()))]
                    }
                    Op::KeyAnswer => vec![Said::Key(Box::new(KeyAnswer::parse(content).unwrap()))],
                    Op::BacklogEnd => {
                        vec![Said::BacklogEnd(BacklogSize::parse(content).unwrap().0)]
                    }
                    Op::Close => vec![Said::Closed(CloseReason::parse(content).unwrap())],
                    Op::Refusal => vec![refusal(content)],
                    _ => panic!("a sealed {op}"),
                }
            }
            _ => panic!("an open {op}"),
        }
    }

    /// As every client does: no honest server hands over more than the window.
    fn count_in(&mut self, letter: &[u8]) {
        self.given.push((packets::id_of(letter), letter.len()));
        let bytes: usize = self.given.iter().map(|(_, len)| len).sum();
        assert!(self.given.len() <= usize::from(self.window), "more letters than the window");
        assert!(bytes <= MAX_UNACKNOWLEDGED_BYTES, "more bytes than a window has");
    }

    fn session_offered(
        &mut self,
        world: &mut Sim<P>,
        op: Op,
        packet: &Verified<&mut [u8]>,
    ) -> Said {
        let mut block = [0; SessionGrant::LEN];
        let sealed = packet.payload().try_into().unwrap();
        let len = self.key.oaep_open(&mut world.rng, op.oaep_label(), sealed, &mut block).unwrap();
        let grant = SessionGrant::parse(&block[..len]).unwrap();
        assert_eq!(grant.nonce, self.nonce);
        self.seal = Some(SessionSeal::new(grant.session_key));
        Said::SessionOffered(op)
    }

    fn shared_fates(&self, packet: Verified<&mut [u8]>) -> Vec<Said> {
        let key = self.seal.as_ref().unwrap().key();
        let provider = P::default();
        let tokens = key.open_tokens(&provider, packet).unwrap().iter();
        let sent = |prefix: PacketIdPrefix| self.sent.iter().find(|id| id.prefix() == prefix);
        let mine: Vec<_> = tokens
            .filter_map(StatusToken::parse)
            .filter_map(|token| Some(Said::Fate(*sent(token.letter)?, token.status)))
            .collect();
        assert!(!mine.is_empty(), "a shared 203 went to one whom it does not name");
        mine
    }
}

fn refusal(body: &[u8]) -> Said {
    let Refusal { code, op, retry_after_s, packet, .. } = Refusal::parse(body).unwrap();
    Said::Refused(No { code: ErrorCode::from_code(code).unwrap(), op, retry_after_s, packet })
}

fn query(recipient: UserId, letter: PacketId) -> StatusQuery {
    StatusQuery { recipient, letter }
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; 2_048];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    writer.into_written().to_vec()
}
