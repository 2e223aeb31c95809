//! Somebody who takes letters, on a client of the bench's own over the core's wire and seals.
//!
//! It does what the protocol asks of a client, and one thing in another order: because it knows
//! which letters will come, it seals and signs its acknowledgments before the clock runs. A
//! signature for each letter would keep the machine busy with its clients.
//!
//! It verifies every letter and opens none: a letter's id is a digest of everything in it, and
//! tells that this is the letter which was sent.

use std::collections::VecDeque;
use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail};
use mio::{Registry, Token};
use rand_chacha::ChaCha20Rng;
use waxwing_aws_lc::{AwsLc, AwsLcPublicKey};
use waxwing_core::crypto::{PrivateKey, PublicKey, SessionSeal, Unverified};
use waxwing_core::id::{Nonce, PacketId};
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_PACKET, MAX_WINDOW};
use waxwing_core::time::Timestamp;
use waxwing_core::wire::{
    BacklogToken, BuildError, ClientReport, Draft, Frame, Op, Packet, SessionGrant, Writer, deframe,
};

use crate::letters::Letter;
use crate::line::{Stream, now};
use crate::population::Person;

enum State {
    /// 106 is on its way.
    Asked,
    /// The session's key is there, and nothing has been confirmed.
    Issued(SessionSeal),
    /// The confirmation is on its way; 255 answers it.
    Confirmed(SessionSeal),
}

/// One of them, connected.
pub(crate) struct Recipient<'a> {
    me: &'a Person,
    from: &'a Person,
    server: &'static AwsLcPublicKey,
    /// Letters that one acknowledgment is for.
    together: usize,
    stream: Stream,
    inbox: Vec<u8>,
    filled: usize,
    outbox: Vec<u8>,
    nonce: Nonce,
    state: State,
    is_open: bool,
    /// Each with the number of letters that it is for.
    acknowledgments: VecDeque<(usize, Vec<u8>)>,
    /// Letters that came since the last acknowledgment.
    unacknowledged: usize,
}

impl<'a> Recipient<'a> {
    /// Connects and asks for a session.
    pub(crate) fn dial(
        (from, me): (&'a Person, &'a Person),
        together: usize,
        (address, server): (SocketAddr, &'static AwsLcPublicKey),
        (registry, token): (&Registry, Token),
        rng: &mut ChaCha20Rng,
    ) -> Result<Self> {
        let nonce = Nonce::generate(rng);
        let sealed = server
            .oaep_seal(rng, Op::ReconnectRequest.oaep_label(), &nonce.0)
            .map_err(|error| anyhow!("{error}"))?;
        let mut outbox = Vec::new();
        packet(&mut outbox, me, Op::ReconnectRequest, rng, |out, _| {
            let mut writer = Writer::new(out);
            writer.put(&sealed)?;
            Ok(writer.position())
        })?;
        Ok(Self {
            me,
            from,
            server,
            together,
            stream: Stream::dial(address, registry, token)?,
            inbox: vec![0; MAX_PACKET + 64 * 1_024],
            filled: 0,
            outbox,
            nonce,
            state: State::Asked,
            is_open: false,
            acknowledgments: VecDeque::new(),
            unacknowledged: 0,
        })
    }

    /// Whether the session waits for its confirmation.
    pub(crate) const fn is_issued(&self) -> bool {
        matches!(self.state, State::Issued(_))
    }

    /// Whether everything that had been pending has come.
    pub(crate) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Confirms the session. `letters` are those that will come, in order; the acknowledgments
    /// for them are made now.
    pub(crate) fn confirm(&mut self, letters: &[Letter], rng: &mut ChaCha20Rng) -> Result<()> {
        let State::Issued(seal) = std::mem::replace(&mut self.state, State::Asked) else {
            bail!("there is no session to confirm");
        };
        let mut seal = seal;
        packet(&mut self.outbox, self.me, Op::Acknowledgment, rng, |out, rng| {
            Ok(seal.seal(&AwsLc, rng, out, |writer| {
                ClientReport::emit_confirmation(writer, MAX_WINDOW)
            })?)
        })?;
        for letters in letters.chunks(self.together) {
            let ids: Vec<PacketId> = letters.iter().map(|letter| letter.id).collect();
            let mut acknowledgment = Vec::new();
            packet(&mut acknowledgment, self.me, Op::Acknowledgment, rng, |out, rng| {
                Ok(seal.seal(&AwsLc, rng, out, |writer| ClientReport::emit_held(writer, &ids))?)
            })?;
            self.acknowledgments.push_back((ids.len(), acknowledgment));
        }
        self.state = State::Confirmed(seal);
        Ok(())
    }

    /// Sends what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let written = self.stream.write(&self.outbox)?;
        self.outbox.drain(..written);
        Ok(())
    }

    /// Reads everything there is, tells of the letters, and acknowledges them.
    pub(crate) fn turn(
        &mut self,
        rng: &mut ChaCha20Rng,
        mut take: impl FnMut(PacketId),
    ) -> Result<()> {
        let mut has_more = true;
        while has_more {
            let room = &mut self.inbox[self.filled..];
            let Some(count) = self.stream.read(room)? else { break };
            has_more = count == room.len();
            self.filled += count;
            let mut begin = 0;
            while let Frame::Complete(header) = deframe(&self.inbox[begin..self.filled])
                .map_err(|_| anyhow!("the server sent something that is no packet"))?
            {
                let end = begin + header.packet_len();
                let came = self.packet(begin..end, rng)?;
                begin = end;
                if let Some(letter) = came {
                    take(letter);
                    self.unacknowledged += 1;
                    self.acknowledge();
                }
            }
            self.inbox.copy_within(begin..self.filled, 0);
            self.filled -= begin;
        }
        self.flush()
    }

    /// Acknowledges what has come, when that is what the next acknowledgment is for.
    fn acknowledge(&mut self) {
        if let Some((_, acknowledgment)) =
            self.acknowledgments.pop_front_if(|(letters, _)| *letters == self.unacknowledged)
        {
            self.outbox.extend(acknowledgment);
            self.unacknowledged = 0;
        }
    }

    /// Verifies a packet; the id, if it is a letter.
    fn packet(
        &mut self,
        place: std::ops::Range<usize>,
        rng: &mut ChaCha20Rng,
    ) -> Result<Option<PacketId>> {
        let packet = Packet::parse(&mut self.inbox[place]).map_err(|_| anyhow!("no packet"))?;
        let packet = Unverified::new(&AwsLc, packet);
        let header = *packet.header();
        let op = Op::from_code(header.op_code).context("an unknown op from the server")?;
        let forged = |_| anyhow!("the signature of a {} does not hold", op.code());
        if op == Op::Letter {
            return Ok(Some(packet.verify(&self.from.keys.public).map_err(forged)?.id()));
        }
        let packet = packet.verify(self.server).map_err(forged)?;
        match (&mut self.state, op) {
            (State::Asked, Op::SessionRenewed) => {
                let block = packet.payload().try_into().context("a 206 of another size")?;
                let mut grant = [0; SessionGrant::LEN];
                let own = &self.me.keys.private;
                own.oaep_open(rng, op.oaep_label(), block, &mut grant)
                    .map_err(|_| anyhow!("a 206 does not open"))?;
                let grant = SessionGrant::parse(&grant).map_err(|_| anyhow!("a strange 206"))?;
                if grant.nonce != self.nonce {
                    bail!("a 206 for somebody else's question");
                }
                self.state = State::Issued(SessionSeal::new(grant.session_key));
            }
            (State::Confirmed(seal), op) if header.recipient.is_some() => {
                seal.open(&AwsLc, packet).map_err(|error| anyhow!("{error}"))?;
                match op {
                    Op::BacklogEnd => self.is_open = true,
                    Op::Acknowledgment => {}
                    other => bail!("the server sent a {}", other.code()),
                }
            }
            (State::Confirmed(seal), Op::BacklogEnd) => {
                let tokens = seal.key().open_tokens(&AwsLc, packet);
                let tokens = tokens.map_err(|_| anyhow!("a shared 255 without tokens"))?;
                self.is_open |=
                    tokens.iter().any(|token| BacklogToken::parse(token, &self.nonce).is_some());
            }
            // Somebody else's news.
            (State::Confirmed(_), Op::Acknowledgment) => {}
            (_, other) => bail!("the server sent a {}", other.code()),
        }
        Ok(None)
    }
}

/// Appends a packet of `from`'s to the server.
fn packet(
    to: &mut Vec<u8>,
    from: &Person,
    op: Op,
    rng: &mut ChaCha20Rng,
    payload: impl FnOnce(&mut [u8], &mut ChaCha20Rng) -> Result<usize, BuildError>,
) -> Result<()> {
    let mut buffer = [0; MAX_CONTROL_PACKET];
    let stamp = Timestamp::from_unix(now().unix);
    let mut draft = Draft::new(&mut buffer, op, Some(from.user), None, stamp);
    let len = payload(draft.payload_mut(), rng)?;
    let (_, packet) = draft.sign(&AwsLc, &from.keys.private, rng, len)?;
    to.extend_from_slice(packet);
    Ok(())
}
