//! Streams that are broken at random.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use waxwing_core::client::{Buffers, Ended, Options};
use waxwing_core::id::PacketId;
use waxwing_core::wire::{Op, Status, StatusToken};

use crate::line::{Heard, Line, Stage, buffers};
use crate::server::{FRIEND, US};

const STREAMS: u64 = 10_000;
/// A session costs a few private-key operations each time.
const IN_A_SESSION: u64 = 200;

fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
    rng.next_u32() as usize % bound
}

fn mutate(rng: &mut ChaCha20Rng, stream: &mut Vec<u8>) {
    for _ in 0..1 + below(rng, 3) {
        let at = below(rng, stream.len());
        match below(rng, 7) {
            0 => stream[at] ^= 1 << below(rng, 8),
            1 => stream[at] = rng.next_u32() as u8,
            2 => stream.truncate(at.max(1)),
            3 => drop(stream.remove(at)),
            4 => stream.insert(at, rng.next_u32() as u8),
            5 => {
                let end = (at + 1 + below(rng, 300)).min(stream.len());
                rng.fill_bytes(&mut stream[at..end]);
            }
            _ => {
                let end = (at + 1 + below(rng, 600)).min(stream.len());
                let again = stream[at..end].to_vec();
                stream.splice(at..at, again);
            }
        }
        if stream.is_empty() {
            stream.push(0);
        }
    }
}

/// What a client hears is a beginning of what was said, apart from letters: those are not the
/// server's to sign, and are checked by whoever reads them.
fn assert_nothing_is_made_up(heard: &[Heard], said: &[Heard], seed: u64) {
    let is_letter = |event: &&Heard| matches!(event, Heard::Letter(_) | Heard::TooLarge(_));
    let heard: Vec<_> = heard.iter().filter(|event| !is_letter(event)).collect();
    let said: Vec<_> = said.iter().filter(|event| !is_letter(event)).collect();
    // A shared packet that comes twice is told twice.
    let mut rest = said.iter();
    for event in &heard {
        let next_or_again = rest.any(|told| told == event) || said.contains(event);
        assert!(next_or_again, "seed {seed}: {event:?}");
    }
}

fn survives(stage: Stage, streams: std::ops::Range<u64>) {
    let fresh = || {
        let mut line =
            Line::with(Buffers { letters: vec![0; 600], ..buffers() }, Options::default());
        line.go_to(stage);
        line
    };
    let mut line = fresh();
    let letter = PacketId([5; 16]);
    let token = StatusToken { letter: letter.prefix(), status: Status::Stored };
    let pristine = if stage.is_session() {
        [
            line.server.letter(FRIEND, US, b"small"),
            line.server.shared_statuses(&[token]),
            line.server.sealed_statuses(&[(letter, Status::Stored); 2]),
            line.server.letter(FRIEND, US, &[3; 700]),
            line.server.sealed(Op::BacklogEnd, &[2, 0, 0, 0]),
            line.server.sealed(Op::Close, &[2]),
        ]
        .concat()
    } else {
        line.server.otp_issued()
    };
    let said = line.hear(&pristine);
    let mut line = fresh();
    for seed in streams {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut stream = pristine.clone();
        mutate(&mut rng, &mut stream);
        let heard = line.hear(&stream);
        assert_nothing_is_made_up(&heard, &said, seed);
        // Where the stream only stopped short, the next bytes are no packet.
        if line.ended().is_none() {
            line.hear(&[0xff; 70_000]);
        }
        let why = line.ended();
        assert!(
            matches!(
                why,
                Some(Ended::BadBytes | Ended::Misbehaved | Ended::BadSeal | Ended::Closed(_))
            ),
            "seed {seed}: {why:?}"
        );
        line = fresh();
    }
}

#[test]
fn broken_streams_end_and_never_panic_in_a_session() {
    survives(Stage::Active, 0..IN_A_SESSION);
}

#[test]
fn broken_streams_end_and_never_panic_while_a_code_is_awaited() {
    survives(Stage::AwaitingOtp, IN_A_SESSION..STREAMS);
}
