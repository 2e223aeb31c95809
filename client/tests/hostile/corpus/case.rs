//! One thing that a client does, and what the document says to it.

use std::fmt;

use rand_core::Rng;
use waxwing::backend::rng;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::{HEADER_LEN, OVERHEAD, SIGNATURE_LEN};
use waxwing_core::wire::{KeyQuestion, StatusQuery};
use waxwing_testkit::packets;
use waxwing_testkit::person::Said;

use super::document::{Claim, State, ends};
use crate::peer::Peer;

/// The first to register; gets all letters and reads none.
pub(super) const SINK: u16 = 1;

/// Every packet that a client can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Proof,
    Long,
    Short,
    Confirmation,
    Letter,
    QuestionById,
    QuestionByPhone,
    Held,
    Queries,
    Close,
}

pub(super) const KINDS: [Kind; 11] = {
    use Kind::*;
    [
        Request,
        Proof,
        Long,
        Short,
        Confirmation,
        Letter,
        QuestionById,
        QuestionByPhone,
        Held,
        Queries,
        Close,
    ]
};

impl Kind {
    /// Where it may come.
    pub(super) fn state(self) -> State {
        match self {
            Self::Request | Self::Proof | Self::Long | Self::Short => State::New,
            Self::Confirmation => State::Issued,
            _ => State::Session,
        }
    }

    /// A good one, of somebody who has an account.
    pub(super) fn make(self, peer: &mut Peer) -> Vec<u8> {
        let sink = UserId::new(SINK).unwrap();
        match self {
            Self::Request => peer.request(),
            Self::Proof => peer.proof("123456"),
            Self::Long => peer.long(),
            Self::Short => peer.short(),
            Self::Confirmation => peer.confirmation(128),
            Self::Letter => peer.letter(sink, &noise(40)),
            Self::QuestionById => peer.question(KeyQuestion::ById(peer.id())),
            Self::QuestionByPhone => peer.question(KeyQuestion::ByPhone(peer.phone)),
            Self::Held => peer.held(&[PacketId([7; 16])]),
            Self::Queries => {
                peer.queries(&[StatusQuery { recipient: sink, letter: PacketId([7; 16]) }])
            }
            Self::Close => peer.sealed(222, &[1]),
        }
    }

    /// What the server says to a good one.
    pub(super) fn answer(self) -> &'static [&'static str] {
        match self {
            // The account has both this phone and this key.
            Self::Request => &["150"],
            Self::Proof => &["201"],
            Self::Long | Self::Short => &["206"],
            Self::Confirmation => &["255"],
            Self::Letter => &["203 Stored"],
            Self::QuestionById | Self::QuestionByPhone => &["204"],
            Self::Held => &[],
            // There is no such letter.
            Self::Queries => &["203 Delivered"],
            Self::Close => &["222 Leaving", "end"],
        }
    }
}

/// Makes what is sent, once the state is reached.
type Make = Box<dyn Fn(&mut Peer) -> Vec<u8> + Send + Sync>;

/// How it is sent, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    AtOnce,
    ByteByByte,
    /// In two segments.
    InTwo {
        at: usize,
    },
    ThenFin,
    ThenReset,
}

pub(super) struct Case {
    name: String,
    state: State,
    make: Make,
    way: Way,
    /// What is said to it, in whatever order; with "end" last where the connection ends.
    expected: Vec<&'static str>,
}

impl Case {
    pub(super) fn new(
        name: impl fmt::Display,
        state: State,
        make: impl Fn(&mut Peer) -> Vec<u8> + Send + Sync + 'static,
        expected: &[&'static str],
    ) -> Self {
        let expected = expected.to_vec();
        let name = format!("{state:?}: {name}");
        Self { name, state, make: Box::new(make), way: Way::AtOnce, expected }
    }

    /// One that is refused.
    pub(super) fn refused(
        name: impl fmt::Display,
        state: State,
        make: impl Fn(&mut Peer) -> Vec<u8> + Send + Sync + 'static,
        refusal: &'static str,
    ) -> Self {
        let end = ends(state, refusal).then_some("end");
        let expected: Vec<_> = [refusal].into_iter().chain(end).collect();
        Self::new(name, state, make, &expected)
    }

    pub(super) fn by(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Does it, and says what was wrong with the answer.
    pub(super) fn run(&self, peer: &mut Peer) -> Result<(), String> {
        match self.state {
            State::New => peer.connect(),
            State::Issued => peer.reconnect(),
            State::Session => peer.come(),
        }
        let bytes = (self.make)(peer);
        match self.way {
            Way::ByteByByte => peer.line().send_bytewise(&bytes),
            Way::InTwo { at } => {
                peer.send(&bytes[..at]);
                peer.send(&bytes[at..]);
            }
            Way::AtOnce | Way::ThenFin | Way::ThenReset => peer.send(&bytes),
        }
        match self.way {
            Way::ThenFin => peer.line().finish(),
            Way::ThenReset => {
                peer.hang_up().reset();
                return Ok(());
            }
            Way::AtOnce | Way::ByteByByte | Way::InTwo { .. } => {}
        }
        let ends = self.expected.last() == Some(&"end");
        let mut said = Vec::new();
        while said.len() < self.expected.len() {
            said.push(word(peer.hear(), &ids(&bytes)));
            if said.last().is_some_and(|word| word == "end") {
                break;
            }
        }
        if !fits(&self.expected, &said) {
            return Err(format!("{}: {said:?}, not {:?}", self.name, self.expected));
        }
        if !ends {
            if self.state == State::Session || self.expected == ["255"] {
                peer.is_served();
            }
            peer.line().finish();
            match peer.hear() {
                None => {}
                Some(more) => return Err(format!("{}: {more:?} as well", self.name)),
            }
        }
        Ok(())
    }
}

/// Whether these are the words, in whatever order but for the end.
fn fits(expected: &[&str], said: &[String]) -> bool {
    let mut open: Vec<_> = said.iter().map(String::as_str).collect();
    expected.len() == said.len()
        && (expected.last() == Some(&"end")) == (open.last() == Some(&"end"))
        && expected.iter().all(|expected| {
            let found = open.iter().position(|said| match expected.strip_suffix('?') {
                Some(code) => {
                    said.strip_prefix(code).is_some_and(|of| of.is_empty() || of.starts_with(" of"))
                }
                None => said == expected,
            });
            found.map(|at| open.swap_remove(at)).is_some()
        })
}

/// What was said, in a word. A refusal that names a packet names one of these.
fn word(said: Option<Said>, sent: &[PacketId]) -> String {
    let Some(said) = said else { return "end".into() };
    match said {
        Said::CodeIssued { .. } => "200".into(),
        Said::PhoneTaken => "150".into(),
        Said::SessionOffered(op) => op.to_string(),
        Said::Letter(_) => "102".into(),
        Said::Fate(_, status) => format!("203 {status:?}"),
        Said::Key(_) | Said::Successor(_) => "204".into(),
        Said::BacklogEnd(_) => "255".into(),
        Said::Closed(reason) => format!("222 {reason:?}"),
        Said::Refused(no) => match no.packet {
            None => format!("244 {}", no.code),
            Some(id) if sent.contains(&id) => format!("244 {} of {}", no.code, no.op),
            Some(id) => format!("244 {} of {} in {id}, which was not sent", no.code, no.op),
        },
    }
}

/// The ids of the packets in a stream, as far as they are whole.
fn ids(mut bytes: &[u8]) -> Vec<PacketId> {
    let mut ids = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER_LEN>() {
        let size = usize::from(u16::from_le_bytes([header[24], header[25]]));
        let Some((packet, rest)) = bytes.split_at_checked(OVERHEAD + size) else { break };
        ids.push(packets::id_of(packet));
        bytes = rest;
    }
    ids
}

/// Bytes that nobody has made anything of.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng().fill_bytes(&mut bytes);
    bytes
}

/// Header and noise, with the peer's signature or with noise for one.
pub(super) fn noise_of(peer: &Peer, claim: Claim, is_signed: bool) -> Vec<u8> {
    let Claim { sender, recipient, op, size } = claim;
    let payload = noise(size.into());
    let bytes = packets::unsigned(sender, recipient, waxwing::clock::now(), op, &payload);
    seal_off(peer, bytes, is_signed)
}

/// Completes header and payload. The 100 has no signature, and so no bad one here.
pub(super) fn seal_off(peer: &Peer, bytes: Vec<u8>, is_signed: bool) -> Vec<u8> {
    match (bytes[23], is_signed) {
        (100, _) => packets::zero_signed(bytes),
        (_, true) => peer.sign(bytes),
        (_, false) => [bytes, noise(SIGNATURE_LEN)].concat(),
    }
}
