//! What is wrong with a key that was refused, for whoever has to mend it.

/// Why a file is not a key that this protocol accepts: RSA of 2048 bits with exponent 65537, the
/// private half as PKCS#8 and the public half as SubjectPublicKeyInfo, both in DER.
///
/// It is found in the form of the file, with the same outcome for each backend, and holds nothing
/// secret. It is for the owner of the key: a peer learns only that a key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeyError {
    /// The key is in PEM, and DER is wanted.
    #[error(
        "the key is in PEM, and DER is wanted: convert a private key with `openssl pkcs8 -topk8 \
         -nocrypt -outform DER`, and a public key with `openssl pkey -pubin -outform DER`"
    )]
    Pem,
    /// These bytes are no key in DER.
    #[error("these bytes are not a key in DER")]
    NotDer,
    /// The bytes end before the key does.
    #[error("the key is incomplete: the bytes end before it does")]
    CutShort,
    /// Bytes follow the key.
    #[error("there are more bytes after the end of the key: remove them")]
    TrailingBytes,
    /// The key is in PKCS#1, without the frame that names its algorithm.
    #[error(
        "the key is in PKCS#1: convert a private key to PKCS#8 with `openssl pkcs8 -topk8 -nocrypt`, \
         and a public key with `openssl rsa -RSAPublicKey_in -pubout`"
    )]
    Pkcs1,
    /// The private key is encrypted with a password.
    #[error("the key is encrypted with a password: decrypt it with `openssl pkcs8`")]
    Encrypted,
    /// It is a public key, and the private one is wanted.
    #[error("it is a public key, and the private key is wanted")]
    PublicKey,
    /// It is a private key, and the public one is wanted.
    #[error(
        "it is a private key, and the public key is wanted: write it with `openssl pkey -pubout`"
    )]
    PrivateKey,
    /// The key is for this other algorithm.
    #[error(
        "the key is for {0}, and a key of the type rsaEncryption is wanted: make one with `openssl \
         genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`"
    )]
    Algorithm(&'static str),
    /// The modulus has so many bits.
    #[error("the RSA key has {0} bits, and 2048 are wanted")]
    Bits(u32),
    /// The public exponent is another one.
    #[error("the public exponent of the key is not 65537")]
    Exponent,
    /// The modulus is even, or a prime below 2^16 divides it.
    #[error(
        "the modulus of the key has a small factor, so that anybody can compute the private key"
    )]
    SmallFactor,
    /// The key is one of the right kind, in a form that is not read: with attributes, with more than
    /// two primes, or two of different size, in another version of the format, or in other words than
    /// DER has for the same.
    #[error(
        "the form of the key is not the one that is read: two primes of 1024 bits, no attributes, \
         version 0, and numbers as DER writes them; make a new key"
    )]
    Form,
    /// The numbers of a private key do not belong together.
    #[error("the numbers of the key do not belong together: the file is damaged")]
    Inconsistent,
}

impl KeyError {
    /// What is wrong with `der`, which was refused as a private key.
    #[must_use]
    pub fn of_private(der: &[u8]) -> Self {
        private(der).err().unwrap_or(Self::Inconsistent)
    }

    /// Checks of a private key what needs no arithmetic. Each backend begins with it, so that all take
    /// the same keys: their libraries differ in what they think of long exponents and of primes of two
    /// sizes.
    ///
    /// # Errors
    /// What is wrong with `der`.
    pub fn check_private(der: &[u8]) -> Result<(), Self> {
        private(der)
    }

    /// What is wrong with `der`, which [`Spki::parse`](super::Spki::parse) has refused.
    #[must_use]
    pub fn of_public(der: &[u8]) -> Self {
        public(der).err().unwrap_or(Self::Form)
    }
}

/// An element of DER; with tag [`NOTHING`] where there is none.
#[derive(Clone, Copy, Default)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

const NOTHING: u8 = 0;
const INTEGER: u8 = 2;
const BIT_STRING: u8 = 3;
const OCTET_STRING: u8 = 4;
const NULL: u8 = 5;
const SEQUENCE: u8 = 0x30;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const ELLIPTIC_CURVE: &str = "an elliptic curve";
/// Object identifiers of what else people make keys for.
const OTHERS: [(&[u8], &str); 4] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10], "RSASSA-PSS alone"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], ELLIPTIC_CURVE),
    (&[0x2b, 0x65, 0x6e], "X25519"),
    (&[0x2b, 0x65, 0x70], "Ed25519"),
];

/// A PrivateKeyInfo (RFC 5208) around an RSAPrivateKey (RFC 8017, appendix A.1.2).
fn private(der: &[u8]) -> Result<(), KeyError> {
    let fields = fields(der)?;
    let [version, algorithm, key, attributes] = fields;
    match fields.map(|field| field.tag) {
        [INTEGER, SEQUENCE, OCTET_STRING, _] => {}
        [SEQUENCE, BIT_STRING, NOTHING, _] => return Err(KeyError::PublicKey),
        tags => return Err(otherwise(tags)),
    }
    let has_null = is_rsa(algorithm)?;
    let mut rest = sequence(key.content)?;
    let [primes, modulus, exponent, private_exponent] = elements(rest)?;
    numbers(modulus, exponent)?;
    for _ in 0..4 {
        (_, rest) = split(rest).ok_or(KeyError::NotDer)?;
    }
    let [first, second, ..] = elements(rest)?;
    let is_plain = has_null && attributes.tag == NOTHING;
    // The inner version is not 0 where there are more than two primes.
    let is_plain = is_plain && version.content == [0] && primes.content == [0];
    let is_plain = is_plain && [first, second].iter().all(|prime| bits(prime.content) == 1_024);
    if !is_plain {
        return Err(KeyError::Form);
    }
    let number = without_zeros(private_exponent.content);
    let limit = without_zeros(modulus.content);
    let is_below = (number.len(), number) < (limit.len(), limit);
    if is_below { Ok(()) } else { Err(KeyError::Inconsistent) }
}

/// A SubjectPublicKeyInfo (RFC 5280) around an RSAPublicKey (RFC 8017, appendix A.1.1).
fn public(der: &[u8]) -> Result<(), KeyError> {
    let fields = fields(der)?;
    let [algorithm, key, ..] = fields;
    match fields.map(|field| field.tag) {
        [SEQUENCE, BIT_STRING, NOTHING, _] => {}
        [INTEGER, SEQUENCE, OCTET_STRING, _] => return Err(KeyError::PrivateKey),
        tags => return Err(otherwise(tags)),
    }
    is_rsa(algorithm)?;
    let key = key.content.strip_prefix(&[0]).ok_or(KeyError::NotDer)?;
    let [modulus, exponent, ..] = elements(sequence(key)?)?;
    numbers(modulus, exponent)
}

/// What has these fields, and is neither of the two above.
fn otherwise(tags: [u8; 4]) -> KeyError {
    match tags {
        [INTEGER, INTEGER, ..] => KeyError::Pkcs1,
        // An ECPrivateKey (RFC 5915).
        [INTEGER, OCTET_STRING, ..] => KeyError::Algorithm(ELLIPTIC_CURVE),
        // An EncryptedPrivateKeyInfo (RFC 5208).
        [SEQUENCE, OCTET_STRING, NOTHING, _] => KeyError::Encrypted,
        _ => KeyError::NotDer,
    }
}

/// Whether the parameters of this algorithm, which has to be rsaEncryption, are NULL.
fn is_rsa(algorithm: Element<'_>) -> Result<bool, KeyError> {
    let [identifier, parameters, ..] = elements(algorithm.content)?;
    if identifier.content == RSA_ENCRYPTION {
        return Ok(parameters.tag == NULL);
    }
    let known = OTHERS.iter().find(|(known, _)| *known == identifier.content);
    Err(KeyError::Algorithm(known.map_or("another algorithm", |(_, name)| name)))
}

fn numbers(modulus: Element<'_>, exponent: Element<'_>) -> Result<(), KeyError> {
    if [modulus.tag, exponent.tag] != [INTEGER; 2] {
        return Err(KeyError::NotDer);
    }
    let bits = bits(modulus.content);
    if bits != 2_048 {
        Err(KeyError::Bits(bits))
    } else if without_zeros(exponent.content) != [1, 0, 1] {
        Err(KeyError::Exponent)
    } else if modulus.content.last().is_some_and(|low| low & 1 == 0) {
        Err(KeyError::SmallFactor)
    } else {
        Ok(())
    }
}

fn bits(number: &[u8]) -> u32 {
    let number = without_zeros(number);
    let unused = number.first().map_or(0, |high| high.leading_zeros());
    u32::try_from(number.len()).unwrap_or(0).saturating_mul(8).saturating_sub(unused)
}

fn without_zeros(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}

/// The fields of the one SEQUENCE that `der` has to be.
fn fields(der: &[u8]) -> Result<[Element<'_>; 4], KeyError> {
    if der.starts_with(b"-----BEGIN ") {
        return Err(KeyError::Pem);
    }
    match split(der) {
        Some((Element { tag: SEQUENCE, content }, [])) => elements(content),
        Some((Element { tag: SEQUENCE, .. }, _)) => Err(KeyError::TrailingBytes),
        None if der.first() == Some(&SEQUENCE) => Err(KeyError::CutShort),
        _ => Err(KeyError::NotDer),
    }
}

fn sequence(der: &[u8]) -> Result<&[u8], KeyError> {
    match split(der) {
        Some((Element { tag: SEQUENCE, content }, [])) => Ok(content),
        _ => Err(KeyError::NotDer),
    }
}

/// The first four elements, or as many as there are.
fn elements(mut der: &[u8]) -> Result<[Element<'_>; 4], KeyError> {
    let mut elements = [Element::default(); 4];
    for element in &mut elements {
        if !der.is_empty() {
            (*element, der) = split(der).ok_or(KeyError::NotDer)?;
        }
    }
    Ok(elements)
}

/// The first element, and what follows it. No key that a person has is longer than 65,535 bytes.
fn split(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, len, rest) = match der {
        [tag, len @ 0..=0x7f, rest @ ..] | [tag, 0x81, len, rest @ ..] => (tag, [0, *len], rest),
        [tag, 0x82, high, low, rest @ ..] => (tag, [*high, *low], rest),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(len)))?;
    Some((Element { tag: *tag, content }, rest))
}
