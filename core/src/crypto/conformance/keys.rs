//! Private keys: what loads and what does not.

use super::{Failure, Suite, handle, refused, same};
use crate::crypto::{CryptoRng, PrivateKey, Provider, Rejected, Spki};

/// The key under which all the vectors of the suite were made.
pub(super) static GOOD: &[u8] = include_bytes!("keys/good.der");
/// A key under which nothing of the vectors was made.
pub(super) static OTHER: &[u8] = include_bytes!("keys/good-p-above-q.der");

pub(super) fn run<P: Provider>(
    provider: &P,
    load: &impl Fn(&[u8]) -> Result<P::PrivateKey, Rejected>,
    rng: &mut dyn CryptoRng,
    suite: &mut Suite<'_>,
) {
    for (name, der) in ACCEPTED {
        suite.case(name, works(provider, load(der), der, rng));
    }
    for (name, der) in REFUSED {
        suite.case(name, refused(load(der)));
    }
    suite.case("key: nothing", refused(load(&[])));
    suite.case("key: cut short anywhere", cut_short(load));
}

/// The public half is the one in the file, and the private half belongs to it.
fn works<P: Provider>(
    provider: &P,
    key: Result<P::PrivateKey, Rejected>,
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

fn cut_short<K>(load: &impl Fn(&[u8]) -> Result<K, Rejected>) -> Result<(), Failure> {
    for len in (0..GOOD.len()).step_by(61).chain([GOOD.len().saturating_sub(1)]) {
        refused(load(GOOD.get(..len).unwrap_or(&[])))?;
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

static REFUSED: [(&str, &[u8]); 12] = [
    ("key: exponent 3", include_bytes!("keys/exponent-3.der")),
    ("key: 1024 bits", include_bytes!("keys/bits-1024.der")),
    ("key: 2047 bits", include_bytes!("keys/bits-2047.der")),
    ("key: 3072 bits", include_bytes!("keys/bits-3072.der")),
    ("key: wrong private exponent", include_bytes!("keys/wrong-private-exponent.der")),
    ("key: wrong CRT exponent", include_bytes!("keys/wrong-crt-exponent.der")),
    ("key: wrong CRT coefficient", include_bytes!("keys/wrong-crt-coefficient.der")),
    ("key: wrong modulus", include_bytes!("keys/wrong-modulus.der")),
    ("key: trailing byte", include_bytes!("keys/trailing-byte.der")),
    ("key: attributes", include_bytes!("keys/attributes.der")),
    ("key: for RSASSA-PSS only", include_bytes!("keys/pss-algorithm.der")),
    ("key: PKCS#1", include_bytes!("keys/pkcs1-not-pkcs8.der")),
];
