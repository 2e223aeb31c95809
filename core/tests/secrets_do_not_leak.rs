//! Keys do not print themselves and are wiped when dropped.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use waxwing_core::crypto::{
    KEY_LEN, MessageKey, PrivateKey, ReplyKey, RustCryptoHasher, RustCryptoKey, SessionKey,
};
use waxwing_core::testing::keys;
use zeroize::ZeroizeOnDrop;

const fn wiped_on_drop<T: ZeroizeOnDrop>() {}

const _: () = {
    wiped_on_drop::<SessionKey>();
    wiped_on_drop::<ReplyKey>();
    wiped_on_drop::<MessageKey>();
    wiped_on_drop::<RustCryptoKey>();
};

/// Whether any three bytes in a row of `secret` stand in `printed`, as hex or as a list.
fn leaks(printed: &str, secret: &[u8]) -> bool {
    let printed = printed.to_lowercase();
    secret.windows(3).any(|bytes| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{}, {}, {}", bytes[0], bytes[1], bytes[2]);
        printed.contains(&hex) || printed.contains(&list)
    })
}

#[test]
fn the_search_for_leaks_finds_them() {
    assert!(leaks("Key([1, 2, 3, 4])", &[9, 2, 3, 4]));
    assert!(leaks("Key(0102030A)", &[2, 3, 10]));
    assert!(!leaks("Key(…)", &[1, 2, 3]));
}

#[test]
fn symmetric_keys_print_their_name_only() {
    let bytes: [u8; KEY_LEN] = core::array::from_fn(|at| 0xa0 + at as u8);
    for printed in [
        format!("{:?} {0:#?}", SessionKey::from_bytes(&bytes)),
        format!("{:?} {0:#?}", ReplyKey::from_bytes(&bytes)),
        format!("{:?} {0:#?}", MessageKey::from_bytes(&bytes)),
        format!("{:?}", SessionKey::generate(&mut ChaCha20Rng::from_seed([1; 32]))),
    ] {
        assert!(printed.contains("Key(…)"), "{printed}");
        assert!(!printed.chars().any(|c| c.is_ascii_digit()), "{printed}");
    }
}

#[test]
fn a_private_key_prints_its_public_half_only() {
    let der = keys::pkcs8_der(0);
    let key = RustCryptoKey::from_pkcs8_der(der).unwrap();
    for printed in [format!("{key:?}"), format!("{key:#?}")] {
        assert!(printed.starts_with("RustCryptoKey"));
        assert!(printed.contains(&format!("{:?}", key.spki())));
        // Behind the modulus and the exponent everything in the file is secret.
        assert!(!leaks(&printed, &der[38 + 256 + 5..]), "{printed}");
    }
}

#[test]
fn a_hasher_has_nothing_to_print() {
    // It may have taken in a private key. That it has no Debug at all is the point.
    trait Fallback {
        const PRINTS: bool = false;
    }
    impl<T> Fallback for Probe<T> {}
    struct Probe<T>(core::marker::PhantomData<T>);
    impl<T: core::fmt::Debug> Probe<T> {
        const PRINTS: bool = true;
    }
    const { assert!(!Probe::<RustCryptoHasher>::PRINTS) }
    const { assert!(Probe::<u8>::PRINTS) }
}
