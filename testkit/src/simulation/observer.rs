//! Somebody who has the keys of a person and reads along on their connection, both ways.

use waxwing_core::crypto::{SessionKey, SessionSeal, Unverified};
use waxwing_core::id::{Nonce, PacketId, UserId};
use waxwing_core::wire::{ClientReport, Op, Packet};

use crate::backend::Paper;
use crate::packets::take_whole;
use crate::person::{Person, Said};
use crate::world::Sim;

/// What a client has said.
#[derive(Debug)]
pub(super) enum Sent {
    /// 102: the packet's id, and to whom it goes.
    Letter(PacketId, UserId),
    /// 203: the session is confirmed.
    Confirmed,
    /// 203: these letters are held.
    Held(Vec<PacketId>),
    /// Something else.
    Other,
}

/// What is known of the connection of one person.
pub(super) struct Observer {
    /// Whose keys these are.
    pub(super) person: Person<Paper>,
    /// What the server has said, and was not read.
    heard: Vec<u8>,
    /// The client's side of the session, once there is one.
    sealing: Option<SessionSeal>,
}

impl Observer {
    pub(super) fn new(person: Person<Paper>) -> Self {
        Self { person, heard: Vec::new(), sealing: None }
    }

    /// Another connection begins.
    pub(super) fn begin(&mut self) {
        self.heard.clear();
        (self.sealing, self.person.seal) = (None, None);
    }

    /// The client has a session.
    pub(super) fn open(&mut self, nonce: &Nonce, key: &SessionKey) {
        if self.sealing.is_none() {
            self.sealing = Some(SessionSeal::new(key.clone()));
            self.person.nonce = *nonce;
        }
    }

    /// The client is given these bytes.
    pub(super) fn overhear(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
    }

    /// What the server has said in the session.
    pub(super) fn server_said(&mut self, world: &mut Sim<Paper>) -> Vec<Said> {
        if self.sealing.is_none() {
            return Vec::new();
        }
        let had_none = self.person.seal.is_none();
        let packets = take_whole(&mut self.heard);
        let mut said = self.person.read(world, packets);
        if had_none {
            // Before that, the short form of 106 may have been refused.
            let begin = said.iter().position(|said| matches!(said, Said::SessionOffered(_)));
            said.drain(..=begin.expect("the client has a session"));
        }
        said
    }

    /// What the client says with a packet.
    pub(super) fn client_said(&mut self, packet: &[u8]) -> Sent {
        let mut bytes = packet.to_vec();
        let packet = Packet::parse(&mut bytes[..]).expect("a client writes whole packets");
        let header = *packet.header();
        let packet = Unverified::new(&Paper, packet);
        let id = packet.id();
        let Some(sealing) = &mut self.sealing else { return Sent::Other };
        if header.op_code == Op::Letter.code() {
            if !self.person.sent.contains(&id) {
                self.person.sent.push(id);
            }
            return Sent::Letter(id, header.recipient.expect("a letter goes to somebody"));
        }
        let packet = packet.verify(&self.person.key).expect("signed");
        let content = sealing.open(&Paper, packet).expect("in sequence");
        if header.op_code != Op::Acknowledgment.code() {
            return Sent::Other;
        }
        match ClientReport::parse(content).unwrap() {
            ClientReport::Confirmation { window } => {
                self.person.window = window;
                self.person.given.clear();
                Sent::Confirmed
            }
            ClientReport::Held(ids) => {
                let ids: Vec<_> = ids.collect();
                self.person.given.retain(|(id, _)| !ids.contains(id));
                Sent::Held(ids)
            }
            ClientReport::Queries(_) => Sent::Other,
        }
    }
}
