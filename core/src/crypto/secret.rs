//! Keys that must not be printed, compared in variable time, or left in memory.

use core::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::KEY_LEN;

macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; KEY_LEN]);

        impl $name {
            /// Draws a key from `rng`.
            #[must_use]
            pub fn generate(rng: &mut dyn CryptoRng) -> Self {
                let mut key = Self([0; KEY_LEN]);
                rng.fill_bytes(&mut key.0);
                key
            }

            /// Copies a key; wiping `bytes` is the caller's business.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
                Self(*bytes)
            }

            /// The bytes, for the cipher and for durable storage only.
            #[must_use]
            pub fn expose(&self) -> &[u8; KEY_LEN] {
                &self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret_key! {
    /// The AES-256 key of one session between a client and the server.
    SessionKey
}
secret_key! {
    /// The key that a client who has no session yet names for the server's answers to 100.
    ReplyKey
}
secret_key! {
    /// The AES-256 key of one letter, wrapped for its recipient.
    MessageKey
}
