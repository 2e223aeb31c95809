//! Sealed packets and envelopes, made and opened, on the portable backend.

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::crypto::{
    PrivateKey, Provider, RustCrypto, RustCryptoKey, RustCryptoPublicKey, SessionKey, SessionSeal,
    Unverified,
};
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::{MAX_HELD, MAX_PACKET};
use waxwing_core::phone::Phone;
use waxwing_core::testing::keys;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{ClientReport, Draft, Op, Packet};

const CRYPTO: &RustCrypto = &RustCrypto;
const TEXT: Content<'_> = Content::Text("What I wanted to say to you in a letter of this length.");

struct Person {
    key: RustCryptoKey,
    public: RustCryptoPublicKey,
    fingerprint: Fingerprint,
}

impl Person {
    fn new(at: usize) -> Self {
        let key = RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(at)).unwrap();
        let phone = Phone::parse(format!("+1555000{at}").as_bytes()).unwrap();
        Self {
            public: CRYPTO.public_key(key.spki()).unwrap(),
            fingerprint: Fingerprint::of(CRYPTO, &phone, key.spki()),
            key,
        }
    }
}

/// A signed packet from user 1 to user 2.
fn sign(
    from: &Person,
    op: Op,
    rng: &mut ChaCha20Rng,
    payload: impl FnOnce(&mut [u8], &mut ChaCha20Rng) -> usize,
) -> Vec<u8> {
    let stamp = Timestamp::from_unix(UnixTime::from_seconds(1_795_350_896));
    let mut buffer = vec![0; MAX_PACKET];
    let mut draft = Draft::new(&mut buffer, op, UserId::new(1), UserId::new(2), stamp);
    let len = payload(draft.payload_mut(), rng);
    draft.sign(CRYPTO, &from.key, rng, len).unwrap().1.to_vec()
}

fn acknowledgment(seal: &mut SessionSeal, rng: &mut ChaCha20Rng, out: &mut [u8]) -> usize {
    let ids = [PacketId([0xc3; PacketId::LEN]); MAX_HELD];
    seal.seal(CRYPTO, rng, out, |writer| ClientReport::emit_held(writer, &ids)).unwrap()
}

fn letter(from: &Person, to: &Person, rng: &mut ChaCha20Rng, out: &mut [u8]) -> usize {
    let uid = Uid::generate(rng);
    let (sender, recipient) = (&from.fingerprint, &to.fingerprint);
    envelope::seal(CRYPTO, rng, sender, recipient, &to.public, &uid, &TEXT, out).unwrap()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let rng = &mut ChaCha20Rng::seed_from_u64(7);
    let (ann, ben) = (Person::new(0), Person::new(1));
    let fresh = SessionSeal::new(SessionKey::generate(rng));

    let mut sealed = criterion.benchmark_group("largest acknowledgment");
    sealed.bench_function("seal", |bencher| {
        let mut out = [0; 2_048];
        let mut seal = fresh.clone();
        bencher.iter(|| acknowledgment(&mut seal, rng, black_box(&mut out)));
    });
    let packet = sign(&ann, Op::Acknowledgment, rng, |out, rng| {
        acknowledgment(&mut fresh.clone(), rng, out)
    });
    sealed.bench_function("verify", |bencher| {
        bencher.iter(|| {
            let packet = Packet::parse(black_box(&packet[..])).unwrap();
            Unverified::new(CRYPTO, packet).verify(&ann.public).is_ok()
        });
    });
    sealed.bench_function("verify and open", |bencher| {
        bencher.iter_batched_ref(
            || (packet.clone(), fresh.clone()),
            |(packet, seal)| {
                let packet = Packet::parse(&mut packet[..]).unwrap();
                let packet = Unverified::new(CRYPTO, packet).verify(&ann.public).unwrap();
                seal.open(CRYPTO, packet).unwrap().len()
            },
            BatchSize::SmallInput,
        );
    });
    sealed.finish();

    let mut envelopes = criterion.benchmark_group("letter");
    envelopes.sample_size(20);
    envelopes.bench_function("seal and sign", |bencher| {
        bencher.iter(|| sign(&ann, Op::Letter, rng, |out, rng| letter(&ann, &ben, rng, out)));
    });
    let packet = sign(&ann, Op::Letter, rng, |out, rng| letter(&ann, &ben, rng, out));
    envelopes.bench_function("verify and open", |bencher| {
        bencher.iter_batched_ref(
            || packet.clone(),
            |packet| {
                let packet = Packet::parse(&mut packet[..]).unwrap();
                let packet = Unverified::new(CRYPTO, packet).verify(&ann.public).unwrap();
                let (sender, recipient) = (&ann.fingerprint, &ben.fingerprint);
                envelope::open(CRYPTO, rng, sender, recipient, &ben.key, packet).unwrap().uid
            },
            BatchSize::SmallInput,
        );
    });
    envelopes.finish();
    criterion.final_summary();
}
