//! RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2).

use super::keys::{GOOD, OTHER, good_spki};
use super::signature_vectors::{FORGED, FORGED_DIGEST, KNOWN};
use super::{Failure, Suite, refused, same};
use crate::crypto::{CryptoRng, Digest, KeyError, PrivateKey, Provider, PublicKey, Signature};

/// A digest and the one signature over it.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) digest: [u8; 32],
    pub(super) signature: Signature,
}

/// Something that is no signature over [`FORGED_DIGEST`].
pub(super) struct Forgery {
    pub(super) name: &'static str,
    pub(super) signature: Signature,
}

pub(super) fn run<P: Provider>(
    provider: &P,
    load: &impl Fn(&[u8]) -> Result<P::PrivateKey, KeyError>,
    rng: &mut dyn CryptoRng,
    suite: &mut Suite<'_>,
) {
    run_public(provider, suite);
    match load(GOOD) {
        Ok(key) => suite.case("known: signing gives the same", signs(&key, rng)),
        Err(_) => suite.case("signature: the suite's key", Err(Failure::Refused)),
    }
    suite.case("forged: under another key", other_key(provider, load, rng));
}

/// What needs no private key.
pub(super) fn run_public<P: Provider>(provider: &P, suite: &mut Suite<'_>) {
    let public = good_spki().and_then(|spki| Ok(provider.public_key(&spki)?));
    let public = match public {
        Ok(public) => public,
        Err(failure) => return suite.case("signature: the suite's public key", Err(failure)),
    };
    for known in &KNOWN {
        let verified = public.verify(&Digest(known.digest), &known.signature);
        suite.case(known.name, verified.map_err(Failure::from));
    }
    for forged in &FORGED {
        suite.case(forged.name, refused(public.verify(&Digest(FORGED_DIGEST), &forged.signature)));
    }
    suite.case("forged: every byte changed in turn", changed_signature(&public));
    suite.case("forged: every byte of the digest changed", changed_digest(&public));
    suite.case("forged: of another digest", swapped(&public));
}

fn signs(key: &impl PrivateKey, rng: &mut dyn CryptoRng) -> Result<(), Failure> {
    for known in &KNOWN {
        let digest = Digest(known.digest);
        same(&key.sign(rng, &digest)?, &known.signature)?;
        // Blinding must not show in the result.
        same(&key.sign(rng, &digest)?, &known.signature)?;
    }
    Ok(())
}

fn changed_signature(public: &impl PublicKey) -> Result<(), Failure> {
    for known in KNOWN.iter().take(1) {
        for at in 0..known.signature.len() {
            let mut signature = known.signature;
            if let Some(byte) = signature.get_mut(at) {
                *byte ^= 1;
            }
            refused(public.verify(&Digest(known.digest), &signature))?;
        }
    }
    Ok(())
}

fn changed_digest(public: &impl PublicKey) -> Result<(), Failure> {
    for known in &KNOWN {
        for at in 0..known.digest.len() {
            let mut digest = known.digest;
            if let Some(byte) = digest.get_mut(at) {
                *byte ^= 0x80;
            }
            refused(public.verify(&Digest(digest), &known.signature))?;
        }
    }
    Ok(())
}

fn swapped(public: &impl PublicKey) -> Result<(), Failure> {
    for (one, other) in KNOWN.iter().zip(KNOWN.iter().skip(1)) {
        refused(public.verify(&Digest(one.digest), &other.signature))?;
        refused(public.verify(&Digest(other.digest), &one.signature))?;
    }
    Ok(())
}

fn other_key<P: Provider>(
    provider: &P,
    load: &impl Fn(&[u8]) -> Result<P::PrivateKey, KeyError>,
    rng: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    let other = load(OTHER)?;
    let public = provider.public_key(other.spki())?;
    for known in &KNOWN {
        let digest = Digest(known.digest);
        refused(public.verify(&digest, &known.signature))?;
        public.verify(&digest, &other.sign(rng, &digest)?)?;
    }
    Ok(())
}
