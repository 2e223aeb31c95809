//! The envelope and the safety number, as two people and an enemy see them.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::sync::LazyLock;

use waxwing_core::crypto::{
    PrivateKey, Provider, PublicKey, RustCrypto, RustCryptoKey, RustCryptoPublicKey, Spki,
    Unverified,
};
use waxwing_core::envelope::{self, Content, Fingerprint, SafetyNumber, Unreadable};
use waxwing_core::id::{Uid, UserId};
use waxwing_core::limits::{ENVELOPE_OVERHEAD, MAX_BODY, MAX_LETTER, MAX_PACKET, MIN_ENVELOPE};
use waxwing_core::phone::Phone;
use waxwing_core::testing::keys;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{BuildError, Draft, Full, Op, Packet};

struct Person {
    id: u16,
    phone: Phone,
    key: RustCryptoKey,
    public: RustCryptoPublicKey,
}

impl Person {
    fn new(id: u16, phone: &str) -> Self {
        let der = keys::pkcs8_der(usize::from(id));
        let key = RustCryptoKey::from_pkcs8_der(der).unwrap();
        let public = RustCrypto.public_key(key.spki()).unwrap();
        Self { id, phone: Phone::parse(phone.as_bytes()).unwrap(), key, public }
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&RustCrypto, &self.phone, self.key.spki())
    }
}

static ALICE: LazyLock<Person> = LazyLock::new(|| Person::new(1, "+15550001"));
static BOB: LazyLock<Person> = LazyLock::new(|| Person::new(2, "+445550002"));
static CAROL: LazyLock<Person> = LazyLock::new(|| Person::new(3, "+4915550003"));
static MALLORY: LazyLock<Person> = LazyLock::new(|| Person::new(4, "+335550004"));

const UID: Uid = Uid([0x1f; 16]);

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Alice's envelope to Bob.
fn seal(seed: u64, content: &Content<'_>) -> Result<Vec<u8>, BuildError> {
    let mut out = vec![0; MAX_LETTER];
    let (from, to) = (ALICE.fingerprint(), BOB.fingerprint());
    let rng = &mut rng(seed);
    let len = envelope::seal(&RustCrypto, rng, &from, &to, &BOB.public, &UID, content, &mut out)?;
    out.truncate(len);
    Ok(out)
}

/// A letter with this payload, signed by its sender.
fn letter(sender: &Person, recipient: &Person, payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; MAX_PACKET];
    let at = Timestamp::from_unix(UnixTime::from_seconds(1_795_350_896));
    let (from, to) = (UserId::new(sender.id), UserId::new(recipient.id));
    let mut draft = Draft::new(&mut buffer, Op::Letter, from, to, at);
    draft.payload_mut()[..payload.len()].copy_from_slice(payload);
    let (_, bytes) = draft.sign(&RustCrypto, &sender.key, &mut rng(9), payload.len()).unwrap();
    bytes.to_vec()
}

/// What a reader with `key` makes of a letter that `signer` has signed, taking it for one from
/// and to the people with these fingerprints.
fn read<T>(
    mut bytes: Vec<u8>,
    signer: &Person,
    from: &Fingerprint,
    to: &Fingerprint,
    reader: &Person,
    look: impl FnOnce(Uid, Content<'_>) -> T,
) -> Result<T, Unreadable> {
    let packet = Unverified::new(&RustCrypto, Packet::parse(&mut bytes[..]).unwrap());
    let letter = packet.verify(&signer.public).expect("signed");
    let opened = envelope::open(&RustCrypto, &mut rng(8), from, to, &reader.key, letter)?;
    Ok(look(opened.uid, opened.content))
}

/// What Bob makes of a payload that Alice has signed.
fn at_bobs<T>(payload: &[u8], look: impl FnOnce(Uid, Content<'_>) -> T) -> Result<T, Unreadable> {
    let bytes = letter(&ALICE, &BOB, payload);
    read(bytes, &ALICE, &ALICE.fingerprint(), &BOB.fingerprint(), &BOB, look)
}

fn opens(
    bytes: Vec<u8>,
    signer: &Person,
    from: &Fingerprint,
    to: &Fingerprint,
    reader: &Person,
) -> Result<(), Unreadable> {
    read(bytes, signer, from, to, reader, |_, _| ())
}

#[test]
fn every_kind_and_size_comes_back_as_it_was() {
    for len in [0, 1, 15, 16, 17, 1_000, MAX_BODY] {
        let text = "x".repeat(len);
        let bytes = vec![0xfe; len];
        for content in [Content::Text(&text), Content::Unknown { kind: 77, body: &bytes }] {
            let payload = seal(1, &content).unwrap();
            assert!((MIN_ENVELOPE..=MAX_LETTER).contains(&payload.len()), "{len}");
            assert_eq!((payload.len() - ENVELOPE_OVERHEAD) % 16, 0);
            let same = at_bobs(&payload, |uid, opened| uid == UID && opened == content);
            assert_eq!(same, Ok(true), "{len}");
        }
    }
    let receipt = Content::ReadReceipt(Uid([7; 16]));
    let payload = seal(1, &receipt).unwrap();
    assert_eq!(at_bobs(&payload, |_, opened| opened == receipt), Ok(true));
}

#[test]
fn a_message_key_of_another_length_does_not_open() {
    let (from, to) = (ALICE.fingerprint(), BOB.fingerprint());
    let label = [Op::Letter.oaep_label(), &from.0, &to.0].concat();
    let iv = [3; 16];
    for len in [0, 16, 31, 32, 33] {
        // With zeros at its end, so that it is the same key for whoever fills it up with them.
        let mut key = [0; 33];
        key[..len.min(16)].fill(7);
        let wrapped = BOB.public.oaep_seal(&mut rng(1), &label, &key[..len]).unwrap();
        let mut blocks = [&UID.0[..], &[1], b"hello", &[0; 16]].concat();
        let key = key.first_chunk().unwrap();
        let sealed = RustCrypto.cbc_encrypt(key, &iv, &mut blocks, 22).unwrap();
        let payload = [&[1, 1], &wrapped[..], &iv, &blocks[..sealed]].concat();
        let opened = at_bobs(&payload, |uid, content| (uid, content == Content::Text("hello")));
        let expected = if len == 32 { Ok((UID, true)) } else { Err(Unreadable::DoesNotOpen) };
        assert_eq!(opened, expected, "{len} bytes");
    }
}

#[test]
fn a_body_above_the_largest_is_refused() {
    let text = "x".repeat(MAX_BODY + 1);
    assert_eq!(seal(1, &Content::Text(&text)), Err(Full.into()));
    let body = vec![0; MAX_BODY + 1];
    assert_eq!(seal(1, &Content::Unknown { kind: 9, body: &body }), Err(Full.into()));
}

#[test]
fn a_buffer_too_small_is_refused() {
    let needed = seal(1, &Content::Text("hello")).unwrap().len();
    let (from, to) = (ALICE.fingerprint(), BOB.fingerprint());
    let text = Content::Text("hello");
    for len in [0, 1, ENVELOPE_OVERHEAD, ENVELOPE_OVERHEAD + 17, needed - 1] {
        let mut out = vec![0; len];
        let (rng, key) = (&mut rng(1), &BOB.public);
        let sealed = envelope::seal(&RustCrypto, rng, &from, &to, key, &UID, &text, &mut out);
        assert!(sealed.is_err(), "{len}");
    }
}

#[test]
fn the_same_text_twice_has_no_random_part_in_common() {
    let [one, other] = [1, 2].map(|seed| seal(seed, &Content::Text("hello")).unwrap());
    assert_eq!(one[..2], other[..2]);
    for part in [2..258, 258..274, 274..290, 290..one.len()] {
        assert_ne!(one[part.clone()], other[part.clone()], "{part:?}");
    }
}

#[test]
fn stripped_of_its_signature_and_signed_again_it_does_not_open() {
    let payload = seal(1, &Content::Text("for Bob, from Alice")).unwrap();
    let bytes = letter(&MALLORY, &BOB, &payload);
    let (mallory, bob) = (MALLORY.fingerprint(), BOB.fingerprint());
    assert_eq!(opens(bytes, &MALLORY, &mallory, &bob, &BOB), Err(Unreadable::DoesNotOpen));
}

#[test]
fn addressed_to_another_it_does_not_open() {
    let payload = seal(1, &Content::Text("for Bob, from Alice")).unwrap();
    let (alice, bob, carol) = (ALICE.fingerprint(), BOB.fingerprint(), CAROL.fingerprint());
    for to in [&bob, &carol] {
        let bytes = letter(&ALICE, &CAROL, &payload);
        let read = opens(bytes, &ALICE, &alice, to, &CAROL);
        assert_eq!(read, Err(Unreadable::DoesNotOpen));
    }
    // Bob seals what he was told for Carol, and shows it as Alice's word.
    let mut out = vec![0; MAX_LETTER];
    let (rng, key, text) = (&mut rng(1), &CAROL.public, Content::Text("for Bob"));
    let len = envelope::seal(&RustCrypto, rng, &bob, &carol, key, &UID, &text, &mut out).unwrap();
    let bytes = letter(&BOB, &CAROL, &out[..len]);
    assert_eq!(opens(bytes, &BOB, &alice, &carol, &CAROL), Err(Unreadable::DoesNotOpen));
}

#[test]
fn under_another_phone_or_key_of_either_it_does_not_open() {
    let payload = seal(1, &Content::Text("for Bob, from Alice")).unwrap();
    let (alice, bob) = (ALICE.fingerprint(), BOB.fingerprint());
    let of =
        |phone: &Person, key: &Person| Fingerprint::of(&RustCrypto, &phone.phone, key.key.spki());
    let elsewhere = [
        (of(&CAROL, &ALICE), bob),
        (of(&ALICE, &CAROL), bob),
        (alice, of(&CAROL, &BOB)),
        (alice, of(&BOB, &CAROL)),
        (bob, alice),
    ];
    for (from, to) in elsewhere {
        let bytes = letter(&ALICE, &BOB, &payload);
        assert_eq!(opens(bytes, &ALICE, &from, &to, &BOB), Err(Unreadable::DoesNotOpen));
    }
    let bytes = letter(&ALICE, &BOB, &payload);
    assert_eq!(opens(bytes, &ALICE, &alice, &bob, &BOB), Ok(()));
}

#[test]
fn a_phone_ends_where_its_key_begins() {
    let spki = ALICE.key.spki();
    let of =
        |phone: &str| Fingerprint::of(&RustCrypto, &Phone::parse(phone.as_bytes()).unwrap(), spki);
    assert_ne!(of("+1555000"), of("+15550000"));
}

#[test]
fn damage_on_the_way_breaks_the_signature() {
    let payload = seal(1, &Content::Text("hello")).unwrap();
    let pristine = letter(&ALICE, &BOB, &payload);
    for at in (0..pristine.len()).filter(|at| !(4..23).contains(at)) {
        let mut bytes = pristine.clone();
        bytes[at] ^= 1;
        // A length that changes makes it no packet at all.
        let Ok(packet) = Packet::parse(&mut bytes[..]) else {
            assert!((24..26).contains(&at));
            continue;
        };
        let packet = Unverified::new(&RustCrypto, packet);
        assert!(packet.verify(&ALICE.public).is_err(), "{at}");
    }
}

#[test]
fn damage_before_the_signature_is_told_by_its_place() {
    let payload = seal(1, &Content::Text("hello")).unwrap();
    let damaged = |at: usize, bits: u8| {
        let mut payload = payload.clone();
        payload[at] ^= bits;
        at_bobs(&payload, |uid, content| (uid, content == Content::Text("hello")))
    };
    for version in (0..=255).filter(|version| *version != 1) {
        let expected = Err(Unreadable::UnknownVersion(version));
        assert_eq!(damaged(0, version ^ 1), expected);
        assert_eq!(damaged(1, version ^ 1), Err(Unreadable::UnknownSuite(version)));
    }
    for at in 2..258 {
        assert_eq!(damaged(at, 0x10), Err(Unreadable::DoesNotOpen), "{at}");
    }
    // Nothing but the signature guards the IV: its bits are bits of the uid.
    for at in 258..274 {
        let mut uid = UID;
        uid.0[at - 258] ^= 0x10;
        assert_eq!(damaged(at, 0x10), Ok((uid, true)), "{at}");
    }
    // A block that is damaged is lost, and its bits are flipped in the next: here the padding.
    assert_eq!(payload.len(), 274 + 32);
    for at in 274 + 6..274 + 16 {
        assert_eq!(damaged(at, 0x10), Err(Unreadable::DoesNotOpen), "{at}");
    }
}

#[test]
fn an_envelope_cut_short_does_not_open() {
    let payload = seal(1, &Content::Text(&"x".repeat(40))).unwrap();
    for len in [0, 1, 2, 100, 257, 258, 273, 274, 275, 289, 290, 306, payload.len() - 1] {
        let read = at_bobs(&payload[..len], |_, _| ());
        assert_eq!(read, Err(Unreadable::DoesNotOpen), "{len}");
    }
}

#[test]
fn a_later_version_may_be_shorter_than_this_one_and_is_still_named() {
    for payload in [&[2][..], &[2, 1], &[2, 0, 0, 0]] {
        assert_eq!(at_bobs(payload, |_, _| ()), Err(Unreadable::UnknownVersion(2)));
    }
    assert_eq!(at_bobs(&[1, 9, 0], |_, _| ()), Err(Unreadable::UnknownSuite(9)));
}

#[test]
fn what_does_not_fit_its_kind_is_reported_with_its_uid() {
    let cases: [(u8, &[u8]); 6] = [
        (0, b"kind nought"),
        (3, b""),
        (255, b"\xff"),
        (1, b"not \xc3\x28 text"),
        (2, &[1; 15]),
        (2, &[1; 17]),
    ];
    for (kind, body) in cases {
        let content = Content::Unknown { kind, body };
        let payload = seal(1, &content).unwrap();
        let same = at_bobs(&payload, |uid, opened| uid == UID && opened == content);
        assert_eq!(same, Ok(true), "{kind}");
    }
}

#[test]
fn both_see_the_same_safety_number_in_twelve_groups_of_five() {
    let (alice, bob) = (ALICE.fingerprint(), BOB.fingerprint());
    let number = SafetyNumber::of(&RustCrypto, &alice, &bob);
    assert_eq!(number, SafetyNumber::of(&RustCrypto, &bob, &alice));
    assert!(number.groups().iter().all(|group| *group < 100_000));
    let text = number.to_string();
    let groups: Vec<_> = text.split(' ').collect();
    assert_eq!(groups.len(), 12);
    for (text, group) in groups.iter().zip(number.groups()) {
        assert_eq!(text.len(), 5);
        assert_eq!(text.parse(), Ok(*group));
    }
}

#[test]
fn the_safety_number_is_that_of_the_document() {
    let fp = |phone: &str, byte: u8| {
        let mut key = vec![phone.len() as u8];
        key.extend(phone.as_bytes());
        key.extend([byte; 294]);
        Fingerprint(RustCrypto.sha256(&[b"waxwing/1:id", &key]).0)
    };
    let number = SafetyNumber::of(&RustCrypto, &fp("+15550001", 0x11), &fp("+445550002", 0x22));
    assert_eq!(
        number.to_string(),
        "12914 15067 15719 62433 66359 26345 76905 23308 52101 60592 66053 07287"
    );
}

#[test]
fn one_bit_of_either_key_or_phone_changes_the_safety_number() {
    let (alice, bob) = (ALICE.fingerprint(), BOB.fingerprint());
    let number = SafetyNumber::of(&RustCrypto, &alice, &bob);
    let flipped = |person: &Person, bit: usize| {
        let mut modulus = *person.key.spki().modulus();
        modulus[bit / 8] ^= 1 << (bit % 8);
        let spki = Spki::from_modulus(&modulus).ok()?;
        Some(Fingerprint::of(&RustCrypto, &person.phone, &spki))
    };
    let mut changed = 0;
    for bit in 0..2_048 {
        for (one, other) in [(flipped(&ALICE, bit), Some(bob)), (Some(alice), flipped(&BOB, bit))] {
            // The highest bit and the lowest are the same in every key.
            let (Some(one), Some(other)) = (one, other) else { continue };
            assert_ne!(SafetyNumber::of(&RustCrypto, &one, &other), number, "{bit}");
            changed += 1;
        }
    }
    assert_eq!(changed, 2 * 2_046);
    let moved = Fingerprint::of(&RustCrypto, &CAROL.phone, ALICE.key.spki());
    assert_ne!(SafetyNumber::of(&RustCrypto, &moved, &bob), number);
}
