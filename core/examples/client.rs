//! A client over any stream that speaks `embedded_io`; here, a TCP socket. Ben registers and leaves.
//! Ann registers, asks for Ben's key, sends him a letter and leaves. Ben comes back and reads it.
//! `cargo run -p waxwing-core --example client` runs all of it, with a server in the same process.
//!
//! [`Connection`] is what the program does about the machine's events, and knows no stream. The loop
//! that moves the bytes is [`Person::connection`]; the example `async_client` has another one.
//! [`Failure::pause`] says, for each way in which a connection can fail, what comes next.
//!
//! It shows the machine alone, and what is stored lies in variables. A program for use stores where
//! PORTING.md says so, or runs `waxwing_core::messenger`, which does more: it sends many letters, tries
//! those again that were refused for now, notices keys that change, and sets letters of strangers aside.

#[path = "server.rs"]
#[allow(dead_code, reason = "it is an example of its own")]
pub(crate) mod server;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant as StdInstant};

use embedded_io::ErrorKind;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::client::{
    Addressee, Buffers, Client, Ended, Env, Event, Keys, LetterName, Novelty, Options,
    RefusalNotice, RequestError, SeenLetters, drive,
};
use waxwing_core::crypto::{
    PrivateKey, Provider, ReplyKey, RustCrypto, RustCryptoKey, RustCryptoPublicKey, Spki,
};
use waxwing_core::envelope::{self, Content, Fingerprint, OpenedLetter};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::messenger::Backoff;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::refusal::Reaction;
use waxwing_core::testing::keys;
use waxwing_core::time::Instant;
use waxwing_core::wire::{CloseReason, KeyAnswer, KeyQuestion, Status};

use server::RunningServer;

pub(crate) fn main() {
    let server = RunningServer::start();
    let (mut ann, mut ben) = (Person::new(1, &server.key), Person::new(2, &server.key));
    let connect = || Socket::connect(server.address);

    ben.converse(connect).unwrap();
    ann.write(&ben.identity.phone, "hello, Ben");
    ann.converse(connect).unwrap();
    ben.converse(connect).unwrap();
    assert_eq!(ben.stored.received, ["hello, Ben"]);
    println!("Ben has received: {}", ben.stored.received[0]);
    server.stop();
}

/// What this client needs of a stream: bytes both ways without waiting, and to wait.
pub(crate) trait Stream:
    embedded_io::Read<Error = ErrorKind>
    + embedded_io::ReadReady
    + embedded_io::Write
    + embedded_io::WriteReady
{
    /// Returns when there is something to read, or after `span`, whichever comes first.
    fn wait(&mut self, span: Duration);
}

/// Somebody with a client.
pub(crate) struct Person {
    pub(crate) identity: Identity,
    pub(crate) stored: Stored,
    pub(crate) rng: ChaCha20Rng,
    start: StdInstant,
}

/// Who somebody is, and which server they trust: made and stored before the first connection.
pub(crate) struct Identity {
    /// Their phone, under which they register.
    pub(crate) phone: Phone,
    key: RustCryptoKey,
    server_key: RustCryptoPublicKey,
    reply_key: ReplyKey,
}

/// What a client must not forget.
#[derive(Default)]
pub(crate) struct Stored {
    /// What they have been sent, in order.
    pub(crate) received: Vec<String>,
    /// The code that was proved, until the server's answer with the id has come. If that is lost, the
    /// code is proved again: asking for another one would be refused, as the phone has an account now.
    code: Option<Otp>,
    user: Option<UserId>,
    /// The keys that are trusted: for each phone, the first that the server has given out.
    contacts: Vec<KeyAnswer>,
    /// A letter, until the server has it. It is sent again under the same uid, so that its recipient
    /// reads it once, however often it comes.
    outbox: Option<Letter>,
    seen: SeenLetters<16, 4>,
}

struct Letter {
    to: Phone,
    uid: Uid,
    text: String,
}

/// The machine with one letter at a time.
pub(crate) type Machine<'k> = Client<'k, RustCrypto, Vec<u8>, 1>;

impl Identity {
    /// A machine for one connection, with memory.
    pub(crate) fn machine(&self) -> Machine<'_> {
        let keys = Keys { provider: &RustCrypto, own: &self.key, server: &self.server_key };
        let buffers = Buffers {
            letters: vec![0; 4_096],
            control: vec![0; MAX_CONTROL_PACKET],
            transmit: vec![0; 2 * MAX_CONTROL_PACKET],
        };
        // A stream need not tell when its other end is gone.
        let probe = Some(Duration::from_secs(60));
        Client::new(keys, buffers, Options { window: 1, probe, ..Options::default() })
            .expect("the buffers are large enough, and the window is as large as the machine's")
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&RustCrypto, &self.phone, self.key.spki())
    }
}

impl Person {
    /// With one of the keys that everybody has. A client for use makes one, and seeds its generator
    /// from the system.
    pub(crate) fn new(number: usize, server: &Spki) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(number as u64);
        let identity = Identity {
            phone: Phone::parse(format!("+1555000000{number}").as_bytes()).unwrap(),
            key: RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(number)).unwrap(),
            server_key: RustCrypto.public_key(server).unwrap(),
            reply_key: ReplyKey::generate(&mut rng),
        };
        Self { identity, stored: Stored::default(), rng, start: StdInstant::now() }
    }

    /// Puts a letter into the outbox, for the next connection.
    pub(crate) fn write(&mut self, to: &Phone, text: &str) {
        let uid = Uid::generate(&mut self.rng);
        self.stored.outbox = Some(Letter { to: *to, uid, text: text.to_owned() });
    }

    /// Registers if need be, sends what is in the outbox, takes everything that waits, and leaves; over
    /// as many connections as that needs.
    pub(crate) fn converse<S: Stream>(
        &mut self,
        connect: impl Fn() -> io::Result<S>,
    ) -> Result<(), Failure> {
        let mut backoff = Backoff::default();
        loop {
            let over = match connect() {
                Ok(mut stream) => self.connection(&mut stream),
                Err(_) => Err(Failure::Stream),
            };
            let Err(failure) = over else { return Ok(()) };
            let Some(pause) = failure.pause() else { return Err(failure) };
            eprintln!("the connection failed, and another one follows: {failure}");
            let now = server::now(self.start).instant;
            backoff.fail(now, &mut self.rng);
            thread::sleep(backoff.until().since(now).max(pause));
        }
    }

    /// One connection.
    fn connection(&mut self, stream: &mut impl Stream) -> Result<(), Failure> {
        let Self { identity, stored, rng, start } = self;
        let client = &mut identity.machine();
        let env = &mut Env { now: server::now(*start), rng };
        let mut connection = Connection::begin(identity, stored, client, env)?;
        loop {
            let env = &mut Env { now: server::now(*start), rng };
            let moved = drive(client, stream, env);
            if connection.turn(client, env, moved.is_ok())? {
                return Ok(());
            }
            if let Ok(moved) = moved
                && moved.is_nothing()
                && client.transmit().is_empty()
            {
                let due = client.poll_timeout().unwrap_or(Instant::from_micros(u64::MAX));
                stream.wait(due.since(server::now(*start).instant));
            }
        }
    }
}

/// Why a connection has failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the stream is over, or there was none to be had")]
    Stream,
    /// The other end, or somebody on the way.
    #[error("{0}")]
    Ended(Ended),
    #[error("the server refuses the letter for now ({0:?})")]
    LetterRefused(RefusalNotice),
    #[error("the server has answered a question about one key with another one")]
    WrongKey,
    #[error("the phone has an account already, under another key")]
    PhoneTaken,
    /// This program calls what it must not, its buffers are too small, or its key does not work.
    #[error("a request could not be made: {0}")]
    Request(RequestError),
}

impl Failure {
    /// How long to wait before another connection, at least; `None` when it would end like this one,
    /// and somebody has to be told.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let pause_s = match self {
            Self::Ended(Ended::Refused(refusal)) => {
                match refusal.code.map(|code| code.rule().reaction) {
                    // The person types the code again, or asks for another; or nothing helps.
                    Some(Reaction::AskForCode | Reaction::RequestCode | Reaction::GiveUp) => {
                        return None;
                    }
                    _ => refusal.retry_after_s,
                }
            }
            Self::LetterRefused(refusal) => refusal.retry_after_s,
            // Somebody else has this account's key, and the two would push each other out for ever.
            Self::Ended(Ended::Closed(CloseReason::TakenOver)) => return None,
            // See `Self::Request`.
            Self::Ended(Ended::Build(_)) => return None,
            // A server that stops, a line that is disturbed, somebody on the way: a new connection
            // begins afresh.
            Self::Stream | Self::Ended(_) => 0,
            Self::WrongKey | Self::PhoneTaken | Self::Request(_) => return None,
        };
        Some(Duration::from_secs(pause_s.into()))
    }
}

/// What the program does about one connection.
pub(crate) struct Connection<'c> {
    identity: &'c Identity,
    stored: &'c mut Stored,
    /// A code has come, and was not proved yet.
    has_code: bool,
    /// The letter of the outbox, since it has gone out.
    sent: Option<PacketId>,
    /// A letter that had no room, and was not acknowledged yet.
    too_large: Option<PacketId>,
    asked: Option<KeyQuestion>,
    /// A question that was answered, or refused.
    answered: Option<KeyQuestion>,
    has_backlog: bool,
    is_leaving: bool,
}

impl<'c> Connection<'c> {
    /// Asks for a session; without an account, for a code, or proves it again.
    pub(crate) fn begin(
        identity: &'c Identity,
        stored: &'c mut Stored,
        client: &mut Machine<'_>,
        env: &mut Env<'_>,
    ) -> Result<Self, Failure> {
        let Identity { phone, reply_key, .. } = identity;
        match (stored.user, &stored.code) {
            (Some(user), _) => client.reconnect(env, user, None),
            (None, Some(code)) => client.prove_otp(env, phone, reply_key, code),
            (None, None) => client.request_otp(env, phone, reply_key),
        }
        .map_err(Failure::Request)?;
        Ok(Self {
            identity,
            stored,
            has_code: false,
            sent: None,
            too_large: None,
            asked: None,
            answered: None,
            has_backlog: false,
            is_leaving: false,
        })
    }

    /// Takes in what was learnt and does what there is to do, after bytes were moved and the machine was
    /// told the time. Whether the connection is over, and has done all that it was for.
    pub(crate) fn turn(
        &mut self,
        client: &mut Machine<'_>,
        env: &mut Env<'_>,
        stream_goes_on: bool,
    ) -> Result<bool, Failure> {
        loop {
            match client.poll(env) {
                Ok(Some(event)) => self.hear(event)?,
                Ok(None) => break,
                // Its goodbye, as a rule. If another end comes first, nothing is lost either: what the
                // server has not been told in time comes again.
                Err(_) if self.is_leaving => return Ok(true),
                Err(ended) => return Err(Failure::Ended(ended)),
            }
        }
        if !stream_goes_on {
            return if self.is_leaving { Ok(true) } else { Err(Failure::Stream) };
        }
        match self.act(client, env) {
            // What there is no room for now, or what has to wait for an answer, the next turn does. And
            // why the connection has ended, the next turn hears.
            Ok(()) | Err(RequestError::Busy | RequestError::Ended) => Ok(false),
            Err(error) => Err(Failure::Request(error)),
        }
    }

    /// Notes what was learnt.
    fn hear(&mut self, event: Event<'_>) -> Result<(), Failure> {
        match event {
            // Without a code in it, one is on its way to the phone, and somebody has to type it.
            Event::OtpIssued(grant) => {
                self.has_code = grant.otp.is_some();
                self.stored.code = grant.otp;
            }
            Event::PhoneTaken => return Err(Failure::PhoneTaken),
            Event::SessionIssued { user } => {
                (self.stored.user, self.stored.code) = (Some(user), None);
            }
            Event::BacklogEnd(_) => self.has_backlog = true,
            Event::Key(answer) => {
                let known = self.stored.contacts.iter().any(|known| known.phone == answer.phone);
                // Another key than the one that is trusted is not taken for it.
                if !known && RustCrypto.public_key(&answer.spki).is_ok() {
                    self.stored.contacts.push(answer);
                }
                self.answered = self.asked.take();
            }
            Event::WrongKey(_) => return Err(Failure::WrongKey),
            Event::Status { letter, status: Status::Stored | Status::Delivered } => {
                let is_ours = self.sent.is_some_and(|id| match letter {
                    LetterName::Whole(whole) => whole == id,
                    LetterName::Prefix(prefix) => prefix == id.prefix(),
                });
                if is_ours {
                    (self.stored.outbox, self.sent) = (None, None);
                }
            }
            Event::Status { .. } => {}
            Event::Refused(refusal) if refusal.packet.is_some() && refusal.packet == self.sent => {
                match refusal.code.map(|code| code.rule().reaction) {
                    // The machine has set its clock by the refusal.
                    Some(Reaction::SignAgain) => self.sent = None,
                    Some(Reaction::RetryLater) => return Err(Failure::LetterRefused(refusal)),
                    _ => {
                        eprintln!("the letter cannot be delivered: {:?}", refusal.code);
                        (self.stored.outbox, self.sent) = (None, None);
                    }
                }
            }
            Event::Refused(_) => self.answered = self.asked.take(),
            // It lies in its buffer until it is acknowledged.
            Event::Letter(_) => {}
            // This client does not ask which key follows the server's.
            Event::Successor(_) => {}
            Event::TooLarge(letter) => self.too_large = Some(letter.id()),
        }
        Ok(())
    }

    /// Does what there is to do now.
    fn act(&mut self, client: &mut Machine<'_>, env: &mut Env<'_>) -> Result<(), RequestError> {
        if std::mem::take(&mut self.has_code)
            && let Some(code) = &self.stored.code
        {
            return client.prove_otp(env, &self.identity.phone, &self.identity.reply_key, code);
        }
        if !client.is_in_session() {
            return Ok(());
        }
        if let Some(letter) = self.too_large.take() {
            client.acknowledge(env, letter, 0);
        }
        self.read_letter(client, env)?;
        self.send_letter(client, env)?;
        if self.has_backlog && self.stored.outbox.is_none() && client.letter().is_none() {
            client.leave(env)?;
            self.is_leaving = true;
        }
        Ok(())
    }

    /// Reads the letter that has come. It waits in its buffer while the server is asked whose it is.
    fn read_letter(
        &mut self,
        client: &mut Machine<'_>,
        env: &mut Env<'_>,
    ) -> Result<(), RequestError> {
        let Some(letter) = client.letter() else { return Ok(()) };
        let (sender, sent) = (letter.header().sender, letter.header().timestamp);
        let contact = self.stored.contacts.iter().find(|contact| Some(contact.user) == sender);
        let question = sender.map(KeyQuestion::ById);
        if let (None, Some(question)) = (contact, question)
            && self.answered != Some(question)
        {
            return self.ask(client, env, question);
        }
        let opened = contact.and_then(|contact| {
            let key = RustCrypto.public_key(&contact.spki).ok()?;
            let from = Fingerprint::of(&RustCrypto, &contact.phone, &contact.spki);
            let (me, key, letter) =
                (self.identity.fingerprint(), &self.identity.key, letter.verify(&key).ok()?);
            envelope::open(&RustCrypto, env.rng, &from, &me, key, letter).ok()
        });
        match (contact, opened) {
            (Some(from), Some(OpenedLetter { uid, content: Content::Text(text) })) => {
                if self.stored.seen.admit(&from.phone, &uid, sent) == Novelty::New {
                    self.stored.received.push(text.to_owned());
                }
            }
            _ => eprintln!("a letter that cannot be read"),
        }
        // What is acknowledged the server deletes, so it has to be stored before. What cannot be read
        // is acknowledged too, or it would come for ever.
        client.acknowledge_letter(env);
        Ok(())
    }

    /// Sends the letter of the outbox, if it has not gone out on this connection.
    fn send_letter(
        &mut self,
        client: &mut Machine<'_>,
        env: &mut Env<'_>,
    ) -> Result<(), RequestError> {
        let Stored { contacts, outbox, .. } = &self.stored;
        let Some(letter) = outbox.as_ref().filter(|_| self.sent.is_none()) else { return Ok(()) };
        let question = KeyQuestion::ByPhone(letter.to);
        let contact = contacts.iter().find(|contact| contact.phone == letter.to);
        let key = contact.and_then(|contact| RustCrypto.public_key(&contact.spki).ok());
        let (Some(contact), Some(key)) = (contact, key) else {
            if self.answered != Some(question) {
                return self.ask(client, env, question);
            }
            eprintln!("the letter cannot be delivered: nobody has that phone");
            self.stored.outbox = None;
            return Ok(());
        };
        let (me, fingerprint) = (
            self.identity.fingerprint(),
            &Fingerprint::of(&RustCrypto, &contact.phone, &contact.spki),
        );
        let to = Addressee { user: contact.user, fingerprint, key: &key };
        let id = client.compose(env, &me, &to, &letter.uid, &Content::Text(&letter.text))?;
        self.sent = Some(id);
        client.release_composed();
        Ok(())
    }

    fn ask(
        &mut self,
        client: &mut Machine<'_>,
        env: &mut Env<'_>,
        question: KeyQuestion,
    ) -> Result<(), RequestError> {
        client.ask_for_key(env, question)?;
        self.asked = Some(question);
        Ok(())
    }
}

/// A TCP socket as a stream of `embedded_io`.
struct Socket(TcpStream);

impl Socket {
    fn connect(server: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }
}

/// `embedded_io` has kinds of errors of its own; the client only has to know that the stream is over.
pub(crate) fn failed(error: io::Error) -> ErrorKind {
    eprintln!("the stream failed: {error}");
    ErrorKind::Other
}

impl embedded_io::ErrorType for Socket {
    type Error = ErrorKind;
}

impl embedded_io::ReadReady for Socket {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        match self.0.peek(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            // An end of the stream is something to read, too.
            peeked => peeked.map(|_| true).map_err(failed),
        }
    }
}

impl embedded_io::Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buffer).map_err(failed)
    }
}

impl embedded_io::WriteReady for Socket {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        // The socket's own buffer has room for all that this client says.
        Ok(true)
    }
}

impl embedded_io::Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().map_err(failed)
    }
}

impl Stream for Socket {
    fn wait(&mut self, span: Duration) {
        self.0.set_nonblocking(false).unwrap();
        self.0
            .set_read_timeout(Some(span.clamp(Duration::from_millis(1), Duration::from_secs(60))))
            .unwrap();
        // Whatever it says, `drive` looks again.
        let _ = self.0.peek(&mut [0]);
        self.0.set_nonblocking(true).unwrap();
    }
}
