//! The AWS-LC backend against the known-answer suite.

use std::collections::BTreeSet;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waxwing_aws_lc::{AwsLc, AwsLcKey};
use waxwing_core::crypto::{Hasher, PrivateKey, Provider, PublicKey, conformance};
use waxwing_core::testing::keys;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0x77; 32])
}

#[test]
fn passes_the_known_answer_suite() {
    let mut names = BTreeSet::new();
    let mut failed = Vec::new();
    let summary =
        conformance::run(&AwsLc, AwsLcKey::from_pkcs8_der, &mut rng(), &mut |name, outcome| {
            assert!(names.insert(name), "two cases are called {name}");
            failed.extend(outcome.err().map(|failure| (name, failure)));
        });
    assert_eq!(failed, []);
    assert!(summary.passed());
    assert!(!summary.ignores_leading_byte);
    assert_eq!(summary.cases, names.len());
}

#[test]
fn a_new_key_is_sound_and_survives_storage() {
    let key = AwsLcKey::generate().unwrap();
    assert!(!key.spki().has_small_factor());
    let der = key.to_pkcs8_der().unwrap();
    let again = AwsLcKey::from_pkcs8_der(&der).unwrap();
    assert_eq!(again.spki(), key.spki());
    assert_eq!(again.to_pkcs8_der().unwrap(), der);

    let digest = AwsLc.sha256(&[b"signed by one, verified for the other"]);
    let signature = again.sign(&mut rng(), &digest).unwrap();
    AwsLc.public_key(key.spki()).unwrap().verify(&digest, &signature).unwrap();
}

#[test]
fn one_part_hashes_like_many() {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut hasher = AwsLc.hasher();
    for byte in &bytes {
        hasher.update(&[*byte]);
    }
    assert_eq!(AwsLc.sha256(&[&bytes]), hasher.finish());
}

#[test]
fn a_private_key_prints_its_public_half_only() {
    let key = AwsLcKey::from_pkcs8_der(keys::pkcs8_der(0)).unwrap();
    assert_eq!(format!("{key:?}"), format!("AwsLcKey {{ spki: {:?}, .. }}", key.spki()));
}

#[test]
fn keys_cross_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<AwsLcKey>();
    shared::<<AwsLc as Provider>::PublicKey>();
}
