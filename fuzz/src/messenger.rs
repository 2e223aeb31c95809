//! A whole client, with the messenger and what it keeps, towards a server that says anything.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::client::{Env, Keys};
use waxwing_core::crypto::{PrivateKey, Provider, ReplyKey};
use waxwing_core::id::Uid;
use waxwing_core::messenger::Contact;
use waxwing_core::time::{Instant, Now};
use waxwing_testkit::backend::{Backend, Glass};
use waxwing_testkit::packets::take_whole;
use waxwing_testkit::participant::{Participant, Step as Moved};
use waxwing_testkit::profile::{Says, State};
use waxwing_testkit::world::SERVER_KEY;

use crate::Reached;
use crate::client::{Human, NOW};
use crate::script::{Other, Step, Steps};

/// Moves of bytes after which everything that came in one step has to be dealt with.
const MOVES: usize = 10_000;

/// What somebody begins with: the bits of a script's first byte.
pub mod begin {
    /// They have no account, and ask for a code.
    pub const STRANGER: u8 = 1;
    /// They know the one who writes to them.
    pub const ACQUAINTED: u8 = 2;
    /// They have no memory for letters aside.
    pub const DEVICE: u8 = 4;
}

/// What happens at the person's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A new connection, as soon as the messenger wants one.
    Connect,
    /// The stream is over.
    EndStream,
    /// The process dies.
    Die,
    Leave,
    /// Somebody writes a letter.
    Write,
    /// Somebody accepts a changed key.
    AcceptKey,
    /// The next change of what is stored fails.
    FillDisk,
    /// Everything from and to the other one is deleted.
    Delete,
}

impl Other for Deed {
    const ALL: [Self; 8] = [
        Self::Connect,
        Self::EndStream,
        Self::Die,
        Self::Leave,
        Self::Write,
        Self::AcceptKey,
        Self::FillDisk,
        Self::Delete,
    ];
}

/// Whatever a server says: no panic, no turn without end, no transaction that stays open, and nothing
/// is shown twice. The first byte says with what it begins (`begin`).
pub fn messenger_bytes(data: &[u8]) -> Reached {
    talk(data).0
}

/// What an input reaches, and the packets that the client has said meanwhile.
#[must_use]
pub fn talk(data: &[u8]) -> (Reached, Vec<Vec<u8>>) {
    let Some((how, script)) = data.split_first() else { return Default::default() };
    let (own, peer, server) = (Human::own(), Human::peer(), Glass::key(SERVER_KEY));
    let server_key = Glass.public_key(&server.0).unwrap();
    let keys = Keys { provider: &Glass, own: &own.key, server: &server_key };
    let user = (how & begin::STRANGER == 0).then_some(own.user);
    let mut person = Participant::new(keys, server.spki(), own.phone, user);
    if how & begin::DEVICE != 0 {
        person.become_a_device();
    }
    if how & begin::ACQUAINTED != 0 {
        let spki = peer.key.spki().clone();
        let (phone, user) = (peer.phone, Some(peer.user));
        let contact = Contact { phone, user, spki, asked_at: None, changed: None };
        person.profile.stored.contacts.push(contact);
    }
    let mut run = Run {
        person,
        peer: &peer,
        rng: ChaCha20Rng::from_seed([3; 32]),
        now: Now { instant: Instant::from_millis(0), unix: NOW },
        letters: 0,
        reached: Reached::new(),
        said: Vec::new(),
    };
    run.act(Deed::Connect);
    run.go_on();
    for step in Steps::new(script) {
        match step {
            Step::Bytes(_, bytes) => run.person.receive(bytes),
            Step::Wait(seconds) => run.wait(seconds),
            Step::Other(deed) => run.act(deed),
        }
        run.go_on();
    }
    let packets = take_whole(&mut run.said);
    assert!(run.said.is_empty(), "a client says whole packets");
    (run.reached, packets)
}

struct Run<'a> {
    person: Participant<'a, Glass>,
    peer: &'a Human,
    rng: ChaCha20Rng,
    now: Now,
    /// Letters that were written.
    letters: u8,
    reached: Reached,
    said: Vec<u8>,
}

impl Run<'_> {
    fn act(&mut self, deed: Deed) {
        let Self { person, peer, rng, now, letters, .. } = self;
        let env = &mut Env { now: *now, rng };
        match deed {
            Deed::Connect => {
                let may = person.messenger.may_connect_at() <= now.instant;
                if may && !person.is_connected() {
                    person.connect(env);
                    self.ask_for_code();
                }
            }
            Deed::EndStream => person.end_stream(),
            Deed::Die => person.restart(),
            Deed::Leave => {
                if let Some(client) = person.client() {
                    let _ = client.leave(env);
                }
            }
            Deed::Write => {
                if let Some(stored) = person.profile.from_another_process() {
                    *letters = letters.saturating_add(1);
                    stored.write(Uid([*letters; 16]), peer.phone, "Hello");
                }
            }
            Deed::AcceptKey => {
                if let Some(stored) = person.profile.from_another_process() {
                    stored.accept_key(&peer.phone);
                }
            }
            Deed::FillDisk => person.profile.fails_after = Some(0),
            Deed::Delete => {
                if let Some(stored) = person.profile.from_another_process() {
                    stored.delete_with(&peer.phone);
                }
            }
        }
    }

    /// Somebody without an account asks for a code.
    fn ask_for_code(&mut self) {
        let env = &mut Env { now: self.now, rng: &mut self.rng };
        let (phone, is_stranger) = (self.person.phone, self.person.messenger.account().user);
        if is_stranger.is_none()
            && let Some(client) = self.person.client()
        {
            let _ = client.request_otp(env, &phone, &ReplyKey::from_bytes(&[5; 32]));
        }
    }

    /// The code that has come in band is proven.
    fn prove_code(&mut self) {
        let env = &mut Env { now: self.now, rng: &mut self.rng };
        let phone = self.person.phone;
        if let Some(code) = self.person.profile.code.take()
            && let Some(client) = self.person.client()
        {
            let _ = client.prove_otp(env, &phone, &ReplyKey::from_bytes(&[5; 32]), &code);
        }
    }

    fn wait(&mut self, seconds: u8) {
        let span = Duration::from_secs(seconds.into());
        self.now.instant = self.now.instant.after(span);
        self.now.unix = self.now.unix.shifted(seconds.into());
    }

    /// Everything that has come is dealt with.
    fn go_on(&mut self) {
        for moves in 0.. {
            assert!(moves < MOVES, "there is always more to do");
            let step = self.person.step(&mut Env { now: self.now, rng: &mut self.rng });
            self.said.extend(self.person.transmit());
            match step {
                Moved::Busy => self.prove_code(),
                Moved::Idle => break,
                Moved::Ended(_) => {
                    self.reached.insert("the connection is over");
                    break;
                }
            }
        }
        self.look();
    }

    /// What is stored makes sense.
    fn look(&mut self) {
        let Self { person, reached, .. } = self;
        let stored = person.profile.committed();
        let names = stored.letters.iter().filter_map(|one| Some((one.from, one.says.uid()?)));
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert!(names.is_sorted_by(|one, next| one < next), "a letter is shown twice");
        if stored.user.is_some() && stored.session_key.is_some() {
            reached.insert("a session is proven");
        }
        for letter in &stored.letters {
            reached.insert(match letter.says {
                Says::Text(..) => "a text is stored",
                Says::Other(_) => "a letter of another kind is stored",
                Says::Deleted(_) => "a letter is deleted",
                Says::Unreadable(_) => "a letter is unreadable",
                Says::Held { .. } => "a letter is held back",
            });
        }
        for letter in &stored.outbox {
            reached.insert(match letter.state {
                State::Waiting => "a letter waits",
                State::Sent => "a letter goes out",
                State::Answered => "a letter is answered",
                State::Refused(_) => "a letter is refused",
                State::GivenUp => "a letter is given up",
            });
        }
        for contact in &stored.contacts {
            reached.insert(if contact.changed.is_some() {
                "a contact has another key"
            } else {
                "a contact is known"
            });
        }
    }
}
