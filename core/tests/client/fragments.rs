//! How a stream is cut makes no difference.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use waxwing_core::client::{Buffers, Options};
use waxwing_core::id::PacketId;
use waxwing_core::wire::{ErrorCode, Op, Status, StatusToken};

use crate::line::{Heard, Line, Stage, buffers};
use crate::server::{FRIEND, Server, US};

fn line() -> Line {
    let buffers = Buffers { letters: vec![0; 1_000], ..buffers() };
    let mut line = Line::with(buffers, Options::default());
    line.go_to(Stage::Unproven);
    line
}

/// Something of everything that a session sees.
fn stream(server: &mut Server) -> Vec<u8> {
    let letter = PacketId([5; 16]);
    let token = StatusToken { letter: letter.prefix(), status: Status::Stored };
    let nonce = server.nonce;
    let packets = [
        server.letter(FRIEND, US, b"small"),
        server.shared_backlog_end(&nonce, 2),
        server.letter(FRIEND, US, &[3; 718]),
        server.letter(FRIEND, US, &[3; 719]),
        server.sealed_statuses(&[(letter, Status::Stored); 40]),
        server.shared_statuses(&[token; 32]),
        server.letter(FRIEND, US, &[3; 3_000]),
        server.sealed_refusal(ErrorCode::MailboxFull, Some(letter)),
        server.letter(FRIEND, US, b""),
        server.sealed(Op::Close, &[2]),
    ];
    packets.concat()
}

fn heard(piece: &mut dyn FnMut() -> usize) -> (Vec<Heard>, Option<waxwing_core::client::Ended>) {
    let mut line = line();
    let stream = stream(&mut line.server);
    let heard = line.hear_in_pieces(&stream, piece);
    (heard, line.ended())
}

#[test]
fn any_cut_gives_the_same_events() {
    let whole = heard(&mut || usize::MAX);
    assert_eq!(whole.0.len(), 5 + 1 + 40 + 32 + 1);
    assert!(whole.1.is_some());
    for piece in [1, 2, 25, 26, 27, 255, 256, 257, 1_000] {
        assert_eq!(heard(&mut || piece), whole, "pieces of {piece}");
    }
    for seed in 0..20 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut piece = || 1 + (rng.next_u32() % (1 << (1 + seed % 10))) as usize;
        assert_eq!(heard(&mut piece), whole, "seed {seed}");
    }
}

#[test]
fn a_stream_cut_off_anywhere_ends_nothing_by_itself() {
    let mut line = line();
    let stream = stream(&mut line.server);
    let cut = stream.len() - 1;
    line.hear_in_pieces(&stream[..cut], &mut || 997);
    assert_eq!(line.ended(), None);
    assert!(!line.client.receive_buffer().is_empty());
}
