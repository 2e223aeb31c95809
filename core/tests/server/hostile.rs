//! Whatever a peer sends, nobody else is harmed and the server signs nothing of the peer's choice.

use rand_chacha::rand_core::Rng;
use waxwing_core::server::Config;
use waxwing_core::wire::KeyQuestion;

use waxwing_testkit::backend::Paper;
use waxwing_testkit::packets;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

const CANARY: &[u8] = b"sign this for me";
const ROUNDS: usize = 1_500;

fn roll(world: &mut Sim<Paper>, sides: usize) -> usize {
    world.rng.next_u32() as usize % sides
}

/// A packet of some kind, well made.
fn packet(world: &mut Sim<Paper>, mallory: &mut Person<Paper>, victim: &Person<Paper>) -> Vec<u8> {
    match roll(world, 9) {
        0 => mallory.request(world),
        1 => mallory.proof(world, b"123456"),
        2 => mallory.long(world),
        3 => mallory.confirmation(world, 8),
        4 => mallory.letter(world, victim.id(), CANARY),
        5 => mallory.question(world, KeyQuestion::ById(victim.id())),
        6 => mallory.held(world, &[waxwing_core::id::PacketId([1; 16])]),
        7 => mallory.queries(world, &[(victim.id(), waxwing_core::id::PacketId([1; 16]))]),
        // Signed with a content of the peer's choice.
        _ => {
            let op_code = roll(world, 256) as u8;
            mallory.packet(world, op_code, CANARY)
        }
    }
}

fn mangled(world: &mut Sim<Paper>, mut packet: Vec<u8>) -> Vec<u8> {
    match roll(world, 6) {
        0 => packet,
        1 => {
            let at = roll(world, packet.len());
            packet[at] ^= 1 << roll(world, 8);
            packet
        }
        2 => {
            packet.truncate(roll(world, packet.len()));
            packet
        }
        3 => {
            let size = [0, 1, 255, 256, 2_048, 2_049, 65_535][roll(world, 7)];
            packet[24..26].copy_from_slice(&u16::to_le_bytes(size));
            packet
        }
        4 => {
            packet[23] = roll(world, 256) as u8;
            packet
        }
        _ => [packet.clone(), packet].concat(),
    }
}

#[test]
fn mangled_packets_harm_nobody_and_are_never_signed() {
    let (mut world, [mut ann, mut ben, mut mallory]) = Sim::<Paper>::populated(Config::default());
    ann.come_to_nothing(&mut world);
    ben.come_to_nothing(&mut world);
    mallory.knock(&mut world);
    for round in 0..ROUNDS {
        if mallory.is_closed(&world) || roll(&mut world, 8) == 0 {
            match roll(&mut world, 3) {
                0 => mallory.conn = world.connect(),
                1 => mallory.knock(&mut world),
                _ => {
                    mallory.come(&mut world, 8);
                    mallory.hear(&mut world);
                }
            }
        }
        let packet = packet(&mut world, &mut mallory, &ben);
        let packet = mangled(&mut world, packet);
        world.send(mallory.conn, &packet);
        for signed in world.packets(mallory.conn) {
            assert!(!signed.windows(CANARY.len()).any(|part| part == CANARY), "round {round}");
            if signed[23] == 206 || signed[23] == 201 {
                // Its session is not followed any further.
                world.hang_up(mallory.conn);
            }
        }
        if round % 50 == 0 {
            let letter = ann.send(&mut world, ben.id(), &round.to_le_bytes());
            let said = ben.hear(&mut world);
            assert!(said.contains(&Said::Letter(letter.clone())));
            let got: Vec<_> = said
                .iter()
                .filter_map(|said| match said {
                    Said::Letter(letter) => Some(packets::id_of(letter)),
                    _ => None,
                })
                .collect();
            ben.acknowledge(&mut world, &got);
            assert!(!ann.hear(&mut world).is_empty());
            world.wait_s(1);
        }
    }
    assert!(!ann.is_closed(&world) && !ben.is_closed(&world));
    assert_eq!(world.disk.users().count(), 3);
}
