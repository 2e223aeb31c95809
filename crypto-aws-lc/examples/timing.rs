//! Whether the time that an OAEP block takes tells why it does not open, with either backend:
//!
//! ```sh
//! cargo run -p waxwing-aws-lc --example timing [ROUNDS]
//! ```
//!
//! Blocks of both kinds come in random order, and their times are compared as "dude, is my code
//! constant time?" (Reparaz, Balasch, Verbauwhede, 2017) does: Welch's t, without the slowest tenth,
//! which is the machine's. A |t| above 4.5 that comes again on a quiet machine is a finding. It is no
//! test, since no machine that builds is quiet.

use std::hint::black_box;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use waxwing_aws_lc::{AwsLc, AwsLcKey};
use waxwing_core::crypto::{PrivateKey, Provider, PublicKey, RSA_LEN, RustCrypto, RustCryptoKey};
use waxwing_core::testing::keys;

const LABEL: &[u8] = b"waxwing/1:100";
const BLOCKS: usize = 256;

/// Blocks whose label is another: everything is right but the first hash.
fn mislabelled(public: &impl PublicKey, rng: &mut ChaCha20Rng) -> Vec<[u8; RSA_LEN]> {
    (0..BLOCKS).map(|_| public.oaep_seal(rng, b"waxwing/1:101", &[7; 48]).unwrap()).collect()
}

/// Numbers below the modulus: what comes out begins with anything but 0.
fn random(rng: &mut ChaCha20Rng) -> Vec<[u8; RSA_LEN]> {
    let block = |_| {
        let mut block = [0; RSA_LEN];
        rng.fill_bytes(&mut block[1..]);
        block
    };
    (0..BLOCKS).map(block).collect()
}

/// Nanoseconds of the quicker nine tenths: mean, variance of the mean.
fn moments(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    times.truncate(times.len() * 9 / 10);
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

fn measure<P: Provider>(name: &str, provider: &P, key: &P::PrivateKey, rounds: usize) {
    let mut rng = ChaCha20Rng::from_seed([0x3d; 32]);
    let public = provider.public_key(key.spki()).unwrap();
    let classes = [mislabelled(&public, &mut rng), random(&mut rng)];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..2 * rounds {
        let draw = rng.next_u32() as usize;
        let (class, at) = (draw % 2, draw / 2 % BLOCKS);
        let block = classes[class][at];
        let begun = Instant::now();
        let opened = key.oaep_open(&mut rng, LABEL, black_box(&block), &mut [0; 190]);
        let time = begun.elapsed();
        assert!(black_box(opened).is_err());
        times[class].push(time.as_nanos() as f64);
    }
    let [(one, variance_one), (other, variance_other)] = times.map(moments);
    let t = (one - other) / (variance_one + variance_other).sqrt();
    println!("{name}: other label {one:.0} ns, no block {other:.0} ns, t = {t:.2}");
}

fn main() {
    let rounds = std::env::args().nth(1).map_or(10_000, |rounds| rounds.parse().unwrap());
    let der = keys::pkcs8_der(0);
    measure("AWS-LC", &AwsLc, &AwsLcKey::from_pkcs8_der(der).unwrap(), rounds);
    measure("RustCrypto", &RustCrypto, &RustCryptoKey::from_pkcs8_der(der).unwrap(), rounds);
}
