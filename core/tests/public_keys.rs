//! Public keys that are not accepted, one for each rule of PROTOCOL.md, "Keys", and for each way to
//! write an acceptable number otherwise; and what their owners are told.

use waxwing_core::crypto::KeyError::{
    self, Algorithm, Bits, CutShort, Exponent, Form, NotDer, Pem, Pkcs1, SmallFactor, TrailingBytes,
};
use waxwing_core::crypto::{PrivateKey, RustCryptoKey, Spki, WeakKey};
use waxwing_core::testing::keys;

const RSA: [u8; 15] = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0x00];
const F4: [u8; 3] = [1, 0, 1];

/// DER with lengths as short as they can be.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let length = match len {
        0..=127 => vec![len as u8],
        128..=255 => vec![0x81, len as u8],
        _ => vec![0x82, (len >> 8) as u8, len as u8],
    };
    [&[tag], &length[..], content].concat()
}

fn spki_of(algorithm: &[u8], modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let numbers = [der(2, modulus), der(2, exponent)].concat();
    let bits = [&[0], &der(0x30, &numbers)[..]].concat();
    der(0x30, &[algorithm, &der(3, &bits)[..]].concat())
}

/// A modulus of so many bits with its sign byte.
fn modulus(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0x5b; bits.div_ceil(8)];
    modulus[0] = 1 << ((bits - 1) % 8);
    *modulus.last_mut().unwrap() = 1;
    if modulus[0] & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    modulus
}

fn good() -> Vec<u8> {
    spki_of(&RSA, &modulus(2_048), &F4)
}

#[track_caller]
fn assert_weak(cases: &[(&str, Vec<u8>, KeyError)]) {
    for (name, der, why) in cases {
        assert_eq!(Spki::parse(der), Err(WeakKey), "{name}");
        assert_eq!(KeyError::of_public(der), *why, "{name}");
    }
}

#[test]
fn the_form_that_is_accepted_is_what_the_cases_deviate_from() {
    assert_eq!(Spki::parse(&good()).unwrap().as_bytes()[..], good());
    for at in 0..keys::COUNT {
        let key = RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(at)).unwrap();
        assert_eq!(Spki::parse(key.spki().as_bytes()).as_ref(), Ok(key.spki()));
        assert!(!key.spki().has_small_factor());
    }
}

#[test]
fn another_exponent_is_weak() {
    let exponent = |bytes: &[u8]| spki_of(&RSA, &modulus(2_048), bytes);
    assert_weak(&[
        ("0", exponent(&[0]), Exponent),
        ("1", exponent(&[1]), Exponent),
        ("3", exponent(&[3]), Exponent),
        ("17", exponent(&[17]), Exponent),
        ("65536", exponent(&[1, 0, 0]), Exponent),
        ("65539", exponent(&[1, 0, 3]), Exponent),
        ("-65535", exponent(&[0xff, 0, 1]), Exponent),
        ("2^32 + 1", exponent(&[1, 0, 0, 0, 1]), Exponent),
        ("2^33 - 1", exponent(&[1, 0xff, 0xff, 0xff, 0xff]), Exponent),
        ("as large as the modulus", exponent(&modulus(2_048)), Exponent),
        ("65537 with a zero before it", exponent(&[0, 1, 0, 1]), Form),
    ]);
}

#[test]
fn another_size_and_an_even_number_are_weak() {
    let sized = |bits| spki_of(&RSA, &modulus(bits), &F4);
    let mut even = modulus(2_048);
    *even.last_mut().unwrap() = 2;
    assert_weak(&[
        ("512 bits", sized(512), Bits(512)),
        ("1024 bits", sized(1_024), Bits(1_024)),
        ("2040 bits", sized(2_040), Bits(2_040)),
        ("2047 bits", sized(2_047), Bits(2_047)),
        ("2049 bits", sized(2_049), Bits(2_049)),
        ("3072 bits", sized(3_072), Bits(3_072)),
        ("4096 bits", sized(4_096), Bits(4_096)),
        ("8192 bits", sized(8_192), Bits(8_192)),
        ("even", spki_of(&RSA, &even, &F4), SmallFactor),
        ("zero", spki_of(&RSA, &[0], &F4), Bits(0)),
        (
            "2048 bits with two zeros before it",
            spki_of(&RSA, &[&[0], &modulus(2_048)[..]].concat(), &F4),
            Form,
        ),
        ("negative", spki_of(&RSA, &modulus(2_048)[1..], &F4), Form),
    ]);
}

#[test]
fn another_algorithm_is_weak() {
    let algorithm = |content: &[u8]| spki_of(&der(0x30, content), &modulus(2_048), &F4);
    let with_arc = |arc: u8| {
        let mut oid = RSA[2..].to_vec();
        oid[10] = arc;
        algorithm(&oid)
    };
    assert_weak(&[
        ("RSASSA-PSS", with_arc(10), Algorithm("RSASSA-PSS alone")),
        ("RSAES-OAEP", with_arc(7), Algorithm("another algorithm")),
        ("sha256WithRSAEncryption", with_arc(11), Algorithm("another algorithm")),
        ("parameters missing", algorithm(&RSA[2..13]), Form),
        ("parameters that are not NULL", algorithm(&[&RSA[2..13], &[0x30, 0]].concat()), Form),
        (
            "X25519",
            der(0x30, &[&[0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 33, 0][..], &[7; 32]].concat()),
            Algorithm("X25519"),
        ),
    ]);
}

#[test]
fn another_way_to_write_it_is_weak() {
    let good = good();
    let changed = |at: usize, to: u8| {
        let mut changed = good.clone();
        changed[at] = to;
        changed
    };
    let with = |at: usize, bytes: &[u8]| [&good[..at], bytes, &good[at..]].concat();
    let mut indefinite = good.clone();
    indefinite.splice(1..4, [0x80]);
    indefinite.extend([0, 0]);
    assert_weak(&[
        ("nothing", vec![], NotDer),
        ("zeros", vec![0; 294], NotDer),
        ("one byte less", good[..293].to_vec(), CutShort),
        ("one byte more", with(294, &[0]), TrailingBytes),
        ("a byte behind the numbers", with(289, &[0]), TrailingBytes),
        (
            "a length with a zero before it",
            {
                let mut long = good.clone();
                long.splice(1..4, [0x83, 0, 1, 0x22]);
                long
            },
            CutShort,
        ),
        ("an indefinite length", indefinite, CutShort),
        ("a length that is too large", changed(3, 0x23), CutShort),
        ("a length that is too small", changed(3, 0x21), TrailingBytes),
        ("unused bits", changed(23, 1), NotDer),
        ("a SET in place of a SEQUENCE", changed(0, 0x31), NotDer),
        ("an OCTET STRING in place of the BIT STRING", changed(19, 4), KeyError::Encrypted),
        ("PKCS#1", good[24..].to_vec(), Pkcs1),
        ("PEM", b"-----BEGIN PUBLIC KEY-----\n".to_vec(), Pem),
        ("a private key", keys::pkcs8_der(0).to_vec(), KeyError::PrivateKey),
        ("twice", [&good[..], &good].concat(), TrailingBytes),
    ]);
}
