//! The whole client machine.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::client::{Addressee, Buffers, Client, Env, Event, Keys, LetterName, Options};
use waxwing_core::crypto::{Provider, ReplyKey, SessionKey, Unverified};
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::{ENVELOPE_OVERHEAD, MAX_CONTROL_PACKET, MAX_PACKET};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::{Instant, Now, UnixTime};
use waxwing_core::wire::{KeyQuestion, StatusQuery};
use waxwing_testkit::backend::{Backend, Glass, GlassKey};
use waxwing_testkit::packets::take_whole;
use waxwing_testkit::world::SERVER_KEY;

use crate::Reached;
use crate::script::{Other, Step, Steps};

type Machine<'a> = Client<'a, Glass, Vec<u8>, 4>;

/// The moment at which every run begins.
pub const NOW: UnixTime = UnixTime::from_seconds(1_795_350_896);

/// What a connection begins with: the low bits of a script's first byte.
pub mod begin {
    /// 100: a code is asked for.
    pub const CODE: u8 = 0;
    /// 101: a code is proven.
    pub const PROOF: u8 = 1;
    /// 106 under the key of the last session.
    pub const SHORT: u8 = 2;
    /// 106 without one.
    pub const LONG: u8 = 3;
    /// With one of these, a letter of any size has room.
    pub const ROOMY: u8 = 8;
    /// With one of these, letters go on without an acknowledgment.
    pub const WINDOW: u8 = 0x30;
}

/// A person whom the client writes to, or is.
pub struct Human {
    pub user: UserId,
    pub phone: Phone,
    pub key: GlassKey,
}

impl Human {
    /// Whose client it is.
    #[must_use]
    pub fn own() -> Self {
        Self::new(1, b"+4915112345678")
    }

    /// The one who writes to them.
    #[must_use]
    pub fn peer() -> Self {
        Self::new(2, b"+15550002222")
    }

    fn new(id: u16, phone: &[u8]) -> Self {
        let (user, phone) = (UserId::new(id).unwrap(), Phone::parse(phone).unwrap());
        Self { user, phone, key: Glass::key(usize::from(id)) }
    }

    /// Who they are.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&Glass, &self.phone, &self.key.0)
    }
}

/// What the user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    AskForKey,
    AskForStatuses,
    Leave,
    FlushAcknowledgments,
    /// The letter in the letter buffer is acknowledged where it lies.
    Acknowledge,
    /// A letter is sealed, and goes out.
    Compose,
    /// The letter that was composed last goes out once more.
    Resend,
    /// The letter in the letter buffer is copied, and acknowledged when the buffer is free.
    Release,
}

impl Other for Request {
    const ALL: [Self; 8] = [
        Self::AskForKey,
        Self::AskForStatuses,
        Self::Leave,
        Self::FlushAcknowledgments,
        Self::Acknowledge,
        Self::Compose,
        Self::Resend,
        Self::Release,
    ];
}

/// Whatever a server says: no panic, an end that stays, no bytes after it, only whole packets; what
/// opens holds what its kind says. The first byte says how the connection begins (`begin`).
pub fn client_bytes(data: &[u8]) -> Reached {
    talk(data).0
}

/// What an input reaches, and the packets that the client has said meanwhile: the answers of a seed
/// depend on them.
#[must_use]
pub fn talk(data: &[u8]) -> (Reached, Vec<Vec<u8>>) {
    let Some((how, script)) = data.split_first() else { return Default::default() };
    let (own, peer, server) = (Human::own(), Human::peer(), Glass::key(SERVER_KEY));
    let server = Glass.public_key(&server.0).unwrap();
    let keys = Keys { provider: &Glass, own: &own.key, server: &server };
    let is_roomy = how & begin::ROOMY != 0;
    let (letters, transmit) = if is_roomy { (MAX_PACKET, 2 * MAX_PACKET) } else { (400, 4_096) };
    let buffers = Buffers {
        letters: vec![0; letters],
        control: vec![0; MAX_CONTROL_PACKET],
        transmit: vec![0; transmit],
    };
    let window = 1 + ((how & begin::WINDOW) >> begin::WINDOW.trailing_zeros());
    let mut run = Run {
        client: Machine::new(keys, buffers, Options { window, ..Options::default() }).unwrap(),
        own: &own,
        peer: &peer,
        rng: ChaCha20Rng::from_seed([3; 32]),
        now: Now { instant: Instant::from_millis(0), unix: NOW },
        composed: None,
        is_over: false,
        reached: Reached::new(),
        said: Vec::new(),
    };
    run.begin(how & 7);
    run.check();
    for step in Steps::new(script) {
        match step {
            Step::Bytes(_, bytes) => run.hear(bytes),
            Step::Wait(seconds) => run.wait(seconds),
            Step::Other(request) => run.ask(request),
        }
        run.check();
    }
    let packets = take_whole(&mut run.said);
    assert!(run.said.is_empty(), "a client says whole packets");
    (run.reached, packets)
}

struct Run<'a> {
    client: Machine<'a>,
    own: &'a Human,
    peer: &'a Human,
    rng: ChaCha20Rng,
    now: Now,
    /// The letter that was composed last.
    composed: Option<(PacketId, Vec<u8>)>,
    is_over: bool,
    reached: Reached,
    said: Vec<u8>,
}

impl Run<'_> {
    fn begin(&mut self, how: u8) {
        let (phone, key) = (self.own.phone, ReplyKey::from_bytes(&[5; 32]));
        let env = &mut Env { now: self.now, rng: &mut self.rng };
        let last = SessionKey::from_bytes(&[6; 32]);
        let begun = match how {
            begin::CODE => self.client.request_otp(env, &phone, &key),
            begin::PROOF => {
                self.client.prove_otp(env, &phone, &key, &Otp::parse(b"123456").unwrap())
            }
            begin::SHORT => self.client.reconnect(env, self.own.user, Some(&last)),
            _ => self.client.reconnect(env, self.own.user, None),
        };
        begun.expect("nothing was asked before");
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.client.receive_buffer();
            if room.is_empty() {
                return;
            }
            let (now, later) = bytes.split_at(room.len().min(bytes.len()));
            room[..now.len()].copy_from_slice(now);
            self.client.received(now.len());
            bytes = later;
            self.drain();
        }
    }

    fn drain(&mut self) {
        let Self { client, own, peer, rng, now, reached, composed, .. } = self;
        let env = &mut Env { now: *now, rng };
        while let Ok(Some(event)) = client.poll(env) {
            reached.insert(match event {
                Event::OtpIssued(_) => "a code is issued",
                Event::PhoneTaken => "the phone is taken",
                Event::SessionIssued { .. } => "a session is issued",
                Event::Letter(letter) => open(env, own, peer, letter),
                Event::TooLarge(letter) => {
                    client.acknowledge(env, letter.id(), letter.header.packet_len());
                    "a letter is too large"
                }
                Event::Status { letter, .. } => {
                    let is_own = |(id, _): &(PacketId, Vec<u8>)| id.prefix() == letter.prefix();
                    match letter {
                        _ if !composed.as_ref().is_some_and(is_own) => "another's status comes",
                        LetterName::Whole(_) => "a sealed status comes",
                        LetterName::Prefix(_) => "a shared status comes",
                    }
                }
                Event::Key(_) => "a key comes",
                Event::Successor(_) => "a key that follows the server's comes",
                Event::WrongKey(_) => "another key comes than was asked for",
                Event::BacklogEnd(_) => "the backlog ends",
                Event::Refused(_) => "a request is refused",
            });
        }
    }

    fn ask(&mut self, request: Request) {
        let Self { client, own, peer, rng, now, composed, reached, .. } = self;
        let env = &mut Env { now: *now, rng };
        match request {
            Request::AskForKey => {
                let _ = client.ask_for_key(env, KeyQuestion::ById(peer.user));
            }
            Request::AskForStatuses => {
                let letter = composed.as_ref().map_or(PacketId([9; 16]), |(id, _)| *id);
                let query = StatusQuery { recipient: peer.user, letter };
                let _ = client.ask_for_statuses(env, &[query]);
            }
            Request::Leave => {
                let _ = client.leave(env);
            }
            Request::FlushAcknowledgments => client.flush_acknowledgments(env),
            Request::Acknowledge => client.acknowledge_letter(env),
            Request::Compose => {
                let fingerprint = peer.fingerprint();
                let (user, key) = (peer.user, &peer.key);
                let to = Addressee { user, fingerprint: &fingerprint, key };
                let text = Content::Text("Hello");
                let id = client.compose(env, &own.fingerprint(), &to, &Uid([1; 16]), &text);
                if let Ok(id) = id {
                    *composed = Some((id, client.composed().to_vec()));
                    client.release_composed();
                    reached.insert("a letter goes out");
                }
            }
            Request::Resend => {
                if let Some((id, packet)) = composed {
                    let _ = client.resend(env, *id, packet);
                }
            }
            Request::Release => {
                let Some(letter) = client.letter() else { return };
                let (id, len) = (letter.id(), letter.packet().as_bytes().len());
                client.release_letter();
                client.acknowledge(env, id, len);
            }
        }
        self.drain();
    }

    fn wait(&mut self, seconds: u8) {
        let span = Duration::from_secs(seconds.into());
        self.now.instant = self.now.instant.after(span);
        self.now.unix = self.now.unix.shifted(seconds.into());
        self.client.timeout(&mut Env { now: self.now, rng: &mut self.rng });
        self.drain();
    }

    fn check(&mut self) {
        let transmit = self.client.transmit();
        assert!(!self.is_over || transmit.is_empty(), "bytes after the end");
        self.said.extend_from_slice(transmit);
        let len = transmit.len();
        self.client.transmitted(len);
        if let Some(ended) = self.client.ended() {
            self.is_over = true;
            self.reached.insert("the connection is over");
            let env = &mut Env { now: self.now, rng: &mut self.rng };
            assert_eq!(self.client.poll(env).err(), Some(ended));
            assert!(self.client.receive_buffer().is_empty());
            assert!(!self.client.is_in_session());
        }
    }
}

/// Opens a letter where it lies, as one of the peer's.
fn open(
    env: &mut Env<'_>,
    own: &Human,
    peer: &Human,
    letter: Unverified<&mut [u8]>,
) -> &'static str {
    let len = letter.header().payload_size;
    let letter = letter.verify(&peer.key).expect("glass refuses nothing");
    let (from, to) = (peer.fingerprint(), own.fingerprint());
    match envelope::open(&Glass, env.rng, &from, &to, &own.key, letter) {
        Err(_) => "a letter does not open",
        Ok(opened) => match opened.content {
            Content::Text(text) => {
                assert!(text.len() + ENVELOPE_OVERHEAD <= usize::from(len));
                "a text opens"
            }
            Content::ReadReceipt(_) => "a receipt opens",
            Content::Unknown { .. } => "a letter of an unknown kind opens",
        },
    }
}
