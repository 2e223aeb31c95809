//! Private keys: what loads and what does not.

use super::{Failure, Suite, handle, same};
use crate::crypto::{CryptoRng, KeyError, PrivateKey, Provider, Spki};

/// The key under which all the vectors of the suite were made.
pub(super) static GOOD: &[u8] = include_bytes!("keys/good.der");
/// A key under which nothing of the vectors was made.
pub(super) static OTHER: &[u8] = include_bytes!("keys/good-p-above-q.der");

pub(super) fn run<P: Provider>(
    provider: &P,
    load: &impl Fn(&[u8]) -> Result<P::PrivateKey, KeyError>,
    rng: &mut dyn CryptoRng,
    suite: &mut Suite<'_>,
) {
    for (name, der) in ACCEPTED {
        suite.case(name, works(provider, load(der), der, rng));
    }
    for (name, der, error) in REFUSED {
        suite.case(name, refused_as(error, load(der)));
    }
    suite.case("key: cut short anywhere", cut_short(load));
}

/// The public half is the one in the file, and the private half belongs to it.
fn works<P: Provider>(
    provider: &P,
    key: Result<P::PrivateKey, KeyError>,
    der: &[u8],
    rng: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    let key = key?;
    same(key.spki(), &spki_in(der)?)?;
    handle::signs_and_opens(provider, &key, rng)
}

/// The public half of [`GOOD`].
pub(super) fn good_spki() -> Result<Spki, Failure> {
    spki_in(GOOD)
}

fn spki_in(der: &[u8]) -> Result<Spki, Failure> {
    let modulus = der.get(MODULUS_AT..).and_then(|rest| rest.first_chunk());
    Spki::from_modulus(modulus.ok_or(Failure::WrongAnswer)?).map_err(|_| Failure::WrongAnswer)
}

/// Refused, and for the right reason.
fn refused_as<K>(error: KeyError, loaded: Result<K, KeyError>) -> Result<(), Failure> {
    match loaded {
        Ok(_) => Err(Failure::Accepted),
        Err(found) => same(&found, &error),
    }
}

fn cut_short<K>(load: &impl Fn(&[u8]) -> Result<K, KeyError>) -> Result<(), Failure> {
    for len in (1..GOOD.len()).step_by(61).chain([GOOD.len().saturating_sub(1)]) {
        refused_as(KeyError::CutShort, load(GOOD.get(..len).unwrap_or(&[])))?;
    }
    Ok(())
}

/// Where the modulus begins in a PKCS#8 file of 2048 bits, behind its sign byte.
const MODULUS_AT: usize = 38;

static ACCEPTED: [(&str, &[u8]); 3] = [
    ("key: good", GOOD),
    ("key: p above q", OTHER),
    ("key: p below q", include_bytes!("keys/good-p-below-q.der")),
];

static REFUSED: [(&str, &[u8], KeyError); 25] = {
    use KeyError::{
        Algorithm, Bits, Encrypted, Exponent, Form, Inconsistent, NotDer, Pem, Pkcs1, PublicKey,
        SmallFactor, TrailingBytes,
    };
    [
        ("key: nothing", &[], NotDer),
        ("key: no key", b"key", NotDer),
        ("key: a number", &[2, 1, 0], NotDer),
        ("key: PEM", b"-----BEGIN PRIVATE KEY-----\n", Pem),
        ("key: exponent 3", include_bytes!("keys/exponent-3.der"), Exponent),
        ("key: 1024 bits", include_bytes!("keys/bits-1024.der"), Bits(1_024)),
        ("key: 2047 bits", include_bytes!("keys/bits-2047.der"), Bits(2_047)),
        ("key: 3072 bits", include_bytes!("keys/bits-3072.der"), Bits(3_072)),
        (
            "key: wrong private exponent",
            include_bytes!("keys/wrong-private-exponent.der"),
            Inconsistent,
        ),
        ("key: wrong CRT exponent", include_bytes!("keys/wrong-crt-exponent.der"), Inconsistent),
        (
            "key: wrong CRT coefficient",
            include_bytes!("keys/wrong-crt-coefficient.der"),
            Inconsistent,
        ),
        ("key: wrong modulus", include_bytes!("keys/wrong-modulus.der"), Inconsistent),
        ("key: even modulus", include_bytes!("keys/even-modulus.der"), SmallFactor),
        ("key: three primes", include_bytes!("keys/three-primes.der"), Form),
        ("key: version 1", include_bytes!("keys/version-1.der"), Form),
        ("key: attributes", include_bytes!("keys/attributes.der"), Form),
        ("key: trailing byte", include_bytes!("keys/trailing-byte.der"), TrailingBytes),
        (
            "key: for RSASSA-PSS only",
            include_bytes!("keys/pss-algorithm.der"),
            Algorithm("RSASSA-PSS alone"),
        ),
        (
            "key: elliptic curve",
            include_bytes!("keys/elliptic-curve.der"),
            Algorithm("an elliptic curve"),
        ),
        ("key: SEC 1", include_bytes!("keys/sec-1.der"), Algorithm("an elliptic curve")),
        ("key: Ed25519", include_bytes!("keys/ed25519.der"), Algorithm("Ed25519")),
        ("key: DSA", include_bytes!("keys/dsa.der"), Algorithm("another algorithm")),
        ("key: encrypted", include_bytes!("keys/encrypted.der"), Encrypted),
        ("key: the public half", include_bytes!("keys/public.der"), PublicKey),
        ("key: PKCS#1", include_bytes!("keys/pkcs1-not-pkcs8.der"), Pkcs1),
    ]
};
