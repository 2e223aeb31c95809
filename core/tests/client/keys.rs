//! Everybody's keys, parsed once.

use std::sync::LazyLock;

use waxwing_core::crypto::{PrivateKey, Provider, RustCrypto, RustCryptoKey, RustCryptoPublicKey};
use waxwing_core::testing::keys;

pub(crate) static SERVER: LazyLock<RustCryptoKey> = LazyLock::new(|| key(0));
pub(crate) static SERVER_PUBLIC: LazyLock<RustCryptoPublicKey> =
    LazyLock::new(|| RustCrypto.public_key(SERVER.spki()).unwrap());
pub(crate) static CLIENT: LazyLock<RustCryptoKey> = LazyLock::new(|| key(1));
pub(crate) static FRIEND: LazyLock<RustCryptoKey> = LazyLock::new(|| key(2));
pub(crate) static FRIEND_PUBLIC: LazyLock<RustCryptoPublicKey> =
    LazyLock::new(|| RustCrypto.public_key(FRIEND.spki()).unwrap());
pub(crate) static MALLORY: LazyLock<RustCryptoKey> = LazyLock::new(|| key(3));

fn key(at: usize) -> RustCryptoKey {
    RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(at)).unwrap()
}
