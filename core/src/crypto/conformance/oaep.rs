//! RSAES-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017, section 7.1).
//!
//! The vectors are for opening only: a backend may take its seed from where it likes.

use super::keys::{GOOD, OTHER};
use super::oaep_vectors::{LABEL, LEADING, OPENS, REFUSED, TAMPERED};
use super::{Failure, Suite, refused, same};
use crate::crypto::{CryptoRng, KeyError, OAEP_MAX, PrivateKey, Provider, PublicKey, RSA_LEN};

/// A block that opens, or may, and what is in it.
pub(super) struct Sealed {
    pub(super) name: &'static str,
    pub(super) label: &'static [u8],
    pub(super) message: &'static [u8],
    pub(super) block: [u8; RSA_LEN],
}

/// A block that does not open under [`LABEL`].
pub(super) struct Refused {
    pub(super) name: &'static str,
    pub(super) block: [u8; RSA_LEN],
}

pub(super) fn run<P: Provider>(
    provider: &P,
    load: &impl Fn(&[u8]) -> Result<P::PrivateKey, KeyError>,
    rng: &mut dyn CryptoRng,
    suite: &mut Suite<'_>,
) {
    let load_both = || -> Result<_, Failure> {
        let key = load(GOOD)?;
        Ok((provider.public_key(key.spki())?, key))
    };
    let Ok((public, key)) = load_both() else {
        return suite.case("oaep: the suite's key", Err(Failure::Refused));
    };
    for sealed in OPENS.iter().chain([&TAMPERED]) {
        suite.case(sealed.name, opens(&key, sealed, rng));
    }
    for sealed in &LEADING {
        let opened = opens(&key, sealed, rng);
        suite.summary.ignores_leading_byte |= opened.is_ok();
        suite.case(sealed.name, if opened == Err(Failure::Refused) { Ok(()) } else { opened });
    }
    for bad in &REFUSED {
        let opened = key.oaep_open(rng, LABEL, &bad.block, &mut [0; RSA_LEN]);
        suite.case(bad.name, refused(opened));
    }
    suite.case("sealed: any other label", other_labels(&key, rng));
    suite.case("sealed: a bit flipped anywhere", flipped(&key, rng));
    suite.case("sealed: for another key", other_key(load, rng));
    suite.case("oaep: longer than the buffer", small_buffers(&key, rng));
    for (name, len) in LENGTHS {
        suite.case(name, round_trip(&public, &key, len, rng));
    }
    let too_long = public.oaep_seal(rng, LABEL, &[0; 191]);
    suite.case("seal: 191 bytes are too many", refused(too_long));
    let too_long = public.oaep_seal(rng, LABEL, &[0; 512]);
    suite.case("seal: 512 bytes are too many", refused(too_long));
    suite.case("seal: never the same twice", fresh_seeds(&public, rng));
}

fn opens(key: &impl PrivateKey, sealed: &Sealed, rng: &mut dyn CryptoRng) -> Result<(), Failure> {
    let mut message = [0xee; OAEP_MAX];
    let len = key.oaep_open(rng, sealed.label, &sealed.block, &mut message)?;
    same(message.get(..len).unwrap_or(&[]), sealed.message)
}

fn other_labels(key: &impl PrivateKey, rng: &mut dyn CryptoRng) -> Result<(), Failure> {
    let long = [0; 77];
    let labels: [&[u8]; 6] =
        [b"", b"waxwing/1:10", b"waxwing/1:1000", b"waxwing/1:101", b"WAXWING/1:100", &long];
    for label in labels {
        refused(key.oaep_open(rng, label, &TAMPERED.block, &mut [0; RSA_LEN]))?;
    }
    // The binary label of a letter, changed in its last byte only.
    for sealed in OPENS.iter().filter(|sealed| sealed.label.len() == long.len()) {
        let mut label = long;
        label.copy_from_slice(sealed.label);
        if let Some(last) = label.last_mut() {
            *last ^= 1;
        }
        refused(key.oaep_open(rng, &label, &sealed.block, &mut [0; RSA_LEN]))?;
    }
    Ok(())
}

fn flipped(key: &impl PrivateKey, rng: &mut dyn CryptoRng) -> Result<(), Failure> {
    for at in (0..RSA_LEN).step_by(17) {
        let mut block = TAMPERED.block;
        if let Some(byte) = block.get_mut(at) {
            *byte ^= 1;
        }
        refused(key.oaep_open(rng, LABEL, &block, &mut [0; RSA_LEN]))?;
    }
    Ok(())
}

fn other_key<K: PrivateKey>(
    load: &impl Fn(&[u8]) -> Result<K, KeyError>,
    rng: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    let other = load(OTHER)?;
    refused(other.oaep_open(rng, LABEL, &TAMPERED.block, &mut [0; RSA_LEN]))
}

fn small_buffers(key: &impl PrivateKey, rng: &mut dyn CryptoRng) -> Result<(), Failure> {
    let mut exact = [0; 32];
    same(&key.oaep_open(rng, LABEL, &TAMPERED.block, &mut exact)?, &exact.len())?;
    same(exact.as_slice(), TAMPERED.message)?;
    refused(key.oaep_open(rng, LABEL, &TAMPERED.block, &mut [0; 31]))?;
    refused(key.oaep_open(rng, LABEL, &TAMPERED.block, &mut []))
}

fn round_trip(
    public: &impl PublicKey,
    key: &impl PrivateKey,
    len: usize,
    rng: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    let mut filled = [0; OAEP_MAX];
    rng.fill_bytes(&mut filled);
    let message = filled.get(..len).unwrap_or(&[]);
    let mut label = [0; 77];
    rng.fill_bytes(&mut label);
    for label in [&[], LABEL, &label] {
        let block = public.oaep_seal(rng, label, message)?;
        let mut opened = [0; OAEP_MAX];
        let read = key.oaep_open(rng, label, &block, &mut opened)?;
        same(opened.get(..read).unwrap_or(&[]), message)?;
    }
    Ok(())
}

fn fresh_seeds(public: &impl PublicKey, rng: &mut dyn CryptoRng) -> Result<(), Failure> {
    let one = public.oaep_seal(rng, LABEL, b"the same message")?;
    let other = public.oaep_seal(rng, LABEL, b"the same message")?;
    if one == other { Err(Failure::WrongAnswer) } else { Ok(()) }
}

static LENGTHS: [(&str, usize); 5] = [
    ("seal and open: 0 bytes", 0),
    ("seal and open: 1 byte", 1),
    ("seal and open: 32 bytes", 32),
    ("seal and open: 189 bytes", 189),
    ("seal and open: 190 bytes", OAEP_MAX),
];
