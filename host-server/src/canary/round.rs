//! A round: what is done in it, over which connection, and for how long at most.

use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use waxwing_core::client::Env;
use waxwing_core::crypto::{Provider, SessionKey, Spki};
use waxwing_core::id::{Uid, UserId};
use waxwing_core::server::{Administered, AdministrationError, ShardId};
use waxwing_core::wire::Status;

use super::accounts::{Account, Known};
use super::line::Line;
use super::talk::{Parties, Talk};
use super::trouble::Trouble;
use super::{Place, Stage, Times};
use crate::admin::audit::{self, Arguments, Outcome};
use crate::backend::{self, Backend};
use crate::clock::{self, Clock, SystemClock};
use crate::figures;
use crate::runtime::{Administration, Request};

type PublicKey = <Backend as Provider>::PublicKey;

/// A round that goes on.
pub(super) struct Round<'r> {
    place: Place<'r>,
    bound: Duration,
    server_key: &'r Spki,
    known: &'r mut Known,
    clock: SystemClock,
    rng: ChaCha20Rng,
    times: Times,
    stage: Stage,
    begun: Instant,
}

/// A connection with what is said over it.
struct Connection<'k> {
    line: Line,
    talk: Talk<'k>,
}

impl<'r> Round<'r> {
    /// How long the goodbyes may take, of which nothing depends.
    const GOODBYE: Duration = Duration::from_secs(1);

    /// Each of its stages takes no longer than `bound`.
    pub(super) fn new(
        place: Place<'r>,
        server_key: &'r Spki,
        known: &'r mut Known,
        bound: Duration,
    ) -> Self {
        Self {
            place,
            bound,
            server_key,
            known,
            clock: SystemClock::start(),
            rng: backend::random(),
            times: Times::default(),
            stage: Stage::Account,
            begun: Instant::now(),
        }
    }

    /// How long the stages took.
    pub(super) const fn times(&self) -> Times {
        self.times
    }

    /// All of it. Where it did not go on, and why.
    pub(super) fn carry_out(&mut self) -> Result<(), (Stage, Trouble)> {
        let ended = self.pass_all();
        ended.map_err(|trouble| (self.stage, trouble))
    }

    fn pass_all(&mut self) -> Result<(), Trouble> {
        let Known { accounts, sender_session, recipient_session } = &mut *self.known;
        let (sender, recipient) = (&accounts.sender, &accounts.recipient);
        let mut going = Going {
            place: self.place,
            clock: &self.clock,
            rng: &mut self.rng,
            until: self.begun + self.bound,
        };
        let sender_id = going.enrol(sender)?;
        let recipient_id = going.enrol(recipient)?;
        let provider = &Backend::default();
        let server_key = parsed(provider.public_key(self.server_key).ok())?;
        let (sender_key, recipient_key) =
            (parsed(sender.public_key())?, parsed(recipient.public_key())?);
        let server_key = &server_key;
        let writes = Parties {
            provider,
            server_key,
            own: sender,
            other: recipient,
            other_key: &recipient_key,
        };
        let reads =
            Parties { provider, server_key, own: recipient, other: sender, other_key: &sender_key };
        let mut pass = |going: &mut Going<'_>, next| {
            let now = Instant::now();
            self.times[self.stage as usize] = now - self.begun;
            (self.stage, self.begun) = (next, now);
            going.until = now + self.bound;
        };

        pass(&mut going, Stage::Connect);
        // The first and the last address, of those on which the server listens.
        let mut out = going.connect(writes, (sender_id, sender_session), <[_]>::first)?;
        going.wait(&mut out, |talk| talk.has_begun())?;

        pass(&mut going, Stage::Send);
        let uid = Uid::generate(going.rng);
        out.talk.send(&uid, recipient_id, &mut going.env())?;
        going.send(&mut out)?;

        pass(&mut going, Stage::Store);
        going.wait(&mut out, |talk| talk.status().is_some())?;

        pass(&mut going, Stage::Fetch);
        let mut back = going.connect(reads, (recipient_id, recipient_session), <[_]>::last)?;
        back.talk.expect(uid);
        going.wait(&mut back, |talk| talk.has_come())?;

        pass(&mut going, Stage::Acknowledge);
        back.talk.acknowledge(&mut going.env());
        going.send(&mut back)?;
        going.wait(&mut out, |talk| talk.status() == Some(Status::Delivered))?;
        pass(&mut going, Stage::Acknowledge);

        going.until = Instant::now() + Self::GOODBYE;
        for (mut connection, session) in [(out, sender_session), (back, recipient_session)] {
            // It is over either way. What the server says last is sealed with the key, which proves that
            // it knows it.
            let _ = connection.talk.leave(&mut going.env());
            let _ = going.wait(&mut connection, |_| false);
            *session = connection.talk.session_key();
        }
        Ok(())
    }
}

/// What a stage needs.
struct Going<'g> {
    place: Place<'g>,
    clock: &'g SystemClock,
    rng: &'g mut ChaCha20Rng,
    /// When the stage has to be over.
    until: Instant,
}

impl Going<'_> {
    fn env(&mut self) -> Env<'_> {
        Env { now: self.clock.now(), rng: self.rng }
    }

    /// Sees to it that the account is there, under its key.
    fn enrol(&self, account: &Account) -> Result<UserId, Trouble> {
        let enrol = || {
            let spki = Box::new(account.spki().clone());
            self.ask(ShardId::REGISTRAR, |answer| Request::Enrol(account.phone, spki, answer))
        };
        let mut enrolled = enrol()?;
        if let Err(AdministrationError::PhoneTaken(before)) = enrolled {
            self.remove(account, before)?;
            enrolled = enrol()?;
        }
        match enrolled {
            Ok(Administered::Enrolled { user }) => Ok(user),
            Ok(_) => Err(Trouble::NotStored),
            Err(error) => Err(Trouble::NotEnrolled(error)),
        }
    }

    /// Removes whoever has the phone of an account under another key: it is lost, or this is another
    /// database. Nobody can say that it was no person, so that is noted as what an operator does.
    fn remove(&self, account: &Account, before: UserId) -> Result<(), Trouble> {
        let audit = self.place.audit;
        let arguments = Arguments::about(before, &account.phone).with("by", "canary");
        let begun = audit.begin(clock::unix_now(), audit::caller(), "users remove", arguments);
        let begun = begun.map_err(Trouble::NotNoted)?;
        let owner = self.place.shards.owner_of(before);
        let removed = self.ask(owner, |answer| Request::RemoveUser(before, answer));
        let (outcome, ended) = match removed {
            Ok(Ok(Administered::Removed { undelivered, .. })) => {
                tell_of_removal(account, before, undelivered);
                let letters = figures::count(undelivered, "letter", "letters");
                (Outcome::done(format!("{letters} not delivered")), Ok(()))
            }
            Ok(Ok(_)) => (Outcome::failed("storage did not take it"), Err(Trouble::NotStored)),
            Ok(Err(error)) => {
                (Outcome::failed(format!("{error:?}")), Err(Trouble::NotEnrolled(error)))
            }
            Err(trouble) => (Outcome::unknown("the server did not say in time"), Err(trouble)),
        };
        let noted = audit.end(clock::unix_now(), begun, outcome).map_err(Trouble::NotNoted);
        ended.and(noted)
    }

    fn ask(
        &self,
        shard: ShardId,
        request: impl FnOnce(Sender<Administration>) -> Request,
    ) -> Result<Administration, Trouble> {
        let (sender, receiver) = channel();
        self.place.shards.send(shard, request(sender));
        receiver.recv_timeout(self.until.saturating_duration_since(Instant::now())).map_err(
            |error| match error {
                RecvTimeoutError::Timeout => Trouble::TooLate,
                RecvTimeoutError::Disconnected => Trouble::Stopped,
            },
        )
    }

    /// Connects with one of the addresses on which the server listens, and asks for a session.
    fn connect<'k>(
        &mut self,
        parties: Parties<'k>,
        (user, last): (UserId, &mut Option<SessionKey>),
        which: impl FnOnce(&[SocketAddr]) -> Option<&SocketAddr>,
    ) -> Result<Connection<'k>, Trouble> {
        let Place { listening, is_proxy, .. } = self.place;
        let address = *which(listening).ok_or(Trouble::Stopped)?;
        let line = Line::open(address, is_proxy, self.until)?;
        // Used once: a round that fails here leaves nothing that could fail again.
        let talk = Talk::begin(parties, user, last.take().as_ref(), &mut self.env())?;
        Ok(Connection { line, talk })
    }

    /// Sends all that is to be sent.
    fn send(&mut self, connection: &mut Connection<'_>) -> Result<(), Trouble> {
        let Connection { line, talk } = connection;
        while !talk.machine().transmit().is_empty() {
            let sent = line.send(talk.machine().transmit(), self.until)?;
            talk.machine().transmitted(sent);
        }
        Ok(())
    }

    /// Goes on until this is so.
    fn wait(
        &mut self,
        connection: &mut Connection<'_>,
        is_so: impl Fn(&Talk<'_>) -> bool,
    ) -> Result<(), Trouble> {
        let mut closed = None;
        loop {
            let mut env = self.env();
            connection.talk.machine().timeout(&mut env);
            connection.talk.hear(&mut env)?;
            if is_so(&connection.talk) {
                return Ok(());
            }
            // What came before the end said why, if anything did.
            if let Some(trouble) = closed {
                return Err(trouble);
            }
            if Instant::now() >= self.until {
                return Err(Trouble::TooLate);
            }
            closed = self.move_bytes(connection).err();
        }
    }

    /// Sends what there is, and waits for bytes, or for the next moment at which the machine has something
    /// to do.
    fn move_bytes(&mut self, connection: &mut Connection<'_>) -> Result<(), Trouble> {
        let sent = self.send(connection);
        let now = self.clock.now().instant;
        let machine = connection.talk.machine();
        let due = machine.poll_timeout().map(|due| Instant::now() + due.since(now));
        let until = due.map_or(self.until, |due| due.min(self.until));
        if machine.receive_buffer().is_empty() {
            return sent;
        }
        let received = connection.line.receive(machine.receive_buffer(), until)?;
        machine.received(received);
        sent
    }
}

/// Where the key of an account was lost, as after a restore on another machine, it was expected.
fn tell_of_removal(account: &Account, before: UserId, undelivered: u64) {
    let user = before.get();
    if account.is_new {
        tracing::info!(
            user,
            undelivered,
            "the key of an account of the canary is not in the data directory: the account is made anew"
        );
    } else {
        tracing::warn!(
            name: "canary_account_removed",
            user, undelivered,
            "a user had a phone of the canary, and a key that it does not know: the account is made anew"
        );
    }
}

fn parsed(key: Option<PublicKey>) -> Result<PublicKey, Trouble> {
    key.ok_or(Trouble::Unreadable)
}
