//! A private key of which only a handle is known: what can be tried out without its numbers.

use super::{Failure, Suite, refused, same};
use crate::crypto::{CryptoRng, Digest, OAEP_MAX, PrivateKey, Provider, PublicKey, RSA_LEN};
use crate::wire::Op;

pub(super) fn run<P: Provider>(
    provider: &P,
    key: &P::PrivateKey,
    rng: &mut dyn CryptoRng,
    suite: &mut Suite<'_>,
) {
    suite.case("handle: signs and opens", signs_and_opens(provider, key, rng));
    suite.case("handle: signs the same each time", same_signature(key, rng));
    suite.case("handle: opens nothing else", opens_nothing_else(provider, key, rng));
}

/// The public half belongs to the private one.
pub(super) fn signs_and_opens<P: Provider>(
    provider: &P,
    key: &P::PrivateKey,
    rng: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    let public = provider.public_key(key.spki())?;
    let digest = Digest([0x17; 32]);
    public.verify(&digest, &key.sign(rng, &digest)?)?;
    let sealed = public.oaep_seal(rng, b"label", b"message")?;
    let mut message = [0; 16];
    let len = key.oaep_open(rng, b"label", &sealed, &mut message)?;
    same(message.get(..len).unwrap_or(&[]), b"message")
}

fn same_signature(key: &impl PrivateKey, rng: &mut dyn CryptoRng) -> Result<(), Failure> {
    let digest = Digest([0x2b; 32]);
    same(&key.sign(rng, &digest)?, &key.sign(rng, &digest)?)
}

fn opens_nothing_else<P: Provider>(
    provider: &P,
    key: &P::PrivateKey,
    rng: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    let public = provider.public_key(key.spki())?;
    let (label, other) = (Op::RegistrationRequest.oaep_label(), Op::ReconnectRequest.oaep_label());
    let sealed = public.oaep_seal(rng, label, &[0x33; OAEP_MAX])?;
    let mut message = [0; RSA_LEN];
    same(&key.oaep_open(rng, label, &sealed, &mut message)?, &OAEP_MAX)?;
    refused(key.oaep_open(rng, other, &sealed, &mut message))?;
    let mut damaged = sealed;
    damaged[RSA_LEN - 1] ^= 1;
    refused(key.oaep_open(rng, label, &damaged, &mut message))?;
    let short = message.get_mut(..OAEP_MAX - 1).unwrap_or_default();
    refused(key.oaep_open(rng, label, &sealed, short))
}
