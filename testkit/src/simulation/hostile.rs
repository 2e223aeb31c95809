//! Somebody with an account who keeps to no rule.

use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::{HEADER_LEN, SIGNATURE_LEN};
use waxwing_core::server::ConnId;
use waxwing_core::wire::{KeyQuestion, Op};

use super::dice::Dice;
use crate::backend::Paper;
use crate::packets::id_of;
use crate::person::Person;
use crate::world::Sim;

/// Packets of others that it has overheard, at most.
const TAPE: usize = 64;

pub(super) struct Hostile {
    person: Person<Paper>,
    conn: Option<ConnId>,
    tape: Vec<Vec<u8>>,
}

impl Hostile {
    pub(super) fn new(person: Person<Paper>) -> Self {
        Self { person, conn: None, tape: Vec::new() }
    }

    /// Listens in.
    pub(super) fn overhear(&mut self, packet: &[u8]) {
        if self.tape.len() < TAPE {
            self.tape.push(packet.to_vec());
        }
    }

    /// The server's end of its connection is gone.
    pub(super) fn forget(&mut self) {
        self.conn = None;
    }

    /// Does bad things, one to four at once; letters that it has truly signed, and to whom.
    pub(super) fn act(
        &mut self,
        dice: &mut dyn Dice,
        world: &mut Sim<Paper>,
        victims: &[UserId],
    ) -> Vec<(PacketId, usize)> {
        (0..1 + dice.roll(4)).filter_map(|_| self.act_once(dice, world, victims)).collect()
    }

    fn act_once(
        &mut self,
        dice: &mut dyn Dice,
        world: &mut Sim<Paper>,
        victims: &[UserId],
    ) -> Option<(PacketId, usize)> {
        let conn = self.connection(dice, world);
        let at = dice.roll(victims.len());
        let victim = victims[at];
        let mut letter_of = None;
        let bytes = match dice.roll(9) {
            0 => (0..dice.roll(400)).map(|_| dice.roll(256) as u8).collect(),
            1 | 2 if !self.tape.is_empty() => self.tape[dice.roll(self.tape.len())].clone(),
            3 => {
                let op_code = dice.roll(256) as u8;
                let payload =
                    vec![dice.roll(256) as u8; [0, 16, 48, 256, 550, 2_000][dice.roll(6)]];
                self.person.packet(world, op_code, &payload)
            }
            // In another's name.
            4 => self.person.packet_as(world, victim.get(), victim.get(), 102, b"not mine"),
            5 if self.person.seal.is_some() => {
                let someone = self.tape.iter().find(|packet| packet.len() > 300);
                let id = id_of(someone.map_or(&[0; 300], Vec::as_slice));
                match dice.roll(3) {
                    0 => self.person.held(world, &[id]),
                    1 => self.person.queries(world, &[(victim, id)]),
                    _ => self.person.question(world, KeyQuestion::ById(victim)),
                }
            }
            6 if self.person.seal.is_some() => {
                let content = vec![dice.roll(256) as u8; dice.roll(64)];
                let op = [Op::Acknowledgment, Op::KeyQuestion, Op::Close][dice.roll(3)];
                self.person.sealed(world, op, &content)
            }
            // Another's envelope under its own signature.
            7 if !self.tape.is_empty() => {
                let letter = &self.tape[dice.roll(self.tape.len())];
                let payload = letter[HEADER_LEN..letter.len() - SIGNATURE_LEN].to_vec();
                let packet = self.person.letter(world, victim, &payload);
                letter_of = Some((id_of(&packet), at));
                packet
            }
            _ => {
                let payload = vec![dice.roll(256) as u8; dice.roll(300)];
                let packet = self.person.letter(world, victim, &payload);
                letter_of = Some((id_of(&packet), at));
                packet
            }
        };
        world.send(conn, &bytes);
        letter_of
    }

    /// A connection, with a session or without one.
    fn connection(&mut self, dice: &mut dyn Dice, world: &mut Sim<Paper>) -> ConnId {
        if let Some(conn) = self.conn {
            let _ = world.bytes(conn);
            if !world.is_closed(conn) {
                return conn;
            }
        }
        let conn = world.connect();
        self.conn = Some(conn);
        self.person.seal = None;
        if dice.roll(4) != 0 {
            self.person.conn = conn;
            let long = self.person.long(world);
            world.send(conn, &long);
            let _ = self.person.hear(world);
            if self.person.seal.is_some() {
                self.person.confirm(world, [1, 128][dice.roll(2)]);
            }
        }
        conn
    }
}
