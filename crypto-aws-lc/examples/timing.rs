//! Whether the time that an OAEP block takes tells why it does not open, and the time that a refused
//! 106 takes whether somebody has its id, with either backend:
//!
//! ```sh
//! cargo run -p waxwing-aws-lc --example timing [ROUNDS]
//! ```
//!
//! What is compared comes in random order, and the times are compared as "dude, is my code
//! constant time?" (Reparaz, Balasch, Verbauwhede, 2017) does: Welch's t, without the slowest tenth,
//! which is the machine's. A |t| above 4.5 that comes again on a quiet machine is a finding. It is no
//! test, since no machine that builds is quiet.

use std::hint::black_box;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use waxwing_aws_lc::{AwsLc, AwsLcKey};
use waxwing_core::crypto::{PrivateKey, Provider, PublicKey, RSA_LEN, RustCrypto, RustCryptoKey};
use waxwing_core::id::UserId;
use waxwing_core::server::{Config, ShardId};
use waxwing_core::testing::keys;
use waxwing_testkit::backend::Backend;
use waxwing_testkit::world::Sim;

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

/// 106s that nobody signed, in the name of one of six users or of nobody.
fn measure_ids<P: Backend>(name: &str, rounds: usize) {
    let mut rng = ChaCha20Rng::from_seed([0x3e; 32]);
    let (mut world, people) = Sim::<P>::populate_shards(Config::default(), 7, 6, 1);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..2 * rounds {
        let draw = rng.next_u32() as usize;
        let (class, at) = (draw % 2, draw / 2 % people.len());
        let id = [people[at].id(), UserId::new(1_000 + at as u16).unwrap()][class];
        let mut request = people[at].packet_as(&mut world, id.get(), 0, 106, &[7; 256]);
        let signature = request.last_chunk_mut::<RSA_LEN>().unwrap();
        rng.fill_bytes(signature);
        let conn = world.connect();
        // The refusal is signed once a second, and shared.
        let mut time = std::time::Duration::ZERO;
        world.turn(ShardId::REGISTRAR, |server, env| {
            server.received(env, conn, &request);
            let begun = Instant::now();
            server.end_turn(env);
            time = begun.elapsed();
        });
        assert!(world.is_closed(conn));
        times[class].push(time.as_nanos() as f64);
    }
    let medians = times.clone().map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    let [(one, variance_one), (other, variance_other)] = times.map(moments);
    let t = (one - other) / (variance_one + variance_other).sqrt();
    let [median_one, median_other] = medians;
    println!(
        "{name}: 106 of somebody {one:.0} ns (median {median_one:.0}), of nobody {other:.0} ns \
         (median {median_other:.0}), t = {t:.2}"
    );
}

fn main() {
    let rounds = std::env::args().nth(1).map_or(10_000, |rounds| rounds.parse().unwrap());
    let der = keys::pkcs8_der(0);
    measure("AWS-LC", &AwsLc, &AwsLcKey::from_pkcs8_der(der).unwrap(), rounds);
    measure("RustCrypto", &RustCrypto, &RustCryptoKey::from_pkcs8_der(der).unwrap(), rounds);
    measure_ids::<AwsLc>("AWS-LC", rounds);
    measure_ids::<RustCrypto>("RustCrypto", rounds);
}
