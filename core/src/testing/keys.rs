//! Fixed RSA-2048 keys, so that tests need not wait for new ones.
//!
//! **Everybody has these keys.** They lie in the repository in clear and protect nothing.

/// How many keys there are.
pub const COUNT: usize = KEYS.len();

/// The fixed private key number `at`, as PKCS#8 DER; counting starts again after [`COUNT`].
#[must_use]
pub fn pkcs8_der(at: usize) -> &'static [u8] {
    KEYS.get(at.checked_rem(COUNT).unwrap_or(0)).copied().unwrap_or(&[])
}

static KEYS: [&[u8]; 8] = [
    include_bytes!("keys/0.der"),
    include_bytes!("keys/1.der"),
    include_bytes!("keys/2.der"),
    include_bytes!("keys/3.der"),
    include_bytes!("keys/4.der"),
    include_bytes!("keys/5.der"),
    include_bytes!("keys/6.der"),
    include_bytes!("keys/7.der"),
];
