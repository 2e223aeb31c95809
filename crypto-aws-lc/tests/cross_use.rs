//! One key signs and opens: nothing that it makes for one use serves another, with either backend.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waxwing_aws_lc::{AwsLc, AwsLcKey};
use waxwing_core::crypto::{
    Digest, PrivateKey, Provider, PublicKey, RSA_LEN, RustCrypto, RustCryptoKey,
};
use waxwing_core::testing::keys;
use waxwing_core::wire::Op;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0x55; 32])
}

/// Every label that the protocol has: one of each op, and one of a letter.
fn labels() -> Vec<Vec<u8>> {
    let ops = Op::ALL.iter().map(|op| op.oaep_label().to_vec());
    let mut labels: Vec<_> = ops.filter(|label| !label.is_empty()).collect();
    labels.push([Op::Letter.oaep_label(), &[0x5a; 64]].concat());
    labels
}

fn opens_under_its_own_label_alone<P: Provider>(provider: &P, key: &P::PrivateKey) {
    let labels = labels();
    assert_eq!(labels.len(), 7);
    let public = provider.public_key(key.spki()).unwrap();
    for made in &labels {
        let sealed = public.oaep_seal(&mut rng(), made, b"for one op").unwrap();
        for asked in &labels {
            let opened = key.oaep_open(&mut rng(), asked, &sealed, &mut [0; RSA_LEN]);
            assert_eq!(opened.is_ok(), made == asked);
        }
    }
}

fn signs_nothing_that_opens_and_seals_nothing_that_verifies<P: Provider>(
    provider: &P,
    key: &P::PrivateKey,
) {
    let public = provider.public_key(key.spki()).unwrap();
    for round in 0..8 {
        let digest = Digest([round; 32]);
        let signature = key.sign(&mut rng(), &digest).unwrap();
        for label in labels() {
            assert!(key.oaep_open(&mut rng(), &label, &signature, &mut [0; RSA_LEN]).is_err());
            // Not the digest, nor what a signature says about it, sealed.
            let sealed = public.oaep_seal(&mut rng(), &label, &digest.0).unwrap();
            assert!(public.verify(&digest, &sealed).is_err());
        }
        // A signature is one over its digest, and over nothing else.
        assert!(public.verify(&digest, &signature).is_ok());
        assert!(public.verify(&provider.sha256(&[&digest.0]), &signature).is_err());
        assert!(public.verify(&provider.sha256(&[&signature]), &signature).is_err());
    }
}

#[test]
fn a_block_opens_under_its_own_label_alone() {
    let der = keys::pkcs8_der(0);
    opens_under_its_own_label_alone(&AwsLc, &AwsLcKey::from_pkcs8_der(der).unwrap());
    opens_under_its_own_label_alone(&RustCrypto, &RustCryptoKey::from_pkcs8_der(der).unwrap());
}

#[test]
fn a_signature_is_no_block_and_a_block_is_no_signature() {
    let der = keys::pkcs8_der(0);
    let (fast, portable) =
        (AwsLcKey::from_pkcs8_der(der).unwrap(), RustCryptoKey::from_pkcs8_der(der).unwrap());
    signs_nothing_that_opens_and_seals_nothing_that_verifies(&AwsLc, &fast);
    signs_nothing_that_opens_and_seals_nothing_that_verifies(&RustCrypto, &portable);
}
