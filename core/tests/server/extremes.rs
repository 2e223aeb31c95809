//! A configuration of the largest or the smallest numbers that there are: a server may be of little
//! use with it, and does not panic.

use core::time::Duration;

use waxwing_core::server::{
    Config, Deadlines, MailboxLimits, Rate, Rates, RegistrationPolicy, Server,
};

use waxwing_testkit::packets;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::World;

/// Every setting at once.
fn everything(span: Duration, count: u32) -> Config {
    let rate = Rate::new(count, span);
    let size = if count == 0 { 0 } else { usize::MAX };
    let bytes = u64::try_from(size).unwrap();
    Config {
        max_letter: size,
        letter_life: span,
        expiry_interval: span,
        fate_life: span,
        otp_in_band: true,
        otp_life: span,
        otp_resend: span,
        otp_attempts: u8::try_from(count).unwrap_or(u8::MAX),
        registration: RegistrationPolicy::default(),
        deadlines: Deadlines {
            first_packet: span,
            confirmation: span,
            packet: span,
            progress: span,
            leaving: span,
        },
        mailbox: MailboxLimits {
            letters: count,
            bytes,
            pair_letters: count,
            pair_bytes: bytes,
            sender_letters: count,
            sender_bytes: bytes,
        },
        rates: Rates {
            registrations: rate,
            proofs: rate,
            otps_per_pair: rate,
            otps_per_phone: rate,
            otps: rate,
            guesses_per_prefix: rate,
            guesses: rate,
            reconnects: rate,
            questions: rate,
            registration_work: rate,
            reconnect_work: rate,
            refusals: rate,
            status_queries: rate,
            answers: rate,
        },
        half_received_bytes: size,
        live_otps: size,
    }
}

#[test]
fn with_the_largest_numbers_everything_works_and_nothing_overflows() {
    let mut world = World::new(everything(Duration::MAX, u32::MAX));
    let [mut ann, mut ben] = [Person::new(0), Person::new(1)];
    ann.register(&mut world);
    ben.register(&mut world);
    let letter = ann.send(&mut world, ben.id(), b"hello");
    assert_eq!(ben.hear_letters(&mut world), [letter.clone()]);
    ben.acknowledge(&mut world, &[packets::id_of(&letter)]);
    assert_eq!(ann.hear(&mut world).last(), Some(&Said::delivered(&letter)));
    world.wait(Duration::from_secs(86_400 * 365));
}

#[test]
fn with_the_smallest_numbers_nothing_panics() {
    let mut world = World::new(everything(Duration::ZERO, 0));
    let mut ann = Person::<waxwing_core::crypto::RustCrypto>::new(0);
    for address in ["127.0.0.1", "192.0.2.1"] {
        ann.conn = world.connect_from(address);
        let request = ann.request(&mut world);
        world.send(ann.conn, &request);
        let proof = ann.proof(&mut world, b"000000");
        world.send(ann.conn, &proof);
        let half = &ann.request(&mut world)[..40];
        world.send(ann.conn, half);
        for _ in 0..3 {
            world.turn_all(Server::timeout);
            world.settle();
        }
    }
}
