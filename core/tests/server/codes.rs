//! How far guessing gets: codes are evenly distributed, and a day has few guesses in it.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use waxwing_core::crypto::ReplyKey;
use waxwing_core::phone::Otp;
use waxwing_core::server::Config;
use waxwing_core::wire::ErrorCode;

use waxwing_testkit::backend::Paper;
use waxwing_testkit::person::{Person, Said};
use waxwing_testkit::world::Sim;

/// The sum over all cells of (found - expected)² / expected.
fn chi_square(cells: &[u32], draws: u32) -> f64 {
    let expected = f64::from(draws) / cells.len() as f64;
    cells.iter().map(|found| (f64::from(*found) - expected).powi(2) / expected).sum()
}

#[test]
fn a_million_codes_fall_evenly() {
    const DRAWS: u32 = 1_000_000;
    let mut rng = ChaCha20Rng::from_seed([0x0c; 32]);
    let (mut high, mut low) = ([0; 1_000], [0; 1_000]);
    for _ in 0..DRAWS {
        let otp = Otp::generate(&mut rng);
        let value = |digits: &[u8]| digits.iter().fold(0, |n, d| n * 10 + usize::from(d - b'0'));
        high[value(&otp.expose()[..3])] += 1;
        low[value(&otp.expose()[3..])] += 1;
    }
    // 999 degrees of freedom: a fair generator leaves this range once in 100,000 times.
    const FAIR: std::ops::Range<f64> = 800.0..1_225.0;
    for cells in [high, low] {
        let chi_square = chi_square(&cells, DRAWS);
        assert!(FAIR.contains(&chi_square), "{chi_square}");
    }
    // One that favours 24 values in a thousand does.
    let mut biased = [0; 1_000];
    (0..DRAWS).for_each(|_| biased[rng.next_u32() as usize % 1_024 % 1_000] += 1);
    assert!(!FAIR.contains(&chi_square(&biased, DRAWS)));
}

/// Somebody who guesses all day from `prefixes` networks at `phones` phones: how many guesses were
/// held against a code.
fn guesses_in_a_day(prefixes: u8, phones: usize) -> usize {
    const PAUSE_S: u64 = 600;
    let mut world = Sim::<Paper>::new(Config::default());
    let (mut attempt, mut compared) = (0_u64, 0);
    for round in 0..86_400 / PAUSE_S {
        for prefix in 0..prefixes {
            let address = format!("198.51.{prefix}.7");
            let mut mallory = Person::<Paper>::new((round as usize + usize::from(prefix)) % phones);
            attempt += 1;
            let mut reply_key = [0; 32];
            reply_key[..8].copy_from_slice(&attempt.to_le_bytes());
            mallory.reply_key = ReplyKey::from_bytes(&reply_key);
            mallory.conn = world.connect_from(&address);
            let request = mallory.request(&mut world);
            world.send(mallory.conn, &request);
            if !matches!(mallory.hear_one(&mut world), Said::CodeIssued { .. }) {
                continue;
            }
            let right = mallory.code(&world);
            for guess in 1..=4 {
                let wrong = [(right[0] - b'0' + guess) % 10 + b'0', b'0', b'0', b'0', b'0', b'0'];
                mallory.conn = world.connect_from(&address);
                let proof = mallory.proof(&mut world, &wrong);
                world.send(mallory.conn, &proof);
                if mallory.hear_one(&mut world).code() == Some(ErrorCode::OtpWrong) {
                    compared += 1;
                }
            }
        }
        world.wait_s(PAUSE_S);
    }
    assert_eq!(world.disk.users().count(), 0);
    compared
}

#[test]
fn one_network_has_thirty_guesses_in_its_first_day() {
    // 15 at once and 15 that come back over the day.
    let guesses = guesses_in_a_day(1, 40);
    assert!((15..=30).contains(&guesses), "{guesses}");
}

#[test]
fn all_networks_together_have_sixty_guesses_at_a_phone_in_its_first_day() {
    // Ten codes at once and ten that come back, each with three attempts: 60 in a million.
    let guesses = guesses_in_a_day(40, 1);
    assert!((30..=60).contains(&guesses), "{guesses}");
}

#[test]
fn a_150_and_a_200_differ_in_their_op_alone_for_whoever_cannot_open_them() {
    for otp_in_band in [false, true] {
        let config = Config { otp_in_band, ..Config::default() };
        let (mut world, [ann]) = Sim::<Paper>::populated(config);
        let mut heads = [ann.phone, Person::<Paper>::new(1).phone].map(|phone| {
            let asker = Person { phone, ..Person::<Paper>::new(2) };
            let conn = world.connect();
            let request = asker.request(&mut world);
            world.send(conn, &request);
            let answer = world.bytes(conn);
            assert_eq!(answer.len(), 26 + 32 + 256);
            answer[..26].to_vec()
        });
        assert_eq!(heads.each_ref().map(|head| head[23]), [150, 200]);
        heads.iter_mut().for_each(|head| head[23] = 0);
        assert_eq!(heads[0], heads[1]);
    }
}
