//! Letters that are sealed and signed before the clock runs: what is measured is the server.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use waxwing_aws_lc::AwsLc;
use waxwing_core::envelope::{self, Content};
use waxwing_core::id::{PacketId, Uid};
use waxwing_core::limits::{ENVELOPE_OVERHEAD, OVERHEAD};
use waxwing_core::time::Timestamp;
use waxwing_core::wire::{Draft, Op};
use waxwing_server::{backend, clock};

use crate::population::Person;
use crate::progress::Progress;

/// The stamp lies ahead of the clock, so that a letter stays fresh for almost twice as long.
const AHEAD_S: i64 = 240;
/// From signing to the end of freshness, with a margin.
const FRESH: Duration = Duration::from_secs(240 + 270);

/// A packet that only has to go out.
pub(crate) struct Letter {
    pub(crate) id: PacketId,
    pub(crate) packet: Box<[u8]>,
}

/// What every pair has to send: the people with the numbers 2n + 1 write to those with 2n + 2.
pub(crate) struct Stock {
    pub(crate) pairs: Vec<Vec<Letter>>,
    body: usize,
    signed: Instant,
}

impl Stock {
    /// Signs `each` letters with a text of `body` bytes for every pair of `people`, in as many
    /// threads as the machine has.
    pub(crate) fn sign(people: &[Person], each: usize, body: usize) -> Result<Self> {
        let signed = Instant::now();
        let pairs: Vec<_> = people.chunks_exact(2).collect();
        let progress = Progress::new("signing letters", pairs.len() * each);
        let threads = thread::available_parallelism()?.get();
        // Each thread signs a part of what each pair has, so that one pair keeps all busy.
        let part = |at: usize| (each * (at + 1) / threads) - (each * at / threads);
        let parts = thread::scope(|scope| {
            let signers: Vec<_> = (0..threads)
                .map(|at| {
                    let (pairs, progress) = (&pairs, &progress);
                    scope.spawn(move || {
                        let sign = |pair: &&[Person]| -> Result<Vec<Letter>> {
                            let letters = (0..part(at)).map(|_| letter(&pair[0], &pair[1], body));
                            let letters = letters.collect::<Result<Vec<_>>>()?;
                            progress.step(letters.len());
                            Ok(letters)
                        };
                        pairs.iter().map(sign).collect::<Result<Vec<_>>>()
                    })
                })
                .collect();
            let parts = signers.into_iter().map(|signer| signer.join().expect("no panic"));
            parts.collect::<Result<Vec<_>>>()
        })?;
        let mut stock: Vec<_> = pairs.iter().map(|_| Vec::with_capacity(each)).collect();
        for part in parts {
            for (letters, more) in stock.iter_mut().zip(part) {
                letters.extend(more);
            }
        }
        Ok(Self { pairs: stock, body, signed })
    }

    /// Whether it is for so many pairs, with `each` letters of `body` bytes at least.
    pub(crate) fn serves(&self, pairs: usize, each: usize, body: usize) -> bool {
        self.body == body
            && self.pairs.len() == pairs
            && self.pairs.iter().all(|letters| letters.len() >= each)
    }

    /// Whether all of it stays fresh for another `span`.
    pub(crate) fn is_fresh_for(&self, span: Duration) -> bool {
        self.signed.elapsed() + span < FRESH
    }
}

fn letter(from: &Person, to: &Person, body: usize) -> Result<Letter> {
    let rng = &mut backend::random();
    let text = "w".repeat(body);
    // Uid, kind and padding besides the body.
    let mut buffer = vec![0; OVERHEAD + ENVELOPE_OVERHEAD + body + 48];
    let stamp = Timestamp::from_unix(clock::unix_now().shifted(AHEAD_S));
    let mut draft = Draft::new(&mut buffer, Op::Letter, Some(from.user), Some(to.user), stamp);
    let uid = Uid::generate(rng);
    let (sender, recipient) = (&from.fingerprint, &to.fingerprint);
    let sealed = envelope::seal(
        &AwsLc,
        rng,
        sender,
        recipient,
        &to.keys.public,
        &uid,
        &Content::Text(&text),
        draft.payload_mut(),
    );
    let len = sealed.map_err(|error| anyhow!("{error}")).context("a letter cannot be sealed")?;
    let (id, packet) = draft
        .sign(&AwsLc, &from.keys.private, rng, len)
        .map_err(|error| anyhow!("{error}"))
        .context("a letter cannot be signed")?;
    Ok(Letter { id, packet: (&*packet).into() })
}
