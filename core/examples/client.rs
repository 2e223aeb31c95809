//! A client over any stream that speaks `embedded_io`; here, a TCP socket. Ben registers and leaves.
//! Ann registers, asks for Ben's key, sends him a letter and leaves. Ben comes back and reads it.
//! `cargo run -p waxwing-core --example client` runs all of it, with a server in the same process.
//!
//! It shows the machine alone: one connection after the other, and what is stored in variables. A
//! program for use stores where PORTING.md says so, or runs `waxwing_core::messenger`, which decides
//! what is sent again, whom to trust, and when to connect again.

#[path = "server.rs"]
#[allow(dead_code, reason = "it is an example of its own")]
pub(crate) mod server;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant as StdInstant};

use embedded_io::ErrorKind;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::client::{
    Addressee, Buffers, Client, Ended, Env, Event, Keys, LetterName, Options, drive,
};
use waxwing_core::crypto::{
    PrivateKey, Provider, ReplyKey, RustCrypto, RustCryptoKey, RustCryptoPublicKey, Spki,
};
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::phone::Phone;
use waxwing_core::testing::keys;
use waxwing_core::time::Instant;
use waxwing_core::wire::{CloseReason, KeyAnswer, KeyQuestion, Status};

use server::RunningServer;

pub(crate) fn main() {
    let server = RunningServer::start();
    let (mut ann, mut ben) = (Person::new(1, &server.key), Person::new(2, &server.key));
    let connect = || Socket::connect(server.address).unwrap();

    ben.connection(&mut connect(), None);
    ann.connection(&mut connect(), Some((&ben.phone, "hello, Ben")));
    ben.connection(&mut connect(), None);
    assert_eq!(ben.received, ["hello, Ben"]);
    println!("Ben has received: {}", ben.received[0]);
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

/// Somebody, and what their client has to store.
pub(crate) struct Person {
    /// Their phone, under which they register.
    pub(crate) phone: Phone,
    /// What they have been sent, in order.
    pub(crate) received: Vec<String>,
    key: RustCryptoKey,
    server_key: RustCryptoPublicKey,
    reply_key: ReplyKey,
    user: Option<UserId>,
    /// The keys that are trusted: for each id, the first that the server has given out.
    contacts: Vec<KeyAnswer>,
    rng: ChaCha20Rng,
    start: StdInstant,
}

impl Person {
    /// With one of the keys that everybody has. A client for use makes one, and seeds its generator
    /// from the system.
    pub(crate) fn new(number: usize, server: &Spki) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(number as u64);
        Self {
            phone: Phone::parse(format!("+1555000000{number}").as_bytes()).unwrap(),
            received: Vec::new(),
            key: RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(number)).unwrap(),
            server_key: RustCrypto.public_key(server).unwrap(),
            reply_key: ReplyKey::generate(&mut rng),
            user: None,
            contacts: Vec::new(),
            rng,
            start: StdInstant::now(),
        }
    }

    /// One connection from its beginning to its end: registers if need be, sends `letter`, if there is
    /// one, until the server has stored it, takes everything that waits, and leaves.
    pub(crate) fn connection(&mut self, stream: &mut impl Stream, letter: Option<(&Phone, &str)>) {
        let keys = Keys { provider: &RustCrypto, own: &self.key, server: &self.server_key };
        let me = Fingerprint::of(&RustCrypto, &self.phone, self.key.spki());
        let buffers = Buffers::<Vec<u8>> {
            letters: vec![0; 4_096],
            control: vec![0; MAX_CONTROL_PACKET],
            transmit: vec![0; 2 * MAX_CONTROL_PACKET],
        };
        let mut client =
            Client::<_, _, 1>::new(keys, buffers, Options { window: 1, ..Options::default() });
        let client = client.as_mut().unwrap();
        let env = &mut Env { now: server::now(self.start), rng: &mut self.rng };
        match self.user {
            Some(user) => client.reconnect(env, user, None).unwrap(),
            None => client.request_otp(env, &self.phone, &self.reply_key).unwrap(),
        }
        let mut sent: Option<PacketId> = None;
        let (mut has_backlog, mut is_stored, mut is_leaving) = (false, letter.is_none(), false);
        loop {
            let env = &mut Env { now: server::now(self.start), rng: &mut self.rng };
            let moved = drive(client, stream, env);
            loop {
                let event = match client.poll(env) {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(Ended::Closed(CloseReason::Leaving)) => return,
                    Err(ended) => panic!("the connection ended: {ended}"),
                };
                match event {
                    Event::OtpIssued(grant) => {
                        let code = grant.otp.expect("this server puts the code into its answer");
                        client.prove_otp(env, &self.phone, &self.reply_key, &code).unwrap();
                    }
                    Event::SessionIssued { user } => {
                        self.user = Some(user);
                        if let Some((to, _)) = letter {
                            client.ask_for_key(env, KeyQuestion::ByPhone(*to)).unwrap();
                        }
                    }
                    Event::Key(answer) => {
                        self.contacts.push(answer.clone());
                        if let Some((to, text)) = letter
                            && answer.phone == *to
                        {
                            let key = RustCrypto.public_key(&answer.spki).unwrap();
                            let fingerprint = &Fingerprint::of(&RustCrypto, to, &answer.spki);
                            let to = Addressee { user: answer.user, fingerprint, key: &key };
                            let uid = Uid::generate(env.rng);
                            let id = client.compose(env, &me, &to, &uid, &Content::Text(text));
                            sent = Some(id.unwrap());
                            client.release_composed();
                        }
                    }
                    // It waits in its buffer while the server is asked whose it is.
                    Event::Letter(_) => {}
                    Event::Status { letter, status: Status::Stored | Status::Delivered } => {
                        is_stored |= sent.is_some_and(|id| match letter {
                            LetterName::Whole(whole) => whole == id,
                            LetterName::Prefix(prefix) => prefix == id.prefix(),
                        });
                    }
                    Event::BacklogEnd(_) => has_backlog = true,
                    Event::Status { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            let waits = client.letter().and_then(|letter| letter.header().sender);
            if let Some(sender) = waits {
                match self.contacts.iter().find(|contact| contact.user == sender) {
                    Some(contact) => {
                        let key = RustCrypto.public_key(&contact.spki).unwrap();
                        let from = Fingerprint::of(&RustCrypto, &contact.phone, &contact.spki);
                        let letter = client.letter().unwrap().verify(&key).unwrap();
                        let opened =
                            envelope::open(&RustCrypto, env.rng, &from, &me, &self.key, letter);
                        if let Content::Text(text) = opened.unwrap().content {
                            self.received.push(text.to_owned());
                        }
                        // Only what is stored may be acknowledged: the server deletes it.
                        client.acknowledge_letter(env);
                    }
                    None if client.is_asking_for_key() => {}
                    None => client.ask_for_key(env, KeyQuestion::ById(sender)).unwrap(),
                }
            } else if has_backlog && is_stored && !is_leaving {
                client.leave(env).unwrap();
                is_leaving = true;
            }
            let moved = moved.expect("the server closes after both have said so");
            if moved.is_nothing() && client.transmit().is_empty() {
                let due = moved.wait_until.unwrap_or(Instant::from_micros(u64::MAX));
                stream.wait(due.since(server::now(self.start).instant));
            }
        }
    }
}

/// A TCP socket as a stream of `embedded_io`.
struct Socket(TcpStream);

impl Socket {
    fn connect(server: std::net::SocketAddr) -> io::Result<Self> {
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
