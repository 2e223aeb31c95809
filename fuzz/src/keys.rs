//! Public keys.

use rsa::pkcs8::{DecodePublicKey, EncodePublicKey};
use rsa::traits::PublicKeyParts;
use waxwing_core::crypto::Spki;

use crate::{Reached, taken};

/// Whatever passes as a public key is one for an independent reader of DER too: 2048 bits, 65537,
/// and encoded in the one way.
pub fn public_key(data: &[u8]) -> Reached {
    let Ok(spki) = Spki::parse(data) else { return taken(false) };
    let key = rsa::PublicKey::from_public_key_der(data).expect("DER that others read");
    assert_eq!(key.n_bytes().len(), 256);
    assert_eq!(key.e_bytes()[..], [1, 0, 1]);
    assert_eq!(key.to_public_key_der().unwrap().as_bytes(), data);
    assert_eq!(key.n_bytes()[..], spki.modulus()[..]);
    assert_eq!(Spki::from_modulus(spki.modulus()), Ok(spki.clone()));
    let _ = spki.has_small_factor();
    taken(true)
}
