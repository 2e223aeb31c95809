//! The two backends against each other: what one makes the other takes, both ways.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waxwing_aws_lc::{AwsLc, AwsLcKey};
use waxwing_core::crypto::{
    KeyError, OAEP_MAX, PrivateKey, Provider, PublicKey, RustCrypto, RustCryptoKey,
};
use waxwing_core::testing::keys;

const KEY: [u8; 32] = [0x42; 32];
const IV: [u8; 16] = [0x17; 16];

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0x11; 32])
}

fn pairs() -> impl Iterator<Item = (AwsLcKey, RustCryptoKey)> {
    (0..keys::COUNT).map(keys::pkcs8_der).map(|der| {
        (AwsLcKey::from_pkcs8_der(der).unwrap(), RustCryptoKey::from_pkcs8_der(der).unwrap())
    })
}

#[test]
fn signatures_are_the_same_bytes_and_verify() {
    let mut rng = rng();
    for (fast, portable) in pairs() {
        assert_eq!(fast.spki(), portable.spki());
        let fast_public = AwsLc.public_key(portable.spki()).unwrap();
        let portable_public = RustCrypto.public_key(fast.spki()).unwrap();
        for round in 0_u8..8 {
            let digest = AwsLc.sha256(&[b"packet ", &[round]]);
            assert_eq!(RustCrypto.sha256(&[b"packet ", &[round]]), digest);
            let signature = fast.sign(&mut rng, &digest).unwrap();
            assert_eq!(portable.sign(&mut rng, &digest).unwrap(), signature);
            fast_public.verify(&digest, &signature).unwrap();
            portable_public.verify(&digest, &signature).unwrap();
        }
    }
}

#[test]
fn what_one_seals_the_other_opens() {
    let mut rng = rng();
    let mut label = b"waxwing/1:102".to_vec();
    label.extend(0..64);
    let message: [u8; OAEP_MAX] = core::array::from_fn(|at| at as u8);
    for (fast, portable) in pairs() {
        let fast_public = AwsLc.public_key(fast.spki()).unwrap();
        let portable_public = RustCrypto.public_key(fast.spki()).unwrap();
        for len in [0, 1, 32, 113, OAEP_MAX] {
            let mut opened = [0; OAEP_MAX];
            let sealed = fast_public.oaep_seal(&mut rng, &label, &message[..len]).unwrap();
            assert_eq!(portable.oaep_open(&mut rng, &label, &sealed, &mut opened), Ok(len));
            assert_eq!(opened[..len], message[..len]);

            let mut opened = [0; OAEP_MAX];
            let sealed = portable_public.oaep_seal(&mut rng, &label, &message[..len]).unwrap();
            assert_eq!(fast.oaep_open(&mut rng, &label, &sealed, &mut opened), Ok(len));
            assert_eq!(opened[..len], message[..len]);
        }
    }
}

#[test]
fn a_stored_key_is_the_same_file_for_both() {
    for (fast, portable) in pairs() {
        assert_eq!(fast.to_pkcs8_der().unwrap(), portable.to_pkcs8_der().unwrap());
    }
    // Keys that each has made itself, which is where forms would drift apart: the portable
    // generator puts its primes in any order, AWS-LC the greater first.
    let mut rng = rng();
    for _ in 0..3 {
        let made = RustCryptoKey::generate(&mut rng).unwrap().to_pkcs8_der().unwrap();
        assert_eq!(AwsLcKey::from_pkcs8_der(&made).unwrap().to_pkcs8_der().unwrap(), made);
        let made = AwsLcKey::generate().unwrap().to_pkcs8_der().unwrap();
        assert_eq!(RustCryptoKey::from_pkcs8_der(&made).unwrap().to_pkcs8_der().unwrap(), made);
    }
}

#[test]
fn what_one_refuses_to_load_the_other_refuses_for_the_same_reason() {
    // Keys whose numbers belong together: only their sizes are other ones.
    let keys: [(&[u8], KeyError); 2] = [
        (include_bytes!("keys/primes-of-two-sizes.der"), KeyError::Form),
        (include_bytes!("keys/exponent-above-the-modulus.der"), KeyError::Inconsistent),
    ];
    for (der, why) in keys {
        assert_eq!(AwsLcKey::from_pkcs8_der(der).err(), Some(why));
        assert_eq!(RustCryptoKey::from_pkcs8_der(der).err(), Some(why));
    }
}

#[test]
fn cbc_is_the_same_bytes() {
    for len in 0..200 {
        let (mut one, mut other) = ([0x33; 224], [0x33; 224]);
        let written = AwsLc.cbc_encrypt(&KEY, &IV, &mut one, len).unwrap();
        assert_eq!(RustCrypto.cbc_encrypt(&KEY, &IV, &mut other, len), Ok(written));
        assert_eq!(one, other);
        assert_eq!(AwsLc.cbc_decrypt(&KEY, &IV, &mut other[..written]), Ok(len));
        assert_eq!(RustCrypto.cbc_decrypt(&KEY, &IV, &mut one[..written]), Ok(len));
        assert_eq!(one, other);
    }
}
