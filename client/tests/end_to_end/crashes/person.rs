//! Somebody whom nothing but their journal survives: not their connection, not the server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use waxwing::backend::{Backend, BackendKey, BackendPublicKey, generate_key, provider, rng};
use waxwing_core::client::{Addressee, Buffers, Client, Env, Event, Keys, LetterName, Options};
use waxwing_core::crypto::{PrivateKey, Provider, ReplyKey};
use waxwing_core::envelope::{self, Content, Fingerprint, OpenedLetter};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::phone::Phone;
use waxwing_core::time::{Instant, Now};
use waxwing_core::wire::{ErrorCode, Status};

/// Before a letter goes again that was refused.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Identity {
    phone: Phone,
    key: BackendKey,
    public: BackendPublicKey,
    fingerprint: Fingerprint,
    reply_key: ReplyKey,
}

impl Identity {
    pub(crate) fn new(number: usize) -> &'static Self {
        let phone = Phone::parse(format!("+4915100{number:05}").as_bytes()).unwrap();
        let key = generate_key().unwrap();
        Box::leak(Box::new(Self {
            phone,
            public: provider().public_key(key.spki()).unwrap(),
            fingerprint: Fingerprint::of(&provider(), &phone, key.spki()),
            key,
            reply_key: ReplyKey::generate(&mut rng()),
        }))
    }
}

/// What survives on somebody's device.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) user: Option<UserId>,
    /// Letters without an answer, and to whom: they are sent again with every connection.
    pub(crate) open: BTreeMap<Uid, usize>,
    /// Letters that the server has said to have, and to whom.
    pub(crate) acknowledged: BTreeMap<Uid, usize>,
    /// Letters that the server says somebody holds, until that is held against what they hold.
    pub(crate) delivered: Vec<(Uid, usize)>,
    /// What each packet that was ever sent carries; a letter goes in a new one with each line.
    pub(crate) packets: BTreeMap<PacketId, Uid>,
    pub(crate) received: BTreeSet<Uid>,
    /// Letters that came once more, and are not shown again.
    pub(crate) repeated: usize,
}

/// A connection, until it breaks.
pub(crate) struct Line {
    client: Client<'static, Backend, Vec<u8>>,
    stream: TcpStream,
    is_ready: bool,
    sent: BTreeSet<Uid>,
    /// Letters that the server had no room for, and when they go again.
    refused: VecDeque<(Instant, Uid)>,
}

pub(crate) struct Person {
    pub(crate) identity: &'static Identity,
    pub(crate) journal: Journal,
    pub(crate) line: Option<Line>,
}

/// Everybody, and under which id they are known to the server.
pub(crate) type Directory = [(&'static Identity, Option<UserId>)];

impl Person {
    pub(crate) fn new(number: usize) -> Self {
        Self { identity: Identity::new(number), journal: Journal::default(), line: None }
    }

    /// Connects, and begins to register or to reconnect.
    pub(crate) fn connect(&mut self, now: Now, server: SocketAddr, key: &'static BackendPublicKey) {
        const PROVIDER: &Backend = &provider();
        let Ok(stream) = TcpStream::connect(server) else { return };
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let (letters, control) = (vec![0; 2_048], vec![0; MAX_CONTROL_PACKET]);
        let buffers = Buffers { letters, control, transmit: vec![0; 64 * 1_024] };
        let keys = Keys { provider: PROVIDER, own: &self.identity.key, server: key };
        let mut client = Client::new(keys, buffers, Options::default()).unwrap();
        let (rng, me) = (&mut rng(), self.identity);
        let env = &mut Env { now, rng };
        match self.journal.user {
            Some(user) => client.reconnect(env, user, None).unwrap(),
            None => client.request_otp(env, &me.phone, &me.reply_key).unwrap(),
        }
        self.line = Some(Line {
            client,
            stream,
            is_ready: false,
            sent: BTreeSet::new(),
            refused: VecDeque::new(),
        });
    }

    /// Moves bytes and acts on what they say. The line is gone when the server is.
    pub(crate) fn turn(&mut self, now: Now, people: &Directory) {
        let Some(line) = &mut self.line else { return };
        if !line.carry() {
            self.line = None;
            return;
        }
        let (rng, me, journal) = (&mut rng(), self.identity, &mut self.journal);
        let env = &mut Env { now, rng };
        line.client.timeout(env);
        loop {
            match line.client.poll(env) {
                Err(_) => {
                    self.line = None;
                    return;
                }
                Ok(None) => break,
                Ok(Some(Event::OtpIssued(grant))) => {
                    let code = grant.otp.unwrap();
                    line.client.prove_otp(env, &me.phone, &me.reply_key, &code).unwrap();
                }
                Ok(Some(Event::SessionIssued { user })) => journal.user = Some(user),
                Ok(Some(Event::BacklogEnd(_))) => line.is_ready = true,
                Ok(Some(Event::Letter(letter))) => {
                    let sender = letter.header().sender;
                    let from = people.iter().find(|(_, user)| *user == sender).unwrap().0;
                    let verified = letter.verify(&from.public).unwrap();
                    let (theirs, mine) = (&from.fingerprint, &me.fingerprint);
                    let OpenedLetter { uid, .. } =
                        envelope::open(&provider(), env.rng, theirs, mine, &me.key, verified)
                            .unwrap();
                    journal.repeated += usize::from(!journal.received.insert(uid));
                    line.client.acknowledge_letter(env);
                }
                Ok(Some(Event::Status { letter, status })) => {
                    // Noise of a shared packet can look like a status of nobody's letter.
                    let named = journal.packets.iter().find(|(id, _)| match letter {
                        LetterName::Whole(name) => **id == name,
                        LetterName::Prefix(name) => id.prefix() == name,
                    });
                    if let Some((_, uid)) = named
                        && matches!(status, Status::Stored | Status::Delivered)
                    {
                        if let Some(to) = journal.open.remove(uid) {
                            journal.acknowledged.insert(*uid, to);
                        }
                        if status == Status::Delivered {
                            journal.delivered.push((*uid, journal.acknowledged[uid]));
                        }
                    }
                }
                // Storage did not take it now. It goes again, in another packet.
                Ok(Some(Event::Refused(refusal)))
                    if refusal.code == Some(ErrorCode::StorageUnavailable) =>
                {
                    let uid = refusal.packet.and_then(|packet| journal.packets.get(&packet));
                    let uid = *uid.expect("a letter is named");
                    line.refused.push_back((now.instant.after(PAUSE), uid));
                }
                Ok(Some(other)) => panic!("{other:?}"),
            }
        }
        while let Some((_, uid)) = line.refused.pop_front_if(|(at, _)| *at <= now.instant) {
            line.sent.remove(&uid);
        }
        if line.is_ready {
            line.client.flush_acknowledgments(env);
            line.send_open(env, me, journal, people);
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.is_ready)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.is_ready() && self.journal.open.is_empty()
    }
}

impl Line {
    /// Whether there still is a server.
    fn carry(&mut self) -> bool {
        loop {
            match self.stream.write(self.client.transmit()) {
                Ok(0) => break,
                Ok(count) => self.client.transmitted(count),
                // What a dead server has said can still be read.
                Err(_) => break,
            }
        }
        // One read a turn: what it brings is acted on before more is taken.
        let room = self.client.receive_buffer();
        if room.is_empty() {
            return true;
        }
        match self.stream.read(room) {
            Ok(0) => false,
            Ok(count) => {
                self.client.received(count);
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    /// Signs what has not been sent on this line.
    fn send_open(
        &mut self,
        env: &mut Env<'_>,
        me: &Identity,
        journal: &mut Journal,
        people: &Directory,
    ) {
        for (uid, to) in &journal.open {
            let (to, user) = people[*to];
            if self.sent.contains(uid) {
                continue;
            }
            let to =
                Addressee { user: user.unwrap(), fingerprint: &to.fingerprint, key: &to.public };
            let text = Content::Text("whatever happens");
            let Ok(id) = self.client.compose(env, &me.fingerprint, &to, uid, &text) else { return };
            self.client.release_composed();
            self.sent.insert(*uid);
            journal.packets.insert(id, *uid);
        }
    }
}
