//! Private keys, as they lie in a file of the server's, or in the memory of a device.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use pem_rfc7468::LineEnding;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rsa::BoxedUint;
use rsa::pkcs1::{RsaPrivateKeyRef, UintRef};
use rsa::pkcs8::der::Encode;
use waxwing_aws_lc::{AwsLc, AwsLcKey};
use waxwing_core::crypto::{
    Digest, KeyError, PrivateKey, Provider, PublicKey, RSA_LEN, RustCrypto, RustCryptoKey, Spki,
};
use waxwing_core::testing::keys::{COUNT, pkcs8_der};
use waxwing_core_fuzz::input::Input;
use waxwing_server::data_dir::DataDir;
use waxwing_server::exit::{Exit, Failure};
use waxwing_server::key;

use crate::Reached;

/// What an input is made of, by its first byte.
pub mod what {
    /// A key in DER.
    pub const DER: u8 = 0;
    /// A file of the server's.
    pub const FILE: u8 = 1;
    /// A sound key, and what is changed in it: numbers, and then bytes.
    pub const CHANGES: u8 = 2;
}

/// Where other numbers come from that are put into a key.
pub mod source {
    use waxwing_core::testing::keys::COUNT;

    /// The number 3.
    pub const THREE: u8 = COUNT as u8;
    /// The number 0.
    pub const ZERO: u8 = THREE + 1;
}

const LABEL: &str = "PRIVATE KEY";
/// The server reads no more of a file.
const LONGEST_FILE: usize = 8_192;
/// Behind the length of a PrivateKeyInfo: version 0, rsaEncryption and NULL, and the tag of the octets
/// with the RSAPrivateKey.
const FRAME: &[u8] =
    b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x82";

/// Both backends take the same keys, and refuse the others for the same reason. What they take is a key
/// for a second reader too, whose numbers belong together, and is written as it was; what one of them
/// signs, the other verifies. What the second reader finds sound, they take. A file of the server's
/// holds such a key, or is refused with a reason.
///
/// It reaches whether a key is taken, or why it is not; and the same of a file.
pub fn private_key(data: &[u8]) -> Reached {
    let Some((how, rest)) = data.split_first() else { return Reached::new() };
    match how % 3 {
        what::DER => Reached::from([name_of(&loaded(rest))]),
        what::FILE => Reached::from([of_file(rest)]),
        _ => {
            let der = changed(&mut Input::new(rest));
            let loaded = loaded(&der);
            let pem = pem_rfc7468::encode_string(LABEL, LineEnding::LF, &der).unwrap();
            Reached::from([name_of(&loaded), of_file(pem.as_bytes())])
        }
    }
}

/// What both backends make of a key.
fn loaded(der: &[u8]) -> Result<Spki, KeyError> {
    let portable = RustCryptoKey::from_pkcs8_der(der);
    let hosts = AwsLcKey::from_pkcs8_der(der);
    let (portable, hosts) = match (portable, hosts) {
        (Ok(portable), Ok(hosts)) => (portable, hosts),
        (portable, hosts) => {
            let why = portable.err();
            assert_eq!(why, hosts.err(), "of the portable backend, and of the hosts'");
            assert!(!is_sound(der), "{why:?}, and the key is sound");
            return Err(why.expect("an error"));
        }
    };
    assert!(is_sound(der), "the key is taken");
    assert_eq!(portable.to_pkcs8_der().unwrap()[..], *der);
    assert_eq!(hosts.to_pkcs8_der().unwrap()[..], *der);
    assert_eq!(portable.spki(), hosts.spki());
    let (rng, digest) = (&mut ChaCha20Rng::from_seed([7; 32]), Digest([1; 32]));
    let signature = portable.sign(rng, &digest).expect("a signature");
    assert_eq!(hosts.sign(rng, &digest), Ok(signature));
    let spki = portable.spki();
    assert_eq!(RustCrypto.public_key(spki).unwrap().verify(&digest, &signature), Ok(()));
    assert_eq!(AwsLc.public_key(spki).unwrap().verify(&digest, &signature), Ok(()));
    Ok(spki.clone())
}

/// What the server makes of a file. It is what both backends make of the key in it.
fn of_file(content: &[u8]) -> &'static str {
    let directory = tempfile::tempdir().unwrap();
    let directory = DataDir::existing(directory.path()).unwrap();
    let path = directory.private_key();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.unwrap().write_all(content).unwrap();
    let found = key::load(&directory);
    assert_eq!(fs::read(&path).unwrap(), content, "the file is another one");
    let refused = |why: &str| {
        let failure: &Failure = found.as_ref().err().expect("a refusal");
        let message = failure.to_string();
        assert_eq!(failure.exit(), Exit::Key);
        assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
        assert!(message.contains(why), "{message}");
    };
    let content = &content[..content.len().min(LONGEST_FILE)];
    if content.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace()) {
        refused("it is empty");
        return "a file is empty";
    }
    match pem_rfc7468::decode_vec(content) {
        Err(_) => {
            refused("not a key in PEM");
            "a file is not PEM"
        }
        Ok((label, der)) => match loaded(&der) {
            Err(why) => {
                refused(&why.to_string());
                "a file is refused"
            }
            Ok(_) if label != LABEL => {
                refused("has to name a PRIVATE KEY");
                "a file has another label"
            }
            Ok(spki) => {
                assert_eq!(*found.expect("the key is sound").spki(), spki);
                "a file is taken"
            }
        },
    }
}

/// A sound key with some of its numbers from elsewhere, and some of its bytes changed.
fn changed(input: &mut Input<'_>) -> Vec<u8> {
    let mut numbers = numbers_of(input.below(COUNT));
    for _ in 0..input.below(4) {
        let (at, source) = (input.below(numbers.len()), input.below(COUNT + 2));
        numbers[at] = match source as u8 {
            source::THREE => &[3],
            source::ZERO => &[0],
            _ => numbers_of(source)[at],
        };
    }
    let mut der = encoded(numbers);
    while !input.is_empty() {
        let how = input.byte();
        let at = (usize::from(input.byte()) * 256 + usize::from(input.byte())) % der.len();
        match how % 4 {
            0 => der[at] = input.byte(),
            1 => der[at] ^= 1 << input.below(8),
            2 => der.insert(at, input.byte()),
            _ => _ = der.drain(at..der.len().min(at + 1 + usize::from(input.byte()))),
        }
        if der.is_empty() {
            break;
        }
    }
    der
}

/// The numbers of a fixed key, in the order of an RSAPrivateKey: modulus, both exponents, both primes,
/// and what follows from them.
fn numbers_of(at: usize) -> [&'static [u8]; 8] {
    numbers(pkcs8_der(at)).expect("a sound key")
}

/// The numbers of a key in the one form that is read.
fn numbers(der: &[u8]) -> Option<[&[u8]; 8]> {
    let (head, key) = der.split_at_checked(4 + FRAME.len() + 2)?;
    let length = |len: usize| u16::try_from(len).unwrap_or_default().to_be_bytes();
    let expected = [&[0x30, 0x82], &length(der.len() - 4)[..], FRAME, &length(key.len())];
    let key = RsaPrivateKeyRef::try_from(key).ok().filter(|_| head == expected.concat())?;
    let RsaPrivateKeyRef { modulus, public_exponent, private_exponent, .. } = &key;
    let RsaPrivateKeyRef { prime1, prime2, exponent1, exponent2, coefficient, .. } = &key;
    let numbers = [modulus, public_exponent, private_exponent, prime1, prime2];
    let derived = [exponent1, exponent2, coefficient];
    let all = numbers.map(UintRef::as_bytes).into_iter().chain(derived.map(UintRef::as_bytes));
    let all: Vec<_> = all.collect();
    all.try_into().ok().filter(|_| key.other_prime_infos.is_none())
}

/// The form that is read, with these numbers.
fn encoded(numbers: [&[u8]; 8]) -> Vec<u8> {
    let [
        modulus,
        public_exponent,
        private_exponent,
        prime1,
        prime2,
        exponent1,
        exponent2,
        coefficient,
    ] = numbers.map(|number| UintRef::new(number).expect("a number"));
    let key = RsaPrivateKeyRef {
        modulus,
        public_exponent,
        private_exponent,
        prime1,
        prime2,
        exponent1,
        exponent2,
        coefficient,
        other_prime_infos: None,
    };
    let key = key.to_der().expect("a key");
    let length = |len: usize| (len as u16).to_be_bytes();
    let whole = FRAME.len() + 2 + key.len();
    [&[0x30, 0x82], &length(whole)[..], FRAME, &length(key.len()), &key].concat()
}

/// A second reader: the numbers are those of a key of 2,048 bits with two primes, and belong together.
fn is_sound(der: &[u8]) -> bool {
    let Some(numbers) = numbers(der) else { return false };
    if numbers.iter().any(|number| number.len() > RSA_LEN) {
        return false;
    }
    // With room for products.
    let [n, e, d, p, q, d_p, d_q, inverse] =
        numbers.map(|number| BoxedUint::from_be_slice(number, 4_096).expect("there is room"));
    let is_odd = |number: &[u8]| number.last().is_some_and(|low| low & 1 == 1);
    let sizes = [n.bit_width_vartime(), p.bit_width_vartime(), q.bit_width_vartime()];
    if sizes != [2_048, 1_024, 1_024] || ![numbers[3], numbers[4]].into_iter().all(is_odd) {
        return false;
    }
    // An odd number without its lowest bit is the one before it.
    let before = |prime: &BoxedUint| {
        let mut bytes = prime.to_be_bytes();
        if let Some(low) = bytes.last_mut() {
            *low &= 0xfe;
        }
        BoxedUint::from_be_slice_vartime(&bytes).to_nz().expect("no prime is 1")
    };
    let is = |one: &BoxedUint, other: &BoxedUint| {
        one.to_be_bytes_trimmed_vartime() == other.to_be_bytes_trimmed_vartime()
    };
    let one = BoxedUint::one();
    let exponents = [(&p, &d_p), (&q, &d_q)].into_iter().all(|(prime, derived)| {
        let before = before(prime);
        is(&d.wrapping_mul(&e).rem_vartime(&before), &one) && is(&d.rem_vartime(&before), derived)
    });
    let modulus = p.to_nz().expect("a prime of 1,024 bits");
    exponents
        && is(&e, &BoxedUint::from(65_537_u64))
        && is(&n, &p.wrapping_mul(&q))
        && d < n
        && inverse < p
        && is(&inverse.wrapping_mul(&q).rem_vartime(&modulus), &one)
}

/// What a key reaches.
const fn name_of(loaded: &Result<Spki, KeyError>) -> &'static str {
    match loaded {
        Ok(_) => "taken",
        Err(KeyError::Pem) => "PEM",
        Err(KeyError::NotDer) => "not DER",
        Err(KeyError::CutShort) => "cut short",
        Err(KeyError::TrailingBytes) => "trailing bytes",
        Err(KeyError::Pkcs1) => "PKCS#1",
        Err(KeyError::Encrypted) => "encrypted",
        Err(KeyError::PublicKey | KeyError::PrivateKey) => "the other half",
        Err(KeyError::Algorithm(_)) => "another algorithm",
        Err(KeyError::Bits(_)) => "another size",
        Err(KeyError::Exponent) => "another exponent",
        Err(KeyError::SmallFactor) => "a small factor",
        Err(KeyError::Form) => "another form",
        Err(KeyError::Inconsistent) => "inconsistent",
    }
}
