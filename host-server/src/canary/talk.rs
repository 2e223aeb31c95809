//! One connection of one account: the client machine, and what was heard. Without I/O.

use waxwing_core::client::{
    Addressee, Buffers, Client, Env, Event, Keys, LetterName, Options, RequestError,
};
use waxwing_core::crypto::{Provider, SessionKey, Unverified};
use waxwing_core::envelope::{self, Content};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::{MAX_CONTROL_PACKET, OVERHEAD};
use waxwing_core::wire::Status;

use super::accounts::Account;
use super::trouble::Trouble;
use crate::backend::Backend;

/// What the letters say.
const TEXT: &str = "canary";
/// Letters of earlier rounds come one after the other.
const WINDOW: usize = 16;
/// Bytes of a packet with such a letter, at most.
const LETTER: usize = OVERHEAD + 1_024;

type PublicKey = <Backend as Provider>::PublicKey;
type Machine<'k> = Client<'k, Backend, Vec<u8>, WINDOW>;

/// Who talks with whom.
#[derive(Clone, Copy)]
pub(super) struct Parties<'k> {
    pub(super) provider: &'k Backend,
    pub(super) server_key: &'k PublicKey,
    pub(super) own: &'k Account,
    pub(super) other: &'k Account,
    /// The key of the other one.
    pub(super) other_key: &'k PublicKey,
}

impl Parties<'_> {
    /// The name of a letter of the other one, if it can be read.
    fn uid(&self, letter: Unverified<&mut [u8]>, env: &mut Env<'_>) -> Option<Uid> {
        let Self { provider, own, other, other_key, .. } = *self;
        let letter = letter.verify(other_key).ok()?;
        let (from, to) = (&other.fingerprint, &own.fingerprint);
        let opened = envelope::open(provider, env.rng, from, to, &own.key, letter).ok()?;
        (opened.content == Content::Text(TEXT)).then_some(opened.uid)
    }
}

/// A connection.
pub(super) struct Talk<'k> {
    parties: Parties<'k>,
    machine: Machine<'k>,
    /// All that lay in the mailbox has come, so the server has taken the session.
    has_begun: bool,
    /// The letter that has gone out, and what is known of it.
    sent: Option<PacketId>,
    status: Option<Status>,
    /// The letter that is waited for.
    expected: Option<Uid>,
    /// It lies in the buffer of the machine.
    has_come: bool,
}

impl<'k> Talk<'k> {
    /// Asks for a session: in the short form if there is a key of an earlier one.
    pub(super) fn begin(
        parties: Parties<'k>,
        user: UserId,
        last: Option<&SessionKey>,
        env: &mut Env<'_>,
    ) -> Result<Self, Trouble> {
        let Parties { provider, own, server_key, .. } = parties;
        let keys = Keys { provider, own: &own.key, server: server_key };
        let buffers = Buffers {
            letters: vec![0; LETTER],
            control: vec![0; MAX_CONTROL_PACKET],
            transmit: vec![0; LETTER + MAX_CONTROL_PACKET],
        };
        let options = Options { window: WINDOW as u8, ..Options::default() };
        let machine = Machine::new(keys, buffers, options);
        let mut machine = machine.map_err(|_| Trouble::NotMade(RequestError::BufferTooSmall))?;
        machine.reconnect(env, user, last).map_err(Trouble::NotMade)?;
        Ok(Self {
            parties,
            machine,
            has_begun: false,
            sent: None,
            status: None,
            expected: None,
            has_come: false,
        })
    }

    /// The machine, to move its bytes.
    pub(super) const fn machine(&mut self) -> &mut Machine<'k> {
        &mut self.machine
    }

    /// Whether the server has taken the session.
    pub(super) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// What the server says of the letter that was sent.
    pub(super) const fn status(&self) -> Option<Status> {
        self.status
    }

    /// Whether the letter that is expected has come.
    pub(super) const fn has_come(&self) -> bool {
        self.has_come
    }

    /// The key with which the next session can be asked for.
    pub(super) fn session_key(&self) -> Option<SessionKey> {
        self.machine.proven_session_key().cloned()
    }

    /// Seals a letter, and lets it go.
    pub(super) fn send(&mut self, uid: &Uid, to: UserId, env: &mut Env<'_>) -> Result<(), Trouble> {
        let Parties { own, other, other_key, .. } = self.parties;
        let to = Addressee { user: to, fingerprint: &other.fingerprint, key: other_key };
        let content = Content::Text(TEXT);
        let id = self.machine.compose(env, &own.fingerprint, &to, uid, &content);
        self.sent = Some(id.map_err(Trouble::NotMade)?);
        self.machine.release_composed();
        Ok(())
    }

    /// From now on this letter is waited for; others were left over, and are acknowledged.
    pub(super) const fn expect(&mut self, uid: Uid) {
        self.expected = Some(uid);
    }

    /// Acknowledges the letter that has come.
    pub(super) fn acknowledge(&mut self, env: &mut Env<'_>) {
        self.machine.acknowledge_letter(env);
        self.machine.flush_acknowledgments(env);
    }

    /// Says goodbye.
    pub(super) fn leave(&mut self, env: &mut Env<'_>) -> Result<(), Trouble> {
        self.machine.leave(env).map_err(Trouble::NotMade)
    }

    /// Takes in what the machine has to say.
    pub(super) fn hear(&mut self, env: &mut Env<'_>) -> Result<(), Trouble> {
        loop {
            // One that stays in its buffer is not told again.
            let acknowledges = match self.machine.poll(env) {
                Ok(None) => return Ok(()),
                Err(ended) => return Err(Trouble::Ended(ended)),
                Ok(Some(Event::BacklogEnd(_))) => {
                    self.has_begun = true;
                    false
                }
                Ok(Some(Event::Status { letter, status })) => {
                    if self.sent.is_some_and(|sent| is(letter, sent)) {
                        self.status = Some(status);
                    }
                    false
                }
                Ok(Some(Event::Refused(refusal))) => return Err(Trouble::Refused(refusal)),
                Ok(Some(Event::Letter(letter))) => {
                    // One of an earlier round may be of a key that was lost, or for one.
                    let uid = self.parties.uid(letter, env);
                    self.has_come = uid.is_some() && uid == self.expected;
                    !self.has_come
                }
                Ok(Some(Event::TooLarge(letter))) => {
                    let id = letter.id();
                    self.machine.acknowledge(env, id, 0);
                    false
                }
                Ok(Some(_)) => false,
            };
            if acknowledges {
                self.machine.acknowledge_letter(env);
            }
        }
    }
}

fn is(name: LetterName, id: PacketId) -> bool {
    match name {
        LetterName::Whole(whole) => whole == id,
        LetterName::Prefix(prefix) => prefix == id.prefix(),
    }
}
