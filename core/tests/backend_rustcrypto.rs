//! The portable backend against the known-answer suite, and the suite against broken backends.

mod broken;

use std::collections::BTreeSet;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waxwing_core::crypto::conformance::{self, Failure, Summary};
use waxwing_core::crypto::{
    KeyError, PKCS8_MAX, PrivateKey, Provider, PublicKey, RustCrypto, RustCryptoKey,
};
use waxwing_core::testing::keys;

use broken::{Broken, Flaw};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0x77; 32])
}

#[test]
fn passes_the_known_answer_suite() {
    let mut names = BTreeSet::new();
    let mut failed = Vec::new();
    let summary = conformance::run(
        &RustCrypto,
        RustCryptoKey::from_pkcs8_der,
        &mut rng(),
        &mut |name, outcome| {
            assert!(names.insert(name), "two cases are called {name}");
            failed.extend(outcome.err().map(|failure| (name, failure)));
        },
    );
    assert_eq!(failed, []);
    assert!(summary.passed());
    assert!(summary.ignores_leading_byte);
    assert_eq!(summary.cases, names.len());
    assert!(summary.cases > 120, "{} cases", summary.cases);
}

#[test]
fn a_key_that_cannot_be_imported_is_tried_out_through_its_handle() {
    let try_out = |flaw: Flaw| {
        let provider = Broken(flaw);
        let key = provider.load(keys::pkcs8_der(2)).unwrap();
        let mut text = String::new();
        let mut lines = conformance::lines(&mut text);
        let summary = conformance::run_with_handle(&provider, &key, &mut rng(), &mut lines);
        drop(lines);
        (summary, text)
    };
    let (summary, text) = try_out(Flaw::None);
    assert!(summary.passed(), "{text}");
    assert_eq!(text.lines().count(), summary.cases);
    assert!(text.lines().all(|line| line.starts_with("ok: ")), "{text}");

    for flaw in [Flaw::IgnoresLabels, Flaw::CutsMessages] {
        let (summary, text) = try_out(flaw);
        assert_eq!(summary.to_string(), format!("{} cases, 1 failures", summary.cases));
        assert!(text.contains("FAILED: handle: opens nothing else: accepted what is not valid\n"));
    }
    assert!(!try_out(Flaw::ReducesSignatures).0.passed());
}

#[test]
fn the_suite_finds_what_is_broken() {
    for (flaw, expected) in [
        (Flaw::ReducesSignatures, &["forged: s + n"][..]),
        (Flaw::ParsesPadding, &["forged: short padding, garbage behind"]),
        (Flaw::ForgivesMissingNull, &["forged: parameters missing"]),
        (Flaw::IgnoresLabels, &["sealed: any other label", "sealed: label of another op"]),
        (Flaw::OpensToNothing, &["sealed: leading byte 01, separator 02", "sealed: c = n - 1"]),
        (Flaw::TrustsPadding, &["cbc: padding 00", "cbc: padding of 2, first byte wrong"]),
        (Flaw::CutsMessages, &["oaep: longer than the buffer"]),
        (Flaw::LoadsAnything, &["key: exponent 3", "key: wrong CRT coefficient"]),
    ] {
        let (summary, failed) = try_out(flaw);
        assert!(!summary.passed(), "{flaw:?} passed");
        assert_eq!(summary.failures, failed.len());
        for case in expected {
            assert!(
                failed.contains(&(*case, Failure::Accepted)),
                "{flaw:?} is not caught by {case}, only by {failed:?}"
            );
        }
    }
    assert!(try_out(Flaw::None).0.passed());
}

#[test]
fn a_block_that_may_be_opened_may_not_open_to_something_else() {
    let (_, failed) = try_out(Flaw::OpensToNothing);
    for case in ["opened or refused: leading byte 01", "opened or refused: leading byte 80"] {
        assert!(failed.contains(&(case, Failure::WrongAnswer)), "{case}: {failed:?}");
    }
}

#[test]
fn a_suite_without_a_key_fails() {
    let summary = conformance::run(
        &RustCrypto,
        |der| Err::<RustCryptoKey, _>(KeyError::of_private(der)),
        &mut rng(),
        &mut |_, _| {},
    );
    assert!(!summary.passed());
    assert!(!Summary::default().passed());
}

#[test]
fn a_new_key_is_sound_and_survives_storage() {
    let mut rng = rng();
    let key = RustCryptoKey::generate(&mut rng).unwrap();
    assert!(!key.spki().has_small_factor());
    let der = key.to_pkcs8_der().unwrap();
    let again = RustCryptoKey::from_pkcs8_der(&der).unwrap();
    assert_eq!(again.spki(), key.spki());
    assert_eq!(again.to_pkcs8_der().unwrap(), der);

    let digest = RustCrypto.sha256(&[b"signed by one, verified for the other"]);
    let signature = again.sign(&mut rng, &digest).unwrap();
    RustCrypto.public_key(key.spki()).unwrap().verify(&digest, &signature).unwrap();
    assert!(conformance::run_with_handle(&RustCrypto, &again, &mut rng, &mut |_, _| {}).passed());
}

#[test]
fn a_key_of_the_greatest_length_fits_the_place_that_is_named_for_it() {
    // One whose private exponent and CRT numbers all have their highest bit set.
    let key = RustCryptoKey::generate(&mut ChaCha20Rng::from_seed([0; 32])).unwrap();
    let der = key.to_pkcs8_der().unwrap();
    assert_eq!(der.len(), PKCS8_MAX);
    assert_eq!(RustCryptoKey::from_pkcs8_der(&der).unwrap().spki(), key.spki());
}

#[test]
fn the_seed_makes_the_key() {
    let made = |seed| {
        let key = RustCryptoKey::generate(&mut ChaCha20Rng::from_seed([seed; 32])).unwrap();
        *key.spki().as_bytes()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
}

#[test]
fn every_private_operation_is_blinded() {
    let key = RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(0)).unwrap();
    let public = RustCrypto.public_key(key.spki()).unwrap();
    let sealed = public.oaep_seal(&mut rng(), b"", b"message").unwrap();
    let digest = RustCrypto.sha256(&[b"packet"]);

    // The base is blinded with a number below n, of 256 bytes, and both exponents and both primes
    // with 16 bytes each. The generator counts words of 4 bytes.
    let words = (256 + 4 * 16) / 4;
    let mut used = rng();
    key.sign(&mut used, &digest).unwrap();
    assert!(used.get_word_pos() >= words);
    let mut used = rng();
    key.oaep_open(&mut used, b"", &sealed, &mut [0; 16]).unwrap();
    assert!(used.get_word_pos() >= words);
}

#[test]
fn the_fixed_keys_load_and_differ() {
    let mut seen = BTreeSet::new();
    for at in 0..keys::COUNT {
        let key = RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(at)).unwrap();
        assert!(seen.insert(*key.spki().as_bytes()));
        assert!(!key.spki().has_small_factor());
    }
    assert_eq!(keys::pkcs8_der(keys::COUNT + 1), keys::pkcs8_der(1));
}

fn try_out(flaw: Flaw) -> (Summary, Vec<(&'static str, Failure)>) {
    let mut failed = Vec::new();
    let summary = conformance::run(
        &Broken(flaw),
        |der| Broken(flaw).load(der),
        &mut rng(),
        &mut |name, outcome| failed.extend(outcome.err().map(|failure| (name, failure))),
    );
    (summary, failed)
}
